"""A Function as an agent's guardrail: what passes, what is replaced, what ends, who is asked."""

import json
import logging
import subprocess
import sys
from typing import Any

import pytest
from langchain.agents import AgentState, create_agent
from langchain.agents.middleware import AgentMiddleware, HumanInTheLoopMiddleware, hook_config
from langchain.agents.structured_output import ToolStrategy
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, HumanMessage, RemoveMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import Command
from pydantic import BaseModel

from langchain_sutro import SutroFunction
from langchain_sutro.errors import SutroConfigurationError, SutroNotFoundError, SutroServerError
from langchain_sutro.local import Answer
from langchain_sutro.middleware import SutroGuardrail
from tests.test_never_blocks import guard

TEXT = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}
LABEL = {
    "type": "object",
    "properties": {"label": {"type": "string"}, "rationale": {"type": "string"}},
}
PROMPT = "You are a secret prompt."
ACTIONS = {"safe": "allow", "unsafe": "end", "rude": "replace", "odd": "interrupt"}
REMOVED = "[Removed by a guardrail.]"
REFUSED = "I cannot help with that."
PLACES = {"input": "apply_to_input", "output": "apply_to_output", "tool_result": True}
THREAD = {"configurable": {"thread_id": "t"}}


def judge(row):
    """Answers with the first label that the text has, sure of it unless it says how sure."""
    text = row["text"]
    label = next((one for one in ("unsafe", "rude", "odd", "new") if one in text), "safe")
    sure = None if "unscored" in text else 0.4 if "perhaps" in text else 0.95
    return Answer(label, confidence=sure, rationale=f"It reads {label}.")


@pytest.fixture
def safety(deployment):
    deployment.publish(
        "message-safety", judge, input_schema=TEXT, output_schema=LABEL, prompt=PROMPT
    )
    return SutroFunction(
        "message-safety", api_url=deployment.url, api_key=deployment.api_key, max_retries=0
    )


class Script(BaseChatModel):
    """Says its lines, one after the other, and remembers what it was given."""

    lines: list
    seen: list = []

    @property
    def _llm_type(self):
        return "script"

    def bind_tools(self, tools, **kwargs):
        return self

    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        self.seen.append(messages)
        line = self.lines[len(self.seen) - 1]
        if isinstance(line, Exception):
            raise line
        return ChatResult(generations=[ChatGeneration(message=line.model_copy())])


def calls(name, said="", call_id="call-1", **args):
    return AIMessage(said, tool_calls=[{"name": name, "args": args, "id": call_id}])


def but_the_last(text):
    return None if text == "done" else {"text": text}


class Scene:
    """An agent in which one text stands at one place, and what its parts were given."""

    def __init__(self, place, text, function, *, saver=None, middleware=(), **options):
        self.place, self.text, self.saver = place, text, saver
        self.looked = []

        @tool
        def look() -> str:
            """Look."""
            self.looked.append(text)
            return text if place == "tool_result" else "fine"

        self.said = text if place == "input" else "hello"
        answers = {
            "input": [AIMessage("done")],
            "output": [calls("look", text), AIMessage("done")],
            "tool_result": [calls("look"), AIMessage("done")],
        }
        self.model = Script(lines=answers[place], seen=[])
        self.tools = [look]
        self.function = function
        fields = but_the_last if place == "output" else "text"
        self.options = {"actions": ACTIONS, "fields": fields, **options}
        self.middleware = middleware

    def agent(self):
        """The agent, as another process would make it anew."""
        places = {
            "apply_to_input": self.place == "input",
            "apply_to_output": self.place == "output",
            "apply_to_tool_results": self.place == "tool_result",
        }
        guardrail = SutroGuardrail(self.function, **{**places, **self.options})
        return create_agent(
            self.model,
            self.tools,
            middleware=[*self.middleware, guardrail],
            checkpointer=self.saver,
        )

    async def run(self, given=None, *, sync):
        given = {"messages": [HumanMessage(self.said, id="said")]} if given is None else given
        agent = self.agent()
        config = THREAD if self.saver else None
        if sync:
            return agent.invoke(given, config)
        return await agent.ainvoke(given, config)


def asked(deployment):
    """What the Function was asked."""
    return [one.body for one in deployment.requests if one.path.endswith("/run")]


