"""`RowsInput`: the rows that a model gives for a job, inline or as a file below a root."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_sutro._rows import SpooledRows, split_rows, spool_rows
from langchain_sutro.errors import SutroInputError
from langchain_sutro.functions import check_row, input_schema

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
    """

    def __init__(self, function: SutroFunction, files: RootFiles | None, max_rows: int) -> None:
        self._function = function
        self._schema = input_schema(function)
        self._files = files
        self._max_rows = max_rows

    def read(self, rows: list[dict[str, Any]] | None, file: str | None) -> SpooledRows:
        """The rows of a call, which gives either `rows` or `file`.

        Raises:
            SutroInputError: There are too many rows, or one cannot be sent; the message names the
                row and the column.
        """
        if (rows is None) == (file is None):
            raise SutroInputError("Pass either rows or a file.")
        if rows is None:
            return self._read_file(str(file))
        self._check_count(len(rows))
        return spool_rows([check_row(self._function, row, at) for at, row in enumerate(rows)])

    def _read_file(self, file: str) -> SpooledRows:
        if self._files is None:
            raise SutroInputError("No files may be read here: pass rows.")
        with self._files.copied(file) as path:
            first = next(split_rows(path, 1), None)
            if first is None:
                raise SutroInputError(f"{file!r} has no rows.")
            # Only the Function's fields: other columns may be confidential.
            columns = self._columns(file, first.columns)
            # One row more than allowed is enough to see that there are too many.
            rows = next(split_rows(path, self._max_rows + 1, columns=columns))
        self._check_count(rows.count)
        return rows

    def _columns(self, file: str, columns: tuple[str, ...]) -> list[str] | None:
        if self._schema is None:
            return None
        schema = self._schema.json_schema
        missing = [name for name in schema.get("required", ()) if name not in columns]
        if missing:
            raise SutroInputError(
                f"{file!r} has no column {', '.join(map(repr, missing))}: its columns are "
                f"{', '.join(map(repr, columns))}."
            )
        if schema.get("additionalProperties"):
            return None
        return [name for name in self._schema.fields if name in columns]

    def _check_count(self, count: int) -> None:
        if not 0 < count <= self._max_rows:
            raise SutroInputError(
                f"A job takes 1 to {self._max_rows:,} rows, but "
                f"{'there are more' if count else 'there are none'}."
            )
