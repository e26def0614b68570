"""Which rows of a job are traced, and by which ids."""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from heapq import heappush, heappushpop
from typing import TYPE_CHECKING, Any, Literal
from uuid import UUID

from langchain_sutro.errors import SutroConfigurationError, SutroRowError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from langchain_sutro._results import BatchResults

__all__ = ["TraceRows", "TracedRows", "check_trace_rows", "choose_rows", "stable_id"]

TraceRows = int | Literal["all"]

# A trace holds 25,000 runs, and the job is hardly alone in it (LangSmith, limits of a trace).
_MOST_ROWS = 20_000
_MOST_LABELS = 50


def check_trace_rows(rows: TraceRows) -> int:
    """How many rows of a job are traced at the most.

    Args:
        rows: From 0 to 20,000, or `"all"`, which is the most.

    Raises:
        SutroConfigurationError: It is something else.
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
    """What one pass over the results tells.

    Attributes:
        chosen: Index and result of each row to trace, in order.
        count: How many these are.
        errors: Rows in error.
        labels: How often each answer came, if answers are labels.
        cut: Whether time was over before all rows were looked at.
    """

    chosen: Iterable[tuple[int, Any]]
    count: int
    errors: int
    labels: Counter[str | bool] | None
    cut: bool = False

    def outputs(self) -> dict[str, Any]:
        """What is known of all rows; nothing if not all were looked at."""
        if self.cut:
            return {}
        known: dict[str, Any] = {"errors": self.errors}
        if self.labels:
            known["answers"] = {str(label): count for label, count in self.labels.most_common()}
        return known


def choose_rows(results: BatchResults, cap: int, deadline: float) -> TracedRows:
    """Choose rows: errors first, then those of the lowest confidence, then an even sample."""
    total = len(results)
    choice = None if total <= cap else _Choice(total, cap)
    failed, labels, cut = 0, Counter[str | bool](), False
    countable: Counter[str | bool] | None = labels
    for index, one in enumerate(results):
        if index % 1000 == 0 and time.monotonic() >= deadline:
            cut = True
            break
        if isinstance(one, SutroRowError):
            failed += 1
        elif countable is not None:
            countable = _count(countable, one.answer)
        if choice is not None:
            choice.look(index, one)
    if choice is None:
        # Read again when they are written, rather than held together until then.
        return TracedRows(enumerate(results), total, failed, countable, cut)
    rows = choice.rows()
    return TracedRows(rows, len(rows), failed, countable, cut)


class _Choice:
    """The rows that a look at all of them, one after the other, leaves to choose from."""

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
        """What was chosen, in order."""
        chosen = dict(self._errors)
        weak = sorted(self._lowest, reverse=True)[: (self._cap - len(chosen) + 1) // 2]
        chosen |= {-position: one for _, position, one in weak}
        for index, one in _spread(self._sample, self._cap - len(chosen), chosen):
            chosen[index] = one
        return sorted(chosen.items(), key=lambda item: item[0])


def _count(labels: Counter[str | bool], answer: Any) -> Counter[str | bool] | None:
    """Count a label; None once the answers turn out to be no labels."""
    if not isinstance(answer, str | bool):
        return None
    labels[answer] += 1
    return labels if len(labels) <= _MOST_LABELS else None


def _spread(
    sample: Sequence[tuple[int, Any]], wanted: int, taken: Mapping[int, Any]
) -> list[tuple[int, Any]]:
    """So many of the sample as are wanted, evenly, and none that is taken already."""
    free = [item for item in sample if item[0] not in taken]
    if wanted <= 0:
        return []
    if len(free) <= wanted:
        return free
    return [free[number * len(free) // wanted] for number in range(wanted)]


def stable_id(at: datetime, *parts: object) -> UUID:
    """The id of a run, always the same for the same time and parts.

    Of version 7, as LangSmith wants it. It answers a second creation with 409, so that writing
    again is harmless.

    Args:
        at: When the run starts; without a zone, as LangSmith's answers are, it is in UTC.
        parts: What the run is about.
    """
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    digest = hashlib.sha256("\x00".join(map(str, parts)).encode()).digest()
    number = int.from_bytes(digest[:10], "big") | int(at.timestamp() * 1000) << 80
    number = number & ~(0xF << 76) | 7 << 76
    return UUID(int=number & ~(0x3 << 62) | 0x2 << 62)
