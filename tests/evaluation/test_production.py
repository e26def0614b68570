"""`evaluate_runs`: a project's runs, judged once as one job, whatever happens in between."""

import json
import sqlite3
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest

from langchain_sutro import AnsweringModel, aevaluate_runs, evaluate_runs
from langchain_sutro.__main__ import main
from langchain_sutro.errors import (
    SutroConfigurationError,
    SutroInputError,
    SutroJobError,
    SutroValidationError,
)
from tests.support.langsmith_recorder import forget_settings
from tests.support.production import START, feedback, jobs, judge, say, trace


class TestRuns:
    def test_root_runs_are_judged_as_one_job_for_each_judge(self, judging, langsmith):
        runs = trace(langsmith, 250)
        before = len(judging.jobs)
        both = [judge(), judge("loud")]
        found = evaluate_runs(both, "app", client=langsmith.client())
        assert found.selected == 250
        assert found.judged == {"length": 250, "loud": 250}
        assert found.failed == found.skipped == {}
        assert [job["model"] for job in jobs(judging, before)] == ["length", "loud"]
        assert [job["num_rows"] for job in jobs(judging, before)] == [250, 250]
        given = feedback(langsmith)
        keys = ("length", "length_confidence", "loud", "loud_confidence")
        assert given == {(key, str(run.id)): 1 for key in keys for run in runs}
        scores = {
            one["run_id"]: one["score"] for one in langsmith.feedback if one["key"] == "length"
        }
        assert scores == {str(run.id): float(len(run.outputs["text"]) > 8) for run in runs}

    def test_feedback_names_the_judges_own_run(self, judging, langsmith):
        (run,) = trace(langsmith, 1)
        evaluate_runs(judge(), "app", client=langsmith.client())
        verdict = next(one for one in langsmith.feedback if one["key"] == "length")
        source = langsmith.runs[verdict["feedback_source"]["metadata"]["__run"]["run_id"]]
        assert langsmith.sessions[source["session_id"]]["name"] == "evaluators"
        assert source["run_type"] == "llm"
        assert source["inputs"] == {"text": "short"}
        assert source["extra"]["metadata"]["target_run_id"] == str(run.id)
        assert source["extra"]["metadata"]["sutro_job_id"] == jobs(judging)[-1]["job_id"]
        assert verdict["comment"] is None
        assert verdict["trace_id"] == str(run.trace_id)

    def test_scores_are_those_of_the_evaluator_called_run_by_run(self, judging, langsmith):
        runs = trace(langsmith, 6)
        one = judge(min_confidence=0.8)
        evaluate_runs(one, "app", client=langsmith.client())
        given = {(f["key"], f["run_id"]): (f["score"], f.get("value")) for f in langsmith.feedback}
        for run in runs:
            for result in one.evaluate_run(run)["results"]:
                assert given[result.key, str(run.id)] == (result.score, result.value)

    def test_what_was_judged_is_not_judged_again(self, judging, langsmith):
        trace(langsmith, 10)
        evaluate_runs(judge(), "app", client=langsmith.client())
        before, requests = len(judging.jobs), len(langsmith.feedback)
        again = evaluate_runs(judge(), "app", client=langsmith.client())
        assert again.judged == {}
        assert again.skipped == {"length": 10}
        assert again.jobs == {}
        assert len(judging.jobs) == before
        assert len(langsmith.feedback) == requests
        trace(langsmith, 3, first=10)
        assert evaluate_runs(judge(), "app", client=langsmith.client()).judged == {"length": 3}

    def test_what_langsmith_does_not_show_yet_is_not_judged_again(
        self, judging, langsmith, monkeypatch
    ):
        trace(langsmith, 5)
        evaluate_runs(judge(), "app", client=langsmith.client())
        monkeypatch.setattr(langsmith, "_feedback_stats", lambda run: {})
        assert evaluate_runs(judge(), "app", client=langsmith.client()).skipped == {"length": 5}

    def test_another_model_than_in_the_last_call_is_a_warning(
        self, judging, langsmith, monkeypatch
    ):
        warnings = []
        for number, name in enumerate(["one", "one", "two", "two"]):
            # As a service does that names the model of its jobs, which the local one does not.
            monkeypatch.setattr(AnsweringModel, "of", lambda _, name=name: AnsweringModel(name))
            trace(langsmith, 2, first=2 * number)
            found = evaluate_runs(judge(), "app", client=langsmith.client())
            warnings.append(found.warnings)
        assert [len(one) for one in warnings] == [0, 0, 1, 0]
        assert "Judge 'length' was answered by different models" in warnings[2][0]
        assert "one; two" in warnings[2][0]

    def test_runs_are_judged_anew_under_a_version(self, judging, langsmith):
        trace(langsmith, 4)
        client = langsmith.client()
        evaluate_runs(judge(), "app", client=client)
        today = datetime.now(UTC).date().isoformat()
        assert evaluate_runs(judge(), "app", rejudge=True, client=client).judged == {
            f"length_{today}": 4
        }
        assert evaluate_runs(judge(), "app", version="v2", client=client).judged == {"length_v2": 4}
        assert evaluate_runs(judge(), "app", version="v2", client=client).judged == {}
        keys = {given["key"] for given in langsmith.feedback}
        assert {"length", "length_confidence", "length_v2", "length_confidence_v2"} <= keys

    async def test_the_asynchronous_form_does_the_same(self, judging, langsmith):
        trace(langsmith, 5)
        found = await aevaluate_runs(judge(), "app", client=langsmith.client())
        assert found.judged == {"length": 5}
        assert json.loads(json.dumps(found.as_dict()))["judged"] == {"length": 5}


