"""Whatever repeats a call, its rows are paid for once: an answer is lost, the list is late, 503."""

import asyncio
from datetime import timedelta
from typing import Any, TypedDict

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import ToolRetryMiddleware
from langchain_core.messages import HumanMessage
from langchain_core.runnables import RunnableLambda
from langgraph.graph import END, START, StateGraph
from langgraph.types import RetryPolicy

from langchain_sutro import SutroFunction, SutroJob, SutroJobToolkit, errors
from langchain_sutro._core.service.exchange import Policy
from langchain_sutro.local import Answer, LocalDeployment
from tests.faults.functions import FIELD, LABEL
from tests.support.calls import call, modes, posts
from tests.support.tool_calls import Scripted

ROWS = [{"n": str(number)} for number in range(3)]
ANSWERS = [f"<{row['n']}>" for row in ROWS]


@pytest.fixture
def deployment():
    with LocalDeployment([]) as running:
        running.publish(
            "echo",
            lambda row: Answer({"label": f"<{row['n']}>"}, confidence=0.9),
            input_schema=FIELD,
            output_schema=LABEL,
        )
        yield running


@pytest.fixture
def echo(deployment):
    function = SutroFunction(
        "echo",
        api_url=deployment.url,
        api_key=deployment.api_key,
        poll_interval=0.05,
        args_schema=FIELD,
    )
    # One look for a lost job, and one attempt at its results.
    function.client.policy = Policy(max_retries=0, lookup_seconds=0, lag_seconds=0)
    return function


def in_graph(function, mode):
    """A node of LangGraph under its default retries."""

    class State(TypedDict):
        answers: Any

    def node(state: State) -> State:
        return {"answers": function.batch(ROWS)}

    async def anode(state: State) -> State:
        return {"answers": await function.abatch(ROWS)}

    graph = StateGraph(State)
    graph.add_node(
        "judge",
        node if mode == "sync" else anode,
        retry_policy=RetryPolicy(initial_interval=0.01, jitter=False),
    )
    graph.add_edge(START, "judge")
    graph.add_edge("judge", END)
    return graph.compile()


async def graph(function, mode):
    return (await call(mode, in_graph(function, mode), "invoke", {"answers": None}))["answers"]


def batch_of(wrapped):
    async def work(function, mode):
        return await call(mode, wrapped(function), "batch", ROWS)

    return work


def picked(results):
    return [one["x"] if isinstance(one, dict) and "x" in one else one for one in results]


async def again_and_again(function, mode):
    """A loop of the user's own around `submit`."""
    for attempt in range(3):
        try:
            job = await call(mode, function, "submit", ROWS)
            return list(await call(mode, job, "results"))
        except errors.SutroError:
            if attempt == 2:
                raise
    return None


async def cut_short(function, mode):
    """A deadline of the user's own that ends the first attempt."""
    if mode == "sync":
        return await again_and_again(function, mode)
    for attempt in range(3):
        try:
            async with asyncio.timeout(5 if attempt else None):
                return await function.abatch(ROWS)
        except (errors.SutroError, TimeoutError):
            if attempt == 2:
                raise
    return None


NO_PAUSE = {"wait_exponential_jitter": False}
MACHINES = {
    "with_retry": batch_of(lambda function: function.with_retry(**NO_PAUSE)),
    "with_retry of these errors": batch_of(
        lambda function: function.with_retry(
            retry_if_exception_type=(errors.SutroError,), **NO_PAUSE
        )
    ),
    "assign_as": batch_of(lambda function: function.assign_as("x").with_retry(**NO_PAUSE)),
    "bind": batch_of(lambda function: function.bind().with_retry(**NO_PAUSE)),
    "require_confidence": batch_of(
        lambda function: function.require_confidence(0).with_retry(**NO_PAUSE)
    ),
    "sequence": batch_of(
        lambda function: (RunnableLambda(lambda row: row) | function).with_retry(**NO_PAUSE)
    ),
    "fallback": batch_of(lambda function: function.with_fallbacks([function])),
    "fallback of a copy": batch_of(
        lambda function: function.with_fallbacks([function.model_copy(update={"tags": ["b"]})])
    ),
    "graph": graph,
    "loop": again_and_again,
    "deadline": cut_short,
}
machines = pytest.mark.parametrize("machine", MACHINES.values(), ids=MACHINES)


def answers_of(results):
    return [one.answer for one in picked(results)]


