"""`one_job`: what `invoke` returns for each row, from one batch of each Function."""

import asyncio
from threading import Lock

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.runnables import (
    ConfigurableField,
    RouterRunnable,
    RunnableBranch,
    RunnableLambda,
    RunnableParallel,
    RunnablePassthrough,
)
from langchain_core.runnables.base import RunnableEach

from langchain_sutro import SutroAssign, SutroFunction, one_job


class RowError(Exception):
    """What a step raises for a row."""


class Step(RunnableLambda):
    """Stands in for a Function: counts its batches, and fails for some rows."""

    def __init__(self, name, fails=()):
        self.batches, self.lock = [], Lock()

        def run(row):
            if row["id"] in fails:
                raise RowError(name, row["id"])
            return {"id": row["id"], "seen": [*row.get("seen", []), name]}

        super().__init__(run, name=name)

    def batch(self, inputs, *args, **kwargs):
        with self.lock:
            self.batches.append(len(inputs))
        return super().batch(inputs, *args, **kwargs)

    async def abatch(self, inputs, *args, **kwargs):
        self.batches.append(len(inputs))
        return await super().abatch(inputs, *args, **kwargs)


ROWS = st.lists(st.integers(0, 5).map(lambda i: {"id": i}), max_size=8)
NAMES = iter(range(10**9))
STEPS = st.sets(st.integers(0, 5), max_size=2).map(lambda fails: Step(f"s{next(NAMES)}", fails))


def keeps_row(row):
    return {"id": row["id"], "seen": repr(row)}


def shapes(inner):
    """Trees whose output is a row again, so that they can be nested."""
    parallel = st.tuples(inner, inner).map(
        lambda two: (
            RunnableParallel(a=two[0], b=two[1])
            | RunnableLambda(lambda out: {"id": out["a"]["id"], "seen": [repr(out)]})
        )
    )
    return st.one_of(
        st.tuples(inner, inner).map(lambda two: two[0] | two[1]),
        parallel,
        inner.map(lambda one: RunnablePassthrough.assign(v=one)),
        inner.map(lambda one: SutroAssign(bound=one, key="w")),
        st.tuples(inner, inner).map(
            lambda two: RunnableBranch((lambda row: row["id"] % 2 == 0, two[0]), two[1])
        ),
        st.tuples(inner, inner).map(
            lambda two: (
                RunnableLambda(lambda row: {"key": "ab"[row["id"] % 2], "input": row})
                | RouterRunnable({"a": two[0], "b": two[1]})
            )
        ),
        st.tuples(inner, inner).map(lambda two: two[0].with_fallbacks([two[1]])),
        inner.map(lambda one: one.with_retry(stop_after_attempt=2, wait_exponential_jitter=False)),
        inner.map(lambda one: one.with_config(tags=["t"]).bind()),
        inner.map(
            lambda one: (
                RunnableLambda(lambda row: [row, row])
                | RunnableEach(bound=one)
                | RunnableLambda(lambda rows: rows[0])
            )
        ),
        st.tuples(inner, inner).map(
            lambda two: (
                two[0]
                .with_types()
                .configurable_alternatives(ConfigurableField(id="which"), other=two[1])
            )
        ),
    )


TREES = STEPS
for _ in range(4):
    TREES = st.one_of(STEPS, shapes(TREES))


def outcome(chain, row):
    try:
        return chain.invoke(row)
    except RowError as error:
        return error


def same(left, right):
    return [repr(one) for one in left] == [repr(one) for one in right]


@pytest.mark.parametrize("asynchronous", [False, True])
@given(tree=TREES, rows=ROWS)
def test_a_batch_is_what_invoke_returns_for_each_row(asynchronous, tree, rows):
    expected = [outcome(tree, row) for row in rows]
    chain = one_job(tree)

    def batch(**options):
        if asynchronous:
            return asyncio.run(chain.abatch(rows, **options))
        return chain.batch(rows, **options)

    assert same(batch(return_exceptions=True), expected)
    errors = [one for one in expected if isinstance(one, RowError)]
    if errors and not isinstance(tree, Step):
        with pytest.raises(RowError) as caught:
            batch()
        assert repr(caught.value) in map(repr, errors)
    elif not errors:
        assert same(batch(), expected)


def test_each_step_is_called_once_for_all_rows():
    one, two, three = Step("one"), Step("two"), Step("three")
    chain = one_job(
        RunnablePassthrough.assign(v=one)
        | RunnableBranch((lambda row: row["id"] % 2 == 0, RunnableParallel(a=two, b=two)), three)
    )
    chain.batch([{"id": i} for i in range(5)])
    assert (one.batches, two.batches, three.batches) == ([5], [3, 3], [2])


def test_a_real_function_makes_one_job_in_a_parallel(deployment):
    judge = SutroFunction("lead-qualifier", api_url=deployment.url, api_key=deployment.api_key)
    chain = one_job(RunnablePassthrough.assign(a=judge.bind(), b=RunnableLambda(str)))
    rows = [{"query": f"We need {n} seats by Friday", "region": "APAC"} for n in range(20)]
    assert len(chain.batch(rows)) == 20
    assert len(judge.client.list_jobs()) == 1
    assert [plan.one_job for plan in chain.plan()] == [True]


def test_the_plan_names_a_lambda_that_calls_a_function():
    judge = SutroFunction("lead-qualifier", api_key="k")

    def call(row):
        return judge.invoke(row)

    [plan] = one_job(RunnableLambda(call) | str).plan()
    assert not plan.one_job
    assert "once for each row" in plan.reason


def test_names_schemas_and_graph_are_those_of_the_chain():
    chain = RunnablePassthrough.assign(v=Step("one")) | {"a": Step("two"), "b": Step("three")}
    ours = one_job(chain)
    assert ours.get_name() == chain.get_name()
    assert ours.get_input_jsonschema() == chain.get_input_jsonschema()
    assert ours.get_output_jsonschema() == chain.get_output_jsonschema()
    assert ours.get_graph().draw_mermaid() == chain.get_graph().draw_mermaid()


def tree_of(recorder):
    runs = recorder.runs
    return sorted(
        (run["name"], runs[run["parent_run_id"]]["name"] if run.get("parent_run_id") else "")
        for run in runs.values()
    )


@pytest.mark.parametrize("shape", range(10))
def test_run_trees_are_those_of_langchains_own_batch(langsmith_recorder, shape):
    one, two = RunnableLambda(keeps_row, name="one"), RunnableLambda(keeps_row, name="two")
    chain = [
        lambda: one | two,
        lambda: RunnableParallel(a=one, b=two),
        lambda: RunnablePassthrough.assign(v=one),
        lambda: RunnableBranch((lambda row: row["id"] > 1, one), two),
        lambda: one | {"a": two, "b": one},
        one.with_retry,
        lambda: one.with_fallbacks([two]),
        lambda: RunnableLambda(lambda row: [row]) | RunnableEach(bound=one),
        lambda: RunnableLambda(lambda row: {"key": "a", "input": row}) | RouterRunnable({"a": one}),
        lambda: RunnablePassthrough.assign(v=RunnableParallel(a=one, b=two)) | two,
    ][shape]()
    rows = [{"id": i} for i in range(3)]
    chain.batch(rows)
    langsmith_recorder.wait()
    expected = tree_of(langsmith_recorder)
    langsmith_recorder.reset()
    one_job(chain).batch(rows)
    langsmith_recorder.wait()
    assert tree_of(langsmith_recorder) == expected
