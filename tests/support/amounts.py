"""How many cases the tests draw that could draw any number; many with `make test-thorough`."""

import os

__all__ = ["THOROUGH", "amount"]

THOROUGH = os.environ.get("SUTRO_THOROUGH", "") not in ("", "0")
"""Whether this run takes the time that the large numbers need."""


def amount(usual: int, thorough: int, variable: str = "") -> int:
    """The number of cases; the environment variable, if it is set, decides."""
    given = os.environ.get(variable, "") if variable else ""
    return int(given) if given else thorough if THOROUGH else usual
