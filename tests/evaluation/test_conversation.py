"""The root runs of a thread as one conversation."""

import pytest
from langchain_core.load import dumpd
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage

from langchain_sutro.evaluation.conversation import conversation


def user(text):
    return {"role": "user", "content": text}


def assistant(text):
    return {"role": "assistant", "content": text}


SYSTEM = {"role": "system", "content": "Be kind."}
# Three turns, in which the user says "yes" twice and is answered alike.
PAIRS = [(user("Hi"), assistant("A seat?")), *2 * [(user("yes"), assistant("Sure?"))]]
WHOLE = [message for pair in PAIRS for message in pair]


def turn(inputs, outputs):
    return {"inputs": {"messages": inputs}, "outputs": {"messages": outputs}}


def turns(inputs, outputs):
    """Turns whose inputs and outputs are made of the conversation before and the new pair."""
    made, before = [], []
    for pair in PAIRS:
        made.append(turn(inputs(before, pair[0]), outputs(before, *pair)))
        before = [*before, *pair]
    return made


def newest(before, said):
    return [said]


def whole(before, said):
    return [*before, said]


def last_three(before, said):
    return [*before, said][-3:]


def answer(before, said, answered):
    return [answered]


def state(before, said, answered):
    return [*before, said, answered]


@pytest.mark.parametrize(
    ("inputs", "outputs"),
    [
        (newest, answer),
        (whole, answer),
        (last_three, answer),
        (whole, state),
        (newest, state),
        (lambda *said: [SYSTEM, *whole(*said)], answer),
        (lambda *said: [SYSTEM, *last_three(*said)], answer),
        (lambda *said: [SYSTEM, *newest(*said)], answer),
    ],
)
def test_what_is_repeated_is_in_the_conversation_once(inputs, outputs):
    said = conversation(turns(inputs, outputs))["inputs"]["messages"]
    assert [one for one in said if one != SYSTEM] == WHOLE
    assert said.count(SYSTEM) <= 1


@pytest.mark.parametrize(
    "form",
    [
        lambda one: one.model_dump(mode="json"),
        dumpd,
        lambda one: {"type": one.type, "content": one.content},
        lambda one: {"role": {"human": "user", "ai": "assistant"}[one.type], "content": one.text},
    ],
)
def test_messages_may_have_any_form(form):
    pair = [HumanMessage("Hi", id="1"), AIMessage("Yes?", id="2")]
    found = conversation([turn([form(pair[0])], [form(pair[1])])])
    assert found["outputs"]["messages"] == [user("Hi"), assistant("Yes?")]


def test_tool_calls_stay():
    call = {"name": "seats", "args": {"number": 2}, "id": "c", "type": "tool_call"}
    asked = AIMessage("", tool_calls=[call]).model_dump(mode="json")
    told = ToolMessage("2 left", tool_call_id="c").model_dump(mode="json")
    said = conversation([turn(["Two?"], [asked, told])])["inputs"]["messages"]
    assert [one["role"] for one in said] == ["user", "assistant", "tool"]
    assert said[1]["tool_calls"][0]["function"]["name"] == "seats"
    assert said[2]["tool_call_id"] == "c"


def test_a_message_of_unknown_form_stays_as_it_is():
    strange = {"speaker": "me", "words": ["x"]}
    assert conversation([turn([strange], [])])["inputs"]["messages"] == [strange]


def test_a_single_string_is_what_was_said():
    first = {"inputs": {"question": "Why?"}, "outputs": {"answer": "Because.", "score": 1}}
    second = {"inputs": {"a": "two", "b": "strings"}, "outputs": None}
    found = conversation([first, second])
    assert found["inputs"]["messages"] == [user("Why?"), assistant("Because.")]
    assert found["inputs"]["turns"] == [first, second]
    assert found["inputs"]["a"] == "two"
    assert found["outputs"] == {"messages": found["inputs"]["messages"]}
