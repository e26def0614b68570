"""Cells of result columns, whatever types and damage they have."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from langchain_sutro._core.service import dump_json

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["cells", "scores", "strings", "text_array"]

# Bytes that are no UTF-8 stand for a cell that cannot be read, which is an error of its row.
_UNREADABLE = b"\xff"


def cells(array: Any) -> list[Any]:
    """Values of an Arrow array; bytes where they are not valid UTF-8, or cannot be read at all.

    Args:
        array: Of any type.
    """
    try:
        found: list[Any] = array.to_pylist()
    except (ValueError, OverflowError):
        return [_cell(one) for one in array]
    return found


def _cell(scalar: Any) -> Any:
    try:
        return scalar.as_py()
    except UnicodeDecodeError as error:
        return bytes(error.object)
    except (ValueError, OverflowError):
        return _UNREADABLE


def strings(array: Any) -> Any:
    """An array of outputs as large strings: JSON of values that are not strings.

    Args:
        array: Of any type. What is not valid UTF-8 becomes null.
    """
    import pyarrow as pa  # noqa: PLC0415

    try:
        found = array.cast(pa.large_string())
        found.validate(full=True)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError):
        return text_array(cells(array))
    return found


def text_array(values: Iterable[Any]) -> Any:
    """An array of large strings: strings as they are, JSON of other values, and null."""
    import pyarrow as pa  # noqa: PLC0415

    return pa.array(map(_text, values), pa.large_string())


def _text(value: Any) -> str | None:
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return None
    if isinstance(value, str):
        return value if value.isascii() else _unicode(value)
    try:
        return None if value is None else dump_json(value)
    except (TypeError, ValueError, RecursionError):
        return str(value) if not isinstance(value, dict | list) else None


def _unicode(value: str) -> str:
    """The string, with U+FFFD for half a surrogate pair."""
    return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def scores(array: Any) -> Any:
    """An array of confidences as 64-bit floats, null for what is no number.

    Args:
        array: Of any type.
    """
    import pyarrow as pa  # noqa: PLC0415

    kind = array.type
    if pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_null(kind):
        return array.cast(pa.float64(), safe=False)
    return pa.array(map(_score, cells(array)), pa.float64())


def _score(value: Any) -> float | None:
    if isinstance(value, bool | bytes):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return None if math.isnan(number) else number
