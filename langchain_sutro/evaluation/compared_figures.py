"""The figures that two experiments have in common, and how they differ."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING

# What it offers is loaded at use, with NumPy.
from langchain_sutro import statistics
from langchain_sutro._core.exports import exported_from
from langchain_sutro.evaluation.verdicts import row_verdicts

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from langchain_sutro.evaluation.experiment_row import ExperimentRow
    from langchain_sutro.evaluation.pairing import ExamplePair
    from langchain_sutro.statistics import Comparison

__all__ = ["ComparedFigure", "compared_figures"]

_ACCURACY = "accuracy"
_ANSWER = "answer"
# More different answers than this are no labels whose shares are worth comparing.
_MOST_ANSWERS = 20


@exported_from("langchain_sutro")
@dataclass(frozen=True)
class ComparedFigure:
    """One figure of two experiments.

    Attributes:
        key: The feedback key; `"accuracy"` for the share of answers that equal the expected ones,
            and `"answer"` for the answers themselves.
        verdict: The verdict or answer whose share is compared; None for a mean score.
        comparison: The figures with the interval of their difference and its p-value.
        left_out: Number of examples without this figure in one of the experiments.
        differing: The examples on which the experiments differ, those on which the second is lower
            first.
    """

    key: str
    verdict: str | None
    comparison: Comparison
    left_out: int
    differing: tuple[ExamplePair, ...]

    @property
    def examples_needed(self) -> int | None:
        """How many examples would show a difference as large as this one with a power of 80 %.

        None if there is no difference.
        """
        difference = self.comparison.difference.value
        return self.comparison.examples_needed(difference) if difference else None


def compared_figures(
    pairs: Sequence[ExamplePair], keys: Sequence[str], confidence_level: float
) -> list[ComparedFigure]:
    """Compare whatever both experiments have.

    Args:
        pairs: Their examples.
        keys: The feedback keys that both have.
        confidence_level: Of the intervals.

    Raises:
        SutroConfigurationError: The extra `statistics` is not installed.
    """
    rows = [row for pair in pairs for row in (*pair.first, *pair.second)]
    found = (
        _compared(key, verdict, values, pairs, confidence_level)
        for key, verdict, values in _figures(rows, keys)
    )
    return [one for one in found if one is not None]


_Values = dict[int, float | None]


def _figures(
    both: list[ExperimentRow], keys: Sequence[str]
) -> Iterator[tuple[str, str | None, _Values]]:
    """The value of each row, by the row's id in memory, for each figure."""
    if _ACCURACY not in keys:
        yield _ACCURACY, None, {id(row): _number(row.is_right) for row in both}
    for key in keys:
        yield key, None, {id(row): row.score(key) for row in both}
        said = row_verdicts(both, key)
        # The share of "true" is the mean score.
        if set(said) - {"true", "false", None}:
            yield from _shares(key, both, said)
    if _ANSWER not in keys:
        answers = [row.answer for row in both]
        known = [one for one in answers if one is not None]
        if all(isinstance(one, str | bool) for one in known) and len(set(known)) <= _MOST_ANSWERS:
            labels = [None if one is None else str(one) for one in answers]
            yield from _shares(_ANSWER, both, labels)


def _number(right: bool | None) -> float | None:
    return None if right is None else float(right)


def _shares(
    key: str, rows: list[ExperimentRow], said: list[str | None]
) -> Iterator[tuple[str, str, _Values]]:
    for verdict, _ in Counter(one for one in said if one is not None).most_common():
        yield (
            key,
            verdict,
            {
                id(row): None if one is None else float(one == verdict)
                for row, one in zip(rows, said, strict=True)
            },
        )


def _compared(
    key: str,
    verdict: str | None,
    values: _Values,
    pairs: Sequence[ExamplePair],
    confidence_level: float,
) -> ComparedFigure | None:
    """The comparison of one figure; None if fewer than two examples have it."""
    scored = [(_mean(values, pair.first), _mean(values, pair.second), pair) for pair in pairs]
    known = [(one, two, pair) for one, two, pair in scored if one is not None and two is not None]
    if len(known) < 2:
        return None
    before, after = [one for one, _, _ in known], [two for _, two, _ in known]
    differing = sorted(
        ((two - one, index) for index, (one, two, _) in enumerate(known) if one != two)
    )
    return ComparedFigure(
        key,
        verdict,
        statistics.compare(before, after, confidence_level=confidence_level),
        len(pairs) - len(known),
        tuple(known[index][2] for _, index in differing),
    )


def _mean(values: _Values, rows: tuple[ExperimentRow, ...]) -> float | None:
    given = [values[id(row)] for row in rows]
    known = [float(one) for one in given if one is not None and isfinite(one)]
    return sum(known) / len(known) if known else None
