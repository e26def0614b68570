"""`RowOutcomes`: the rows of a batch and what became of each, in input order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from langchain_sutro.errors import SutroInputError, SutroRowError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

__all__ = ["RowOutcomes"]

_T = TypeVar("_T")


class RowOutcomes:
    """Rows in, outcomes out: bad rows keep their errors, and the others are sent together.

    `prepare` makes what is sent for each row, `put` takes the results, `results` gives them back.

    Args:
        count: The number of rows.

    Attributes:
        outcomes: The value or error of each row; None while the row is open.
        open: Indices of the rows that have no outcome yet, in input order.
    """

    def __init__(self, count: int) -> None:
        self.outcomes: list[Any] = [None] * count
        self.open = list(range(count))

    def prepare(
        self,
        make: Callable[[int], _T],
        *,
        keep: type[Exception] | tuple[type[Exception], ...] = SutroInputError,
    ) -> list[_T]:
        """Make what is sent for each open row.

        Args:
            make: Called with the index of a row.
            keep: Which errors of `make` become the outcome of their row; any other is raised.

        Returns:
            What was made, one for each row that is still open.
        """
        made, good = [], []
        for index in self.open:
            try:
                made.append(make(index))
            except keep as error:
                self.outcomes[index] = error
            else:
                good.append(index)
        self.open = good
        return made

    def put(self, results: Iterable[Any], rows: Sequence[int] | None = None) -> None:
        """Put results into the places of their rows.

        A `SutroRowError` gets the index of its row here; where the job had it at another index,
        its message names both.

        Args:
            results: A value or error for each of `rows`, in the same order.
            rows: Indices of the rows; all open rows by default.
        """
        done = list(self.open if rows is None else rows)
        for index, result in zip(done, results, strict=True):
            moved = isinstance(result, SutroRowError)
            self.outcomes[index] = result.at_row(index) if moved else result
        settled = set(done)
        self.open = [index for index in self.open if index not in settled]

    def results(self, *, return_exceptions: bool) -> list[Any]:
        """The outcomes of all rows.

        Args:
            return_exceptions: Whether errors stay in their places; otherwise the first is raised.
        """
        if not return_exceptions:
            for outcome in self.outcomes:
                if isinstance(outcome, Exception):
                    raise outcome
        return self.outcomes
