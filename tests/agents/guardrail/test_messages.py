"""What becomes of messages of every kind, from tools and among other middleware."""

from typing import Any

import pytest
from langchain.agents import AgentState, create_agent
from langchain.agents.middleware import AgentMiddleware, HumanInTheLoopMiddleware, hook_config
from langchain.agents.structured_output import ToolStrategy
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import Command
from pydantic import BaseModel

from langchain_sutro.middleware import SutroGuardrail
from tests.agents.guardrail.scene import (
    ACTIONS,
    REFUSED,
    REMOVED,
    THREAD,
    Scene,
    Script,
    asked,
    both_ways,
    calls,
    check_calls,
    edit,
    resume,
    texts,
)


class TestContent:
    async def test_the_text_of_content_blocks_is_judged(self, safety, deployment):
        image = {"type": "image", "url": "https://example.com/a.png"}
        blocks = [{"type": "text", "text": "a rude "}, image, {"type": "text", "text": "thing"}]
        scene = Scene("input", "", safety, on_unreadable="allow")
        state = await scene.run({"messages": [HumanMessage(blocks)]}, sync=True)
        assert state["messages"][0].content == REMOVED
        assert asked(deployment)[0]["input"] == {"text": "a rude thing"}

    async def test_what_has_no_text_is_not_judged_if_it_may_pass(self, safety, deployment):
        image = {"type": "image", "url": "https://example.com/a.png"}
        scene = Scene("input", "", safety, on_unreadable="allow")
        state = await scene.run({"messages": [HumanMessage([image])]}, sync=True)
        assert state["messages"][-1].text == "done"
        assert asked(deployment) == []
        scene = Scene("output", " ", safety, fields="text")
        await scene.run(sync=True)
        assert [one["input"]["text"] for one in asked(deployment)] == ["done"]

    async def test_an_answer_that_goes_on_keeps_what_its_provider_needs(self, safety):
        thinking = {"type": "thinking", "thinking": "hm", "signature": "s"}
        use = {"type": "tool_use", "id": "call-1", "name": "look", "input": {}}
        answer = calls("look")
        parts = [{"type": "text", "text": "a rude "}, {"type": "text", "text": "thing"}]
        answer.content = [thinking, *parts, use]
        scene = Scene("output", "", safety)
        scene.model.lines = [answer, AIMessage("done")]
        state = await scene.run(sync=True)
        replaced = {"type": "text", "text": REMOVED}
        assert state["messages"][1].content == [thinking, replaced, use]
        check_calls(state["messages"])

    async def test_an_answer_that_ends_keeps_nothing(self, safety):
        use = {"type": "tool_use", "id": "call-1", "name": "look", "input": {}}
        answer = calls("look")
        answer.content = [{"type": "text", "text": "an unsafe thing"}, use]
        scene = Scene("output", "", safety)
        scene.model.lines = [answer]
        state = await scene.run(sync=True)
        assert state["messages"][1].content == REFUSED
        check_calls(state["messages"])

    @both_ways
    async def test_a_callable_makes_the_row_of_message_and_state(self, safety, deployment, sync):
        given = []

        def row(state, message):
            given.append((message.text, len(state["messages"])))
            return {"text": f"{state['messages'][0].text} / {message.text}"}

        await Scene("tool_result", "all is well", safety, fields=row).run(sync=sync)
        assert given == [("all is well", 2)]
        assert asked(deployment)[0]["input"] == {"text": "hello / all is well"}

    async def test_a_callable_may_leave_messages_out(self, safety, deployment):
        scene = Scene("input", "an unsafe thing", safety, fields=lambda text: None)
        state = await scene.run(sync=True)
        assert texts(state) == ["an unsafe thing", "done"]
        assert state["sutro_decisions"] == []

    async def test_only_the_named_tools_are_judged(self, safety, deployment):
        for names, last in ((["look"], REFUSED), (["other"], "done")):
            scene = Scene("tool_result", "unsafe", safety, apply_to_tool_results=names)
            assert texts(await scene.run(sync=True))[-1] == last


