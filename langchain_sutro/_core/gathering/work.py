"""What is done with gathered calls, and how their outcomes reach the callers."""

from __future__ import annotations

from copy import copy
from typing import Any, Protocol

__all__ = ["Work", "own_error"]


class Work(Protocol):
    """One job: made anew for each group of calls."""

    def run(self, rows: list[Any]) -> list[Any]:
        """Run the rows in this thread; returns a value or error for each, in the same order."""

    async def arun(self, rows: list[Any]) -> list[Any]:
        """Asynchronous form of `run`; a cancellation says what becomes of the job."""

    def interrupted(self, interrupt: BaseException) -> None:
        """Nobody waits for `run` any more: end it, and say what becomes of the job."""


def own_error(error: Exception, row: int, rows: int) -> Exception:
    """An error of a whole job, for one of its callers.

    Args:
        error: The error, which every caller gets.
        row: Index of the caller's row in the job, from 0.
        rows: The number of rows.

    Returns:
        A copy, so that each caller has a traceback and notes of its own.
    """
    try:
        own = copy(error)
    except Exception:  # noqa: BLE001 - another package's error that cannot be copied
        return error
    own.__cause__, own.__traceback__ = error.__cause__, error.__traceback__
    own.__notes__ = [*getattr(error, "__notes__", ())]
    own.add_note(f"This call was row {row} of the {rows} that were gathered into one job.")
    return own