def at(place, state):
    """The message at the place of a state."""
    kind = {"input": "human", "output": "ai", "tool_result": "tool"}[place]
    return next(one for one in state["messages"] if one.type == kind)


def texts(state):
    return [one.text for one in state["messages"]]


def check_calls(messages):
    """Every tool call has its result, and every result its call."""
    called = [one["id"] for m in messages if isinstance(m, AIMessage) for one in m.tool_calls]
    told = [m.tool_call_id for m in messages if isinstance(m, ToolMessage)]
    assert sorted(called) == sorted(told)


def seen_by(model):
    return " ".join(one.text for messages in model.seen for one in messages)


def resume(*decisions):
    return Command(resume={"decisions": list(decisions)})


def edit(text):
    return {"type": "edit", "edited_action": {"name": "x", "args": {"text": text}}}


both_ways = pytest.mark.parametrize("sync", [True, False], ids=["sync", "async"])
places = pytest.mark.parametrize("place", ["input", "output", "tool_result"])


@both_ways
@places
async def test_what_is_allowed_stays_as_it_is(safety, deployment, place, sync):
    scene = Scene(place, "all is well", safety)
    state = await scene.run(sync=sync)
    assert at(place, state).text == "all is well"
    assert state["messages"][-1].text == "done"
    [decision] = state["sutro_decisions"]
    assert decision == {
        "guardrail": "SutroGuardrail[message-safety]",
        "function": "message-safety",
        "apply_to": place,
        "message_id": at(place, state).id,
        "answer": "safe",
        "confidence": 0.95,
        "rationale": "It reads safe.",
        "action": "allow",
        "decided_by": "function",
        "error": None,
        "sha256": decision["sha256"],
    }
    assert len(asked(deployment)) == 1
    check_calls(state["messages"])


@both_ways
@places
async def test_what_is_replaced_is_seen_by_nobody_and_the_agent_goes_on(
    safety, deployment, place, sync
):
    scene = Scene(place, "a rude thing", safety)
    state = await scene.run(sync=sync)
    message = at(place, state)
    assert message.text == REMOVED
    assert state["messages"][-1].text == "done"
    assert "rude" not in seen_by(scene.model) + str(state["messages"])
    assert state["sutro_decisions"][0]["action"] == "replace"
    assert state["sutro_decisions"][0]["message_id"] == message.id
    assert scene.looked == ([] if place == "input" else [scene.text])
    assert len(state["messages"]) == (2 if place == "input" else 4)
    assert len(asked(deployment)) == 1
    check_calls(state["messages"])


@both_ways
@places
async def test_what_ends_the_run_leaves_a_conversation_that_can_go_on(
    safety, deployment, place, sync
):
    saver = InMemorySaver()
    scene = Scene(place, "an unsafe thing", safety, saver=saver)
    state = await scene.run(sync=sync)
    assert state["messages"][-1].text == REFUSED
    assert isinstance(state["messages"][-1], AIMessage)
    assert "unsafe" not in str(state["messages"])
    assert state["sutro_decisions"][0]["action"] == "end"
    assert len(asked(deployment)) == 1
    check_calls(state["messages"])
    assert scene.looked == ([scene.text] if place == "tool_result" else [])
    assert len(scene.model.seen) == (0 if place == "input" else 1)
    assert len(state["messages"]) == {"input": 2, "output": 2, "tool_result": 4}[place]
    # The next turn has nothing of it either.
    scene.model.lines = [*scene.model.lines[: len(scene.model.seen)], AIMessage("done")]
    state = await scene.run({"messages": [HumanMessage("hello again")]}, sync=sync)
    assert state["messages"][-1].text == "done"
    assert "unsafe" not in seen_by(scene.model)
    check_calls(state["messages"])


async def test_an_answer_that_ends_the_run_keeps_its_id_and_what_it_cost(safety):
    scene = Scene("output", "an unsafe thing", safety, saver=InMemorySaver())
    usage = {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}
    answer = calls("look", scene.text)
    answer.id, answer.usage_metadata = "answer", usage
    answer.additional_kwargs = {"reasoning_content": "unsafe"}
    scene.model.lines = [answer]
    state = await scene.run(sync=True)
    [_, last] = state["messages"]
    assert (last.id, last.text, last.usage_metadata) == ("answer", REFUSED, usage)
    assert (last.tool_calls, last.additional_kwargs) == ([], {})


