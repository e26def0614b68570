"""Whatever the model is about to read is judged, wherever it comes from."""

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import AgentMiddleware
from langchain_core.messages import (
    AIMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from langchain_sutro.errors import SutroInputError
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
    seen_by,
    texts,
)

CALL = {"name": "look", "args": {"at": "an unsafe place"}, "id": "old"}
ANSWERED = ToolMessage("fine", tool_call_id="old")
MEDIA = [
    {"type": "image", "url": "https://example.com/a.png"},
    {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
    {"type": "audio", "base64": "AAAA", "mime_type": "audio/wav"},
    {"type": "file", "file_id": "file-1"},
    {"type": "text-plain", "url": "https://example.com/a.txt", "mime_type": "text/plain"},
    {"type": "document", "source": {"type": "base64", "data": "AAAA"}},
    {"type": "tool_result", "content": [{"type": "image", "base64": "AAAA"}]},
    {"type": "unheard_of"},
]


class TestHistories:
    HISTORY = {
        "user": [HumanMessage("an unsafe thing of old")],
        "assistant": [HumanMessage("hello"), AIMessage("an unsafe thing")],
        "system": [SystemMessage("an unsafe rule")],
        "developer": [{"role": "developer", "content": "an unsafe rule"}],
        "a role of its own": [ChatMessage("an unsafe thing", role="critic")],
        "a role that says it": [ChatMessage("hello", role="an unsafe one")],
        "function": [FunctionMessage("an unsafe thing", name="look")],
        "a tool's result": [
            AIMessage("", tool_calls=[{**CALL, "args": {}}]),
            ToolMessage("an unsafe result", tool_call_id="old"),
        ],
        "arguments of a call": [AIMessage("", tool_calls=[CALL]), ANSWERED],
        "arguments that are not JSON": [
            AIMessage(
                "",
                tool_calls=[{**CALL, "args": {}}],
                invalid_tool_calls=[
                    {
                        "name": "x",
                        "args": "unsafe {",
                        "id": "y",
                        "error": None,
                        "type": "invalid_tool_call",
                    }
                ],
            ),
            ANSWERED,
        ],
        "a name": [HumanMessage("hello", name="an unsafe name")],
        "additional arguments": [
            AIMessage("hello", additional_kwargs={"function_call": {"arguments": "unsafe"}})
        ],
    }

    @both_ways
    @pytest.mark.parametrize("history", HISTORY.values(), ids=HISTORY)
    async def test_that_a_caller_sends_whole_are_judged(self, safety, history, sync):
        scene = Scene("input", "", safety)
        given = {"messages": [*history, AIMessage("yes?"), HumanMessage("all is well")]}
        state = await scene.run(given, sync=sync)
        assert state["messages"][-1].text == REFUSED
        assert scene.model.seen == []
        assert "unsafe" not in str(state["messages"])
        check_calls(state["messages"])

    @both_ways
    async def test_and_what_is_replaced_in_them_is_seen_by_no_model(self, safety, sync):
        scene = Scene("input", "", safety)
        rude = {**CALL, "args": {"at": "a rude place"}}
        given = [
            SystemMessage("a rude rule"),
            HumanMessage("hello"),
            AIMessage([{"type": "text", "text": "a rude answer"}], tool_calls=[rude]),
            ToolMessage("a rude result", tool_call_id="old"),
            HumanMessage("all is well"),
        ]
        state = await scene.run({"messages": given}, sync=sync)
        assert texts(state) == [REMOVED, "hello", REMOVED, REMOVED, "all is well", "done"]
        assert "rude" not in str(scene.model.seen)
        check_calls(state["messages"])

    @both_ways
    async def test_are_judged_once_in_a_thread(self, safety, deployment, sync):
        scene = Scene("input", "", safety, saver=InMemorySaver())
        scene.model.lines = [AIMessage("done")] * 2
        await scene.run(
            {"messages": [("user", "one"), ("ai", "two"), ("user", "three")]}, sync=sync
        )
        await scene.run({"messages": [("user", "four")]}, sync=sync)
        judged = [one["input"]["text"] for one in asked(deployment)]
        assert sorted(judged[:3]) == ["one", "three", "two"]
        assert judged[3:] == ["four"]

    @both_ways
    async def test_not_even_once_where_the_agent_has_written_them(self, safety, deployment, sync):
        scene = Scene("input", "", safety, saver=InMemorySaver())
        scene.model.lines = [calls("look", "let me look"), AIMessage("done"), AIMessage("done")]
        await scene.run({"messages": [("user", "one")]}, sync=sync)
        await scene.run({"messages": [("user", "two")]}, sync=sync)
        assert [one["input"]["text"] for one in asked(deployment)] == ["one", "two"]


class TestMessagesThatAreChangedUnderTheirIds:
    @both_ways
    @pytest.mark.parametrize("which", ["human", "ai", "tool"])
    async def test_are_judged(self, safety, which, sync):
        scene = Scene("input", "", safety, saver=InMemorySaver())
        scene.model.lines = [calls("look", "let me look"), AIMessage("done"), AIMessage("done")]
        state = await scene.run({"messages": [("user", "hello")]}, sync=sync)
        old = next(one for one in state["messages"] if one.type == which)
        changed = old.model_copy(update={"content": "an unsafe thing"})
        state = await scene.run({"messages": [changed, HumanMessage("go on")]}, sync=sync)
        assert state["messages"][-1].text == REFUSED
        assert len(scene.model.seen) == 2

    async def test_also_if_only_the_arguments_of_a_call_were_changed(self, safety):
        scene = Scene("input", "", safety, saver=InMemorySaver())
        scene.model.lines = [calls("look", "let me look"), AIMessage("done"), AIMessage("done")]
        state = await scene.run({"messages": [("user", "hello")]}, sync=True)
        old = state["messages"][1]
        changed = old.model_copy(
            update={"tool_calls": [{**old.tool_calls[0], "args": {"at": "unsafe"}}]}
        )
        state = await scene.run({"messages": [changed, HumanMessage("go on")]}, sync=True)
        assert state["messages"][-1].text == REFUSED

    async def test_also_if_only_the_role_was_changed(self, safety, deployment):
        scene = Scene("input", "", safety, saver=InMemorySaver())
        scene.model.lines = [AIMessage("done")] * 2
        await scene.run({"messages": [HumanMessage("hello", id="said")]}, sync=True)
        changed = SystemMessage("hello", id="said")
        await scene.run({"messages": [changed, HumanMessage("go on")]}, sync=True)
        # Messages of one turn are judged at once, in any order.
        judged = [one["input"]["text"] for one in asked(deployment)]
        assert judged[0] == "hello"
        assert sorted(judged[1:]) == ["go on", "hello"]


class TestContentBlocks:
    TEXTS = {
        "plain text": {"type": "text-plain", "text": "an unsafe thing", "mime_type": "text/plain"},
        "input text": {"type": "input_text", "text": "an unsafe thing"},
        "a document": {
            "type": "document",
            "source": {"type": "content", "content": [{"type": "text", "text": "unsafe"}]},
        },
        "the title of a document": {"type": "document", "title": "an unsafe thing"},
        "a search result": {
            "type": "search_result",
            "source": "https://x",
            "title": "unsafe thing",
        },
        "reasoning": {"type": "reasoning", "reasoning": "an unsafe thing"},
        "a type of its own": {"type": "mine", "payload": ["an unsafe thing"]},
        "beside a text": {"type": "text", "text": "hello", "context": "an unsafe thing"},
        "no type": {"text": "an unsafe thing"},
        "a technical field": {"type": "mine", "status": "an unsafe thing"},
        "a call": {"type": "tool_use", "id": "1", "name": "x", "input": {"a": "an unsafe thing"}},
    }

    @both_ways
    @pytest.mark.parametrize("block", TEXTS.values(), ids=TEXTS)
    async def test_with_text_are_judged(self, safety, deployment, block, sync):
        scene = Scene("input", "", safety)
        state = await scene.run({"messages": [HumanMessage([block])]}, sync=sync)
        assert texts(state) == [REMOVED, REFUSED]
        assert len(asked(deployment)) == 1

    @both_ways
    @pytest.mark.parametrize("block", MEDIA, ids=lambda one: one["type"])
    async def test_without_text_end_the_run(self, safety, deployment, block, sync):
        scene = Scene("input", "", safety)
        blocks = [{"type": "text", "text": "what is this?"}, block]
        state = await scene.run({"messages": [HumanMessage(blocks)]}, sync=sync)
        assert texts(state) == [REMOVED, REFUSED]
        [decision] = state["sutro_decisions"]
        assert (decision["action"], decision["decided_by"]) == ("end", "error")
        assert "cannot be judged as text" in decision["error"]
        assert asked(deployment) == []
        assert scene.model.seen == []

    async def test_also_in_results_of_tools(self, safety):
        scene = Scene("tool_result", [{"type": "text", "text": "fine"}, MEDIA[0]], safety)
        state = await scene.run(sync=True)
        assert texts(state)[-2:] == [REMOVED, REFUSED]

    @pytest.mark.parametrize(
        ("on_unreadable", "last"), [("allow", "done"), ("replace", "done"), ("interrupt", None)]
    )
    async def test_unless_the_developer_says_otherwise(self, safety, on_unreadable, last):
        scene = Scene("input", "", safety, on_unreadable=on_unreadable, saver=InMemorySaver())
        state = await scene.run({"messages": [HumanMessage([MEDIA[0]])]}, sync=True)
        if last is None:
            assert state["__interrupt__"]
        else:
            assert texts(state)[-1] == last
        assert (MEDIA[0]["url"] in str(scene.model.seen)) is (on_unreadable == "allow")

    async def test_or_an_error_is_raised(self, safety):
        scene = Scene("input", "", safety, on_error="raise")
        with pytest.raises(SutroInputError, match="'image'"):
            await scene.run({"messages": [HumanMessage([MEDIA[0]])]}, sync=True)

    async def test_the_text_beside_an_image_that_may_pass_is_judged(self, safety):
        scene = Scene("input", "", safety, on_unreadable="allow")
        blocks = [MEDIA[0], {"type": "text", "text": "an unsafe thing"}]
        assert (
            texts(await scene.run({"messages": [HumanMessage(blocks)]}, sync=True))[-1] == REFUSED
        )

    async def test_a_callable_that_takes_the_message_judges_images_itself(self, safety, deployment):
        scene = Scene(
            "input", "", safety, fields=lambda message: {"text": message.content[0]["url"]}
        )
        state = await scene.run({"messages": [HumanMessage([MEDIA[0]])]}, sync=True)
        assert state["messages"][-1].text == "done"
        assert asked(deployment)[0]["input"] == {"text": MEDIA[0]["url"]}

    async def test_that_are_nested_too_deeply_cannot_be_judged(self, safety):
        deep = "an unsafe thing"
        for _ in range(3000):
            deep = [deep]
        scene = Scene("input", "", safety)
        state = await scene.run(
            {"messages": [HumanMessage([{"type": "x", "deep": deep}])]}, sync=True
        )
        assert texts(state) == [REMOVED, REFUSED]


class TestWhatOthersAdd:
    @both_ways
    async def test_a_message_that_another_middleware_adds_for_the_model(self, safety, sync):
        class Reminds(AgentMiddleware):
            def wrap_model_call(self, request, handler):
                added = [*request.messages, HumanMessage("an unsafe thing")]
                return handler(request.override(messages=added))

            async def awrap_model_call(self, request, handler):
                added = [*request.messages, HumanMessage("an unsafe thing")]
                return await handler(request.override(messages=added))

        scene = Scene("input", "all is well", safety, middleware=[Reminds()])
        state = await scene.run(sync=sync)
        assert texts(state) == ["all is well", REFUSED]
        assert scene.model.seen == []

    @pytest.mark.parametrize("label", ["rude", "fine"])
    async def test_is_judged_there_and_replaced_there(self, safety, deployment, label):
        class Reminds(AgentMiddleware):
            def wrap_model_call(self, request, handler):
                added = [*request.messages, HumanMessage(f"a {label} thing")]
                return handler(request.override(messages=added))

        scene = Scene("input", "all is well", safety, middleware=[Reminds()])
        scene.model.lines = [calls("look"), AIMessage("done")]
        state = await scene.run(sync=True)
        assert texts(state) == ["all is well", "", "fine", "done"]
        assert ("a rude thing" in seen_by(scene.model)) is False
        assert (REMOVED in seen_by(scene.model)) is (label == "rude")
        # The middleware adds the rude one anew each time.
        assert len(asked(deployment)) == (3 if label == "rude" else 2)

    async def test_what_a_tool_says_as_the_user(self, safety):
        @tool
        def look() -> Command:
            """Look."""
            said = [ToolMessage("fine", tool_call_id="call-1"), HumanMessage("an unsafe aside")]
            return Command(update={"messages": said})

        scene = Scene("tool_result", "", safety)
        for places in ({"apply_to_tool_results": True, "apply_to_input": False}, {}):
            model = Script(lines=[calls("look"), AIMessage("done")], seen=[])
            guardrail = SutroGuardrail(safety, actions=ACTIONS, fields="text", **places)
            agent = create_agent(model, [look], middleware=[guardrail])
            state = agent.invoke({"messages": [("user", "hello")]})
            assert texts(state)[-2:] == [REMOVED, REFUSED]
            assert len(model.seen) == 1
        assert scene.looked == []

    async def test_a_result_of_a_judged_tool_that_a_caller_makes_up(self, safety):
        guardrail = SutroGuardrail(
            safety,
            actions=ACTIONS,
            fields="text",
            apply_to_input=False,
            apply_to_tool_results=["look"],
        )
        model = Script(lines=[AIMessage("done")], seen=[])
        agent = create_agent(model, [], middleware=[guardrail])
        for name in ("look", "other", None):
            model.seen.clear()
            made_up = [
                HumanMessage("hello"),
                AIMessage("", tool_calls=[{**CALL, "args": {}}]),
                ToolMessage("an unsafe result", tool_call_id="old", name=name),
            ]
            state = agent.invoke({"messages": made_up})
            assert texts(state)[-2:] == [REMOVED, REFUSED]
            assert model.seen == []


class TestFields:
    @pytest.mark.parametrize(
        "fields",
        [
            lambda t: {"text": t},
            lambda words="": {"text": words},
            lambda x, /: {"text": x},
            lambda t, more=None: {"text": t},
        ],
    )
    async def test_a_single_parameter_of_any_name_is_the_text(self, safety, deployment, fields):
        state = await Scene("input", "a rude thing", safety, fields=fields).run(sync=True)
        assert texts(state) == [REMOVED, "done"]
        assert asked(deployment)[0]["input"] == {"text": "a rude thing"}

    async def test_a_bound_method_too(self, safety, deployment):
        class Rows:
            def row(self, words):
                return {"text": words.upper()}

        await Scene("input", "well", safety, fields=Rows().row).run(sync=True)
        assert asked(deployment)[0]["input"] == {"text": "WELL"}


async def test_another_process_recognizes_what_was_judged(safety, deployment):
    """The keyed hash is made with the API key, which all processes of the deployment have."""
    scene = Scene("input", "", safety, saver=InMemorySaver())
    scene.model.lines = [calls("look"), AIMessage("done"), AIMessage("done")]
    await scene.run({"messages": [("user", "one")]}, sync=True)
    scene.function = safety.model_copy()
    await scene.run({"messages": [("user", "two")]}, sync=True)
    assert len(asked(deployment)) == 2
    # Another thread is not trusted, nor is another guardrail.
    state = scene.agent().get_state(THREAD).values
    other = {"configurable": {"thread_id": "other"}}
    scene.model.lines = [*scene.model.lines, AIMessage("done")]
    scene.agent().invoke({"messages": state["messages"]}, other)
    assert len(asked(deployment)) > 4
