"""Tables in files: CSV, Parquet, and directories of Parquet files."""

from __future__ import annotations

import re
from itertools import chain
from typing import TYPE_CHECKING, Any

from langchain_sutro._rows.arrow_rows import TakeRows, check_names, check_schema, take_batches
from langchain_sutro.errors import SutroInputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

__all__ = ["take_csv", "take_directory", "take_parquet"]

# Arrow's CSV reader fails at a row longer than its block; small blocks keep memory flat.
_CSV_BLOCKS = (1 << 18, 1 << 23, 1 << 28, (1 << 31) - 1)
_READ_BYTES = 1 << 18
_BATCH_BYTES = 1 << 20
_BATCH_ROWS = 16_384


def take_csv(path: Path, columns: Sequence[str] | None) -> TakeRows:
    """Read a CSV file, with every cell as a string.

    Raises:
        SutroInputError: Its header is invalid or, during reading, a record is.
    """
    import pyarrow as pa  # noqa: PLC0415

    try:
        names, size = _csv_names(path)
    except pa.ArrowInvalid as error:
        raise _csv_error(error, path) from None
    check_names(names, columns)

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

    return take_batches(batches(), columns)


def _csv_names(path: Path) -> tuple[list[str], int]:
    """The header, and the block size that reading it took."""
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
    """An error for a file, without the cells that Arrow would quote."""
    text = str(error)
    if "Empty CSV" in text:
        return SutroInputError(f"{path.name} is empty: a CSV file must have a header.")
    if "UTF8" in text or "UTF-8" in text:
        return SutroInputError(f"{path.name} is not valid UTF-8: convert it.")
    number = re.search(r"Row #(\d+)", text)
    counts = re.search(r"Expected (\d+) columns, got (\d+)", text)
    where = f" record {number[1]} (the header is 1)" if number else " a record"
    what = f"has {counts[2]} cells instead of {counts[1]}" if counts else "is not valid CSV"
    return SutroInputError(
        f"{path.name}:{where} {what}.", row_index=int(number[1]) - 2 if number else None
    )


def take_parquet(path: Path, columns: Sequence[str] | None) -> TakeRows:
    """Read a Parquet file.

    Raises:
        SutroInputError: It is not a Parquet file, or has columns that a row cannot have.
    """
    import pyarrow as pa  # noqa: PLC0415
    from pyarrow import parquet  # noqa: PLC0415

    try:
        # Read through a buffer instead of whole column chunks.
        file = parquet.ParquetFile(path, pre_buffer=False, buffer_size=_READ_BYTES)
    except (pa.ArrowInvalid, OSError):
        raise SutroInputError(f"{path.name} is not a Parquet file.") from None
    check_schema(file.schema_arrow, columns)
    meta = file.metadata
    size = sum(meta.row_group(index).total_byte_size for index in range(meta.num_row_groups))
    rows = max(64, min(_BATCH_ROWS, _BATCH_BYTES * meta.num_rows // max(size, 1)))
    batches = file.iter_batches(rows, columns=list(columns) if columns else None, use_threads=False)
    return take_batches(batches, columns)


def take_directory(path: Path, columns: Sequence[str] | None) -> TakeRows:
    """Read a directory of Parquet files in the order of their names.

    Raises:
        SutroInputError: It has no Parquet files, or other files, or their columns differ.
    """
    import pyarrow as pa  # noqa: PLC0415
    from pyarrow import dataset  # noqa: PLC0415

    try:
        tables = dataset.dataset(path, format="parquet", partitioning="hive")
    except (pa.ArrowInvalid, OSError):
        raise SutroInputError(
            f"{path.name} has files that are not Parquet files, or whose columns differ."
        ) from None
    fragments = sorted(tables.get_fragments(), key=lambda fragment: str(fragment.path))
    if not fragments:
        raise SutroInputError(f"{path.name} has no Parquet files.")
    check_schema(tables.schema, columns)
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
    return take_batches(batches, columns)
