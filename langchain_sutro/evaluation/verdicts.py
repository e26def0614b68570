"""Which verdict each row of an experiment was given, and how often each verdict occurs."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from math import isnan
from typing import TYPE_CHECKING, Any

# What it offers is loaded at use, with NumPy.
from langchain_sutro import statistics
from langchain_sutro._core.exports import exported_from
from langchain_sutro.errors import SutroInputError
from langchain_sutro.functions import verdict_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from langchain_sutro.evaluation.experiment_row import ExperimentRow
    from langchain_sutro.statistics import Estimate, JudgeRates

__all__ = ["Labels", "VerdictRate", "row_verdicts", "verdict_rates"]


@exported_from("langchain_sutro")
@dataclass(frozen=True)
class VerdictRate:
    """How often a verdict was given.

    Attributes:
        rows: The number of rows with this verdict.
        rate: Its share of the rows that have a verdict under this key, as the judge says.
        corrected: The share corrected for the judge's errors; None without labels of people.
        judge: How often the judge gives this verdict to rows that people labelled so (its
            sensitivity), and another one to the others (its specificity); None without labels.
    """

    rows: int
    rate: Estimate
    corrected: Estimate | None = None
    judge: JudgeRates | None = None


class Labels:
    """What people say of some rows, by feedback key.

    Args:
        given: For each feedback key the label of each example or run, by its id. A label is a
            verdict in the judge's words, ignoring case, or whether the row passes; None and NaN
            are left out.
        keys: The feedback keys that there are.

    Raises:
        SutroInputError: There is no such feedback.
    """

    def __init__(self, given: Mapping[str, Mapping[Any, Any]], keys: Sequence[str]) -> None:
        for key in given:
            if key not in keys:
                raise SutroInputError(
                    f"No row has feedback {key!r}, which labels= names; the keys are: "
                    f"{', '.join(keys) or 'none'}."
                )
        self._given = {
            key: {str(name): label for name, label in dict(labels).items() if not _absent(label)}
            for key, labels in given.items()
        }

    def of(self, rows: Sequence[ExperimentRow], key: str) -> list[Any] | None:
        """The label of each row, None where there is none; None if nobody labelled this key.

        Raises:
            SutroInputError: No label belongs to a row, or one by an example's id belongs to several
                repetitions.
        """
        if key not in self._given:
            return None
        labels = self._given[key]
        repeated = Counter(_example(row) for row in rows)
        found = []
        for row in rows:
            label = labels.get(str(row.run.id))
            if label is None and row.example is not None:
                label = labels.get(_example(row))
                if label is not None and repeated[_example(row)] > 1:
                    raise SutroInputError(
                        f"Example {_example(row)} has several runs: label the runs of repeated "
                        "examples by their own ids."
                    )
            found.append(label)
        if all(label is None for label in found):
            raise SutroInputError(
                f"No label for {key!r} belongs to a row: labels are looked up by the id of the "
                "example or of the run."
            )
        return found


def row_verdicts(rows: Sequence[ExperimentRow], key: str) -> list[str | None]:
    """The verdict of each row under a feedback key; None where there is none.

    It is the feedback's value if that is a string. Where no feedback of this key has one and all
    scores are booleans, or 0 and 1 as integers, they are the verdicts `"true"` and `"false"`.

    Args:
        rows: The rows.
        key: The feedback key.
    """
    given = [next((one for one in row.feedback if one.key == key), None) for row in rows]
    values = [None if one is None else one.value for one in given]
    if any(isinstance(value, str) for value in values):
        return [value if isinstance(value, str) else None for value in values]
    scores = [None if one is None else one.score for one in given]
    if any(isinstance(score, float) or score not in (None, 0, 1) for score in scores):
        return [None] * len(scores)
    return [None if score is None else str(bool(score)).lower() for score in scores]


def verdict_rates(
    rows: Sequence[ExperimentRow],
    key: str,
    labels: Labels | None,
    confidence_level: float,
) -> tuple[dict[str, VerdictRate], list[str]]:
    """How often each verdict was given under a feedback key, the most frequent first.

    Args:
        rows: The rows.
        key: The feedback key.
        labels: What people say of some rows, chosen at random.
        confidence_level: Of the intervals.

    Returns:
        The rates, and why some of them cannot be corrected.

    Raises:
        SutroInputError: A label is neither a verdict of the judge nor a boolean that belongs to
            one, or no label belongs to a row.
        SutroConfigurationError: The extra `statistics` is not installed.
    """
    said = row_verdicts(rows, key)
    given = labels.of(rows, key) if labels is not None else None
    counts = Counter(verdict for verdict in said if verdict is not None)
    scores = _scores(rows, said, key)
    found, problems = {}, []
    for verdict, count in counts.most_common():
        has_it = [one == verdict for one in said if one is not None]
        rate = statistics.pass_rate(has_it, confidence_level=confidence_level).raw
        found[verdict] = VerdictRate(count, rate)
        if given is None:
            continue
        pairs = [
            (_is_labelled(label, verdict, scores, key), one == verdict)
            for label, one in zip(given, said, strict=True)
            if label is not None and one is not None
        ]
        kinds = {label for label, _ in pairs}
        if len(kinds) < 2:
            missing = "another verdict" if True in kinds else f"the verdict {verdict!r}"
            problems.append(
                f"The share of {verdict!r} for {key!r} is not corrected: no labelled row has "
                f"{missing}."
            )
            continue
        truth, judged = zip(*pairs, strict=True)
        judge = statistics.judge_rates(truth, judged, confidence_level=confidence_level)
        corrected = statistics.pass_rate(
            has_it, judge, includes_labelled=True, confidence_level=confidence_level
        )
        found[verdict] = VerdictRate(count, rate, corrected.corrected, judge)
    return found, problems


def _scores(
    rows: Sequence[ExperimentRow], said: Iterable[str | None], key: str
) -> dict[str, set[float]]:
    """The scores that each verdict stands for."""
    found: dict[str, set[float]] = {}
    for row, verdict in zip(rows, said, strict=True):
        score = row.score(key)
        if verdict is not None:
            found.setdefault(verdict, set()).update([] if score is None else [score])
    return found


def _is_labelled(label: Any, verdict: str, scores: Mapping[str, set[float]], key: str) -> bool:
    """Whether a label says that a row has a verdict."""
    if isinstance(label, str):
        if verdict_key(label) not in map(verdict_key, scores):
            raise SutroInputError(
                f"A label for {key!r} is none of the judge's verdicts, which are "
                f"{', '.join(map(repr, scores))}."
            )
        return verdict_key(label) == verdict_key(verdict)
    if label not in (True, False):
        raise SutroInputError(
            f"A label for {key!r} is a {type(label).__name__}: label with the judge's verdicts, or "
            "with True and False."
        )
    alike = [one for one, known in scores.items() if known == {float(label)}]
    if len(alike) != 1:
        raise SutroInputError(
            f"{len(alike)} verdicts of {key!r} have the score {int(label)}, so that a label "
            f"{bool(label)} is not one of them: label with the judge's verdicts."
        )
    return alike == [verdict]


def _example(row: ExperimentRow) -> str:
    return "" if row.example is None else str(row.example.id)


def _absent(label: Any) -> bool:
    return label is None or (isinstance(label, float) and isnan(label))
