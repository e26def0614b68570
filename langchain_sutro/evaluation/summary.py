"""`ExperimentSummary`: an experiment at a glance, and the figures in it that have intervals."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.util import find_spec
from math import isfinite
from typing import TYPE_CHECKING, Any

# What it offers is loaded at use, with NumPy.
from langchain_sutro import statistics
from langchain_sutro._core.exports import exported_from
from langchain_sutro.evaluation.verdicts import row_verdicts, verdict_rates

if TYPE_CHECKING:
    from collections.abc import Sequence

    from langchain_sutro._core.results import AnsweringModel
    from langchain_sutro.evaluation.experiment_row import ExperimentRow
    from langchain_sutro.evaluation.verdicts import Labels, VerdictRate
    from langchain_sutro.statistics import Estimate

__all__ = ["ExperimentSummary", "Figures", "figures", "statistics_installed"]


@exported_from("langchain_sutro")
@dataclass(frozen=True)
class ExperimentSummary:
    """An experiment at a glance.

    Attributes:
        rows: The number of runs.
        errors: The number of runs that failed.
        evaluator_errors: The number of times that an evaluator failed.
        scores: The mean score by feedback key.
        labels: How often each string was given, by feedback key, the most frequent first.
        summary_scores: The feedback of the summary evaluators, by key.
        input_tokens: Input tokens of all jobs, if known.
        output_tokens: Output tokens of all jobs, if known.
        cost: Cost of all jobs in USD, if known.
        models: The models that answered the Function under test, with their sources and revisions,
            as far as the service says.
        warnings: What to know before relying on the figures: that several models answered, that
            all rows failed or could not be judged, and the first reason, that LangSmith has not
            accepted everything, or that a share could not be corrected.
        verdicts: How often each verdict was given, by feedback key, the most frequent first, with
            intervals. A verdict is feedback whose value is a string, or whose scores are booleans
            (or the integers 0 and 1), as `"true"` and `"false"`. Empty without the extra
            `statistics`.
        means: The mean score by feedback key, with its interval, where scores are no verdicts.
            Empty without the extra `statistics`.
        accuracy: The share of the rows with a reference whose answer equals the expected one, with
            its interval; rows that failed count as wrong. None without references or without the
            extra `statistics`.
    """

    rows: int
    errors: int
    evaluator_errors: int
    scores: dict[str, float]
    labels: dict[str, dict[str, int]]
    summary_scores: dict[str, Any]
    input_tokens: int | None
    output_tokens: int | None
    cost: float | None
    models: tuple[AnsweringModel, ...] = ()
    warnings: tuple[str, ...] = ()
    verdicts: dict[str, dict[str, VerdictRate]] = field(default_factory=dict)
    means: dict[str, Estimate] = field(default_factory=dict)
    accuracy: Estimate | None = None


@dataclass
class Figures:
    """The figures of a summary that have intervals; see `ExperimentSummary`.

    Attributes:
        verdicts: As there.
        means: As there.
        accuracy: As there.
        problems: Why some shares are not corrected.
    """

    verdicts: dict[str, dict[str, VerdictRate]] = field(default_factory=dict)
    means: dict[str, Estimate] = field(default_factory=dict)
    accuracy: Estimate | None = None
    problems: list[str] = field(default_factory=list)


def statistics_installed() -> bool:
    """Whether the extra `statistics` is there."""
    return find_spec("scipy") is not None and find_spec("statsmodels") is not None


def figures(
    rows: Sequence[ExperimentRow],
    keys: Sequence[str],
    labels: Labels | None,
    confidence_level: float,
) -> Figures:
    """Compute the figures.

    Args:
        rows: The rows of the experiment.
        keys: Its feedback keys.
        labels: What people say of some rows.
        confidence_level: Of the intervals.

    Raises:
        SutroInputError: As `verdict_rates`.
        SutroConfigurationError: The extra `statistics` is not installed.
    """
    found = Figures()
    for key in keys:
        if any(row_verdicts(rows, key)):
            found.verdicts[key], problems = verdict_rates(rows, key, labels, confidence_level)
            found.problems += problems
            continue
        given = [row.score(key) for row in rows]
        # Other evaluators may return NaN.
        scores = [score for score in given if score is not None and isfinite(score)]
        if scores:
            found.means[key] = statistics.mean_score(scores, confidence_level=confidence_level)
    right = [row.is_right for row in rows if row.is_right is not None]
    if right:
        found.accuracy = statistics.pass_rate(right, confidence_level=confidence_level).raw
    return found
