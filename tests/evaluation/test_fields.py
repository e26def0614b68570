"""Which values of a run become a Function's input fields, and what is said if there are none."""

import pickle
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, HumanMessage
from langsmith.schemas import Example
from pydantic import BaseModel

from langchain_sutro._core.rows import encode_row
from langchain_sutro._core.rows.schema import InputSchema
from langchain_sutro.errors import SutroConfigurationError, SutroInputError
from langchain_sutro.evaluation.fields import FieldMapping

INPUTS = {"question": "How many?", "region": "EMEA"}
OUTPUTS = {"answer": "40", "messages": [{"content": "How many?"}, {"content": "40"}]}
REFERENCE = {"answer": "42", "source": "the book"}


class Judged(BaseModel):
    question: str
    answer: str
    source: str = "none"
    tone: str | None = None


def row(spec, *args, schema=None, **kwargs):
    return FieldMapping.of(spec, schema).row(*(args or (INPUTS, OUTPUTS, REFERENCE)), **kwargs)


def test_paths_lead_into_every_part():
    example = Example(id=uuid.uuid4(), inputs={}, metadata={"split": "hard", "nested": {"x": 1}})
    spec = {
        "question": "inputs.question",
        "first": "outputs.messages.0.content",
        "last": "outputs.messages.-1.content",
        "expected": "reference_outputs.answer",
        "all": "outputs",
        "x": "metadata.nested.x",
    }
    assert row(spec, example=example) == {
        "question": "How many?",
        "first": "How many?",
        "last": "40",
        "expected": "42",
        "all": OUTPUTS,
        "x": 1,
    }


def test_paths_lead_into_messages_as_langchain_has_them():
    outputs = {"messages": [HumanMessage("How many?"), AIMessage("40")]}
    assert row({"answer": "outputs.messages.-1.content"}, {}, outputs, None) == {"answer": "40"}
    # Not into what is no field of them.
    with pytest.raises(SutroInputError):
        row({"answer": "outputs.messages.-1.pretty_repr"}, {}, outputs, None)


def test_an_examples_metadata_wins_over_the_runs():
    class Run:
        extra = {"metadata": {"split": "easy", "model": "m"}}

    example = Example(id=uuid.uuid4(), inputs={}, metadata={"split": "hard"})
    spec = {"split": "metadata.split", "model": "metadata.model"}
    assert row(spec, run=Run(), example=example) == {"split": "hard", "model": "m"}


def test_a_callable_makes_one_field_of_what_it_names():
    spec = {
        "both": lambda outputs, reference_outputs: [outputs["answer"], reference_outputs["answer"]],
        "given": lambda **everything: sorted(everything),
        "question": "inputs.question",
        "defaults": lambda inputs, upper=False: inputs["region"].upper() if upper else "-",
    }
    assert row(spec) == {
        "both": ["40", "42"],
        "given": ["example", "inputs", "metadata", "outputs", "reference_outputs", "run"],
        "question": "How many?",
        "defaults": "-",
    }


def test_a_callable_makes_the_whole_row():
    assert row(lambda outputs: {"answer": outputs["answer"]}) == {"answer": "40"}
    made = row(lambda inputs: Judged(question=inputs["question"], answer="x"))
    assert made == {"question": "How many?", "answer": "x", "source": "none", "tone": None}
    with pytest.raises(SutroInputError, match="must return a dict, not int"):
        row(lambda inputs: 3)


def test_fields_of_a_schema_are_looked_up_by_name_with_the_outputs_first():
    schema = InputSchema(Judged, "judge")
    # `tone` is nowhere, and optional.
    assert row(None, schema=schema) == {
        "question": "How many?",
        "answer": "40",
        "source": "the book",
    }


def test_a_field_called_like_a_part_is_all_of_it():
    names = ("inputs", "outputs", "reference_outputs", "region")
    schema = InputSchema({"properties": {name: {} for name in names}}, "judge")
    assert row(None, schema=schema) == {
        "inputs": INPUTS,
        "outputs": OUTPUTS,
        "reference_outputs": REFERENCE,
        "region": "EMEA",
    }


def test_without_schema_and_spec_the_parts_are_the_fields():
    assert row(None) == {"inputs": INPUTS, "outputs": OUTPUTS, "reference_outputs": REFERENCE}
    assert row(None, "Why?", "Because.", None) == {"inputs": "Why?", "outputs": "Because."}
    assert row(None, "Why?", "So.", None, extra={"context": "c"}) == {
        "inputs": "Why?",
        "outputs": "So.",
        "context": "c",
    }
    with pytest.raises(SutroInputError, match="'outputs' was not found"):
        row(None, "Why?", None, None)