class TestAHumanDecides:
    @both_ways
    @places
    @pytest.mark.parametrize(
        ("review", "now", "last"),
        [
            ({"type": "approve"}, "an odd thing", "done"),
            (edit("a fine thing"), "a fine thing", "done"),
            (edit(""), "", "done"),
            ({"type": "reject"}, REMOVED, REFUSED),
            ({"type": "reject", "message": "Not today."}, REMOVED, "Not today."),
        ],
        ids=["approve", "edit", "empty", "reject", "say why"],
    )
    async def test_and_neither_function_nor_tool_nor_model_is_asked_twice(
        self, safety, deployment, place, review, now, last, sync
    ):
        scene = Scene(place, "an odd thing", safety, saver=InMemorySaver())
        state = await scene.run(sync=sync)
        assert len(state["__interrupt__"]) == 1
        assert at(place, state).text == "an odd thing"
        before = len(scene.model.seen), len(scene.looked)
        state = await scene.run(resume(review), sync=sync)
        if place == "output" and last != "done":
            now = last
        assert "__interrupt__" not in state
        assert at(place, state).text == now
        assert state["messages"][-1].text == last
        [decision] = state["sutro_decisions"]
        action = {"approve": "allow", "edit": "replace", "reject": "end"}[review["type"]]
        assert (decision["action"], decision["decided_by"]) == (action, "human")
        assert decision["answer"] == "odd"
        assert decision["message_id"] == at(place, state).id
        assert len(asked(deployment)) == 1
        assert len(scene.looked) == (
            0 if place == "input" or (place == "output" and action == "end") else 1
        )
        goes_on = {"input": 1, "output": 1, "tool_result": 1} if last == "done" else {}
        assert len(scene.model.seen) == before[0] + goes_on.get(place, 0)
        check_calls(state["messages"])

    @both_ways
    @places
    async def test_as_with_langchains_own_middleware(self, safety, place, sync):
        scene = Scene(place, "an odd thing", safety, saver=InMemorySaver())
        [paused] = (await scene.run(sync=sync))["__interrupt__"]
        [action] = paused.value["action_requests"]
        assert action["name"] == "SutroGuardrail[message-safety]"
        assert action["args"] == {"text": "an odd thing"}
        assert "'message-safety' answers 'odd' about " in action["description"]
        assert action["description"].endswith("with a confidence of 0.95: It reads odd.")
        assert paused.value["review_configs"] == [
            {"action_name": action["name"], "allowed_decisions": ["approve", "edit", "reject"]}
        ]
        assert paused.value["sutro_decisions"][0]["action"] == "interrupt"
        json.dumps(paused.value)

    @both_ways
    @pytest.mark.parametrize(
        "response",
        [
            "approve",
            {"decisions": []},
            {"decisions": [{"type": "respond"}]},
            {"decisions": [{"type": "edit", "edited_action": {"args": {"query": "x"}}}]},
            {"decisions": ["approve"]},
        ],
    )
    async def test_again_if_the_response_is_not_understood(
        self, safety, deployment, response, sync
    ):
        scene = Scene("output", "an odd thing", safety, saver=InMemorySaver())
        await scene.run(sync=sync)
        [paused] = (await scene.run(Command(resume=response), sync=sync))["__interrupt__"]
        [action] = paused.value["action_requests"]
        assert '"decisions"' in action["description"] or '"approve"' in action["description"]
        state = await scene.run(resume({"type": "approve"}), sync=sync)
        assert state["messages"][-1].text == "done"
        assert len(asked(deployment)) == 1

    @both_ways
    async def test_about_several_results_at_once(self, safety, deployment, sync):
        scene = Scene("tool_result", "", safety, saver=InMemorySaver())
        looked = []

        @tool
        def look(at: str) -> str:
            """Look."""
            looked.append(at)
            return at

        scene.tools = [look]
        texts_ = {"1": "odd one", "2": "all well", "3": "odd three", "4": "rude"}
        answer = AIMessage(
            "",
            tool_calls=[{"name": "look", "args": {"at": t}, "id": i} for i, t in texts_.items()],
        )
        scene.model.lines = [answer, AIMessage("done")]
        [paused] = (await scene.run(sync=sync))["__interrupt__"]
        shown = [one["args"]["text"] for one in paused.value["action_requests"]]
        assert sorted(shown) == ["odd one", "odd three"]
        reviews = {"odd one": {"type": "approve"}, "odd three": edit("fine")}
        state = await scene.run(resume(*(reviews[one] for one in shown)), sync=sync)
        told = {m.tool_call_id: m.text for m in state["messages"] if isinstance(m, ToolMessage)}
        assert told == {"1": "odd one", "2": "all well", "3": "fine", "4": REMOVED}
        assert sorted(looked) == sorted(texts_.values())
        assert len(asked(deployment)) == 4

    @both_ways
    async def test_about_what_a_tool_returns_directly(self, safety, sync):
        scene = Scene("tool_result", "an odd thing", safety, saver=InMemorySaver())
        scene.tools[0].return_direct = True
        assert "__interrupt__" in await scene.run(sync=sync)
        state = await scene.run(resume({"type": "reject"}), sync=sync)
        assert texts(state)[-2:] == [REMOVED, REFUSED]
        assert len(scene.looked) == 1

    @both_ways
    async def test_when_checkpoints_are_written_at_the_end_alone(self, safety, deployment, sync):
        scene = Scene("output", "an odd thing", safety, saver=InMemorySaver())
        agent, given = scene.agent(), {"messages": [("user", "hello")]}
        for one in (given, resume({"type": "approve"})):
            if sync:
                state = agent.invoke(one, THREAD, durability="exit")
            else:
                state = await agent.ainvoke(one, THREAD, durability="exit")
        assert state["messages"][-1].text == "done"
        assert len(asked(deployment)) == 1

    async def test_without_a_checkpointer_the_run_stops_there(self, safety):
        scene = Scene("input", "an odd thing", safety)
        assert "__interrupt__" in await scene.run(sync=True)
        assert scene.model.seen == []


