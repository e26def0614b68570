"""Rows as JSON: a fast way for whole chunks, and an exact way that can name an invalid cell.

JSON values are sent as they are, since the service turns them into text itself. Other values are
converted if they have one obvious JSON form: NaN, NaT and `pandas.NA` become null; dates, times,
UUIDs and decimals become strings, and so do durations (ISO 8601) and bytes that are UTF-8; an
enumeration becomes its value, and a secret the secret itself; NumPy values become plain ones; sets
become sorted lists; pydantic models and mappings become objects. Of other values, those that
pydantic can write as JSON are converted as it does. Anything else is an error that names row and
column, but never the value, which may be a secret.
"""

from __future__ import annotations

import json
import math
import re
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from itertools import chain
from typing import Any, NamedTuple
from uuid import UUID

import orjson
from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from langchain_sutro._core.rows.arrow_rows import ArrowRows
from langchain_sutro._core.rows.dumped_models import SECRETS, model_values
from langchain_sutro.errors import SutroInputError

__all__ = [
    "Chunk",
    "Row",
    "dump_chunk",
    "dump_row",
    "encode_row",
    "encode_value",
    "is_missing",
    "kind_name",
    "loaded",
    "mixed",
    "plain_rows",
]

Row = dict[str, Any] | str

_DEEPEST = 200
# Both ways convert dataclasses and times with `_plain`: orjson cuts the seconds of an offset.
_OPTIONS = orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME
# Twice as fast as `in`, since colons are rarer than the letters of "null".
_NULL_FIELD = re.compile(rb":null")
# Values of these types cannot make orjson write null for an infinity.
_FINITE = (str, int, type(None), date, time, timedelta, bytes, UUID, Decimal)


class _NoJSONError(TypeError):
    """A value has no JSON form; the message says why, without the value."""


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
        return _exact(value, 0)
    except _NoJSONError as error:
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
        encoded = orjson.dumps(record, _plain, _OPTIONS)
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
    _met.secret = False
    array, large_integers = _dump_rows(rows, first_row)
    return Chunk(array, large_integers, _secret_fields(rows) if _met.secret else set())


def _secret_fields(rows: Sequence[Row]) -> set[str]:
    found: set[str] = set()
    for row in rows:
        for name, value in row.items() if isinstance(row, dict) else ():
            if name not in found and value.__class__ not in _FINITE:
                _met.secret = False
                encode_value(value)
                if _met.secret:
                    found.add(name)
    return found


def _dump_rows(rows: Sequence[Row], first_row: int) -> tuple[bytes, bool]:
    if isinstance(rows, ArrowRows):
        if (array := rows.json()) is not None:
            return array, False
        rows = list(rows)
    try:
        encoded = orjson.dumps(rows, _plain, _OPTIONS)
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
            return model_values(row)
        except (ValueError, RecursionError):
            raise _model_error(row, row_index) from None
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


