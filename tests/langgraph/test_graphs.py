"""Jobs in LangGraph: submitted once, checkpointed, collected by another process."""

import logging
import operator
import subprocess
import sys
import textwrap
import threading
from typing import Annotated, Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, RetryPolicy
from typing_extensions import TypedDict

from langchain_sutro import FunctionResult, SutroFunction, SutroJob
from langchain_sutro.errors import SutroInputError, SutroJobFailedError
from langchain_sutro.langgraph import STATE_TYPES, collect_node, state_serializer, submit_node

LEADS = [
    {"query": "300 seats, PO attached, budget approved", "region": "APAC"},
    {"query": "Please unsubscribe me", "region": "EMEA"},
]
ANSWERS = ["qualified", "not_qualified"]
THREAD = {"configurable": {"thread_id": "t"}}

both_ways = pytest.mark.parametrize("sync", [True, False], ids=["sync", "async"])


class State(TypedDict, total=False):
    leads: list[dict[str, str]]
    job: Any
    results: Any
    result: Any
    seen: Annotated[list[str], operator.add]


@pytest.fixture
def gate(deployment):
    """Jobs of the Function end while it is open."""
    opened = threading.Event()
    opened.set()

    def judge(query: str, region: str) -> str:
        opened.wait(60)
        return "not_qualified" if "unsubscribe" in f"{query}{region}" else "qualified"

    deployment.publish("gated", judge)
    yield opened
    opened.set()


@pytest.fixture
def qualify(deployment, gate, monkeypatch):
    monkeypatch.setenv("SUTRO_API_URL", deployment.url)
    monkeypatch.setenv("SUTRO_API_KEY", deployment.api_key)
    return SutroFunction("gated", poll_interval=0.1)


def graph(function, saver, *, submit=None, **options):
    made = StateGraph(State)
    made.add_node("submit", submit or submit_node(function, "leads"))
    made.add_node("collect", collect_node(function, **options))
    made.add_edge(START, "submit")
    made.add_edge("submit", "collect")
    made.add_edge("collect", END)
    return made.compile(checkpointer=saver)


async def run(made, given, *, sync, config=THREAD):
    return made.invoke(given, config) if sync else await made.ainvoke(given, config)


@both_ways
async def test_a_graph_submits_and_collects(qualify, deployment, sync):
    made = graph(qualify, InMemorySaver(serde=state_serializer()), wait=None)
    state = await run(made, {"leads": LEADS}, sync=sync)
    assert state["results"] == ANSWERS
    assert isinstance(state["job"], SutroJob)
    assert len(deployment.jobs) == 1


@both_ways
async def test_it_is_interrupted_until_the_job_has_ended(qualify, gate, deployment, sync):
    saver = InMemorySaver(serde=state_serializer())
    gate.clear()
    made = graph(qualify, saver)
    state = await run(made, {"leads": LEADS}, sync=sync)
    [paused] = state["__interrupt__"]
    assert paused.value["job_id"] == deployment.jobs[0]["job_id"]
    # It is looked at again, and interrupted again.
    again = await run(graph(qualify, saver), Command(resume=True), sync=sync)
    assert again["__interrupt__"]
    gate.set()
    state = await run(graph(qualify, saver, wait=60), Command(resume=True), sync=sync)
    assert state["results"] == ANSWERS
    assert len(deployment.jobs) == 1


@both_ways
async def test_a_node_that_runs_again_makes_no_other_job(qualify, deployment, sync):
    """It has submitted, and dies before the checkpoint is written."""
    node, deaths = submit_node(qualify, "leads"), []

    def dies(state, config):
        found = node.invoke(state, config)
        if len(deaths) < 2:
            deaths.append(found["job"].job_id)
            raise ConnectionError("the process died")
        return found

    saver = InMemorySaver(serde=state_serializer())
    made = graph(qualify, saver, submit=dies, wait=None)
    for given in ({"leads": LEADS}, None):
        with pytest.raises(ConnectionError):
            await run(made, given, sync=sync)
    state = await run(made, None, sync=sync)
    assert state["results"] == ANSWERS
    assert set(deaths) == {state["job"].job_id}
    assert len(deployment.jobs) == 1


async def test_nor_does_one_that_a_retry_policy_repeats(qualify, deployment):
    node, tries = submit_node(qualify, "leads"), []

    def fails(state, config):
        found = node.invoke(state, config)
        tries.append(found["job"].job_id)
        if len(tries) < 3:
            raise ConnectionError("try again")
        return found

    made = StateGraph(State)
    policy = RetryPolicy(initial_interval=0.01, max_attempts=5)
    made.add_node("submit", fails, retry_policy=policy)
    made.add_edge(START, "submit")
    made.compile().invoke({"leads": LEADS})
    assert len(tries) == 3
    assert len(deployment.jobs) == 1


async def test_another_run_other_rows_and_a_loop_make_jobs_of_their_own(qualify, deployment):
    made = graph(qualify, InMemorySaver(serde=state_serializer()), wait=None)
    await run(made, {"leads": LEADS}, sync=True)
    await run(made, {"leads": LEADS}, sync=True)
    await run(made, {"leads": LEADS}, sync=True, config={"configurable": {"thread_id": "u"}})
    assert len(deployment.jobs) == 3


