"""What a report shows of rows: nothing that tracing would hide."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from langchain_sutro._core.redaction import shown
from langchain_sutro._core.tracing import traced_inputs, without_secrets

if TYPE_CHECKING:
    from collections.abc import Sequence

    from langchain_sutro.evaluation.experiment_row import ExperimentRow

__all__ = ["ShownValues"]

_MOST_LABELS = 40
_LONGEST_LABEL = 60
_LONGEST = 300


class ShownValues:
    """Decides what of the rows' values is shown, and how.

    Args:
        rows: The rows of the experiment.
        everything: Whether inputs, long answers and comments are shown too; as far as LangSmith's
            own settings do not hide inputs or outputs.
    """

    def __init__(self, rows: Sequence[ExperimentRow], *, everything: bool) -> None:
        hides_outputs = _is_hidden("OUTPUTS")
        answers = [one for row in rows for one in (row.answer, row.expected) if one is not None]
        self.inputs = everything and not _is_hidden("INPUTS")
        self.comments = everything and not hides_outputs
        self.labels = bool(answers) and not hides_outputs and _are_labels(answers)
        self.answers = self.labels or self.comments

    def answer(self, value: Any) -> str:
        """An answer as text."""
        return "" if value is None or not self.answers else _text(value)

    def input(self, row: ExperimentRow) -> str:
        """The input fields of a row as text, without images, documents and secrets."""
        if not self.inputs:
            return ""
        fields = without_secrets(traced_inputs(row.inputs))
        return "; ".join(f"{shown(name, most=60)}: {_text(one)}" for name, one in fields.items())

    def comment(self, row: ExperimentRow, key: str) -> str:
        """Why a judge gave its verdict."""
        found = next((one.comment for one in row.feedback if one.key == key), None)
        return "" if found is None or not self.comments else _text(found)


def _are_labels(answers: Sequence[Any]) -> bool:
    """Whether answers are classes, and no texts that somebody wrote."""
    kinds = {str(one) for one in answers if isinstance(one, str | bool | int | float)}
    plain = all(isinstance(one, str | bool | int | float) for one in answers)
    return plain and len(kinds) <= _MOST_LABELS and max(map(len, kinds)) <= _LONGEST_LABEL


def _text(value: Any) -> str:
    plain = traced_inputs(value)
    text = plain if isinstance(plain, str) else json.dumps(plain, default=str, ensure_ascii=False)
    return shown(text, most=_LONGEST)


def _is_hidden(what: str) -> bool:
    """Whether LangSmith's settings keep inputs or outputs out of traces."""
    names = (f"LANGSMITH_HIDE_{what}", f"LANGCHAIN_HIDE_{what}")
    return any(os.environ.get(name, "").lower() == "true" for name in names)
