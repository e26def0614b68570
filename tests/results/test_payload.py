"""One answer: its parts, and how a row of a job becomes one."""

import copy
import json
import pickle

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from IPython.lib.pretty import pretty
from pydantic import BaseModel, Field

from langchain_sutro._core.results.payload import FunctionResult, parse_output_model, row_result
from langchain_sutro.errors import SutroAPIError, SutroRowError

DEPLOYMENT = {
    "request_id": "rt_01",
    "function": {"name": "ticket-triage"},
    "output": {"label": "billing", "reasoning": "mentions an invoice"},
    "confidence": 0.83,
    "usage": {"input_tokens": 812, "output_tokens": 41, "cost_usd": 0.0031},
}
HOSTED = {
    "response": "qualified",
    "confidence": 0.9,
    "predictions": [{"label": "qualified", "confidence": 0.9}],
    "rationale": "has a budget",
    "usage": {"input_tokens": 1, "output_tokens": 2, "system_prompt": "hunter2"},
}


def row(output, confidence=0.5, generation="deployment"):
    return row_result(output, confidence, generation=generation, job_id="job-1", row_index=7)


def test_a_result_is_the_payload_and_its_parts():
    result = FunctionResult(DEPLOYMENT)
    assert result == DEPLOYMENT
    assert json.loads(json.dumps(result)) == json.loads(orjson.dumps(result)) == DEPLOYMENT
    assert result.answer == "billing"
    assert result.output == DEPLOYMENT["output"]
    assert result.confidence == 0.83
    assert result.rationale == "mentions an invoice"
    assert result.usage == DEPLOYMENT["usage"]
    assert result.request_id == "rt_01"
    assert result.predictions is None


def test_a_result_of_the_hosted_generation_has_the_same_parts():
    result = FunctionResult(HOSTED)
    assert result.answer == result.output == "qualified"
    assert result.rationale == "has a budget"
    assert result.predictions == HOSTED["predictions"]
    assert result.request_id is None
    assert FunctionResult(run_id="r").request_id == "r"


@pytest.mark.parametrize(
    ("payload", "answer"),
    [
        ({"response": ["a", "b"], "output": {"x": 1}}, ["a", "b"]),
        ({"response": None}, None),
        ({"output": "text"}, "text"),
        ({"output": ["a"]}, ["a"]),
        ({"output": {"label": "a"}}, "a"),
        ({"output": {"label": "a", "rationale": "r", "reasoning": "s"}}, "a"),
        ({"output": {"label": False, "rationale": "r"}}, False),
        ({"output": {"a": 1, "b": 2}}, {"a": 1, "b": 2}),
        ({"output": {"rationale": "r"}}, {"rationale": "r"}),
        ({"output": {}}, {}),
        ({}, None),
    ],
)
def test_the_answer_is_one_rule_for_every_shape(payload, answer):
    assert FunctionResult(payload).answer == answer


def test_a_rationale_at_the_top_comes_before_one_inside():
    assert FunctionResult(rationale="", output={"rationale": "x"}).rationale == ""
    assert FunctionResult(rationale=None, output={"rationale": "x"}).rationale == "x"
    assert FunctionResult(output={"label": 1}).rationale is None


def test_the_prompt_is_left_out_of_repr_and_on_request_of_a_copy():
    result = FunctionResult(HOSTED)
    bare = result.without_prompt()
    assert isinstance(bare, FunctionResult)
    assert bare == HOSTED | {"usage": {"input_tokens": 1, "output_tokens": 2}}
    assert result.usage == HOSTED["usage"]
    assert "hunter2" not in f"{result!r} {result}"
    assert FunctionResult(usage=None).without_prompt() == {"usage": None}


def test_a_notebook_shows_a_result_over_several_lines_and_without_its_prompt():
    result = FunctionResult(
        output={"label": "qualified", "rationale": "There is a budget. " * 6},
        usage={"input_tokens": 12, "system_prompt": "secret"},
    )
    shown = pretty(result)
    assert "\n" in shown
    assert "secret" not in shown
    assert eval(shown, {"FunctionResult": FunctionResult}) == result.without_prompt()


@pytest.mark.parametrize(
    "duplicate", [lambda it: pickle.loads(pickle.dumps(it)), copy.copy, copy.deepcopy]
)
def test_a_result_pickles_and_copies(duplicate):
    result = duplicate(FunctionResult(HOSTED))
    assert type(result) is FunctionResult
    assert (result, result.answer) == (HOSTED, "qualified")


@pytest.mark.parametrize("score", [None, "high", True, {}])
def test_a_confidence_that_is_no_number_is_none(score):
    assert FunctionResult(confidence=score).confidence is None


