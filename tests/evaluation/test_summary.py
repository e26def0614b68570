"""The summary of an experiment: shares with intervals, corrected by the labels of people."""

import sys
import uuid

import numpy as np
import pandas as pd
import pytest

from langchain_sutro import statistics
from langchain_sutro.errors import SutroConfigurationError, SutroInputError
from langchain_sutro.evaluation.dataset import evaluate_dataset
from tests.support.experiments import exact, examples
from tests.support.made_experiments import made, made_row

# LangSmith's older clients know no other word for an example's reference outputs.
pytestmark = pytest.mark.filterwarnings("ignore:'outputs' is deprecated")


def judged(count=200, wrong=40):
    """Rows whose judge passes all but the first `wrong` of them."""
    return made(
        [
            made_row(number, grounded=("fail", 0) if number < wrong else ("pass", 1))
            for number in range(count)
        ]
    )


def labels_of(results, count, truth):
    """What people say of the first rows, by the example's id."""
    return {row.example.id: truth(number) for number, row in enumerate(results[:count])}


def test_each_verdict_has_its_share_with_an_interval(service):
    results = evaluate_dataset(
        service.function, examples(), evaluators=[service.judge, exact], upload_results=False
    )
    found = results.summary()
    verdicts = found.verdicts["agrees"]
    assert list(verdicts) == ["pass", "fail"]
    assert (verdicts["pass"].rows, verdicts["fail"].rows) == (45, 5)
    assert verdicts["pass"].rate == statistics.pass_rate([1] * 45 + [0] * 5).raw
    assert verdicts["pass"].corrected is None
    assert found.verdicts["exact"]["true"].rate == verdicts["pass"].rate
    assert found.means["agrees_confidence"].value == pytest.approx(0.75)
    assert found.accuracy == verdicts["pass"].rate
    # What was there before is still there.
    assert found.scores["agrees"] == pytest.approx(0.9)
    assert found.labels == {"agrees": {"pass": 45, "fail": 5}}


def test_shares_are_corrected_for_the_errors_of_the_judge():
    results = judged()
    # People pass 5 of the 20 labelled rows that the judge failed, and fail 8 of its 80.
    shuffled = [*results[:20], *results[40:120]]
    truth = [number < 5 or number >= 28 for number in range(100)]
    labels = {row.example.id: right for row, right in zip(shuffled, truth, strict=True)}
    found = results.summary({"grounded": labels}).verdicts["grounded"]
    assert found["pass"].rate.value == 0.8
    assert found["pass"].judge.sensitivity.value == pytest.approx(72 / 77)
    assert found["pass"].judge.specificity.value == pytest.approx(15 / 23)
    assert found["pass"].corrected.value == pytest.approx(0.8 * 72 / 80 + 0.2 * 5 / 20)
    assert found["pass"].corrected.low < 0.77 < found["pass"].corrected.high
    assert found["fail"].corrected.value == pytest.approx(1 - found["pass"].corrected.value)


@pytest.mark.parametrize("kind", ["words", "run ids", "series", "strings"])
def test_labels_may_be_words_and_are_found_by_the_id_of_the_example_or_of_the_run(kind):
    results = judged()
    plain = labels_of(results, 100, lambda number: number % 5 > 0)
    labels = {
        "words": {one: "PASS" if right else "fail " for one, right in plain.items()},
        "run ids": {row.run.id: plain[row.example.id] for row in results[:100]},
        "series": pd.Series(plain, dtype=object),
        "strings": {str(one): np.bool_(right) for one, right in plain.items()},
    }[kind]
    assert results.summary({"grounded": labels}) == results.summary({"grounded": plain})


def test_rows_without_a_label_are_left_out():
    results = judged()
    labels = labels_of(results, 100, lambda number: number % 5 > 0)
    others = {row.example.id: None for row in results[100:]}
    others |= {results[150].example.id: float("nan"), uuid.uuid4(): True}
    assert results.summary({"grounded": labels | others}) == results.summary({"grounded": labels})


