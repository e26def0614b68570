"""`one_job`: one job for each Function, whatever the shape; otherwise the pipeline as it is."""

import asyncio
import pickle
import threading

import pytest
from langchain_core.load import dumps, loads
from langchain_core.runnables import (
    ConfigurableField,
    RouterRunnable,
    Runnable,
    RunnableBranch,
    RunnableLambda,
    RunnableParallel,
    RunnablePassthrough,
)

from langchain_sutro import OneJob, SutroFunction, SutroRouter, one_job
from langchain_sutro.errors import SutroInputError, SutroRowError
from langchain_sutro.local import LocalDeployment

LEADS = [{"query": f"We need {n} seats by Friday", "region": "APAC"} for n in range(20)]


@pytest.fixture(scope="module")
def deployment():
    """One for all: each test counts the jobs of its own calls."""
    with LocalDeployment() as running:
        yield running


@pytest.fixture
def judge(deployment):
    return SutroFunction("lead-qualifier", api_url=deployment.url, api_key=deployment.api_key)


def passed(row):
    return row


RETRIED = RunnableLambda(passed).with_retry()


def chosen_router(judge):
    branches = {"qualified": judge, "not_qualified": judge}
    keep = RunnableLambda(lambda row: {key: row[key] for key in ("query", "region")})
    return SutroRouter(
        judge=judge.assign_as("verdict"),
        branches={answer: keep | branch for answer, branch in branches.items()},
    )


# The pipeline of a Function, and the number of jobs that a batch makes.
SHAPES = {
    "parallel": (lambda fn: RunnableParallel(a=fn, b=fn), 2),
    "assign": (lambda fn: RunnablePassthrough.assign(v=fn), 1),
    "dict in a sequence": (lambda fn: RunnablePassthrough() | {"v": fn}, 1),
    "branch": (lambda fn: RunnableBranch((lambda row: "1" in row["query"], fn), fn), 2),
    "router": (
        lambda fn: (
            RunnableLambda(lambda row: {"key": "a", "input": row}) | RouterRunnable({"a": fn})
        ),
        1,
    ),
    "lambda that returns it": (lambda fn: RunnableLambda(lambda row: fn), 1),
    "lambda that binds it": (
        lambda fn: RunnableLambda(lambda row: fn.with_config(tags=[row["query"]])),
        1,
    ),
    "lambda that makes a sequence": (
        lambda fn: RunnableLambda(lambda row: RunnableLambda(passed) | fn),
        1,
    ),
    "lambda that makes a parallel": (
        lambda fn: RunnableLambda(lambda row: RunnableParallel(a=lambda given: given, b=fn)),
        1,
    ),
    "lambda that makes a lambda": (
        lambda fn: RunnableLambda(lambda row: RunnableLambda(lambda again: {"a": fn} | RETRIED)),
        1,
    ),
    "lambda that retries it": (
        lambda fn: RunnableLambda(lambda row: fn.with_retry().with_fallbacks([fn])),
        1,
    ),
    "map": (lambda fn: RunnableLambda(lambda row: [row, row]) | fn.map(), 1),
    "map of a parallel": (
        lambda fn: RunnableLambda(lambda row: [row, row]) | RunnableParallel(a=fn).map(),
        1,
    ),
    "fallbacks in a parallel": (lambda fn: RunnableParallel(a=fn.with_fallbacks([fn])), 1),
    "retry in a parallel": (lambda fn: RunnableParallel(a=fn.with_retry()), 1),
    "chosen alternative": (
        lambda fn: fn.configurable_alternatives(
            ConfigurableField(id="which"), other=fn.bind()
        ).with_config(configurable={"which": "other"}),
        1,
    ),
    "configured field": (
        lambda fn: fn.configurable_fields(output=ConfigurableField(id="out")).with_config(
            configurable={"out": "answer"}
        ),
        1,
    ),
    "assign_as in a parallel": (lambda fn: RunnableParallel(a=fn.assign_as("v")), 1),
    "tool in a parallel": (
        lambda fn: RunnableParallel(
            a=fn.as_tool(description="Judges.", arg_types={"query": str, "region": str})
        ),
        1,
    ),
    "SutroRouter in a parallel": (lambda fn: RunnableParallel(a=chosen_router(fn)), 2),
}


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_batch_makes_one_job_for_each_place_of_the_function(judge, shape, asynchronous):
    make, jobs = SHAPES[shape]
    chain = make(judge)
    whole = one_job(chain)
    before = len(judge.client.list_jobs())
    outputs = asyncio.run(whole.abatch(LEADS)) if asynchronous else whole.batch(LEADS)
    assert len(outputs) == len(LEADS)
    # Rows of one answer alone leave a branch of the router without rows.
    assert len(judge.client.list_jobs()) - before == jobs
    plans = whole.plan()
    assert plans
    assert all(plan.one_job and plan.reason is None for plan in plans)


