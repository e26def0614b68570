"""Runs are asked of the older and of the newer generation of LangSmith's API."""

from datetime import timedelta
from types import SimpleNamespace

import pytest
from langsmith.utils import LangSmithError
from urllib3.util import Retry

from langchain_sutro import aevaluate_runs, evaluate_runs
from langchain_sutro.evaluation import langsmith_api
from langchain_sutro.evaluation.langsmith_api import ask
from tests.support.langsmith_recorder import LangSmithRecorder
from tests.support.production import START, feedback, judge, trace

SERVERS = {
    "older": ({}, "/runs/query"),
    "newer": ({"smithdb": True}, "/api/v2/runs/query"),
    "both": ({"both": True}, "/api/v2/runs/query"),
}


@pytest.fixture(params=SERVERS)
def server(request):
    options, path = SERVERS[request.param]
    with LangSmithRecorder(**options) as recorder:
        recorder.query_path = path
        yield recorder
        assert recorder.check() == []
        assert recorder.unknown == []


def queries(recorder):
    return [path for _, path in recorder.requests if path.endswith("/runs/query")]


# The runs are older than a day, which is as far as the newer API looks by itself.
@pytest.mark.parametrize(
    ("wanted", "numbers"),
    [
        ({}, range(6)),
        ({"since": START + timedelta(minutes=4)}, [4, 5]),
        ({"until": START + timedelta(minutes=2), "run_type": "chain"}, [0, 1]),
        ({"trace_filter": 'eq(name, "answer")', "limit": 2}, [0, 1]),
        ({"tree_filter": 'eq(name, "nothing")'}, []),
        ({"sample": 6}, range(6)),
    ],
)
def test_the_same_runs_are_selected(judging, server, wanted, numbers):
    runs = trace(server, 6)
    evaluate_runs(judge(), "app", client=server.client(), **wanted)
    judged = {run_id for key, run_id in feedback(server) if key == "length"}
    assert judged == {str(runs[number].id) for number in numbers}
    assert set(queries(server)) == {server.query_path}


async def test_runs_are_judged_once(judging, server):
    trace(server, 150)
    both = [judge(fields=lambda run: {"text": f"{run.name} {run.outputs}"}), judge("loud")]
    found = await aevaluate_runs(both, "app", client=server.client())
    assert found.judged == {"length": 150, "loud": 150}
    assert len(queries(server)) == 2
    assert {"extra", "feedback_stats"} <= set(server.selects[-1])
    again = await aevaluate_runs(both, "app", client=server.client())
    assert (again.judged, again.skipped) == ({}, found.judged)


def test_child_runs_are_judged(judging, server):
    trace(server, 3)
    found = evaluate_runs(judge("loud"), "app", name="model", client=server.client())
    assert found.judged == {"loud": 3}
    assert {f["score"] for f in server.feedback if f["key"] == "loud"} == {1.0}


def test_a_server_that_has_too_much_to_do_is_asked_again(judging, server):
    trace(server, 120)
    server.limited = 3
    found = evaluate_runs(judge(), "app", client=server.client())
    assert found.judged == {"length": 120}
    assert len(queries(server)) == 5
    assert server.limited == 0


@pytest.mark.parametrize(
    ("asked", "waited"), [("7", 7), ("Fri, 31 Dec 9999 23:59:59 GMT", 60), ("nan", 1), (None, 1)]
)
def test_it_waits_as_long_as_the_server_asks(judging, server, monkeypatch, asked, waited):
    pauses = []
    monkeypatch.setattr(langsmith_api, "time", SimpleNamespace(sleep=pauses.append))
    trace(server, 2)
    server.limited, server.retry_after = 1, asked
    client = server.client(retry_config=Retry(0))
    assert evaluate_runs(judge(), "app", client=client).judged == {"length": 2}
    assert pauses == [waited]


@pytest.mark.parametrize("sample", [None, 150])
def test_runs_that_come_on_two_pages_are_judged_once(judging, server, sample):
    trace(server, 150)
    find = server.find_runs

    def moved(wanted):
        """Ten runs arrived between the pages, and moved as many to the next one."""
        query, _, start = (wanted.get("cursor") or "").partition(":")
        return find({**wanted, "cursor": f"{query}:{int(start) - 10}"} if start else wanted)

    server.find_runs = moved
    found = evaluate_runs(judge(), "app", sample=sample, client=server.client())
    assert (found.selected, found.judged) == (150, {"length": 150})
    assert set(feedback(server).values()) == {1}


def test_pages_without_end_are_an_error(judging, server):
    trace(server, 2)
    find = server.find_runs
    server.find_runs = lambda wanted: (find({**wanted, "cursor": None})[0], "always the same")
    with pytest.raises(LangSmithError, match="over and over"):
        evaluate_runs(judge(), "app", client=server.client())
    assert server.feedback == []


def test_a_proxy_that_answers_instead_is_an_error_of_langsmith(judging, server):
    trace(server, 1)
    client = server.client()
    server.page = b"<html>Please log in</html>"
    with pytest.raises(LangSmithError, match="is not LangSmith's: check LANGSMITH_ENDPOINT"):
        evaluate_runs(judge(), "app", client=client)
    with pytest.raises(LangSmithError, match="is not LangSmith's: check LANGSMITH_ENDPOINT"):
        ask(client, "/runs/query", body={})
