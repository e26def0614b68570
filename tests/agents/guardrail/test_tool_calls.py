"""Tool calls are judged before any of them is executed."""

import json

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import AgentMiddleware, HumanInTheLoopMiddleware
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command, Send, interrupt

from langchain_sutro.errors import SutroServerError
from langchain_sutro.middleware import SutroGuardrail
from tests.agents.guardrail.scene import (
    ACTIONS,
    REFUSED,
    THREAD,
    Script,
    asked,
    both_ways,
    calls,
    check_calls,
    resume,
    texts,
)

BLOCKED = "This tool call was blocked by a guardrail and was not executed."


class Work:
    """An agent that sends notes, and what it has sent."""

    def __init__(self, safety, *lines, saver=True, middleware=(), tools=None, **options):
        self.sent = []

        @tool
        def send(note: str) -> str:
            """Send a note."""
            self.sent.append(note)
            return "sent"

        @tool
        def look(note: str) -> str:
            """Look at a note."""
            self.sent.append(f"looked at {note}")
            return "fine"

        self.model = Script(lines=[*lines, AIMessage("done")], seen=[])
        self.guardrail = SutroGuardrail(
            safety,
            **{
                "actions": ACTIONS,
                "fields": "text",
                "apply_to_input": False,
                "apply_to_tool_calls": True,
                **options,
            },
        )
        self.agent = create_agent(
            self.model,
            tools or [send, look],
            middleware=[*middleware, self.guardrail],
            checkpointer=InMemorySaver() if saver else None,
        )

    async def run(self, given=None, *, sync):
        given = {"messages": [("user", "hello")]} if given is None else given
        if sync:
            return self.agent.invoke(given, THREAD)
        return await self.agent.ainvoke(given, THREAD)


def several(**notes):
    return AIMessage(
        "",
        tool_calls=[
            {"name": "send", "args": {"note": note}, "id": call_id}
            for call_id, note in notes.items()
        ],
    )


def results(state):
    return {m.tool_call_id: m for m in state["messages"] if isinstance(m, ToolMessage)}


@both_ways
async def test_what_is_allowed_is_executed(safety, deployment, sync):
    work = Work(safety, calls("send", note="all is well"))
    state = await work.run(sync=sync)
    assert work.sent == ["all is well"]
    [decision] = state["sutro_decisions"]
    answer = state["messages"][1]
    assert (decision["apply_to"], decision["action"]) == ("tool_call", "allow")
    assert (decision["message_id"], decision["tool_call_id"]) == (answer.id, "call-1")
    assert [json.loads(one["input"]["text"]) for one in asked(deployment)] == [
        {"name": "send", "args": {"note": "all is well"}}
    ]


@both_ways
@pytest.mark.parametrize("action", ["block", "replace"])
async def test_what_is_blocked_is_an_error_that_the_model_reads(safety, deployment, action, sync):
    work = Work(safety, calls("send", note="unsafe"), actions={"safe": "allow", "unsafe": action})
    state = await work.run(sync=sync)
    assert work.sent == []
    result = results(state)["call-1"]
    assert (result.status, result.content, result.name) == ("error", BLOCKED, "send")
    assert texts(state)[-1] == "done"
    assert BLOCKED in str(work.model.seen[1])
    assert state["sutro_decisions"][0]["action"] == "block"
    assert len(asked(deployment)) == 1
    check_calls(state["messages"])


@both_ways
async def test_what_ends_the_run_executes_nothing(safety, deployment, sync):
    work = Work(safety, several(a="all is well", b="unsafe", c="rude"))
    state = await work.run(sync=sync)
    assert work.sent == []
    assert texts(state) == ["hello", REFUSED]
    assert len(work.model.seen) == 1
    assert len(asked(deployment)) == 3
    check_calls(state["messages"])
    # The thread goes on.
    work.model.lines = [work.model.lines[0], AIMessage("done")]
    state = await work.run({"messages": [("user", "go on")]}, sync=sync)
    assert texts(state)[-1] == "done"


@both_ways
async def test_parallel_calls_are_judged_each_on_its_own(safety, deployment, sync):
    work = Work(safety, several(a="all is well", b="rude", c="fine too", d="a rude one"))
    state = await work.run(sync=sync)
    assert sorted(work.sent) == ["all is well", "fine too"]
    assert {i: m.status for i, m in results(state).items()} == {
        "a": "success", "b": "error", "c": "success", "d": "error",
    }  # fmt: skip
    assert len(asked(deployment)) == 4
    check_calls(state["messages"])


