"""Any table as the JSON array that a submission carries.

Rows are encoded chunk by chunk and kept in memory while they are few, then in an anonymous private
file. So memory stays flat, every invalid cell is found before anything is sent, and the request
body has a known length and can be read again.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
import threading
from bisect import bisect_right
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from langchain_sutro._core.rows.columns import Columns, named
from langchain_sutro._core.rows.dumped_models import MASK
from langchain_sutro._core.rows.json_rows import Row, dump_chunk, mixed, plain_rows
from langchain_sutro._core.rows.remote import RemoteTable
from langchain_sutro._core.rows.tables import open_table, table_for
from langchain_sutro._core.service import when_gone
from langchain_sutro.errors import SutroConfigurationError, SutroInputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from types import TracebackType
    from typing import Self

    from langchain_sutro._core.rows.columns import Fields

__all__ = [
    "SpooledRows",
    "split_rows",
    "spool_rows",
]

_IN_MEMORY = 4 << 20
_CHUNK_BYTES = 1 << 20
_CHUNK_ROWS = 16_384
_FIRST_CHUNK_ROWS = 256
_MOST_COLUMNS = 1_000


class _Chunk(NamedTuple):
    """Some rows as JSON, with commas between them and without brackets.

    Attributes:
        start: Index of the first row, within the part.
        stop: Index after the last one.
        offset: Position of the JSON in the file, in bytes.
        size: Size of the JSON, in bytes.
        large_integers: Whether the JSON has integers beyond 64 bits.
    """

    start: int
    stop: int
    offset: int
    size: int
    large_integers: bool


class SpooledRows:
    """Rows of one table, or of one part of it, encoded. Safe to read from any thread.

    Attributes:
        count: The number of rows.
        first_row: Index of the first row in the whole table; 0 unless the table was split.
        size: Size of the JSON array in bytes.
        columns: Names of at most 1,000 fields in order of first appearance, taken from the first
            256 rows and one row of every further MiB; none if rows are strings.
    """

    def __init__(self, first_row: int = 0) -> None:
        self.count = 0
        self.first_row = first_row
        self.size = 2
        self.columns: tuple[str, ...] = ()
        self._names: dict[str, None] = {}
        self._secrets: set[str] = set()
        self._chunks: list[_Chunk] = []
        self._digest = hashlib.sha256(b"[")
        self._lock = threading.Lock()
        self._file = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115
        self._release = when_gone(self, self._file.close)

    def __repr__(self) -> str:
        return f"<SpooledRows: {self.count:,} rows, {self.size:,} bytes>"

    def __len__(self) -> int:
        return self.count

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Free the memory and the file. This also happens when the object is garbage-collected."""
        self._release()

    @property
    def sha256(self) -> str:
        """SHA-256 of the JSON array, in hexadecimal digits."""
        digest = self._digest.copy()
        digest.update(b"]")
        return digest.hexdigest()

    def pieces(self, prefix: bytes = b"", suffix: bytes = b"") -> Iterator[bytes]:
        """The JSON array between a prefix and a suffix, in pieces of about 1 MiB. Repeatable.

        Args:
            prefix: Put before the array, with the first piece.
            suffix: Put after the array.

        Yields:
            Pieces of `len(prefix) + size + len(suffix)` bytes in total.
        """
        lead = prefix + b"["
        for chunk in self._chunks:
            yield self._json(chunk, lead)
            lead = b","
        yield (b"" if self._chunks else lead) + b"]" + suffix

    def rows(self, indices: Iterable[int]) -> dict[int, Row]:
        """Some rows as they are sent.

        Args:
            indices: From 0, within this part.

        Returns:
            The rows by index, in the order of `indices`.

        Raises:
            IndexError: There is no such row.
        """
        wanted = list(indices)
        starts = [chunk.start for chunk in self._chunks]
        by_chunk: dict[int, list[int]] = {}
        for index in wanted:
            if not 0 <= index < self.count:
                raise IndexError(index)
            by_chunk.setdefault(bisect_right(starts, index) - 1, []).append(index)
        found: dict[int, Row] = {}
        for position, members in by_chunk.items():
            rows = self._decode(position)
            found.update((index, rows[index - starts[position]]) for index in members)
        return {index: found[index] for index in wanted}

    def shown(self, indices: Iterable[int]) -> dict[int, Row]:
        """Some rows as they may be shown: with asterisks for fields that hold pydantic's secrets.

        Args:
            indices: As for `rows`.

        Returns:
            As for `rows`.

        Raises:
            IndexError: There is no such row.
        """
        rows = self.rows(indices)
        if not self._secrets:
            return rows
        return {index: self._masked(row) for index, row in rows.items()}

    def _masked(self, row: Row) -> Row:
        if isinstance(row, str):
            return row
        return {name: MASK if name in self._secrets else value for name, value in row.items()}

    def head(self, count: int = 5) -> list[Row]:
        """The first rows, as they may be shown.

        Args:
            count: The maximum number of rows.
        """
        return list(self.shown(range(min(count, self.count))).values())

    def _decode(self, position: int) -> list[Row]:
        chunk = self._chunks[position]
        array = self._json(chunk, b"[") + b"]"
        rows: list[Row] = json.loads(array) if chunk.large_integers else orjson.loads(array)
        return rows

    def _json(self, chunk: _Chunk, lead: bytes) -> bytes:
        """The JSON of a chunk, after some leading bytes."""
        with self._lock:
            self._file.seek(chunk.offset)
            return lead + self._file.read(chunk.size)

    def append(self, rows: Sequence[Row]) -> int:
        """Encode further rows; for the functions of this file.

        Returns:
            Size of their JSON array in bytes.
        """
        array, large_integers, secrets = dump_chunk(rows, self.first_row + self.count)
        self._secrets |= secrets
        lead = b"," if self.count else b""
        offset = self.size - 2 + len(lead)
        stop = self.count + len(rows)
        self._chunks.append(_Chunk(self.count, stop, offset, len(array) - 2, large_integers))
        for part in (lead, memoryview(array)[1:-1]):
            self._digest.update(part)
            # The comma is kept too, so that offsets follow from sizes.
            self._write(part)
        self.size += len(lead) + len(array) - 2
        self.count = stop
        self._note_names(rows)
        return len(array)

    def _write(self, part: bytes | memoryview) -> None:
        try:
            self._file.write(part)
        except OSError as error:
            raise SutroConfigurationError(
                "The rows could not be written to a temporary file in "
                f"{tempfile.gettempdir()} ({error.strerror}): free space there, or set TMPDIR to "
                "another directory."
            ) from error

    def _note_names(self, rows: Sequence[Row]) -> None:
        for row in rows if len(self._chunks) == 1 else rows[:1]:
            if isinstance(row, dict) and not row.keys() <= self._names.keys():
                self._names.update(dict.fromkeys(row))
                self.columns = tuple(self._names)[:_MOST_COLUMNS]


