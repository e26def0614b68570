"""Rows as JSON: a fast way for whole chunks, and an exact way that can name an invalid cell.

The fast way is orjson's. It is corrected where it would write something else than `json_value`.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from itertools import chain
from typing import Any, NamedTuple
from uuid import UUID

import orjson
from pydantic import BaseModel

from langchain_sutro._core.rows.arrow_rows import ArrowRows
from langchain_sutro._core.rows.dumped_models import model_values
from langchain_sutro._core.rows.json_cells import NoJSONError, json_value, met, one_step
from langchain_sutro.errors import SutroInputError

__all__ = [
    "Chunk",
    "Row",
    "dump_chunk",
    "dump_row",
    "encode_row",
    "encode_value",
    "mixed",
    "plain_rows",
]

Row = dict[str, Any] | str

# Both ways convert dataclasses and times with `one_step`: orjson cuts the seconds of an offset.
_OPTIONS = orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME
# Twice as fast as `in`, since colons are rarer than the letters of "null".
_NULL_FIELD = re.compile(rb":null")
# Values of these types cannot make orjson write null for an infinity.
_FINITE = (str, int, type(None), date, time, timedelta, bytes, UUID, Decimal)


def encode_value(value: Any, *, row_index: int | None = None, column: str | None = None) -> Any:
    """Convert one cell to a JSON value.

    Args:
        value: Any object.
        row_index: Index of its row from 0, for the error.
        column: Name of its field, for the error.

    Returns:
        None, a bool, int, finite float, str, or lists and dicts of these. An int stays exact,
        however large.

    Raises:
        SutroInputError: It has no obvious JSON form. This is so for infinities, bytes that are not
            UTF-8, objects that pydantic cannot write, mappings with keys that are not strings, and
            values that are nested too deeply.
    """
    try:
        return json_value(value)
    except NoJSONError as error:
        place = _place(row_index, column)
        raise SutroInputError(f"{place}{error}.", row_index=row_index, column=column) from None


def encode_row(row: Any, *, row_index: int | None = None) -> Row:
    """Convert one row to JSON values.

    Args:
        row: A dict, mapping or pydantic model with named fields, or a string: a complete prompt, or
            the input of a Function with one field.
        row_index: Its index from 0, for errors; None for a single call.

    Returns:
        A dict of JSON values, or the string.

    Raises:
        SutroInputError: It is anything else, or a cell has no JSON form.
    """
    record = _record(row, row_index)
    if isinstance(record, str):
        text: str = encode_value(record, row_index=row_index)
        return text
    return {
        _name(name, row_index): encode_value(value, row_index=row_index, column=name)
        for name, value in record.items()
    }


def dump_row(row: Any) -> bytes:
    """Convert the one row of a call to JSON.

    Args:
        row: As for `encode_row`.

    Returns:
        A JSON object or string in UTF-8.

    Raises:
        SutroInputError: As for `encode_row`.
    """
    record = _record(row, None)
    try:
        encoded = orjson.dumps(record, one_step, _OPTIONS)
    except TypeError:
        return _dump_exactly(encode_row(record))[0]
    if _has_null(encoded):
        # An infinity is written as null.
        encode_row(record)
    return encoded


class Chunk(NamedTuple):
    """Rows as JSON.

    Attributes:
        array: The JSON array.
        large_integers: Whether it has integers beyond 64 bits.
        secrets: The fields in which there are secrets of pydantic.
    """

    array: bytes
    large_integers: bool
    secrets: set[str]


def dump_chunk(rows: Sequence[Row], first_row: int) -> Chunk:
    """Convert rows to a JSON array.

    Args:
        rows: From `plain_rows`, at least one.
        first_row: Index of the first row in the whole table, for errors.

    Raises:
        SutroInputError: A cell has no JSON form.
    """
    met.secret = False
    array, large_integers = _dump_rows(rows, first_row)
    return Chunk(array, large_integers, _secret_fields(rows) if met.secret else set())


def _secret_fields(rows: Sequence[Row]) -> set[str]:
    found: set[str] = set()
    for row in rows:
        for name, value in row.items() if isinstance(row, dict) else ():
            if name not in found and value.__class__ not in _FINITE:
                met.secret = False
                encode_value(value)
                if met.secret:
                    found.add(name)
    return found


def _dump_rows(rows: Sequence[Row], first_row: int) -> tuple[bytes, bool]:
    if isinstance(rows, ArrowRows):
        if (array := rows.json()) is not None:
            return array, False
        rows = list(rows)
    try:
        encoded = orjson.dumps(rows, one_step, _OPTIONS)
    except TypeError:
        return _dump_exactly(_encode_all(rows, first_row))
    if _has_null(encoded) and not _certainly_finite(rows):
        _encode_all(rows, first_row)
    return encoded, False


def plain_rows(rows: Sequence[Any], first_row: int) -> Sequence[Row]:
    """Convert every row to a dict or a string, without its cells.

    Raises:
        SutroInputError: A row is neither, or strings and objects are mixed.
    """
    if isinstance(rows, ArrowRows):
        return rows
    kinds = set(map(type, rows))
    if kinds in ({dict}, {str}):
        return rows
    plain = [_record(row, first_row + index) for index, row in enumerate(rows)]
    strings = isinstance(plain[0], str)
    for index, row in enumerate(plain):
        if isinstance(row, str) is not strings:
            raise mixed(first_row + index)
    return plain


def mixed(row_index: int) -> SutroInputError:
    """The error for a string among objects, or an object among strings."""
    return SutroInputError(
        f"Row {row_index}: strings and objects with named fields cannot be mixed in one table.",
        row_index=row_index,
    )


def _record(row: Any, row_index: int | None) -> Any:
    if isinstance(row, (dict, str)) and not isinstance(row, Enum):
        return row
    if isinstance(row, BaseModel):
        try:
            written = model_values(row)
        except (ValueError, RecursionError):
            raise _model_error(row, row_index) from None
        if isinstance(written, dict | str):
            return written
    if isinstance(row, Mapping):
        return dict(row)
    raise SutroInputError(
        f"{_place(row_index, None)}a row must be a dict, a pydantic model or a string, "
        f"not a value of type {type(row).__name__}.",
        row_index=row_index,
    )


def _model_error(model: BaseModel, row_index: int | None) -> SutroInputError:
    """The error for the field that has no JSON form, as for a dict with the same values."""
    try:
        encode_row(model.model_dump(by_alias=True, warnings="none"), row_index=row_index)
    except SutroInputError as error:
        return error
    except (ValueError, RecursionError):
        pass
    return SutroInputError(
        f"{_place(row_index, None)}a {type(model).__name__} that has no JSON form.",
        row_index=row_index,
    )


def _name(name: Any, row_index: int | None) -> str:
    if not isinstance(name, str):
        raise SutroInputError(
            f"{_place(row_index, None)}a field has a name of type {type(name).__name__}; names "
            "must be strings.",
            row_index=row_index,
        )
    plain: str = encode_value(name, row_index=row_index)
    return plain


def _place(row_index: int | None, column: str | None) -> str:
    parts = [] if row_index is None else [f"row {row_index}"]
    if isinstance(column, str):
        parts.append(f"column {column!r}" if parts else f"field {column!r}")
    text = ", ".join(parts)
    return f"{text[:1].upper()}{text[1:]}: " if text else ""


def _encode_all(rows: Sequence[Any], first_row: int) -> list[Row]:
    return [encode_row(row, row_index=first_row + index) for index, row in enumerate(rows)]


def _dump_exactly(value: Any) -> tuple[bytes, bool]:
    try:
        return orjson.dumps(value), False
    except TypeError:
        # orjson has no integers beyond 64 bits.
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return text.encode(), True


def _has_null(encoded: bytes) -> bool:
    """Whether there may be a null, as a field's value or in an array."""
    if _NULL_FIELD.search(encoded):
        return True
    return encoded.find(b"[", 1) >= 0 and b"null" in encoded


def _certainly_finite(rows: Sequence[Row]) -> bool:
    """Whether it is certain, after a quick look, that no value is an infinity."""
    cells = chain.from_iterable(row.values() for row in rows if isinstance(row, dict))
    floats: list[float] = []
    kinds = set()
    for cell in cells:
        kind = cell.__class__
        if kind is float:
            floats.append(cell)
        else:
            kinds.add(kind)
    return not any(map(math.isinf, floats)) and all(
        issubclass(kind, _FINITE) and not issubclass(kind, Enum) for kind in kinds
    )
