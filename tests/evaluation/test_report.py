"""The report of an experiment: one page that holds everything and shows nothing secret."""

import re
import sys
from html.parser import HTMLParser

import pytest
from langsmith.evaluation import EvaluationResult
from matplotlib import pyplot as plt

import langchain_sutro
from langchain_sutro.errors import SutroConfigurationError, SutroInputError
from langchain_sutro.evaluation.dataset import evaluate_dataset
from tests.support.experiments import exact, examples
from tests.support.made_experiments import made, made_row

# LangSmith's older clients know no other word for an example's reference outputs.
pytestmark = pytest.mark.filterwarnings("ignore:'outputs' is deprecated")

EVIL = "</style></title><script>alert(1)</script><img src=x onerror=alert(1)>\"'$&\x07 $\\frac$"


class Page(HTMLParser):
    """The elements and the text of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.text, self.attributes = [], "", []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data):
        self.text += data


def routed(count=60, wrong=10, **rest):
    return made(
        [
            made_row(
                number,
                answer="sales" if number < wrong else ("billing", "sales")[number % 2],
                expected=("billing", "sales")[number % 2],
                confidence=0.5 + number / 200,
                grounded=("fail", 0) if number < wrong else ("pass", 1),
                helpful=(None, number % 5 + 1),
            )
            for number in range(count)
        ],
        **rest,
    )


def test_a_real_experiment_is_reported_with_its_figures(service):
    results = evaluate_dataset(
        service.function,
        examples(),
        evaluators=[service.judge, exact],
        upload_results=False,
    )
    page = Page(results.report().html)
    summary = results.summary()
    assert f"{100 * summary.accuracy.low:.1f} to {100 * summary.accuracy.high:.1f} %" in page.text
    rate = summary.verdicts["agrees"]["pass"].rate
    assert f"{100 * rate.value:.1f} %, {100 * rate.low:.1f} to {100 * rate.high:.1f} %" in page.text
    for said in ("Confusion matrix: 50 rows", "Reliability: 50 rows", "Coverage and accuracy"):
        assert said in page.text
    for heading in ("Verdicts", "Mean scores", "Plots", "Least confident rows"):
        assert heading in page.text
    assert "Compared with the baseline" not in page.text
    assert "Errors" not in page.text


def test_shares_are_corrected_where_people_labelled_rows():
    results = routed()
    labels = {
        "grounded": {row.example.id: number % 4 > 0 for number, row in enumerate(results[:40])}
    }
    found = results.summary(labels).verdicts["grounded"]["pass"].corrected
    text = Page(results.report(labels=labels).html).text
    assert "corrected share" in text
    assert f"{100 * found.value:.1f} %, {100 * found.low:.1f} to {100 * found.high:.1f} %" in text
    assert "corrected share" not in Page(results.report().html).text


def test_a_baseline_is_compared_with_and_the_examples_that_differ_are_listed():
    text = Page(routed(name="new").report(baseline=routed(wrong=20, name="old")).html).text
    assert "old (first) and new (second), 60 examples" in text
    assert "examples that differ in accuracy" in text
    with pytest.raises(SutroInputError, match="examples of the first experiment"):
        routed(50).report(baseline=routed(60))


def test_errors_warnings_and_models_are_shown():
    rows = [made_row(0, answer="a", expected="a", model="one"), made_row(1, error="it is broken")]
    rows.append(made_row(2, answer="a", expected="a", model="two"))
    failed = EvaluationResult(key="judge", score=None, comment="no verdict", extra={"error": True})
    rows[2].feedback.append(failed)
    text = Page(made(rows).report().html).text
    assert "2 rows with an error" in text
    assert "it is broken" in text
    assert "judge: no verdict" in text
    assert "answered by different models or revisions, which may differ: one; two" in text


def test_the_least_confident_rows_come_first_and_their_number_can_be_chosen():
    text = Page(routed().report(rows=3).html).text
    assert "3 of 60 rows with a confidence" in text
    assert text.index("0.500") < text.index("0.505") < text.index("0.510")
    assert "0.515" not in text
    with pytest.raises(SutroInputError, match="rows must not be negative, not -1"):
        routed().report(rows=-1)


def test_the_page_is_saved_whole_and_loads_nothing(tmp_path):
    path = tmp_path / "report.html"
    found = routed(url="https://smith.langchain.com/x").report(path, title="Ours & theirs")
    assert path.read_text() == found.html
    assert [one.name for one in tmp_path.iterdir()] == ["report.html"]
    page = Page(found.html)
    assert not {"script", "link", "iframe", "object"} & {*page.tags}
    loaded = [
        (name, value)
        for name, value in page.attributes
        if name in ("src", "href", "xlink:href", "srcset") and not value.startswith(("#", "data:"))
    ]
    assert loaded == [("href", "https://smith.langchain.com/x")]
    assert re.search(r"url\((?!#)|@import|@font-face", found.html) is None
    assert "<title>Ours &amp; theirs</title>" in found.html
    again = tmp_path / "again.html"
    found.save(again)
    assert again.read_bytes() == path.read_bytes()


def test_notebooks_show_it_without_the_head_of_a_page():
    found = routed().report()
    assert isinstance(found, langchain_sutro.ExperimentReport)
    shown = found._repr_html_()
    assert shown.startswith('<main class="sutro-report">')
    assert shown in found.html
    assert "<html" not in shown
    assert repr(found) == "<ExperimentReport: 'Experiment made-up'>"


def test_no_value_of_the_data_is_markup():
    row = made_row(0, answer=EVIL[:50], expected="b", confidence=0.4, inputs={EVIL: EVIL},
                   comment=EVIL, model=EVIL, **{EVIL: (EVIL, None)})  # fmt: skip
    broken = made_row(1, expected=EVIL[:50], error=EVIL, inputs={EVIL: EVIL})
    results = made([row, broken], EVIL, url=f"https://x/{EVIL}")
    plain = Page(routed().report(show_values=True).html)
    page = Page(
        results.report(title=EVIL, show_values=True, baseline=made([row, broken], EVIL)).html
    )
    assert set(page.tags) <= {*plain.tags, "a", "code"}
    assert page.tags.count("style") == plain.tags.count("style")
    names = {name for name, _ in page.attributes}
    assert "onerror" not in names
    assert "alert(1)" in page.text
    assert "\x07" not in page.text
    assert not made([row], url="javascript:alert(1)").report().html.count("javascript:")


def test_inputs_and_comments_are_shown_only_if_asked_for():
    rows = [
        made_row(0, answer="a", expected="a", confidence=0.4, inputs={"text": "confidential words"},
                 comment="a telling remark", judge=("pass", 1))
    ]  # fmt: skip
    hidden, shown = made(rows).report().html, made(rows).report(show_values=True).html
    assert "confidential words" not in hidden
    assert "a telling remark" not in hidden
    assert "Inputs of rows are not shown." in hidden
    assert "text: confidential words" in shown


def test_long_answers_are_shown_only_if_asked_for():
    rows = [
        made_row(
            number, answer=f"Dear customer {number}, " + "x" * 60, expected="y", confidence=0.4
        )
        for number in range(3)
    ]
    assert "Dear customer" not in made(rows).report().html
    assert "Confusion matrix" not in made(rows).report().html
    assert "Dear customer 1" in made(rows).report(show_values=True).html


@pytest.mark.parametrize("prefix", ["LANGSMITH", "LANGCHAIN"])
def test_what_tracing_hides_stays_hidden(monkeypatch, prefix):
    rows = [made_row(0, answer="sales", expected="billing", confidence=0.4, inputs={"t": "words!"})]
    monkeypatch.setenv(f"{prefix}_HIDE_INPUTS", "true")
    found = made(rows).report(show_values=True).html
    assert "words!" not in found
    assert "billing" in found
    monkeypatch.setenv(f"{prefix}_HIDE_OUTPUTS", "true")
    found = made(rows).report(show_values=True).html
    assert "billing" not in found
    assert "sales" not in found


def test_secrets_images_and_presigned_urls_are_not_shown():
    key = "sk_live_1234567890abcdef"
    inputs = {
        "api_key": "hunter2hunter2",
        "note": f"use {key} please",
        "image": "data:image/png;base64," + "A" * 4000,
        "nested": {"password": "letmein123"},
        "file": "https://bucket.s3.amazonaws.com/x?X-Amz-Signature=abc123",
    }
    row = made_row(0, answer="a", expected="a", confidence=0.4, inputs=inputs,
                   error=f"refused {key}")  # fmt: skip
    found = made([row]).report(show_values=True).html
    for secret in (key, "hunter2", "letmein", "AAAAAAAA", "abc123"):
        assert secret not in found
    assert "image/png, " in found


def test_it_neither_uses_nor_changes_the_state_of_matplotlib():
    plt.switch_backend("Agg")
    results = routed()
    plain = results.report().html
    with plt.rc_context({"text.color": "white", "font.size": 31}):
        before = dict(plt.rcParams)
        report = results.report().html
        assert dict(plt.rcParams) == before
    assert plt.get_fignums() == []
    assert report == plain


def test_without_the_extras_the_page_says_what_is_missing(monkeypatch):
    monkeypatch.setattr("langchain_sutro.evaluation.summary.find_spec", lambda _: None)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    text = Page(routed().report().html).text
    assert "pip install 'langchain-sutro[statistics]'" in text
    assert "pip install 'langchain-sutro[plots]'" in text
    monkeypatch.setitem(sys.modules, "scipy.stats", None)
    with pytest.raises(SutroConfigurationError, match=r"langchain-sutro\[statistics\]"):
        routed().report(baseline=routed())


def test_an_empty_experiment_has_a_report():
    assert "0 rows" in Page(made([], name=None).report().html).text
