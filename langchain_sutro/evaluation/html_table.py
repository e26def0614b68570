"""Rows of an experiment as an HTML table, for notebooks."""

from __future__ import annotations

from html import escape
from itertools import islice
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["PREVIEW", "html_table"]

# How many rows, and how many fields of each, are shown.
PREVIEW = 5
_LONGEST = 120


def html_table(titles: Iterable[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table of values, all of them escaped.

    Args:
        titles: The titles of the columns.
        rows: The cells of each row; a dict is shown field by field.
    """
    columns = "".join(f"<th>{escape(title)}</th>" for title in titles)
    body = "".join(_html_row(cells) for cells in rows)
    return f"<table><thead><tr>{columns}</tr></thead><tbody>{body}</tbody></table>"


def _html_row(cells: Sequence[Any]) -> str:
    return f"<tr>{''.join(_html_cell(cell) for cell in cells)}</tr>"


def _html_cell(cell: Any) -> str:
    if not isinstance(cell, dict):
        return f"<td>{_clipped(cell)}</td>"
    fields = "<br>".join(
        f"<b>{_clipped(name)}</b> {_clipped(value)}"
        for name, value in islice(cell.items(), PREVIEW)
    )
    # Notebooks align cells right, where a few lines of text are hard to read.
    return f'<td style="text-align: left">{fields}</td>'


def _clipped(value: Any) -> str:
    text = "" if value is None else str(value)
    return escape(text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…")