def test_langchains_own_batch_makes_no_job_of_these_shapes(judge):
    before = len(judge.client.list_jobs())
    RunnableParallel(a=judge).batch(LEADS[:3])
    assert len(judge.client.list_jobs()) == before


def test_rows_that_fail_in_a_step_are_not_passed_to_the_next(judge):
    def checked(row):
        if not row["query"]:
            raise ValueError("empty")
        return row

    chain = one_job(RunnablePassthrough.assign(v=RunnableLambda(checked) | judge))
    rows = [LEADS[0], {"query": "", "region": "APAC"}, LEADS[1]]
    outputs = chain.batch(rows, return_exceptions=True)
    assert [type(one) for one in outputs] == [dict, ValueError, dict]
    assert judge.client.fetch_job(newest(judge))["num_rows"] == 2
    with pytest.raises(ValueError, match="empty"):
        chain.batch(rows)


def newest(judge):
    return judge.client.list_jobs()[0]["job_id"]


def test_without_return_exceptions_no_later_step_is_paid_for_rows_after_the_first_error(judge):
    def checked(row):
        if "1" in row["query"]:
            raise ValueError(row["query"])
        return row

    chain = one_job(RunnableParallel(v=RunnableLambda(checked) | judge))
    with pytest.raises(ValueError, match="need 1 seats"):
        chain.batch(LEADS)
    assert judge.client.fetch_job(newest(judge))["num_rows"] == 1


def test_a_row_error_names_the_row_of_the_pipelines_batch(judge):
    careful = judge.model_copy(update={"args_schema": {"properties": {"query": {"minLength": 15}}}})
    short = {"query": "hm", "region": "APAC"}
    chain = one_job(RunnableParallel(a=RunnableLambda(passed) | careful))
    outputs = chain.batch([LEADS[0], short], return_exceptions=True)
    assert isinstance(outputs[1], SutroInputError)
    error = SutroRowError("Row 0 has no output.", job_id="job-1", row_index=0)

    class Fails(Runnable):
        def invoke(self, row, config=None, **_):
            raise error if row["id"] else KeyError

    outputs = one_job(RunnableParallel(a=Fails())).batch(
        [{"id": 0}, {"id": 1}], return_exceptions=True
    )
    assert outputs[1].row_index == 1


class Meets(Runnable):
    """A step whose batch ends when all of its kind have begun."""

    def __init__(self, barrier):
        self.barrier = barrier

    def invoke(self, row, config=None, **_):
        return row

    def batch(self, rows, config=None, **_):
        self.barrier.wait(10)
        return rows

    async def abatch(self, rows, config=None, **_):
        await self.barrier.wait()
        return rows


def test_independent_branches_run_side_by_side():
    barrier = threading.Barrier(2)
    chain = one_job(RunnableParallel(a=Meets(barrier), b=Meets(barrier)))
    assert chain.batch([1, 2]) == [{"a": 1, "b": 1}, {"a": 2, "b": 2}]


async def test_independent_branches_run_side_by_side_on_a_loop():
    barrier = asyncio.Barrier(2)
    chain = one_job(RunnableParallel(a=Meets(barrier), b=Meets(barrier)))
    async with asyncio.timeout(10):
        assert await chain.abatch([1, 2]) == [{"a": 1, "b": 1}, {"a": 2, "b": 2}]


