"""Two shares of the same examples: Tango's interval of the difference, and McNemar's mid-p test.

Both work elementwise on arrays.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from langchain_sutro.statistics.boundaries import boundary
from langchain_sutro.statistics.intervals import extra

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["mcnemar_mid_p", "tango_interval"]


def mcnemar_mid_p(better: NDArray[np.int64], worse: NDArray[np.int64]) -> NDArray[np.float64]:
    """How likely a split of the examples that differ is, at least as uneven, if there is no cause.

    The mid-p form counts what was seen by half. The exact test is too cautious: its size is far
    below what it is asked for (Fagerland, Lydersen and Laake, 2013).

    Args:
        better: Number of examples that only the second passes.
        worse: Number of examples that only the first passes.
    """
    with extra():
        from scipy.stats import binom  # noqa: PLC0415
    differing, less = better + worse, np.minimum(better, worse)
    tails = 2 * binom.cdf(less, differing, 0.5) - binom.pmf(less, differing, 0.5)
    return np.where(better == worse, 1.0, np.minimum(tails, 1.0))


def tango_interval(
    better: NDArray[np.int64], worse: NDArray[np.int64], total: NDArray[np.int64], z: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The differences that a score test accepts (Tango, 1998).

    Args:
        better: Number of examples that only the second passes.
        worse: Number of examples that only the first passes.
        total: Number of examples.
        z: The normal quantile of the confidence level.
    """

    def accepts(difference: NDArray[np.float64]) -> NDArray[np.bool_]:
        # Under this difference, the most likely share of examples that only the first passes.
        lead = (2 * total - better + worse) * difference - better - worse
        rest = -worse * difference * (1 - difference)
        share = (np.sqrt(np.maximum(lead**2 - 8 * total * rest, 0)) - lead) / (4 * total)
        variance = total * (2 * share + difference * (1 - difference))
        distance = better - worse - total * difference
        return np.asarray(distance**2 <= z**2 * np.maximum(variance, 0))

    middle = np.asarray((better - worse) / total)
    return (
        boundary(accepts, middle, np.full_like(middle, -1.0)),
        boundary(accepts, middle, np.full_like(middle, 1.0)),
    )
