"""Which columns of a table are sent, and under which names."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from langchain_sutro.errors import SutroInputError

if TYPE_CHECKING:
    from collections.abc import Collection

    from langchain_sutro._core.rows.schema import InputSchema

__all__ = ["Columns", "Fields", "check_names", "named", "without_surplus"]

Fields: TypeAlias = Sequence[str] | Mapping[str, str]
"""Names of the columns to send, or a mapping of names of fields to columns."""

_logger = logging.getLogger("langchain_sutro")

_MOST_NAMED = 50
# How pandas names an index without a name in Arrow and Parquet.
_PANDAS_INDEX = re.compile(r"__index_level_\d+__")


class Columns:
    """The choice of columns for one reading of a table.

    Args:
        fields: Names of the columns to send, or a mapping of the names of the Function's fields to
            the table's columns; None sends all columns that are accepted.
        accepted: The names that the Function's schema knows; None accepts any.

    Raises:
        SutroInputError: `fields` are not names, or are not accepted.

    Attributes:
        known: Names of the table's columns, if the table has them apart from its rows.
        left_out: Names of the columns and fields that were found and are not sent.
    """

    def __init__(self, fields: Any = None, accepted: Collection[str] | None = None) -> None:
        self._fields = None if fields is None else _as_mapping(fields)
        self._accepted = accepted
        self.known: tuple[str, ...] | None = None
        self.left_out: dict[str, None] = {}
        self._missing = dict.fromkeys(self._fields.values()) if self._fields else {}
        for name in self._fields or ():
            if accepted is not None and name not in accepted:
                raise SutroInputError(
                    f"fields has {name!r}, which is not a field of args_schema.", column=name
                )

    def chosen(self, names: Sequence[Any]) -> dict[str, str]:
        """Choose among the columns of a table.

        Args:
            names: Those of the table, in order.

        Returns:
            The column of each field that is sent, by the field's name.

        Raises:
            SutroInputError: A name is not a string or is used twice, or a chosen column is missing.
        """
        check_names(names)
        self.known = tuple(names)
        self._missing = {}
        if self._fields is not None:
            for column in self._fields.values():
                if column not in names:
                    raise SutroInputError(
                        f"The table has no column {column!r}. {self.in_words()}", column=column
                    )
            chosen = dict(self._fields)
        else:
            chosen = {name: name for name in names if self._is_sent(name)}
        sent = set(chosen.values())
        self.left_out = dict.fromkeys(name for name in names if name not in sent)
        return chosen

    @property
    def are_given(self) -> bool:
        """Whether the caller named the columns."""
        return self._fields is not None

    def of_rows(self, rows: Sequence[Any]) -> Sequence[Any]:
        """The fields of rows that are sent; what is not an object is returned as it is.

        Args:
            rows: Rows of a table that has no columns apart from them.

        Raises:
            SutroInputError: Fields were chosen, but rows are strings.
        """
        if self.known is not None or (self._fields is None and self._accepted is None):
            return rows
        return [self._of_row(row) for row in rows]

    def _of_row(self, row: Any) -> Any:
        if not isinstance(row, Mapping):
            if self._fields is not None:
                raise SutroInputError("fields needs rows with named fields, but rows are strings.")
            return row
        if self._fields is None:
            sent = {name: row[name] for name in row if name in (self._accepted or ())}
        else:
            sent = {name: row[one] for name, one in self._fields.items() if one in row}
            if self._missing:
                self._missing = {one: None for one in self._missing if one not in row}
        if len(sent) < len(row):
            used = sent.keys() if self._fields is None else set(self._fields.values())
            self.left_out.update((str(name), None) for name in row if name not in used)
        return sent

    def check_found(self) -> None:
        """Check, after the last row, that every chosen field was in some row.

        Raises:
            SutroInputError: One was not.
        """
        for name in self._missing:
            raise SutroInputError(f"No row has a field {name!r}.", column=name)

    def log_left_out(self) -> None:
        """Log, once, the names of what was not sent."""
        if self.left_out:
            _logger.info("Not sent of the table: %s.", named(self.left_out))
            self.left_out = {}

    def in_words(self) -> str:
        """The table's columns, for an error."""
        return f"Its columns are: {named(self.known or ())}."

    def _is_sent(self, name: str) -> bool:
        if self._accepted is not None:
            return name in self._accepted
        return not _PANDAS_INDEX.fullmatch(name)


def without_surplus(rows: Sequence[Any], schema: InputSchema | None) -> Sequence[Any]:
    """Rows without the fields that a schema does not name, whose names are logged.

    Args:
        rows: Mappings; other rows are returned as they are.
        schema: The schema; None keeps all fields.
    """
    columns = Columns(None, None if schema is None or schema.open else schema.accepted)
    chosen = columns.of_rows(rows)
    columns.log_left_out()
    return chosen


def _as_mapping(fields: Any) -> dict[str, str]:
    named = dict(fields) if isinstance(fields, Mapping) else None
    if named is None and isinstance(fields, Iterable) and not isinstance(fields, str):
        names = list(fields)
        named = dict(zip(names, names, strict=True)) if _strings(names) else None
    if not named or not _strings([*named.keys(), *named.values()]):
        raise SutroInputError(
            "fields must be names of columns, or a mapping of field names to columns."
        )
    return named


def named(names: Iterable[str]) -> str:
    """Names for a message; of very many the first."""
    every = [repr(name) for name in names]
    more = [f"{len(every) - _MOST_NAMED} more"] if len(every) > _MOST_NAMED else []
    return ", ".join(every[:_MOST_NAMED] + more)


def _strings(names: list[Any]) -> bool:
    return all(isinstance(name, str) for name in names)


def check_names(names: Sequence[Any]) -> None:
    """Check the names of a table's columns.

    Raises:
        SutroInputError: A name is not a string, or is used twice.
    """
    for position, name in enumerate(names):
        if not isinstance(name, str):
            raise SutroInputError(
                f"Column {position} is named {name!r}, but column names must be strings."
            )
    if len(set(names)) < len(names):
        twice = next(name for name in names if list(names).count(name) > 1)
        raise SutroInputError(f"Two columns are named {twice!r}: rename one of them.", column=twice)
