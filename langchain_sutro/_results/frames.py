"""Arrow tables as DataFrames, and joined to the rows they belong to."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from langchain_sutro._rows import kind_name, loaded
from langchain_sutro.errors import SutroConfigurationError, SutroInputError

__all__ = ["join", "to_pandas", "to_polars"]


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
    return pl.from_arrow(table)


def join(
    original: Any, table: Any, *, carried: Collection[str] = (), suffix: str | None = None
) -> Any:
    """Join columns of results to the rows they belong to, by position.

    Args:
        original: A pandas or polars DataFrame, a `pyarrow.Table`, or a list of dicts.
        table: As many rows, as a `pyarrow.Table`.
        carried: Columns that the service copied from its input. They are not added again if the
            original has the same.
        suffix: Appended to the name of a result column that the original also has; None makes
            that an error.

    Returns:
        A new object of the same kind, with the columns, types and index of the original.

    Raises:
        SutroInputError: The numbers of rows differ, names clash, or the kind is not supported.
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
    if isinstance(original, list):
        names = list(dict.fromkeys(name for row in original for name in _mapping(row)))
        rows = _beside(names, original, table, carried, suffix).to_pylist()
        return [{**row, **result} for row, result in zip(original, rows, strict=True)]
    if hasattr(original, "append_column") and hasattr(original, "column_names"):
        added = _beside(original.column_names, original, table, carried, suffix)
        for name, column in zip(added.column_names, added.columns, strict=True):
            original = original.append_column(name, column)
        return original
    raise SutroInputError(
        "Results can be joined to a pandas or polars DataFrame, a pyarrow Table or a list of "
        f"dicts; not to a value of type {kind_name(original)}."
    )


def _mapping(row: Any) -> Mapping[str, Any]:
    if not isinstance(row, Mapping):
        raise SutroInputError(
            "Results can only be joined to rows that are dicts, not to a value of type "
            f"{kind_name(row)}."
        )
    return row


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
