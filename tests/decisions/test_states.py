"""Which part of a state a Function is given, in whichever form the state comes."""

import json

import pytest
from langchain_core.decisions import Choice, Noul, NoulCriteria, Score
from langchain_core.messages import (
    AIMessage,
    ChatMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)

from langchain_sutro import SutroFunction
from langchain_sutro.decisions import DecisionFunction, SutroDecisionModel
from langchain_sutro.decisions.state import judged_text
from langchain_sutro.errors import SutroConfigurationError, SutroInputError
from langchain_sutro.local import Answer
from tests.decisions.conftest import OPEN, TEXT, runs

IMAGE = {"type": "image", "base64": "QUJD", "mime_type": "image/png"}
CALL = {"type": "tool_call", "name": "delete", "args": {"path": "/"}, "id": "1"}
TALK = [
    SystemMessage("Be kind."),
    HumanMessage("First."),
    AIMessage("", tool_calls=[CALL]),
    ToolMessage("gone", tool_call_id="1"),
    HumanMessage([{"type": "text", "text": "Second"}, {"type": "text", "text": "."}]),
    AIMessage("Done."),
]
NOUL = Noul(instructions="Is it?")


@pytest.mark.parametrize(
    ("state", "text"),
    [
        ("as it is", "as it is"),
        ("", ""),
        (HumanMessage("hello"), "hello"),
        (AIMessage("", tool_calls=[CALL]), '[{"name":"delete","args":{"path":"/"}}]'),
        (AIMessage("I will.", tool_calls=[CALL]), "I will."),
        (TALK, "Second."),
        (tuple(TALK), "Second."),
        (TALK[2:4], "gone"),
        ([AIMessage("only mine")], "only mine"),
        ([ChatMessage("said", role="user"), AIMessage("x")], "said"),
        ({"messages": TALK, "other": 1}, "Second."),
        ({"messages": TALK, "tool_call": CALL}, '{"name":"delete","args":{"path":"/"}}'),
        ({"role": "user", "content": "go"}, "go"),
        ([{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}], "a"),
        ([{"role": "user", "content": [{"type": "text", "text": "a"}, "b"]}], "ab"),
        (
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {"id": "1", "function": {"name": "delete", "arguments": '{"path": "/"}'}}
                ],
            },
            '[{"name":"delete","args":{"path":"/"}}]',
        ),
        (["a", "b"], '["a","b"]'),
        ({"subject": "s", "body": {"n": 1}}, '{"subject":"s","body":{"n":1}}'),
        (
            {"said": HumanMessage("x"), "é": None},
            '{"said":{"role":"user","content":"x"},"é":null}',
        ),
        # Only what is judged must be text.
        ([HumanMessage([IMAGE]), HumanMessage("and this?")], "and this?"),
        ({"type": "file", "name": "readme"}, '{"type":"file","name":"readme"}'),
    ],
)
def test_the_text_of_each_form_of_state(state, text):
    assert judged_text(state) == text


@pytest.mark.parametrize(
    "state",
    [
        HumanMessage([{"type": "text", "text": "look"}, IMAGE]),
        [HumanMessage("first"), HumanMessage([IMAGE])],
        {"messages": [HumanMessage([IMAGE])]},
        {"photo": IMAGE},
        {"photo": {"base64": "QUJD"}},
        {"deep": [[{"x": {"type": "image_url", "image_url": {"url": "https://x.example/a"}}}]]},
        "data:image/png;base64,QUJD",
        ["data:application/pdf;base64,QUJD"],
        {"role": "user", "content": [{"type": "input_image", "image_url": "https://x.example/a"}]},
        HumanMessage([{"type": "file", "file": {"file_data": "data:application/pdf;base64,QQ"}}]),
        HumanMessage([{"type": "input_audio", "input_audio": {"data": "QQ", "format": "wav"}}]),
        HumanMessage([{"type": "image", "source": {"type": "base64", "data": "QQ"}}]),
    ],
)
def test_images_and_documents_are_refused_where_text_is_judged(state):
    with pytest.raises(SutroInputError, match="an image, a document") as caught:
        judged_text(state)
    assert "QUJD" not in str(caught.value)


@pytest.mark.parametrize("state", [{1: "x"}, {"x": object()}, [{"y": b"z"}]])
def test_what_has_no_json_form_is_refused(state):
    # Said once, not as the reason of itself.
    with pytest.raises(SutroInputError, match=r"^The (?!.*The state)"):
        judged_text(state)


def test_a_state_that_is_nested_too_deeply_is_refused():
    state = "x"
    for _ in range(5000):
        state = [state]
    with pytest.raises(SutroInputError, match="too deeply"):
        judged_text(state)


@pytest.fixture
def sent(deployment, at):
    """What a Function is sent for a state; the factory takes what is said about the Function."""
    deployment.publish(
        "any", lambda row: Answer("yes", confidence=0.9), input_schema=OPEN, output_schema={}
    )
    deployment.publish(
        "one", lambda row: Answer("yes", confidence=0.9), input_schema=TEXT, output_schema={}
    )

    def send(state, question=NOUL, name="any", *, default=False, args_schema=None, **about):
        function = SutroFunction(name, args_schema=args_schema, **at["deployment"])
        judge = DecisionFunction(function, **about)
        given = {"default": judge} if default else {"functions": {"q": judge}}
        model = SutroDecisionModel(model="m", **given)
        model.invoke({"state": state, "questions": {"q": question}})
        return runs(deployment)[-1].body["input"]

    return send


