"""Labels as a file of training data for a Function."""

from __future__ import annotations

from os import fspath
from typing import TYPE_CHECKING, Any

from langchain_sutro._core.results import records_table, write_csv, written
from langchain_sutro._core.rows import dump_row
from langchain_sutro.errors import SutroInputError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from os import PathLike

    from langchain_sutro.evaluation.human_label import HumanLabel

__all__ = ["write_label_file"]

_LABEL = "label"
# What a spreadsheet takes for the beginning of a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def write_label_file(
    path: str | PathLike[str], labels: Sequence[HumanLabel], *, for_spreadsheets: bool
) -> None:
    """Write a row for each label: the input fields, and `label`.

    Raises:
        SutroInputError: An input field is called `label`, or the path has another ending.
        OSError: The file cannot be written.
    """
    name = fspath(path)
    if not name.endswith((".csv", ".jsonl")):
        raise SutroInputError(f"Labels are written to .csv and .jsonl files, not to {name!r}.")
    fields = dict.fromkeys(field for one in labels for field in one.inputs)
    if _LABEL in fields:
        raise SutroInputError(
            f"An input field is called {_LABEL!r}, which is the column of the labels: give it "
            "another name in fields=.",
            column=_LABEL,
        )
    rows = [{**one.inputs, _LABEL: one.label} for one in labels]
    if name.endswith(".jsonl"):
        with written(path) as file:
            for row in rows:
                file.write(dump_row(row) + b"\n")
        return
    if for_spreadsheets:
        rows = [{field: _plain(value) for field, value in row.items()} for row in rows]
    table = records_table(rows, [*fields, _LABEL])
    write_csv(path, table.schema, [table])


def _plain(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
