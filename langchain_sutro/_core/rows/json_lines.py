"""JSON Lines files: one object, or one string, on each line."""

from __future__ import annotations

import json
import re
from itertools import islice
from typing import TYPE_CHECKING, Any, NoReturn

import orjson

from langchain_sutro.errors import SutroInputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from langchain_sutro._core.rows.arrow_rows import TakeRows
    from langchain_sutro._core.rows.byte_streams import TextBytes

__all__ = ["take_json_lines"]

_BLOCK_BYTES = 1 << 18
_LONGEST_LINE = 1 << 28
# orjson reads integers beyond 64 bits as floats.
_LARGE_INTEGER = re.compile(rb"\d{19}")


def take_json_lines(file: TextBytes) -> TakeRows:
    """Read a JSON Lines file; blank lines are skipped.

    Raises:
        SutroInputError: During reading: a line is not JSON.
    """
    rows = _rows(file)
    return lambda count: list(islice(rows, count))


def _rows(file: TextBytes) -> Iterator[Any]:
    number = 0
    for lines in _lines(file):
        for line in lines:
            number += 1
            if line and not line.isspace():
                yield _value(line, file, number)


def _lines(file: TextBytes) -> Iterator[list[bytes]]:
    rest = b""
    while piece := file.read(max(_BLOCK_BYTES, len(rest))):
        *lines, rest = (rest + piece).split(b"\n")
        yield lines
        if len(rest) > _LONGEST_LINE:
            raise SutroInputError(f"{file.name}: a line is longer than {_LONGEST_LINE:,} bytes.")
    yield [rest]


def _value(line: bytes, file: TextBytes, number: int) -> Any:
    try:
        if _LARGE_INTEGER.search(line):
            return json.loads(line, parse_constant=_refuse)
        return orjson.loads(line)
    except (ValueError, RecursionError):
        pass
    try:
        line.decode()
    except UnicodeDecodeError:
        file.not_utf8(number)
    raise SutroInputError(
        f"{file.name}, line {number}: not valid JSON; each line of a JSON Lines file is an object."
    )


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)
