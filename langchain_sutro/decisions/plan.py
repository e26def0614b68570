"""`Plan`: the calls that answer the questions of one request."""

from __future__ import annotations

from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from langchain_core.decisions import (
    Choice,
    ChoiceAnswer,
    ClassifierResponse,
    Noul,
    NoulAnswer,
    ScoreAnswer,
)

from langchain_sutro._core.results import FunctionResult
from langchain_sutro.decisions.probabilities import judgement
from langchain_sutro.decisions.questions import read_request
from langchain_sutro.errors import SutroError
from langchain_sutro.functions import check_row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from langchain_core.decisions import Answer

    from langchain_sutro.decisions.judges import Judges
    from langchain_sutro.decisions.outcomes import Outcomes
    from langchain_sutro.decisions.questions import AskedQuestion
    from langchain_sutro.functions import SutroFunction

__all__ = ["Call", "Plan", "named", "naming", "total_usage"]

_E = TypeVar("_E", bound=SutroError)


@dataclass(frozen=True)
class Call:
    """A call of a Function.

    Attributes:
        function: The Function.
        row: Its input, encoded.
        question: The id of the first question that it answers.
    """

    function: SutroFunction
    row: Any
    question: str


@dataclass(frozen=True)
class _Asked:
    """A question, and where its answer comes from."""

    question: AskedQuestion
    outcomes: Outcomes
    share_rest: bool
    call: int


class Plan:
    """What is called for a request, and what the results answer.

    Attributes:
        calls: The calls. Questions that ask the same of the same Function share one.
    """

    def __init__(self, asked: Mapping[str, _Asked], calls: list[Call]) -> None:
        self.calls = calls
        self._asked = asked

    @classmethod
    def of(cls, request: Any, judges: Judges, encode: Callable[[Any], Any]) -> Plan:
        """Plan a request.

        Args:
            request: `state` and `questions`.
            judges: The Functions of the decision model.
            encode: Encodes the input of a Function.

        Raises:
            SutroInputError: The request is not valid, or the state lacks what a Function needs.
            SutroDecisionError: The labels of a question are not those of its Function.
        """
        state, questions = read_request(request)
        calls: list[Call] = []
        asked = {}
        for name, question in questions.items():
            with naming(name):
                judge = judges.of(name)
                outcomes = judge.reading.outcomes(question)
                row = encode(check_row(judge.function, judge.input.row(name, question, state)))
                place = _place(calls, Call(judge.function, row, name))
            asked[name] = _Asked(question, outcomes, judge.share_rest, place)
        return cls(asked, calls)

    def response(self, model: str, results: Sequence[Any]) -> ClassifierResponse:
        """The response to the request.

        Args:
            model: The name of the decision model.
            results: The payload of each call, or its error.

        Raises:
            SutroDecisionError: An answer does not answer its question.
            SutroError: The error of a call.
        """
        answers: dict[str, Answer] = {}
        for name, asked in self._asked.items():
            with naming(name):
                result = results[asked.call]
                if isinstance(result, Exception):
                    raise result
                answers[name] = _answer(asked, result)
        return ClassifierResponse(
            model=model,
            answers=answers,
            usage=_tokens(results),
            request_id=_ids(results),
        )

    def facts(self, results: Sequence[Any]) -> dict[str, Any]:
        """What the run of the request tells about its calls.

        Args:
            results: The payload of each call, or its error.
        """
        payloads = [one for one in results if isinstance(one, FunctionResult)]
        confidences = [one.confidence for one in payloads if one.confidence is not None]
        return {
            "sutro_request_id": _ids(payloads),
            "sutro_confidence": min(confidences, default=None),
            "sutro_decisions": {
                name: {
                    "function": self.calls[asked.call].function.function,
                    "request_id": getattr(results[asked.call], "request_id", None),
                    "confidence": getattr(results[asked.call], "confidence", None),
                }
                for name, asked in self._asked.items()
            },
        }


def _place(calls: list[Call], call: Call) -> int:
    """The place of an equal call, or of this one at the end."""
    for place, one in enumerate(calls):
        if one.function is call.function and one.row == call.row:
            return place
    calls.append(call)
    return len(calls) - 1


@contextmanager
def naming(question: str) -> Iterator[None]:
    """Whatever goes wrong names the question."""
    try:
        yield
    except SutroError as error:
        raise named(error, question) from error.__cause__


def named(error: _E, question: str) -> _E:
    """The same error, whose message and attribute `question` name the question."""
    if getattr(error, "question", None) is not None:
        return error
    found: Any = copy(error)
    found.args = (f"Question {question!r}: {error}", *error.args[1:])
    found.question = question
    own: _E = found.with_traceback(error.__traceback__)
    return own


def _answer(asked: _Asked, result: FunctionResult) -> Answer:
    judged = judgement(result, asked.outcomes, share_rest=asked.share_rest)
    question, weights = asked.question, judged.probabilities
    if isinstance(question, Noul):
        return NoulAnswer(type="noul", noul=weights["yes"])
    if isinstance(question, Choice):
        return ChoiceAnswer(
            type="choice",
            choice=str(judged.outcome),
            probabilities={str(label): weight for label, weight in weights.items()},
            confidence=judged.confidence,
        )
    levels = {int(level): weight for level, weight in weights.items()}
    return ScoreAnswer(
        type="score",
        score=sum(level * weight for level, weight in levels.items()),
        legend=dict(enumerate(question.criteria)),
        probabilities=levels,
        confidence=judged.confidence,
    )


def _ids(results: Sequence[FunctionResult]) -> str | None:
    """The service's ids of the calls, as one string."""
    return ", ".join(one.request_id for one in results if one.request_id) or None


def _tokens(results: Sequence[FunctionResult]) -> Any:
    usage = total_usage(results)
    counts = {name: usage[name] for name in ("input_tokens", "output_tokens") if name in usage}
    return {**counts, "total_tokens": sum(counts.values())} if len(counts) == 2 else None


def total_usage(results: Sequence[FunctionResult]) -> dict[str, Any]:
    """The sum of what the calls used: tokens and `cost_usd`, each only if all calls tell it."""
    found = {}
    for name in ("input_tokens", "output_tokens", "cost_usd"):
        values: list[Any] = [(one.usage or {}).get(name) for one in results]
        if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
            found[name] = sum(values)
    return found
