"""Columns as rows: what all kinds of table with named columns share."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from langchain_sutro.errors import SutroInputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["Take", "cells", "check_names", "check_schema", "dicts", "take_batches"]

Take = Callable[[int], list[Any]]
"""Gives the next rows, at most as many as asked for, and none only at the end."""


def check_names(names: Sequence[Any], columns: Sequence[str] | None) -> None:
    """Check that rows can be made of columns of these names.

    Raises:
        SutroInputError: A name is no text or there twice, or a wanted column is missing.
    """
    for position, name in enumerate(names):
        if not isinstance(name, str):
            raise SutroInputError(
                f"Column {position} is named {name!r}, which is no text: rename it."
            )
    seen = set(names)
    if len(seen) < len(names):
        twice = next(name for name in names if list(names).count(name) > 1)
        raise SutroInputError(f"Two columns are named {twice!r}: rename one.", column=twice)
    for name in columns or ():
        if name not in seen:
            raise SutroInputError(f"The table has no column {name!r}.", column=name)


def check_schema(schema: Any, columns: Sequence[str] | None) -> None:
    """Check that rows can be made of the columns of an Arrow schema.

    Raises:
        SutroInputError: Names or types that no row can have, or a wanted column is missing.
    """
    check_names(schema.names, columns)
    for column in schema:
        if _has_map(column.type) and (columns is None or column.name in columns):
            raise SutroInputError(
                f"Column {column.name!r} holds Arrow maps, whose keys need not be texts: make them "
                "structs.",
                column=column.name,
            )


def _has_map(kind: Any) -> bool:
    import pyarrow as pa  # noqa: PLC0415

    inner = (kind.field(index).type for index in range(kind.num_fields))
    return bool(pa.types.is_map(kind)) or any(map(_has_map, inner))


def take_batches(batches: Iterable[Any], columns: Sequence[str] | None) -> Take:
    """Make rows of Arrow record batches."""
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
        return _batch_rows(part if columns is None else part.select(list(columns)))

    return take


def _batch_rows(batch: Any) -> list[dict[str, Any]]:
    names = batch.schema.names
    return dicts(batch.num_rows, names, map(cells, batch.columns, names))


def dicts(count: int, names: Sequence[str], columns: Iterable[list[Any]]) -> list[dict[str, Any]]:
    """Rows of columns of cells."""
    rows: list[dict[str, Any]] = [{} for _ in range(count)]
    # Column by column is several times as fast as a dict of each row's zip.
    for name, column in zip(names, columns, strict=True):
        for row, cell in zip(rows, column, strict=True):
            row[name] = cell
    return rows


def cells(array: Any, name: str) -> list[Any]:
    """Values of an Arrow array as Python objects."""
    import pyarrow as pa  # noqa: PLC0415

    kind = array.type
    if pa.types.is_dictionary(kind):
        # Decoded here: Arrow does not know how for every kind of text.
        values = cells(array.dictionary, name)
        return [None if index is None else values[index] for index in array.indices.to_pylist()]
    if pa.types.is_timestamp(kind) and kind.unit == "ns":
        array = _without_nanoseconds(array)
    try:
        found: list[Any] = array.to_pylist()
    except (ValueError, OverflowError):
        raise SutroInputError(
            f"Column {name!r} of type {kind} has values that Python has no objects for.",
            column=name,
        ) from None
    return found


def _without_nanoseconds(array: Any) -> Any:
    """Moments that Python has, or texts where it has not: both become texts in the end."""
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.compute as pc  # noqa: PLC0415

    try:
        return array.cast(pa.timestamp("us", array.type.tz))
    except pa.ArrowInvalid:
        # Written as in ISO 8601, where pyarrow has a space.
        return pc.replace_substring(array.cast(pa.string()), " ", "T", max_replacements=1)
