"""Rows before they are sent: what is sent of each, or why it cannot be, and what its run shows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import partial
from os import PathLike
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from langchain_sutro._core.rows import dump_row, encode_row, kind_name
from langchain_sutro._core.tracing import traced_inputs
from langchain_sutro.errors import SutroInputError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from langchain_sutro._core.rows import InputSchema

__all__ = ["CheckedRow", "check_rows", "rows_of_batch"]

_SINGLE = (str, bytes, bytearray, Mapping, BaseModel)
_TABLES = ("__arrow_c_stream__", "__arrow_c_array__", "__dataframe__", "__array__")


@dataclass(frozen=True, slots=True)
class CheckedRow:
    """A row that is checked and encoded once, before its run starts.

    Attributes:
        shown: What the run shows: the names and values that are sent, without secrets; the row as
            it was given if it cannot be sent.
    """

    shown: Any
    _sent: Any
    _error: SutroInputError | None

    @classmethod
    def of(
        cls,
        row: Any,
        schema: InputSchema | None,
        *,
        row_index: int | None = None,
        encode: Callable[[Any], Any] = dump_row,
    ) -> CheckedRow:
        """Check and encode a row.

        Args:
            row: As for `SutroFunction.invoke`.
            schema: Checks it; None sends it as it is.
            row_index: Index of the row, for its error.
            encode: Makes what is sent; by default JSON as bytes.
        """
        try:
            checked = row if schema is None else schema.check(row, row_index=row_index)
            return cls(traced_inputs(checked), encode(checked), None)
        except SutroInputError as error:
            return cls(traced_inputs(row), None, error)

    def sent(self) -> Any:
        """What is sent.

        Raises:
            SutroInputError: The row cannot be sent.
        """
        if self._error is not None:
            raise self._error
        return self._sent


def check_rows(rows: Sequence[Any], schema: InputSchema | None) -> list[CheckedRow]:
    """Check and encode the rows of a batch; what is sent are JSON values.

    Args:
        rows: As for `SutroFunction.batch`.
        schema: As for `CheckedRow.of`.
    """
    return [
        CheckedRow.of(row, schema, row_index=index, encode=partial(encode_row, row_index=index))
        for index, row in enumerate(rows)
    ]


def rows_of_batch(inputs: Any) -> list[Any]:
    """The inputs of a batch as a list.

    Args:
        inputs: A list of rows, or another iterable of them.

    Raises:
        SutroInputError: It is one row, whose keys or letters would become rows; a table, which
            `submit` takes; or nothing that has rows.
    """
    if isinstance(inputs, list):
        return inputs
    kind = kind_name(inputs)
    if isinstance(inputs, _SINGLE):
        raise SutroInputError(
            f"A batch takes a list of rows, not a single {kind}: pass it in a list, or to invoke."
        )
    if isinstance(inputs, PathLike) or any(hasattr(inputs, name) for name in _TABLES):
        raise SutroInputError(f"A batch takes a list of rows, not a {kind}: use submit for tables.")
    if isinstance(inputs, AbstractSet) or not isinstance(inputs, Iterable):
        raise SutroInputError(f"A batch takes a list of rows, not a {kind}.")
    return list(inputs)
