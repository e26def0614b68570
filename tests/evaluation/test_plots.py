"""Plots show the numbers that they are given, and say what is missing."""

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib import pyplot as plt

from langchain_sutro.errors import SutroConfigurationError, SutroInputError
from langchain_sutro.evaluation.plots import plot_confusion, plot_coverage, plot_reliability

plt.switch_backend("Agg")


@pytest.fixture(autouse=True)
def _closed_figures():
    yield
    plt.close("all")


def texts(axes):
    return {
        (int(text.get_position()[1]), int(text.get_position()[0])): text.get_text()
        for text in axes.texts
    }


def line(axes, label):
    """The points of a line, by the beginning of its label."""
    (found,) = [one for one in axes.lines if str(one.get_label()).startswith(label)]
    return list(zip(*found.get_data(), strict=True))


def test_a_confusion_matrix_counts_expected_rows_by_answered_columns():
    axes = plot_confusion(["a", "a", "a", "b"], ["a", "a", "b", "b"])
    assert texts(axes) == {(0, 0): "2", (0, 1): "1", (1, 1): "1"}
    assert [label.get_text() for label in axes.get_xticklabels()] == ["a", "b"]
    assert axes.get_title() == "Confusion matrix: 4 rows, 75.0% right"
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("answered", "expected")


def test_rows_without_an_answer_have_a_column_of_their_own():
    axes = plot_confusion(["a", "b"], [None, "b"])
    assert [label.get_text() for label in axes.get_xticklabels()] == ["(none)", "a", "b"]
    assert texts(axes) == {(1, 0): "1", (2, 2): "1"}


def test_labels_can_be_chosen_and_ordered():
    axes = plot_confusion(["a", "b", "c"], ["a", "b", "c"], labels=["c", "a"], title="Mine")
    assert [label.get_text() for label in axes.get_yticklabels()] == ["c", "a"]
    assert texts(axes) == {(0, 0): "1", (1, 1): "1"}
    assert axes.get_title() == "Mine"


def test_numbers_are_ordered_by_value_and_before_other_labels():
    marks = [10, 2, 1, None, "2.5"]
    axes = plot_confusion(marks, marks)
    shown = [label.get_text() for label in axes.get_xticklabels()]
    assert shown == ["1", "2", "2.5", "10", "(none)"]


def test_long_labels_are_cut_in_the_middle_and_stay_different():
    names = [f"customer support, billing, {kind}" for kind in ("refund", "invoice")]
    axes = plot_confusion(names, names)
    shown = [label.get_text() for label in axes.get_xticklabels()]
    assert len(set(shown)) == 2
    assert all(len(one) <= 24 and one.startswith("customer") for one in shown)
    assert shown[0].endswith("invoice")


def test_more_labels_than_can_be_read_are_refused():
    many = list(range(41))
    with pytest.raises(SutroInputError, match="41 labels"):
        plot_confusion(many, many)


def test_reliability_has_a_point_for_each_range_with_rows():
    axes = plot_reliability([0.1, 0.2, 0.9, None], [False, True, True, True], bins=2)
    (points,) = [one for one in axes.containers if str(one.get_label()).startswith("accuracy")]
    xs, ys = points.lines[0].get_data()
    assert list(xs) == pytest.approx([0.15, 0.9])
    assert list(ys) == pytest.approx([0.5, 1.0])
    # (2 x |0.15 - 0.5| + 1 x |0.9 - 1|) / 3
    assert axes.get_title() == "Reliability: 3 rows, calibration error 0.267"


@pytest.mark.parametrize("plot", [plot_reliability, plot_coverage])
def test_points_at_the_edges_are_drawn_whole(plot):
    axes = plot([0.0, 1.0], [False, True])
    for low, high in (axes.get_xlim(), axes.get_ylim()):
        assert low < 0
        assert high > 1


def test_coverage_falls_and_accuracy_follows_from_the_rows_that_are_left():
    axes = plot_coverage([0.2, 0.5, 0.5, 0.9], [False, True, False, True])
    coverage, accuracy = line(axes, "coverage"), line(axes, "accuracy")
    assert coverage == [(0.0, 1.0), (0.2, 1.0), (0.5, 0.75), (0.9, 0.25), (1.0, 0.0)]
    assert accuracy == [(0.0, 0.5), (0.2, 0.5), (0.5, 2 / 3), (0.9, 1.0)]


def test_a_row_without_confidence_is_never_covered():
    axes = plot_coverage([0.5, None], [True, True])
    assert line(axes, "coverage")[0] == pytest.approx((0.0, 0.5))


@given(
    st.lists(
        st.tuples(st.floats(0, 1), st.booleans()),
        min_size=1,
        max_size=30,
    )
)
def test_coverage_agrees_with_counting(rows):
    confidences, right = [one for one, _ in rows], [one for _, one in rows]
    axes = plot_coverage(confidences, right)
    for (threshold, coverage), (_, accuracy) in zip(
        line(axes, "coverage"), line(axes, "accuracy"), strict=False
    ):
        left = [one for score, one in rows if score >= threshold]
        assert coverage == pytest.approx(len(left) / len(rows))
        assert accuracy == pytest.approx(sum(left) / len(left))
    plt.close("all")


@pytest.mark.parametrize("plot", [plot_confusion, plot_reliability, plot_coverage])
def test_a_plot_draws_on_given_axes_and_names_its_axes(plot):
    ax = plt.figure().add_subplot()
    given = (["a"], ["a"]) if plot is plot_confusion else ([0.4], [True])
    assert plot(*given, ax=ax) is ax
    assert ax.get_title()
    assert ax.get_xlabel()
    assert ax.get_ylabel()


@pytest.mark.parametrize("plot", [plot_confusion, plot_reliability, plot_coverage])
def test_nothing_to_plot_and_unequal_lengths_are_errors(plot):
    with pytest.raises(SutroInputError, match="no rows"):
        plot([], [])
    with pytest.raises(SutroInputError, match="same length, not 1 and 2"):
        plot([0.5], [1, 0])


def test_rows_that_nobody_judged_are_an_error():
    with pytest.raises(SutroInputError, match="both a confidence and a score"):
        plot_reliability([0.5, None], [None, True])
    with pytest.raises(SutroInputError, match="bins must be at least 1, not 0"):
        plot_reliability([0.5], [True], bins=0)


def test_without_matplotlib_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(SutroConfigurationError, match=r"langchain-sutro\[plots\]"):
        plot_confusion(["a"], ["a"])


def test_colours_and_line_styles_both_differ():
    axes = plot_coverage([0.2, 0.8], [False, True])
    coverage, accuracy = axes.lines
    assert coverage.get_color() != accuracy.get_color()
    assert coverage.get_linestyle() != accuracy.get_linestyle()