class TestRules:
    @places
    @pytest.mark.parametrize("text", ["perhaps all is well", "unscored, but well"])
    async def test_an_answer_of_too_little_confidence_has_its_own_action(self, safety, place, text):
        options = {"min_confidence": 0.8, "on_low_confidence": "replace"}
        state = await Scene(place, text, safety, **options).run(sync=True)
        assert at(place, state).text == REMOVED
        [decision] = state["sutro_decisions"]
        assert decision["answer"] == "safe"
        assert decision["confidence"] == (0.4 if "perhaps" in text else None)

    async def test_also_one_that_would_be_ended(self, safety):
        options = {"min_confidence": 0.8, "on_low_confidence": "allow"}
        state = await Scene("input", "perhaps unsafe", safety, **options).run(sync=True)
        assert texts(state) == ["perhaps unsafe", "done"]

    async def test_low_confidence_ends_the_run_unless_something_else_is_said(self, safety):
        scene = Scene("input", "perhaps all is well", safety, min_confidence=0.8)
        assert texts(await scene.run(sync=True)) == [REMOVED, REFUSED]

    async def test_the_functions_own_threshold_is_the_default(self, safety):
        scene = Scene("input", "perhaps all is well", safety.require_confidence(0.8))
        state = await scene.run(sync=True)
        assert texts(state) == [REMOVED, REFUSED]
        [decision] = state["sutro_decisions"]
        assert (decision["answer"], decision["decided_by"]) == ("safe", "function")

    async def test_enough_confidence_is_enough(self, safety):
        scene = Scene("input", "all is well", safety, min_confidence=0.95)
        assert texts(await scene.run(sync=True)) == ["all is well", "done"]

    @pytest.mark.parametrize(("otherwise", "last"), [("end", REFUSED), ("allow", "done")])
    async def test_answers_that_are_not_named_have_an_action(self, safety, otherwise, last):
        scene = Scene("input", "something new", safety, otherwise=otherwise)
        assert texts(await scene.run(sync=True))[-1] == last

    async def test_the_case_of_an_answer_does_not_matter(self, safety):
        actions = {"SAFE": "allow", "Unsafe": "replace"}
        scene = Scene("input", "an unsafe thing", safety, actions=actions)
        assert texts(await scene.run(sync=True)) == [REMOVED, "done"]

    async def test_an_answer_may_be_a_boolean(self, deployment, safety):
        deployment.publish(
            "is-safe",
            lambda row: "unsafe" not in row["text"],
            input_schema=TEXT,
            output_schema={"type": "boolean"},
        )
        settings = {"api_url": deployment.url, "api_key": deployment.api_key}
        is_safe = SutroFunction("is-safe", args_schema=TEXT, **settings)
        options = {"actions": {True: "allow", False: "end"}, "fields": None}
        for text, last in (("well", "done"), ("unsafe", REFUSED)):
            state = await Scene("input", text, is_safe, **options).run(sync=True)
            assert texts(state)[-1] == last

    @both_ways
    async def test_a_callable_makes_the_action_of_the_whole_result(self, safety, deployment, sync):
        given = []

        def decide(result):
            given.append((result.answer, result.confidence, result.usage))
            return "interrupt"

        saver = InMemorySaver()
        scene = Scene("input", "all is well", safety, actions=decide, saver=saver)
        assert "__interrupt__" in await scene.run(sync=sync)
        state = await scene.run(resume({"type": "approve"}), sync=sync)
        assert texts(state)[-1] == "done"
        [(answer, confidence, usage)] = given
        assert (answer, confidence) == ("safe", 0.95)
        assert usage["input_tokens"]
        assert len(asked(deployment)) == 1

    async def test_a_callable_that_gives_no_action_is_told(self, safety):
        scene = Scene("input", "all is well", safety, actions=lambda result: "stop")
        with pytest.raises(SutroConfigurationError, match=r"'allow', 'replace'.*not 'stop'"):
            await scene.run(sync=True)

    async def test_an_answer_of_several_fields_needs_a_callable(self, deployment, safety):
        settings = {"api_url": deployment.url, "api_key": deployment.api_key}
        extract = SutroFunction("lead-extractor", **settings)
        with pytest.raises(SutroConfigurationError, match=r"company, .* must be a callable"):
            await Scene("input", "all is well", extract).run(sync=True)

    async def test_texts_are_the_users(self, safety):
        options = {"replacement": "(gone)", "end_message": "Non."}
        scene = Scene("tool_result", "unsafe", safety, **options)
        assert texts(await scene.run(sync=True))[-2:] == ["(gone)", "Non."]


