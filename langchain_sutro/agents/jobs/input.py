"""`RowsInput`: the rows that a model gives for a job, inline or as a file below a root."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_sutro._core.rows import (
    SpooledRows,
    split_rows,
    spool_rows,
    table_for,
    without_surplus,
)
from langchain_sutro.errors import SutroInputError
from langchain_sutro.functions import table_schema

if TYPE_CHECKING:
    from langchain_sutro.agents.safe_files import RootFiles
    from langchain_sutro.functions import SutroFunction

__all__ = ["RowsInput"]


class RowsInput:
    """Reads, checks and encodes rows.

    Args:
        function: What the rows are for.
        files: Where tables may be read from; None if no files may be read.
        max_rows: Maximum number of rows per job.
        max_bytes: Maximum size of what is sent, in bytes of JSON.
    """

    def __init__(
        self, function: SutroFunction, files: RootFiles | None, max_rows: int, max_bytes: int
    ) -> None:
        self._schema = table_schema(function)
        self._files = files
        self._max_rows = max_rows
        self._max_bytes = max_bytes

    def read(self, rows: list[dict[str, Any]] | None, file: str | None) -> SpooledRows:
        """The rows of a call, which gives either `rows` or `file`.

        Raises:
            SutroInputError: There are too many rows or bytes, or a row cannot be sent; the message
                names the row and the column.
        """
        if (rows is None) == (file is None):
            raise SutroInputError("Pass either rows or a file.")
        if rows is None:
            return self._read_file(str(file))
        self._check_count(len(rows))
        # Checked here, because a model writes JSON.
        return spool_rows(
            [self._checked(row, at) for at, row in enumerate(without_surplus(rows, self._schema))],
            max_bytes=self._max_bytes,
        )

    def _checked(self, row: Any, row_index: int) -> Any:
        if self._schema is None:
            return row
        return self._schema.check(row, row_index=row_index, from_json=True)

    def _read_file(self, file: str) -> SpooledRows:
        if self._files is None:
            raise SutroInputError("No files may be read here: pass rows.")
        with self._files.copied(file) as path:
            # One row more than allowed is enough to see that there are too many.
            table = table_for(path, schema=self._schema)
            parts = split_rows(table, self._max_rows + 1, max_bytes=self._max_bytes)
            rows = next(parts, None)
        if rows is None:
            raise SutroInputError(f"{file!r} has no rows.")
        self._check_count(rows.count)
        return rows

    def _check_count(self, count: int) -> None:
        if not 0 < count <= self._max_rows:
            raise SutroInputError(
                f"A job takes 1 to {self._max_rows:,} rows, but "
                f"{'there are more' if count else 'there are none'}."
            )