def spool_rows(
    data: Any,
    *,
    fields: Fields | None = None,
    max_bytes: int | None = None,
) -> SpooledRows:
    """Encode a table.

    Args:
        data: Any table on this machine, see `open_table`.
        fields: As for `table_for`, which also takes a schema.
        max_bytes: Maximum size of the JSON array in bytes.

    Returns:
        The rows.

    Raises:
        SutroInputError: It is not a table on this machine, a row does not fit the schema, a cell
            has no JSON form, or there are more bytes.
    """
    return _Spooler(data, fields, max_bytes).spool(None)


def split_rows(
    data: Any,
    max_rows: int,
    *,
    fields: Fields | None = None,
    max_bytes: int | None = None,
) -> Iterator[SpooledRows]:
    """Encode a table as several parts, each when it is requested.

    Args:
        data: As for `spool_rows`.
        max_rows: The maximum number of rows in a part.
        fields: As for `spool_rows`.
        max_bytes: Maximum size of each part.

    Yields:
        Parts in order; none is empty. `list(split_rows(…))` checks every row before the first part
        can be sent.

    Raises:
        SutroInputError: As for `spool_rows`; row numbers count over the whole table.
    """
    if max_rows < 1:
        raise SutroInputError(f"max_rows must be at least 1, not {max_rows}.")
    spooler = _Spooler(data, fields, max_bytes)
    while (part := spooler.spool(max_rows)).count:
        yield part


class _Spooler:
    """Reads a table once, part after part."""

    def __init__(self, data: Any, fields: Fields | None, max_bytes: int | None) -> None:
        table = open_table(data) if fields is None else table_for(data, fields)
        if isinstance(table, RemoteTable):
            raise SutroInputError(
                f"{table.location} is fetched by the service, so it cannot be encoded here."
            )
        self._schema = schema = table.schema
        self._columns = Columns(
            table.fields, None if schema is None or schema.open else schema.accepted
        )
        self._max_bytes = max_bytes
        self._take = table.open(self._columns)
        self._first_row = 0
        self._strings: bool | None = None

    def spool(self, max_rows: int | None) -> SpooledRows:
        part = SpooledRows(self._first_row)
        step = _FIRST_CHUNK_ROWS
        try:
            while max_rows is None or part.count < max_rows:
                step = max(1, min(step, _CHUNK_ROWS))
                taken = self._take(step if max_rows is None else min(step, max_rows - part.count))
                if not taken:
                    self._columns.check_found()
                    self._columns.log_left_out()
                    break
                rows = self._rows(taken, self._first_row + part.count)
                self._check_kind(rows, part)
                size = part.append(rows)
                self._check_size(part)
                step = min(4 * step, len(rows) * _CHUNK_BYTES // size)
        except BaseException:
            part.close()
            raise
        self._first_row += part.count
        return part

    def _rows(self, taken: Sequence[Any], first_row: int) -> Sequence[Row]:
        if self._columns.are_given:
            taken = plain_rows(taken, first_row)
        chosen = self._columns.of_rows(taken)
        if self._schema is None:
            return plain_rows(chosen, first_row)
        checked = [self._checked(row, first_row + index) for index, row in enumerate(chosen)]
        return plain_rows(checked, first_row)

    def _checked(self, row: Any, row_index: int) -> Any:
        schema: Any = self._schema
        try:
            return schema.check(row, row_index=row_index)
        except SutroInputError as error:
            known = self._columns.known
            if known is None or error.column in known:
                raise
            raise SutroInputError(
                f"{error} The table's columns are: {named(known)}.",
                row_index=error.row_index,
                column=error.column,
            ) from error.__cause__

    def _check_size(self, part: SpooledRows) -> None:
        if self._max_bytes is not None and part.size > self._max_bytes:
            raise SutroInputError(
                f"The rows are more than the {self._max_bytes:,} bytes of JSON that may be sent."
            )

    def _check_kind(self, rows: Sequence[Row], part: SpooledRows) -> None:
        strings = isinstance(rows[0], str)
        if self._strings not in (None, strings):
            raise mixed(self._first_row + part.count)
        self._strings = strings