class TestWhenTheFunctionCannotBeAsked:
    @both_ways
    @places
    @pytest.mark.parametrize("on_error", ["end", "allow", "replace"])
    async def test_it_fails_closed_or_open(self, safety, deployment, place, on_error, sync, caplog):
        deployment.faults.add("functions/message-safety/run", status=503, times=9)
        scene = Scene(place, "all is well", safety, on_error=on_error)
        with caplog.at_level(logging.WARNING, logger="langchain_sutro"):
            state = await scene.run(sync=sync)
        passed = on_error == "allow"
        assert ("all is well" in texts(state)) is passed
        assert (state["messages"][-1].text == REFUSED) is (on_error == "end")
        [decision] = state["sutro_decisions"]
        assert (decision["action"], decision["decided_by"]) == (on_error, "error")
        assert decision["error"].startswith("SutroServerError: HTTP 503")
        assert decision["answer"] is None
        assert "SutroGuardrail[message-safety] could not ask" in caplog.text
        check_calls(state["messages"])

    @both_ways
    @places
    async def test_a_human_may_decide(self, safety, deployment, place, sync):
        deployment.faults.add("functions/message-safety/run", status=503)
        scene = Scene(place, "all is well", safety, on_error="interrupt", saver=InMemorySaver())
        [paused] = (await scene.run(sync=sync))["__interrupt__"]
        assert "could not be asked" in paused.value["action_requests"][0]["description"]
        state = await scene.run(resume({"type": "approve"}), sync=sync)
        assert state["messages"][-1].text == "done"
        assert len(asked(deployment)) == 1

    @both_ways
    @places
    async def test_or_the_run_fails_and_is_taken_up_later(self, safety, deployment, place, sync):
        deployment.faults.add("functions/message-safety/run", status=503)
        scene = Scene(place, "all is well", safety, on_error="raise", saver=InMemorySaver())
        with pytest.raises(SutroServerError):
            await scene.run(sync=sync)
        agent = scene.agent()
        state = agent.invoke(None, THREAD) if sync else await agent.ainvoke(None, THREAD)
        assert state["messages"][-1].text == "done"
        assert state["sutro_decisions"][0]["answer"] == "safe"

    @pytest.mark.parametrize("options", [{"fields": "query"}, {"fields": lambda text: {"text": 3}}])
    async def test_a_row_that_does_not_fit_is_such_a_case(self, safety, options):
        checked = safety.model_copy(update={"args_schema": TEXT})
        checked._prepare()
        state = await Scene("input", "all is well", checked, **options).run(sync=True)
        assert texts(state) == [REMOVED, REFUSED]
        assert "SutroInputError" in state["sutro_decisions"][0]["error"]

    async def test_a_function_that_is_not_there_is_such_a_case(self, safety):
        nothing = safety.model_copy(update={"function": "nothing"})
        state = await Scene("input", "all is well", nothing).run(sync=True)
        assert "SutroNotFoundError" in state["sutro_decisions"][0]["error"]
        with pytest.raises(SutroNotFoundError):
            await Scene("input", "all is well", nothing, on_error="raise").run(sync=True)

    async def test_errors_of_the_users_own_code_are_raised(self, safety):
        scene = Scene("input", "all is well", safety, fields=lambda state: state["nothing"])
        with pytest.raises(KeyError):
            await scene.run(sync=True)


