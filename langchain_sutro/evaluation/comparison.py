"""`compare_experiments`: two experiments, example by example."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from langchain_sutro._core.exports import exported_from
from langchain_sutro.errors import SutroInputError
from langchain_sutro.evaluation.compared_figures import compared_figures
from langchain_sutro.evaluation.html_table import html_table
from langchain_sutro.evaluation.pairing import pairs_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from langchain_sutro.evaluation.any_experiment import AnyExperiment
    from langchain_sutro.evaluation.compared_figures import ComparedFigure

__all__ = ["ExperimentComparison", "compare_experiments", "comparison_table"]


@exported_from("langchain_sutro")
class ExperimentComparison:
    """What `compare_experiments` found. Iteration gives a `ComparedFigure` for each figure.

    Attributes:
        first: The name of the first experiment.
        second: The name of the second experiment.
        examples: The number of examples that both have.
        confidence_level: Of the intervals.
    """

    def __init__(
        self,
        first: str,
        second: str,
        examples: int,
        figures: list[ComparedFigure],
        confidence_level: float = 0.95,
    ) -> None:
        self.first = first
        self.second = second
        self.examples = examples
        self.confidence_level = confidence_level
        self._figures = figures

    def __len__(self) -> int:
        return len(self._figures)

    def __iter__(self) -> Iterator[ComparedFigure]:
        return iter(self._figures)

    def __repr__(self) -> str:
        return (
            f"<ExperimentComparison: {self.first!r} and {self.second!r}, {self.examples:,} "
            f"examples, {len(self._figures)} figures>"
        )

    def figure(self, key: str, verdict: str | None = None) -> ComparedFigure:
        """One figure.

        Args:
            key: As in `ComparedFigure`.
            verdict: The verdict whose share is compared; None for the mean score.

        Raises:
            SutroInputError: There is no such figure.
        """
        for one in self._figures:
            if (one.key, one.verdict) == (key, verdict):
                return one
        known = ", ".join(f"{one.key}: {one.verdict or 'score'}" for one in self._figures)
        raise SutroInputError(
            f"There is no figure {key!r} of {verdict or 'the score'!r}; the figures are: {known}."
        )

    def to_pandas(self) -> Any:
        """A `pandas.DataFrame` with one row for each figure.

        Returns:
            Columns `key`, `verdict`, `first`, `second`, `difference`, `low`, `high`, `p_value`,
            `test`, `examples`, `higher`, `lower`, `examples_needed` and `left_out`.
        """
        import pandas as pd  # noqa: PLC0415

        return pd.DataFrame([_record(one) for one in self._figures], columns=_COLUMNS)

    def _repr_html_(self) -> str:
        """The names of the experiments, and the figures as a table."""
        names = f"<b>{escape(self.first)}</b> and <b>{escape(self.second)}</b>"
        head = f"<p>{names} · {self.examples:,} examples</p>"
        return head + html_table(*comparison_table(self))


@exported_from("langchain_sutro")
def compare_experiments(
    first: AnyExperiment,
    second: AnyExperiment,
    *,
    common: bool = False,
    confidence_level: float = 0.95,
) -> ExperimentComparison:
    """Compare two experiments on the same examples: is the second better by more than chance?

    Compared are the accuracy (where examples have references), the mean score of each feedback key
    that both have, and the share of each verdict and of each answer. Shares are compared by
    McNemar's test, other scores by a permutation test, as `langchain_sutro.statistics.compare`
    does. Each p-value stands for itself: among twenty figures one is likely to be below 5 % by
    chance.

    Several runs of one example count as one with their mean, because they are not independent.

    Args:
        first: The `ExperimentResults` to compare with, such as those of the version in use.
        second: The other one, such as a new version.
        common: Leave out examples that only one of them has; by default they are an error.
        confidence_level: Of the intervals.

    Raises:
        SutroInputError: One of them is no experiment, has a row without an example, or has an
            example twice; an example is in one of them only, or was changed between them; or
            there are fewer than two examples, or no figure that both have.
        SutroConfigurationError: The extra `statistics` is not installed.
    """
    pairs = pairs_of(first, second, common=common)
    if len(pairs) < 2:
        raise SutroInputError("There must be at least two examples to compare.")
    keys = [key for key in first.feedback_keys if key in second.feedback_keys]
    figures = compared_figures(pairs, keys, confidence_level)
    if not figures:
        raise SutroInputError(
            "The experiments have no figure in common: neither feedback with the same key, nor "
            "references, nor answers."
        )
    names = [one.experiment_name or which for one, which in ((first, "first"), (second, "second"))]
    return ExperimentComparison(names[0], names[1], len(pairs), figures, confidence_level)


_COLUMNS = (
    "key",
    "verdict",
    "first",
    "second",
    "difference",
    "low",
    "high",
    "p_value",
    "test",
    "examples",
    "higher",
    "lower",
    "examples_needed",
    "left_out",
)


def _record(one: ComparedFigure) -> dict[str, Any]:
    found = one.comparison
    return {
        "key": one.key,
        "verdict": one.verdict,
        "first": found.first,
        "second": found.second,
        "difference": found.difference.value,
        "low": found.difference.low,
        "high": found.difference.high,
        "p_value": found.p_value,
        "test": found.test,
        "examples": found.examples,
        "higher": found.better,
        "lower": found.worse,
        "examples_needed": one.examples_needed,
        "left_out": one.left_out,
    }


def comparison_table(comparison: ExperimentComparison) -> tuple[list[str], list[list[str]]]:
    """The figures as people read them: the titles of the columns, and the cells of each row.

    Args:
        comparison: The figures.
    """
    titles = [
        "figure",
        "first",
        "second",
        "difference",
        f"{100 * comparison.confidence_level:g} % interval",
        "p-value",
        "higher",
        "lower",
        "examples needed",
    ]
    return titles, [_cells(one) for one in comparison]


def _cells(one: ComparedFigure) -> list[str]:
    found, needed = one.comparison, one.examples_needed
    return [
        one.key if one.verdict is None else f"{one.key}: {one.verdict}",
        f"{found.first:.3f}",
        f"{found.second:.3f}",
        f"{found.difference.value:+.3f}",
        f"{found.difference.low:+.3f} to {found.difference.high:+.3f}",
        "< 0.0001" if found.p_value < 0.0001 else f"{found.p_value:.4f}",
        f"{found.better:,}",
        f"{found.worse:,}",
        "" if needed is None else f"{needed:,}",
    ]
