"""Jobs that a real agent starts: it reads their results, shows their progress, asks a human."""

import asyncio
import json
from types import SimpleNamespace

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import HumanInTheLoopMiddleware
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from langchain_sutro.agents.job_toolkit import SutroJobToolkit
from langchain_sutro.functions.row_batch import PROGRESS_EVENT
from tests.support.job_tools import LEADS, both_ways, full_jobs


class Listener(BaseCallbackHandler):
    def __init__(self):
        self.heard = []

    def on_custom_event(self, name, data, **_):
        assert name == PROGRESS_EVENT
        self.heard.append(data["status"])


class Script(BaseChatModel):
    """Says what the next line of its script makes of the conversation."""

    lines: list
    said: int = 0

    @property
    def _llm_type(self):
        return "script"

    def bind_tools(self, tools, **kwargs):
        return self

    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        line = self.lines[self.said]
        self.said += 1
        return ChatResult(generations=[ChatGeneration(message=line(messages))])


def use(name, **arguments):
    """A line that calls a tool; `job_id` is taken from what an earlier one told."""

    def line(messages):
        known = [json.loads(m.content) for m in messages if m.type == "tool" and "{" in m.content]
        filled = {"job_id": known[-1]["job_id"]} if arguments.get("job_id") is ... else {}
        call = {"name": name, "args": {**arguments, **filled}, "id": f"call-{len(messages)}"}
        return AIMessage("", tool_calls=[call])

    return line


def done(messages):
    return AIMessage("done")


ASKED = {"messages": [("user", "Which of these leads are qualified?")]}
THREAD = {"configurable": {"thread_id": "t"}}


def agent_for(toolkit, *lines, **options):
    return create_agent(Script(lines=[*lines, done]), toolkit.get_tools(), **options)


@pytest.fixture
def toolkit(qualify):
    return SutroJobToolkit(function=qualify, prefix="", max_rows=3)


def contents(messages):
    return [m.content for m in messages if isinstance(m, ToolMessage)]


class TestInAgents:
    LIFE = (
        use("start_job", rows=LEADS + LEADS),
        use("start_job", rows=LEADS),
        use("job_status", job_id=..., wait_seconds=30),
        use("fetch_results", job_id=...),
    )

    @both_ways
    async def test_an_agent_mends_its_call_and_reads_the_results(self, toolkit, sync):
        agent = agent_for(toolkit, *self.LIFE)
        state = agent.invoke(ASKED) if sync else await agent.ainvoke(ASKED)
        said = contents(state["messages"])
        assert "1 to 3 rows" in said[0]
        assert [row["answer"] for row in json.loads(said[-1])["rows"]] == [
            "qualified", "not_qualified", "qualified",
        ]  # fmt: skip

    @both_ways
    async def test_callback_handlers_hear_of_progress(self, toolkit, sync):
        listener = Listener()
        agent = agent_for(toolkit, *self.LIFE)
        config = {"callbacks": [listener]}
        _ = agent.invoke(ASKED, config) if sync else await agent.ainvoke(ASKED, config)
        assert listener.heard[0] == "QUEUED"
        assert listener.heard[-1] == "SUCCEEDED"

    async def test_astream_events_has_the_progress(self, toolkit):
        agent = agent_for(toolkit, *self.LIFE)
        heard = [
            event["data"]["status"]
            async for event in agent.astream_events(ASKED, version="v2")
            if event["event"] == "on_custom_event" and event["name"] == PROGRESS_EVENT
        ]
        assert (heard[0], heard[-1]) == ("QUEUED", "SUCCEEDED")

    @both_ways
    async def test_langgraph_streams_the_progress(self, toolkit, sync):
        agent = agent_for(toolkit, *self.LIFE)
        if sync:
            parts = list(agent.stream(ASKED, stream_mode="custom"))
        else:
            parts = [part async for part in agent.astream(ASKED, stream_mode="custom")]
        heard = [part[PROGRESS_EVENT]["status"] for part in parts]
        assert (heard[0], heard[-1]) == ("QUEUED", "SUCCEEDED")