class TestOnce:
    async def test_a_run_that_failed_later_does_not_judge_again(self, safety, deployment):
        scene = Scene("input", "all is well", safety, saver=InMemorySaver())
        scene.model.lines = [ValueError("overloaded"), AIMessage("done")]
        with pytest.raises(ValueError, match="overloaded"):
            await scene.run(sync=True)
        state = await scene.run({"messages": [HumanMessage("once more")]}, sync=True)
        assert texts(state) == ["all is well", "once more", "done"]
        assert [one["input"]["text"] for one in asked(deployment)] == [
            "all is well", "once more",
        ]  # fmt: skip

    async def test_a_loop_of_tools_judges_what_the_user_said_once(self, safety, deployment):
        scene = Scene("input", "all is well", safety)
        more = [calls("look", call_id=str(n)) for n in range(3)]
        scene.model.lines = [*more, AIMessage("done")]
        await scene.run(sync=True)
        assert len(asked(deployment)) == 1

    async def test_a_middleware_that_asks_the_model_again_does_not_judge_the_input_again(
        self, safety, deployment
    ):
        class Again(AgentMiddleware):
            @hook_config(can_jump_to=["model"])
            def after_model(self, state, runtime):
                last = state["messages"][-1]
                if last.text == "worse":
                    return {"messages": [RemoveMessage(last.id)], "jump_to": "model"}
                return None

        scene = Scene("input", "all is well", safety, middleware=[Again()])
        scene.model.lines = [AIMessage("worse"), AIMessage("done")]
        assert texts(await scene.run(sync=True)) == ["all is well", "done"]
        assert len(asked(deployment)) == 1

    async def test_another_text_under_the_same_id_is_judged(self, safety, deployment):
        scene = Scene("input", "all is well", safety, saver=InMemorySaver())
        scene.model.lines = [ValueError("overloaded"), AIMessage("done")]
        with pytest.raises(ValueError, match="overloaded"):
            await scene.run(sync=True)
        other = {"messages": [HumanMessage("an unsafe thing", id="said")]}
        assert texts(await scene.run(other, sync=True)) == [REMOVED, REFUSED]
        assert len(asked(deployment)) == 2

    async def test_a_caller_cannot_bring_decisions_along(self, safety, deployment):
        scene = Scene("input", "an unsafe thing", safety, saver=InMemorySaver())
        first = await scene.run(sync=True)
        forged = {**first["sutro_decisions"][0], "action": "allow"}
        scene.saver = InMemorySaver()
        said = HumanMessage(REMOVED, id="said")
        forged_state = {"messages": [said], "sutro_decisions": [forged]}
        await scene.run(forged_state, sync=True)
        assert len(asked(deployment)) == 2

    async def test_an_answer_put_behind_it_does_not_hide_what_the_user_said(self, safety):
        scene = Scene("input", "an unsafe thing", safety)
        given = {"messages": [("user", "an unsafe thing"), ("ai", "Sure, here")]}
        state = await scene.run(given, sync=True)
        assert texts(state) == [REMOVED, "Sure, here", REFUSED]

    async def test_all_that_the_user_said_since_the_last_answer_is_judged(self, safety, deployment):
        scene = Scene("input", "", safety)
        earlier = [("user", "an unsafe thing of old"), ("ai", "no")]
        given = {"messages": [*earlier, ("user", "a rude thing"), ("user", "all is well")]}
        state = await scene.run(given, sync=True)
        assert texts(state)[2:] == [REMOVED, "all is well", "done"]
        assert len(asked(deployment)) == 2
        assert len(state["sutro_decisions"]) == 2


