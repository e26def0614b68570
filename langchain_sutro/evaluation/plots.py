"""Plots of an evaluation: which labels are confused, and how far confidence can be trusted.

Each function takes plain sequences, draws on the given axes or new ones, and returns them. Needs
the extra `plots`. Colours are from the Okabe-Ito palette, and line styles differ too, so that no
information depends on colour alone.
"""

from __future__ import annotations

import re
from itertools import groupby
from math import inf, isnan, sqrt
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from langchain_sutro._core.exports import exported_from
from langchain_sutro._core.redaction import printable
from langchain_sutro.errors import SutroConfigurationError, SutroInputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

__all__ = ["plot_confusion", "plot_coverage", "plot_reliability"]

_BLUE, _ORANGE, _GREY, _INK = "#0072B2", "#D55E00", "#C8CCD0", "#333333"
_MOST_LABELS = 40
_LONGEST_LABEL = 24
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


@exported_from("langchain_sutro.plots")
def plot_confusion(
    reference: Sequence[Any],
    predicted: Sequence[Any],
    *,
    labels: Sequence[Any] | None = None,
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """How often each expected label was answered with each label.

    Args:
        reference: The expected label of each row.
        predicted: The answered label of each row; None for a row without an answer.
        labels: Which labels to show, in this order; defaults to all, numbers by value before
            strings.
        title: Defaults to the number of rows and the accuracy.
        ax: The axes to draw on; defaults to a new figure.

    Raises:
        SutroInputError: There is nothing to plot, the lengths differ, or there are more than 40
            labels.
        SutroConfigurationError: matplotlib is not installed.
    """
    _check(reference, predicted)
    expected, answered = [_label(one) for one in reference], [_label(one) for one in predicted]
    if labels is None:
        names = sorted({*expected, *answered}, key=_rank)
    else:
        names = [_label(one) for one in labels]
    if len(names) > _MOST_LABELS:
        raise SutroInputError(
            f"{len(names)} labels are too many for a readable confusion matrix: choose at most "
            f"{_MOST_LABELS} with labels=."
        )
    counts = [[0] * len(names) for _ in names]
    place = {name: index for index, name in enumerate(names)}
    for wanted, got in zip(expected, answered, strict=True):
        if wanted in place and got in place:
            counts[place[wanted]][place[got]] += 1
    shown = sum(map(sum, counts))
    right = sum(counts[index][index] for index in range(len(names)))
    side = max(5.0, 0.62 * len(names) + 2.4)
    axes = _axes(ax, (side, side * 0.88))
    # Shades show shares of the expected label, so that rare labels are as readable as common ones.
    shares = [[one / (sum(row) or 1) for one in row] for row in counts]
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for y, row in enumerate(counts):
        for x, count in enumerate(row):
            if count:
                colour = "white" if shares[y][x] > 0.55 else _INK
                axes.text(x, y, f"{count:,}", ha="center", va="center", color=colour)
    short = [_clipped(printable(name)) for name in names]
    # Labels are data, where a dollar sign starts no formula.
    axes.set_yticks(range(len(names)), short, parse_math=False)
    axes.set_xticks(
        range(len(names)),
        short,
        rotation=45,
        ha="right",
        rotation_mode="anchor",
        parse_math=False,
    )
    axes.set_xlabel("answered")
    axes.set_ylabel("expected")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    accuracy = f", {right / shown:.1%} right" if shown else ""
    axes.set_title(title or f"Confusion matrix: {shown:,} rows{accuracy}")
    return axes


@exported_from("langchain_sutro.plots")
def plot_reliability(
    confidence: Sequence[float | None],
    correct: Sequence[bool | float | None],
    *,
    bins: int = 10,
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Whether answers are right as often as their confidence says.

    Rows are sorted into equal ranges of confidence; each range with rows is a point, with its 95 %
    Wilson interval. The title shows the expected calibration error: the mean distance of the
    points from the diagonal, weighted by rows.

    Args:
        confidence: The confidence of each row, 0 to 1; rows with None are left out.
        correct: Whether each row is right, or its score from 0 to 1; rows with None are left out.
        bins: The number of ranges.
        title: Defaults to the number of rows and the expected calibration error.
        ax: The axes to draw on; defaults to a new figure.

    Raises:
        SutroInputError: No row has both, the lengths differ, or `bins` is below 1.
        SutroConfigurationError: matplotlib is not installed.
    """
    if bins < 1:
        raise SutroInputError(f"bins must be at least 1, not {bins}.")
    known = _known(confidence, correct)
    groups: list[list[tuple[float, float]]] = [[] for _ in range(bins)]
    for pair in known:
        groups[min(int(pair[0] * bins), bins - 1)].append(pair)
    points = [
        (_mean([one for one, _ in group]), _mean([right for _, right in group]), len(group))
        for group in groups
        if group
    ]
    error = sum(abs(x - y) * rows for x, y, rows in points) / len(known)
    axes = _axes(ax, (5.6, 5.6))
    axes.bar(
        [(index + 0.5) / bins for index in range(bins)],
        [len(group) / len(known) for group in groups],
        width=0.94 / bins,
        color=_GREY,
        label="share of rows",
    )
    axes.plot([0, 1], [0, 1], color=_INK, linestyle=":", linewidth=1, label="perfectly calibrated")
    xs, ys = [x for x, _, _ in points], [y for _, y, _ in points]
    ranges = [_wilson(y, rows) for _, y, rows in points]
    spread = [
        [y - low for y, (low, _) in zip(ys, ranges, strict=True)],
        [high - y for y, (_, high) in zip(ys, ranges, strict=True)],
    ]
    axes.errorbar(
        xs, ys, yerr=spread, color=_BLUE, fmt="o", capsize=3, label="accuracy, 95 % interval"
    )
    _unit(axes, x="confidence", y="accuracy")
    _legend(axes)
    axes.set_title(title or f"Reliability: {len(known):,} rows, calibration error {error:.3f}")
    return axes


@exported_from("langchain_sutro.plots")
def plot_coverage(
    confidence: Sequence[float | None],
    correct: Sequence[bool | float | None],
    *,
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """What a `min_confidence` costs and gains: the rows still answered, and how many are right.

    Args:
        confidence: The confidence of each row, 0 to 1; a row with None is never answered, as with
            `require_confidence`.
        correct: Whether each row is right, or its score from 0 to 1; rows with None are left out.
        title: Defaults to the number of rows.
        ax: The axes to draw on; defaults to a new figure.

    Raises:
        SutroInputError: No row has both, or the lengths differ.
        SutroConfigurationError: matplotlib is not installed.
    """
    known = sorted(_known(confidence, correct))
    judged = sum(right is not None for right in correct)
    left, right = len(known), sum(one for _, one in known)
    # (confidence, coverage, accuracy) for thresholds up to and including this confidence.
    steps = [(0.0, left / judged, right / left)]
    for score, group in groupby(known, itemgetter(0)):
        steps.append((score, left / judged, right / left))
        gone = [one for _, one in group]
        left, right = left - len(gone), right - sum(gone)
    thresholds, coverages, accuracies = zip(*steps, strict=True)
    axes = _axes(ax, (6.0, 4.8))
    axes.step(
        [*thresholds, 1.0],
        [*coverages, left / judged],
        where="pre",
        color=_ORANGE,
        linestyle="--",
        linewidth=1.8,
        label="coverage: rows answered",
    )
    axes.step(
        thresholds,
        accuracies,
        where="pre",
        color=_BLUE,
        linewidth=1.8,
        label="accuracy of answered rows",
    )
    _unit(axes, x="minimum confidence", y="share of rows")
    _legend(axes)
    axes.set_title(title or f"Coverage and accuracy by minimum confidence: {judged:,} rows")
    return axes


def _axes(ax: Axes | None, size: tuple[float, float]) -> Axes:
    if ax is not None:
        return ax
    try:
        from matplotlib import pyplot as plt  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise SutroConfigurationError(
            "Plots need matplotlib: pip install 'langchain-sutro[plots]'"
        ) from error
    return plt.subplots(figsize=size, layout="constrained")[1]


def _unit(axes: Axes, *, x: str, y: str) -> None:
    """Both axes from 0 to 1, with a grid that stays in the background."""
    # A little more on each side, so that no point at an end is cut in half.
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.02)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(visible=True, color="#E6E8EA", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _legend(axes: Axes) -> None:
    """Put the legend below the plot, where it covers nothing."""
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=3, frameon=False, fontsize=9)


def _check(first: Sequence[Any], second: Sequence[Any]) -> None:
    if len(first) != len(second):
        raise SutroInputError(
            f"The sequences must have the same length, not {len(first):,} and {len(second):,}."
        )
    if not len(first):
        raise SutroInputError("There are no rows to plot.")


def _known(
    confidence: Sequence[float | None], correct: Sequence[bool | float | None]
) -> list[tuple[float, float]]:
    """The rows that have both, as numbers."""
    _check(confidence, correct)
    found = [
        (float(score), float(right))
        for score, right in zip(confidence, correct, strict=True)
        if score is not None and right is not None and not isnan(score) and not isnan(right)
    ]
    if not found:
        raise SutroInputError("No row has both a confidence and a score.")
    return found


def _label(value: Any) -> str:
    return "(none)" if value is None else str(value)


def _rank(name: str) -> tuple[float, str]:
    """The sort key of a label: numbers by value, then all others in alphabetical order."""
    return (float(name) if _NUMBER.fullmatch(name) else inf, name)


def _clipped(name: str) -> str:
    """Short enough for an axis; both ends are kept, since labels often start alike."""
    return name if len(name) <= _LONGEST_LABEL else f"{name[:12]}…{name[-11:]}"


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _wilson(share: float, rows: int) -> tuple[float, float]:
    """The 95 % interval of a share; also valid for few rows and for shares near 0 and 1."""
    z = 1.96
    middle = (share + z * z / (2 * rows)) / (1 + z * z / rows)
    half = z * sqrt(share * (1 - share) / rows + z * z / (4 * rows * rows)) / (1 + z * z / rows)
    return min(middle - half, share), max(middle + half, share)
