"""`gathered`: single calls that are in flight at the same time become rows of one job."""

import asyncio
import copy
import logging
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor

import langsmith
import pytest
from langchain_core.runnables import RunnableLambda, RunnableParallel

from langchain_sutro import SutroFunction, SutroGatheredFunction, one_job
from langchain_sutro.errors import SutroError, SutroInputError, SutroRowError
from langchain_sutro.local import LocalDeployment
from tests.support.calls import auntil

LEADS = [{"query": f"We need {n} seats by Friday", "region": "APAC"} for n in range(20)]
RULES = {"quiet": 0.3}


@pytest.fixture(scope="module")
def deployment():
    """One for all: each test counts the jobs of its own calls."""
    with LocalDeployment() as running:
        running.publish("fails", fails)
        yield running


def fails(text: str) -> str:
    """Fail for some rows."""
    if text == "bad":
        raise ValueError("bad row")
    return text


@pytest.fixture
def judge(deployment):
    return SutroFunction(
        "lead-qualifier", api_url=deployment.url, api_key=deployment.api_key, poll_interval=0.1
    )


@pytest.fixture
def jobs(judge):
    before = len(judge.client.list_jobs())
    return lambda: len(judge.client.list_jobs()) - before


async def test_calls_on_a_loop_become_one_job(judge, jobs):
    gathered = judge.gathered(**RULES)
    results = await asyncio.gather(*(gathered.ainvoke(lead) for lead in LEADS))
    assert [one.answer for one in results] == ["qualified"] * len(LEADS)
    assert jobs() == 1
    assert await gathered.abatch(LEADS[:3])
    assert jobs() == 2


def test_calls_in_threads_become_one_job(judge, jobs):
    gathered = judge.gathered(**RULES)
    with ThreadPoolExecutor(len(LEADS)) as pool:
        results = list(pool.map(gathered.invoke, LEADS))
    assert [one.answer for one in results] == ["qualified"] * len(LEADS)
    assert jobs() == 1
    wait_for_threads()


def wait_for_threads():
    for thread in threading.enumerate():
        if thread.name == "sutro-gathered-job":
            thread.join(10)
            assert not thread.is_alive()


async def test_a_graph_and_a_lambda_make_one_job(judge, jobs):
    from langgraph.graph import START, StateGraph

    gathered = judge.gathered(**RULES)

    async def node(state):
        return {"verdict": (await gathered.ainvoke(state["lead"])).answer}

    graph = StateGraph(dict).add_node("judge", node).add_edge(START, "judge").compile()
    outputs = await graph.abatch([{"lead": lead} for lead in LEADS])
    assert [one["verdict"] for one in outputs] == ["qualified"] * len(LEADS)
    assert jobs() == 1

    async def call(lead):
        return (await gathered.ainvoke(lead)).answer

    outputs = await RunnableParallel(a=RunnableLambda(call)).abatch(LEADS)
    assert outputs == [{"a": "qualified"}] * len(LEADS)
    assert jobs() == 2


@pytest.mark.slow
async def test_a_thousand_calls_through_a_graph_are_one_job_or_two(judge, jobs):
    from langgraph.graph import START, StateGraph

    gathered = judge.gathered()

    async def node(state):
        return {"verdict": (await gathered.ainvoke(state["lead"])).answer}

    graph = StateGraph(dict).add_node("judge", node).add_edge(START, "judge").compile()
    states = [{"lead": LEADS[number % 20]} for number in range(1000)]
    outputs = await asyncio.gather(*(graph.ainvoke(state) for state in states))
    assert len(outputs) == 1000
    assert jobs() <= 2


async def test_each_call_keeps_its_result_or_error(deployment):
    echo = SutroFunction("fails", api_url=deployment.url, api_key=deployment.api_key)
    gathered = echo.gathered(**RULES)
    words = ["a", "bad", "b", "c", "bad", "d"]
    outcomes = await asyncio.gather(
        *(gathered.ainvoke({"text": word}) for word in words),
        gathered.ainvoke({"text": object()}),
        return_exceptions=True,
    )
    for place, (word, outcome) in enumerate(zip(words, outcomes, strict=False)):
        if word == "bad":
            assert isinstance(outcome, SutroRowError)
            assert outcome.row_index == place
        else:
            assert outcome.answer == word
    assert isinstance(outcomes[-1], SutroInputError)
    assert len(echo.client.list_jobs()) >= 1


@pytest.mark.parametrize("mode", ["loop", "threads"])
def test_an_error_of_the_job_reaches_every_caller_with_its_row(judge, mode):
    missing = judge.model_copy(update={"function": "not-published"}).gathered(**RULES)
    if mode == "loop":

        async def main():
            calls = (missing.ainvoke(lead) for lead in LEADS[:3])
            return await asyncio.gather(*calls, return_exceptions=True)

        errors = asyncio.run(main())
    else:
        with ThreadPoolExecutor(3) as pool:
            errors = [
                future.exception()
                for future in [pool.submit(missing.invoke, lead) for lead in LEADS[:3]]
            ]
    assert len({id(error) for error in errors}) == 3
    assert all(isinstance(error, SutroError) for error in errors)
    notes = {error.__notes__[-1] for error in errors}
    assert notes == {
        f"This call was row {row} of the 3 that were gathered into one job." for row in range(3)
    }


async def test_different_settings_never_share_a_job(judge, jobs):
    one, two = judge.gathered(**RULES), judge.gathered(**RULES)
    three = one.model_copy(update={"job_priority": 1})
    await asyncio.gather(*(fn.ainvoke(LEADS[0]) for fn in (one, two, three)))
    assert jobs() == 3


