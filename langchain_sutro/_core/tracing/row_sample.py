"""Which rows of a job are traced."""

from __future__ import annotations

import time
from dataclasses import dataclass
from heapq import heappush, heappushpop
from typing import TYPE_CHECKING, Any, Literal

from langchain_sutro._core.results import LabelCounts
from langchain_sutro.errors import SutroConfigurationError, SutroRowError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from langchain_sutro._core.results import BatchResults

__all__ = ["DEFAULT_ROWS", "TraceRows", "TracedRows", "check_trace_rows", "choose_rows"]

TraceRows = int | Literal["all"]

DEFAULT_ROWS = 1000
# A trace holds 25,000 runs (LangSmith's limit), and may contain more than the job.
_MOST_ROWS = 20_000


def check_trace_rows(rows: TraceRows) -> int:
    """The maximum number of rows of a job that are traced.

    Args:
        rows: From 0 to 20,000, or `"all"` for the maximum.

    Raises:
        SutroConfigurationError: It is anything else.
    """
    if rows == "all":
        return _MOST_ROWS
    if isinstance(rows, bool) or not isinstance(rows, int) or not 0 <= rows <= _MOST_ROWS:
        raise SutroConfigurationError(
            f"trace_rows is 'all' or from 0 to {_MOST_ROWS:,}, since a trace holds 25,000 runs; "
            f"not {rows!r}."
        )
    return rows


@dataclass(slots=True)
class TracedRows:
    """The outcome of one pass over a job's results.

    Attributes:
        chosen: Index and result of each row to trace, in order.
        count: The number of rows to trace.
        errors: The number of rows that failed.
        labels: The number of rows for each label, if answers are labels.
        cut: Whether the time ran out before all rows were read.
    """

    chosen: Iterable[tuple[int, Any]]
    count: int
    errors: int
    labels: dict[str | bool, int] | None
    cut: bool = False

    def outputs(self) -> dict[str, Any]:
        """Figures for all rows; none if not all were read."""
        if self.cut:
            return {}
        known: dict[str, Any] = {"errors": self.errors}
        if self.labels:
            # Not as keys, which LangSmith's anonymizer does not look at.
            known["answers"] = [
                {"answer": label, "rows": count} for label, count in self.labels.items()
            ]
        return known


def choose_rows(results: BatchResults, cap: int, deadline: float) -> TracedRows:
    """Choose rows: errors first, then those with the lowest confidence, then an even sample."""
    total = len(results)
    choice = None if total <= cap else _Choice(total, cap)
    failed, labels, cut = 0, LabelCounts(), False
    for index, one in enumerate(results):
        if index % 1000 == 0 and time.monotonic() >= deadline:
            cut = True
            break
        if isinstance(one, SutroRowError):
            failed += 1
        else:
            labels.add(one.answer)
        if choice is not None:
            choice.look(index, one)
    if choice is None:
        # They are read again when they are written, to keep memory flat.
        return TracedRows(enumerate(results), total, failed, labels.counts(), cut)
    rows = choice.rows()
    return TracedRows(rows, len(rows), failed, labels.counts(), cut)


class _Choice:
    """Candidates, collected in one pass over all rows."""

    def __init__(self, total: int, cap: int) -> None:
        self._cap = cap
        self._step = max(1, total // max(1, cap))
        self._errors: list[tuple[int, Any]] = []
        self._sample: list[tuple[int, Any]] = []
        self._lowest: list[tuple[float, int, Any]] = []

    def look(self, index: int, one: Any) -> None:
        if isinstance(one, SutroRowError):
            if len(self._errors) < self._cap:
                self._errors.append((index, one))
            return
        if index % self._step == 0:
            self._sample.append((index, one))
        if self._cap and one.confidence is not None:
            item = (-one.confidence, -index, one)
            if len(self._lowest) < self._cap:
                heappush(self._lowest, item)
            else:
                heappushpop(self._lowest, item)

    def rows(self) -> list[tuple[int, Any]]:
        """The chosen rows, in order."""
        chosen = dict(self._errors)
        weak = sorted(self._lowest, reverse=True)[: (self._cap - len(chosen) + 1) // 2]
        chosen |= {-position: one for _, position, one in weak}
        for index, one in _spread(self._sample, self._cap - len(chosen), chosen):
            chosen[index] = one
        return sorted(chosen.items(), key=lambda item: item[0])


def _spread(
    sample: Sequence[tuple[int, Any]], wanted: int, taken: Mapping[int, Any]
) -> list[tuple[int, Any]]:
    """The wanted number of rows, spread evenly over those of the sample that are not taken."""
    free = [item for item in sample if item[0] not in taken]
    if wanted <= 0:
        return []
    if len(free) <= wanted:
        return free
    return [free[number * len(free) // wanted] for number in range(wanted)]
