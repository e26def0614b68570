"""The probabilities of a question's outcomes, from a Function's answer; nothing is made up."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from langchain_sutro._core.results import answer_fields
from langchain_sutro.decisions.state import is_list
from langchain_sutro.errors import SutroDecisionError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from langchain_sutro._core.results import FunctionResult
    from langchain_sutro.decisions.outcomes import Outcome, Outcomes

__all__ = ["Judgement", "judgement"]

# The fields of an output in which a Function itself gives the probability of each label.
_OWN = ("probabilities", "distribution", "predictions")
_WEIGHTS = ("probability", "confidence")
# Rounding of each probability, as other clients of decision models allow it.
_ROUNDING = 0.005
_EXACT = 1e-6


class Judgement(NamedTuple):
    """What a Function's answer says about a question.

    Attributes:
        outcome: The likeliest outcome.
        confidence: How likely that is right, as the Function says.
        probabilities: That of each outcome; their sum is 1.
    """

    outcome: Outcome
    confidence: float
    probabilities: dict[Outcome, float]


def judgement(result: FunctionResult, outcomes: Outcomes, *, share_rest: bool) -> Judgement:
    """Read an answer.

    Args:
        result: The Function's payload.
        outcomes: Those of the question.
        share_rest: Whether what the confidence leaves is shared equally among the other labels,
            where the Function does not say how likely each of them is.

    Raises:
        SutroDecisionError: The answer is none of the outcomes, has no confidence, or does not say
            how likely the others are.
    """
    label, given = _answer(result)
    confidence = result.confidence
    if confidence is None or not 0 <= confidence <= 1:
        raise SutroDecisionError(
            "the Function's answer has no confidence, without which it is not a decision."
        )
    if given is not None:
        return _stated(label, float(confidence), given, outcomes)
    return _derived(outcomes.meant_by(label), float(confidence), outcomes, share_rest=share_rest)


def _answer(result: FunctionResult) -> tuple[Any, list[tuple[Any, float]] | None]:
    """The label that a Function answers with, and the probabilities that it states."""
    value = result["response"] if "response" in result else result.get("output")
    given = result.predictions
    if isinstance(value, Mapping):
        fields = answer_fields(value)
        own = next((name for name in _OWN if name in fields and len(fields) > 1), None)
        if own is not None:
            given = fields.pop(own)
        if len(fields) != 1:
            raise SutroDecisionError(
                f"the Function answers with {len(fields)} fields, and a decision needs one label."
            )
        value = next(iter(fields.values()))
    if not isinstance(value, str | bool | int | float):
        raise SutroDecisionError("the Function's answer is not a label.")
    return value, None if given is None else list(_pairs(given))


def _pairs(given: Any) -> Iterator[tuple[Any, float]]:
    if isinstance(given, Mapping):
        items: list[Any] = list(given.items())
    elif is_list(given):
        items = [_item(index, one) for index, one in enumerate(given)]
    else:
        items = [(None, None)]
    for label, weight in items:
        number = isinstance(weight, int | float) and not isinstance(weight, bool)
        if label is None or not number or not 0 <= weight <= 1:
            raise SutroDecisionError("the probabilities in the Function's answer are not valid.")
        yield label, float(weight)


def _item(index: int, one: Any) -> tuple[Any, Any]:
    if not isinstance(one, Mapping):
        return index, one
    return one.get("label"), next((one[name] for name in _WEIGHTS if name in one), None)


def _stated(
    label: Any, confidence: float, given: list[tuple[Any, float]], outcomes: Outcomes
) -> Judgement:
    """Probabilities that the Function or the service states for each label."""
    found: dict[Outcome, float] = {}
    for one, weight in given:
        outcome = outcomes.find(one)
        if outcome is None:
            raise SutroDecisionError(
                "the Function states the probability of a label that the question does not have."
            )
        found[outcome] = found.get(outcome, 0.0) + weight
    missing = [outcome for outcome in outcomes.asked if outcome not in found]
    if missing:
        raise SutroDecisionError(
            f"the Function states no probability for {', '.join(map(repr, missing[:20]))}."
        )
    total = math.fsum(found.values())
    if abs(total - 1) > _EXACT + _ROUNDING * len(given):
        raise SutroDecisionError("the probabilities in the Function's answer do not add up to 1.")
    # Only what rounding took is given back.
    scale = 1.0 if abs(total - 1) < 1e-9 else total
    probabilities = {outcome: found[outcome] / scale for outcome in outcomes.asked}
    answered = outcomes.meant_by(label)
    if probabilities[answered] < max(probabilities.values()) - _EXACT:
        raise SutroDecisionError(
            "the Function's answer is not the label to which it gives the highest probability."
        )
    return Judgement(answered, confidence, probabilities)


def _derived(
    answered: Outcome, confidence: float, outcomes: Outcomes, *, share_rest: bool
) -> Judgement:
    """Probabilities from the confidence of the answer alone."""
    others = [outcome for outcome in outcomes.asked if outcome != answered]
    if not others:
        return Judgement(answered, confidence, {answered: 1.0})
    exact = len(others) == 1 and outcomes.labels_of(answered) == 1
    if not exact and not share_rest:
        raise SutroDecisionError(
            "the Function gives the confidence of its answer alone, and not how likely each of "
            "its other labels is. share_rest=True shares the rest of the confidence equally. "
            "Real-time runs of the hosted generation state the probability of every label, which "
            "the rows of its jobs do not."
        )
    if exact:
        probabilities = {answered: confidence, others[0]: 1 - confidence}
    else:
        each = (1 - confidence) / (outcomes.labels - 1)
        probabilities = {outcome: each * outcomes.labels_of(outcome) for outcome in others}
        probabilities[answered] = confidence + each * (outcomes.labels_of(answered) - 1)
    in_order = {outcome: probabilities[outcome] for outcome in outcomes.asked}
    return _likeliest(answered, confidence, in_order)


def _likeliest(
    answered: Outcome, confidence: float, probabilities: dict[Outcome, float]
) -> Judgement:
    top = max(probabilities.values())
    if probabilities[answered] >= top - _EXACT:
        return Judgement(answered, confidence, probabilities)
    best = [outcome for outcome, weight in probabilities.items() if weight >= top - _EXACT]
    if len(best) > 1:
        raise SutroDecisionError(
            "the confidence of the Function's answer is so low that others are likelier, but it "
            "does not say which."
        )
    return Judgement(best[0], top, probabilities)
