"""Arrow columns as rows, and checks for all kinds of table with named columns."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from langchain_sutro.errors import SutroInputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["TakeRows", "cells", "check_names", "check_schema", "rows_from_columns", "take_batches"]

TakeRows = Callable[[int], list[Any]]
"""Returns the next rows, at most the requested number, and no rows only at the end."""


def check_names(names: Sequence[Any], columns: Sequence[str] | None) -> None:
    """Check the names of a table's columns.

    Raises:
        SutroInputError: A name is not a string or is used twice, or a selected column is missing.
    """
    for position, name in enumerate(names):
        if not isinstance(name, str):
            raise SutroInputError(
                f"Column {position} is named {name!r}, but column names must be strings."
            )
    seen = set(names)
    if len(seen) < len(names):
        twice = next(name for name in names if list(names).count(name) > 1)
        raise SutroInputError(f"Two columns are named {twice!r}: rename one of them.", column=twice)
    for name in columns or ():
        if name not in seen:
            raise SutroInputError(f"The table has no column {name!r}.", column=name)


def check_schema(schema: Any, columns: Sequence[str] | None) -> None:
    """Check the columns of an Arrow schema.

    Raises:
        SutroInputError: A row cannot have these names or types, or a selected column is missing.
    """
    check_names(schema.names, columns)
    for column in schema:
        if _has_map(column.type) and (columns is None or column.name in columns):
            raise SutroInputError(
                f"Column {column.name!r} holds Arrow maps, whose keys need not be strings: convert "
                "them to structs.",
                column=column.name,
            )


def _has_map(kind: Any) -> bool:
    import pyarrow as pa  # noqa: PLC0415

    inner = (kind.field(index).type for index in range(kind.num_fields))
    return bool(pa.types.is_map(kind)) or any(map(_has_map, inner))


def take_batches(batches: Iterable[Any], columns: Sequence[str] | None) -> TakeRows:
    """Convert Arrow record batches to rows."""
    rest = iter(batches)
    batch: Any = None
    position = 0

    def take(count: int) -> list[Any]:
        nonlocal batch, position
        while batch is None or position >= batch.num_rows:
            batch, position = next(rest, None), 0
            if batch is None:
                return []
        part = batch.slice(position, count)
        position += part.num_rows
        return _rows_of_batch(part if columns is None else part.select(list(columns)))

    return take


def _rows_of_batch(batch: Any) -> list[dict[str, Any]]:
    names = batch.schema.names
    return rows_from_columns(batch.num_rows, names, map(cells, batch.columns, names))


def rows_from_columns(
    count: int, names: Sequence[str], columns: Iterable[list[Any]]
) -> list[dict[str, Any]]:
    """Rows from columns of cells."""
    rows: list[dict[str, Any]] = [{} for _ in range(count)]
    # Filling column by column is several times as fast as zipping each row.
    for name, column in zip(names, columns, strict=True):
        for row, cell in zip(rows, column, strict=True):
            row[name] = cell
    return rows


def cells(array: Any, name: str) -> list[Any]:
    """Values of an Arrow array as Python objects."""
    import pyarrow as pa  # noqa: PLC0415

    kind = array.type
    if pa.types.is_dictionary(kind):
        # Decoded here, since Arrow cannot decode every string type.
        values = cells(array.dictionary, name)
        return [None if index is None else values[index] for index in array.indices.to_pylist()]
    if pa.types.is_timestamp(kind) and kind.unit == "ns":
        array = _without_nanoseconds(array)
    try:
        found: list[Any] = array.to_pylist()
    except (ValueError, OverflowError):
        raise SutroInputError(
            f"Column {name!r} of type {kind} has values that Python cannot represent.",
            column=name,
        ) from None
    return found


def _without_nanoseconds(array: Any) -> Any:
    """Microseconds if that is exact, otherwise strings: both are sent as strings."""
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.compute as pc  # noqa: PLC0415

    try:
        return array.cast(pa.timestamp("us", array.type.tz))
    except pa.ArrowInvalid:
        # As in ISO 8601; pyarrow writes a space.
        return pc.replace_substring(array.cast(pa.string()), " ", "T", max_replacements=1)
