"""What a judge's payload says: score, value, comment, confidence, or why there is no verdict."""

import json

import numpy as np
import pytest

from langchain_sutro import SutroFunction, errors
from langchain_sutro._core.results.payload import FunctionResult
from langchain_sutro.evaluation.evaluator import SutroEvaluator


def told(payload, **options):
    evaluator = SutroEvaluator(
        SutroFunction("judge", api_url="http://127.0.0.1:9", api_key="sk_test_key"), **options
    )
    return evaluator.feedback(FunctionResult(payload))["results"]


@pytest.mark.parametrize(
    ("output", "options", "score", "value"),
    [
        ("pass", {"score": {"pass": 1, "fail": 0}}, 1, "pass"),
        (" Pass", {"score": {"PASS": True}}, True, " Pass"),
        ("unclear", {"score": {"pass": 1, "unclear": None}}, None, "unclear"),
        ("pass", {}, None, "pass"),
        (True, {}, True, None),
        (0.25, {}, 0.25, None),
        (True, {"score": {True: 0.0, False: 1.0}}, 0.0, "true"),
        ({"score": 4, "reasoning": "r"}, {}, 4, None),
        ({"a": 1, "b": 2}, {}, None, {"a": 1, "b": 2}),
        ({"a": 1, "b": 2}, {"score": lambda r: r["output"]["a"] / 2}, 0.5, {"a": 1, "b": 2}),
        ("x", {"score": lambda _: np.int64(3)}, 3.0, "x"),
        (["x", "y"], {"score": lambda r: len(r.answer)}, 2, '["x", "y"]'),
    ],
)
def test_a_verdict_becomes_score_and_value(output, options, score, value):
    (verdict,) = told({"output": output}, **options)
    assert (verdict.key, verdict.score, verdict.value) == ("judge", score, value)
    assert type(verdict.score) is type(score)
    assert verdict.extra is None


@pytest.mark.parametrize(
    ("payload", "options", "why"),
    [
        ({"output": "maybe"}, {"score": {"pass": 1}}, "'maybe', but score= has only 'pass'"),
        ({"output": {"a": 1, "b": 2}}, {"score": {"pass": 1}}, "several fields, a, b"),
        ({}, {}, "gave no verdict"),
        ({"output": "x"}, {"score": lambda _: "high"}, "A score must be a finite number"),
        ({"output": "x"}, {"score": lambda _: float("nan")}, "A score must be a finite number"),
        ({"output": "x"}, {"score": lambda r: r["missing"]}, "KeyError"),
        ({"output": "x"}, {"comment": lambda _: 1 / 0}, "ZeroDivisionError"),
    ],
)
def test_a_verdict_without_a_known_score_is_an_error_and_no_score(payload, options, why):
    results = told({**payload, "confidence": 0.9}, **options)
    assert [one.key for one in results] == ["judge", "judge_confidence"]
    for one in results:
        assert one.score is one.value is None
        assert why in one.comment
        assert one.extra == {"error": True}


def test_the_rationale_is_the_comment_unless_another_is_made():
    payload = {"output": {"verdict": "pass", "reasoning": "It says so."}}
    assert told(payload)[0].comment == "It says so."
    assert told(payload, comment=lambda r: f"{r.answer}!")[0].comment == "pass!"
    assert told({"output": "pass"})[0].comment is None


def test_the_confidence_has_its_own_key_or_none():
    payload = {"output": "pass", "confidence": 0.5}
    assert [one.key for one in told(payload, key="k")] == ["k", "k_confidence"]
    assert [one.key for one in told(payload, confidence_key="sure")] == ["judge", "sure"]
    assert [one.key for one in told(payload, confidence_key=None)] == ["judge"]
    assert [one.key for one in told({"output": "pass"})] == ["judge"]


def test_a_weak_verdict_keeps_its_value_and_has_no_score():
    scores = {"pass": 1}
    for confidence in (0.5, None):
        payload = {"output": "pass", "confidence": confidence, "rationale": "r"}
        verdict = told(payload, score=scores, min_confidence=0.8)[0]
        assert (verdict.score, verdict.value, verdict.comment) == (None, "pass", "r")
        assert verdict.extra == {"low_confidence": True}
    strong = {"output": True, "confidence": 0.8}
    assert told(strong, min_confidence=0.8)[0].score is True
    # LangSmith wants no numbers as values.
    assert told({"output": 3}, min_confidence=0.8)[0].value == "3"
    with pytest.raises(errors.SutroConfigurationError, match="between 0 and 1"):
        told(strong, min_confidence=80)


def test_feedback_has_neither_key_nor_prompt():
    payload = {
        "response": "pass",
        "confidence": 0.5,
        "rationale": "r",
        "usage": {"system_prompt": "the prompt"},
        "predictions": [{"label": "pass", "confidence": 0.5}],
    }
    sent = json.dumps([one.model_dump(mode="json") for one in told(payload)])
    assert "the prompt" not in sent
    assert "sk_test_key" not in sent


def test_two_verdicts_that_differ_in_case_alone_are_refused():
    with pytest.raises(errors.SutroConfigurationError, match="only in case"):
        SutroEvaluator("agrees", score={"Pass": 1, "pass": 0})
    with pytest.raises(errors.SutroConfigurationError, match="A score must be"):
        SutroEvaluator("agrees", score={"pass": "high"})