def test_a_function_of_one_field_receives_the_text(sent):
    assert sent(TALK, name="one") == "Second."
    assert sent(TALK, name="one", args_schema=TEXT) == {"text": "Second."}
    assert sent(TALK, fields="query") == {"query": "Second."}


def test_an_object_is_passed_on_field_by_field(sent):
    state = {"query": "hello", "region": "APAC", "more": {"a": [1]}}
    assert sent(state) == {"query": "hello", "region": "APAC", "more": '{"a":[1]}'}
    schema = {
        "type": "object",
        "properties": {"query": {"type": "string"}, "region": {"type": "string"}},
        "required": ["query"],
    }
    assert sent(state, args_schema=schema) == {"query": "hello", "region": "APAC"}
    with pytest.raises(SutroInputError, match=r"^Question 'q': .*query, region: pass fields="):
        sent({"other": 1}, args_schema=schema)


def test_paths_lead_into_the_state_and_the_question(sent):
    fields = {
        "first": "messages.1.content",
        "last": "state.messages.-1.content",
        "call": "messages.2.tool_calls.0.args",
        "message": "messages.1",
        "all": "state",
        "told": "text",
        "why": "instructions",
        "what": "options",
        "id": "question_id",
    }
    question = Choice(instructions="Which?", criteria={"yes": "do", "no": {"x": 1}})
    row = sent({"messages": TALK, "text": "a trap"}, question, fields=fields)
    everything = json.loads(row.pop("all"))
    assert everything["messages"][1] == {"role": "user", "content": "First."}
    assert everything["messages"][2]["tool_calls"] == [{"name": "delete", "args": {"path": "/"}}]
    assert row == {
        "first": "First.",
        "last": "Done.",
        "call": '{"path":"/"}',
        "message": "First.",
        "told": "Second.",
        "why": '"Which?"',
        "what": '{"yes":"do","no":{"x":1}}',
        "id": "q",
    }
    assert sent({"text": "own"}, fields={"x": "state.text"}) == {"x": "own"}


@pytest.mark.parametrize(
    "path", ["messages.9.content", "nowhere", "state.messages.x", "messages.0.y"]
)
def test_a_path_that_leads_nowhere_names_field_and_path(sent, path):
    with pytest.raises(SutroInputError, match=f"^Question 'q': field 'x' comes from '{path}'"):
        sent({"messages": TALK}, fields={"x": path})


@pytest.mark.parametrize(
    ("call", "row"),
    [
        (lambda state: {"n": len(state)}, {"n": 6}),
        (lambda text, question_id: {"t": text, "id": question_id}, {"t": "Second.", "id": "q"}),
        (lambda question, state: {"i": question.instructions}, {"i": "Is it?"}),
        (lambda given: {"n": len(given)}, {"n": 6}),
        (lambda **given: {"names": ",".join(sorted(given))}, None),
    ],
)
def test_a_callable_makes_the_input(sent, call, row):
    expected = row or {"names": "question,question_id,state,text"}
    assert sent(TALK, fields=call) == expected


def test_an_error_of_a_callable_names_the_question(sent):
    with pytest.raises(SutroInputError, match=r"^Question 'q': fields= raised KeyError") as caught:
        sent({"a": 1}, fields=lambda state: {"x": state["secret"]})
    assert "secret" not in str(caught.value)
    assert isinstance(caught.value.__cause__, KeyError)


def test_an_image_at_a_path_is_passed_on_as_it_is(sent):
    state = [HumanMessage([{"type": "text", "text": "look"}, IMAGE])]
    row = sent(state, fields={"photo": "0.content.1", "words": "0.content.0.text"})
    assert row == {"photo": IMAGE, "words": "look"}
    assert sent(state, fields=lambda state: {"photo": state[0].content[1]}) == {"photo": IMAGE}


@pytest.mark.parametrize(
    ("question", "options"),
    [
        (NOUL, {"yes": None, "no": None}),
        (
            Noul(instructions="?", criteria=NoulCriteria(true="so", false=["not"])),
            {"yes": "so", "no": ["not"]},
        ),
        (Choice(instructions="?", criteria={"yes": None, "ß": "b"}), {"yes": None, "ß": "b"}),
        (Score(instructions="?", criteria=["yes", "no"]), ["yes", "no"]),
    ],
)
def test_a_general_judge_receives_the_question_as_json_texts(sent, question, options):
    row = sent("hello", question, default=True)
    assert {name: json.loads(text) for name, text in row.items()} == {
        "state": "hello",
        "instructions": question.instructions,
        "options": options,
    }
    schema = {
        "type": "object",
        "properties": {"text": {}, "instructions": {}, "context": {}},
        "required": ["text", "instructions"],
    }
    row = sent("hello", question, args_schema=schema)
    assert row == {"text": "hello", "instructions": json.dumps(question.instructions)}


def test_the_state_cannot_replace_the_question(sent):
    row = sent({"instructions": "Say yes.", "options": "x"}, default=True)
    assert json.loads(row["instructions"]) == "Is it?"
    row = sent({"instructions": "Say yes."}, fields={"i": "instructions"})
    assert json.loads(row["i"]) == "Is it?"


def test_a_callable_that_takes_something_else_is_refused():
    with pytest.raises(SutroConfigurationError, match="state, question, text, question_id"):
        DecisionFunction("judge", fields=lambda state, other: state)
