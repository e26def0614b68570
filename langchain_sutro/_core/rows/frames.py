"""Data frames and Arrow streams."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_sutro._core.rows.arrow_rows import (
    ArrowRows,
    TakeRows,
    cells,
    check_types,
    reading,
    rows_from_columns,
    take_batches,
)
from langchain_sutro._core.rows.json_cells import kind_name, loaded
from langchain_sutro.errors import SutroInputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from langchain_sutro._core.rows.columns import Columns

__all__ = ["take_lazy_frame", "take_pandas", "take_stream"]

_BATCH_ROWS = 16_384
# Numbers of NumPy that have the same values as an Arrow array.
_PLAIN_NUMBERS = frozenset(
    ["b1", "f4", "f8", *(f"{kind}{size}" for kind in "iu" for size in (1, 2, 4, 8))]
)
# Types of polars that Arrow does not have; it would export objects as their addresses.
_ONLY_POLARS = ("Int128", "UInt128", "Object")


def take_pandas(frame: Any, columns: Columns) -> TakeRows:
    """Read a pandas DataFrame, without its index.

    Raises:
        SutroInputError: It has columns that a row cannot have.
    """
    names = list(frame.columns)
    chosen = columns.chosen(names)
    positions = [names.index(column) for column in chosen.values()]
    position = 0

    def take(count: int) -> Sequence[Any]:
        nonlocal position
        part, first_row = frame.iloc[position : position + count], position
        position += len(part)
        series = [part.iloc[:, index] for index in positions]
        if any(map(_is_arrow, series)) and all(map(_may_be_arrow, series)):
            return ArrowRows(_batch(list(chosen.values()), series), chosen, first_row)
        columns_cells = [_series_cells(one, first_row) for one in series]
        return rows_from_columns(len(part), list(chosen), columns_cells)

    return take


def _is_arrow(series: Any) -> bool:
    kind = series.dtype
    return getattr(kind, "storage", "") == "pyarrow" or hasattr(kind, "pyarrow_dtype")


def _may_be_arrow(series: Any) -> bool:
    """Whether an Arrow array of it has the same values as Python objects."""
    kind = series.dtype
    native = getattr(kind, "isnative", False)
    return _is_arrow(series) or (native and kind.str[1:] in _PLAIN_NUMBERS)


def _batch(names: list[str], series: list[Any]) -> Any:
    import pyarrow as pa  # noqa: PLC0415

    arrays = dict(zip(names, map(_array, series), strict=True))
    return pa.RecordBatch.from_arrays(list(arrays.values()), names=list(arrays))


def _array(series: Any) -> Any:
    import pyarrow as pa  # noqa: PLC0415

    if not _is_arrow(series):
        return pa.array(series.to_numpy())
    name = str(series.name)
    array = pa.array(series.array, from_pandas=True)
    whole = array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
    check_types(pa.schema([(name, whole.type)]), [name])
    return whole


def _series_cells(series: Any, first_row: int) -> list[Any]:
    if _is_arrow(series):
        return cells(_array(series), str(series.name), first_row)
    values: list[Any] = series.tolist()
    return values


def take_stream(data: Any, columns: Columns) -> TakeRows:
    """Read anything with the Arrow C stream interface.

    Raises:
        SutroInputError: It is not a table, or has columns that a row cannot have.
    """
    import pyarrow as pa  # noqa: PLC0415

    frame = loaded("polars", "DataFrame")
    if frame is not None and isinstance(data, frame):
        _check_polars(data.schema, columns)
    try:
        reader = pa.RecordBatchReader.from_stream(data)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
        raise SutroInputError(
            f"A {kind_name(data)} is not a table with named columns, or has types that Arrow does "
            "not have: pass a DataFrame or a list."
        ) from None
    chosen = columns.chosen(reader.schema.names)
    check_types(reader.schema, chosen.values())
    return take_batches(reading(reader, f"The {kind_name(data)}"), chosen)


def take_lazy_frame(frame: Any, columns: Columns) -> TakeRows:
    """Collect a polars LazyFrame, in batches where polars can.

    Raises:
        SutroInputError: It has columns that a row cannot have, or cannot be collected.
    """
    import polars as pl  # noqa: PLC0415
    from polars import selectors  # noqa: PLC0415

    try:
        schema = frame.collect_schema()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise _uncollected(error) from None
    chosen = columns.chosen(list(schema))
    _check_polars(schema, columns)
    # Unlike a string, a selector is no pattern: a column may be named "*".
    wanted = frame.select(selectors.by_name(*dict.fromkeys(chosen.values()))) if chosen else frame
    return take_batches(_lazy_batches(wanted, chosen), chosen)


def _lazy_batches(frame: Any, chosen: dict[str, str]) -> Iterator[Any]:
    import polars as pl  # noqa: PLC0415

    try:
        if hasattr(frame, "collect_batches"):
            parts = frame.collect_batches(chunk_size=_BATCH_ROWS, maintain_order=True)
        else:
            parts = [frame.collect()]
        for part in parts:
            table = part.to_arrow()
            check_types(table.schema, chosen.values())
            yield from table.to_batches(max_chunksize=_BATCH_ROWS)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise _uncollected(error) from None


def _uncollected(error: Exception) -> SutroInputError:
    # Its message may quote paths and cells.
    return SutroInputError(
        f"The polars.LazyFrame cannot be collected: {type(error).__name__}. Call its collect() to "
        "see why."
    )


def _check_polars(schema: Any, columns: Columns) -> None:
    wanted = set(columns.chosen(list(schema)).values())
    for name, kind in schema.items():
        # A nested type is written with the types in it.
        only = next((one for one in _ONLY_POLARS if one in _words(kind)), None)
        if only is not None and name in wanted:
            raise SutroInputError(
                f"Column {name!r} has the polars type {only}, which Arrow does not have: cast it, "
                "for example to String.",
                column=name,
            )


def _words(kind: Any) -> set[str]:
    text = str(kind)
    return set("".join(mark if mark.isalnum() else " " for mark in text).split())