def test_max_concurrency_limits_the_branches():
    entered, lock, most = [0], threading.Lock(), []

    class Counts(Runnable):
        def invoke(self, row, config=None, **_):
            return row

        def batch(self, rows, config=None, **_):
            with lock:
                entered[0] += 1
                most.append(entered[0])
            threading.Event().wait(0.01)
            with lock:
                entered[0] -= 1
            return rows

    chain = one_job(RunnableParallel(a=Counts(), b=Counts(), c=Counts(), d=Counts()))
    chain.batch([1, 2], {"max_concurrency": 2})
    chain.batch([1, 2], {"max_concurrency": 1})
    assert max(most) <= 2
    assert len(most) == 8


def test_ctrl_c_does_not_wait_for_other_branches(press_ctrl_c):
    going_on = threading.Event()

    class Blocks(Runnable):
        def invoke(self, row, config=None, **_):
            return row

        def batch(self, rows, config=None, **_):
            going_on.wait(60)
            return rows

    timer = threading.Timer(0.2, press_ctrl_c)
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        one_job(RunnableParallel(a=Blocks(), b=Blocks())).batch([1, 2])
    assert not going_on.is_set()
    going_on.set()
    timer.join()


async def test_a_cancelled_batch_cancels_its_branches():
    cancelled = []

    class Waits(Runnable):
        def invoke(self, row, config=None, **_):
            return row

        async def abatch(self, rows, config=None, **_):
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                cancelled.append(rows)
                raise

    task = asyncio.ensure_future(
        one_job(RunnableParallel(a=Waits(), b=Waits())).abatch([1, 2], return_exceptions=True)
    )
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert cancelled == [[1, 2], [1, 2]]


def test_everything_but_batches_is_the_pipelines_own(judge):
    chain = RunnablePassthrough.assign(v=judge) | RunnableLambda(lambda row: row["v"].answer)
    whole = one_job(chain)
    assert whole.invoke(LEADS[0]) == chain.invoke(LEADS[0])
    assert list(whole.stream(LEADS[0])) == list(chain.stream(LEADS[0]))
    assert whole.get_name() == chain.get_name()
    assert whole.get_input_jsonschema() == chain.get_input_jsonschema()
    assert whole.get_output_jsonschema() == chain.get_output_jsonschema()
    assert whole.get_graph().draw_mermaid() == chain.get_graph().draw_mermaid()
    assert whole.config_specs == chain.config_specs
    assert one_job(whole) is whole
    assert whole.batch([]) == []


def test_it_stays_one_job_where_langchain_wraps_it(judge):
    whole = one_job(RunnableParallel(a=judge))
    wrapped = [
        whole.with_config(tags=["t"]),
        whole.with_retry(),
        whole.with_types(),
        whole.with_listeners(on_start=lambda run: None),
        whole.bind(),
        RunnableLambda(passed) | whole | RunnableLambda(passed),
        one_job(RunnableParallel(inner=whole)),
    ]
    for chain in wrapped:
        before = len(judge.client.list_jobs())
        assert len(chain.batch(LEADS[:3])) == 3
        assert len(judge.client.list_jobs()) - before == 1
    before = len(judge.client.list_jobs())
    assert len(whole.map().invoke(LEADS[:3])) == 3
    assert len(judge.client.list_jobs()) - before == 1


def test_it_pickles_and_serialises():
    chain = one_job(RunnableParallel(a=SutroFunction("lead-qualifier", api_key="k")))
    again = pickle.loads(pickle.dumps(chain))
    assert isinstance(again, OneJob)
    assert again.plan() == chain.plan()
    loaded = loads(
        dumps(chain),
        allowed_objects=[OneJob, RunnableParallel, SutroFunction],
        valid_namespaces=["langchain_sutro"],
        secrets_map={"SUTRO_API_KEY": "k"},
    )
    assert isinstance(loaded, OneJob)
    assert loaded.plan() == chain.plan()


