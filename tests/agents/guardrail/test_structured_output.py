"""Structured output is the model's answer like any other: none reaches the caller unjudged."""

import json
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.agents.structured_output import (
    AutoStrategy,
    ProviderStrategy,
    StructuredOutputValidationError,
    ToolStrategy,
)
from langchain_core.messages import AIMessage
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from pydantic import BaseModel

from langchain_sutro.middleware import SutroGuardrail
from tests.agents.guardrail.scene import (
    ACTIONS,
    REFUSED,
    REMOVED,
    THREAD,
    Script,
    asked,
    both_ways,
    calls,
    check_calls,
    edit,
    resume,
    texts,
)


class Verdict(BaseModel):
    """The answer."""

    words: str
    amount: int = 7


AS_JSON = {
    "title": "Verdict",
    "type": "object",
    "properties": {"words": {"type": "string"}, "amount": {"type": "integer"}},
    "required": ["words"],
}
# The form of the answer, and whether the model gives it as text.
FORMATS: dict[str, tuple[Any, bool]] = {
    "text": (None, True),
    "tool": (ToolStrategy(Verdict), False),
    "tool, JSON schema": (ToolStrategy(AS_JSON), False),
    "tool, own message": (ToolStrategy(Verdict, tool_message_content="Noted."), False),
    "provider": (ProviderStrategy(Verdict), True),
    "provider, JSON schema": (ProviderStrategy(AS_JSON), True),
    "auto": (AutoStrategy(Verdict), False),
    "model": (Verdict, False),
}
WORDS = {"allow": "fine", "replace": "rude", "end": "unsafe", "interrupt": "odd"}
formats = pytest.mark.parametrize(("form", "is_text"), FORMATS.values(), ids=FORMATS)


class Asked(Script):
    """A script whose model supports structured output of its provider."""

    def bind(self, **kwargs):
        return self


@tool
def look(at: str = "") -> str:
    """Look."""
    return "fine"


def said(form, is_text, word, call_id="v"):
    words = f"an {word} thing"
    if form is None:
        return AIMessage(words)
    if is_text:
        return AIMessage(json.dumps({"words": words, "amount": 3}))
    return calls("Verdict", call_id=call_id, words=words, amount=3)


class Talk:
    def __init__(self, safety, form, lines, *, tools=(), **options):
        self.model = Asked(lines=lines, seen=[])
        guardrail = SutroGuardrail(
            safety,
            **{
                "actions": ACTIONS,
                "fields": "text",
                "apply_to_input": False,
                "apply_to_output": True,
                **options,
            },
        )
        self.agent = create_agent(
            self.model,
            list(tools),
            middleware=[guardrail],
            response_format=form,
            checkpointer=InMemorySaver(),
        )

    async def run(self, given, *, sync):
        given = {"messages": [("user", "hello")]} if given is None else given
        if sync:
            return self.agent.invoke(given, THREAD)
        return await self.agent.ainvoke(given, THREAD)


@both_ways
@pytest.mark.parametrize("with_tools", [False, True], ids=["", "with tools"])
@pytest.mark.parametrize("action", WORDS)
@formats
async def test_no_unjudged_text_reaches_the_caller(
    safety, deployment, form, is_text, action, with_tools, sync
):
    word = WORDS[action]
    talk = Talk(safety, form, [said(form, is_text, word)], tools=[look] * with_tools)
    state = await talk.run(None, sync=sync)
    judged = [one["input"]["text"] for one in asked(deployment)]
    assert len(judged) == 1
    assert f"an {word} thing" in judged[0]
    check_calls(state["messages"])
    if action == "interrupt":
        assert state["__interrupt__"]
        state = await talk.run(resume({"type": "reject"}), sync=sync)
    if action == "allow":
        assert f"an {word} thing" in str(state["messages"])
        assert (state.get("structured_response") is not None) is (form is not None)
    else:
        shown = {**state, "sutro_decisions": None}
        assert f"an {word} thing" not in str(shown)
        assert state.get("structured_response") is None
        assert texts(state) == ["hello", REMOVED if action == "replace" else REFUSED]
    assert len(talk.model.seen) == 1
    assert len(asked(deployment)) == 1
    check_calls(state["messages"])


