"""The answers of each type of question, from what Functions answer; nothing is made up."""

import asyncio
import math
from typing import Literal

import pytest
from langchain_core.decisions import Choice, Noul, Score
from pydantic import BaseModel

from langchain_sutro import SutroFunction
from langchain_sutro.decisions import DecisionFunction, SutroDecisionModel
from langchain_sutro.errors import SutroDecisionError, SutroInputError
from langchain_sutro.local import Answer
from tests.decisions.conftest import runs

TWO = Choice(instructions="Which?", criteria={"a": None, "b": None})
THREE = Choice(instructions="Which?", criteria={"a": "first", "b": None, "c": {"x": 1}})
NOUL = Noul(instructions="Is it?")
LEVELS = Score(instructions="How much?", criteria=["low", "middle", "high"])
PAIR = Score(instructions="How much?", criteria=["low", "high"])
STATED = [
    {"label": "b", "confidence": 0.7},
    {"label": "a", "confidence": 0.2},
    {"label": "c", "confidence": 0.1},
]


def asked(model, question, state="x"):
    """The answer to the question `q`, which is the same with and without an event loop."""
    request = {"state": state, "questions": {"q": question}}
    response = model.invoke(request)
    assert asyncio.run(model.ainvoke(request)).answers == response.answers
    return response.answers["q"]


def refused(model, question, match, kind=SutroDecisionError):
    request = {"state": "x", "questions": {"q": question}}
    with pytest.raises(kind, match=rf"^Question 'q': .*{match}") as caught:
        model.invoke(request)
    assert caught.value.question == "q"
    with pytest.raises(kind, match=match):
        asyncio.run(model.ainvoke(request))


@pytest.mark.parametrize("generation", ["deployment", "hosted"])
def test_the_other_of_two_labels_is_the_complement(judge_of, generation):
    answer = asked(judge_of(Answer("a", confidence=0.9), generation), TWO)
    assert (answer.choice, answer.confidence) == ("a", 0.9)
    assert answer.probabilities == pytest.approx({"a": 0.9, "b": 0.1})
    assert list(answer.probabilities) == ["a", "b"]


def test_a_label_that_is_unlikely_yields_to_the_other_one(judge_of):
    answer = asked(judge_of(Answer("a", confidence=0.4)), TWO)
    assert (answer.choice, answer.confidence) == ("b", pytest.approx(0.6))
    assert answer.probabilities == pytest.approx({"a": 0.4, "b": 0.6})


def test_predictions_of_the_hosted_generation_are_the_distribution(judge_of):
    told = Answer("b", confidence=0.75, predictions=STATED)
    answer = asked(judge_of(told, "hosted"), THREE)
    assert (answer.choice, answer.confidence) == ("b", 0.75)
    assert answer.probabilities == {"a": 0.2, "b": 0.7, "c": 0.1}


@pytest.mark.parametrize("generation", ["deployment", "hosted"])
@pytest.mark.parametrize(
    "stated",
    [
        {"probabilities": {"a": 0.2, "b": 0.7, "c": 0.1}},
        {"distribution": STATED},
        {
            "predictions": [
                {"label": one["label"], "probability": one["confidence"]} for one in STATED
            ]
        },
    ],
)
def test_a_distribution_in_the_functions_own_output_is_used(judge_of, generation, stated):
    told = Answer({"label": "b", **stated, "rationale": "so"}, confidence=0.6)
    answer = asked(judge_of(told, generation), THREE)
    assert (answer.choice, answer.confidence) == ("b", 0.6)
    assert answer.probabilities == {"a": 0.2, "b": 0.7, "c": 0.1}


def test_rounded_probabilities_add_up_to_one(judge_of):
    told = {"label": "a", "probabilities": {"a": 0.34, "b": 0.33, "c": 0.34}}
    answer = asked(judge_of(Answer(told, confidence=0.34)), THREE)
    assert math.isclose(math.fsum(answer.probabilities.values()), 1, abs_tol=1e-12)


