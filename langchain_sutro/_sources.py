"""The kinds of table, each read a few rows at a time and never as a whole."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from itertools import chain, islice
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from langchain_sutro._encoding import kind_name
from langchain_sutro._remote import RemoteTable, is_remote, remote_table
from langchain_sutro.errors import SutroInputError

__all__ = ["LocalTable", "Take", "open_table"]

Take = Callable[[int], list[Any]]
"""Gives the next rows, at most as many as asked for, and none only at the end."""

_KINDS = (
    "a list or other iterable of dicts, pydantic models or texts; a pandas or polars DataFrame or "
    "anything else with __arrow_c_stream__; the path of a .csv or .parquet file or of a directory "
    "of Parquet files; an https://, s3:// or gs:// URL"
)
# A row longer than the block ends Arrow's CSV reader; small blocks keep memory flat.
_CSV_BLOCKS = (1 << 18, 1 << 23, 1 << 28, (1 << 31) - 1)
_READ_BYTES = 1 << 18
_BATCH_BYTES = 1 << 20
_BATCH_ROWS = 16_384


@dataclass(frozen=True)
class LocalTable:
    """A table on this machine.

    Attributes:
        kind: `"rows"`, `"pandas"`, `"arrow"`, `"csv"` or `"parquet"`.
        frame: The list or frame that was given, None for files and iterators.
    """

    kind: str
    frame: Any = field(repr=False)
    _open: Callable[[Sequence[str] | None], Take] = field(repr=False)

    def open(self, columns: Sequence[str] | None = None) -> Take:
        """Start to read.

        Args:
            columns: Names of the columns to read, in this order; None for all.

        Raises:
            SutroInputError: The table has no such column, or columns that no row can have.
        """
        return self._open(columns)


def open_table(data: Any, *, expires_in: int = 21_600) -> LocalTable | RemoteTable:
    """Find out what kind of table this is, without reading rows.

    Args:
        data: A list or other iterable of dicts, pydantic models or texts; a pandas DataFrame (its
            index is not sent); anything with `__arrow_c_stream__`, such as polars, pyarrow and
            DuckDB tables; the path of a `.csv` file (UTF-8, comma, header; every cell stays text,
            an empty one is the empty text, blank lines are skipped), of a `.parquet` file, or of a
            directory of Parquet files (by name, those with a leading `.` or `_` left out,
            `key=value` directories as columns); a URL, see `RemoteTable`. `s3://` and `gs://` are
            signed here, through fsspec.
        expires_in: Seconds that such a signature lasts.

    Returns:
        The table: what the service fetches itself, or what is sent from here.

    Raises:
        SutroInputError: It is no table, or there is no such file.
        SutroConfigurationError: It cannot be signed.
    """
    if isinstance(data, (LocalTable, RemoteTable)):
        return data
    if isinstance(data, str) and is_remote(data):
        return remote_table(data, expires_in=expires_in)
    if isinstance(data, (str, PathLike)):
        return _file(data)
    pandas = sys.modules.get("pandas")
    if pandas is not None and isinstance(data, pandas.DataFrame):
        return LocalTable("pandas", data, lambda columns: _take_pandas(data, columns))
    is_series = pandas is not None and isinstance(data, pandas.Series)
    if hasattr(data, "__arrow_c_stream__") and not is_series:
        return LocalTable("arrow", data, lambda columns: _take_stream(data, columns))
    unordered = isinstance(data, (Mapping, AbstractSet, bytes, bytearray, BaseModel))
    if unordered or not isinstance(data, Iterable):
        raise SutroInputError(f"A table is {_KINDS}; not a value of type {kind_name(data)}.")
    frame = data if isinstance(data, list) else None
    return LocalTable("rows", frame, lambda columns: _take_rows(data, columns))


def _take_rows(data: Iterable[Any], columns: Sequence[str] | None) -> Take:
    rows = iter(data)

    def take(count: int) -> list[Any]:
        return list(islice(rows, count))

    def take_columns(count: int) -> list[Any]:
        return [_select(row, columns or ()) for row in islice(rows, count)]

    return take if columns is None else take_columns


def _select(row: Any, columns: Sequence[str]) -> Any:
    if isinstance(row, BaseModel):
        row = row.model_dump(mode="json")
    if not isinstance(row, Mapping):
        return row
    return {name: row[name] for name in columns if name in row}


def _check_names(names: Sequence[Any], columns: Sequence[str] | None) -> None:
    """Check that rows can be made of these columns."""
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


def _take_pandas(frame: Any, columns: Sequence[str] | None) -> Take:
    _check_names(list(frame.columns), columns)
    if columns is not None:
        frame = frame[list(columns)]
    names = list(frame.columns)
    position = 0

    def take(count: int) -> list[Any]:
        nonlocal position
        part = frame.iloc[position : position + count]
        position += len(part)
        cells = (_series_cells(part.iloc[:, index]) for index in range(len(names)))
        return _dicts(len(part), names, cells)

    return take


def _series_cells(series: Any) -> list[Any]:
    if getattr(series.dtype, "storage", "") == "pyarrow" or hasattr(series.dtype, "pyarrow_dtype"):
        import pyarrow as pa  # noqa: PLC0415

        array = pa.array(series.array, from_pandas=True)
        whole = array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
        return _cells(whole, str(series.name))
    cells: list[Any] = series.tolist()
    return cells


def _take_stream(data: Any, columns: Sequence[str] | None) -> Take:
    import pyarrow as pa  # noqa: PLC0415

    try:
        reader = pa.RecordBatchReader.from_stream(data)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
        raise SutroInputError(
            f"A {kind_name(data)} is no table with named columns: pass a DataFrame or a list."
        ) from None
    _check_schema(reader.schema, columns)
    return _take_batches(reader, columns)


def _check_schema(schema: Any, columns: Sequence[str] | None) -> None:
    _check_names(schema.names, columns)
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


def _take_batches(batches: Iterable[Any], columns: Sequence[str] | None) -> Take:
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
    return _dicts(batch.num_rows, names, map(_cells, batch.columns, names))


def _dicts(count: int, names: Sequence[str], cells: Iterable[list[Any]]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = [{} for _ in range(count)]
    # Column by column is several times as fast as a dict of each row's zip.
    for name, column in zip(names, cells, strict=True):
        for row, cell in zip(rows, column, strict=True):
            row[name] = cell
    return rows


def _cells(array: Any, name: str) -> list[Any]:
    """Values of an Arrow array as Python objects."""
    import pyarrow as pa  # noqa: PLC0415

    kind = array.type
    if pa.types.is_dictionary(kind):
        array = array.dictionary_decode()
        kind = array.type
    if pa.types.is_timestamp(kind) and kind.unit == "ns":
        array = _without_nanoseconds(array)
    try:
        cells: list[Any] = array.to_pylist()
    except (ValueError, OverflowError):
        raise SutroInputError(
            f"Column {name!r} of type {kind} has values that Python has no objects for.",
            column=name,
        ) from None
    return cells


def _without_nanoseconds(array: Any) -> Any:
    """Moments that Python has, or texts where it has not: both become texts in the end."""
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.compute as pc  # noqa: PLC0415

    try:
        return array.cast(pa.timestamp("us", array.type.tz))
    except pa.ArrowInvalid:
        # Written as in ISO 8601, where pyarrow has a space.
        return pc.replace_substring(array.cast(pa.string()), " ", "T", max_replacements=1)


def _file(data: str | PathLike[str]) -> LocalTable:
    path = Path(fspath(data))
    ending = path.suffix.lower()
    try:
        known = path.is_dir() or (ending in (".csv", ".parquet") and path.is_file())
    except (OSError, ValueError):
        known = False
    if not known:
        # Any other text may be a prompt, which an error must not carry.
        named = f"There is no file {path.name!r}. " if ending in (".csv", ".parquet") else ""
        raise SutroInputError(f"{named}A table is {_KINDS}.")
    if path.is_dir():
        return LocalTable("parquet", None, lambda columns: _take_directory(path, columns))
    if ending == ".csv":
        return LocalTable("csv", None, lambda columns: _take_csv(path, columns))
    return LocalTable("parquet", None, lambda columns: _take_parquet(path, columns))


def _take_csv(path: Path, columns: Sequence[str] | None) -> Take:
    import pyarrow as pa  # noqa: PLC0415

    try:
        names, size = _csv_names(path)
    except pa.ArrowInvalid as error:
        raise _csv_error(error, path) from None
    _check_names(names, columns)

    def batches() -> Iterator[Any]:
        done = 0
        for block in (bytes_ for bytes_ in _CSV_BLOCKS if bytes_ >= size):
            try:
                skip = done
                for batch in _csv_reader(path, block, names, columns):
                    fresh = batch.slice(skip)
                    skip -= batch.num_rows - fresh.num_rows
                    done += fresh.num_rows
                    yield fresh
            except pa.ArrowInvalid as error:
                if "straddling" not in str(error) or block == _CSV_BLOCKS[-1]:
                    raise _csv_error(error, path) from None
            else:
                return

    return _take_batches(batches(), columns)


def _csv_names(path: Path) -> tuple[list[str], int]:
    """The header, and the size of block that its reader needed."""
    import pyarrow as pa  # noqa: PLC0415

    for block in _CSV_BLOCKS:
        try:
            return list(_csv_reader(path, block).schema.names), block
        except pa.ArrowInvalid as error:
            if "straddling" not in str(error) or block == _CSV_BLOCKS[-1]:
                raise
    raise AssertionError


def _csv_reader(
    path: Path,
    block: int,
    names: Sequence[str] | None = None,
    columns: Sequence[str] | None = None,
) -> Any:
    import pyarrow as pa  # noqa: PLC0415
    from pyarrow import csv  # noqa: PLC0415

    return csv.open_csv(
        path,
        read_options=csv.ReadOptions(block_size=block, use_threads=False),
        parse_options=csv.ParseOptions(newlines_in_values=True),
        convert_options=csv.ConvertOptions(
            column_types=dict.fromkeys(names or (), pa.string()),
            include_columns=list(columns or ()),
            strings_can_be_null=False,
        ),
    )


def _csv_error(error: Exception, path: Path) -> SutroInputError:
    """What is wrong with a file, without the cells that Arrow would quote."""
    text = str(error)
    if "Empty CSV" in text:
        return SutroInputError(f"{path.name} is empty: a CSV file has a header.")
    if "UTF8" in text or "UTF-8" in text:
        return SutroInputError(f"{path.name} is not UTF-8 throughout: convert it.")
    number = re.search(r"Row #(\d+)", text)
    counts = re.search(r"Expected (\d+) columns, got (\d+)", text)
    where = f" record {number[1]} (the header is 1)" if number else " a record"
    what = f"has {counts[2]} cells instead of {counts[1]}" if counts else "is not valid CSV"
    return SutroInputError(
        f"{path.name}:{where} {what}.", row_index=int(number[1]) - 2 if number else None
    )


def _take_parquet(path: Path, columns: Sequence[str] | None) -> Take:
    import pyarrow as pa  # noqa: PLC0415
    from pyarrow import parquet  # noqa: PLC0415

    try:
        # A buffer instead of whole column chunks.
        file = parquet.ParquetFile(path, pre_buffer=False, buffer_size=_READ_BYTES)
    except (pa.ArrowInvalid, OSError):
        raise SutroInputError(f"{path.name} is not a Parquet file.") from None
    _check_schema(file.schema_arrow, columns)
    meta = file.metadata
    size = sum(meta.row_group(index).total_byte_size for index in range(meta.num_row_groups))
    rows = max(64, min(_BATCH_ROWS, _BATCH_BYTES * meta.num_rows // max(size, 1)))
    batches = file.iter_batches(rows, columns=list(columns) if columns else None, use_threads=False)
    return _take_batches(batches, columns)


def _take_directory(path: Path, columns: Sequence[str] | None) -> Take:
    import pyarrow as pa  # noqa: PLC0415
    from pyarrow import dataset  # noqa: PLC0415

    try:
        tables = dataset.dataset(path, format="parquet", partitioning="hive")
    except (pa.ArrowInvalid, OSError):
        raise SutroInputError(
            f"{path.name} has files that are not Parquet, or that differ in their columns."
        ) from None
    fragments = sorted(tables.get_fragments(), key=lambda fragment: str(fragment.path))
    if not fragments:
        raise SutroInputError(f"{path.name} has no Parquet files.")
    _check_schema(tables.schema, columns)
    batches = chain.from_iterable(
        fragment.to_batches(
            schema=tables.schema,
            columns=list(columns) if columns else None,
            batch_size=_BATCH_ROWS,
            batch_readahead=1,
            fragment_readahead=1,
            use_threads=False,
        )
        for fragment in fragments
    )
    return _take_batches(batches, columns)