@both_ways
@formats
async def test_what_a_human_approves_is_given_to_the_caller(safety, form, is_text, sync):
    talk = Talk(safety, form, [said(form, is_text, "odd")])
    paused = await talk.run(None, sync=sync)
    [shown] = paused["__interrupt__"][0].value["action_requests"]
    assert "an odd thing" in shown["args"]["text"]
    assert paused.get("structured_response") is None
    state = await talk.run(resume({"type": "approve"}), sync=sync)
    assert "an odd thing" in str(state["messages"])
    if form is not None:
        answer = state["structured_response"]
        assert (answer["words"] if isinstance(answer, dict) else answer.words) == "an odd thing"


@both_ways
@formats
async def test_what_a_human_writes_instead_is_all_that_is_left(safety, form, is_text, sync):
    talk = Talk(safety, form, [said(form, is_text, "odd")])
    await talk.run(None, sync=sync)
    state = await talk.run(resume(edit("Something else.")), sync=sync)
    assert texts(state) == ["hello", "Something else."]
    assert state.get("structured_response") is None


@both_ways
async def test_a_callable_still_sees_the_structured_response(safety, sync):
    talk = Talk(
        safety,
        ToolStrategy(Verdict),
        [said(ToolStrategy(Verdict), is_text=False, word="rude")],
        fields=lambda state: {"text": state["structured_response"].words},
    )
    assert texts(await talk.run(None, sync=sync)) == ["hello", REMOVED]


@both_ways
@pytest.mark.parametrize("word", ["rude", "unsafe"])
async def test_beside_another_call_it_goes_and_the_other_call_stays(safety, word, sync):
    form = ToolStrategy(Verdict)
    first = said(form, is_text=False, word=word)
    first.tool_calls.append({"name": "look", "args": {"at": "x"}, "id": "l", "type": "tool_call"})
    talk = Talk(
        safety, form, [first, said(form, is_text=False, word="fine", call_id="w")], tools=[look]
    )
    state = await talk.run(None, sync=sync)
    assert word not in str({**state, "sutro_decisions": None})
    check_calls(state["messages"])
    if word == "rude":
        assert state["structured_response"].words == "an fine thing"
    else:
        assert texts(state) == ["hello", REFUSED]


@both_ways
@pytest.mark.parametrize("word", ["rude", "unsafe", "fine"])
async def test_arguments_of_which_no_response_could_be_made_are_judged(safety, word, sync):
    """LangChain quotes them to the model, which tries again."""
    form = ToolStrategy(Verdict)
    wrong = calls("Verdict", call_id="v", words=f"an {word} thing", amount="many")
    talk = Talk(safety, form, [wrong, said(form, is_text=False, word="fine", call_id="w")])
    state = await talk.run(None, sync=sync)
    check_calls(state["messages"])
    if word == "fine":
        assert state["structured_response"].words == "an fine thing"
    else:
        assert word not in str({**state, "sutro_decisions": None})
        assert state.get("structured_response") is None


@both_ways
@pytest.mark.parametrize("action", WORDS)
@pytest.mark.parametrize("strategy", ["tool", "provider"])
async def test_an_error_that_quotes_the_answer_is_raised_only_if_it_may_be(
    safety, action, strategy, sync
):
    words = f"an {WORDS[action]} thing"
    if strategy == "tool":
        form: Any = ToolStrategy(Verdict, handle_errors=False)
        wrong = calls("Verdict", call_id="v", words=words, amount=words)
    else:
        form, wrong = ProviderStrategy(Verdict), AIMessage(f"not JSON but {words}")
    talk = Talk(safety, form, [wrong])
    if action == "allow":
        with pytest.raises(StructuredOutputValidationError):
            await talk.run(None, sync=sync)
        return
    state = await talk.run(None, sync=sync)
    assert words not in str({**state, "sutro_decisions": None})
    assert texts(state) == ["hello", REMOVED if action == "replace" else REFUSED]
    assert "__interrupt__" not in state
    assert len(talk.model.seen) == 1


async def test_a_response_of_an_earlier_turn_does_not_stay_beside_a_refusal(safety):
    form = ToolStrategy(Verdict)
    talk = Talk(safety, form, [said(form, is_text=False, word="fine")], apply_to_input=True)
    state = await talk.run(None, sync=True)
    assert state["structured_response"].words == "an fine thing"
    state = await talk.run({"messages": [("user", "an unsafe thing")]}, sync=True)
    assert texts(state)[-1] == REFUSED
    assert state.get("structured_response") is None
