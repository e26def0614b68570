"""Arrow columns as rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import time
from typing import TYPE_CHECKING, Any, overload

from langchain_sutro._core.rows.arrow_json import dump_columns
from langchain_sutro.errors import SutroInputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = [
    "ArrowRows",
    "TakeRows",
    "cells",
    "check_types",
    "reading",
    "rows_from_columns",
    "take_batches",
]

TakeRows = Callable[[int], Sequence[Any]]
"""Returns the next rows, at most the requested number, and no rows only at the end."""


class ArrowRows(Sequence[dict[str, Any]]):
    """Rows of a record batch, which become Python objects only where these are needed.

    Args:
        batch: The record batch.
        chosen: The column of each field, by the field's name.
        first_row: Index of its first row, for errors.
    """

    def __init__(self, batch: Any, chosen: Mapping[str, str], first_row: int) -> None:
        self._batch = batch
        self._chosen = chosen
        self._first_row = first_row

    def __len__(self) -> int:
        return int(self._batch.num_rows)

    @overload
    def __getitem__(self, index: int) -> dict[str, Any]: ...

    @overload
    def __getitem__(self, index: slice) -> list[dict[str, Any]]: ...

    def __getitem__(self, index: int | slice) -> dict[str, Any] | list[dict[str, Any]]:
        wanted = range(len(self))[index]
        if isinstance(wanted, int):
            return self[wanted : wanted + 1][0]
        part = self._batch.slice(wanted.start, len(wanted)) if wanted.step == 1 else None
        if part is None:
            return list(self)[index]
        return list(ArrowRows(part, self._chosen, self._first_row + wanted.start))

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """The rows as dicts.

        Raises:
            SutroInputError: Python has no such value.
        """
        columns = [
            cells(self._batch.column(name), name, self._first_row) for name in self._chosen.values()
        ]
        return iter(rows_from_columns(len(self), list(self._chosen), columns))

    def json(self) -> bytes | None:
        """The rows as a JSON array, if Arrow can write it; see `dump_columns`."""
        return dump_columns({name: self._batch.column(one) for name, one in self._chosen.items()})


def check_types(schema: Any, columns: Iterable[str]) -> None:
    """Check the types of an Arrow schema.

    Args:
        schema: The schema.
        columns: Names of the columns that are sent.

    Raises:
        SutroInputError: A column's values cannot be sent, whatever they are.
    """
    import pyarrow as pa  # noqa: PLC0415

    for name in columns:
        for kind in _all_types(schema.field(name).type):
            if pa.types.is_struct(kind):
                names = [kind.field(index).name for index in range(kind.num_fields)]
                if len(set(names)) < len(names):
                    raise SutroInputError(
                        f"Column {name!r} has structs with two fields of one name.", column=name
                    )
            if pa.types.is_map(kind) and not _is_text(kind.key_type):
                raise SutroInputError(
                    f"Column {name!r} holds maps with keys of type {kind.key_type}; keys must be "
                    "strings.",
                    column=name,
                )


def _all_types(kind: Any) -> Iterator[Any]:
    import pyarrow as pa  # noqa: PLC0415

    yield kind
    if pa.types.is_dictionary(kind):
        yield from _all_types(kind.value_type)
    for index in range(kind.num_fields):
        yield from _all_types(kind.field(index).type)


def _is_text(kind: Any) -> bool:
    import pyarrow as pa  # noqa: PLC0415

    if pa.types.is_dictionary(kind):
        return _is_text(kind.value_type)
    return bool(
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    )


def reading(batches: Iterable[Any], name: str) -> Iterator[Any]:
    """Read record batches, with errors of this package.

    Args:
        batches: What reads them.
        name: What is read, for errors.

    Raises:
        SutroInputError: They cannot be read. It does not repeat Arrow's message, which may quote
            cells and paths.
    """
    import pyarrow as pa  # noqa: PLC0415

    rest = iter(batches)
    done = 0
    while True:
        try:
            batch = next(rest)
        except StopIteration:
            return
        except (pa.ArrowException, OSError):
            raise SutroInputError(
                f"{name} cannot be read from row {done} on: it is damaged, or has values that "
                "Arrow does not support.",
                row_index=done,
            ) from None
        yield batch
        done += batch.num_rows


def take_batches(batches: Iterable[Any], chosen: Mapping[str, str]) -> TakeRows:
    """Convert Arrow record batches to rows.

    Args:
        batches: The batches, each with all chosen columns.
        chosen: The column of each field, by the field's name.
    """
    rest = iter(batches)
    batch: Any = None
    position = 0
    done = 0

    def take(count: int) -> Sequence[Any]:
        nonlocal batch, position, done
        while batch is None or position >= batch.num_rows:
            batch, position = next(rest, None), 0
            if batch is None:
                return []
        rows = ArrowRows(batch.slice(position, count), chosen, done)
        position += len(rows)
        done += len(rows)
        return rows

    return take


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


def cells(array: Any, name: str, first_row: int = 0) -> list[Any]:
    """Values of an Arrow array as Python objects.

    Args:
        array: The array.
        name: Name of the column, for errors.
        first_row: Index of its first row, for errors.

    Raises:
        SutroInputError: Python has no such value.
    """
    try:
        return _values(array)
    except _READ_ERRORS:
        pass
    for index in range(len(array)):
        try:
            _values(array.slice(index, 1))
        except _READ_ERRORS as error:
            row = first_row + index
            raise SutroInputError(
                f"Row {row}, column {name!r}: {_reason(error, array.type)}.",
                row_index=row,
                column=name,
            ) from None
    raise SutroInputError(
        f"Column {name!r} of type {array.type} has values that Python cannot represent.",
        column=name,
    )


# An unknown time zone is a KeyError with some versions of Arrow; deep nesting ends the recursion.
_READ_ERRORS = (
    ValueError,
    OverflowError,
    LookupError,
    NotImplementedError,
    RecursionError,
    OSError,
)


class _DoubleKeyError(ValueError):
    """A map has one key twice."""


def _reason(error: Exception, kind: Any) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "a string is not valid UTF-8"
    if isinstance(error, _DoubleKeyError):
        return "a map has one key twice"
    if isinstance(error, RecursionError):
        return "values are nested too deeply"
    zone = getattr(kind, "tz", None)
    if zone is not None and not isinstance(error, OverflowError):
        return (
            f"a time that cannot be represented, perhaps because the time zone {zone!r} is unknown"
        )
    return f"a value of type {kind} that cannot be represented"


def _values(array: Any) -> list[Any]:
    import pyarrow as pa  # noqa: PLC0415

    kind = array.type
    if pa.types.is_dictionary(kind):
        # Decoded here, since Arrow cannot decode every string type.
        values = dict(enumerate(_values(array.dictionary)))
        return [None if index is None else values[index] for index in array.indices.to_pylist()]
    if pa.types.is_map(kind):
        entries = pa.list_(pa.struct([("key", kind.key_type), ("value", kind.item_type)]))
        return [_object(entry) for entry in _values(array.cast(entries))]
    if pa.types.is_struct(kind):
        return _structs(array)
    if _is_list(kind) and _needs_care(kind.value_type):
        return _lists(array)
    if pa.types.is_time64(kind) and kind.unit == "ns":
        return [
            None if value is None else _time(value) for value in array.cast(pa.int64()).to_pylist()
        ]
    if pa.types.is_timestamp(kind) and kind.unit == "ns":
        array = _in_microseconds(array)
    found: list[Any] = array.to_pylist()
    return found


def _is_list(kind: Any) -> bool:
    import pyarrow as pa  # noqa: PLC0415

    return bool(
        pa.types.is_list(kind)
        or pa.types.is_large_list(kind)
        or pa.types.is_fixed_size_list(kind)
        or pa.types.is_list_view(kind)
        or pa.types.is_large_list_view(kind)
    )


def _needs_care(kind: Any) -> bool:
    """Whether Arrow's own conversion of the values would lose something, or fail."""
    import pyarrow as pa  # noqa: PLC0415

    return bool(
        kind.num_fields or pa.types.is_dictionary(kind) or getattr(kind, "unit", None) == "ns"
    )