class TestContent:
    async def test_the_text_of_content_blocks_is_judged(self, safety, deployment):
        image = {"type": "image", "url": "https://example.com/a.png"}
        blocks = [{"type": "text", "text": "a rude "}, image, {"type": "text", "text": "thing"}]
        scene = Scene("input", "", safety)
        state = await scene.run({"messages": [HumanMessage(blocks)]}, sync=True)
        assert state["messages"][0].content == REMOVED
        assert asked(deployment)[0]["input"] == {"text": "a rude thing"}

    async def test_what_has_no_text_is_not_judged(self, safety, deployment):
        image = {"type": "image", "url": "https://example.com/a.png"}
        scene = Scene("input", "", safety)
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


async def streamed(agent, given, *, sync):
    if sync:
        return list(agent.stream(given, THREAD, stream_mode="updates"))
    return [one async for one in agent.astream(given, THREAD, stream_mode="updates")]


@both_ways
async def test_a_stream_of_updates_has_results_of_tools_only_as_they_were_judged(safety, sync):
    scene = Scene("tool_result", "a rude thing", safety, saver=InMemorySaver())
    parts = await streamed(scene.agent(), {"messages": [("user", "hello")]}, sync=sync)
    assert "rude thing" not in str(parts)


@both_ways
async def test_a_stream_of_updates_shows_what_was_decided_before_a_human_is_asked(safety, sync):
    scene = Scene("input", "an odd thing", safety, saver=InMemorySaver())
    parts = await streamed(scene.agent(), {"messages": [("user", scene.said)]}, sync=sync)
    [shown] = [one for one in parts if "SutroGuardrail[message-safety].judge" in one]
    [(_, update)] = shown.items()
    assert update.keys() == {"sutro_decisions"}
    assert update["sutro_decisions"][0]["action"] == "interrupt"


class TestTraces:
    @both_ways
    @places
    @pytest.mark.parametrize("text", ["all is well", "an odd thing"])
    async def test_each_decision_is_one_llm_run_in_the_agents_trace(
        self, safety, langsmith_recorder, place, text, sync
    ):
        scene = Scene(place, text, safety, saver=InMemorySaver())
        state = await scene.run(sync=sync)
        if "__interrupt__" in state:
            await scene.run(resume({"type": "approve"}), sync=sync)
        langsmith_recorder.wait()
        judged = langsmith_recorder.by_name("message-safety")
        assert [run["run_type"] for run in judged] == ["llm"]
        root = langsmith_recorder.by_name("LangGraph")[0]
        assert judged[0]["trace_id"] == root["id"]
        above, runs = [], langsmith_recorder.runs
        parent = judged[0]["parent_run_id"]
        while parent:
            above.append(runs[parent]["name"])
            parent = runs[parent].get("parent_run_id")
        node = {
            "input": "SutroGuardrail[message-safety].before_model",
            "output": "SutroGuardrail[message-safety].after_model",
            "tool_result": "tools",
        }[place]
        assert node in above
        metadata = judged[0]["extra"]["metadata"]
        assert metadata["ls_provider"] == "sutro"
        assert metadata["sutro_confidence"] == 0.95
        assert metadata["thread_id"] == "t"
        assert PROMPT not in str(list(runs.values()))