@pytest.mark.parametrize(
    ("told", "match"),
    [
        ({"a": 0.5, "b": 0.2, "c": 0.1}, "add up"),
        ({"a": 0.5, "b": 0.5}, "no probability for 'c'"),
        ({"a": 0.5, "b": 0.3, "c": 0.1, "d": 0.1}, "does not have"),
        ({"a": 0.2, "b": 0.7, "c": 0.1}, "highest probability"),
        ({"a": "0.5", "b": 0.3, "c": 0.2}, "not valid"),
        ({"a": 1.5, "b": -0.3, "c": -0.2}, "not valid"),
        ({"a": True, "b": 0, "c": 0}, "not valid"),
        ("most likely a", "not valid"),
        ([0.5, 0.3], "does not have"),
    ],
)
def test_a_distribution_that_makes_no_sense_is_an_error(judge_of, told, match):
    model = judge_of(Answer({"label": "a", "probabilities": told}, confidence=0.5))
    refused(model, THREE, match)


def test_a_missing_distribution_is_an_error(judge_of):
    model = judge_of(Answer("a", confidence=0.9))
    refused(model, THREE, "share_rest")
    refused(judge_of(Answer("low", confidence=0.9)), LEVELS, "share_rest")


def test_the_rest_is_shared_where_the_user_says_so(judge_of):
    answer = asked(judge_of(Answer("a", confidence=0.8), share_rest=True), THREE)
    assert answer.probabilities == pytest.approx({"a": 0.8, "b": 0.1, "c": 0.1})
    score = asked(judge_of(Answer("high", confidence=0.8), share_rest=True), LEVELS)
    assert score.probabilities == pytest.approx({0: 0.1, 1: 0.1, 2: 0.8})
    assert score.score == pytest.approx(1.7)
    refused(judge_of(Answer("a", confidence=0.2), share_rest=True), THREE, "so low")


@pytest.mark.parametrize("question", [TWO, NOUL, PAIR])
def test_an_answer_without_a_confidence_is_an_error(judge_of, question):
    labels = {"choice": "a", "noul": "yes", "score": "low"}
    refused(judge_of(Answer(labels[question.type])), question, "no confidence")
    stated = {"label": "a", "probabilities": {"a": 0.9, "b": 0.1}}
    refused(judge_of(Answer(stated)), TWO, "no confidence")


@pytest.mark.parametrize("question", [TWO, NOUL, LEVELS])
def test_an_answer_outside_of_the_question_is_an_error(judge_of, question):
    refused(judge_of(Answer("elsewhere", confidence=0.9)), question, "none of the question's")


@pytest.mark.parametrize("output", [{"a": "x", "b": "y"}, ["a"], {"label": None}])
def test_an_answer_that_is_not_a_label_is_an_error(judge_of, output):
    refused(judge_of(Answer(output, confidence=0.9)), TWO, "label")


@pytest.mark.parametrize(
    ("label", "about", "probability"),
    [
        ("yes", {}, 0.9),
        ("No", {}, 0.1),
        (True, {}, 0.9),
        (False, {}, 0.1),
        ("risky", {"yes": ["risky"]}, 0.9),
        ("safe", {"yes": ["risky"]}, 0.1),
        ("safe", {"yes": ["risky"], "labels": ["risky", "safe"]}, 0.1),
        ("bad", {"labels": {"bad": "yes", "good": "no"}}, 0.9),
        ("good", {"labels": {"bad": "yes", "good": "no"}}, 0.1),
        (1, {"yes": [1]}, 0.9),
    ],
)
def test_yes_is_what_the_user_says(judge_of, label, about, probability):
    answer = asked(judge_of(Answer(label, confidence=0.9), **about), NOUL)
    assert answer.noul == pytest.approx(probability)


