"""Tables as CSV, Parquet and JSON lines, written piece by piece."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_sutro._core.results.cells import cells, text_array
from langchain_sutro._core.results.target import written
from langchain_sutro._core.rows import dump_row, encode_row
from langchain_sutro._core.service import dump_json

if TYPE_CHECKING:
    from collections.abc import Iterable
    from os import PathLike

__all__ = ["write_csv", "write_jsonl", "write_parquet"]


def write_parquet(target: str | PathLike[str], schema: Any, tables: Iterable[Any]) -> None:
    """Write a Parquet file; objects that are always empty, which it cannot hold, are JSON.

    Args:
        target: A local path or an fsspec URL.
        schema: The `pyarrow.Schema` of all tables.
        tables: The `pyarrow.Table`s, in order.
    """
    import pyarrow as pa  # noqa: PLC0415
    from pyarrow import parquet  # noqa: PLC0415

    held = pa.schema([(one.name, _parquet_type(one.type)) for one in schema])
    with written(target) as file, parquet.ParquetWriter(file, held) as writer:
        for table in tables:
            writer.write_table(_as_schema(table, held))


def write_jsonl(target: str | PathLike[str], tables: Iterable[Any]) -> None:
    """Write a file of JSON lines: an object for each row.

    Args:
        target: As for `write_parquet`.
        tables: As for `write_parquet`.
    """
    with written(target) as file:
        for table in tables:
            for row in table.to_pylist():
                file.write(dump_row(row) + b"\n")


def write_csv(target: str | PathLike[str], schema: Any, tables: Iterable[Any]) -> None:
    """Write a CSV file in UTF-8 with a header; lists and objects are JSON.

    Args:
        target: As for `write_parquet`.
        schema: As for `write_parquet`.
        tables: As for `write_parquet`.
    """
    import pyarrow as pa  # noqa: PLC0415
    from pyarrow import csv  # noqa: PLC0415

    flat = pa.schema([(one.name, _flat_type(one.type)) for one in schema])
    with written(target) as file, csv.CSVWriter(file, flat) as writer:
        for table in tables:
            writer.write_table(_as_schema(table, flat))


def _parquet_type(kind: Any) -> Any:
    import pyarrow as pa  # noqa: PLC0415

    return pa.large_string() if _has_empty_struct(kind) else kind


def _has_empty_struct(kind: Any) -> bool:
    import pyarrow as pa  # noqa: PLC0415

    inner = (kind.field(index).type for index in range(kind.num_fields))
    empty = pa.types.is_struct(kind) and not kind.num_fields
    return empty or any(map(_has_empty_struct, inner))


def _flat_type(kind: Any) -> Any:
    """A type that a CSV file can hold; text for any other."""
    import pyarrow as pa  # noqa: PLC0415

    types = pa.types
    held = (types.is_integer, types.is_floating, types.is_boolean, types.is_date)
    texts = (types.is_string, types.is_large_string)
    return kind if any(is_kind(kind) for is_kind in (*held, *texts)) else pa.large_string()


def _as_schema(table: Any, schema: Any) -> Any:
    """A table whose columns have other types in the schema only if they are JSON there."""
    import pyarrow as pa  # noqa: PLC0415

    columns = [_flat(table[one.name], one.type) for one in schema]
    return pa.table(columns, schema=schema)


def _flat(column: Any, kind: Any) -> Any:
    import pyarrow as pa  # noqa: PLC0415

    if column.type == kind:
        return column
    return pa.chunked_array([text_array(map(_text, cells(one))) for one in column.chunks], kind)


def _text(value: Any) -> Any:
    plain = encode_row({"": value})
    cell = plain[""] if isinstance(plain, dict) else plain
    return cell if cell is None or isinstance(cell, str) else dump_json(cell)
