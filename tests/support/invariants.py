"""Invariants: what must hold whatever goes wrong."""


class BrokenInvariantError(AssertionError):
    """Something happened that must never happen."""


def check(holds: object, invariant: str) -> None:
    """Raise unless the invariant holds."""
    if not holds:
        raise BrokenInvariantError(invariant)
