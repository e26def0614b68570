"""The results of an experiment as a table, as HTML and as plots."""

import uuid

import pandas as pd
import pytest
from langsmith.schemas import Example
from matplotlib import pyplot as plt

from langchain_sutro import errors
from langchain_sutro.evaluation.dataset import evaluate_dataset
from tests.support.experiments import (
    exact,
    examples,
)

# LangSmith's older clients know no other word for an example's reference outputs.
pytestmark = pytest.mark.filterwarnings("ignore:'outputs' is deprecated")


def test_the_table_has_what_went_in_what_came_out_and_what_was_said(service):
    results = evaluate_dataset(
        service.function,
        examples(3),
        evaluators=[service.judge],
        upload_results=False,
    )
    table = results.to_pandas()
    assert list(table.columns) == [
        "inputs.n",
        "outputs.output",
        "outputs.confidence",
        "reference.label",
        "feedback.agrees",
        "feedback.agrees_confidence",
        "comment.agrees",
        "confidence",
        "error",
        "example_id",
        "run_id",
        "repetition",
    ]
    assert table["inputs.n"].tolist() == [0, 1, 2]
    assert table["confidence"].tolist() == pytest.approx([0.5, 0.51, 0.52])
    assert pd.isna(table["error"]).all()


def test_the_html_shows_no_markup_of_the_data(service):
    bad = Example(id=uuid.uuid4(), inputs={"n": 1, "x": "<script>"}, outputs={"label": "<b>"})
    shown = evaluate_dataset(service.function, [bad], upload_results=False)._repr_html_()
    assert "<script>" not in shown
    assert "<b>&" not in shown
    assert "&lt;script&gt;" in shown
    assert "<table>" in shown


def test_the_html_names_fields_and_shows_no_python(service):
    long = Example(id=uuid.uuid4(), inputs={"n": 1, "text": "word " * 99}, outputs={"label": "big"})
    results = evaluate_dataset(
        service.function,
        [long],
        evaluators=[exact, service.judge],
        upload_results=False,
    )
    shown = results._repr_html_()
    assert "<b>n</b> 1<br><b>text</b> word word" in shown
    assert "…" in shown
    assert "{" not in shown
    assert "<td>small</td><td>big</td>" in shown
    for title in ("inputs", "answer", "expected", "exact", "agrees", "agrees_confidence"):
        assert f"<th>{title}</th>" in shown


@pytest.mark.parametrize(
    ("cost", "shown"),
    [(0.1 + 0.2, "0.30 USD"), (1234.5, "1,234.50 USD"), (0.00679421, "0.0068 USD")],
)
def test_the_html_tells_the_cost_as_people_write_it(service, monkeypatch, cost, shown):
    results = evaluate_dataset(service.function, examples(1), upload_results=False)
    monkeypatch.setitem(results._totals, "cost", cost)
    assert f" {shown}" in results._repr_html_()


def test_the_plots_are_of_the_experiments_numbers(service):
    plt.switch_backend("Agg")
    results = evaluate_dataset(
        service.function,
        examples(),
        evaluators=[service.judge],
        upload_results=False,
    )
    assert results.plot_confusion().get_title() == "Confusion matrix: 50 rows, 90.0% right"
    by_path = results.plot_confusion(answer="output.label", reference="label")
    assert by_path.get_title() == "Confusion matrix: 50 rows, 90.0% right"
    assert results.plot_reliability().get_title().startswith("Reliability: 50 rows")
    judged = results.plot_reliability(score="agrees", confidence="agrees_confidence")
    assert judged.get_title() == "Reliability: 50 rows, calibration error 0.150"
    assert results.plot_coverage(score="agrees").get_title().endswith("50 rows")
    with pytest.raises(errors.SutroInputError, match="the keys are: agrees"):
        results.plot_coverage(score="nothing")
    plt.close("all")