def test_yes_of_several_labels_is_their_sum(judge_of):
    stated = {"label": "dangerous", "probabilities": {"dangerous": 0.5, "risky": 0.2, "safe": 0.3}}
    about = {"yes": ["dangerous", "risky"]}
    assert asked(judge_of(Answer(stated, confidence=0.5), **about), NOUL).noul == pytest.approx(0.7)
    # From the confidence alone, the others are not known.
    three = {**about, "labels": ["dangerous", "risky", "safe"]}
    refused(judge_of(Answer("risky", confidence=0.5), **three), NOUL, "share_rest")
    assert asked(judge_of(Answer("safe", confidence=0.6), **three), NOUL).noul == pytest.approx(0.4)
    shared = judge_of(Answer("risky", confidence=0.5), share_rest=True, **three)
    assert asked(shared, NOUL).noul == pytest.approx(0.75)


@pytest.mark.parametrize(
    ("label", "about"),
    [
        ("high", {}),
        ("HIGH", {}),
        (1, {}),
        ("1", {}),
        ("bad", {"levels": ["good", "bad"]}),
        ("bad", {"labels": {"good": "low", "bad": "high"}}),
        (2, {"levels": [1, 2]}),
    ],
)
def test_levels_are_in_the_order_of_the_question(judge_of, label, about):
    answer = asked(judge_of(Answer(label, confidence=0.75), **about), PAIR)
    assert answer.probabilities == {0: 0.25, 1: 0.75}
    assert answer.score == 0.75
    assert answer.legend == {0: "low", 1: "high"}
    assert answer.confidence == 0.75


def test_numbers_among_the_texts_of_levels_are_texts(judge_of):
    question = Score(instructions="Stars?", criteria=["1", "2"])
    assert asked(judge_of(Answer("2", confidence=0.9)), question).score == pytest.approx(0.9)
    structured = Score(instructions="Stars?", criteria=[{"stars": 1}, {"stars": 2}])
    assert asked(judge_of(Answer("1", confidence=0.9)), structured).score == pytest.approx(0.9)


def test_the_score_is_the_mean_of_a_distribution(judge_of):
    for stated in ({"low": 0.1, "middle": 0.3, "high": 0.6}, [0.1, 0.3, 0.6]):
        told = Answer({"label": "high", "probabilities": stated}, confidence=0.6)
        answer = asked(judge_of(told), LEVELS)
        assert answer.score == pytest.approx(1.5)


@pytest.mark.parametrize(
    ("question", "about", "match"),
    [
        (THREE, {"labels": ["a", "b"]}, "the same"),
        (TWO, {"labels": ["a", "b", "c"]}, "the same"),
        (TWO, {"labels": {"x": "a", "y": "z"}}, "the same"),
        (NOUL, {"labels": ["a", "b"]}, "yes="),
        (NOUL, {"labels": ["a", "b"], "yes": ["c"]}, "yes="),
        (NOUL, {"labels": ["a", "b"], "yes": ["a", "b"]}, "yes="),
        (LEVELS, {"levels": ["low", "high"]}, "3 levels"),
        (PAIR, {"levels": ["low", "high"], "labels": ["low", "top"]}, "2 levels"),
        (PAIR, {"labels": ["good", "bad"]}, "levels="),
    ],
)
def test_known_labels_that_do_not_fit_are_refused_before_the_call(
    deployment, judge_of, question, about, match
):
    refused(judge_of(Answer("a", confidence=0.9), **about), question, match)
    assert runs(deployment) == []


class Label(BaseModel):
    label: Literal["a", "b"]
    rationale: str


class Flag(BaseModel):
    flag: bool


@pytest.mark.parametrize(
    ("output_model", "question"),
    [(Label, THREE), (Label, NOUL), (Label, LEVELS), (Flag, TWO)],
)
def test_the_labels_of_an_output_model_are_known(deployment, at, output_model, question):
    function = SutroFunction("judge", output_model=output_model, **at["deployment"])
    model = SutroDecisionModel(model="one", functions={"q": function})
    refused(model, question, "labels are")
    assert runs(deployment) == []


