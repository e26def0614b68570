"""Where the records of a CSV file begin and end, and whether its quotes are sound.

A quote that is never closed would make the rest of a file one cell, so quotes are checked strictly:
a quoted cell ends with a quote before a delimiter or a line end, and a quote inside it is doubled.
In a cell that does not begin with a quote, quotes are ordinary characters.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["MalformedError", "cells_of", "end_of_records", "records_of"]

_QUOTE = ord('"')


class MalformedError(ValueError):
    """Quotes that are not sound.

    Attributes:
        position: Index of the byte where the cell begins.
        closed: Whether its quote is closed, and other characters follow.
    """

    def __init__(self, position: int, *, closed: bool) -> None:
        super().__init__(position)
        self.position = position
        self.closed = closed


def end_of_records(data: bytes, delimiter: bytes, *, final: bool) -> int:
    """Find the end of the last complete record.

    Args:
        data: Some bytes, from the beginning of a record.
        delimiter: What separates cells; one byte.
        final: Whether the file ends with them.

    Returns:
        The index after the record; 0 if there is no complete record.

    Raises:
        MalformedError: Quotes are not sound.
    """
    if b'"' not in data:
        return len(data) if final else _end_of_line(data, 0, len(data))
    quotes = _paired_quotes(data, delimiter)
    if quotes is None or (final and len(quotes) % 2):
        return _end_by_grammar(data, delimiter, final=final)
    return len(data) if final else _end_outside(data, quotes)


def _end_of_line(data: bytes, start: int, end: int) -> int:
    """The index after the last line end, or 0."""
    return 1 + max(data.rfind(b"\n", start, end), data.rfind(b"\r", start, end))


def _paired_quotes(data: bytes, delimiter: bytes) -> Any:
    """Positions of all quotes as an array, if every second one certainly closes the one before.

    This is so if each opening one follows a delimiter, a line end or a quote, and each closing one
    is followed by one of these: two quotes side by side stand for one in the cell.
    """
    import numpy as np  # noqa: PLC0415

    values = np.frombuffer(data, np.uint8)
    quotes = np.flatnonzero(values == _QUOTE)
    fits = np.zeros(256, bool)
    fits[list(b'"\r\n' + delimiter)] = True
    # The byte before the first one, and the one after the last, belong to other data.
    opening = quotes[::2] if quotes[0] else quotes[2::2]
    closing = quotes[1::2]
    sound = fits[values[opening - 1]].all() and fits[values.take(closing + 1, mode="clip")].all()
    return quotes if sound else None


def _end_outside(data: bytes, quotes: Any) -> int:
    """The end of the last line that ends outside of quotes."""
    end, count = len(data), len(quotes)
    while True:
        if count % 2:
            count -= 1
            end = int(quotes[count])
        start = int(quotes[count - 1]) + 1 if count else 0
        found = _end_of_line(data, start, end)
        if found or not count:
            return found
        count -= 1


class _Grammar:
    """The patterns for one delimiter, possessive, so that nothing is tried twice."""

    def __init__(self, delimiter: bytes) -> None:
        mark = re.escape(delimiter)
        plain = rb'[^"\r\n' + mark + rb"][^\r\n" + mark + rb"]*+"
        cell = rb'(?:"[^"]*+(?:""[^"]*+)*+"|' + plain + rb"|)"
        cells = rb"(?:" + cell + mark + rb")*+"
        self.cells = re.compile(cells)
        self.cell = re.compile(cell + mark + rb"|" + cell)
        self.last_cell = re.compile(cell + rb"\Z")
        self.open_cell = re.compile(rb'"[^"]*+(?:""[^"]*+)*+\Z')
        self.record = re.compile(cells + cell + rb"(?:\r\n?|\n|\Z)")
        self.records = re.compile(rb"(?:" + cells + cell + rb"(?:\r\n?|\n))*+")


_grammar = cache(_Grammar)


def _end_by_grammar(data: bytes, delimiter: bytes, *, final: bool) -> int:
    grammar = _grammar(delimiter)
    end = _end(grammar.records, data, 0)
    cell = _end(grammar.cells, data, end)
    if grammar.last_cell.match(data, cell):
        return len(data) if final else end
    unclosed = grammar.open_cell.match(data, cell) is not None
    if unclosed and not final:
        return end
    raise MalformedError(cell, closed=not unclosed)


def _end(pattern: re.Pattern[bytes], data: bytes, start: int) -> int:
    match = pattern.match(data, start)
    return start if match is None else match.end()


def records_of(data: bytes, delimiter: bytes) -> Iterator[tuple[int, int]]:
    """The start and end of each record in sound data, including blank lines.

    Args:
        data: Bytes from the beginning of a record.
        delimiter: What separates cells; one byte.
    """
    start = 0
    while start < len(data):
        end = _end(_grammar(delimiter).record, data, start)
        yield start, end
        start = end


def cells_of(data: bytes, start: int, end: int, delimiter: bytes) -> list[bytes]:
    """The cells of one record, with their quotes.

    Args:
        data: Sound data.
        start: Where the record begins.
        end: Where it ends.
        delimiter: What separates cells; one byte.
    """
    cells = []
    more = True
    while more:
        stop = _end(_grammar(delimiter).cell, data, start)
        more = stop > start and data[stop - 1 : stop] == delimiter and stop <= end
        cells.append(data[start : stop - 1 if more else stop])
        start = stop
    return cells
