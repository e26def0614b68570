"""CSV and TSV files, parsed by Arrow in blocks of whole records.

Arrow's own blocks are not used: it would take an unclosed quote for a very long cell, and loses a
line feed in a cell where a block ends between a carriage return and the line feed.
"""

from __future__ import annotations

import csv
import io
import re
from typing import TYPE_CHECKING, Any

from langchain_sutro._core.rows.arrow_rows import TakeRows, take_batches
from langchain_sutro._core.rows.csv_records import (
    MalformedError,
    cells_of,
    end_of_records,
    records_of,
)
from langchain_sutro.errors import SutroInputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from langchain_sutro._core.rows.byte_streams import TextBytes
    from langchain_sutro._core.rows.columns import Columns

__all__ = ["csv_header", "take_csv"]

_BLOCK_BYTES = 1 << 20
_LONGEST_RECORD = 1 << 28
_MARK = b"\xef\xbb\xbf"
# Names of columns may be in brackets.
_JSON_ARRAY = re.compile(rb"\[\s*([{\]]|$)")
_SEPARATORS = {b",": "commas", b"\t": "tabs", b";": "semicolons", b"|": "vertical bars"}


def take_csv(file: TextBytes, columns: Columns, delimiter: bytes = b",") -> TakeRows:
    """Read a CSV file, with every cell as a string.

    Args:
        file: The file.
        columns: Which columns are sent.
        delimiter: What separates cells; one byte.

    Raises:
        SutroInputError: Its header is invalid or, during reading, a record is.
    """
    records = _Records(file, delimiter)
    names = records.header()
    chosen = columns.chosen(names)
    return take_batches(_batches(records, names, chosen), chosen)


def csv_header(file: TextBytes, delimiter: bytes = b",") -> list[str]:
    """The names of the columns of a CSV file, whose quotes are checked to the end.

    Raises:
        SutroInputError: It has no header, or is not valid CSV.
    """
    records = _Records(file, delimiter)
    names = records.header()
    for _ in records.blocks():
        pass
    return names


class _Records:
    """The file in blocks of whole records.

    Attributes:
        line: The line at which the latest block begins, from 1.
    """

    def __init__(self, file: TextBytes, delimiter: bytes) -> None:
        self.file = file
        self.delimiter = delimiter
        self.line = 1
        self._rest = b""
        self._ended = False
        self._next_line = 1

    def header(self) -> list[str]:
        """Read the first record that is not a blank line."""
        for data in self.blocks():
            for start, end in records_of(data, self.delimiter):
                if not data[start:end].strip(b"\r\n"):
                    continue
                names = self._names(data, start, end)
                self._rest = data[end:] + self._rest
                self._next_line = self.line + _lines(data[:end])
                return names
        raise SutroInputError(f"{self.file.name} is empty: a CSV file must have a header.")

    def _names(self, data: bytes, start: int, end: int) -> list[str]:
        line = self.line + _lines(data[:start])
        try:
            text = data[start:end].decode()
        except UnicodeDecodeError:
            self.file.not_utf8(line)
        self._check_kind(data[start:end], line)
        mark = self.delimiter.decode()
        try:
            names = next(csv.reader(io.StringIO(text, newline=""), delimiter=mark, strict=True))
        except csv.Error:
            raise SutroInputError(
                f"{self.file.name}, line {line}: the header is not valid CSV."
            ) from None
        return names

    def _check_kind(self, header: bytes, line: int) -> None:
        if header.startswith(b"{"):
            raise SutroInputError(
                f"{self.file.name}, line {line}: the header is JSON; a file of JSON Lines has the "
                "ending .jsonl."
            )
        if _JSON_ARRAY.match(header):
            raise SutroInputError(
                f"{self.file.name}, line {line}: the header is a JSON array; write each of its "
                "objects on a line of a .jsonl file, or pass the list."
            )
        if header.lstrip().startswith((b"<!", b"<?", b"<html")):
            raise SutroInputError(
                f"{self.file.name}, line {line}: the file is HTML or XML and not CSV."
            )
        if self.delimiter in header or b'"' in header:
            return
        other = next((name for mark, name in _SEPARATORS.items() if mark in header), None)
        if other is not None:
            raise SutroInputError(
                f"{self.file.name}, line {line}: the header has no {_SEPARATORS[self.delimiter]} "
                f"but {other}: save the file with commas, or with tabs as a .tsv file; or put the "
                "name of a single column in quotes."
            )

    def blocks(self) -> Iterator[bytes]:
        """The rest of the file.

        Raises:
            SutroInputError: It cannot be read, or quotes are not sound.
        """
        while not self._ended or self._rest:
            piece = b"" if self._ended else self.file.read(max(_BLOCK_BYTES, len(self._rest)))
            self._ended = not piece
            data = self._rest + piece
            self.line = self._next_line
            end = self._end(data)
            self._rest = data[end:]
            self._next_line = self.line + _lines(data[:end])
            if end:
                yield data[:end]
            elif len(data) > _LONGEST_RECORD:
                raise SutroInputError(
                    f"{self.file.name}, line {self.line}: a record is longer than "
                    f"{_LONGEST_RECORD:,} bytes; perhaps a quote is not closed."
                )

    def _end(self, data: bytes) -> int:
        try:
            return end_of_records(data, self.delimiter, final=self._ended)
        except MalformedError as error:
            line = self.line + _lines(data[: error.position])
            what = (
                "a quoted cell goes on after its closing quote; quotes inside a cell are doubled"
                if error.closed
                else "a quote is not closed"
            )
            raise SutroInputError(f"{self.file.name}, line {line}: {what}.") from None


def _lines(data: bytes) -> int:
    """The number of line ends."""
    return data.count(b"\n") or data.count(b"\r")


def _batches(records: _Records, names: list[str], chosen: Mapping[str, str]) -> Iterator[Any]:
    import pyarrow as pa  # noqa: PLC0415
    from pyarrow import csv as arrow_csv  # noqa: PLC0415

    parse = arrow_csv.ParseOptions(delimiter=records.delimiter.decode(), newlines_in_values=True)
    convert = arrow_csv.ConvertOptions(
        column_types=dict.fromkeys(names, pa.string()),
        include_columns=list(dict.fromkeys(chosen.values())),
        strings_can_be_null=False,
    )
    done = 0
    for data in records.blocks():
        read = arrow_csv.ReadOptions(
            column_names=names, block_size=len(data) + 4, use_threads=False
        )
        try:
            # Arrow takes a mark at the beginning of a block for one of the file.
            marked = _MARK + data if data.startswith(_MARK) else data
            table = arrow_csv.read_csv(pa.BufferReader(marked), read, parse, convert)
        except pa.ArrowInvalid:
            raise _record_error(records, data, len(names), done) from None
        done += table.num_rows
        yield from table.to_batches()


def _record_error(records: _Records, data: bytes, count: int, done: int) -> SutroInputError:
    """The error for the first invalid record, without its cells."""
    name = records.file.name
    for start, end in records_of(data, records.delimiter):
        if not data[start:end].strip(b"\r\n"):
            continue
        line = records.line + _lines(data[:start])
        cells = cells_of(data, start, end, records.delimiter)
        if len(cells) != count:
            return SutroInputError(
                f"{name}, line {line}: the record has {len(cells)} cells instead of {count}.",
                row_index=done,
            )
        try:
            data[start:end].decode()
        except UnicodeDecodeError:
            return SutroInputError(
                f"{name}, line {line}: not valid UTF-8: save the file as UTF-8.", row_index=done
            )
        done += 1
    return SutroInputError(f"{name}, line {records.line}: the file is not valid CSV from here on.")