def test_labels_are_renamed(judge_of):
    about = {"labels": {"qualified": "a", "not_qualified": "b"}}
    answer = asked(judge_of(Answer("not_qualified", confidence=0.7), **about), TWO)
    assert answer.choice == "b"
    merged = {"labels": {"x": "a", "y": "b", "z": "b"}}
    stated = {"label": "y", "probabilities": {"x": 0.1, "y": 0.6, "z": 0.3}}
    answer = asked(judge_of(Answer(stated, confidence=0.6), **merged), TWO)
    assert answer.probabilities == pytest.approx({"a": 0.1, "b": 0.9})


def test_labels_that_differ_in_case_are_told_apart(judge_of):
    question = Choice(instructions="Which?", criteria={"A": None, "a": None})
    assert asked(judge_of(Answer("a", confidence=0.9)), question).choice == "a"
    assert asked(judge_of(Answer("A", confidence=0.9)), question).choice == "A"


def test_a_single_label_is_certain(judge_of):
    question = Choice(instructions="Which?", criteria={"a": None})
    assert asked(judge_of(Answer("a", confidence=0.9)), question).probabilities == {"a": 1.0}


@pytest.mark.parametrize("generation", ["deployment", "hosted"])
def test_a_general_judge_answers_any_question(judges, generation):
    model = judges(generation, functions={}, default="any-question")
    state = "I was charged twice and want a refund."
    questions = {
        "team": Choice(
            instructions="Which team?", criteria={"billing": "Refunds", "technical": "Crashes"}
        ),
        "refund": Noul(instructions="Does the customer want money back?"),
        "mood": Score(instructions="How angry?", criteria=["calm", "angry", "furious"]),
        "structured": Score(instructions={"is": "it?"}, criteria=[{"level": "calm"}, {"x": [1]}]),
    }
    answers = model.invoke({"state": state, "questions": questions}).answers
    assert answers["team"].choice == "billing"
    assert answers["refund"].noul > 0.5
    assert set(answers["mood"].probabilities) == {0, 1, 2}
    assert answers["structured"].legend == {0: {"level": "calm"}, 1: {"x": [1]}}


@pytest.mark.parametrize(
    "request_",
    [
        {"state": "x"},
        {"questions": {"q": NOUL}},
        {"state": "x", "questions": {}},
        {"state": None, "questions": {"q": NOUL}},
        {"state": 3, "questions": {"q": NOUL}},
        {"state": "x", "questions": {"": NOUL}},
        {"state": "x", "questions": {"q": {"type": "box", "instructions": "Where?"}}},
        {"state": "x", "questions": {"q": {"type": "choice", "criteria": {}}}},
        {"state": "x", "questions": {"q": "Is it?"}},
        {"state": "x", "questions": {"other": NOUL}},
        "x",
    ],
)
def test_a_request_that_makes_no_sense_is_refused_before_the_call(deployment, judge_of, request_):
    model = judge_of(Answer("yes", confidence=0.9))
    with pytest.raises(SutroInputError):
        model.invoke(request_)
    assert runs(deployment) == []


def test_questions_may_be_dicts(judge_of):
    model = judge_of(Answer("yes", confidence=0.9))
    request = {"state": "x", "questions": {"q": {"type": "noul", "instructions": "?"}}}
    assert model.invoke(request).nouls["q"].noul == 0.9


@pytest.mark.parametrize(
    "about",
    [
        {"labels": []},
        {"yes": []},
        {"yes": ["a", "a"]},
        {"fields": {"text": "a..b"}},
        {"fields": {"text": 3}},
        {"fields": 3},
        {"fields": lambda one, two: one},
    ],
)
def test_what_cannot_be_meant_is_refused_when_it_is_said(about):
    with pytest.raises(Exception, match=r"labels|path|fields|string"):
        DecisionFunction("judge", **about)