class TestSelection:
    @pytest.mark.parametrize(
        ("wanted", "numbers"),
        [
            ({"since": START + timedelta(minutes=7)}, [7, 8, 9]),
            ({"until": START + timedelta(minutes=2)}, [0, 1]),
            ({"filter": 'eq(name, "other")'}, []),
            (
                {
                    "filter": 'eq(status, "success")',
                    "until": START + timedelta(minutes=3),
                    "since": START + timedelta(minutes=1),
                },
                [1, 2],
            ),
            ({"trace_filter": 'eq(name, "answer")'}, range(10)),
            ({"tree_filter": 'eq(name, "nothing")'}, []),
            ({"limit": 4}, range(4)),
        ],
    )
    def test_runs_are_selected_as_asked(self, judging, langsmith, wanted, numbers):
        runs = trace(langsmith, 10)
        evaluate_runs(judge(), "app", client=langsmith.client(), **wanted)
        judged = {run_id for key, run_id in feedback(langsmith) if key == "length"}
        assert judged == {str(runs[number].id) for number in numbers}

    def test_child_runs_are_judged_by_their_name(self, judging, langsmith):
        trace(langsmith, 4)
        found = evaluate_runs(judge("loud"), "app", name="model", client=langsmith.client())
        assert found.judged == {"loud": 4}
        assert {f["score"] for f in langsmith.feedback if f["key"] == "loud"} == {1.0}
        assert {langsmith.runs[run_id]["name"] for _, run_id in feedback(langsmith)} == {"model"}

    @pytest.mark.parametrize("sample", [0.3, 12])
    def test_a_sample_is_the_same_each_time(self, judging, langsmith, sample):
        trace(langsmith, 60)
        client = langsmith.client()
        evaluate_runs(judge(), "app", sample=sample, client=client)
        first = {run_id for _, run_id in feedback(langsmith)}
        assert len(first) == 12 if sample == 12 else 5 <= len(first) <= 35
        assert evaluate_runs(judge(), "app", sample=sample, client=client).judged == {}
        evaluate_runs(judge("loud"), "app", sample=sample, client=client)
        assert {run_id for key, run_id in feedback(langsmith) if key == "loud"} == first

    def test_only_what_the_judges_need_is_read(self, judging, langsmith):
        trace(langsmith, 3)
        evaluate_runs(judge(), "app", client=langsmith.client())
        assert "outputs" in langsmith.selects[-1]
        assert not {"inputs", "extra", "events"} & set(langsmith.selects[-1])
        both = judge(key="b", fields=lambda run: {"text": run.outputs["text"] + run.name})
        evaluate_runs(both, "app", client=langsmith.client())
        assert {"inputs", "outputs", "extra"} <= set(langsmith.selects[-1])

    def test_one_request_reads_a_hundred_runs(self, judging, langsmith):
        trace(langsmith, 250)
        evaluate_runs(judge(), "app", client=langsmith.client())
        assert len(langsmith.selects) == 3
        assert langsmith.requests.count(("POST", "/feedback")) == 0

    @pytest.mark.parametrize(
        ("wanted", "said"),
        [
            ({"sample": 1.5}, "sample"),
            ({"sample": 0}, "sample"),
            ({"limit": 0}, "limit"),
            ({"since": datetime(2026, 1, 1)}, "since needs a time zone"),  # noqa: DTZ001
            ({"max_cost": -1}, "max_cost"),
            ({"name": 'a "quoted" name'}, "quotes"),
            ({"since": "2026-01-01"}, "since must be a datetime, not str"),
            ({"until": date(2026, 1, 1)}, "until must be a datetime, not date"),
            ({"idle": 600}, "idle must be a timedelta, not int"),
            ({"sample": "0.1"}, "sample must be a share"),
            ({"sample": True}, "sample must be a share"),
            ({"limit": 2.5}, "limit must be an int, not float"),
            ({"max_cost": "1"}, "max_cost must be a number, not str"),
            ({"version": 2}, "version must be a string, not int"),
            ({"version": ""}, "version must not be empty"),
        ],
    )
    def test_odd_arguments_are_refused(self, judging, langsmith, wanted, said):
        trace(langsmith, 1)
        with pytest.raises(SutroInputError, match=said):
            evaluate_runs(judge(), "app", client=langsmith.client(), **wanted)

    def test_judges_need_different_keys(self, judging, langsmith):
        for judges in ([judge(), judge()], []):
            with pytest.raises(SutroInputError, match="different keys"):
                evaluate_runs(judges, "app", client=langsmith.client())

    @pytest.mark.parametrize("judges", ["length", None, ["length", judge]])
    def test_judges_are_evaluators(self, judging, langsmith, judges):
        with pytest.raises(SutroInputError, match="A judge must be a SutroEvaluator, not"):
            evaluate_runs(judges, "app", client=langsmith.client())

    @pytest.mark.parametrize("start", ["0001-01-01T00:00:00Z", "1969-12-31T23:59:59.999999"])
    def test_runs_of_a_clock_that_was_never_set_are_judged(self, judging, langsmith, start):
        trace(langsmith, 1)
        for run in langsmith.runs.values():
            run["start_time"] = run["end_time"] = start
        for _ in range(2):
            evaluate_runs(judge(), "app", client=langsmith.client())
            assert sum(feedback(langsmith).values()) == 2
            (given, _) = langsmith.feedback
            assert UUID(given["id"]).version == 7