@modes
@machines
async def test_a_job_that_is_listed_late_is_taken_up(echo, deployment, machine, mode):
    deployment.faults.add("batch-inference", reset="after")
    deployment.faults.add("list-jobs", status=200, json={"jobs": []})
    try:
        results = await machine(echo, mode)
    except errors.SubmissionUnknownError as error:
        assert machine not in (graph, again_and_again)
        found = await call(mode, SutroJob, "find", error.token, client=echo.client)
        results = await call(mode, found, "results")
    assert answers_of(results) == ANSWERS
    assert len(deployment.jobs) == len(posts(deployment, "batch-inference")) == 1


@modes
@machines
async def test_a_job_that_is_never_listed_is_a_refusal_that_names_its_token(
    echo, deployment, machine, mode
):
    deployment.faults.add("batch-inference", reset="after")
    deployment.faults.add("list-jobs", status=200, json={"jobs": []}, times=None)
    with pytest.raises(errors.SubmissionUnknownError) as caught:
        await machine(echo, mode)
    [job] = deployment.jobs
    assert caught.value.token in job["description"]
    assert caught.value.token in str(caught.value)
    assert len(posts(deployment, "batch-inference")) == 1
    SutroJob.forget(caught.value.token)
    deployment.faults.clear()
    assert answers_of(await call(mode, echo, "batch", ROWS)) == ANSWERS
    assert len(deployment.jobs) == 2


@modes
@machines
async def test_a_job_whose_results_answer_503_is_not_bought_again(echo, deployment, machine, mode):
    deployment.faults.add("job-results", status=503)
    results = await machine(echo, mode)
    assert answers_of(results) == ANSWERS
    assert len(deployment.jobs) == 1


@modes
async def test_a_tool_that_is_retried_starts_one_job(echo, deployment, mode):
    tools = SutroJobToolkit(function=echo, prefix="").get_tools()
    start = {"type": "tool_call", "name": "start_job", "args": {"rows": ROWS}, "id": "1"}
    agent = create_agent(
        Scripted(calls=[start]),
        tools,
        middleware=[ToolRetryMiddleware(initial_delay=0, jitter=False, backoff_factor=0)],
    )
    deployment.faults.add("batch-inference", reset="after")
    deployment.faults.add("list-jobs", status=200, json={"jobs": []})
    messages = (await call(mode, agent, "invoke", {"messages": [HumanMessage("go")]}))["messages"]
    [job] = deployment.jobs
    assert job["job_id"] in messages[2].text


@modes
async def test_equal_rows_on_purpose_are_jobs_of_their_own(echo, deployment, mode):
    for _ in range(2):
        assert answers_of(await call(mode, echo, "batch", ROWS)) == ANSWERS
    jobs = [await call(mode, echo, "submit", ROWS) for _ in range(2)]
    deployment.faults.add_job("echo", rows_per_second=1)
    slow = await call(mode, echo, "submit", ROWS)
    with pytest.raises(errors.SutroJobTimeoutError):
        await call(mode, slow, "wait" if mode == "sync" else "wait_", 0.0)
    jobs.append(await call(mode, echo, "submit", ROWS))
    assert len(deployment.jobs) == 6
    assert not any(job.reused for job in jobs)


@modes
@pytest.mark.parametrize("ending", ["failed", "cancelled"])
async def test_a_job_that_has_ended_badly_is_not_taken_up(echo, deployment, ending, mode):
    deployment.faults.add("batch-inference", reset="after")
    deployment.faults.add("list-jobs", status=200, json={"jobs": []})
    fault = {"fail": "no"} if ending == "failed" else {"rows_per_second": 1}
    deployment.faults.add_job("echo", **fault)
    with pytest.raises(errors.SubmissionUnknownError) as caught:
        await call(mode, echo, "submit", ROWS)
    found = await call(mode, SutroJob, "find", caught.value.token, client=echo.client)
    if ending == "cancelled":
        found.cancel()
    with pytest.raises((errors.SutroJobFailedError, errors.SutroJobCancelledError)):
        found.wait()
    assert answers_of(await call(mode, echo, "batch", ROWS)) == ANSWERS
    assert len(deployment.jobs) == 2


async def test_equal_submissions_of_threads_and_event_loops_at_once_are_one_job(echo, deployment):
    deployment.faults.add("batch-inference", delay=0.3)
    deployment.faults.add("list-jobs", status=200, json={"jobs": []}, times=None)
    function = echo.model_copy(update={"reuse_jobs": timedelta(hours=1)})

    def loop_of_its_own():
        return asyncio.run(function.asubmit(ROWS))

    jobs = await asyncio.gather(
        *(asyncio.to_thread(function.submit, ROWS) for _ in range(3)),
        *(asyncio.to_thread(loop_of_its_own) for _ in range(2)),
        *(function.asubmit(ROWS) for _ in range(3)),
    )
    assert len({job.job_id for job in jobs}) == len(deployment.jobs) == 1
    assert [job.reused for job in jobs].count(False) == 1
