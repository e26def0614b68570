"""Two experiments on the same examples: is the difference more than chance?"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, isfinite
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from langchain_sutro._core.exports import exported_from
from langchain_sutro.errors import SutroInputError
from langchain_sutro.statistics.intervals import (
    Estimate,
    check_level,
    extra,
    mean_score,
    normal_quantile,
    numbers,
)
from langchain_sutro.statistics.paired_shares import mcnemar_mid_p, tango_interval

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

__all__ = ["Comparison", "compare", "examples_needed"]

_DRAWS = 9_999


@exported_from("langchain_sutro.statistics")
@dataclass(frozen=True)
class Comparison:
    """Two sets of scores for the same examples.

    Attributes:
        examples: Number of examples.
        first: Mean score of the first.
        second: Mean score of the second.
        difference: Mean of second minus first, with its interval.
        p_value: How likely a difference of at least this size is if there is none.
        test: `"mcnemar"` for scores of 0 and 1, `"permutation"` for others.
        better: Examples on which the second scores higher.
        worse: Examples on which it scores lower.
        deviation: Standard deviation of the differences.
    """

    examples: int
    first: float
    second: float
    difference: Estimate
    p_value: float
    test: Literal["mcnemar", "permutation"]
    better: int
    worse: int
    deviation: float

    def examples_needed(self, difference: float, *, power: float = 0.8) -> int:
        """How many examples such an experiment needs to see a given difference.

        Args:
            difference: The difference of the means that matters.
            power: Probability with which it is to be found, at a significance of 5 %.

        Raises:
            SutroInputError: `difference` is 0, or `power` not between 0 and 1.
            SutroConfigurationError: SciPy is not installed.
        """
        return examples_needed(difference, deviation=self.deviation, power=power)


@exported_from("langchain_sutro.statistics")
def compare(
    first: Iterable[Any], second: Iterable[Any], *, confidence_level: float = 0.95, seed: int = 0
) -> Comparison:
    """Compare two sets of scores, example by example.

    Scores of 0 and 1 (or booleans) are compared by McNemar's test in its mid-p form, and the
    interval is Tango's (1998). Other scores are compared by a permutation test of the signs of the
    differences, and the interval is Student's.

    Args:
        first: The score of each example in the first experiment.
        second: The scores of the same examples in the second, in the same order.
        confidence_level: Of the interval.
        seed: Of the permutations, so that the same scores give the same p-value.

    Raises:
        SutroInputError: The lengths differ, a score is not a finite number, or there are fewer than
            two examples.
        SutroConfigurationError: SciPy is not installed.
    """
    check_level(confidence_level)
    a, b = numbers(first, "first"), numbers(second, "second")
    if len(a) != len(b):
        raise SutroInputError(
            f"There are {len(a)} and {len(b)} scores; compare the scores of the same examples."
        )
    if len(a) < 2:
        raise SutroInputError("There must be at least two examples to compare.")
    differences = b - a
    better, worse = int((differences > 0).sum()), int((differences < 0).sum())
    binary = set(np.unique(np.concatenate([a, b]))) <= {0.0, 1.0}
    if binary:
        p_value = float(mcnemar_mid_p(np.array([better]), np.array([worse]))[0])
        interval = _paired_shares(better, worse, len(a), confidence_level)
    else:
        p_value = _permutation(differences, seed)
        interval = mean_score(differences, confidence_level=confidence_level)
    return Comparison(
        len(a),
        float(a.mean()),
        float(b.mean()),
        interval,
        p_value,
        "mcnemar" if binary else "permutation",
        better,
        worse,
        float(differences.std(ddof=1)),
    )


@exported_from("langchain_sutro.statistics")
def examples_needed(difference: float, *, deviation: float, power: float = 0.8) -> int:
    """How many examples a paired experiment needs to see a given difference.

    Args:
        difference: The difference of the means that matters.
        deviation: Standard deviation of the differences between two scores of one example; for
            scores of 0 and 1 the square root of the share of examples that differ is enough.
        power: Probability with which it is to be found, at a significance of 5 %.

    Raises:
        SutroInputError: `difference` is 0 or not finite, `deviation` negative, or `power` not
            between 0 and 1.
        SutroConfigurationError: SciPy is not installed.
    """
    check_level(power, "power")
    if not difference:
        raise SutroInputError("No number of examples can show a difference of 0.")
    if not isfinite(difference):
        raise SutroInputError(f"difference must be a finite number, not {difference!r}.")
    if not deviation >= 0:
        raise SutroInputError(f"deviation must not be negative, not {deviation!r}.")
    with extra():
        from scipy.stats import norm  # noqa: PLC0415
    scale = (normal_quantile(0.95) + norm.ppf(power)) * deviation / difference
    return max(2, ceil(float(scale) ** 2))


def _paired_shares(better: int, worse: int, total: int, confidence_level: float) -> Estimate:
    z = normal_quantile(confidence_level)
    low, high = tango_interval(np.array([better]), np.array([worse]), np.array([total]), z)
    return Estimate((better - worse) / total, float(low[0]), float(high[0]))


def _permutation(differences: NDArray[np.float64], seed: int) -> float:
    if not differences.any():
        return 1.0
    with extra():
        from scipy.stats import permutation_test  # noqa: PLC0415
    found = permutation_test(
        (differences,),
        _mean,
        permutation_type="samples",
        n_resamples=_DRAWS,
        vectorized=True,
        rng=np.random.default_rng(seed),
    )
    return float(found.pvalue)


def _mean(sample: Any, axis: int = -1) -> Any:
    return np.mean(sample, axis=axis)
