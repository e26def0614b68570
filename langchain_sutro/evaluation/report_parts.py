"""The parts that a report is made of: tiles, tables, bars. Every value is escaped."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Self

from langchain_sutro._core.redaction import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from langchain_sutro.statistics import Estimate

__all__ = ["Cell", "bar", "escaped", "section", "share", "table", "tiles"]


class Cell(str):
    """A cell that is markup already, or stands in a column of numbers.

    Attributes:
        kind: The class of the cell.
        is_markup: Whether it is not escaped, because this package made it.
    """

    __slots__ = ("is_markup", "kind")
    kind: str
    is_markup: bool

    def __new__(cls, text: str, kind: str = "", *, is_markup: bool = False) -> Self:
        """Make a cell of a text."""
        made = super().__new__(cls, text)
        made.kind, made.is_markup = kind, is_markup
        return made


def escaped(text: str) -> str:
    """A text as it is, whatever it contains: no markup, no control characters."""
    return escape(printable(text))


def section(title: str, *parts: str) -> str:
    """A section with its heading; nothing if all its parts are empty."""
    whole = "".join(parts)
    return f"<section><h2>{escaped(title)}</h2>{whole}</section>" if whole else ""


def tiles(facts: Iterable[tuple[str, str, str]]) -> str:
    """Figures at a glance.

    Args:
        facts: The name, the value and a remark of each; the remark may be empty.
    """
    made = "".join(
        f"<div><dt>{escaped(name)}</dt><dd>{escaped(value)}"
        f"{f'<small>{escaped(remark)}</small>' if remark else ''}</dd></div>"
        for name, value, remark in facts
    )
    return f'<dl class="tiles">{made}</dl>'


def table(
    caption: str,
    titles: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    below_title: bool = False,
) -> str:
    """A table whose first column names its rows; nothing without rows.

    Args:
        caption: What it shows.
        titles: The titles of the columns.
        rows: The cells of each row.
        below_title: Whether a heading says the same, so that only screen readers need the caption.
    """
    rows = list(rows)
    if not rows:
        return ""
    kinds = [getattr(cell, "kind", "") for cell in rows[0]]
    head = "".join(
        f'<th scope="col"{_class(kind if kind == "number" else "")}>{escaped(title)}</th>'
        for title, kind in zip(titles, kinds, strict=True)
    )
    body = "".join(f"<tr>{_first(row[0])}{''.join(map(_cell, row[1:]))}</tr>" for row in rows)
    label = escaped(caption)
    unseen = _class("unseen" if below_title else "")
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-label="{label}"><table>'
        f"<caption{unseen}>{label}</caption><thead><tr>{head}</tr></thead>"
        f"<tbody>{body}</tbody></table></div>"
    )


def share(found: Estimate) -> Cell:
    """A share and its interval in per cent."""
    text = f"{100 * found.value:.1f} %, {100 * found.low:.1f} to {100 * found.high:.1f} %"
    return Cell(text, "whole")


def bar(found: Estimate) -> Cell:
    """A share between 0 and 1 as a bar with its interval; the numbers stand beside it."""
    low, high, value = (min(max(100 * one, 0), 100) for one in (found.low, found.high, found.value))
    return Cell(
        '<svg class="share" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">'
        '<rect class="track" x="0" y="4.5" width="100" height="1"/>'
        f'<rect class="range" x="{low:.2f}" y="2.5" width="{high - low:.2f}" height="5"/>'
        f'<rect class="value" x="{min(value, 98):.2f}" y="0.5" width="2" height="9"/></svg>',
        is_markup=True,
    )


def _first(cell: str) -> str:
    return f'<th scope="row">{_markup(cell)}</th>'


def _cell(cell: str) -> str:
    return f"<td{_class(getattr(cell, 'kind', ''))}>{_markup(cell)}</td>"


def _markup(cell: str) -> str:
    return str(cell) if getattr(cell, "is_markup", False) else escaped(cell)


def _class(kind: str) -> str:
    return f' class="{kind}"' if kind else ""
