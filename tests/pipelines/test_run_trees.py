"""The runs of a batch of `one_job` are those of LangChain's own batch, and LangSmith takes them."""

import asyncio
from collections import Counter

import pytest
from langchain_core.runnables import (
    ConfigurableField,
    RouterRunnable,
    RunnableBranch,
    RunnableLambda,
    RunnableParallel,
    RunnablePassthrough,
)
from langchain_core.runnables.base import RunnableEach

from langchain_sutro import SutroAssign, one_job

ROWS = [{"id": number} for number in range(3)]


def named(name):
    def run(row):
        return {"id": row["id"], name: True}

    return RunnableLambda(run, name=name)


def failing(name):
    def run(row):
        raise ValueError(name, row["id"])

    return RunnableLambda(run, name=name)


ONE, TWO = named("one"), named("two")
SHAPES = {
    "sequence": lambda: ONE | TWO,
    "parallel": lambda: RunnableParallel(a=ONE, b=TWO).with_config(run_name="both", tags=["t"]),
    "assign": lambda: RunnablePassthrough.assign(v=ONE).pick("v"),
    "branch": lambda: RunnableBranch((RunnableLambda(lambda row: row["id"] > 0), ONE), TWO),
    "dict in a sequence": lambda: ONE | {"a": TWO, "b": ONE} | RunnableLambda(str),
    "retry": lambda: ONE.with_retry() | TWO,
    "fallbacks": lambda: failing("bad").with_fallbacks([ONE]),
    "map": lambda: RunnableLambda(lambda row: [row, row]) | RunnableEach(bound=ONE),
    "router": lambda: (
        RunnableLambda(lambda row: {"key": "a", "input": row}) | RouterRunnable({"a": ONE})
    ),
    "lambda that returns one": lambda: RunnableLambda(lambda row: ONE, name="chooses"),
    "alternatives": lambda: (
        (ONE | TWO)
        .configurable_alternatives(ConfigurableField(id="which"), other=TWO)
        .with_config(configurable={"which": "other"}, metadata={"m": 1})
    ),
    "SutroAssign": lambda: SutroAssign(bound=ONE, key="v") | TWO,
    "nested": lambda: RunnablePassthrough.assign(v=RunnableParallel(a=ONE, b=ONE | TWO)) | TWO,
    "error": lambda: RunnablePassthrough.assign(v=ONE | failing("bad")) | TWO,
}
# What LangSmith's client adds, and what the position of a row decides.
IGNORED = ("revision_id", "LANGSMITH_", "LANGCHAIN_", "ls_")


def trees(recorder):
    """How often each run occurs: its names up to the root, tags, metadata, type and outputs."""
    recorder.wait()
    runs = recorder.runs
    found = Counter()
    for run in runs.values():
        path, parent = [run["name"]], run.get("parent_run_id")
        while parent:
            path.append(runs[parent]["name"])
            parent = runs[parent].get("parent_run_id")
        metadata = (run.get("extra") or {}).get("metadata") or {}
        kept = {key: value for key, value in metadata.items() if not key.startswith(IGNORED)}
        found[
            tuple(path),
            tuple(sorted(run.get("tags") or ())),
            repr(sorted(kept.items())),
            run["run_type"],
            repr(run.get("inputs")),
            repr(run.get("outputs")),
            (run.get("error") or "").partition("\n")[0],
        ] += 1
    return found


def batch(chain, asynchronous):
    options = {"config": {"tags": ["all"]}, "return_exceptions": True}
    if asynchronous:
        return asyncio.run(chain.abatch(ROWS, **options))
    return chain.batch(ROWS, **options)


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_runs_are_those_of_langchains_own_batch(langsmith_recorder, shape, asynchronous):
    chain = SHAPES[shape]()
    expected_outputs = batch(chain, asynchronous)
    expected = trees(langsmith_recorder)
    langsmith_recorder.reset()
    outputs = batch(one_job(chain), asynchronous)
    assert repr(outputs) == repr(expected_outputs)
    assert trees(langsmith_recorder) == expected
    assert sum(expected.values()) >= len(ROWS)
