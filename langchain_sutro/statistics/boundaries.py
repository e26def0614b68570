"""The ends of an interval: where a test stops to accept values, for many data sets at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

__all__ = ["boundary"]

_HALVINGS = 30


def boundary(
    accepts: Callable[[NDArray[np.float64]], NDArray[np.bool_]],
    inside: NDArray[np.float64],
    outside: NDArray[np.float64],
) -> NDArray[np.float64]:
    """The last accepted value on the way from one value to another, elementwise.

    Args:
        accepts: Whether the test accepts a value; it is taken to accept `inside`.
        inside: Where to start.
        outside: Where to stop at the latest.
    """
    found = np.where(accepts(outside), outside, inside)
    beyond = outside.copy()
    for _ in range(_HALVINGS):
        middle = (found + beyond) / 2
        accepted = accepts(middle)
        found = np.where(accepted, middle, found)
        beyond = np.where(accepted, beyond, middle)
    return found
