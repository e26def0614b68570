"""Arrow tables as DataFrames, and joined to the rows they belong to."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from os import PathLike
from typing import Any

from pydantic import BaseModel

from langchain_sutro._core.rows import RemoteTable, kind_name, loaded, model_values, open_table
from langchain_sutro.errors import SutroConfigurationError, SutroInputError

__all__ = ["join", "to_pandas", "to_polars"]

_ROWS_AT_ONCE = 16_384


def to_pandas(table: Any) -> Any:
    """A pandas DataFrame; integers and booleans with nulls get the nullable types.

    Args:
        table: A `pyarrow.Table`.
    """
    import pandas as pd  # noqa: PLC0415
    import pyarrow as pa  # noqa: PLC0415

    # As floats, integers would lose digits; as objects, values would lose their type.
    nullable = {pa.int64(): pd.Int64Dtype(), pa.bool_(): pd.BooleanDtype()}
    gaps = [
        column.name
        for column in table.schema
        if column.type in nullable and table[column.name].null_count
    ]
    frame = table.drop_columns(gaps).to_pandas(split_blocks=True)
    for name in gaps:
        values = table.select([name]).to_pandas(types_mapper=nullable.get)[name]
        frame.insert(table.schema.get_field_index(name), name, values)
    return frame


def to_polars(table: Any) -> Any:
    """A polars DataFrame.

    Args:
        table: A `pyarrow.Table`.

    Raises:
        SutroConfigurationError: polars is not installed.
    """
    try:
        import polars as pl  # noqa: PLC0415
    except ImportError:
        raise SutroConfigurationError("Install polars to get a polars DataFrame.") from None
    return pl.from_arrow(table, rechunk=False)


def join(
    original: Any, table: Any, *, carried: Collection[str] = (), suffix: str | None = None
) -> Any:
    """Join columns of results to the rows they belong to, by position.

    Args:
        original: Anything that `open_table` takes, except URLs.
        table: As many rows, as a `pyarrow.Table`.
        carried: Columns that the service copied from its input. They are not added again if the
            original has the same.
        suffix: Appended to the name of a result column that the original also has; None makes
            that an error.

    Returns:
        For a DataFrame or a `pyarrow.Table` a new one of the same kind, with the columns, types and
        index of the original; for other iterables of rows a list of dicts; for files and other
        Arrow objects a `pyarrow.Table`.

    Raises:
        SutroInputError: The numbers of rows differ, names clash, or it is not a table.
    """
    pandas, polars = loaded("pandas", "DataFrame"), loaded("polars", "DataFrame")
    if pandas is not None and isinstance(original, pandas):
        frame = to_pandas(_beside(list(original.columns), original, table, carried, suffix))
        joined = original.copy()
        for name in frame.columns:
            joined[name] = frame[name].array
        return joined
    if polars is not None and isinstance(original, polars):
        added = _beside(original.columns, original, table, carried, suffix)
        return original.hstack(to_polars(added).get_columns())
    original = _rows_or_table(original)
    if isinstance(original, list):
        names = list(dict.fromkeys(name for row in original for name in row))
        rows = _beside(names, original, table, carried, suffix).to_pylist()
        return [{**row, **result} for row, result in zip(original, rows, strict=True)]
    added = _beside(original.column_names, original, table, carried, suffix)
    for name, column in zip(added.column_names, added.columns, strict=True):
        original = original.append_column(name, column)
    return original


def _rows_or_table(original: Any) -> Any:
    """A `pyarrow.Table` for files and Arrow objects, and a list of dicts for other rows."""
    import pyarrow as pa  # noqa: PLC0415

    opened = open_table(original)
    if isinstance(opened, RemoteTable):
        raise SutroInputError(
            "Results cannot be joined to a table behind a URL, which the service fetched: pass a "
            "copy of it."
        )
    if hasattr(original, "__arrow_c_stream__"):
        return original if isinstance(original, pa.Table) else pa.table(original)
    take = opened.open(None)
    rows: list[Any] = []
    while part := take(_ROWS_AT_ONCE):
        rows += part
    if isinstance(original, str | PathLike):
        return pa.Table.from_pylist(rows)
    return [_mapping(row) for row in rows]


def _mapping(row: Any) -> Mapping[str, Any]:
    if isinstance(row, str):
        return {"input": row}
    plain = model_values(row) if isinstance(row, BaseModel) else row
    if not isinstance(plain, Mapping):
        raise SutroInputError(
            "Results can only be joined to rows that are dicts, models or strings, not to a value "
            f"of type {kind_name(row)}."
        )
    return plain


def _beside(
    names: list[Any], original: Any, table: Any, carried: Collection[str], suffix: str | None
) -> Any:
    """The columns to add, under their final names."""
    if len(original) != table.num_rows:
        raise SutroInputError(
            f"The original has {len(original):,} rows, the results have {table.num_rows:,}."
        )
    taken = set(names)
    same = [
        name
        for name in table.column_names
        if name in taken and name in carried and _cells(original, name) == table[name].to_pylist()
    ]
    table = table.drop_columns(same)
    clashes = [name for name in table.column_names if name in taken]
    if clashes and suffix is None:
        raise SutroInputError(
            f"The original and the results both have {', '.join(map(repr, clashes))}: rename, or "
            "give the results' columns a suffix."
        )
    renamed = [f"{name}{suffix}" if name in clashes else name for name in table.column_names]
    if len({*taken, *renamed}) < len(taken) + len(renamed):
        raise SutroInputError(f"With the suffix {suffix!r} names still clash: choose another.")
    return table.rename_columns(renamed)


def _cells(original: Any, name: str) -> list[Any]:
    if isinstance(original, list):
        return [row.get(name) for row in original]
    column = original[name]
    to_list = getattr(column, "to_pylist", None) or getattr(column, "to_list", None)
    return list(to_list() if to_list else column)