def _structs(array: Any) -> list[Any]:
    kind = array.type
    names = [kind.field(index).name for index in range(kind.num_fields)]
    # Unlike `field`, it respects the array's offset.
    columns = [_values(column) for column in array.flatten()]
    rows = rows_from_columns(len(array), names, columns)
    if not array.null_count:
        return rows
    there = array.is_valid().to_pylist()
    return [row if valid else None for row, valid in zip(rows, there, strict=True)]


def _lists(array: Any) -> list[Any]:
    import pyarrow.compute as pc  # noqa: PLC0415

    values = _values(array.flatten())
    found: list[Any] = []
    position = 0
    for length in pc.list_value_length(array).to_pylist():
        found.append(None if length is None else values[position : position + length])
        position += length or 0
    return found


def _object(entries: Any) -> dict[str, Any] | None:
    if entries is None:
        return None
    made = {entry["key"]: entry["value"] for entry in entries}
    if len(made) < len(entries):
        raise _DoubleKeyError
    return made


def _time(nanoseconds: int) -> time | str:
    """A time of day; one with nanoseconds as ISO 8601, since Python's have microseconds."""
    seconds, rest = divmod(nanoseconds, 10**9)
    whole = time(seconds // 3600, seconds // 60 % 60, seconds % 60, rest // 1000)
    if not rest % 1000:
        return whole
    return f"{whole.isoformat('microseconds')}{rest % 1000:03}"


def _in_microseconds(array: Any) -> Any:
    """Microseconds if that is exact; otherwise each value becomes pandas' timestamp."""
    import pyarrow as pa  # noqa: PLC0415

    try:
        return array.cast(pa.timestamp("us", array.type.tz))
    except pa.ArrowInvalid:
        return array