class TestAmongOthers:
    class Verdict(BaseModel):
        """The answer."""

        text: str

    def structured(self, safety, deployment, label):
        said = calls("Verdict", call_id="v", text=f"an {label} thing")
        model = Script(lines=[said, AIMessage("never")], seen=[])
        guardrail = SutroGuardrail(
            safety,
            actions=ACTIONS,
            fields=lambda state: {"text": state["structured_response"].text},
            apply_to_input=False,
            apply_to_output=True,
        )
        return create_agent(
            model, middleware=[guardrail], response_format=ToolStrategy(self.Verdict)
        )

    @both_ways
    @pytest.mark.parametrize(("label", "last"), [("unsafe", REFUSED), ("rude", REMOVED)])
    async def test_a_structured_answer_goes_with_its_message(
        self, safety, deployment, label, last, sync
    ):
        agent = self.structured(safety, deployment, label)
        given = {"messages": [("user", "hello")]}
        state = agent.invoke(given) if sync else await agent.ainvoke(given)
        assert texts(state) == ["hello", last]
        assert state.get("structured_response") is None
        check_calls(state["messages"])

    async def test_a_structured_answer_that_is_allowed_stays(self, safety, deployment):
        state = self.structured(safety, deployment, "fine").invoke({"messages": [("user", "hi")]})
        assert state["structured_response"].text == "an fine thing"

    async def test_what_another_middleware_told_the_answers_calls_goes_with_them(self, safety):
        reject = HumanInTheLoopMiddleware({"look": {"allowed_decisions": ["reject"]}})
        scene = Scene("output", "an unsafe thing", safety, saver=InMemorySaver())
        guardrail = SutroGuardrail(
            safety, actions=ACTIONS, fields="text", apply_to_input=False, apply_to_output=True
        )
        # The last one sees an answer first, so that this order lets the human decide before.
        agent = create_agent(
            scene.model, scene.tools, middleware=[guardrail, reject], checkpointer=scene.saver
        )
        agent.invoke({"messages": [("user", "hello")]}, THREAD)
        state = agent.invoke(resume({"type": "reject"}), THREAD)
        assert texts(state) == ["hello", REFUSED]
        check_calls(state["messages"])

    async def test_put_last_it_ends_the_run_before_a_human_is_asked_about_tools(self, safety):
        ask = HumanInTheLoopMiddleware({"look": True})
        scene = Scene("output", "unsafe", safety, saver=InMemorySaver(), middleware=[ask])
        assert texts(await scene.run(sync=True)) == ["hello", REFUSED]

    async def test_put_last_it_ends_the_run_before_another_asks_the_model_again(self, safety):
        class Again(AgentMiddleware):
            @hook_config(can_jump_to=["model"])
            def after_model(self, state, runtime):
                return {"jump_to": "model"}

        scene = Scene("output", "unsafe", safety, middleware=[Again()])
        assert texts(await scene.run(sync=True)) == ["hello", REFUSED]
        assert len(scene.model.seen) == 1

    @both_ways
    async def test_several_guardrails_decide_one_after_the_other(self, safety, deployment, sync):
        first = SutroGuardrail(
            safety, actions=ACTIONS, fields="text", name="first", apply_to_tool_results=True
        )
        scene = Scene("tool_result", "a rude thing", safety, middleware=[first])
        state = await scene.run(sync=sync)
        decided = {
            (one["guardrail"], one["apply_to"]): one["answer"] for one in state["sutro_decisions"]
        }
        assert decided == {
            ("SutroGuardrail[message-safety]", "tool_result"): "rude",
            ("first", "tool_result"): "safe",
            ("first", "input"): "safe",
        }
        assert texts(state) == ["hello", "", REMOVED, "done"]
        assert len(asked(deployment)) == 3

    async def test_two_of_the_same_name_are_refused_by_langchain(self, safety):
        one = SutroGuardrail(safety, actions=ACTIONS, fields="text")
        scene = Scene("output", "", safety, middleware=[one])
        with pytest.raises(AssertionError, match="duplicate"):
            scene.agent()


class TestCommandsOfTools:
    def scene(self, function, result, **options):
        scene = Scene("tool_result", "", function, saver=InMemorySaver(), **options)

        @tool
        def look() -> Any:
            """Look."""
            scene.looked.append(1)
            return result()

        scene.tools = [look]
        return scene

    @both_ways
    @pytest.mark.parametrize("form", ["message", "dict"])
    async def test_the_message_in_a_command_is_judged(self, safety, form, sync):
        def result():
            message = ToolMessage("unsafe", tool_call_id="call-1")
            as_dict = {"role": "tool", "content": "unsafe", "tool_call_id": "call-1"}
            return Command(update={"messages": [message if form == "message" else as_dict]})

        state = await self.scene(safety, result).run(sync=sync)
        assert texts(state)[2:] == [REMOVED, REFUSED]

    async def test_a_human_decides_about_it_too(self, safety):
        def result():
            return Command(update={"messages": [ToolMessage("odd", tool_call_id="call-1")]})

        scene = self.scene(safety, result)
        assert "__interrupt__" in await scene.run(sync=True)
        state = await scene.run(resume(edit("fine")), sync=True)
        assert texts(state)[2:] == ["fine", "done"]
        assert scene.looked == [1]

    async def test_the_rest_of_a_command_stays(self, safety):
        class State(AgentState):
            mood: str

        def result():
            told = ToolMessage("rude", tool_call_id="call-1")
            return Command(update={"messages": [told, HumanMessage("aside")], "mood": "good"})

        scene = self.scene(safety, result)
        guardrail = SutroGuardrail(
            safety, actions=ACTIONS, fields="text", apply_to_tool_results=["look"]
        )
        agent = create_agent(scene.model, scene.tools, middleware=[guardrail], state_schema=State)
        state = agent.invoke({"messages": [("user", "hello")]})
        assert state["mood"] == "good"
        assert texts(state)[2:] == [REMOVED, "aside", "done"]

    async def test_an_artifact_goes_with_what_is_replaced(self, safety):
        def result():
            return ToolMessage("rude", artifact={"raw": "rude"}, tool_call_id="call-1")

        state = await self.scene(safety, result).run(sync=True)
        assert (state["messages"][2].text, state["messages"][2].artifact) == (REMOVED, None)

    @pytest.mark.parametrize("label", ["unsafe", "odd", "rude"])
    async def test_what_goes_to_another_agent_is_replaced(self, safety, label):
        def result():
            told = [AIMessage("", tool_calls=[{"name": "look", "args": {}, "id": "call-1"}])]
            told.append(ToolMessage(label, tool_call_id="call-1"))
            return Command(goto="other", graph=Command.PARENT, update={"messages": told})

        scene = self.scene(safety, result)
        scene.saver = None
        graph = StateGraph(MessagesState)
        graph.add_node("agent", scene.agent(), destinations=("other",))
        graph.add_node("other", lambda state: {"messages": [AIMessage("other")]})
        graph.add_edge(START, "agent")
        state = graph.compile().invoke({"messages": [("user", "hello")]})
        assert texts(state) == ["hello", "", REMOVED, "other"]