async def test_a_cancelled_call_leaves_the_others_alone(judge, jobs):
    gathered = judge.gathered(**RULES)
    calls = [asyncio.ensure_future(gathered.ainvoke(lead)) for lead in LEADS[:3]]
    await asyncio.sleep(0.05)
    calls[0].cancel()
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert isinstance(outcomes[0], asyncio.CancelledError)
    assert [one.answer for one in outcomes[1:]] == ["qualified"] * 2
    assert jobs() == 1
    newest = judge.client.list_jobs()[0]["job_id"]
    assert judge.client.fetch_job(newest)["num_rows"] == 2


@pytest.mark.parametrize("on_interrupt", ["detach", "cancel"])
async def test_the_job_of_calls_that_were_all_cancelled(deployment, on_interrupt, caplog):
    going_on = threading.Event()

    def waits(text: str) -> str:
        going_on.wait(20)
        return text

    name = f"waits-{on_interrupt}"
    deployment.publish(name, waits)
    slow = SutroFunction(
        name,
        api_url=deployment.url,
        api_key=deployment.api_key,
        on_interrupt=on_interrupt,
        poll_interval=0.1,
    )
    known = {job["job_id"] for job in slow.client.list_jobs()}
    gathered = slow.gathered(quiet=0.05)
    calls = [asyncio.ensure_future(gathered.ainvoke({"text": "a"})) for _ in range(2)]
    new = set()
    while not new:
        await asyncio.sleep(0.05)
        new = {job["job_id"] for job in await slow.client.alist_jobs()} - known
    [job_id] = new
    await auntil(lambda: any(job_id in request.path for request in list(deployment.requests)))
    for call in calls:
        call.cancel()
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert all(isinstance(one, asyncio.CancelledError) for one in outcomes)
    assert job_id in caplog.text
    going_on.set()
    status = str(await slow.client.aget_job_status(job_id))
    if on_interrupt == "cancel":
        assert "CANCEL" in status
    else:
        assert "CANCEL" not in status


def test_ctrl_c_ends_the_wait_of_a_single_thread(deployment, press_ctrl_c):
    going_on = threading.Event()

    def waits(text: str) -> str:
        going_on.wait(20)
        return text

    deployment.publish("waits-sync", waits)
    slow = SutroFunction(
        "waits-sync", api_url=deployment.url, api_key=deployment.api_key, poll_interval=0.1
    )
    timer = threading.Timer(1.0, press_ctrl_c)
    timer.start()
    with pytest.raises(KeyboardInterrupt) as interrupt:
        slow.gathered(quiet=0.0).invoke({"text": "a"})
    assert "continues" in interrupt.value.__notes__[0]
    going_on.set()
    wait_for_threads()


async def test_each_call_has_its_own_run_and_trace_context(judge, langsmith_recorder):
    gathered = judge.gathered(**RULES)

    async def call(number):
        with langsmith.tracing_context(metadata={"number": number}):
            return await gathered.ainvoke(LEADS[number], {"tags": [f"t{number}"]})

    await asyncio.gather(*map(call, range(3)))
    await asyncio.to_thread(langsmith_recorder.wait)
    found = {}
    for run in langsmith_recorder.runs.values():
        metadata = run["extra"]["metadata"]
        found[metadata["number"]] = (
            run["inputs"]["query"],
            f"t{metadata['number']}" in run["tags"],
            metadata["sutro_row_index"],
        )
    assert found == {n: (LEADS[n]["query"], True, n) for n in range(3)}


def test_it_copies_and_pickles(judge):
    gathered = judge.gathered(quiet=0.05, max_rows=5, max_wait=1.0)
    for again in (
        pickle.loads(pickle.dumps(gathered)),
        copy.deepcopy(gathered),
        gathered.model_copy(),
        gathered.gathered(quiet=0.05, max_rows=5, max_wait=1.0),
    ):
        assert isinstance(again, SutroGatheredFunction)
        assert (again.quiet, again.max_rows, again.max_wait) == (0.05, 5, 1.0)
    again = gathered.model_copy()
    assert again.invoke(LEADS[0]).answer == "qualified"


def test_arguments_are_checked_as_ever(judge):
    with pytest.raises(TypeError, match="does not accept temperature"):
        judge.gathered().invoke(LEADS[0], temperature=1)
    with pytest.raises(ValueError, match="max_rows"):
        judge.gathered(max_rows=0)


def test_the_plan_says_that_calls_are_gathered(judge):
    gathered = judge.gathered()

    def call(row):
        return gathered.invoke(row)

    [plan] = one_job(RunnableLambda(call)).plan()
    assert not plan.one_job
    assert plan.reason == "call calls it once for each row, and its calls are gathered"


def test_a_gathered_function_logs_nothing_by_default(judge, caplog):
    caplog.set_level(logging.WARNING)
    judge.gathered(**RULES).invoke(LEADS[0])
    assert not caplog.records


def test_one_warning_says_that_threads_limit_the_rows_of_a_job(judge, caplog):
    caplog.set_level(logging.WARNING)
    gathered = judge.gathered(quiet=30, max_rows=3)
    RunnableLambda(gathered.invoke).batch(LEADS[:18], {"max_concurrency": 3})
    [record] = caplog.records
    assert "has 3 rows, while a batch of" in record.getMessage()
    assert "max_concurrency" in record.getMessage()
