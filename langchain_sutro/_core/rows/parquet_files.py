"""Parquet files."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from langchain_sutro._core.rows.arrow_rows import TakeRows, check_types, reading, take_batches
from langchain_sutro._core.rows.byte_streams import kind_of
from langchain_sutro.errors import SutroInputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from langchain_sutro._core.rows.columns import Columns

__all__ = ["BATCH_ROWS", "damage", "open_parquet", "parquet_batches", "take_parquet"]

BATCH_ROWS = 16_384

_READ_BYTES = 1 << 18
_BATCH_BYTES = 1 << 20


def take_parquet(source: Any, name: str, columns: Columns) -> TakeRows:
    """Read a Parquet file.

    Args:
        source: Its path, or an open binary file.
        name: What to call it in errors.
        columns: Which columns are sent.

    Raises:
        SutroInputError: It is not a Parquet file, or has columns that a row cannot have; or, during
            reading, it is damaged.
    """
    file = open_parquet(source, name)
    chosen = columns.chosen(file.schema_arrow.names)
    check_types(file.schema_arrow, chosen.values())
    return take_batches(parquet_batches(file, name, list(chosen.values())), chosen)


def open_parquet(source: Any, name: str) -> Any:
    """Open a Parquet file.

    Args:
        source: Its path, or an open binary file.
        name: What to call it in errors.

    Raises:
        SutroInputError: It is not a Parquet file.
    """
    import pyarrow as pa  # noqa: PLC0415
    from pyarrow import parquet  # noqa: PLC0415

    try:
        # Read through a buffer instead of whole column chunks.
        return parquet.ParquetFile(
            source, pre_buffer=False, buffer_size=_READ_BYTES, page_checksum_verification=True
        )
    except (pa.ArrowException, OSError) as error:
        reason = getattr(error, "strerror", None)
        if reason:
            raise SutroInputError(f"{name} cannot be read: {reason}.") from None
        raise SutroInputError(f"{name} is {_kind(source)}.") from None


def _kind(source: Any) -> str:
    beginning = b""
    if isinstance(source, Path):
        with source.open("rb") as file:
            beginning = file.read(8)
    if beginning.startswith(b"PAR1"):
        return "not a Parquet file, or is incomplete"
    kind = kind_of(beginning)
    return "not a Parquet file" if kind is None else f"not a Parquet file but {kind}"


@contextmanager
def damage(name: str) -> Iterator[None]:
    """Turn what Arrow says of a file's content into this package's errors.

    Those of the disk or the network, which have a number, are left to whoever opened the file.

    Args:
        name: What to call the file in errors.

    Raises:
        SutroInputError: It is not a Parquet file, or is damaged.
    """
    import pyarrow as pa  # noqa: PLC0415

    try:
        yield
    except (pa.ArrowException, OSError) as error:
        if getattr(error, "errno", None) is not None:
            raise
        raise SutroInputError(f"{name} is not a Parquet file, or is damaged.") from None


def parquet_batches(file: Any, name: str, columns: Sequence[str]) -> Iterator[Any]:
    """The record batches of a file.

    Args:
        file: The open file.
        name: What to call it in errors.
        columns: Names of the columns to read.

    Raises:
        SutroInputError: It is damaged.
    """
    meta = file.metadata
    size = sum(meta.row_group(index).total_byte_size for index in range(meta.num_row_groups))
    rows = max(64, min(BATCH_ROWS, _BATCH_BYTES * meta.num_rows // max(size, 1)))
    done = 0
    batches = file.iter_batches(rows, columns=list(columns) or None, use_threads=False)
    for batch in reading(batches, name):
        yield batch
        done += batch.num_rows
    if done != meta.num_rows:
        raise SutroInputError(
            f"{name} is damaged: it should have {meta.num_rows:,} rows but has {done:,}."
        )
