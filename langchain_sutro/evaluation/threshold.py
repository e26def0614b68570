"""The least confidence from which on answers are right often enough."""

from __future__ import annotations

from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["least_confidence"]


def least_confidence(rows: Iterable[tuple[float, float]], accuracy: float) -> float | None:
    """The least confidence at which the answers of at least that confidence are right enough.

    Args:
        rows: The confidence of each answer and how right it is, both from 0 to 1.
        accuracy: The mean that the latter must reach.

    Returns:
        0.0 if all answers together reach it; None if those of no confidence do.
    """
    known = sorted(rows)
    left, right = len(known), sum(one for _, one in known)
    least = 0.0
    for confidence, group in groupby(known, itemgetter(0)):
        if left < len(known):
            least = confidence
        if right >= accuracy * left:
            return least
        gone = [one for _, one in group]
        left, right = left - len(gone), right - sum(gone)
    return None
