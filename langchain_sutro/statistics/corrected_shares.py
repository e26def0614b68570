"""The share that passes, behind the errors of a judge: its score interval.

Wilson's interval for one share holds the values that a score test accepts. The interval here is
the same for the share that passes, where the judge's sensitivity and specificity are known from
labelled rows only: for each value the most likely rates under it are found, and the distance of the
data from them is measured by their variance. All functions work elementwise on arrays.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from langchain_sutro.statistics.boundaries import boundary

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["JudgedCounts"]

_HALVINGS = 45
_GROWTH, _GROWTHS = 8, 15
# Keeps the shares 0 and 1 apart from the ends, where nothing has a variance.
_END = 1e-12


@dataclass(frozen=True)
class JudgedCounts:
    """How often a judge said what.

    Attributes:
        passed: Number of unlabelled rows that it passed.
        rows: Number of unlabelled rows.
        true_positives: Number of rows labelled True that it passed.
        positives: Number of rows labelled True.
        true_negatives: Number of rows labelled False that it did not pass.
        negatives: Number of rows labelled False.
        at_random: Whether the labelled rows are a random sample, so that their labels also say how
            many rows pass.
    """

    passed: NDArray[np.float64]
    rows: NDArray[np.float64]
    true_positives: NDArray[np.float64]
    positives: NDArray[np.float64]
    true_negatives: NDArray[np.float64]
    negatives: NDArray[np.float64]
    at_random: bool = field(default=False, kw_only=True)

    def share(self) -> NDArray[np.float64]:
        """The most likely share that passes: Rogan and Gladen's, or Tenenbein's at random."""
        if self.at_random:
            return self._tenenbein()
        sensitivity = self.true_positives / self.positives
        specificity = self.true_negatives / self.negatives
        raw = self.passed / self.rows
        return np.clip((raw + specificity - 1) / (sensitivity + specificity - 1), 0, 1)

    def _tenenbein(self) -> NDArray[np.float64]:
        """Of the rows that the judge passed, and of the others, as many pass as of the labelled."""
        false_positives = self.negatives - self.true_negatives
        false_negatives = self.positives - self.true_positives
        labelled_passes = self.true_positives + false_positives
        labelled_fails = self.true_negatives + false_negatives
        passes = self.passed + labelled_passes
        fails = self.rows - self.passed + labelled_fails
        # Without a labelled row of a verdict, all labelled rows stand for its rows.
        whole = self.positives / (self.positives + self.negatives)
        of_passes = np.where(
            labelled_passes > 0, self.true_positives / np.maximum(labelled_passes, 1), whole
        )
        of_fails = np.where(
            labelled_fails > 0, false_negatives / np.maximum(labelled_fails, 1), whole
        )
        share: NDArray[np.float64] = (of_passes * passes + of_fails * fails) / (passes + fails)
        return share

    def interval(self, z: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The least and the largest share that the score test accepts.

        Args:
            z: The normal quantile of the confidence level.
        """
        middle = np.asarray(self.share())

        def accepts(share: NDArray[np.float64]) -> NDArray[np.bool_]:
            accepted: NDArray[np.bool_] = np.abs(self.score(share)) <= z
            return accepted

        # Both ends at once.
        ends = np.stack([np.zeros_like(middle), np.ones_like(middle)])
        low, high = boundary(accepts, np.stack([middle, middle]), ends)
        return low, high

    def score(self, share: NDArray[np.float64]) -> NDArray[np.float64]:
        """How far the data are from those that a share leads to, in standard errors."""
        share = np.clip(share, _END, 1 - _END)
        # What is tested: p - share * sensitivity + (1 - share) * specificity = 1 - share.
        parts = (
            (np.ones_like(share), self.passed, self.rows),
            (-share, self.true_positives, self.positives),
            (1 - share, self.true_negatives, self.negatives),
        )
        rates = _most_likely(parts, 1 - share)
        distance, variance = share - 1, np.zeros_like(share)
        for (weight, hits, of), rate in zip(parts, rates, strict=True):
            distance = distance + weight * hits / np.maximum(of, 1)
            variance = variance + weight**2 * rate * (1 - rate) / np.maximum(of, 1)
        variance = np.maximum(variance, _END**2)
        if not self.at_random:
            found: NDArray[np.float64] = distance / np.sqrt(variance)
            return found
        # Without unlabelled rows the labels alone speak.
        better = np.where(self.rows > 0, rates[1] + rates[2] - 1, 0.0)
        labelled = self.positives + self.negatives
        spread = share * (1 - share)
        slope = better * distance / variance + (self.positives - labelled * share) / spread
        both: NDArray[np.float64] = slope / np.sqrt(better**2 / variance + labelled / spread)
        return both


_Part = tuple["NDArray[np.float64]", "NDArray[np.float64]", "NDArray[np.float64]"]


def _most_likely(
    parts: tuple[_Part, _Part, _Part], total: NDArray[np.float64]
) -> list[NDArray[np.float64]]:
    """The most likely shares whose weighted sum is `total`, by Lagrange's multiplier."""

    def shares(multiplier: NDArray[np.float64]) -> list[NDArray[np.float64]]:
        return [_share(multiplier * weight, hits, of) for weight, hits, of in parts]

    def too_small(multiplier: NDArray[np.float64]) -> NDArray[np.bool_]:
        one, two, three = shares(multiplier)
        reached = parts[0][0] * one + parts[1][0] * two + parts[2][0] * three
        return np.asarray(reached < total)

    low, high = np.full_like(total, -1.0), np.ones_like(total)
    for _ in range(_GROWTHS):
        above, below = too_small(high), ~too_small(low)
        if not (above.any() or below.any()):
            break
        high = np.where(above, _GROWTH * high, high)
        low = np.where(below, _GROWTH * low, low)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        small = too_small(middle)
        low, high = np.where(small, middle, low), np.where(small, high, middle)
    return shares((low + high) / 2)


def _share(
    slope: NDArray[np.float64], hits: NDArray[np.float64], of: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The share that maximises its log-likelihood plus `slope` times itself."""
    lead = of - slope
    root = np.sqrt(np.maximum(lead**2 + 4 * slope * hits, 0))
    # The same root of the quadratic equation, in the form that does not cancel out.
    small = 2 * hits / np.where(lead + root > 0, lead + root, 1)
    large = (root - lead) / np.where(slope != 0, 2 * slope, 1)
    return np.clip(np.where(lead >= 0, small, large), 0, 1)
