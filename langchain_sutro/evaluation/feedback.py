"""The answers of a judging Function as LangSmith feedback: score, value, comment, confidence."""

from __future__ import annotations

import json
import logging
from contextlib import suppress
from dataclasses import dataclass
from math import isfinite
from numbers import Real
from typing import TYPE_CHECKING, Any, TypeAlias

from langsmith.evaluation import EvaluationResult

from langchain_sutro._core.results import FunctionResult
from langchain_sutro._core.tracing import model_facts
from langchain_sutro._core.version import __version__
from langchain_sutro.errors import SutroConfigurationError, SutroError
from langchain_sutro.functions import by_verdict, verdict_key

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from langchain_sutro.functions import Judge

__all__ = ["Judgements", "Scores", "Verdicts"]

Scores: TypeAlias = "Mapping[Any, float | None] | Callable[[FunctionResult], Any] | None"

_log = logging.getLogger(__name__)

# How much of an unknown verdict an error shows.
_SHOWN = 60


@dataclass(frozen=True)
class Judgements:
    """Turns payloads into feedback.

    Attributes:
        judge: The Function that judges, and the confidence from which its verdicts get a score.
        key: The feedback key of the verdict.
        score: Returns the score of a payload; None uses an answer that is a number or boolean.
        comment: Returns the comment; None uses the rationale.
        confidence_key: The feedback key of the confidence; None for no such feedback.
    """

    judge: Judge
    key: str
    score: Callable[[FunctionResult], Any] | None
    comment: Callable[[FunctionResult], str | None] | None
    confidence_key: str | None

    @property
    def keys(self) -> list[str]:
        """The keys of all feedback."""
        return [self.key] if self.confidence_key is None else [self.key, self.confidence_key]

    def of(self, result: FunctionResult) -> list[EvaluationResult]:
        """The verdict and, if it was scored, its confidence.

        Raises:
            SutroError: There is no verdict, or it has no known score.
        """
        answer = result.answer
        if answer is None:
            raise SutroError(f"Function {self.judge.function.function!r} gave no verdict.")
        said = self._verdict(result, answer)
        if not self.judge.is_confident(result):
            said |= {"score": None, "extra": {"low_confidence": True}}
        if said["score"] is not answer:
            # LangSmith accepts no bare numbers as values.
            said["value"] = answer if isinstance(answer, str | dict) else _text(answer)
        found = [self._result(self.key, result, **said)]
        if self.confidence_key is not None and result.confidence is not None:
            found.append(self._result(self.confidence_key, result, score=result.confidence))
        return found

    def or_failure(self, result: Mapping[str, Any] | Exception) -> list[EvaluationResult]:
        """As `of`, but an error is logged and becomes feedback without a score."""
        if not isinstance(result, Exception):
            try:
                return self.of(FunctionResult(result))
            except Exception as error:  # noqa: BLE001 - the user's callables may raise anything
                result = error
        why = repr(result)
        _log.warning("Evaluator %s: %s", self.key, why)
        return [self._result(key, None, comment=why, extra={"error": True}) for key in self.keys]

    def _verdict(self, result: FunctionResult, answer: Any) -> dict[str, Any]:
        if self.score is not None:
            score = _number(self.score(result))
        else:
            score = answer if isinstance(answer, int | float) else None
        comment = result.rationale if self.comment is None else self.comment(result)
        return {"score": score, "comment": comment if comment is None else _text(comment)}

    def _result(self, key: str, result: FunctionResult | None, **said: Any) -> EvaluationResult:
        function = self.judge.function
        answered = model_facts(None if result is None else result.model)
        info = {
            "provider": "sutro",
            "function": function.function,
            "package": "langchain-sutro",
            "version": __version__,
            **{name: value for name, value in answered.items() if value is not None},
        }
        with suppress(SutroConfigurationError):
            info["generation"] = function.client.settings.generation
        return EvaluationResult(key=key, evaluator_info=info, **said)


class Verdicts:
    """The score of each verdict, ignoring case.

    Args:
        scores: The score of each verdict; None for a verdict without a score.
        function: The Function's name, for messages.

    Raises:
        SutroConfigurationError: Two verdicts differ only in case, or a score is not valid.
    """

    def __init__(self, scores: Mapping[Any, float | None], function: str) -> None:
        self._function = function
        found = by_verdict(scores, "score")
        self._scores = {verdict: _number(score) for verdict, score in found.items()}

    def __call__(self, result: FunctionResult) -> float | None:
        """The score of a payload's answer.

        Raises:
            SutroError: The answer has no known score.
        """
        answer = result.answer
        if isinstance(answer, dict):
            raise SutroError(
                f"Function {self._function!r} answers with several fields, "
                f"{', '.join(map(str, answer))}: pass a callable as score= that returns one score."
            )
        word = verdict_key(answer)
        if word not in self._scores:
            raise SutroError(
                f"Function {self._function!r} gave the verdict {word[:_SHOWN]!r}, but score= has "
                f"only {', '.join(map(repr, self._scores))}."
            )
        return self._scores[word]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _number(score: Any) -> float | None:
    """A score that LangSmith accepts."""
    if score is None or isinstance(score, bool | int):
        return score
    # NumPy's numbers too.
    if isinstance(score, Real) and isfinite(score):
        return float(score)
    raise SutroConfigurationError(
        f"A score must be a finite number, a boolean or None, not {score!r}."
    )
