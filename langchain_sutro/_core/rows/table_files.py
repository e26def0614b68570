"""Tables in files, by their endings, and in files that the caller has opened."""

from __future__ import annotations

import io
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from langchain_sutro._core.rows.byte_streams import OpenFile, TextBytes, file_errors
from langchain_sutro._core.rows.csv_files import csv_header, take_csv
from langchain_sutro._core.rows.json_lines import take_json_lines
from langchain_sutro._core.rows.parquet_directory import take_directory
from langchain_sutro._core.rows.parquet_files import take_parquet
from langchain_sutro.errors import SutroInputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from langchain_sutro._core.rows.arrow_rows import TakeRows
    from langchain_sutro._core.rows.columns import Columns

__all__ = ["PLAIN_ENDINGS", "file_columns", "file_reader", "is_open_file", "open_file_reader"]


def _take_json_lines(file: TextBytes, _: Columns) -> TakeRows:
    return take_json_lines(file)


_TEXT: dict[str, Callable[[TextBytes, Columns], TakeRows]] = {
    ".csv": take_csv,
    ".tsv": partial(take_csv, delimiter=b"\t"),
    ".jsonl": _take_json_lines,
    ".ndjson": _take_json_lines,
}
_COMPRESSED = {".gz": "gz", ".zst": "zst"}
PLAIN_ENDINGS = (*_TEXT, ".parquet")
"""Endings of the files that are read without decompression."""

_HEAD = 8
_MAGIC = {b"\x1f\x8b": "gz", b"\x28\xb5\x2f\xfd": "zst"}


def file_reader(path: Path) -> Callable[[Columns], TakeRows] | None:
    """What reads a file or a directory of Parquet files; None for other endings."""
    if path.is_dir():
        return partial(take_directory, path)
    ending, compression = _ending(path.name)
    if ending == ".parquet" and compression is None:
        return partial(take_parquet, path, path.name)
    take = _TEXT.get(ending)
    if take is None:
        return None
    return lambda columns: take(TextBytes(path, path.name, compression), columns)


def _ending(name: str) -> tuple[str, str | None]:
    """The ending of a file's name, and how it is compressed."""
    path = Path(name.lower())
    compression = _COMPRESSED.get(path.suffix)
    return (Path(path.stem).suffix if compression else path.suffix), compression


def file_columns(path: Path) -> list[str]:
    """The names in the header of a CSV or TSV file.

    Raises:
        SutroInputError: It has no header, or is not valid CSV.
    """
    ending, compression = _ending(path.name)
    delimiter = b"\t" if ending == ".tsv" else b","
    return csv_header(TextBytes(path, path.name, compression), delimiter)


def is_open_file(data: Any) -> bool:
    """Whether it is an open file, or behaves like one."""
    return callable(getattr(data, "read", None)) and hasattr(data, "readable")


def open_file_reader(data: Any) -> Callable[[Columns], TakeRows]:
    """What reads an open file of text or bytes, from where it stands.

    Its content says what it is, and its name, if it has one: Parquet, JSON Lines, or else CSV.

    Args:
        data: The file.

    Raises:
        SutroInputError: Its name has another ending.
    """
    called = getattr(data, "name", None)
    name = Path(called).name if isinstance(called, str) else ""
    ending, _ = _ending(name)
    if ending not in ("", *PLAIN_ENDINGS):
        raise SutroInputError(
            f"The open file {name!r} is not a table: an open file is read as "
            f"{', '.join(PLAIN_ENDINGS)}, or as CSV if its name has no ending. For one prompt on "
            "each line, pass a list of the lines."
        )
    return lambda columns: _take_open(data, name or "The open file", ending, columns)


def _take_open(data: Any, name: str, ending: str, columns: Columns) -> TakeRows:
    buffered = io.BufferedReader(OpenFile(data))
    with file_errors(name):
        start = data.tell() if _is_binary(data) and data.seekable() else None
        head = buffered.peek(_HEAD)[:_HEAD]
    if head.startswith(b"PAR1") or ending == ".parquet":
        if start is None:
            raise SutroInputError(
                f"{name}: a Parquet file must be opened in binary mode and be seekable."
            )
        data.seek(start)
        return take_parquet(data, name, columns)
    compression = next((kind for magic, kind in _MAGIC.items() if head.startswith(magic)), None)
    file = TextBytes(buffered, name, compression)
    is_json = file.beginning().lstrip().startswith(b"{")
    return (_TEXT.get(ending) or _TEXT[".jsonl" if is_json else ".csv"])(file, columns)


def _is_binary(data: Any) -> bool:
    return not isinstance(data, io.TextIOBase) and hasattr(data, "seekable")
