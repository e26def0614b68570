"""Random choices that depend on the id of a run alone, so that repeated calls choose the same."""

from __future__ import annotations

import hashlib

__all__ = ["place"]


def place(run_id: object, purpose: str = "") -> float:
    """A number from 0 to 1, evenly spread over ids of any version.

    Args:
        run_id: The run.
        purpose: Choices for different purposes are independent of each other.
    """
    digest = hashlib.sha256(f"{purpose}{run_id}".encode()).digest()
    return int.from_bytes(digest[:8]) / 2**64