def test_what_else_a_caller_gives_fills_fields_of_that_name():
    schema = InputSchema(Judged, "judge")
    given = {"source": "the caller", "context": "not a field"}
    assert row(None, schema=schema, extra=given)["source"] == "the caller"
    assert "context" not in row(None, schema=schema, extra=given)


SECRET = "do not tell"


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("outputs.anser", "outputs has answer, messages"),
        ("outputs.messages.9.content", "outputs.messages has 2 items"),
        ("outputs.messages.last", "outputs.messages has 2 items"),
        ("outputs.messages.0.text", "outputs.messages.0 has content"),
        ("outputs.answer.text", "outputs.answer is of type str"),
        ("reference_outputs.answer", "reference_outputs is empty"),
        ("reference_outputs", "reference_outputs is empty"),
        ("metadata.split", "metadata is empty"),
    ],
)
def test_a_missing_path_is_told_with_its_field_and_the_keys_there_but_no_value(path, said):
    outputs = {"answer": SECRET, "messages": [{"content": SECRET}] * 2}
    with pytest.raises(SutroInputError) as caught:
        row({"verdict": path}, {"question": SECRET}, outputs, None)
    assert caught.value.column == "verdict"
    assert f"'verdict' comes from '{path}'" in str(caught.value)
    assert said in str(caught.value)
    assert SECRET not in str(caught.value)


def test_a_missing_name_is_told_with_all_keys_there_are():
    schema = InputSchema(Judged, "judge")
    with pytest.raises(SutroInputError) as caught:
        row(None, {"q": SECRET}, {"answer": SECRET}, None, schema=schema)
    assert caught.value.column == "question"
    assert "outputs has answer; inputs has q; reference_outputs is empty" in str(caught.value)
    assert SECRET not in str(caught.value)


def test_many_keys_are_not_all_told():
    with pytest.raises(SutroInputError) as caught:
        row({"a": "inputs.x"}, {f"key{n}": n for n in range(500)}, {}, None)
    assert "key19, …" in str(caught.value)
    assert "key20" not in str(caught.value)


@pytest.mark.parametrize(
    "spec",
    [
        {"a": "output.answer"},
        {"a": "outputs..answer"},
        {"a": ""},
        {"a": 3},
        {"a": lambda question: question},
        {"a": lambda: "x"},
        {"a": lambda inputs, /: inputs},
        {"a": dict},
        ["inputs.question"],
        "inputs.question",
        lambda inputs, question: inputs,
    ],
)
def test_what_cannot_be_understood_is_told_at_once(spec):
    with pytest.raises(SutroConfigurationError):
        FieldMapping.of(spec)


def test_an_empty_value_is_a_value():
    assert row({"a": "outputs.x"}, {}, {"x": None}, None) == {"a": None}
    assert row({"a": "outputs.x"}, {}, {"x": ""}, None) == {"a": ""}


def test_a_mapping_of_paths_pickles():
    mapping = pickle.loads(pickle.dumps(FieldMapping.of({"a": "outputs.answer"})))
    assert mapping.row(INPUTS, OUTPUTS, None) == {"a": "40"}


def test_messages_as_they_are_can_be_sent():
    made = row(None, [HumanMessage("How many?")], {"messages": [AIMessage("40")]}, None)
    sent = encode_row(made)
    assert sent["inputs"][0]["content"] == "How many?"
    assert sent["outputs"]["messages"][0]["content"] == "40"


KEYS = st.text(st.characters(blacklist_characters=".", codec="utf-8"), min_size=1, max_size=4)
TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=12,
)


def leaves(value, path):
    yield path, value
    steps = value.items() if isinstance(value, dict) else ()
    if isinstance(value, list):
        steps = [(str(n), one) for n, one in enumerate(value)]
        steps += [(str(n - len(value)), one) for n, one in enumerate(value)]
    for step, inner in steps:
        yield from leaves(inner, f"{path}.{step}")


@given(st.dictionaries(KEYS, TREES, max_size=3))
def test_every_place_of_any_outputs_has_a_path(outputs):
    for path, value in leaves(outputs, "outputs"):
        found = row({"field": path}, {}, outputs, None)["field"]
        assert found is value or found == value


@given(st.dictionaries(KEYS, TREES, max_size=3), st.lists(KEYS, min_size=1, max_size=3))
def test_no_path_fails_with_anything_but_an_input_error(outputs, steps):
    path = ".".join(["outputs", *steps])
    known = {one for one, _ in leaves(outputs, "outputs")}
    try:
        row({"field": path}, {}, outputs, None)
        found = True
    except SutroInputError:
        found = False
    assert found or path not in known