def asking(toolkit, **limits):
    """The middleware that lets a human decide about a job."""
    return HumanInTheLoopMiddleware(
        interrupt_on={
            toolkit.start_tool: {
                "allowed_decisions": ["approve", "reject"],
                "when": toolkit.needs_approval(**limits),
            }
        }
    )


async def run(agent, given, *, sync):
    return agent.invoke(given, THREAD) if sync else await agent.ainvoke(given, THREAD)


def decide(kind):
    return Command(resume={"decisions": [{"type": kind}]})


class TestAHumanIsAsked:
    @both_ways
    @pytest.mark.parametrize("decision", ["approve", "reject"])
    async def test_before_a_job_of_more_rows(self, toolkit, deployment, decision, sync):
        agent = agent_for(
            toolkit,
            use("start_job", rows=LEADS[:1]),
            use("start_job", rows=LEADS),
            middleware=[asking(toolkit, rows=2)],
            checkpointer=InMemorySaver(),
        )
        state = await run(agent, ASKED, sync=sync)
        assert state["__interrupt__"]
        assert len(full_jobs(deployment)) == 1
        state = await run(agent, decide(decision), sync=sync)
        assert state["messages"][-1].content == "done"
        assert len(full_jobs(deployment)) == (2 if decision == "approve" else 1)

    @pytest.mark.parametrize(("limit", "asked"), [(0.0, True), (5.0, False)])
    def test_before_a_job_of_more_cost(self, toolkit, deployment, limit, asked):
        agent = agent_for(
            toolkit,
            use("start_job", rows=LEADS),
            middleware=[asking(toolkit, cost=limit)],
            checkpointer=InMemorySaver(),
        )
        state = agent.invoke(ASKED, THREAD)
        assert bool(state.get("__interrupt__")) is asked
        if asked:
            assert full_jobs(deployment) == []
            agent.invoke(decide("approve"), THREAD)
        assert [job["run_type"] for job in deployment.jobs] == ["ESTIMATE", "FULL"]

    @pytest.mark.parametrize(("estimated", "limit", "asked"), [
        (False, 5.0, True), (True, 5.0, False), (True, 0.0, True),
    ])  # fmt: skip
    async def test_on_an_event_loop_about_costs_that_are_not_known(
        self, toolkit, deployment, estimated, limit, asked
    ):
        lines = [use("estimate_job", rows=LEADS)] * estimated
        agent = agent_for(
            toolkit,
            *lines,
            use("start_job", rows=LEADS),
            middleware=[asking(toolkit, cost=limit)],
            checkpointer=InMemorySaver(),
        )
        state = await agent.ainvoke(ASKED, THREAD)
        assert bool(state.get("__interrupt__")) is asked
        if asked:
            await agent.ainvoke(decide("reject"), THREAD)
        assert len(full_jobs(deployment)) == (not asked)

    async def test_about_files(self, unreachable, root):
        toolkit = SutroJobToolkit(function=unreachable, root=root)
        small, large = toolkit.needs_approval(rows=3), toolkit.needs_approval(rows=2)

        def asks(when, **arguments):
            return when(SimpleNamespace(tool_call={"args": arguments}))

        assert asks(small, file="leads.csv"), "a file is not read on an event loop"
        # What was decided stays decided, as resuming demands.
        assert await asyncio.to_thread(asks, small, file="leads.csv")
        assert not await asyncio.to_thread(asks, small, file="sub/leads.parquet")
        assert await asyncio.to_thread(asks, large, file="leads.csv")
        assert await asyncio.to_thread(asks, small, file="none.csv")
        assert not asks(small, rows=[{"query": 1}]), "the tool refuses it anyway"
        assert not asks(small, row=[])