@both_ways
async def test_only_the_named_tools_are_judged(safety, deployment, sync):
    both = several(a="rude")
    both.tool_calls.append(
        {"name": "look", "args": {"note": "rude"}, "id": "b", "type": "tool_call"}
    )
    work = Work(safety, both, apply_to_tool_calls=["send"])
    await work.run(sync=sync)
    assert work.sent == ["looked at rude"]
    assert len(asked(deployment)) == 1


class TestAHumanDecides:
    @both_ways
    async def test_before_anything_is_executed_and_once_for_all_calls(
        self, safety, deployment, sync
    ):
        work = Work(safety, several(a="odd", b="fine", c="odd too", d="odd three", e="rude"))
        [paused] = (await work.run(sync=sync))["__interrupt__"]
        assert work.sent == []
        assert [one["name"] for one in paused.value["action_requests"]] == ["send"] * 3
        assert [one["args"]["note"] for one in paused.value["action_requests"]] == [
            "odd", "odd too", "odd three",
        ]  # fmt: skip
        assert "a tool call" in paused.value["action_requests"][0]["description"]
        edited = {"type": "edit", "edited_action": {"name": "send", "args": {"note": "better"}}}
        decisions = [{"type": "approve"}, {"type": "reject", "message": "Not that."}, edited]
        state = await work.run(resume(*decisions), sync=sync)
        assert sorted(work.sent) == ["better", "fine", "odd"]
        found = results(state)
        assert (found["c"].content, found["c"].status) == ("Not that.", "error")
        assert found["e"].status == "error"
        assert state["messages"][1].tool_calls[3]["args"] == {"note": "better"}
        # What a human has written is not judged again, and neither is anything else.
        assert len(asked(deployment)) == 5
        assert len(work.model.seen) == 2
        check_calls(state["messages"])

    @both_ways
    @pytest.mark.parametrize(
        "wrong",
        [
            {"type": "reject", "message": 5},
            {"type": "edit", "edited_action": {"name": "look", "args": {"note": "x"}}},
            {"type": "edit", "edited_action": {"name": "send", "args": "x"}},
            {"type": "edit", "edited_action": {"args": {"text": "x"}}},
        ],
    )
    async def test_again_if_the_response_is_not_understood(self, safety, deployment, wrong, sync):
        work = Work(safety, calls("send", note="odd"))
        await work.run(sync=sync)
        state = await work.run(resume(wrong), sync=sync)
        assert "A decision must be" in str(state["__interrupt__"])
        await work.run(resume({"type": "approve"}), sync=sync)
        assert work.sent == ["odd"]
        assert len(asked(deployment)) == 1

    @both_ways
    async def test_edits_reach_the_providers_own_blocks(self, safety, sync):
        answer = calls("send", note="odd")
        answer.content = [
            {"type": "tool_use", "id": "call-1", "name": "send", "input": {"note": "odd"}}
        ]
        work = Work(safety, answer)
        await work.run(sync=sync)
        edited = {"type": "edit", "edited_action": {"name": "send", "args": {"note": "better"}}}
        state = await work.run(resume(edited), sync=sync)
        assert state["messages"][1].content[0]["input"] == {"note": "better"}
        assert work.sent == ["better"]


