"""What judges said of many runs, in little memory."""

from __future__ import annotations

import math
from array import array
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from langsmith.evaluation import EvaluationResult

__all__ = ["JudgeAnswer", "JudgeAnswers", "answer_of"]

_EPOCH, _MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class JudgeAnswer:
    """What one judge said of one run.

    Attributes:
        score: The score of its verdict; None for a verdict without one, or a failed judgement.
        value: The verdict as a string, where it is not the score itself.
        confidence: The probability that the verdict is right, 0 to 1; None if it was not scored.
    """

    score: float | None = None
    value: str | None = None
    confidence: float | None = None

    @property
    def verdict(self) -> float | str | None:
        """The verdict: its string, or the score if there is none."""
        return self.score if self.value is None else self.value


class JudgeAnswers:
    """The answers of one judge; those of 100,000 runs take some 5 MB."""

    def __init__(self) -> None:
        self._ids = bytearray()
        self._starts, self._codes = array("q"), array("L")
        self._scores, self._confidences = array("d"), array("d")
        self._values: dict[str | None, int] = {None: 0}

    def add(self, run_id: UUID, start_time: datetime, answer: JudgeAnswer) -> None:
        """Note what the judge said of a run, or that it said nothing."""
        self._ids += run_id.bytes
        self._starts.append((_utc(start_time) - _EPOCH) // _MICROSECOND)
        self._scores.append(_held(answer.score))
        self._confidences.append(_held(answer.confidence))
        self._codes.append(self._values.setdefault(answer.value, len(self._values)))

    def __iter__(self) -> Iterator[tuple[UUID, datetime, JudgeAnswer]]:
        """Each run once, when it started, and the first answer that was added for it."""
        values, seen = list(self._values), set[bytes]()
        for index, start in enumerate(self._starts):
            raw = bytes(self._ids[16 * index : 16 * index + 16])
            if raw in seen:
                continue
            seen.add(raw)
            answer = JudgeAnswer(
                _number(self._scores[index]),
                values[self._codes[index]],
                _number(self._confidences[index]),
            )
            yield UUID(bytes=raw), _EPOCH + start * _MICROSECOND, answer


def answer_of(results: Sequence[EvaluationResult]) -> JudgeAnswer:
    """What a judge said, from the feedback that it gave: its verdict, then its confidence."""
    verdict, *others = results
    score = verdict.score
    return JudgeAnswer(
        None if score is None else float(score),
        verdict.value if isinstance(verdict.value, str) else None,
        None if not others or others[0].score is None else float(others[0].score),
    )


def _utc(moment: datetime) -> datetime:
    """LangSmith's times without a zone are UTC."""
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _held(number: float | None) -> float:
    return math.nan if number is None else float(number)


def _number(held: float) -> float | None:
    return None if math.isnan(held) else held