def test_the_plan_names_what_is_called_for_each_row():
    judge = SutroFunction("lead-qualifier", api_key="k")

    class Foreign(Runnable):
        def __init__(self, bound):
            self.bound = bound

        def invoke(self, row, config=None, **_):
            return self.bound.invoke(row, config)

    def call(row):
        return judge.invoke(row)

    [called, foreign, realtime, returned] = one_job(
        RunnableParallel(
            a=call,
            b=Foreign(judge),
            c=judge.model_copy(update={"batch_mode": "realtime"}),
            d=RunnableLambda(lambda row: judge),
        )
    ).plan()
    assert (called.one_job, called.reason) == (False, "call calls it once for each row")
    assert called.where == "RunnableParallel<a,b,c,d> > a > call"
    assert (foreign.one_job, foreign.reason) == (False, "Foreign calls it once for each row")
    assert (realtime.one_job, realtime.reason) == (False, 'its batch_mode is "realtime"')
    assert (returned.one_job, returned.reason) == (True, None)


def test_the_plan_looks_into_a_langgraph_graph():
    from langgraph.graph import START, StateGraph

    judge = SutroFunction("lead-qualifier", api_key="k")

    def node(state):
        return {"verdict": judge.invoke(state["row"])}

    graph = StateGraph(dict).add_node("judge", node).add_edge(START, "judge").compile()
    [plan] = one_job(graph | RunnableLambda(passed)).plan()
    assert not plan.one_job
    assert plan.function == "lead-qualifier"
    assert "once for each row" in plan.reason


def test_a_lambda_that_makes_a_runnable_for_each_row_is_called_as_ever():
    made = RunnableLambda(lambda row: RunnableLambda(lambda again: again + 1))
    assert one_job(made).batch(list(range(20))) == list(range(1, 21))


@pytest.mark.parametrize("asynchronous", [False, True])
def test_runnables_that_a_lambda_makes_are_taken_as_one_only_if_they_do_the_same(asynchronous):
    def made(row):
        kinds = [
            RunnableLambda(lambda given: given + row),
            RunnableLambda(passed, name=str(row)) | RunnableLambda(lambda given: given),
            RunnableParallel({str(row % 2): passed}),
            RunnablePassthrough() | RunnableLambda(lambda given, by=row: given * by),
            RunnableLambda(passed).with_config(tags=[str(row)]) | RunnablePassthrough(),
        ]
        return kinds[row % len(kinds)]

    chain, rows = RunnableLambda(made), list(range(40))
    whole = one_job(chain)
    outputs = asyncio.run(whole.abatch(rows)) if asynchronous else whole.batch(rows)
    assert outputs == [chain.invoke(row) for row in rows]
    assert names_of_steps(whole, [1, 6]) == names_of_steps(chain, [1, 6]) != []


def names_of_steps(chain, rows):
    """The names of the runs of the steps that were chosen, sorted since any row may end first."""
    runs = []
    chain.with_listeners(on_end=runs.append).batch(rows)
    return sorted(one.name for run in runs for made in run.child_runs for one in made.child_runs)


def test_the_plan_names_a_function_that_may_make_another_for_each_row():
    judge = SutroFunction("lead-qualifier", api_key="k")

    def closes(row):
        return RunnableLambda(lambda given: {**given, **row}) | judge

    def picks(row):
        return judge if all(value in row for value in row) else judge.bind()

    assert [one.reason for one in one_job(RunnableLambda(closes)).plan()] == [
        "closes may make a Runnable of its own for each row"
    ]
    assert all(one.one_job for one in one_job(RunnableLambda(picks)).plan())


def test_a_lambda_that_returns_itself_reaches_the_recursion_limit():
    endless = RunnableLambda(lambda row: endless)
    with pytest.raises(RecursionError):
        one_job(endless).batch([1, 2], {"recursion_limit": 3})


def test_async_and_generator_functions_work():
    async def later(row):
        await asyncio.sleep(0)
        return row + 1

    def parts(row):
        yield row
        yield row

    async def both():
        return await one_job(RunnableParallel(a=later, b=RunnableLambda(parts))).abatch([1, 2])

    assert asyncio.run(both()) == [{"a": 2, "b": 2}, {"a": 3, "b": 4}]
    with pytest.raises(TypeError, match="coroutine function synchronously"):
        one_job(RunnableLambda(later)).batch([1])
