"""`Page`: as many results of a job as a model asks for and may read at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from langchain_sutro.errors import SutroError, SutroInputError
from langchain_sutro.functions import short_answer

if TYPE_CHECKING:
    from langchain_sutro._core.results import BatchResults

__all__ = ["Page", "PageLimits"]


@dataclass(frozen=True, slots=True)
class PageLimits:
    """The size of a page.

    Attributes:
        rows: Maximum number of rows.
        chars: Approximate maximum size of the rows' JSON, in bytes.
    """

    rows: int
    chars: int


@dataclass(frozen=True, slots=True)
class Page:
    """Consecutive results of a job.

    Attributes:
        offset: Index of the first row.
        shown: The rows as the model reads them.
        rows: The payload or error of each, for code.
        next_offset: Where the next page starts; None after the last row.
    """

    offset: int
    shown: list[dict[str, Any]]
    rows: list[dict[str, Any]]
    next_offset: int | None

    @classmethod
    def of(cls, results: BatchResults, offset: int, limit: int, limits: PageLimits) -> Page:
        """Cut a page out of results.

        Args:
            results: All results of the job.
            offset: Index of the first row.
            limit: The number of rows that was asked for.
            limits: What fits into a page. The first row is cut short if it alone is too large.

        Raises:
            SutroInputError: There is no row at `offset`.
        """
        if offset >= len(results):
            raise SutroInputError(f"offset must be below {len(results):,}, the number of rows.")
        shown: list[dict[str, Any]] = []
        rows = []
        left = limits.chars
        for index, result in enumerate(results[offset : offset + min(limit, limits.rows)], offset):
            row = _short(index, result)
            json = orjson.dumps(row)
            if len(json) > left and shown:
                break
            if len(json) > left:
                row = {"row": index, "cut": json.decode()[: max(left, 0)] + "…"}
            left -= len(json)
            shown.append(row)
            rows.append({"error": str(result)} if isinstance(result, SutroError) else dict(result))
        end = offset + len(shown)
        return cls(offset, shown, rows, end if end < len(results) else None)


def _short(index: int, result: Any) -> dict[str, Any]:
    if isinstance(result, SutroError):
        return {"row": index, "error": str(result)}
    return {"row": index, **short_answer(result, result.answer)}