def test_a_share_that_cannot_be_corrected_is_a_warning():
    results = judged()
    found = results.summary({"grounded": labels_of(results, 50, lambda _: True)})
    assert found.verdicts["grounded"]["pass"].corrected is None
    assert found.warnings == (
        "The share of 'pass' for 'grounded' is not corrected: no labelled row has another verdict.",
        "The share of 'fail' for 'grounded' is not corrected: no labelled row has the verdict 'fail'.",  # noqa: E501
    )


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ({"other": {}}, "No row has feedback 'other', which labels= names"),
        ({"grounded": {uuid.uuid4(): True}}, "No label for 'grounded' belongs to a row"),
        ({"grounded": "secret"}, "is none of the judge's verdicts, which are 'fail', 'pass'"),
        ({"grounded": 7}, "is a int: label with the judge's verdicts"),
    ],
)
def test_labels_that_mean_nothing_are_an_error(labels, said):
    results = judged()
    ((key, given),) = labels.items()
    if not isinstance(given, dict):
        labels = {key: {results[0].example.id: given, results[1].example.id: "fail"}}
    with pytest.raises(SutroInputError, match=said) as caught:
        results.summary(labels)
    assert "secret" not in str(caught.value)


def test_a_repeated_example_is_labelled_by_its_runs():
    rows = [made_row(0, grounded=("pass", 1)), made_row(0, repetition=1, grounded=("fail", 0))]
    results = made(rows)
    with pytest.raises(SutroInputError, match="has several runs"):
        results.summary({"grounded": {rows[0].example.id: True}})
    labels = {rows[0].run.id: True, rows[1].run.id: False}
    found = results.summary({"grounded": labels}).verdicts["grounded"]
    assert found["pass"].corrected.value == 0.5


def test_verdicts_of_more_than_two_kinds_are_corrected_one_by_one():
    words = ["good", "fair", "poor"]
    results = made([made_row(number, grade=(words[number % 3], None)) for number in range(90)])
    labels = {
        row.example.id: words[(number + (number % 10 == 0)) % 3]
        for number, row in enumerate(results[:60])
    }
    found = results.summary({"grade": labels}).verdicts["grade"]
    assert sum(one.corrected.value for one in found.values()) == pytest.approx(1)
    with pytest.raises(SutroInputError, match="0 verdicts of 'grade' have the score 1"):
        results.summary({"grade": {results[0].example.id: True}})


def test_scores_that_are_no_verdicts_have_a_mean_with_an_interval():
    results = made([made_row(number, rating=(None, 1 + number % 5)) for number in range(50)])
    found = results.summary()
    assert found.verdicts == {}
    assert found.means["rating"].value == 3
    assert 2.5 < found.means["rating"].low < 3 < found.means["rating"].high < 3.5


def test_a_score_that_is_no_number_leaves_the_others():
    rows = [made_row(number, rating=(None, float(number))) for number in range(3)]
    rows.append(made_row(3, rating=(None, float("nan"))))
    assert made(rows).summary().means["rating"].value == 1


def test_a_failed_row_is_a_wrong_answer():
    rows = [made_row(0, answer="a", expected="a"), made_row(1, expected="a", error="broken")]
    assert made(rows).summary().accuracy.value == 0.5
    assert made([made_row(0, answer="a")]).summary().accuracy is None


def test_the_confidence_level_is_that_of_all_intervals():
    results = judged()
    narrow = results.summary(confidence_level=0.5).verdicts["grounded"]["pass"].rate
    assert narrow == statistics.pass_rate([1] * 160 + [0] * 40, confidence_level=0.5).raw


def test_without_the_extra_the_summary_has_no_intervals(monkeypatch):
    results = judged()
    monkeypatch.setattr("langchain_sutro.evaluation.summary.find_spec", lambda _: None)
    found = results.summary()
    assert (found.verdicts, found.means, found.accuracy) == ({}, {}, None)
    assert found.scores == {"grounded": 0.8}
    monkeypatch.setitem(sys.modules, "statsmodels.stats.proportion", None)
    with pytest.raises(SutroConfigurationError, match=r"langchain-sutro\[statistics\]"):
        results.summary({"grounded": labels_of(results, 50, bool)})
