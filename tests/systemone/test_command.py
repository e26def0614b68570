"""`python -m langchain_sutro.systemone`: a process of its own, on loopback or with a key."""

import os
import subprocess
import sys

import httpx
import pytest

from langchain_sutro.systemone.__main__ import main
from tests.systemone.conftest import KEY

CONFIG = """\
version: 1
models:
  judges:
    description: What we ask about tickets.
    release_date: "2026-09-24"
    questions:
      worth_a_call:
        function: lead-qualifier
        "yes": [qualified]
    default: any-question
  others:
    default: any-question
"""
COMMAND = [sys.executable, "-m", "langchain_sutro.systemone"]


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "decisions.yaml"
    path.write_text(CONFIG)
    return path


@pytest.fixture
def start(deployment, config):
    """Start the command; gives a client of it."""
    started = []

    def begin(*arguments, **variables):
        process = subprocess.Popen(
            [*COMMAND, "--config", config, "--port", "0", *arguments],
            env={**os.environ, **deployment.environ, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        url = process.stdout.readline().strip()
        assert url.endswith("/v1/systemone"), process.stderr.read()
        return process, url.removesuffix("/v1/systemone")

    yield begin
    for process in started:
        process.kill()
        process.communicate()


def test_it_serves_the_models_of_the_file(start):
    process, url = start("--key-env", "ENDPOINT_KEY", ENDPOINT_KEY=KEY)
    body = {
        "model": "judges",
        "state": {"query": "We need 200 seats by Friday.", "region": "APAC"},
        "questions": {
            "worth_a_call": {"type": "noul", "instructions": "Is it?"},
            "other": {"type": "noul", "instructions": "Is it?"},
        },
    }
    headers = {"authorization": f"Bearer {KEY}"}
    with httpx.Client(base_url=url, headers=headers, timeout=60) as http:
        first, second = http.get("/v1/models").json()["models"]
        assert first == {
            "name": "judges",
            "description": "What we ask about tickets.",
            "release_date": "2026-09-24",
        }
        assert second["name"] == "others"
        answers = http.post("/v1/systemone", json=body).json()["answers"]
        assert answers["worth_a_call"]["noul"] > 0.5
    assert httpx.post(f"{url}/v1/systemone", json=body).status_code == 401
    process.terminate()
    output, errors = process.communicate(timeout=100)
    assert (output, errors) == ("", "")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "example.com", ""])
def test_without_a_key_it_listens_on_loopback_alone(config, host):
    done = subprocess.run(
        [*COMMAND, "--config", config, "--port", "0", "--host", host],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert "--key-env" in done.stderr
    assert done.stderr.count("\n") == 1


def test_with_a_key_it_listens_elsewhere(start):
    _, url = start("--host", "0.0.0.0", "--key-env", "ENDPOINT_KEY", ENDPOINT_KEY=KEY)
    port = url.rpartition(":")[2]
    answer = httpx.get(f"http://127.0.0.1:{port}/v1/models")
    assert answer.status_code == 401


def test_what_is_not_installed_is_named():
    script = (
        "import importlib.util\n"
        "find = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, *more: None if name == 'uvicorn' else find(name)\n"
        "import langchain_sutro.systemone\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60
    )
    last = done.stderr.strip().splitlines()[-1]
    assert last.endswith('(uvicorn not found): pip install "langchain-sutro[systemone]"')


@pytest.mark.parametrize("port", ["-1", "65536", "99999"])
def test_a_port_that_is_none_is_not_taken_for_another(capsys, port):
    with pytest.raises(SystemExit) as ended:
        main(["--config", "nowhere.yaml", "--port", port])
    assert ended.value.code == 2
    assert "a port is a number from 0 to 65535" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--key-env", "NOT_SET"], "NOT_SET is not set"),
        (["--config", "nowhere.yaml"], "nowhere.yaml cannot be read"),
        (["--host", "203.0.113.7", "--key-env", "HOME"], ""),
    ],
)
def test_what_cannot_be_served_is_an_error_of_one_line(config, arguments, said):
    done = subprocess.run(
        [*COMMAND, "--config", config, "--port", "0", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
