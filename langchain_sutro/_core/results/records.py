"""Records of Python values as an Arrow table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_sutro._core.results.cells import text_array

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["records_table"]


def records_table(records: Sequence[Mapping[str, Any]], names: Iterable[str]) -> Any:
    """A `pyarrow.Table` with a row for each record.

    A column with values of several types has strings, where values of other types are JSON.

    Args:
        records: The rows; what one lacks is null.
        names: The columns, in order.
    """
    import pyarrow as pa  # noqa: PLC0415

    return pa.table({name: _column([one.get(name) for one in records]) for name in names})


def _column(values: list[Any]) -> Any:
    import pyarrow as pa  # noqa: PLC0415

    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError):
        return text_array(values)
