"""Wherever the active trace's metadata and tags are set, they arrive, wherever the call is made."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import langsmith
import pytest
from langchain_core.runnables import RunnableLambda
from langgraph.graph import END, START, StateGraph
from langsmith import traceable, tracing_context
from langsmith._internal import _context
from langsmith.run_trees import RunTree
from langsmith.utils import ContextThreadPoolExecutor
from typing_extensions import TypedDict

from langchain_sutro import SutroEvaluator, SutroFunction, wait_for_job_traces
from langchain_sutro.local import LocalDeployment

LEAD = {"query": "We need 200 seats by Friday", "region": "APAC"}
FIELDS = {"query": "inputs.query", "region": "inputs.region"}
CONFIG = {"metadata": {"customer": "acme"}, "tags": ["nightly"]}

# What stands on a run without anybody's doing; all else is the user's, or a mistake.
OURS = {
    "ls_provider", "ls_model_name", "ls_message_view_exclude", "lc_versions", "usage_metadata",
    "sutro_function", "sutro_request_id", "sutro_job_id", "sutro_row_index", "sutro_confidence",
    "sutro_trace_rows", "sutro_langsmith_project", "sutro_rows_traced", "sutro_rows_total",
    "sutro_input_tokens", "sutro_output_tokens", "sutro_cost_usd", "sutro_usage_rows",
    "sutro_model", "sutro_model_source", "sutro_revision",
}  # fmt: skip
FRAMEWORKS = ("langgraph_", "checkpoint_", "LANGSMITH_", "LANGCHAIN_", "ls_", "__", "revision_id")


@pytest.fixture(scope="module")
def deployment():
    """One for all, since nothing here looks at what arrived there."""
    with LocalDeployment() as running:
        yield running


@contextmanager
def configured():
    langsmith.configure(metadata={"customer": "acme"}, tags=["nightly"])
    try:
        yield None
    finally:
        langsmith.configure(metadata=None, tags=None)
        _context._GLOBAL_METADATA, _context._GLOBAL_TAGS = None, None


@contextmanager
def explicit_config():
    yield CONFIG


@contextmanager
def configurable():
    yield {"configurable": {"customer": "acme"}, "tags": ["nightly"]}


@contextmanager
def in_trace():
    with langsmith.trace("outer", metadata={"customer": "acme"}, tags=["nightly"]):
        yield None


@contextmanager
def in_tracing_context():
    with tracing_context(metadata={"customer": "acme"}, tags=["nightly"]):
        yield None


@contextmanager
def distributed():
    there = RunTree(name="there", extra={"metadata": {"customer": "acme"}}, tags=["nightly"])
    there.post()
    with tracing_context(parent=there.to_headers()):
        yield None
    there.end()
    there.patch()


class State(TypedDict):
    done: bool


def in_graph(node):
    graph = StateGraph(State)
    graph.add_node("judge", node)
    graph.add_edge(START, "judge")
    graph.add_edge("judge", END)
    return graph.compile()


PLACES = {
    "config": explicit_config,
    "configurable": configurable,
    "trace": in_trace,
    "tracing_context": in_tracing_context,
    "configure": configured,
    "headers": distributed,
}
SOURCES = [*PLACES, "traceable", "runnable", "langgraph"]


def within(source, call):
    """Run a call where the source is active."""
    if source in PLACES:
        with PLACES[source]() as config:
            call(config)
    elif source == "traceable":
        traceable(lambda: call(None), name="outer", **CONFIG)()
    elif source == "runnable":
        RunnableLambda(lambda _: call(None)).invoke(1, CONFIG)
    else:
        in_graph(lambda _: call(None) or {"done": True}).invoke({"done": False}, CONFIG)


async def awithin(source, call):
    """`within`, for a coroutine function."""
    if source in PLACES:
        with PLACES[source]() as config:
            await call(config)
    elif source == "traceable":
        # A lambda would not be taken for a coroutine function.
        async def outer():
            await call(None)

        await traceable(outer, name="outer", **CONFIG)()
    else:

        async def node(_):
            await call(None)
            return {"done": True}

        runnable = RunnableLambda(node) if source == "runnable" else in_graph(node)
        await runnable.ainvoke({"done": False}, CONFIG)


def make_sync(qualify, how):
    if how == "invoke":
        return lambda config: qualify.invoke(LEAD, config) and None
    if how == "batch":
        return lambda config: qualify.batch([LEAD, LEAD], config) and None
    if how == "submit":
        return lambda config: qualify.submit([LEAD], config).results() and None
    if how == "evaluator":
        judge = SutroEvaluator(qualify, key="verdict", fields=FIELDS)
        return lambda _: judge(inputs=LEAD, outputs={}) and None
    tool = qualify.as_tool(arg_types={"query": str, "region": str}, description="x")
    if how == "tool_batch":
        return lambda config: tool.batch([LEAD, LEAD], config) and None
    return lambda config: tool.invoke(LEAD, config) and None


def make_async(qualify, how):
    tool = qualify.as_tool(arg_types={"query": str, "region": str}, description="x")
    judge = SutroEvaluator(qualify, key="verdict", fields=FIELDS)

    async def call(config):
        if how == "invoke":
            await qualify.ainvoke(LEAD, config)
        elif how == "batch":
            await qualify.abatch([LEAD, LEAD], config)
        elif how == "submit":
            await (await qualify.asubmit([LEAD], config)).aresults()
        elif how == "evaluator":
            await judge.acall(inputs=LEAD, outputs={})
        elif how == "tool_batch":
            await tool.abatch([LEAD, LEAD], config)
        else:
            await tool.ainvoke(LEAD, config)

    return call


HOWS = ["invoke", "batch", "submit", "tool", "tool_batch", "evaluator"]
CELLS = [
    (source, how)
    for source in SOURCES
    for how in HOWS
    # An evaluator is called by LangSmith or by name, and takes no config.
    if how != "evaluator" or source not in ("config", "configurable")
]


@pytest.mark.parametrize("way", ["sync", "thread", "async", "task"])
@pytest.mark.parametrize(("source", "how"), CELLS)
def test_the_active_trace_context_arrives(deployment, langsmith_recorder, source, how, way):
    qualify = SutroFunction("lead-qualifier", api_url=deployment.url, api_key=deployment.api_key)
    if way in ("sync", "thread"):
        call = make_sync(qualify, how)
        if way == "thread":
            inner = call

            def call(config):
                # With an explicit config a plain thread will do.
                pool = ThreadPoolExecutor if config is not None else ContextThreadPoolExecutor
                with pool(1) as threads:
                    threads.submit(inner, config).result()

        within(source, call)
    else:
        acall = make_async(qualify, how)
        if way == "task":
            direct = acall

            async def acall(config):
                await asyncio.create_task(direct(config))

        asyncio.run(awithin(source, acall))
    assert wait_for_job_traces(30)
    langsmith_recorder.wait()
    ours = [
        run
        for run in langsmith_recorder.ordered()
        if run["run_type"] == ("chain" if how == "submit" else "llm")
        and run["name"] in ("lead-qualifier", "verdict", "Sutro batch lead-qualifier")
    ]
    assert len(ours) == (2 if "batch" in how else 1)
    for run in ours:
        metadata = run["extra"]["metadata"]
        theirs = {
            key: value
            for key, value in metadata.items()
            if key not in OURS and not key.startswith(FRAMEWORKS)
        }
        assert theirs == {"customer": "acme"}
        assert [tag for tag in run["tags"] if not tag.startswith(("graph:", "seq:"))] == ["nightly"]
