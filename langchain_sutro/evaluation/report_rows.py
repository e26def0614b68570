"""The parts of a report that show single rows: those that failed, differ, or are uncertain."""

from __future__ import annotations

from typing import TYPE_CHECKING

from langchain_sutro._core.redaction import shown
from langchain_sutro.evaluation.report_parts import Cell, table
from langchain_sutro.evaluation.verdicts import row_verdicts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from langchain_sutro.evaluation.any_experiment import AnyExperiment
    from langchain_sutro.evaluation.comparison import ExperimentComparison
    from langchain_sutro.evaluation.experiment_row import ExperimentRow
    from langchain_sutro.evaluation.shown_values import ShownValues

__all__ = ["differing_rows", "failed_rows", "uncertain_rows"]

_QUOTED = 300


def failed_rows(results: AnyExperiment, values: ShownValues, most: int) -> str:
    """The rows whose run failed or that a judge could not judge, with the reason."""
    found = []
    for index, row in enumerate(results):
        reasons = [] if row.error is None else [row.error]
        reasons += [
            f"{one.key}: {one.comment or 'an unknown error'}"
            for one in row.feedback
            if (one.extra or {}).get("error")
        ]
        if reasons:
            found.append((index, row, "; ".join(reasons)))
    rows = [
        [
            f"{index}",
            _id(row),
            *_inputs(row, values),
            Cell(shown(reason, most=_QUOTED), "long"),
        ]
        for index, row, reason in found[:most]
    ]
    titles = ["row", "example", *_inputs_title(values), "error"]
    return table(_of(len(rows), len(found), "rows with an error"), titles, rows)


def uncertain_rows(results: AnyExperiment, values: ShownValues, most: int) -> str:
    """The rows with the least confidence, that of the Function or else of the judges."""
    known = [
        (confidence, index, row)
        for index, row in enumerate(results)
        if (confidence := _confidence(row)) is not None
    ]
    least = sorted(known, key=lambda one: one[:2])[:most]
    keys = [key for key in results.feedback_keys if not key.endswith("_confidence")]
    every = list(results)
    verdicts = {key: row_verdicts(every, key) for key in keys}
    rows = [
        [
            f"{index}",
            Cell(f"{confidence:.3f}", "number"),
            _id(row),
            *_inputs(row, values),
            *([values.answer(row.answer), values.answer(row.expected)] if values.answers else []),
            *(verdicts[key][index] or _number(row.score(key)) for key in keys),
        ]
        for confidence, index, row in least
    ]
    answers = ["answer", "expected"] if values.answers else []
    titles = ["row", "confidence", "example", *_inputs_title(values), *answers, *keys]
    return table(_of(len(rows), len(known), "rows with a confidence"), titles, rows)


def differing_rows(comparison: ExperimentComparison, values: ShownValues, most: int) -> str:
    """The examples on which two experiments differ, by the first figure that shows any."""
    figure = next((one for one in comparison if one.differing), None)
    if figure is None:
        return ""
    pairs = figure.differing[:most]
    named = figure.key if figure.verdict is None else f"{figure.key}: {figure.verdict}"
    rows = [
        [
            _id(pair.second[0]),
            *_inputs(pair.second[0], values),
            *([values.answer(pair.first[0].answer)] if values.answers else []),
            *([values.answer(pair.second[0].answer)] if values.answers else []),
            _figure(pair.first[0], figure.key),
            _figure(pair.second[0], figure.key),
        ]
        for pair in pairs
    ]
    answers = ["first answer", "second answer"] if values.answers else []
    titles = ["example", *_inputs_title(values), *answers, "first", "second"]
    caption = _of(len(rows), len(figure.differing), f"examples that differ in {named}")
    return table(f"{caption}, those that got worse first", titles, rows)


def _figure(row: ExperimentRow, key: str) -> str:
    (verdict,) = row_verdicts([row], key)
    if verdict is not None:
        return verdict
    score = row.score(key)
    if score is None and row.is_right is not None:
        return "right" if row.is_right else "wrong"
    return _number(score)


def _confidence(row: ExperimentRow) -> float | None:
    if row.confidence is not None:
        return row.confidence
    given = [
        float(one.score)
        for one in row.feedback
        if one.key.endswith("_confidence") and one.score is not None
    ]
    return min(given, default=None)


def _inputs(row: ExperimentRow, values: ShownValues) -> list[Cell]:
    return [Cell(values.input(row), "long")] if values.inputs else []


def _inputs_title(values: ShownValues) -> Sequence[str]:
    return ["inputs"] if values.inputs else []


def _id(row: ExperimentRow) -> Cell:
    name = row.run.id if row.example is None else row.example.id
    return Cell(f"<code>{name}</code>", is_markup=True)


def _number(score: float | None) -> str:
    return "" if score is None else f"{score:g}"


def _of(shown_rows: int, of: int, what: str) -> str:
    return f"{of:,} {what}" if shown_rows == of else f"{shown_rows:,} of {of:,} {what}"
