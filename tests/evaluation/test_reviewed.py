"""`reviewed`: what people said comes back, beside what the judges said."""

import csv
import json
import logging
from datetime import UTC, datetime

import pyarrow as pa
import pytest
from langsmith import uuid7
from langsmith.utils import LangSmithNotFoundError

from langchain_sutro import (
    areviewed,
    evaluate_dataset,
    evaluate_runs,
    reviewed,
    send_for_review,
)
from langchain_sutro.errors import SutroConfigurationError, SutroInputError
from langchain_sutro.statistics import guaranteed_threshold, judge_rates, pass_rate
from tests.support.judged_traffic import judge, publish_judges, trace
from tests.support.langsmith_recorder import LangSmithRecorder

TEXTS = ["yes 0.9 no 0.8", "no 0.6 no 0.9", "yes 0.7 yes 0.7", "no 0.8 yes 0.6"]


@pytest.fixture
def langsmith():
    with LangSmithRecorder() as recorder:
        yield recorder
        assert recorder.check() == []


@pytest.fixture
def client(langsmith, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    return langsmith.client()


@pytest.fixture
def judged(deployment, langsmith, client, monkeypatch):
    """Four runs that two judges have judged, all of them in a queue; their ids."""
    for name, value in deployment.environ.items():
        monkeypatch.setenv(name, value)
    publish_judges(deployment)
    runs = trace(langsmith, TEXTS)
    found = evaluate_runs([judge(), judge("second")], "app", client=client)
    send_for_review(found, "doubt", audit=1.0, client=client)
    return [run.id for run in runs]


@pytest.fixture
def traced(langsmith, client):
    """Four runs that nobody has judged, in a queue; their ids."""
    ids = [run.id for run in trace(langsmith, TEXTS)]
    send_for_review(ids, "doubt", audit=1.0, client=client)
    return ids


FIELDS = {"text": "outputs.text"}


class TestLabels:
    def test_a_label_stands_beside_the_verdicts_of_the_judges(self, judged, langsmith, client):
        langsmith.review(judged[0], "correct", score=0, comment="It is not.", queue="doubt")
        (found,) = reviewed("doubt", label="correct", client=client)
        assert (found.run_id, found.label, found.score) == (judged[0], 0, 0)
        assert (found.reviewer, found.comment) == ("Ada", "It is not.")
        assert abs((found.time - datetime.now(UTC)).total_seconds()) < 600
        first, second = found.answers["first"], found.answers["second"]
        assert (first.verdict, first.score, first.confidence) == ("yes", 1, 0.9)
        assert (second.verdict, second.score, second.confidence) == ("no", 0, 0.8)
        assert (found.inputs, found.audit, found.conflict) == ({}, None, False)

    def test_only_the_wanted_judges_are_shown(self, judged, langsmith, client):
        langsmith.review(judged[0], "correct", score=1)
        found = reviewed("doubt", label="correct", judges="second", client=client)
        assert found.judges == ["second"]
        assert list(found[0].answers) == ["second"]

    def test_people_are_told_from_judges_that_use_the_same_key(self, judged, langsmith, client):
        langsmith.review(judged[1], "first", value="yes", score=1)
        (found,) = reviewed("doubt", label="first", client=client)
        assert (found.run_id, found.label) == (judged[1], "yes")
        assert found.answers["first"].verdict == "no"

    def test_feedback_of_programs_counts_unless_it_is_left_out(self, traced, langsmith, client):
        session = langsmith.runs[str(traced[0])]["session_id"]
        client.create_feedback(
            run_id=traced[0], session_id=session, trace_id=traced[0], key="correct", score=1,
            start_time=datetime.now(UTC),
        )  # fmt: skip
        client.flush()
        langsmith.until(lambda: langsmith.feedback)
        assert len(reviewed("doubt", label="correct", client=client)) == 1
        assert len(reviewed("doubt", label="correct", sources=("app",), client=client)) == 0

    def test_labels_of_other_keys_and_of_runs_outside_the_queue_are_left_out(
        self, traced, langsmith, client
    ):
        (other,) = trace(langsmith, ["elsewhere"])
        langsmith.review(other.id, "correct", score=1)
        langsmith.review(traced[0], "tone", score=1)
        assert len(reviewed("doubt", label="correct", client=client)) == 0

    def test_all_labels_of_a_project_can_be_read(self, traced, langsmith, client):
        (other,) = trace(langsmith, ["elsewhere"], project="other")
        for run_id in (other.id, traced[2]):
            langsmith.review(run_id, "correct", score=1)
        by_name = reviewed(project="app", label="correct", client=client)
        assert [one.run_id for one in by_name] == [traced[2]]
        session = langsmith.runs[str(other.id)]["session_id"]
        by_id = reviewed(project=session, label="correct", client=client)
        assert [one.run_id for one in by_id] == [other.id]

    def test_the_last_label_of_a_person_counts(self, traced, langsmith, client):
        langsmith.review(traced[0], "correct", score=1)
        langsmith.review(traced[0], "correct", score=0)
        (found,) = reviewed("doubt", label="correct", client=client)
        assert (found.score, found.conflict) == (0, False)

    def test_people_who_disagree_are_visible(self, traced, langsmith, client):
        for user, score in (("Ada", 1), ("Grace", 0), ("Alan", 0)):
            langsmith.review(traced[0], "correct", user=user, score=score)
        langsmith.review(traced[1], "correct", score=1)
        found = reviewed("doubt", label="correct", client=client)
        assert [one.reviewer for one in found.conflicts] == ["Ada", "Grace", "Alan"]
        assert [one.run_id for one in found.resolved()] == [traced[1]]
        by_run = {one.run_id: one.score for one in found.resolved("majority")}
        assert by_run == {traced[0]: 0, traced[1]: 1}
        langsmith.review(traced[0], "correct", user="Ada", score=1)
        again = reviewed("doubt", label="correct", client=client)
        assert {one.run_id: one.score for one in again.resolved("latest")}[traced[0]] == 1
        with pytest.raises(SutroInputError, match="agreed"):
            found.resolved("first")

    def test_people_of_one_name_are_two_people(self, traced, langsmith, client):
        for score in (1, 0):
            given = langsmith.review(traced[0], "correct", score=score)
            given["feedback_source"]["user_id"] = str(uuid7())
        assert len(reviewed("doubt", label="correct", client=client).conflicts) == 2

    def test_labels_get_the_scores_that_are_given(self, traced, langsmith, client):
        for run_id, value in zip(traced, ("Good", "bad", "unsure"), strict=False):
            langsmith.review(run_id, "correct", value=value)
        scores = {"good": 1, "bad": 0, "unsure": None}
        found = reviewed("doubt", label="correct", score=scores, client=client)
        assert {one.run_id: one.score for one in found} == dict(
            zip(traced, (1, 0, None), strict=False)
        )
        with pytest.raises(SutroInputError, match="'unsure' has no score"):
            reviewed("doubt", label="correct", score={"good": 1, "bad": 0}, client=client)
        with pytest.raises(SutroConfigurationError, match="differ only in case"):
            reviewed("doubt", label="correct", score={"good": 1, "GOOD": 0}, client=client)

    def test_labels_of_the_audit_are_marked(self, traced, langsmith, client):
        for run_id in traced:
            langsmith.review(run_id, "correct", score=1)
        sent = send_for_review(traced, "again", uncertain=0, audit=2, seed=3, client=client)
        audit = {one.run_id for one in sent.runs}
        wanted = {"label": "correct", "audit": sent.audit_share, "seed": sent.seed}
        found = reviewed("doubt", client=client, **wanted)
        assert {one.run_id for one in found.audited} == audit
        with pytest.raises(SutroInputError, match="audit_share"):
            _ = reviewed("doubt", label="correct", client=client).audited

    def test_the_wanted_fields_are_read_and_no_others(self, judged, langsmith, client):
        langsmith.review(judged[0], "correct", score=1)
        (found,) = reviewed("doubt", label="correct", fields=FIELDS, client=client)
        assert found.inputs == {"text": TEXTS[0]}
        assert "outputs" in langsmith.selects[-1]
        assert "inputs" not in langsmith.selects[-1]
        (of_judge,) = reviewed("doubt", label="correct", judges=[judge()], client=client)
        assert of_judge.inputs == {"text": TEXTS[0]}

    @pytest.mark.parametrize(
        ("fields", "said"),
        [
            ({"text": "outputs.nothing"}, "outputs.nothing"),
            ({"text": lambda outputs: outputs["secret"]}, "raised KeyError"),
        ],
    )
    def test_a_row_that_cannot_be_made_says_why(self, traced, langsmith, client, fields, said):
        langsmith.review(traced[0], "correct", score=1)
        (found,) = reviewed("doubt", label="correct", fields=fields, client=client)
        assert said in found.error
        assert found.inputs == {}

    async def test_the_asynchronous_form_does_the_same(self, traced, langsmith, client, tmp_path):
        langsmith.review(traced[0], "correct", score=1)
        found = await areviewed("doubt", label="correct", fields=FIELDS, client=client)
        assert [one.inputs for one in found] == [{"text": TEXTS[0]}]
        assert await found.awrite_labels(tmp_path / "labels.jsonl") == 1
        assert (await found.ato_dataset("labels")).added == 1

    @pytest.mark.parametrize(
        ("wanted", "said"),
        [
            ({}, "queue or a project"),
            ({"queue": "a", "project": "b"}, "queue or a project"),
            ({"queue": "a", "audit": 30}, "audit_share"),
            ({"queue": "no such"}, "no annotation queue called 'no such'"),
            ({"queue": str(uuid7())}, "no annotation queue with the id"),
            ({"queue": [uuid7()]}, "a name or an id, not a list"),
        ],
    )
    def test_odd_arguments_are_refused(self, client, wanted, said):
        with pytest.raises(SutroInputError, match=said):
            reviewed(label="correct", client=client, **wanted)

    def test_an_unknown_project_is_langsmiths_error(self, client):
        with pytest.raises(LangSmithNotFoundError):
            reviewed(project="no such", label="correct", client=client)


class TestNewerServers:
    @pytest.fixture
    def langsmith(self):
        with LangSmithRecorder(smithdb=True, has_items=True) as recorder:
            yield recorder
            assert recorder.check() == []

    def test_labels_and_fields_are_read_of_each_project(self, langsmith, judged, client):
        (other,) = trace(langsmith, ["no 0.9 no 0.9"], project="other")
        evaluate_runs(judge(), "other", client=client)
        send_for_review([other.id], "doubt", audit=1.0, client=client)
        for run_id in (judged[0], other.id):
            langsmith.review(run_id, "correct", score=1, queue="doubt")
        found = reviewed("doubt", label="correct", judges=judge(), client=client)
        assert {one.run_id: one.inputs for one in found} == {
            judged[0]: {"text": TEXTS[0]},
            other.id: {"text": "no 0.9 no 0.9"},
        }
        assert {one.answers["first"].verdict for one in found} == {"yes", "no"}


class TestTables:
    @pytest.fixture
    def labels(self, judged, langsmith, client):
        langsmith.review(judged[0], "correct", value="no", score=0, comment="c")
        langsmith.review(judged[1], "correct", score=1, user="Grace")
        return reviewed(
            "doubt", label="correct", judges=judge(), fields=FIELDS, audit=1.0, client=client
        )

    def test_a_data_frame_has_a_row_for_each_label(self, labels, judged):
        table = labels.to_pandas().set_index("run_id").loc[[str(one) for one in judged[:2]]]
        assert list(table.columns) == [
            "inputs.text", "label", "label_score", "verdict.first", "score.first",
            "confidence.first", "reviewer", "time", "comment", "correction", "audit", "conflict",
            "error",
        ]  # fmt: skip
        assert table["inputs.text"].tolist() == TEXTS[:2]
        assert table["label"].tolist() == ["no", 1]
        assert table["confidence.first"].tolist() == [0.9, 0.6]
        assert table["audit"].tolist() == [True, True]

    def test_an_arrow_table_has_the_same_columns(self, labels):
        table = labels.to_arrow()
        assert table.column_names == list(labels.to_pandas().columns)
        assert table.schema.field("label").type == pa.large_string()
        assert sorted(table["label"].to_pylist()) == ["1", "no"]
        assert table.schema.field("confidence.first").type == pa.float64()
        assert pa.types.is_timestamp(table.schema.field("time").type)

    def test_a_notebook_shows_the_labels(self, labels):
        html = labels._repr_html_()
        assert "2 labels of 2 runs" in html
        assert "Grace" in html
        assert repr(labels) == "<HumanLabels: 2 labels of 2 runs>"


class TestFiles:
    @pytest.fixture
    def labels(self, traced, langsmith, client):
        langsmith.review(traced[0], "correct", value="good", comment="private")
        langsmith.review(traced[1], "correct", value="=bad")
        for user, value in (("Ada", "good"), ("Grace", "bad")):
            langsmith.review(traced[2], "correct", value=value, user=user)
        fields = {
            "text": "outputs.text",
            "question": lambda inputs: f"=1+{inputs['question']}",
            "parts": lambda outputs: outputs["text"].split(),
        }
        return reviewed("doubt", label="correct", fields=fields, client=client)

    def test_json_lines_have_the_fields_and_the_label(self, labels, tmp_path):
        path = tmp_path / "labels.jsonl"
        assert labels.write_labels(path) == 2
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        assert sorted(rows, key=lambda row: row["label"]) == [
            {"text": TEXTS[1], "question": "=1+1?", "parts": TEXTS[1].split(), "label": "=bad"},
            {"text": TEXTS[0], "question": "=1+0?", "parts": TEXTS[0].split(), "label": "good"},
        ]

    def test_a_csv_file_has_them_too(self, labels, tmp_path):
        path = tmp_path / "labels.csv"
        labels.write_labels(str(path), resolve="latest")
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert list(rows[0]) == ["text", "question", "parts", "label"]
        assert {row["label"] for row in rows} == {"good", "=bad", "bad"}
        assert json.loads(rows[0]["parts"]) == rows[0]["text"].split()
        assert "private" not in path.read_text()
        assert "Ada" not in path.read_text()

    def test_a_spreadsheet_gets_no_formulas(self, labels, tmp_path):
        path = tmp_path / "labels.csv"
        labels.write_labels(path, for_spreadsheets=True)
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert {row["label"] for row in rows} == {"good", "'=bad"}
        assert all(row["question"].startswith("'=") for row in rows)

    def test_a_file_is_there_whole_or_not_at_all(self, labels, tmp_path, monkeypatch):
        path = tmp_path / "labels.jsonl"
        path.write_text("before")

        def broken(row):
            raise OSError("disk full")

        monkeypatch.setattr("langchain_sutro.evaluation.label_file.dump_row", broken)
        with pytest.raises(OSError, match="disk full"):
            labels.write_labels(path)
        assert path.read_text() == "before"
        assert [one.name for one in tmp_path.iterdir() if "labels" in one.name] == ["labels.jsonl"]

    def test_what_cannot_be_written_is_refused(self, traced, langsmith, client, tmp_path):
        langsmith.review(traced[0], "correct", value="good")
        without = reviewed("doubt", label="correct", client=client)
        with pytest.raises(SutroInputError, match="pass fields= to reviewed"):
            without.write_labels(tmp_path / "labels.csv")
        twice = reviewed("doubt", label="correct", fields={"label": "outputs.text"}, client=client)
        with pytest.raises(SutroInputError, match="called 'label'"):
            twice.write_labels(tmp_path / "labels.csv")
        with pytest.raises(SutroInputError, match=r"\.csv and \.jsonl"):
            twice.write_labels(tmp_path / "labels.xlsx")

    def test_rows_that_could_not_be_made_are_left_out_and_logged(
        self, traced, langsmith, client, tmp_path, caplog
    ):
        langsmith.review(traced[0], "correct", value="good")
        odd = reviewed("doubt", label="correct", fields={"a": "outputs.b"}, client=client)
        with caplog.at_level(logging.WARNING):
            assert odd.write_labels(tmp_path / "labels.jsonl") == 0
        assert "1 of 1 labelled runs are left out" in caplog.text


class TestDatasets:
    def test_each_run_becomes_one_example_also_when_called_again(self, traced, langsmith, client):
        for run_id in traced[:2]:
            langsmith.review(run_id, "correct", value="good")
        wanted = {"label": "correct", "fields": FIELDS, "client": client}
        made = reviewed("doubt", **wanted).to_dataset("labels", description="By people.")
        assert (made.name, made.added, made.changed, made.present) == ("labels", 2, 0, 0)
        assert langsmith.datasets[str(made.id)]["description"] == "By people."
        langsmith.review(traced[2], "correct", value="bad")
        langsmith.review(traced[0], "correct", value="bad")
        again = reviewed("doubt", **wanted).to_dataset("labels")
        assert (again.id, again.added, again.changed, again.present) == (made.id, 1, 1, 1)
        found = {
            one["metadata"]["run_id"]: (one["inputs"]["text"], one["outputs"]["label"])
            for one in langsmith.examples.values()
        }
        labels = ("bad", "good", "bad")
        assert found == {
            str(run_id): (text, label)
            for run_id, text, label in zip(traced, TEXTS, labels, strict=False)
        }

    def test_more_than_a_hundred_labels_are_added(self, langsmith, client):
        runs = trace(langsmith, [f"text {number}" for number in range(130)])
        for run in runs:
            langsmith.review(run.id, "correct", value="good")
        found = reviewed(project="app", label="correct", fields=FIELDS, client=client)
        assert found.to_dataset("labels").added == 130
        assert found.to_dataset("labels").present == 130
        assert len(langsmith.examples) == 130


class TestStatistics:
    def test_labels_correct_a_pass_rate(self, deployment, langsmith, client, monkeypatch):
        for name, value in deployment.environ.items():
            monkeypatch.setenv(name, value)
        publish_judges(deployment)
        # The judge passes 30 of 40 runs; people say that 6 of these are bad, and 1 other is good.
        texts = ["yes 0.9"] * 24 + ["yes 0.6"] * 6 + ["no 0.9"] * 9 + ["no 0.6"]
        truth = [1] * 24 + [0] * 6 + [0] * 9 + [1]
        runs = trace(langsmith, texts)
        found = evaluate_runs(judge(), "app", client=client)
        sent = send_for_review(found, "audit", audit=1.0, client=client)
        for run, score in zip(runs, truth, strict=True):
            langsmith.review(run.id, "correct", score=score, queue="audit")
        labels = reviewed("audit", label="correct", audit=sent.audit_share, client=client)
        rates = judge_rates(*labels.audited.pairs())
        assert rates.sensitivity.value == pytest.approx(24 / 25)
        assert rates.specificity.value == pytest.approx(9 / 15)
        rate = pass_rate(found.scores("first"), rates)
        assert rate.raw.value == pytest.approx(30 / 40)
        assert rate.corrected.value == pytest.approx(25 / 40)
        confidences, right = labels.correctness()
        assert sorted(set(zip(confidences, right, strict=True))) == [(0.6, False), (0.9, True)]
        assert guaranteed_threshold(confidences, right, 0.8).threshold == 0.9

    def test_labels_correct_the_summary_of_an_experiment(self, service, smith):
        client = smith.smith
        results = evaluate_dataset(
            service.function, "sizes", evaluators=[service.judge], client=client
        )
        wanted = {"uncertain": 0, "disagreement": 0, "audit": 1.0}
        sent = send_for_review(results, "rows", client=client, **wanted)
        verdicts = {row.run.id: row.score("agrees") for row in results}
        wrong = next(one.run_id for one in sent.runs if verdicts[one.run_id] == 1)
        for one in sent.runs:
            smith.review(
                one.run_id, "right", score=int(verdicts[one.run_id] and one.run_id != wrong)
            )
        labels = reviewed("rows", label="right", audit=sent.audit_share, client=client)
        people = labels.audited.by_run()
        assert len(people) == 50
        assert people[wrong] is False
        rate = results.summary({"agrees": people}).verdicts["agrees"]["pass"]
        assert rate.corrected.value < rate.rate.value

    def test_runs_without_a_score_of_both_are_left_out(self, judged, langsmith, client):
        langsmith.review(judged[0], "correct", score=1)
        langsmith.review(judged[1], "correct", value="unsure")
        found = reviewed("doubt", label="correct", client=client)
        assert found.by_run() == {judged[0]: True, judged[1]: "unsure"}
        assert found.pairs("first") == ([1], [1])
        assert found.correctness("second") == ([0.8], [False])
        with pytest.raises(SutroInputError, match="one of first, second"):
            found.pairs()
