"""The rules of the strictest clients, which Langfuse's evaluators apply to every response."""

import random

import pytest

from langchain_sutro.decisions import DecisionFunction
from langchain_sutro.local import Answer

WORDS = "refund invoice crash calm angry urgent delete quote seats today nothing hello".split()  # noqa: SIM905
TEXT = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}


def check(questions, response):
    """Exact ids, types and labels; sums, choice and score within the tolerances of the AI SDK."""
    answers = response["answers"]
    assert list(answers) == list(questions)
    for name, question in questions.items():
        answer = answers[name]
        assert answer["type"] == question["type"]
        if question["type"] == "noul":
            assert 0 <= answer["noul"] <= 1
            continue
        keys = list(question["criteria"])
        if question["type"] == "score":
            keys = [str(index) for index in range(len(keys))]
        weights = answer["probabilities"]
        assert list(weights) == keys
        assert all(0 <= weight <= 1 for weight in weights.values())
        assert abs(sum(weights.values()) - 1) <= 1e-6 + len(keys) * 0.005
        assert 0 <= answer["confidence"] <= 1
        if question["type"] == "choice":
            assert answer["choice"] in keys
            assert weights[answer["choice"]] >= max(weights.values()) - 1e-6
        else:
            assert answer["legend"] == dict(zip(keys, question["criteria"], strict=True))
            mean = sum(int(level) * weight for level, weight in weights.items())
            tolerance = 1e-6 + 0.005 * sum(range(len(keys))) + 0.005
            assert abs(answer["score"] - mean) <= tolerance
            assert 0 <= answer["score"] <= len(keys) - 1


def questions(chance):
    def text():
        return " ".join(chance.choices(WORDS, k=chance.randint(0, 4)))

    labels = [f"{text()} {n}" for n in range(chance.choice((1, 2, 3, 26, 255)))]
    return {
        "a noul": {"type": "noul", "instructions": text()},
        "🎯": {"type": "choice", "criteria": {one: text() or None for one in labels}},
        "score": {
            "type": "score",
            "instructions": {"x": text()},
            "criteria": [text() or "-" for _ in range(chance.choice((2, 3, 10)))],
        },
        "structured": {
            "type": "score",
            "criteria": [{"level": text()}, [text()], text()],
            "instructions": [text()],
        },
    }


@pytest.mark.parametrize("generation", ["deployment", "hosted"])
@pytest.mark.parametrize("seed", range(12))
def test_a_general_judge_keeps_the_rules(serve, generation, seed):
    chance = random.Random(seed)
    asked = questions(chance)
    state = {"text": " ".join(chance.choices(WORDS, k=8)), "n": seed}
    answer = serve(generation).post(
        "/v1/systemone", json={"model": "judges", "state": state, "questions": asked}
    )
    assert answer.status_code == 200, answer.text
    check(asked, answer.json())


@pytest.mark.parametrize("confidence", [0.0, 0.01, 0.3333, 0.49, 0.5, 0.51, 0.9999, 1.0])
def test_confidences_alone_keep_the_rules(serve, deployment, confidence):
    deployment.publish(
        "b", lambda row: Answer("b", confidence=confidence), input_schema=TEXT, output_schema={}
    )
    asked = {
        "pair": {"type": "choice", "criteria": {"a": None, "b": None}},
        "levels": {"type": "score", "criteria": ["a", "b"]},
        "noul": {"type": "noul"},
    }
    judge = DecisionFunction("b", fields="text", yes=["b"])
    body = {"model": "judges", "state": "x", "questions": asked}
    answer = serve(functions=dict.fromkeys(asked, judge)).post("/v1/systemone", json=body)
    assert answer.status_code == 200, answer.text
    check(asked, answer.json())


@pytest.mark.parametrize("confidence", [0.34, 0.5, 0.8, 1.0])
def test_shared_rests_keep_the_rules(serve, deployment, confidence):
    deployment.publish(
        "b", lambda row: Answer("b", confidence=confidence), input_schema=TEXT, output_schema={}
    )
    asked = {
        "three": {"type": "choice", "criteria": {"a": None, "b": None, "c": None}},
        "levels": {"type": "score", "criteria": ["a", "b", "c"]},
    }
    judge = DecisionFunction("b", fields="text", share_rest=True)
    body = {"model": "judges", "state": "x", "questions": asked}
    answer = serve(functions=dict.fromkeys(asked, judge)).post("/v1/systemone", json=body)
    check(asked, answer.json())


def test_rounded_predictions_keep_the_rules(serve, deployment):
    labels = [f"label {n}" for n in range(7)]
    weights = [0.1429] * 7
    predictions = [
        {"label": label, "confidence": weight}
        for label, weight in zip(labels, weights, strict=True)
    ]
    deployment.publish(
        "seven",
        lambda row: Answer(labels[3], confidence=0.1429, predictions=predictions),
        input_schema=TEXT,
        output_schema={"type": "object", "properties": {"label": {"type": "string"}}},
    )
    asked = {
        "choice": {"type": "choice", "criteria": dict.fromkeys(labels)},
        "score": {"type": "score", "criteria": labels},
    }
    judge = DecisionFunction("seven", fields="text")
    body = {"model": "judges", "state": "x", "questions": asked}
    answer = serve("hosted", functions=dict.fromkeys(asked, judge)).post("/v1/systemone", json=body)
    assert answer.status_code == 200, answer.text
    check(asked, answer.json())
    assert answer.json()["answers"]["choice"]["choice"] == labels[3]
