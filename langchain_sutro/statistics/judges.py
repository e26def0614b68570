"""How often a judge is right, and a pass rate that is corrected for its errors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from langchain_sutro._core.exports import exported_from
from langchain_sutro.errors import SutroInputError
from langchain_sutro.statistics.corrected_shares import JudgedCounts
from langchain_sutro.statistics.intervals import (
    Estimate,
    booleans,
    check_level,
    normal_quantile,
    proportion,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["JudgeRates", "PassRate", "judge_rates", "pass_rate"]


@exported_from("langchain_sutro.statistics")
@dataclass(frozen=True)
class JudgeRates:
    """How a judge did on rows that people have labelled.

    Attributes:
        sensitivity: Share of the rows labelled True that the judge passed.
        specificity: Share of the rows labelled False that the judge did not pass.
        accuracy: Share of all rows on which they agree.
        positives: Number of rows labelled True.
        negatives: Number of rows labelled False.
    """

    sensitivity: Estimate
    specificity: Estimate
    accuracy: Estimate
    positives: int
    negatives: int

    @property
    def true_positives(self) -> int:
        """Number of rows labelled True that the judge passed."""
        return round(self.sensitivity.value * self.positives)

    @property
    def true_negatives(self) -> int:
        """Number of rows labelled False that the judge did not pass."""
        return round(self.specificity.value * self.negatives)


@exported_from("langchain_sutro.statistics")
@dataclass(frozen=True)
class PassRate:
    """The share of rows that pass.

    Attributes:
        raw: As the judge says, with a Wilson interval that ignores the judge's errors.
        corrected: Corrected for the judge's errors, with an interval for all of the uncertainty:
            that of the verdicts, and that of the judge's sensitivity and specificity. The same as
            `raw` if no labelled rows were given.
        verdicts: Number of verdicts.
        rates: The judge's rates, from the labelled rows; None without any.
    """

    raw: Estimate
    corrected: Estimate
    verdicts: int
    rates: JudgeRates | None


@exported_from("langchain_sutro.statistics")
def judge_rates(
    labels: Iterable[Any], verdicts: Iterable[Any], *, confidence_level: float = 0.95
) -> JudgeRates:
    """A judge's sensitivity and specificity, from rows that people have labelled.

    Args:
        labels: What people say of each row: True or False (1 or 0).
        verdicts: What the judge says of the same rows, in the same order.
        confidence_level: Of the intervals, which are Wilson's.

    Raises:
        SutroInputError: The lengths differ, a value is not a boolean, or one of the two labels does
            not occur, so that one of the rates is unknown.
        SutroConfigurationError: statsmodels is not installed.

    Examples:
        ```python
        from langchain_sutro.statistics import judge_rates

        rates = judge_rates([True, True, True, False, False], [True, True, False, False, False])
        print(rates.sensitivity, rates.specificity)
        ```
    """
    check_level(confidence_level)
    truth, said = booleans(labels, "labels"), booleans(verdicts, "verdicts")
    if len(truth) != len(said):
        raise SutroInputError(f"There are {len(truth)} labels and {len(said)} verdicts.")
    positives, negatives = int(truth.sum()), int((~truth).sum())
    if not positives or not negatives:
        raise SutroInputError(
            f"No labelled row is {not positives}: label rows of both kinds to learn both rates."
        )
    return JudgeRates(
        proportion(int((truth & said).sum()), positives, confidence_level),
        proportion(int((~truth & ~said).sum()), negatives, confidence_level),
        proportion(int((truth == said).sum()), len(truth), confidence_level),
        positives,
        negatives,
    )


@exported_from("langchain_sutro.statistics")
def pass_rate(
    verdicts: Iterable[Any],
    rates: JudgeRates | None = None,
    *,
    includes_labelled: bool = False,
    confidence_level: float = 0.95,
) -> PassRate:
    """The share of rows that pass, corrected for the errors of the judge that was asked.

    A judge that passes 5 % of the bad rows and fails 10 % of the good ones reports 0.815 where 0.9
    is true. The correction is that of Rogan and Gladen (1978):
    `(raw + specificity - 1) / (sensitivity + specificity - 1)`, cut to 0 … 1. Its interval is a
    score interval, as Wilson's is for a share without a judge: it holds the shares under which the
    verdicts and the labels are not too unlikely. `docs/judges.md` says how often it holds the truth
    in simulations.

    The labelled rows must be of the same kind as the rows of the verdicts, and must not be chosen
    by what the judge said of them.

    Args:
        verdicts: What the judge says of each row: True or False (1 or 0).
        rates: The judge's, from `judge_rates`; None for no correction.
        includes_labelled: Whether the labelled rows are some of those of `verdicts`, chosen at
            random. Their labels then also say how many rows pass, which makes the interval
            narrower, and the estimate is Tenenbein's (1970).
        confidence_level: Of the intervals.

    Raises:
        SutroInputError: A verdict is not a boolean, there are none, or the labelled rows cannot be
            among them; or the judge is no better than chance on the labelled rows (sensitivity +
            specificity of at most 1), and they are not among the verdicts.
        SutroConfigurationError: SciPy or statsmodels is not installed.
    """
    check_level(confidence_level)
    said = booleans(verdicts, "verdicts")
    raw = proportion(int(said.sum()), len(said), confidence_level)
    if rates is None:
        return PassRate(raw, raw, len(said), None)
    if not includes_labelled and rates.sensitivity.value + rates.specificity.value <= 1:
        raise SutroInputError(
            "On the labelled rows the judge is no better than chance (sensitivity "
            f"{rates.sensitivity.value:.2f}, specificity {rates.specificity.value:.2f}): its "
            "verdicts cannot be corrected."
        )
    counts = _counts(int(said.sum()), len(said), rates, includes_labelled)
    low, high = counts.interval(normal_quantile(confidence_level))
    corrected = Estimate(float(counts.share()[0]), float(low[0]), float(high[0]))
    return PassRate(raw, corrected, len(said), rates)


def _counts(passed: int, total: int, rates: JudgeRates, includes_labelled: bool) -> JudgedCounts:
    """The counts of unlabelled and labelled rows, each row once."""
    labelled = rates.positives + rates.negatives
    if includes_labelled:
        passed -= rates.true_positives + rates.negatives - rates.true_negatives
        total -= labelled
        if not 0 <= passed <= total:
            raise SutroInputError(
                f"The {labelled} labelled rows cannot be among the verdicts: there are too few "
                "verdicts of their kind."
            )
    counts = (
        passed,
        total,
        rates.true_positives,
        rates.positives,
        rates.true_negatives,
        rates.negatives,
    )
    return JudgedCounts(*np.array(counts, dtype=np.float64)[:, None], at_random=includes_labelled)
