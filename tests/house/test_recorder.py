"""The stand-in for LangSmith notices each breach of LangSmith's rules, and lets good runs pass."""

import uuid
from datetime import UTC, datetime, timedelta

import pytest
from langsmith.run_trees import RunTree

from tests.support.langsmith_store import LangSmithStore

START = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


def order(start, run_id):
    return start.strftime("%Y%m%dT%H%M%S%fZ") + run_id


def run(parent=None, *, start=START, **changes):
    """A good run as it is sent, but for the changes."""
    run_id = str(uuid.UUID(int=uuid.uuid4().int & ~(0xF << 76) | 7 << 76))
    above = f"{parent['dotted_order']}." if parent else ""
    good = {
        "id": run_id,
        "name": "call",
        "run_type": "llm",
        "trace_id": parent["trace_id"] if parent else run_id,
        "parent_run_id": parent["id"] if parent else None,
        "dotted_order": above + order(start, run_id),
        "start_time": start.isoformat(),
        "end_time": (start + timedelta(seconds=1)).isoformat(),
        "session_name": "tests",
    }
    return {**good, **changes}


@pytest.fixture
def store():
    return LangSmithStore()


def test_good_runs_pass(store):
    outer = run(end_time=None)
    store.take_run(dict(outer), update=False)
    store.take_run(run(outer, start=START + timedelta(microseconds=1)), update=False)
    store.take_run({**outer, "end_time": run()["end_time"], "outputs": {"a": 1}}, update=True)
    assert store.check() == []


PARENT = run()
BREACHES = {
    "no dotted_order": [run(dotted_order=None)],
    "malformed dotted_order": [run(dotted_order="20260102-1")],
    "starts before its parent": [PARENT, run(PARENT, start=START - timedelta(seconds=1))],
    "its id is not the last of its dotted_order": [run(id=run()["id"])],
    "its trace_id is not the first": [run(trace_id=run()["id"])],
    "its parent is not the last but one": [PARENT, run(PARENT, parent_run_id=None)],
    "start_time disagrees with dotted_order": [
        run(start_time=(START - timedelta(seconds=1)).isoformat())
    ],
    "ends before it starts": [run(end_time=(START - timedelta(seconds=1)).isoformat())],
    "no project": [run(session_name=None)],
    "name too long": [run(name="x" * 129)],
    "created twice": [PARENT, PARENT],
    "its parent never arrived": [run(PARENT)],
    "never ended": [run(end_time=None)],
}


@pytest.mark.parametrize("said", BREACHES)
def test_a_breach_is_noticed(store, said):
    for one in BREACHES[said]:
        store.take_run(dict(one), update=False)
    assert [True for breach in store.check() if said in breach], store.check()


def test_an_id_of_another_version_is_noticed(store):
    run_id = str(uuid.uuid4())
    changes = {"id": run_id, "trace_id": run_id, "dotted_order": order(START, run_id)}
    store.take_run(run(**changes), update=False)
    assert store.check() == ["call: id is not of version 7"]


UPDATES = {
    "another dotted_order than before": {
        "dotted_order": order(START + timedelta(seconds=1), PARENT["id"]),
        "start_time": (START + timedelta(seconds=1)).isoformat(),
    },
    "updated twice": {},
    "updated but never created": None,
}


@pytest.mark.parametrize("said", UPDATES)
def test_a_wrong_update_is_noticed(store, said):
    store.take_run(dict(PARENT), update=False)
    if UPDATES[said] is None:
        store.take_run(run(), update=True)
    else:
        store.take_run(dict(PARENT), update=True)
        assert store.check() == []
        store.take_run({**PARENT, **UPDATES[said]}, update=True)
    assert f"call: {said}" in store.check()


def test_a_trace_that_is_too_large_is_noticed(store, monkeypatch):
    monkeypatch.setattr("tests.support.langsmith_store._RUNS_PER_TRACE", 3)
    store.take_run(dict(PARENT), update=False)
    for number in range(1, 4):
        child = run(PARENT, start=START + timedelta(microseconds=number))
        store.take_run(child, update=False)
    assert store.check() == ["call: more than 3 runs in its trace"]


def test_feedback_of_nothing_is_noticed(store):
    store.take_feedback({"key": "k", "run_id": run()["id"]})
    store.take_feedback({"key": "k"})
    assert store.check() == [
        "feedback k: its run never arrived",
        "feedback k: of no run and no project",
    ]


def test_the_real_client_is_understood(langsmith_recorder):
    client = langsmith_recorder.client()
    outer = RunTree(name="outer", client=client, project_name="tests")
    outer.post()
    inner = outer.create_child("inner", run_type="llm")
    inner.end(outputs={"a": 1})
    inner.post()
    outer.end()
    outer.patch()
    client.flush()
    assert [one["name"] for one in langsmith_recorder.ordered()] == ["outer", "inner"]
    [found] = langsmith_recorder.children(langsmith_recorder.by_name("outer")[0])
    assert found["outputs"] == {"a": 1}
