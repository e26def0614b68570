"""The helper that makes LangSmith's evaluators, with LangSmith's real client."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import langsmith
import pytest

from langchain_sutro.errors import SutroConfigurationError
from langchain_sutro.systemone import create_langsmith_evaluator

pytestmark = pytest.mark.skipif(
    not hasattr(langsmith, "Langsmith"), reason="This langsmith cannot create such evaluators."
)

CONFIG = {
    "version": 1,
    "models": {
        "judges": {
            "questions": {
                "polite": {
                    "function": "politeness",
                    "asked": {
                        "type": "noul",
                        "instructions": "Is the answer polite?",
                        "means_yes": "It is.",
                        "means_no": "It is not.",
                    },
                },
                "plain": {
                    "function": "plainness",
                    "asked": {"type": "noul", "instructions": "Is it plain?"},
                },
                "team": {
                    "function": "department",
                    "asked": {
                        "type": "choice",
                        "instructions": "Which team?",
                        "options": {"billing": "Refunds", "technical": None},
                    },
                },
                "tone": {
                    "function": "tone",
                    "asked": {
                        "type": "score",
                        "instructions": "How warm?",
                        "levels": ["cold", "warm"],
                    },
                },
                "hidden": "no-definition",
            }
        },
        "empty": {"default": "any-question"},
    },
}


@pytest.fixture
def langsmith_api():
    """A server that takes one request; gives its URL and what it took."""
    taken = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            content = self.rfile.read(int(self.headers["content-length"]))
            taken.append((self.path, json.loads(content)))
            answer = json.dumps({"id": "1", "display_name": "judges"}).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", taken
    server.shutdown()
    server.server_close()


def test_the_questions_of_the_configuration_become_an_evaluator(langsmith_api):
    url, taken = langsmith_api
    client = langsmith.Langsmith(base_url=url, api_key="lsv2_test")
    create_langsmith_evaluator(
        CONFIG,
        "judges",
        base_url="https://judges.example.com",
        client=client,
        dataset_id="00000000-0000-0000-0000-000000000001",
    )
    [(path, body)] = taken
    assert path == "/api/v1/runs/rules/decision-models"
    assert body["provider"] == "typesafe_compatible"
    assert body["base_url"] == "https://judges.example.com"
    assert body["model"] == body["display_name"] == "judges"
    assert body["dataset_id"].endswith("1")
    assert body["prompt"] == [["user", "{{inputs}}\n\n{{outputs}}"]]
    assert body["questions"] == {
        "polite": {
            "type": "noul",
            "instructions": "Is the answer polite?",
            "yes": "It is.",
            "no": "It is not.",
        },
        "plain": {"type": "noul", "instructions": "Is it plain?"},
        "team": {
            "type": "choice",
            "instructions": "Which team?",
            "options": {"billing": "Refunds", "technical": None},
        },
        "tone": {"type": "score", "instructions": "How warm?", "levels": ["cold", "warm"]},
    }


def test_settings_of_the_environment_are_used(langsmith_api, monkeypatch):
    url, taken = langsmith_api
    monkeypatch.setenv("LANGSMITH_ENDPOINT", url)
    monkeypatch.setenv("LANGSMITH_API_KEY", "lsv2_test")
    create_langsmith_evaluator(
        CONFIG, "judges", base_url="https://x.example", session_id="1", sampling_rate=0.5
    )
    assert taken[0][1]["sampling_rate"] == 0.5


@pytest.mark.parametrize(
    ("model", "changes", "match"),
    [
        ("other", {}, "no model 'other'"),
        ("empty", {}, "`asked`"),
        ("judges", {"type": "choice", "instructions": "?"}, "options"),
        ("judges", {"type": "score", "instructions": "?"}, "levels"),
        ("judges", {"type": "noul", "instructions": "?", "means_yes": "x"}, "neither"),
    ],
)
def test_what_cannot_be_asked_is_refused(langsmith_api, model, changes, match):
    url, taken = langsmith_api
    config = json.loads(json.dumps(CONFIG))
    if changes:
        config["models"]["judges"]["questions"]["polite"]["asked"] = changes
    client = langsmith.Langsmith(base_url=url, api_key="lsv2_test")
    with pytest.raises(SutroConfigurationError, match=match):
        create_langsmith_evaluator(config, model, base_url="https://x.example", client=client)
    assert taken == []


def test_a_client_that_cannot_make_them_is_refused():
    client = langsmith.Client(api_url="http://127.0.0.1:9", api_key="lsv2_test")
    with pytest.raises(SutroConfigurationError, match="Langsmith"):
        create_langsmith_evaluator(CONFIG, "judges", base_url="https://x.example", client=client)