def _exact(value: Any, depth: int) -> Any:
    if isinstance(value, Enum):
        return _exact(value.value, depth + 1)
    if value is None or isinstance(value, (bool, int, float, str)):
        return _scalar(value)
    if depth > _DEEPEST:
        raise _NoJSONError("objects are nested too deeply, or contain themselves")
    if isinstance(value, dict):
        return {_key(key): _exact(item, depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_exact(item, depth + 1) for item in value]
    return _exact(_plain(value), depth + 1)


def _scalar(value: bool | float | str | None) -> bool | float | str | None:
    """The value as its base type instead of a subclass."""
    if isinstance(value, str):
        return _unicode(value)
    if isinstance(value, float):
        return _finite(float(value))
    return value if value is None or isinstance(value, bool) else int(value)


def _key(key: Any) -> str:
    if not isinstance(key, str):
        raise _NoJSONError(
            f"an object has a key of type {type(key).__name__}; keys must be strings"
        )
    return _unicode(key)


def _unicode(value: str) -> str:
    plain = str.__str__(value)
    try:
        plain.encode()
    except UnicodeEncodeError:
        raise _NoJSONError("a string with half a surrogate pair is not valid Unicode") from None
    return plain


def _finite(value: float) -> float | None:
    if math.isinf(value):
        raise _NoJSONError("an infinity has no JSON form; send null or a string")
    return None if math.isnan(value) else value


def _plain(value: Any) -> Any:
    """One step towards JSON; orjson calls it for values of unknown types."""
    for kind, convert in _CONVERSIONS:
        if isinstance(value, kind):
            return convert(value)
    if value is loaded("pandas", "NA"):
        return None
    kinds = [kind for name in ("generic", "ndarray") if (kind := loaded("numpy", name)) is not None]
    if isinstance(value, tuple(kinds)):
        return _from_numpy(value, sys.modules["numpy"])
    return _as_pydantic(value)


def _as_pydantic(value: Any) -> Any:
    # An iterator may never end, and a complex number is none in JSON.
    if not isinstance(value, Iterator | complex):
        try:
            return to_jsonable_python(value)
        except (ValueError, RecursionError):
            pass
    raise _NoJSONError(f"a value of type {kind_name(value)} has no JSON form") from None


def is_missing(value: Any) -> bool:
    """Whether a cell is sent as null: None, NaN, NaT or `pandas.NA`."""
    if value is None:
        return True
    if isinstance(value, float | date | timedelta | Decimal):
        return bool(value != value)  # noqa: PLR0124 - only these differ from themselves
    return value is loaded("pandas", "NA")


def loaded(module: str, name: str) -> Any:
    """An attribute of a library, without loading the library.

    Returns:
        The attribute; None if the library is not loaded or is just being loaded by another thread,
        in which case no value has its types.
    """
    return getattr(sys.modules.get(module), name, None)


def kind_name(value: Any) -> str:
    """The name of a value's type, as one would write it in code."""
    kind = type(value)
    module = kind.__module__.partition(".")[0]
    return kind.__qualname__ if module == "builtins" else f"{module}.{kind.__qualname__}"


def _isoformat(value: date | time) -> str | None:
    # NaT calls itself a datetime; nothing else differs from itself.
    return value.isoformat() if value == value else None  # noqa: PLR0124


def _decimal(value: Decimal) -> str | None:
    if value.is_infinite():
        raise _NoJSONError("an infinity has no JSON form; send null or a string")
    return None if value.is_nan() else str(value)


def _model(value: BaseModel) -> Any:
    try:
        return model_values(value)
    except (ValueError, RecursionError):
        raise _NoJSONError(f"a {type(value).__name__} has no JSON form") from None


class _Met(threading.local):
    """What was met while values were encoded in this thread."""

    secret = False


_met = _Met()


def _secret(value: Any) -> Any:
    _met.secret = True
    return value.get_secret_value()


def _duration(value: timedelta) -> Any:
    if is_missing(value):
        return None
    if getattr(value, "nanoseconds", 0):
        raise _NoJSONError("a duration with nanoseconds has no JSON form; send a string")
    return to_jsonable_python(timedelta(value.days, value.seconds, value.microseconds))


def _bytes(value: bytes | bytearray) -> str:
    try:
        return bytes(value).decode()
    except UnicodeDecodeError:
        raise _NoJSONError("bytes that are not UTF-8 have no JSON form; send a string") from None


def _sorted(values: AbstractSet[Any]) -> list[Any]:
    # The order of a set of strings differs from process to process.
    try:
        return sorted(values)
    except TypeError:
        return sorted(values, key=repr)


def _from_numpy(value: Any, numpy: Any) -> Any:
    if isinstance(value, numpy.datetime64):
        return None if numpy.isnat(value) else _numpy_moment(value, numpy)
    if isinstance(value, numpy.ndarray):
        # `tolist` would convert nanoseconds to numbers.
        return list(value) if value.dtype.kind in "mM" and value.ndim else value.tolist()
    if isinstance(value, numpy.timedelta64):
        return _numpy_duration(value)
    return value.item()


# Parts of a microsecond in each finer unit of NumPy, and the digits that they take.
_FINER = {"ns": (10**3, 3), "ps": (10**6, 6), "fs": (10**9, 9), "as": (10**12, 12)}


def _numpy_moment(value: Any, numpy: Any) -> str:
    """A moment as `isoformat` of Python and pandas writes it."""
    unit, count = numpy.datetime_data(value.dtype)
    if unit in ("Y", "M"):
        return str(value)
    if unit in ("D", "W"):
        plain, digits = value.astype("M8[D]").item(), ""
    else:
        parts, width = _FINER.get(unit, (1, 0))
        whole, rest = divmod(int(value.astype("i8")) * count, parts)
        in_microseconds = numpy.datetime64(whole, "us") if width else value.astype("M8[us]")
        plain, digits = in_microseconds.item(), f"{rest:0{width}}" if rest else ""
    if not isinstance(plain, date):
        raise _NoJSONError("a time outside of the years 1 to 9999 has no JSON form; send a string")
    if digits and isinstance(plain, datetime):
        return plain.isoformat(timespec="microseconds") + digits
    return plain.isoformat()


def _numpy_duration(value: Any) -> timedelta | None:
    plain: Any = value.item()
    if value.dtype == "m8[ns]" and isinstance(plain, int) and plain % 1000 == 0:
        plain = timedelta(microseconds=plain // 1000)
    if plain is not None and not isinstance(plain, timedelta):
        raise _NoJSONError("a duration of this unit has no JSON form; send a string")
    return plain


_CONVERSIONS: tuple[tuple[type | tuple[type, ...], Callable[[Any], Any]], ...] = (
    ((date, time), _isoformat),
    (timedelta, _duration),
    ((bytes, bytearray), _bytes),
    (SECRETS, _secret),
    # Interfaces are addresses too. Older versions of pydantic do not write these.
    ((UUID, IPv4Address, IPv6Address, IPv4Network, IPv6Network), str),
    (Decimal, _decimal),
    (BaseModel, _model),
    (Mapping, dict),
    (AbstractSet, _sorted),
)
