"""`Gathering`: which calls belong to one job, and when it is submitted; without clock and I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

__all__ = ["Gathering", "Rules"]

_T = TypeVar("_T")


@dataclass(frozen=True)
class Rules:
    """When the calls that were gathered are submitted.

    Attributes:
        quiet: After this many seconds without a further call.
        max_rows: As soon as there are this many.
        max_wait: At the latest this many seconds after the first.
    """

    quiet: float
    max_rows: int
    max_wait: float


class Gathering(Generic[_T]):
    """The calls of one job.

    Args:
        rules: When they are submitted.

    Attributes:
        open: Whether another call can join.
        joined: How many calls have joined.
    """

    def __init__(self, rules: Rules) -> None:
        self.open = True
        self.joined = 0
        self._rules = rules
        self._calls: dict[int, tuple[float, _T]] = {}
        self._last = 0.0

    def join(self, call: _T, now: float) -> int:
        """Add a call.

        Args:
            call: The call.
            now: The time, in seconds.

        Returns:
            Its number, for `leave`.
        """
        number, self.joined = self.joined, self.joined + 1
        self._calls[number] = (now, call)
        self._last = now
        self.open = len(self._calls) < self._rules.max_rows
        return number

    def leave(self, number: int) -> None:
        """Remove a call that is not waited for any more; after `close` it stays."""
        if self._calls.pop(number, None) is not None:
            self.open = True

    def due(self) -> float | None:
        """The time at which to submit; None if there is nothing to submit."""
        if not self._calls:
            return None
        if not self.open:
            return self._last
        first = next(iter(self._calls.values()))[0]
        return min(self._last + self._rules.quiet, first + self._rules.max_wait)

    def disturbed(self, now: float) -> None:
        """Begin the quiet time again, since calls could not be made meanwhile.

        Args:
            now: The time, in seconds.
        """
        self._last = now

    def close(self) -> list[_T]:
        """The calls to submit, in the order in which they joined; no other can join or leave."""
        self.open = False
        calls = [call for _, call in self._calls.values()]
        self._calls = {}
        return calls
