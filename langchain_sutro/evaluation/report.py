"""`ExperimentReport`: an experiment on one page of HTML, without anything that is loaded."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from langchain_sutro._core.exports import exported_from
from langchain_sutro._core.redaction import shown
from langchain_sutro._core.results import usd, written
from langchain_sutro._core.version import __version__
from langchain_sutro.errors import SutroConfigurationError, SutroInputError
from langchain_sutro.evaluation.comparison import compare_experiments, comparison_table
from langchain_sutro.evaluation.inline_plots import inline_plot
from langchain_sutro.evaluation.report_parts import Cell, bar, escaped, section, share, table, tiles
from langchain_sutro.evaluation.report_rows import differing_rows, failed_rows, uncertain_rows
from langchain_sutro.evaluation.shown_values import ShownValues
from langchain_sutro.evaluation.summary import statistics_installed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from os import PathLike

    from langchain_sutro.evaluation.any_experiment import AnyExperiment
    from langchain_sutro.evaluation.summary import ExperimentSummary
    from langchain_sutro.statistics import Estimate

__all__ = ["ExperimentReport", "report_of"]

# No script, no font, no image from elsewhere: the page asks nobody for anything.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


@exported_from("langchain_sutro")
class ExperimentReport:
    """A page of HTML about an experiment. Notebooks show it.

    Attributes:
        title: Its title.
    """

    def __init__(self, title: str, body: str) -> None:
        self.title = title
        self._body = body

    def __repr__(self) -> str:
        return f"<ExperimentReport: {self.title!r}>"

    @property
    def html(self) -> str:
        """The whole page."""
        return (
            '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            '<meta name="color-scheme" content="light dark">'
            f"<title>{escaped(self.title)}</title>"
            "<style>body { margin: 0; } @media screen and (prefers-color-scheme: dark) "
            "{ body { background: #14191f; } }</style>"
            f"</head><body>{self._repr_html_()}</body></html>\n"
        )

    def save(self, path: str | PathLike[str]) -> None:
        """Write the page to a file, which is there whole or not at all.

        Args:
            path: A local path, or a URL of a file system that fsspec knows.

        Raises:
            SutroConfigurationError: It is a URL, and fsspec or the package for its kind is missing.
            OSError: The file cannot be written.
        """
        with written(path) as file:
            file.write(self.html.encode())

    def _repr_html_(self) -> str:
        """The page without its head, with its style."""
        return f'<main class="sutro-report"><style>{_style()}</style>{self._body}</main>'


@cache
def _style() -> str:
    return files("langchain_sutro.evaluation").joinpath("report.css").read_text("utf-8")


def report_of(
    results: AnyExperiment,
    *,
    title: str | None,
    labels: Mapping[str, Mapping[Any, Any]] | None,
    baseline: AnyExperiment | None,
    show_values: bool,
    rows: int,
    confidence_level: float,
) -> ExperimentReport:
    """Make the report of an experiment; see `ExperimentResults.report`."""
    if rows < 0:
        raise SutroInputError(f"rows must not be negative, not {rows!r}.")
    name = results.experiment_name
    summary = results.summary(labels, confidence_level=confidence_level)
    values = ShownValues(list(results), everything=show_values)
    title = title or (f"Experiment {name}" if name else "Experiment")
    level = f"{100 * confidence_level:g} %"
    parts = [
        _header(results, title),
        _warnings(summary),
        _glance(summary, level),
        section("Verdicts", *_verdicts(summary, level)),
        section("Mean scores", _means(summary, level)),
        _baseline(results, baseline, values, rows, confidence_level),
        section("Plots", _plots(results, values)),
        section("Errors", failed_rows(results, values, rows)),
        section("Least confident rows", uncertain_rows(results, values, rows)),
        section("Models", _models(results)),
        _footer(values, level),
    ]
    return ExperimentReport(title, "".join(parts))


def _header(results: AnyExperiment, title: str) -> str:
    started = [row.run.start_time for row in results if row.run.start_time is not None]
    facts = [f"{len(results):,} rows"]
    if results.experiment_name:
        facts.insert(0, results.experiment_name)
    if started:
        facts.append(f"run on {min(started):%d %B %Y}")
    facts.append(f"reported on {datetime.now(UTC):%d %B %Y}")
    line = " · ".join(map(escaped, facts))
    if results.url is not None and results.url.startswith(("https://", "http://")):
        line += f' · <a href="{escaped(results.url)}">in LangSmith</a>'
    return f'<header><h1>{escaped(title)}</h1><p class="quiet">{line}</p></header>'


def _warnings(summary: ExperimentSummary) -> str:
    if not summary.warnings:
        return ""
    listed = "".join(f"<li>{escaped(one)}</li>" for one in summary.warnings)
    return f'<section class="warnings"><h2>Before you rely on this</h2><ul>{listed}</ul></section>'


def _glance(summary: ExperimentSummary, level: str) -> str:
    facts = [("rows", f"{summary.rows:,}", ""), ("failed", f"{summary.errors:,}", "")]
    if summary.evaluator_errors:
        facts.append(("evaluator errors", f"{summary.evaluator_errors:,}", ""))
    if summary.accuracy is not None:
        found = summary.accuracy
        facts.append(("accuracy", f"{100 * found.value:.1f} %", _range(found, level)))
    facts += [
        (key, f"{score}", "whole experiment") for key, score in summary.summary_scores.items()
    ]
    tokens = (summary.input_tokens, summary.output_tokens)
    if None not in tokens:
        facts.append(("tokens", f"{sum(map(int, filter(None, tokens))):,}", _tokens(summary)))
    if summary.cost is not None:
        facts.append(("cost", usd(summary.cost), ""))
    return tiles(facts)


def _short(score: Any) -> str:
    return f"{score:.4g}" if isinstance(score, float) else shown(score, most=40)


def _tokens(summary: ExperimentSummary) -> str:
    return f"{summary.input_tokens:,} in, {summary.output_tokens:,} out"


def _range(found: Estimate, level: str) -> str:
    return f"{level} interval {100 * found.low:.1f} to {100 * found.high:.1f} %"


def _verdicts(summary: ExperimentSummary, level: str) -> list[str]:
    made = []
    for key, verdicts in summary.verdicts.items():
        corrected = any(one.corrected is not None for one in verdicts.values())
        titles = ["verdict", "rows", "", f"share, {level} interval"]
        if corrected:
            titles += ["corrected share", "sensitivity", "specificity"]
        rows = []
        for verdict, one in verdicts.items():
            cells = [verdict, Cell(f"{one.rows:,}", "number"), bar(one.corrected or one.rate)]
            cells.append(share(one.rate))
            if corrected:
                cells += ["" if one.corrected is None else share(one.corrected)]
                judge = one.judge
                cells += (
                    ["", ""]
                    if judge is None
                    else [
                        share(judge.sensitivity),
                        share(judge.specificity),
                    ]
                )
            rows.append(cells)
        made.append(
            f"<h3>{escaped(key)}</h3>{table(f'Verdicts of {key}', titles, rows, below_title=True)}"
        )
    if not made and summary.labels:
        note = "Intervals need the extra: pip install 'langchain-sutro[statistics]'"
        made.append(f'<p class="quiet">{escaped(note)}</p>')
    return made


def _means(summary: ExperimentSummary, level: str) -> str:
    rows = [
        [key, Cell(f"{one.value:.3f}", "number"), f"{one.low:.3f} to {one.high:.3f}"]
        for key, one in summary.means.items()
    ]
    titles = ["feedback", "mean", f"{level} interval"]
    return table("Mean scores", titles, rows, below_title=True)


def _baseline(
    results: AnyExperiment,
    baseline: AnyExperiment | None,
    values: ShownValues,
    rows: int,
    confidence_level: float,
) -> str:
    if baseline is None:
        return ""
    found = compare_experiments(baseline, results, confidence_level=confidence_level)
    titles, cells = comparison_table(found)
    caption = (
        f"{found.first} (first) and {found.second} (second), {found.examples:,} examples. "
        "The last column says how many examples would show a difference as large as this one."
    )
    numbers = [[one[0], *(Cell(cell, "number") for cell in one[1:])] for one in cells]
    return section(
        "Compared with the baseline",
        table(caption, titles, numbers),
        differing_rows(found, values, rows),
    )


_CONFUSION = "Each row of the matrix is an expected label, each column an answered one."
_RELIABILITY = "Confidence against accuracy, with the share of rows in each range of confidence."
_COVERAGE = (
    "For each minimum confidence, the share of rows answered, and how many of them are right."
)


def _plots(results: AnyExperiment, values: ShownValues) -> str:
    """The plots that there is something for."""
    scored = [row for row in results if row.is_right is not None]
    wanted: list[tuple[Callable[[Any], Any], str, str]] = []
    if values.labels and scored:
        wanted.append((lambda ax: results.plot_confusion(ax=ax), "confusion", _CONFUSION))
    if any(row.confidence is not None for row in scored):
        wanted.append((lambda ax: results.plot_reliability(ax=ax), "reliability", _RELIABILITY))
        wanted.append((lambda ax: results.plot_coverage(ax=ax), "coverage", _COVERAGE))
    try:
        made = "".join(f"<figure>{inline_plot(*one)}</figure>" for one in wanted)
    except SutroConfigurationError as error:
        return f'<p class="quiet">{escaped(str(error))}</p>'
    return f'<div class="plots">{made}</div>' if made else ""


def _models(results: AnyExperiment) -> str:
    rows = [
        [name, model.name or "", model.source or "", "" if revision is None else str(revision)]
        for name, models in results.models_by_job.items()
        for model in models
        for revision in [model.revision]
    ]
    return table("What answered, as far as the service says", _MODEL_TITLES, rows)


_MODEL_TITLES = ("what", "model", "source", "revision")


def _footer(values: ShownValues, level: str) -> str:
    notes = []
    if statistics_installed():
        notes.append(
            f"Intervals hold the truth in about {level} of all samples like this one. Corrected "
            "shares allow for the errors of the judge, as far as the rows that people labelled "
            "show them."
        )
    if not values.inputs:
        notes.append("Inputs of rows are not shown.")
    notes.append(f"Made by langchain-sutro {__version__}.")
    return (
        "<footer>" + "".join(f'<p class="quiet">{escaped(one)}</p>' for one in notes) + "</footer>"
    )