def test_a_row_has_the_shape_of_a_real_time_answer_of_the_deployment_generation():
    result = row('{"label":"a","rationale":"r"}')
    assert result == {"output": {"label": "a", "rationale": "r"}, "confidence": 0.5}
    assert (result.answer, result.rationale, result.confidence) == ("a", "r", 0.5)


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ('{"label":"a","rationale":"r"}', {"response": "a", "rationale": "r"}),
        ('{"label":["a","b"],"reasoning":"r"}', {"response": ["a", "b"], "rationale": "r"}),
        ('{"label":"a"}', {"response": "a"}),
        ('{"a":1,"b":2,"rationale":"r"}', {"output": {"a": 1, "b": 2}, "rationale": "r"}),
        ('{"a":1,"b":2}', {"output": {"a": 1, "b": 2}, "rationale": ""}),
        ("plain", {"response": "plain"}),
    ],
)
def test_a_row_has_the_shape_of_a_real_time_answer_of_the_hosted_generation(output, expected):
    assert row(output, generation="hosted") == {**expected, "confidence": 0.5}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("plain text", "plain text"),
        ("", ""),
        ("00123", "00123"),
        ("1.10", "1.10"),
        ("1e5", "1e5"),
        ("NaN", "NaN"),
        (" 42", " 42"),
        ("-", "-"),
        ("42", 42),
        ("0.75", 0.75),
        ("1e-07", 1e-07),
        ("true", True),
        ("false", False),
        ('"quoted"', "quoted"),
        ('"he" said', '"he" said'),
        ("[1, 2]", [1, 2]),
        (' {"a": 1}\n', {"a": 1}),
        ('{"n": 123456789012345678901234567890}', {"n": 123456789012345678901234567890}),
        ("123456789012345678901234567890", 123456789012345678901234567890),
        ('{"d": "2026-01-02"}', {"d": "2026-01-02"}),
    ],
)
def test_json_is_parsed_and_any_other_text_is_the_answer(text, value):
    output = row(text).output
    assert (output, type(output)) == (value, type(value))


@pytest.mark.parametrize("generation", ["deployment", "hosted"])
@pytest.mark.parametrize(
    "output",
    [
        None,
        "null",
        '{"hunter2": 1',
        "[1, 2",
        '{"a": ' + "[" * 300 + "]" * 300 + "}",
        "[" * 100_000,
        '{"a": 1} {"b": 2}',
        '{"content": "{broken", "reasoning_content": ""}',
        '{"content": null, "reasoning_content": "r"}',
    ],
)
def test_a_row_without_a_usable_output_is_an_error_that_is_returned(output, generation):
    error = row(output, generation=generation)
    assert isinstance(error, SutroRowError)
    assert (error.job_id, error.row_index) == ("job-1", 7)
    assert str(error).startswith("Row 7 of job job-1 has ")
    assert "hunter2" not in str(error)


def test_a_row_that_is_parsed_already_is_taken_as_it_is():
    assert row({"label": "a"}).output == {"label": "a"}
    assert row(0).output == 0


def test_a_confidence_may_be_missing():
    assert row("x", None) == {"output": "x", "confidence": None}
    assert row("x", float("nan"))["confidence"] is None


@pytest.mark.parametrize(
    ("content", "output"),
    [
        ('"text"', "text"),
        ('"{\\"label\\": \\"a\\"}"', {"label": "a"}),
        ('{"label": "a"}', {"label": "a"}),
    ],
)
def test_the_envelope_of_a_reasoning_model_is_opened_and_nothing_is_lost(content, output):
    text = f'{{"content": {content}, "reasoning_content": "thinking"}}'
    expected = {"output": output, "confidence": 0.5, "reasoning_content": "thinking"}
    assert row(text) == expected


def test_what_has_other_keys_is_no_envelope():
    output = {"content": "x", "reasoning_content": "y", "label": "z"}
    assert row(json.dumps(output)).output == output
    assert row('{"content": "x"}').output == {"content": "x"}


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.text(), json_values, max_size=4) | st.lists(json_values, max_size=3))
def test_every_json_output_comes_back_as_it_was(value):
    if isinstance(value, dict) and value.keys() == {"content", "reasoning_content"}:
        return
    assert row(json.dumps(value)).output == value
    assert row(json.dumps(value, ensure_ascii=False, indent=1)).output == value


@given(st.text())
def test_every_text_is_an_answer_or_an_error(text):
    result = row(text)
    if isinstance(result, SutroRowError):
        assert text == "null" or text.lstrip()[0] in "{["
    elif isinstance(result.output, str) and not text.startswith('"'):
        assert result.output == text


class Verdict(BaseModel):
    label: str = Field(alias="verdict")
    rationale: str = ""


class Company(BaseModel):
    name: str
    size: int


def test_an_output_becomes_the_model():
    result = FunctionResult(output={"name": "Acme", "size": 3})
    assert parse_output_model(result, Company) == Company(name="Acme", size=3)


def test_an_answer_alone_becomes_the_one_field_of_the_model():
    verdict = parse_output_model(FunctionResult(response="yes", rationale="r"), Verdict)
    assert verdict == Verdict(verdict="yes", rationale="r")
    assert parse_output_model(FunctionResult(response="yes"), Verdict).rationale == ""


def test_an_output_that_does_not_fit_names_model_and_fields_but_no_values():
    result = FunctionResult(output={"size": "hunter2"})
    with pytest.raises(SutroAPIError, match="does not fit Company") as caught:
        parse_output_model(result, Company)
    assert caught.value.status_code == 200
    assert "name: " in str(caught.value)
    assert "size: " in str(caught.value)
    assert "hunter2" not in str(caught.value)
    with pytest.raises(SutroRowError, match="Row 3 of job job-1 does not fit Company") as row_error:
        parse_output_model(result, Company, job_id="job-1", row_index=3)
    assert (row_error.value.job_id, row_error.value.row_index) == ("job-1", 3)
    with pytest.raises(SutroAPIError, match="the whole"):
        parse_output_model(FunctionResult(output="text"), Company)
