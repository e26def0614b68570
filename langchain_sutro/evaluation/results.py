"""What `evaluate_dataset` returns: an experiment as rows, as a table, and as plots."""

from __future__ import annotations

from collections import Counter
from functools import cached_property
from html import escape
from typing import TYPE_CHECKING, Any, overload

from langchain_sutro._core.exports import exported_from
from langchain_sutro._core.results import AnsweringModel, model_warnings, usd
from langchain_sutro.errors import SutroInputError
from langchain_sutro.evaluation import plots
from langchain_sutro.evaluation.failures import failure_warnings
from langchain_sutro.evaluation.html_table import PREVIEW, html_table
from langchain_sutro.evaluation.summary import (
    ExperimentSummary,
    Figures,
    figures,
    statistics_installed,
)
from langchain_sutro.evaluation.threshold import least_confidence
from langchain_sutro.evaluation.verdicts import Labels

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from os import PathLike

    from langsmith.evaluation import EvaluationResult
    from matplotlib.axes import Axes

    from langchain_sutro._core.results import BatchResults
    from langchain_sutro.evaluation.experiment_row import ExperimentRow
    from langchain_sutro.evaluation.report import ExperimentReport

__all__ = ["ExperimentResults"]


@exported_from("langchain_sutro")
class ExperimentResults:
    """The rows of an experiment, in the order of its examples.

    Iteration gives an `ExperimentRow` for each run.

    Args:
        rows: The rows, in order.
        experiment_name: Its name in LangSmith; None if nothing was uploaded.
        experiment_id: Its id in LangSmith.
        url: The page that shows it in LangSmith, if known.
        summary_feedback: The feedback of the summary evaluators.
        jobs: The results of its Batch jobs: `"target"` for the Function under test, `"judge:<key>"`
            for each judge.
        refused: How many runs and pieces of feedback LangSmith did not accept.
    """

    def __init__(
        self,
        rows: Sequence[ExperimentRow],
        *,
        experiment_name: str | None = None,
        experiment_id: str | None = None,
        url: str | None = None,
        summary_feedback: Sequence[EvaluationResult] = (),
        jobs: Mapping[str, BatchResults] | None = None,
        refused: int = 0,
    ) -> None:
        self._rows = list(rows)
        self.experiment_name = experiment_name
        self.experiment_id = experiment_id
        self.url = url
        self.summary_feedback = list(summary_feedback)
        self.jobs = dict(jobs or {})
        self._refused = refused

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[ExperimentRow]:
        return iter(self._rows)

    @overload
    def __getitem__(self, index: int) -> ExperimentRow: ...

    @overload
    def __getitem__(self, index: slice) -> list[ExperimentRow]: ...

    def __getitem__(self, index: int | slice) -> ExperimentRow | list[ExperimentRow]:
        return self._rows[index]

    @property
    def errors(self) -> list[ExperimentRow]:
        """The rows whose run failed."""
        return [row for row in self._rows if row.error is not None]

    @property
    def feedback_keys(self) -> list[str]:
        """The keys of all feedback, in order of appearance."""
        return list(dict.fromkeys(one.key for row in self._rows for one in row.feedback))

    def to_pandas(self) -> Any:
        """A `pandas.DataFrame` with one row per run.

        Returns:
            Columns `inputs.*`, `outputs.*`, `reference.*`, `feedback.*` (the score, or the value if
            there is none), `comment.*` where there are comments, `confidence`, `error`,
            `example_id`, `run_id` and `repetition`.
        """
        import pandas as pd  # noqa: PLC0415

        records = [_record(row) for row in self._rows]
        names = dict.fromkeys(name for record in records for name in record)
        order = sorted(names, key=lambda name: _GROUPS.index(name.partition(".")[0]))
        return pd.DataFrame(records, columns=order)

    def summary(
        self,
        labels: Mapping[str, Mapping[Any, Any]] | None = None,
        *,
        confidence_level: float = 0.95,
    ) -> ExperimentSummary:
        """Rows, errors, scores, verdicts with intervals, tokens, cost, models and warnings.

        Args:
            labels: What people say of some rows, which must have been chosen at random: for each
                feedback key the label of each example or run, by its id, as a dict or a pandas
                Series. A label is one of the judge's verdicts, ignoring case, or whether the row
                passes (True stands for the verdict with score 1, False for that with score 0). The
                shares of the verdicts are then corrected for the judge's errors.
            confidence_level: Of all intervals.

        Raises:
            SutroInputError: A label is not a verdict of the judge, no label belongs to a row, or
                there is no such feedback.
            SutroConfigurationError: There are labels, and the extra `statistics` is not installed.
        """
        given = None if labels is None else Labels(labels, self.feedback_keys)
        if given is None and not statistics_installed():
            return self._summary(Figures())
        return self._summary(figures(self._rows, self.feedback_keys, given, confidence_level))

    def _summary(self, found: Figures) -> ExperimentSummary:
        scores: dict[str, list[float]] = {}
        labels: dict[str, Counter[str]] = {}
        failed = 0
        for one in (one for row in self._rows for one in row.feedback):
            if (one.extra or {}).get("error"):
                failed += 1
            if one.score is not None:
                scores.setdefault(one.key, []).append(float(one.score))
            if isinstance(one.value, str):
                labels.setdefault(one.key, Counter())[one.value] += 1
        return ExperimentSummary(
            rows=len(self._rows),
            errors=len(self.errors),
            evaluator_errors=failed,
            scores={key: sum(found) / len(found) for key, found in scores.items()},
            labels={key: dict(found.most_common()) for key, found in labels.items()},
            summary_scores={one.key: _shown(one) for one in self.summary_feedback},
            models=self._models,
            warnings=(*self.warnings, *found.problems),
            verdicts=found.verdicts,
            means=found.means,
            accuracy=found.accuracy,
            **self._totals,
        )

    def threshold(
        self, accuracy: float, *, score: str | None = None, confidence: str | None = None
    ) -> float | None:
        """The least confidence from which on the answers of this experiment are right often enough.

        Use it as the `min_confidence` of `require_confidence`. It is the best one for these rows,
        and looks better on them than on others: check it on rows that it was not chosen on.

        Args:
            accuracy: The share of the answers that must be right, such as 0.98.
            score: As for `plot_reliability`.
            confidence: As for `plot_reliability`.

        Returns:
            The confidence, from 0 to 1; 0.0 if all answers together are right often enough, and
            None if no confidence makes them so.

        Raises:
            SutroInputError: `accuracy` is not between 0 and 1, or no row has both a confidence and
                a score.
        """
        if not 0 <= accuracy <= 1:
            raise SutroInputError(f"accuracy is a share between 0 and 1, not {accuracy!r}.")
        known = [
            (one, right)
            for one, right in zip(*self._judged(score, confidence), strict=True)
            if one is not None and right is not None
        ]
        if not known:
            raise SutroInputError(
                "No row has both a confidence and a score: score= names the feedback that says "
                "whether a row is right, and confidence= the feedback to use as confidence."
            )
        return least_confidence(known, accuracy)

    def report(
        self,
        path: str | PathLike[str] | None = None,
        *,
        title: str | None = None,
        labels: Mapping[str, Mapping[Any, Any]] | None = None,
        baseline: ExperimentResults | None = None,
        show_values: bool = False,
        rows: int = 10,
        confidence_level: float = 0.95,
    ) -> ExperimentReport:
        """One page of HTML to pass on: figures with intervals, plots, errors, uncertain rows.

        The page is self-contained: it has no scripts and loads nothing. By default it shows answers
        only if they are labels (at most 40 different ones), and no inputs and comments, since who
        reads a report need not be allowed to read those. Errors are shown without what looks like a
        secret.

        Args:
            path: Where to save it: a local path, or a URL of a file system that fsspec knows.
            title: Its title; defaults to the experiment's name.
            labels: As for `summary`.
            baseline: Another experiment on the same examples, which this one is compared with; see
                `compare_experiments`.
            show_values: Show the inputs and all answers of the listed rows, without images,
                documents and secrets. Where `LANGSMITH_HIDE_INPUTS` or `LANGSMITH_HIDE_OUTPUTS` is
                set, they stay hidden.
            rows: How many rows each list has at most.
            confidence_level: Of all intervals.

        Raises:
            SutroInputError: As `summary` and `compare_experiments`, or `rows` is negative.
            SutroConfigurationError: There are labels or a baseline, and the extra `statistics` is
                not installed. Without the extra `plots` the page says what plots need.
            OSError: The file cannot be written.
        """
        from langchain_sutro.evaluation.report import report_of  # noqa: PLC0415 - needs this class

        found = report_of(
            self,
            title=title,
            labels=labels,
            baseline=baseline,
            show_values=show_values,
            rows=rows,
            confidence_level=confidence_level,
        )
        if path is not None:
            found.save(path)
        return found

    @property
    def models_by_job(self) -> dict[str, tuple[AnsweringModel, ...]]:
        """The models that answered: those of the Function under test, and those of each judge."""
        found = {"Function under test": self._models}
        for name, job in self.jobs.items():
            if name != "target":
                found[f"judge {name.partition(':')[2]}"] = tuple(dict.fromkeys(job.models))
        return found

    @property
    def _models(self) -> tuple[AnsweringModel, ...]:
        found = dict.fromkeys(row.model for row in self._rows if row.model is not None)
        if "target" in self.jobs:
            found |= dict.fromkeys(self.jobs["target"].models)
        return tuple(found)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What to know before relying on the figures; see `ExperimentSummary`."""
        named = repr(self.experiment_name) if self.experiment_name else "this evaluation"
        found = [*model_warnings(self._models, f"The experiment {named}")]
        for name, job in self.jobs.items():
            if name != "target":
                found += model_warnings(job.models, f"Judge {name.partition(':')[2]!r}")
        found += failure_warnings(
            [row.error for row in self._rows], [row.feedback for row in self._rows]
        )
        if self._refused:
            found.append(
                f"LangSmith has not accepted {self._refused:,} runs or pieces of feedback; the "
                "log says why. Call again with the same experiment_name to write them."
            )
        return tuple(found)

    def plot_confusion(
        self, *, answer: str | None = None, reference: str | None = None, ax: Axes | None = None
    ) -> Axes:
        """Expected labels against answered labels; see `plots.plot_confusion`.

        Args:
            answer: Dotted path of the label in a run's outputs, such as `"output.label"`; defaults
                to the run's `answer`.
            reference: The same in an example's reference outputs.
            ax: The axes to draw on; defaults to a new figure.

        Raises:
            SutroInputError: No example has a reference.
            SutroConfigurationError: matplotlib is not installed.
        """
        pairs = [
            (_at(row.reference, reference, row.expected), _at(row.outputs, answer, row.answer))
            for row in self._rows
        ]
        pairs = [pair for pair in pairs if pair[0] is not None]
        if not pairs:
            raise SutroInputError("No example has a reference output to compare with.")
        return plots.plot_confusion([one for one, _ in pairs], [one for _, one in pairs], ax=ax)

    def plot_reliability(
        self, *, score: str | None = None, confidence: str | None = None, ax: Axes | None = None
    ) -> Axes:
        """Confidence against accuracy; see `plots.plot_reliability`.

        Args:
            score: Key of the feedback that says how right a row is, from 0 to 1; by default a row
                is right if its `answer` equals the `expected` one.
            confidence: Key of the feedback to use as the confidence, such as that of a judge;
                defaults to the confidence of the run.
            ax: The axes to draw on; defaults to a new figure.

        Raises:
            SutroInputError: No row has both a confidence and a score.
            SutroConfigurationError: matplotlib is not installed.
        """
        return plots.plot_reliability(*self._judged(score, confidence), ax=ax)

    def plot_coverage(
        self, *, score: str | None = None, confidence: str | None = None, ax: Axes | None = None
    ) -> Axes:
        """Coverage and accuracy by confidence threshold; see `plots.plot_coverage`.

        Args:
            score: As for `plot_reliability`.
            confidence: As for `plot_reliability`.
            ax: The axes to draw on; defaults to a new figure.

        Raises:
            SutroInputError: As for `plot_reliability`.
            SutroConfigurationError: matplotlib is not installed.
        """
        return plots.plot_coverage(*self._judged(score, confidence), ax=ax)

    def __repr__(self) -> str:
        named = [] if self.experiment_name is None else [repr(self.experiment_name)]
        return f"<ExperimentResults: {', '.join([*named, f'{len(self._rows):,} rows'])}>"

    def _repr_html_(self) -> str:
        """The summary and the first rows."""
        # Without intervals, which need a second to load what computes them.
        known = self._summary(Figures())
        facts = [f"{known.rows:,} rows", f"{known.errors:,} errors"]
        if known.cost is not None:
            facts.append(usd(known.cost))
        facts += [f"{key}: {score:.3f}" for key, score in known.scores.items()]
        facts += [f"{key}: {score}" for key, score in known.summary_scores.items()]
        name = escape(self.experiment_name or "Experiment")
        if self.url is not None and self.url.startswith(("https://", "http://")):
            name = f'<a href="{escape(self.url)}">{name}</a>'
        head = f"<p><b>{name}</b> · {' · '.join(map(escape, facts))}</p>"
        keys = self.feedback_keys
        titles = ["", "inputs", "answer", "expected", *keys, "confidence"]
        preview = [
            [
                index,
                row.inputs,
                row.answer if row.error is None else row.error,
                row.expected,
                *(_feedback(row, key) for key in keys),
                row.confidence,
            ]
            for index, row in enumerate(self._rows[:PREVIEW])
        ]
        notes = "".join(f"<p><b>Warning:</b> {escape(one)}</p>" for one in known.warnings)
        return head + notes + html_table(titles, preview)

    def _judged(
        self, score: str | None, confidence: str | None
    ) -> tuple[list[float | None], list[float | None]]:
        """The confidence of each row, and how right it is, as far as known."""
        known = self.feedback_keys
        for key in (score, confidence):
            if key is not None and key not in known:
                raise SutroInputError(
                    f"No row has feedback {key!r}; the keys are: {', '.join(known) or 'none'}."
                )
        confidences = [
            row.confidence if confidence is None else row.score(confidence) for row in self._rows
        ]
        right = [_number(row.is_right) if score is None else row.score(score) for row in self._rows]
        return confidences, right

    @cached_property
    def _totals(self) -> dict[str, Any]:
        """Tokens and cost of all jobs; None if one is unknown for any job."""
        names = ("input_tokens", "output_tokens", "cost")
        summaries = [job.summary() for job in self.jobs.values()]
        each = {name: [getattr(one, name) for one in summaries] for name in names}
        return {
            name: sum(found) if found and None not in found else None
            for name, found in each.items()
        }


# The columns of a table, in this order.
_GROUPS = (
    "inputs",
    "outputs",
    "reference",
    "feedback",
    "comment",
    "confidence",
    "error",
    "example_id",
    "run_id",
    "repetition",
)


def _record(row: ExperimentRow) -> dict[str, Any]:
    record: dict[str, Any] = {}
    for group, fields in (
        ("inputs", row.inputs),
        ("outputs", row.outputs),
        ("reference", row.reference),
    ):
        record.update({f"{group}.{name}": value for name, value in fields.items()})
    for one in row.feedback:
        record[f"feedback.{one.key}"] = _shown(one)
        if one.comment is not None:
            record[f"comment.{one.key}"] = one.comment
    return record | {
        "confidence": row.confidence,
        "error": row.error,
        "example_id": None if row.example is None else str(row.example.id),
        "run_id": str(row.run.id),
        "repetition": row.repetition,
    }


def _number(right: bool | None) -> float | None:
    return None if right is None else float(right)


def _at(fields: Any, path: str | None, default: Any) -> Any:
    """The value at a dotted path; None where there is none."""
    if path is None:
        return default
    for name in path.split("."):
        fields = fields.get(name) if isinstance(fields, dict) else None
    return fields


def _shown(one: EvaluationResult) -> Any:
    return one.value if one.score is None else one.score


def _feedback(row: ExperimentRow, key: str) -> Any:
    return next((_shown(one) for one in row.feedback if one.key == key), None)
