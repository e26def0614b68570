"""How far several judges, or people, agree beyond chance."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from langchain_sutro._core.exports import exported_from
from langchain_sutro.errors import SutroInputError
from langchain_sutro.statistics.intervals import Estimate, check_level, extra

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

__all__ = ["Agreement", "agreement"]

_DRAWS = 2_000


@exported_from("langchain_sutro.statistics")
@dataclass(frozen=True)
class Agreement:
    """How far judges agree, in several measures: 1 is perfect agreement, 0 that of chance.

    Attributes:
        observed: Share of the pairs of labels of one row that are the same.
        gwet_ac1: Gwet's AC1, which stays meaningful where nearly all rows have one label.
        krippendorff_alpha: Krippendorff's alpha for nominal labels.
        cohen_kappa: Cohen's kappa, with an analytic interval; None unless there are two judges.
        rows: Number of rows with at least two labels.
        labels: The labels that occur, sorted as strings.
    """

    observed: float
    gwet_ac1: Estimate
    krippendorff_alpha: Estimate
    cohen_kappa: Estimate | None
    rows: int
    labels: tuple[Any, ...]


@exported_from("langchain_sutro.statistics")
def agreement(*judges: Iterable[Any], confidence_level: float = 0.95, seed: int = 0) -> Agreement:
    """How far judges agree on the same rows.

    Args:
        *judges: The labels of each judge, row by row and of equal length; None, or what pandas has
            for a missing value, where a judge has not labelled a row.
        confidence_level: Of the intervals. Those of AC1 and alpha are bootstrap intervals over
            the rows.
        seed: Of the bootstrap, so that the same labels give the same intervals.

    Raises:
        SutroInputError: There are fewer than two judges, the lengths differ, fewer than two rows
            have two labels, or a label is a list or something else that cannot be counted.
        SutroConfigurationError: statsmodels is not installed.
    """
    check_level(confidence_level)
    given = [[None if _is_missing(one) else one for one in labels] for labels in judges]
    if len(given) < 2:
        raise SutroInputError("Agreement is between judges: give the labels of at least two.")
    if len({len(labels) for labels in given}) > 1:
        lengths = ", ".join(str(len(labels)) for labels in given)
        raise SutroInputError(f"The judges have different numbers of labels: {lengths}.")
    names, counts = _counts(given)
    paired = counts[counts.sum(axis=1) >= 2]
    if len(paired) < 2:
        raise SutroInputError("Fewer than two rows have labels of two judges.")
    # Rows that were labelled alike count together, so that a million rows are a few.
    kinds, often = np.unique(counts, axis=0, return_counts=True)
    draws = np.random.default_rng(seed).multinomial(len(counts), often / len(counts), _DRAWS)
    whole = often[None, :]
    return Agreement(
        float(_observed(paired).mean()),
        _estimate(_ac1(kinds, whole), _ac1(kinds, draws), confidence_level),
        _estimate(_alpha(kinds, whole), _alpha(kinds, draws), confidence_level),
        _kappa(given, names, confidence_level) if len(given) == 2 else None,
        len(paired),
        tuple(names),
    )


def _is_missing(label: Any) -> bool:
    """Whether it is None, or a missing value of pandas: NaN, NaT or NA.

    Raises:
        SutroInputError: It cannot be counted.
    """
    if label is None:
        return True
    if not isinstance(label, Hashable):
        raise SutroInputError(f"A label is a {type(label).__name__}: labels are single values.")
    try:
        return bool(label != label)  # noqa: PLR0124 - NaN and NaT differ from themselves
    except TypeError:
        # NA is neither equal to itself nor different.
        return True


def _counts(judges: Sequence[Sequence[Any]]) -> tuple[list[Any], NDArray[np.float64]]:
    """The labels, and how often each row has each of them."""
    names = sorted({one for labels in judges for one in labels if one is not None}, key=str)
    index = {name: position for position, name in enumerate(names)}
    counts = np.zeros((len(judges[0]), len(names)))
    for labels in judges:
        for row, label in enumerate(labels):
            if label is not None:
                counts[row, index[label]] += 1
    return names, counts


def _observed(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """For each row the share of its pairs of labels that are the same."""
    total = counts.sum(axis=1)
    same: NDArray[np.float64] = (counts * (counts - 1)).sum(axis=1) / (total * (total - 1))
    return same


def _ac1(counts: NDArray[np.float64], weights: NDArray[Any]) -> NDArray[np.float64]:
    """Gwet's AC1 for each set of row weights."""
    total = counts.sum(axis=1)
    paired, labelled = total >= 2, total >= 1
    same = np.zeros(len(counts))
    same[paired] = _observed(counts[paired])
    shares = counts / np.maximum(total, 1)[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        observed = weights @ same / (weights @ paired)
        prevalence = weights @ shares / (weights @ labelled)[:, None]
        kinds = counts.shape[1]
        if kinds == 1:
            alone: NDArray[np.float64] = observed
            return alone
        chance = (prevalence * (1 - prevalence)).sum(axis=1) / (kinds - 1)
        found: NDArray[np.float64] = (observed - chance) / (1 - chance)
    return found


def _alpha(counts: NDArray[np.float64], weights: NDArray[Any]) -> NDArray[np.float64]:
    """Krippendorff's alpha for nominal labels, for each set of row weights."""
    total = counts.sum(axis=1)
    paired = total >= 2
    counts, total, weights = counts[paired], total[paired], weights[:, paired]
    differing = (total**2 - (counts**2).sum(axis=1)) / (total - 1)
    labels = weights @ total
    by_label = weights @ counts
    with np.errstate(divide="ignore", invalid="ignore"):
        observed = weights @ differing / labels
        expected = (labels**2 - (by_label**2).sum(axis=1)) / (labels * (labels - 1))
        found: NDArray[np.float64] = np.where(expected > 0, 1 - observed / expected, 1.0)
    return found


def _estimate(
    value: NDArray[np.float64], draws: NDArray[np.float64], confidence_level: float
) -> Estimate:
    tail = (1 - confidence_level) / 2
    low, high = np.nanquantile(draws, [tail, 1 - tail])
    return Estimate(float(value[0]), float(low), float(high))


def _kappa(
    judges: Sequence[Sequence[Any]], names: Sequence[Any], confidence_level: float
) -> Estimate:
    index = {name: position for position, name in enumerate(names)}
    table = np.zeros((len(names), len(names)))
    for one, other in zip(*judges, strict=True):
        if one is not None and other is not None:
            table[index[one], index[other]] += 1
    if table.max() == table.sum() and np.trace(table):
        # Everybody always says the same: perfect agreement, of which kappa is 0 by 0.
        return Estimate(1.0, 1.0, 1.0)
    with extra():
        from scipy.stats import norm  # noqa: PLC0415
        from statsmodels.stats.inter_rater import cohens_kappa  # noqa: PLC0415
    with np.errstate(divide="ignore", invalid="ignore"):
        found = cohens_kappa(table)
    z = norm.ppf((1 + confidence_level) / 2)
    # Rounding makes a variance of 0 negative.
    half = float(z * np.sqrt(max(found.var_kappa, 0)))
    kappa = float(found.kappa)
    return Estimate(kappa, max(-1.0, kappa - half), min(1.0, kappa + half))