@both_ways
@places
@pytest.mark.parametrize("generation", ["deployment", "hosted"])
async def test_neither_key_nor_prompt_are_in_anything_that_is_kept(
    deployment, safety, place, generation, sync, caplog
):
    function = SutroFunction(
        "message-safety",
        api_url=deployment.url,
        api_key=deployment.api_key,
        generation=generation,
        max_retries=0,
    )
    saver = InMemorySaver()
    scene = Scene(place, "an odd thing", function, saver=saver, on_error="interrupt")
    kept = [await scene.run(sync=sync)]
    kept.append(await scene.run(resume({"type": "approve"}), sync=sync))
    deployment.faults.add("*", status=401, times=9)
    scene.saver = InMemorySaver()
    scene.model.seen.clear()
    kept.append(await scene.run(sync=sync))
    history = [*scene.agent().get_state_history(THREAD)]
    text = (
        f"{kept}{history}{saver.storage}{saver.writes}{saver.blobs}{caplog.text}{scene.agent()!r}"
    )
    assert "odd" in text
    assert PROMPT not in text
    assert deployment.api_key not in text


class TestNeverBlocks:
    @places
    async def test_an_event_loop(self, safety, place):
        # LangGraph reads files when it is first used.
        await Scene(place, "all is well", safety).run(sync=False)
        for text in ("all is well", "a rude thing"):
            scene = Scene(place, text, safety)
            with guard():
                await scene.run(sync=False)

    async def test_an_event_loop_while_a_human_is_asked(self, safety):
        scene = Scene("output", "an odd thing", safety, saver=InMemorySaver())
        await scene.run(sync=False)
        scene = Scene("output", "an odd thing", safety, saver=InMemorySaver())
        with guard():
            await scene.run(sync=False)
            state = await scene.run(resume({"type": "approve"}), sync=False)
        assert state["messages"][-1].text == "done"


class TestConstruction:
    @pytest.mark.parametrize(
        ("options", "says"),
        [
            ({"actions": {"safe": "pass"}}, r"actions\['safe'\] must be .*'allow'.* not 'pass'"),
            ({"actions": ["safe"]}, "a dict .* or a callable .* not list"),
            ({"actions": {"a": "allow", "A": "end"}}, "differ in their case"),
            ({"actions": {"unsafe": "end"}}, 'Nothing would pass: .* otherwise="allow"'),
            ({"otherwise": "stop"}, "otherwise must be"),
            ({"on_error": "ignore"}, "on_error must be one of .*'raise', not 'ignore'"),
            ({"min_confidence": 80}, "between 0 and 1, not 80"),
            ({"on_low_confidence": "allow"}, "nothing without min_confidence"),
            ({"min_confidence": 0.5, "on_low_confidence": "x"}, "on_low_confidence must be"),
            ({"apply_to_input": False}, "nothing to judge: set apply_to_input"),
            ({"apply_to_tool_results": "look"}, r"apply_to_tool_results=\['look'\]"),
            ({"fields": None}, "Which field of 'message-safety'"),
            ({"fields": 3}, "not int"),
            ({"fields": lambda m: {}}, "any of text, message, state, by these names"),
            ({"fields": lambda text, m: {}}, "any of text, message, state, by these names"),
            ({"name": "a:b"}, "no '|' or ':' in 'a:b'"),
        ],
    )
    def test_errors_say_what_to_mend(self, options, says):
        with pytest.raises(SutroConfigurationError, match=says):
            SutroGuardrail("message-safety", **{"actions": ACTIONS, "fields": "text", **options})

    def test_a_threshold_needs_a_function_that_scores(self):
        function = SutroFunction("message-safety", confidence_scoring=False)
        with pytest.raises(SutroConfigurationError, match="confidence_scoring=False"):
            SutroGuardrail(function, actions=ACTIONS, fields="text", min_confidence=0.5)

    def test_something_else_than_a_function_is_refused(self):
        with pytest.raises(SutroConfigurationError, match="not dict"):
            SutroGuardrail({}, actions=ACTIONS, fields="text")

    def test_the_only_field_of_a_schema_gets_the_text(self):
        function = SutroFunction("message-safety", args_schema=TEXT)
        SutroGuardrail(function, actions=ACTIONS)
        two = {"type": "object", "properties": {"a": {}, "b": {}}}
        with pytest.raises(SutroConfigurationError, match="Which field"):
            SutroGuardrail(SutroFunction("x", args_schema=two), actions=ACTIONS)

    def test_nothing_is_sent_or_read(self, deployment):
        SutroGuardrail("message-safety", actions=ACTIONS, fields="text")
        assert deployment.requests == []


def test_without_the_extra_it_is_named():
    code = """
import sys
sys.modules["langchain"] = None
try:
    import langchain_sutro.middleware
except ImportError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "langchain-sutro[agents]" in done.stdout