class TestFailures:
    def test_a_row_that_cannot_be_made_gets_feedback_that_says_why(self, judging, langsmith):
        trace(langsmith, 3)
        one = judge(fields={"text": "outputs.nothing"}, key="broken")
        found = evaluate_runs([one, judge()], "app", client=langsmith.client())
        assert found.failed == {"broken": 3}
        assert found.judged == {"broken": 3, "length": 3}
        assert list(found.jobs) == ["length"]
        broken = [given for given in langsmith.feedback if given["key"] == "broken"]
        assert {given["score"] for given in broken} == {None}
        assert "outputs.nothing" in broken[0]["comment"]

    @pytest.mark.parametrize("max_cost", [None, 1])
    def test_fields_that_were_wrong_can_be_corrected(self, judging, langsmith, max_cost):
        trace(langsmith, 3)
        wrong = judge(fields={"texts": "outputs.text"})
        options = {"max_cost": max_cost, "client": langsmith.client()}
        for _ in range(2):
            with pytest.raises(SutroValidationError, match="missing"):
                evaluate_runs(wrong, "app", **options)
        assert feedback(langsmith) == {}
        found = evaluate_runs(judge(), "app", **options)
        assert (found.judged, found.failed) == ({"length": 3}, {})

    @pytest.mark.parametrize("max_cost", [None, 1])
    async def test_a_row_that_the_service_refuses_keeps_no_other_from_being_judged(
        self, judging, langsmith, max_cost
    ):
        runs = trace(langsmith, 4)
        before = len(jobs(judging))

        def fields(outputs):
            # Odd runs say something long.
            return {"text": outputs["text"]} if len(outputs["text"]) > 8 else {"other": 1}

        options = {"max_cost": max_cost, "client": langsmith.client()}
        found = await aevaluate_runs(judge(fields=fields), "app", **options)
        assert (found.judged, found.failed) == ({"length": 4}, {"length": 2})
        assert len(jobs(judging, before)) == 1
        said = {given["run_id"]: given for given in langsmith.feedback if given["key"] == "length"}
        assert [said[str(run.id)]["score"] for run in runs] == [None, 1, None, 1]
        assert 'missing "text"' in said[str(runs[0].id)]["comment"]
        again = evaluate_runs(judge(fields=fields), "app", client=langsmith.client())
        assert (again.judged, again.skipped) == ({}, {"length": 4})

    def test_nothing_is_judged_beyond_the_largest_cost(self, judging, langsmith):
        trace(langsmith, 5)
        before = len(jobs(judging))
        with pytest.raises(SutroJobError, match=r"estimates .* USD for 5 rows"):
            evaluate_runs(judge(), "app", max_cost=0, client=langsmith.client())
        assert len(jobs(judging)) == before
        assert feedback(langsmith) == {}
        # Fewer runs, since all of them were too many.
        found = evaluate_runs(judge(), "app", max_cost=1, limit=2, client=langsmith.client())
        assert found.judged == {"length": 2}
        assert 0 < found.cost < 1

    def test_a_job_that_failed_is_submitted_anew_by_the_next_call(self, judging, langsmith):
        trace(langsmith, 3)
        judging.faults.add_job("length", fail="out of memory")
        with pytest.raises(SutroJobError):
            evaluate_runs(judge(), "app", client=langsmith.client())
        assert evaluate_runs(judge(), "app", client=langsmith.client()).judged == {"length": 3}

    def test_what_is_remembered_is_for_this_user_alone_and_goes(self, judging, langsmith, tmp_path):
        trace(langsmith, 3)
        folder = tmp_path / "state"
        evaluate_runs(judge(), "app", state=folder, client=langsmith.client())
        (file,) = folder.iterdir()
        assert file.stat().st_mode & 0o077 == folder.stat().st_mode & 0o077 == 0
        assert b"a long answer" not in file.read_bytes()

    def test_a_file_that_cannot_be_used_is_named(self, judging, langsmith, tmp_path):
        trace(langsmith, 1)
        folder = tmp_path / "state"
        evaluate_runs(judge(), "app", state=folder, client=langsmith.client())
        (file,) = folder.iterdir()
        file.write_bytes(b"{" * 5000)
        with pytest.raises(SutroConfigurationError, match=rf"{file.name} cannot be used"):
            evaluate_runs(judge(), "app", state=folder, client=langsmith.client())
        with closing(sqlite3.connect(folder / "new")) as newer:
            newer.execute("PRAGMA user_version = 99")
            newer.commit()
        (folder / "new").replace(file)
        with pytest.raises(SutroConfigurationError, match="another version"):
            evaluate_runs(judge(), "app", state=folder, client=langsmith.client())


