"""All kinds of table, each read a few rows at a time and never as a whole."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from itertools import islice
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from langchain_sutro._rows.arrow_rows import (
    TakeRows,
    cells,
    check_names,
    check_schema,
    rows_from_columns,
    take_batches,
)
from langchain_sutro._rows.dumped_models import model_values
from langchain_sutro._rows.json_rows import kind_name, loaded
from langchain_sutro._rows.remote import RemoteTable, is_remote, remote_table
from langchain_sutro._rows.table_files import take_csv, take_directory, take_parquet
from langchain_sutro.errors import SutroInputError

__all__ = ["LocalTable", "open_table"]

_KINDS = (
    "a list or other iterable of dicts, pydantic models or strings; a pandas or polars DataFrame "
    "or anything else with __arrow_c_stream__; the path of a .csv or .parquet file or of a "
    "directory of Parquet files; an https://, s3:// or gs:// URL"
)


@dataclass(frozen=True)
class LocalTable:
    """A table on this machine."""

    _open: Callable[[Sequence[str] | None], TakeRows] = field(repr=False)

    def open(self, columns: Sequence[str] | None = None) -> TakeRows:
        """Start reading.

        Args:
            columns: Names of the columns to read, in this order; None for all.

        Raises:
            SutroInputError: The table has no such column, or columns that a row cannot have.
        """
        return self._open(columns)


def open_table(data: Any) -> LocalTable | RemoteTable:
    """Recognise a table, without reading rows.

    Args:
        data: A list or other iterable of dicts, pydantic models or strings; a pandas DataFrame
            (its index is not sent); anything with `__arrow_c_stream__`, such as polars, pyarrow and
            DuckDB tables; the path of a `.csv` file (UTF-8, commas, header; every cell is a string,
            an empty one the empty string, and blank lines are skipped), of a `.parquet` file, or of
            a directory of Parquet files (in order of their names, without those that start with
            `.` or `_`; `key=value` directories become columns); a URL, see `RemoteTable`. `s3://`
            and `gs://` URLs are signed here, with fsspec.

    Returns:
        The table: a `RemoteTable` if the service fetches it itself.

    Raises:
        SutroInputError: It is not a table, or there is no such file.
        SutroConfigurationError: The URL cannot be signed.
    """
    if isinstance(data, (LocalTable, RemoteTable)):
        return data
    if isinstance(data, str) and is_remote(data):
        return remote_table(data)
    if isinstance(data, (str, PathLike)):
        return _file(data)
    frame_type = loaded("pandas", "DataFrame")
    if frame_type is not None and isinstance(data, frame_type):
        return LocalTable(lambda columns: _take_pandas(data, columns))
    if hasattr(data, "__arrow_c_stream__") and not _is_series(data):
        return LocalTable(lambda columns: _take_stream(data, columns))
    unordered = isinstance(data, (Mapping, AbstractSet, bytes, bytearray, BaseModel))
    if unordered or not isinstance(data, Iterable):
        raise SutroInputError(f"A table is {_KINDS}; not a value of type {kind_name(data)}.")
    return LocalTable(lambda columns: _take_rows(data, columns))


def _file(data: str | PathLike[str]) -> LocalTable:
    path = Path(fspath(data))
    ending = path.suffix.lower()
    try:
        known = path.is_dir() or (ending in (".csv", ".parquet") and path.is_file())
    except (OSError, ValueError):
        known = False
    if not known:
        # Any other string may be a prompt, which an error must not quote.
        named = f"There is no file {path.name!r}. " if ending in (".csv", ".parquet") else ""
        raise SutroInputError(f"{named}A table is {_KINDS}.")
    if path.is_dir():
        return LocalTable(lambda columns: take_directory(path, columns))
    if ending == ".csv":
        return LocalTable(lambda columns: take_csv(path, columns))
    return LocalTable(lambda columns: take_parquet(path, columns))


def _is_series(data: Any) -> bool:
    """Whether it is a single column, which has an Arrow stream but is not a table."""
    kinds = (loaded(library, "Series") for library in ("pandas", "polars"))
    return any(kind is not None and isinstance(data, kind) for kind in kinds)


def _take_rows(data: Iterable[Any], columns: Sequence[str] | None) -> TakeRows:
    rows = iter(data)

    def take(count: int) -> list[Any]:
        return list(islice(rows, count))

    def take_columns(count: int) -> list[Any]:
        return [_select(row, columns or ()) for row in islice(rows, count)]

    return take if columns is None else take_columns


def _select(row: Any, columns: Sequence[str]) -> Any:
    if isinstance(row, BaseModel):
        row = model_values(row)
    if not isinstance(row, Mapping):
        return row
    return {name: row[name] for name in columns if name in row}


def _take_pandas(frame: Any, columns: Sequence[str] | None) -> TakeRows:
    check_names(list(frame.columns), columns)
    if columns is not None:
        frame = frame[list(columns)]
    names = list(frame.columns)
    position = 0

    def take(count: int) -> list[Any]:
        nonlocal position
        part = frame.iloc[position : position + count]
        position += len(part)
        columns_cells = (_series_cells(part.iloc[:, index]) for index in range(len(names)))
        return rows_from_columns(len(part), names, columns_cells)

    return take


def _series_cells(series: Any) -> list[Any]:
    if getattr(series.dtype, "storage", "") == "pyarrow" or hasattr(series.dtype, "pyarrow_dtype"):
        import pyarrow as pa  # noqa: PLC0415

        array = pa.array(series.array, from_pandas=True)
        whole = array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
        return cells(whole, str(series.name))
    values: list[Any] = series.tolist()
    return values


def _take_stream(data: Any, columns: Sequence[str] | None) -> TakeRows:
    import pyarrow as pa  # noqa: PLC0415

    try:
        reader = pa.RecordBatchReader.from_stream(data)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
        raise SutroInputError(
            f"A {kind_name(data)} is not a table with named columns: pass a DataFrame or a list."
        ) from None
    check_schema(reader.schema, columns)
    return take_batches(reader, columns)
