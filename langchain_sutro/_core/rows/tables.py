"""All kinds of table, each read a few rows at a time and never as a whole."""

from __future__ import annotations

import re
from collections.abc import AsyncIterable, Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from langchain_sutro._core.rows.columns import Columns
from langchain_sutro._core.rows.frames import take_lazy_frame, take_pandas, take_stream
from langchain_sutro._core.rows.json_cells import kind_name, loaded
from langchain_sutro._core.rows.remote import RemoteTable, is_remote, remote_table
from langchain_sutro._core.rows.table_files import file_reader, is_open_file, open_file_reader
from langchain_sutro.errors import SutroInputError

if TYPE_CHECKING:
    from langchain_sutro._core.rows.arrow_rows import TakeRows
    from langchain_sutro._core.rows.columns import Fields
    from langchain_sutro._core.rows.schema import InputSchema

__all__ = ["LocalTable", "check_no_fields", "open_table", "table_for"]

_FILES = ".csv, .tsv, .jsonl, .ndjson or .parquet"
_LOOKS_LIKE_A_FILE = re.compile(r"\.(csv|tsv|jsonl|ndjson)(\.gz|\.zst)?$|\.parquet$", re.IGNORECASE)
_DATASET_ID = re.compile(r"dataset[-_][\w-]+")


@dataclass(frozen=True)
class LocalTable:
    """A table on this machine.

    Attributes:
        fields: Names of the columns to send, or a mapping of names of fields to columns.
        schema: Checks every row; columns that it does not name are not sent.
    """

    _open: Callable[[Columns], TakeRows] = field(repr=False)
    fields: Fields | None = field(default=None, repr=False)
    schema: InputSchema | None = field(default=None, repr=False)

    def open(self, columns: Columns | None = None) -> TakeRows:
        """Start reading.

        Args:
            columns: Which columns to read; None for all. Rows of a table that has no columns apart
                from them are returned whole.

        Raises:
            SutroInputError: The table has no such column, or columns that a row cannot have.
        """
        return self._open(columns or Columns())


def open_table(data: Any) -> LocalTable | RemoteTable:
    """Recognise a table, without reading rows.

    Args:
        data: One of these:

            - a list or other iterable of dicts, pydantic models or strings;
            - a pandas DataFrame, whose index is not sent; a polars LazyFrame, which is collected in
              batches; anything with `__arrow_c_stream__`, such as polars, pyarrow and DuckDB
              tables. A column named `__index_level_0__`, which pandas makes of an index, is not
              sent unless it is chosen;
            - the path of a `.csv` or `.tsv` file (UTF-8, header; every cell is a string, an empty
              one the empty string, and blank lines are skipped) or of a `.jsonl` or `.ndjson` file
              (one object on each line), each also with `.gz` or `.zst`;
            - the path of a `.parquet` file or of a directory of Parquet files: in order of their
              names, without those that start with `.` or `_`, with the columns of all files;
              `key=value` directories become columns of strings;
            - an open file of one of these kinds, read from where it stands and not closed;
            - a URL, see `RemoteTable`. `s3://`, `gs://` and `az://` URLs are signed here, with
              fsspec.

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
    return LocalTable(_reader(data))


def table_for(
    data: Any, fields: Fields | None = None, schema: InputSchema | None = None
) -> LocalTable | RemoteTable:
    """Recognise a table, and say what of it is sent.

    Args:
        data: As for `open_table`.
        fields: Names of the columns to send, or a mapping of names of fields to columns.
        schema: Checks every row; columns that it does not name are not sent.

    Raises:
        SutroInputError: As for `open_table`; or `fields` is given for a table behind a URL.
    """
    table = open_table(data)
    if isinstance(table, LocalTable):
        return replace(table, fields=fields, schema=schema)
    check_no_fields(fields)
    return table


def check_no_fields(fields: Fields | None) -> None:
    """Raises SutroInputError if columns are chosen, of a table behind a URL."""
    if fields is not None:
        raise SutroInputError(
            "fields cannot choose columns of a table behind a URL, which the service fetches whole."
        )


def _reader(data: Any) -> Callable[[Columns], TakeRows]:
    """What reads a table on this machine."""
    if isinstance(data, (str, PathLike)):
        return _file(data)
    if is_open_file(data):
        return open_file_reader(data)
    for library, name, take in _FRAMES:
        if _is_a(data, library, name):
            return partial(take, data)
    # A single column has an Arrow stream too, but is not a table.
    series = _is_a(data, "pandas", "Series") or _is_a(data, "polars", "Series")
    if hasattr(data, "__arrow_c_stream__") and not series:
        return partial(take_stream, data)
    _check_iterable(data)
    return lambda _: _take_rows(data)


_FRAMES: tuple[tuple[str, str, Callable[[Any, Columns], TakeRows]], ...] = (
    ("pandas", "DataFrame", take_pandas),
    ("polars", "LazyFrame", take_lazy_frame),
)


def _is_a(data: Any, library: str, name: str) -> bool:
    kind = loaded(library, name)
    return kind is not None and isinstance(data, kind)


def _check_iterable(data: Any) -> None:
    if isinstance(data, (Mapping, BaseModel)):
        raise SutroInputError(
            f"A {kind_name(data)} is not a table: put a single row into a list, and make a "
            "DataFrame of columns."
        )
    if isinstance(data, AbstractSet):
        raise SutroInputError("A set is not a table, because it has no order: pass a list.")
    if isinstance(data, (bytes, bytearray, memoryview)):
        raise SutroInputError("Bytes are not a table: put those of a file into io.BytesIO.")
    if isinstance(data, AsyncIterable):
        raise SutroInputError("An asynchronous iterable is not read here: pass a list of its rows.")
    if not isinstance(data, Iterable):
        raise _no_table(data)


def _no_table(data: Any) -> SutroInputError:
    return SutroInputError(
        f"A value of type {kind_name(data)} is not a table: pass a list of dicts, a DataFrame, "
        "or the path of a file."
    )


def _file(data: str | PathLike[str]) -> Callable[[Columns], TakeRows]:
    text = fspath(data)
    path = Path(text)
    try:
        # The empty path is the current directory, which nobody means by it.
        there = bool(text) and path.exists()
        take = file_reader(path) if there else None
    except (OSError, ValueError):
        there, take = False, None
    if take is not None:
        return take
    if there:
        raise SutroInputError(f"{path.name!r} is not a table: a file must be {_FILES}.")
    raise SutroInputError(_absent(text, path))


def _absent(text: str, path: Path) -> str:
    # A string may be a prompt, which an error must not quote.
    if text.startswith("file:"):
        return "A file of this machine is named by its path, without file://."
    if _LOOKS_LIKE_A_FILE.search(text) and len(path.name) < 256:
        return f"There is no file {path.name!r}."
    if _DATASET_ID.fullmatch(text):
        return "Dataset ids of the service are not taken: pass the rows, a file or a URL."
    if "://" in text and not any(map(str.isspace, text)):
        return "The table's URL must begin with https://, s3://, gs:// or az://."
    return (
        "A string is a table only if it is the path of a file or directory, or a URL: put a single "
        "prompt into a list."
    )


def _take_rows(data: Iterable[Any]) -> TakeRows:
    try:
        rows = iter(data)
    except TypeError:  # such as that of a NumPy array without dimensions
        raise _no_table(data) from None
    return lambda count: list(islice(rows, count))