class TestNothingIsExecutedBeforeItsJudgement:
    @both_ways
    @pytest.mark.parametrize(
        ("note", "sent"), [("fine", ["fine"]), ("rude", []), ("unsafe", []), ("odd", ["odd"])]
    )
    async def test_a_call_that_a_caller_sends_to_the_tools(
        self, safety, deployment, note, sent, sync
    ):
        # LangGraph also starts the agent as usual, so that the model is called more than once.
        work = Work(safety, *[AIMessage("done")] * 3)
        call = {"name": "send", "args": {"note": note}, "id": "x", "type": "tool_call"}
        given = Command(
            goto=Send("tools", [call]),
            update={"messages": [HumanMessage("hello"), AIMessage("", tool_calls=[call])]},
        )
        state = await work.run(given, sync=sync)
        if note == "odd":
            assert work.sent == []
            [asked_for] = state["__interrupt__"]
            assert asked_for.value["action_requests"][0]["args"] == {"note": "odd"}
            state = await work.run(resume({"type": "approve"}), sync=sync)
        assert work.sent == sent
        assert len(asked(deployment)) == 1
        if note == "unsafe":
            assert texts(state)[-1] == REFUSED

    @both_ways
    async def test_a_call_that_another_middleware_changes_afterwards(
        self, safety, deployment, sync
    ):
        ask = HumanInTheLoopMiddleware({"send": {"allowed_decisions": ["edit"]}})
        work = Work(safety, calls("send", note="fine"), middleware=[ask])
        await work.run(sync=sync)
        edited = {"type": "edit", "edited_action": {"name": "send", "args": {"note": "rude"}}}
        state = await work.run(resume(edited), sync=sync)
        assert work.sent == []
        assert BLOCKED in results(state)["call-1"].content
        assert len(asked(deployment)) == 2

    @both_ways
    async def test_a_call_that_a_wrapper_changes(self, safety, sync):
        class Changes(AgentMiddleware):
            def changed(self, request):
                call = {**request.tool_call, "args": {"note": "rude"}}
                return request.override(tool_call=call)

            def wrap_tool_call(self, request, handler):
                return handler(self.changed(request))

            async def awrap_tool_call(self, request, handler):
                return await handler(self.changed(request))

        work = Work(safety, calls("send", note="fine"), middleware=[Changes()])
        await work.run(sync=sync)
        assert work.sent == []

    @both_ways
    async def test_a_tool_that_interrupts_is_judged_once(self, safety, deployment, sync):
        sent = []

        @tool
        def send(note: str) -> str:
            """Send a note."""
            sent.append(interrupt("really?"))
            return "sent"

        work = Work(safety, calls("send", note="fine"), tools=[send])
        assert (await work.run(sync=sync))["__interrupt__"]
        await work.run(Command(resume="yes"), sync=sync)
        assert sent == ["yes"]
        assert len(asked(deployment)) == 1

    @both_ways
    async def test_arguments_that_have_no_json_form_are_not_executed(self, safety, sync):
        deep = {}
        for _ in range(3000):
            deep = {"note": deep}
        work = Work(safety, calls("send", **deep), saver=False)
        state = await work.run(sync=sync)
        assert work.sent == []
        assert texts(state)[-1] == REFUSED


class TestErrors:
    @both_ways
    @pytest.mark.parametrize("on_error", ["end", "block", "allow"])
    async def test_a_judge_that_is_down(self, safety, deployment, on_error, sync):
        deployment.faults.add("functions/message-safety/run", status=503, times=9)
        work = Work(safety, calls("send", note="fine"), on_error=on_error)
        state = await work.run(sync=sync)
        assert work.sent == (["fine"] if on_error == "allow" else [])
        assert texts(state)[-1] == (REFUSED if on_error == "end" else "done")

    @both_ways
    async def test_or_the_run_fails_and_is_taken_up_later(self, safety, deployment, sync):
        deployment.faults.add("functions/message-safety/run", status=503)
        work = Work(safety, calls("send", note="fine"), on_error="raise")
        with pytest.raises(SutroServerError):
            await work.run(sync=sync)
        assert work.sent == []
        _ = work.agent.invoke(None, THREAD) if sync else await work.agent.ainvoke(None, THREAD)
        assert work.sent == ["fine"]
        assert len(work.model.seen) == 2


@both_ways
async def test_calls_and_output_and_input_and_results_by_one_guardrail(safety, deployment, sync):
    work = Work(
        safety,
        calls("send", "I will send it.", note="fine"),
        apply_to_input=True,
        apply_to_output=True,
        apply_to_tool_results=True,
    )
    state = await work.run(sync=sync)
    assert [one["apply_to"] for one in state["sutro_decisions"]] == [
        "input", "output", "tool_call", "tool_result", "output",
    ]  # fmt: skip
    assert len(asked(deployment)) == 5
    assert work.sent == ["fine"]
    # An answer that ends takes its calls along, whatever they are.
    work = Work(safety, calls("send", "unsafe", note="fine"), apply_to_output=True)
    assert texts(await work.run(sync=sync)) == ["hello", REFUSED]
    assert work.sent == []


@both_ways
async def test_a_callable_is_given_the_call(safety, deployment, sync):
    given = []

    def row(tool_call, message, state):
        given.append((tool_call["name"], message.text, len(state["messages"])))
        return {"text": tool_call["args"]["note"]}

    work = Work(safety, calls("send", "well", note="rude"), fields=row)
    await work.run(sync=sync)
    assert given == [("send", "well", 2)]
    assert asked(deployment)[0]["input"] == {"text": "rude"}
    assert work.sent == []