class TestCommand:
    CONFIG = {
        "project": "app",
        "limit": 3,
        "judges": [
            {"function": "length", "fields": {"text": "outputs.text"}, "score": {"long": 1}},
            {"function": "loud", "fields": {"text": "outputs.text"}},
        ],
    }

    @pytest.fixture
    def run(self, langsmith, monkeypatch, tmp_path, capsys):
        monkeypatch.setenv("LANGSMITH_ENDPOINT", langsmith.url)
        monkeypatch.setenv("LANGSMITH_API_KEY", "lsv2_test")
        forget_settings()

        def run(config):
            (tmp_path / "judges.yaml").write_text(json.dumps(config))
            code = main(["evaluate-runs", "--config", str(tmp_path / "judges.yaml")])
            return code, *capsys.readouterr()

        yield run
        forget_settings()

    def test_it_judges_as_the_file_says_and_prints_what_it_did(self, judging, langsmith, run):
        trace(langsmith, 5)
        code, output, _ = run({**self.CONFIG, "judges": self.CONFIG["judges"][1:]})
        assert code == 0
        assert json.loads(output)["judged"] == {"loud": 3}
        # "short" has no score in the file, which is a failure of those rows.
        code, output, _ = run(self.CONFIG)
        assert code == 3
        assert json.loads(output)["failed"] == {"length": 2}

    def test_it_judges_threads(self, judging, langsmith, run):
        now = datetime.now(UTC)
        answer = {"text": "LOUD"}
        say(langsmith, "a", ({"text": "Hi"}, answer), start_time=now, end_time=now)
        threads = {**self.CONFIG, "judges": self.CONFIG["judges"][1:], "threads": True}
        assert json.loads(run(threads)[1])["judged"] == {}
        assert json.loads(run({**threads, "idle_minutes": 0})[1])["judged"] == {"loud": 1}

    def test_a_wrong_file_is_an_error_with_its_lines(self, judging, langsmith, run):
        wrong = {"function": "x", "fields": {"text": "nowhere"}}
        code, output, errors = run({"projekt": "app", "judges": [wrong]})
        assert (code, output) == (1, "")
        assert "projekt" in errors
        assert "project: is missing" in errors
        assert "nowhere" in errors
        assert run({**self.CONFIG, "project": "unknown"})[0] == 1
        code, _, errors = run({"project": "app", "judges": ["length"]})
        assert (code, errors.strip().endswith("judges[0]: Input should be a valid dictionary")) == (
            1,
            True,
        )
        for name in ("since_hours", "idle_minutes"):
            code, _, errors = run({**self.CONFIG, name: 10**9})
            assert (code, f"{name}: Input should be less" in errors) == (1, True)
