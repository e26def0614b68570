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
    from collections.abc import Mapping, Sequence

    from langchain_sutro.batch_results import BatchResults

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
    """What one pass over the results tells; `chosen` are the rows to trace, in order."""

    chosen: list[tuple[int, Any]]
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
    everything = total <= cap
    step = max(1, total // max(1, cap))
    errors: list[tuple[int, Any]] = []
    sample: list[tuple[int, Any]] = []
    lowest: list[tuple[float, int, Any]] = []
    failed, labels, cut = 0, Counter[str | bool](), False
    countable: Counter[str | bool] | None = labels
    for index, one in enumerate(results):
        if isinstance(one, SutroRowError):
            failed += 1
            if len(errors) < cap:
                errors.append((index, one))
            continue
        if countable is not None:
            countable = _count(countable, one.answer)
        if everything or index % step == 0:
            sample.append((index, one))
        if not everything and cap and one.confidence is not None:
            item = (-one.confidence, -index, one)
            heappush(lowest, item) if len(lowest) < cap else heappushpop(lowest, item)
        if index % 1000 == 0 and time.monotonic() >= deadline:
            cut = True
            break
    chosen = dict(errors)
    if not everything:
        weak = sorted(lowest, reverse=True)[: (cap - len(chosen) + 1) // 2]
        chosen |= {-position: one for _, position, one in weak}
    for index, one in _spread(sample, cap - len(chosen), chosen):
        chosen[index] = one
    return TracedRows(sorted(chosen.items(), key=lambda item: item[0]), failed, countable, cut)


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
