"""The rows of a job that a model wants: given inline, or as a file below a root."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_sutro._rows import SpooledRows, split_rows, spool_rows
from langchain_sutro.errors import SutroInputError
from langchain_sutro.functions import check_row, input_schema

if TYPE_CHECKING:
    from langchain_sutro.agents.safe_files import RootFiles
    from langchain_sutro.functions import SutroFunction

__all__ = ["JobRows"]


class JobRows:
    """Checks and encodes rows, and takes no more than it may.

    Args:
        function: What the rows are for.
        files: Where tables may be read from; None for nowhere.
        most: Rows of a job.
    """

    def __init__(self, function: SutroFunction, files: RootFiles | None, most: int) -> None:
        self._function = function
        self._schema = input_schema(function)
        self._files = files
        self._most = most

    def take(self, rows: list[dict[str, Any]] | None, file: str | None) -> SpooledRows:
        """The rows of a call, which gives either. Reads files.

        Raises:
            SutroInputError: They are too many, or one cannot be sent; it names row and column.
        """
        if (rows is None) == (file is None):
            raise SutroInputError("Give either rows or a file.")
        if rows is None:
            return self._take_file(str(file))
        self._check_count(len(rows))
        return spool_rows([check_row(self._function, row, at) for at, row in enumerate(rows)])

    def _take_file(self, file: str) -> SpooledRows:
        if self._files is None:
            raise SutroInputError("No files may be read here: give rows.")
        with self._files.copied(file) as path:
            first = next(split_rows(path, 1), None)
            if first is None:
                raise SutroInputError(f"{file!r} has no rows.")
            # Only the Function's fields: what else a table holds is nobody's business.
            columns = self._columns(file, first.columns)
            # One row more shows that there are too many, however many there are.
            rows = next(split_rows(path, self._most + 1, columns=columns))
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
        if not 0 < count <= self._most:
            raise SutroInputError(
                f"A job takes 1 to {self._most:,} rows, and these are "
                f"{'more' if count else 'none'}."
            )
