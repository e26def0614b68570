"""An estimate with its interval, and the checks that every function here makes of its input."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from langchain_sutro._core.exports import exported_from
from langchain_sutro.errors import SutroConfigurationError, SutroInputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

__all__ = [
    "Estimate",
    "booleans",
    "check_level",
    "extra",
    "mean_score",
    "normal_quantile",
    "numbers",
    "proportion",
]


@exported_from("langchain_sutro.statistics")
@dataclass(frozen=True)
class Estimate:
    """A number with its confidence interval.

    Attributes:
        value: The estimate.
        low: Lower end of the interval.
        high: Upper end of the interval.
    """

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


@contextmanager
def extra() -> Iterator[None]:
    """Around imports of SciPy and statsmodels.

    Raises:
        SutroConfigurationError: They are not installed.
    """
    try:
        yield
    except ImportError as error:
        name = (error.name or "SciPy").partition(".")[0]
        raise SutroConfigurationError(
            f'{name} is not installed: pip install "langchain-sutro[statistics]"'
        ) from None


def check_level(level: float, name: str = "confidence_level") -> None:
    """Check a share that must lie strictly between 0 and 1.

    Raises:
        SutroInputError: It does not.
    """
    if not 0 < level < 1:
        raise SutroInputError(f"{name} must be between 0 and 1, not {level!r}.")


def booleans(values: Iterable[Any], name: str) -> NDArray[np.bool_]:
    """Verdicts or labels as an array.

    Raises:
        SutroInputError: One of them is not a boolean, 0 or 1, or there are none.
    """
    found = list(values)
    for index, value in enumerate(found):
        if not (isinstance(value, bool | np.bool_) or (_is_number(value) and value in (0, 1))):
            raise SutroInputError(
                f"{name}[{index}] must be True or False (or 1 or 0), not a "
                f"{type(value).__name__}; leave out rows without one."
            )
    if not found:
        raise SutroInputError(f"{name} is empty.")
    return np.array(found, dtype=bool)


def numbers(values: Iterable[Any], name: str) -> NDArray[np.float64]:
    """Scores as an array.

    Raises:
        SutroInputError: One of them is not a finite number, or there are none.
    """
    found = list(values)
    for index, value in enumerate(found):
        if not (_is_number(value) and np.isfinite(value)):
            raise SutroInputError(
                f"{name}[{index}] must be a finite number, not {_kind(value)}; leave out rows "
                "without one."
            )
    if not found:
        raise SutroInputError(f"{name} is empty.")
    return np.array(found, dtype=np.float64)


def _is_number(value: Any) -> bool:
    """Whether it is a number of Python or NumPy, a boolean included."""
    return isinstance(value, bool | int | float | np.bool_ | np.integer | np.floating)


def _kind(value: Any) -> str:
    """What a value is, without showing it, unless it is a number."""
    return repr(float(value)) if _is_number(value) else f"a {type(value).__name__}"


def proportion(successes: int, total: int, confidence_level: float) -> Estimate:
    """A share with its Wilson score interval."""
    with extra():
        from statsmodels.stats.proportion import proportion_confint  # noqa: PLC0415
    low, high = proportion_confint(successes, total, alpha=1 - confidence_level, method="wilson")
    return Estimate(successes / total, float(low), float(high))


def normal_quantile(confidence_level: float) -> float:
    """How many standard errors an interval reaches to each side."""
    with extra():
        from scipy.stats import norm  # noqa: PLC0415
    return float(norm.ppf((1 + confidence_level) / 2))


@exported_from("langchain_sutro.statistics")
def mean_score(scores: Iterable[Any], *, confidence_level: float = 0.95) -> Estimate:
    """The mean of scores with its interval, which is Student's; a single score has none.

    Args:
        scores: Finite numbers.
        confidence_level: Of the interval.

    Raises:
        SutroInputError: There are no scores, or one of them is not a finite number.
        SutroConfigurationError: SciPy is not installed.
    """
    check_level(confidence_level)
    known = numbers(scores, "scores")
    mean = float(known.mean())
    if len(known) < 2 or not known.std():
        return Estimate(mean, mean, mean)
    with extra():
        from scipy.stats import ttest_1samp  # noqa: PLC0415
    interval = ttest_1samp(known, 0).confidence_interval(confidence_level)
    return Estimate(mean, float(interval.low), float(interval.high))