@both_ways
async def test_a_job_that_failed_is_an_error_and_running_again_makes_another(
    qualify, deployment, sync
):
    saver = InMemorySaver(serde=state_serializer())
    deployment.faults.add_job(fail="out of luck")
    with pytest.raises(SutroJobFailedError, match="out of luck"):
        await run(graph(qualify, saver, wait=None), {"leads": LEADS}, sync=sync)
    key = {"idempotency_key": "mine"}
    deployment.faults.add_job(fail=True)
    failed = qualify.submit(LEADS, **key)
    with pytest.raises(SutroJobFailedError):
        failed.wait(60)
    second = qualify.submit(LEADS, **key) if sync else await qualify.asubmit(LEADS, **key)
    third = qualify.submit(LEADS, **key) if sync else await qualify.asubmit(LEADS, **key)
    assert failed != second == third
    assert qualify.submit(LEADS[:1], **key) != second
    with pytest.raises(SutroInputError, match="idempotency_key"):
        qualify.submit(LEADS, idempotency_key="")


@both_ways
async def test_a_callable_makes_the_rows_and_another_what_is_kept(qualify, sync):
    made = StateGraph(State)
    made.add_node("submit", submit_node(qualify, lambda state: state["leads"][:1], job="job"))
    made.add_node(
        "collect", collect_node(qualify, wait=None, collect=lambda found: found.summary().rows)
    )
    made.add_edge(START, "submit")
    made.add_edge("submit", "collect")
    state = await run(made.compile(), {"leads": LEADS}, sync=sync, config=None)
    assert state["results"] == 1


def test_another_process_collects_what_this_one_has_submitted(qualify, gate, deployment, tmp_path):
    program = textwrap.dedent(
        """
        import pickle, sys
        from pathlib import Path
        from langgraph.checkpoint.memory import InMemorySaver
        from langgraph.types import Command
        from langchain_sutro import SutroFunction
        from langchain_sutro.langgraph import state_serializer
        from tests.langgraph.test_graphs import LEADS, THREAD, graph

        stored = Path(sys.argv[1])
        saver = InMemorySaver(serde=state_serializer())
        if stored.exists():
            storage, writes, blobs = pickle.loads(stored.read_bytes())
            for thread, namespaces in storage.items():
                for namespace, checkpoints in namespaces.items():
                    saver.storage[thread][namespace] = checkpoints
            saver.writes.update(writes)
            saver.blobs.update(blobs)
        function = SutroFunction("gated", poll_interval=0.1)
        made = graph(function, saver, wait=0 if sys.argv[2] == "submit" else 60)
        given = {"leads": LEADS} if sys.argv[2] == "submit" else Command(resume=True)
        state = made.invoke(given, THREAD)
        print(state.get("results"))
        plain = {t: dict(n) for t, n in saver.storage.items()}
        stored.write_bytes(pickle.dumps((plain, dict(saver.writes), dict(saver.blobs))))
        """
    )
    stored = tmp_path / "checkpoints"

    def process(what):
        command = [sys.executable, "-c", program, str(stored), what]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip(), done.stderr

    gate.clear()
    assert process("submit") == ("None", "")
    gate.set()
    assert process("collect") == (str(ANSWERS), "")
    assert len(deployment.jobs) == 1


class TestWhatACheckpointStores:
    @pytest.fixture
    def values(self, qualify):
        job = qualify.submit(LEADS)
        result = FunctionResult(response="qualified", confidence=0.9, usage={"input_tokens": 3})
        return {"job": job, "result": result, "nested": [{"one": (result,)}]}

    def test_comes_back_as_itself_without_a_warning(self, values, caplog):
        serializer = state_serializer()
        with caplog.at_level(logging.WARNING):
            found = serializer.loads_typed(serializer.dumps_typed(values))
        assert caplog.text == ""
        assert isinstance(found["job"], SutroJob)
        assert found["job"].to_dict() == values["job"].to_dict()
        assert type(found["result"]) is FunctionResult
        assert (found["result"].answer, found["result"].confidence) == ("qualified", 0.9)
        assert type(found["nested"][0]["one"][0]) is FunctionResult
        assert found["job"].wait(60).results()[0].answer == "qualified"

    def test_with_langgraphs_own_serializer_jobs_do_and_results_are_dicts(self, values):
        serializer = JsonPlusSerializer()
        found = serializer.loads_typed(serializer.dumps_typed(values))
        assert isinstance(found["job"], SutroJob)
        assert FunctionResult(found["result"]).answer == "qualified"
        allowed = JsonPlusSerializer(allowed_msgpack_modules=STATE_TYPES)
        assert isinstance(allowed.loads_typed(serializer.dumps_typed(values))["job"], SutroJob)

    def test_does_not_include_the_key(self, values, deployment):
        for serializer in (JsonPlusSerializer(), state_serializer()):
            _, stored = serializer.dumps_typed(values)
            assert deployment.api_key.encode() not in stored

    def test_own_types_are_allowed_by_name(self):
        serializer = state_serializer(Own)
        assert serializer.loads_typed(serializer.dumps_typed(Own("x"))).words == "x"

    def test_results_groups_and_functions_are_refused_with_advice(self, qualify, tmp_path):
        results = qualify.submit(LEADS).wait(60).results()
        group = qualify.submit_in_parts(LEADS, 1, checkpoint=tmp_path / "parts.json")
        refused = ((results, "Put the SutroJob"), (group, "resume"), (qualify, "the API key"))
        for value, advice in refused:
            with pytest.raises(SutroInputError, match=advice):
                state_serializer().dumps_typed({"value": [value]})


class Own:
    def __init__(self, words):
        self.words = words

    def _asdict(self):
        return {"words": self.words}


def test_it_is_importable_without_langgraph():
    code = """
import sys
sys.modules["langgraph"] = None
import langchain_sutro.langgraph
"""
    subprocess.run([sys.executable, "-c", code], check=True)
