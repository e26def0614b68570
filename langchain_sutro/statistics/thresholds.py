"""The least confidence above which a Function is right often enough, with a guarantee."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from langchain_sutro._core.exports import exported_from
from langchain_sutro.errors import SutroInputError
from langchain_sutro.statistics.intervals import booleans, check_level, extra, numbers

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

__all__ = ["GuaranteedThreshold", "guaranteed_threshold"]

_LOOKS = 20


@exported_from("langchain_sutro.statistics")
@dataclass(frozen=True)
class GuaranteedThreshold:
    """A confidence above which answers are right often enough.

    Attributes:
        threshold: The least confidence that is accepted, 0 to 1; None if none can be guaranteed.
        accuracy: Share of the accepted labelled rows that are right; None without a threshold.
        accepted: Number of labelled rows with at least this confidence.
        coverage: Share of the labelled rows that are accepted.
        rows: Number of labelled rows.
        reason: Why there is no threshold, and what would help; empty if there is one.
    """

    threshold: float | None
    accuracy: float | None
    accepted: int
    coverage: float
    rows: int
    reason: str = ""


@exported_from("langchain_sutro.statistics")
def guaranteed_threshold(
    confidences: Iterable[Any],
    correct: Iterable[Any],
    accuracy: float,
    *,
    confidence_level: float = 0.95,
) -> GuaranteedThreshold:
    """The least confidence at which accuracy is at least so much, with a guarantee.

    With probability `confidence_level` (over the choice of the labelled rows), answers with at
    least the returned confidence are right in a share of at least `accuracy` of all rows of this
    kind. Up to 20 thresholds are tested with the exact binomial test, from the highest
    on. Since several looks find something by chance, each has a twentieth of the error; a look that
    passes hands its share on to the next (the fallback procedure of Wiens, 2003).

    Args:
        confidences: The confidence of each labelled row, 0 to 1.
        correct: Whether the answer of each row is right, in the same order.
        accuracy: The share of right answers that is wanted, 0 to 1.
        confidence_level: Probability that the guarantee holds.

    Returns:
        The threshold. Its `threshold` is None, with a `reason`, if the labelled rows are too few or
        the answers too often wrong to guarantee anything.

    Raises:
        SutroInputError: The lengths differ, or a value is not what it should be.
        SutroConfigurationError: SciPy is not installed.
    """
    check_level(confidence_level)
    check_level(accuracy, "accuracy")
    scores, right = numbers(confidences, "confidences"), booleans(correct, "correct")
    if len(scores) != len(right):
        raise SutroInputError(f"There are {len(scores)} confidences and {len(right)} rows.")
    with extra():
        from scipy.stats import binom  # noqa: PLC0415
    order = np.argsort(-scores, kind="stable")
    scores, hits = scores[order], np.cumsum(right[order], dtype=np.int64)
    best, budget = 0, 0.0
    counts = _looks(scores)
    # How likely are so few wrong answers if the accuracy is just too low?
    chances = binom.cdf(counts - hits[counts - 1], counts, 1 - accuracy)
    for count, chance in zip(counts.tolist(), chances, strict=True):
        budget += (1 - confidence_level) / len(counts)
        if chance <= budget:
            best = count
        else:
            budget = 0.0
    rows = len(scores)
    if not best:
        reason = _reason(hits, accuracy, confidence_level, len(counts))
        return GuaranteedThreshold(None, None, 0, 0.0, rows, reason)
    return GuaranteedThreshold(
        float(scores[best - 1]), float(hits[best - 1] / best), best, best / rows, rows
    )


def _looks(scores: NDArray[np.float64]) -> NDArray[np.int64]:
    """Numbers of rows to accept, most confident first: evenly spread, and never within a tie."""
    # The last row of each distinct confidence; labels play no part in the choice.
    ends = np.flatnonzero(np.diff(scores, append=-np.inf)) + 1
    wanted = np.linspace(0, len(scores), _LOOKS + 1)[1:]
    positions = np.minimum(np.searchsorted(ends, wanted), len(ends) - 1)
    return np.unique(ends[positions])


def _reason(hits: NDArray[np.int64], accuracy: float, confidence_level: float, looks: int) -> str:
    # Without a single error, accuracy ** n is how likely that is by chance.
    needed = int(np.ceil(np.log((1 - confidence_level) / looks) / np.log(accuracy)))
    rows = len(hits)
    if rows < needed:
        return f"{rows} labelled rows are too few: label at least {needed}."
    return (
        f"{hits[-1]} of {rows} labelled rows are right, and no threshold leaves rows that are "
        f"right often enough: label more rows, or ask for less than {accuracy:g}."
    )
