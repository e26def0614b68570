"""Jobs that a real agent starts: it reads their results, shows their progress, asks a human."""

import asyncio
import json
from types import SimpleNamespace

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import AgentMiddleware, HumanInTheLoopMiddleware
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.types import Command

from langchain_sutro.agents.job_toolkit import SutroJobToolkit
from langchain_sutro.functions import PROGRESS_EVENT
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
    if sync:
        # Away from the event loop of the test, on which no file would be read.
        return await asyncio.to_thread(agent.invoke, given, THREAD)
    return await agent.ainvoke(given, THREAD)


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


class TestADecisionBelongsToOneCallAndOneContent:
    """The same file name may stand for other rows by the next call, or before the job starts."""

    @pytest.fixture
    def leads(self, tmp_path):
        def write(rows):
            text = "".join(f"{n} seats,APAC\n" for n in range(rows))
            (tmp_path / "leads.csv").write_text(f"query,region\n{text}")

        return write

    @pytest.fixture
    def toolkit(self, qualify, tmp_path):
        return SutroJobToolkit(function=qualify, prefix="", root=tmp_path, max_rows=100)

    def agent(self, toolkit, starts=1, **limits):
        lines = [use("start_job", file="leads.csv")] * starts
        middleware = [asking(toolkit, **limits)]
        return agent_for(toolkit, *lines, middleware=middleware, checkpointer=InMemorySaver())

    def test_another_call_is_decided_anew(self, toolkit, leads, deployment):
        leads(3)
        line = use("start_job", file="leads.csv")
        middleware = [asking(toolkit, rows=10)]
        agent = agent_for(
            toolkit, line, done, line, middleware=middleware, checkpointer=InMemorySaver()
        )
        assert "__interrupt__" not in agent.invoke(ASKED, THREAD)
        leads(40)
        assert agent.invoke(ASKED, THREAD)["__interrupt__"]
        assert len(full_jobs(deployment)) == 1

    def test_also_one_without_an_id(self, toolkit, leads):
        when = toolkit.needs_approval(rows=10)
        request = SimpleNamespace(tool_call={"args": {"file": "leads.csv"}})
        for rows, asked in ((3, False), (40, True), (3, False)):
            leads(rows)
            assert [when(request), when(request)] == [asked, asked]

    def test_the_same_id_in_another_thread_is_another_call(self, toolkit, leads):
        when = toolkit.needs_approval(rows=10)
        asked = []

        def node(state):
            call = {"id": "call-1", "args": {"file": "leads.csv"}}
            asked.append(when(SimpleNamespace(tool_call=call)))

        graph = StateGraph(dict)
        graph.add_node("node", node)
        graph.add_edge(START, "node")
        for rows, thread in ((3, "a"), (40, "b"), (40, "a")):
            leads(rows)
            graph.compile().invoke({}, {"configurable": {"thread_id": thread}})
        assert asked == [False, True, False]

    @both_ways
    @pytest.mark.parametrize("limit", [1, 100], ids=["asked", "not asked"])
    async def test_other_rows_than_those_decided_on_are_not_started(
        self, toolkit, leads, deployment, limit, sync
    ):
        leads(3)
        agent = self.agent(toolkit, rows=limit)
        if limit == 1 or not sync:
            # On an event loop, a human is asked about every file.
            assert (await run(agent, ASKED, sync=sync))["__interrupt__"]
            await settled(toolkit)
            leads(40)
            state = await run(agent, decide("approve"), sync=sync)
        else:

            class Changes(AgentMiddleware):
                def wrap_tool_call(self, request, handler):
                    leads(40)
                    return handler(request)

            middleware = [asking(toolkit, rows=limit), Changes()]
            line = use("start_job", file="leads.csv")
            agent = agent_for(toolkit, line, middleware=middleware, checkpointer=InMemorySaver())
            state = await run(agent, ASKED, sync=sync)
        [said] = contents(state["messages"])
        assert "'leads.csv' is not as it was when this call was decided on" in said
        assert full_jobs(deployment) == []

    @both_ways
    async def test_the_rows_decided_on_are_started(self, toolkit, leads, deployment, sync):
        leads(3)
        agent = self.agent(toolkit, rows=1)
        assert (await run(agent, ASKED, sync=sync))["__interrupt__"]
        state = await run(agent, decide("approve"), sync=sync)
        assert json.loads(contents(state["messages"])[0])["rows"] == 3
        assert len(full_jobs(deployment)) == 1

    def test_a_file_that_could_not_be_read_is_not_started_when_it_can(
        self, toolkit, leads, deployment
    ):
        agent = self.agent(toolkit, rows=1)
        assert agent.invoke(ASKED, THREAD)["__interrupt__"]
        leads(3)
        state = agent.invoke(decide("approve"), THREAD)
        assert "not as it was" in contents(state["messages"])[0]
        assert full_jobs(deployment) == []

    def test_what_a_human_writes_instead_is_started(self, toolkit, leads, deployment):
        leads(3)
        ask = HumanInTheLoopMiddleware(
            {
                toolkit.start_tool: {
                    "allowed_decisions": ["edit"],
                    "when": toolkit.needs_approval(rows=1),
                }
            }
        )
        line = use("start_job", file="leads.csv")
        agent = agent_for(toolkit, line, middleware=[ask], checkpointer=InMemorySaver())
        agent.invoke(ASKED, THREAD)
        edited = {"name": toolkit.start_tool, "args": {"rows": LEADS[:1]}}
        decision = {"type": "edit", "edited_action": edited}
        agent.invoke(Command(resume={"decisions": [decision]}), THREAD)
        assert [job["num_rows"] for job in full_jobs(deployment)] == [1]


async def settled(toolkit):
    """The file was read in the background."""
    for content in list(toolkit._approvals._contents.values()):
        await asyncio.wrap_future(content)
