"""A data set through a Function, or an experiment before a judge, as one job."""

import asyncio
import threading
import time
import uuid
from collections import Counter
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from langsmith import Client, evaluate, traceable, tracing_context
from langsmith.evaluation import EvaluationResult, RunEvaluator
from langsmith.schemas import Example
from matplotlib import pyplot as plt
from pydantic import BaseModel

from langchain_sutro import TraceContext, errors
from langchain_sutro._tracing import stable_id
from langchain_sutro.evaluation import experiment as experiment_module
from langchain_sutro.evaluation.dataset import aevaluate_dataset, evaluate_dataset
from tests.support import langsmith_recorder as recorder_module
from tests.support.calls import modes
from tests.support.experiments import (
    agrees,
    complete_feedback,
    dataset,
    evaluated,
    expected,
    no_doubles,
    runs_of,
    scores,
    session,
    share_right,
)

# LangSmith's older clients know no other word for an example's reference outputs.
pytestmark = pytest.mark.filterwarnings("ignore:'outputs' is deprecated")


def exact(outputs, reference_outputs):
    return outputs["output"]["label"] == reference_outputs["label"]


def examples(count=50):
    return [
        Example(id=uuid.uuid4(), inputs={"n": n}, outputs={"label": expected(n)})
        for n in range(count)
    ]


def one_by_one(function):
    """A target of `langsmith.evaluate` that calls the Function."""

    def target(inputs):
        return function.invoke(inputs)

    return target


@modes
async def test_a_data_set_is_one_job_and_one_root_run_for_each_example(smith, house, mode):
    results = await evaluated(
        mode, house.function, "sizes", experiment_name="first", metadata={"team": "sales"}
    )
    smith.wait()
    runs = runs_of(smith, "first")
    assert house.jobs() == 1
    assert len(runs) == len(results) == 50
    assert {run["reference_example_id"] for run in runs} == set(smith.examples)
    for run in runs:
        n = smith.examples[run["reference_example_id"]]["inputs"]["n"]
        assert run.get("parent_run_id") is None
        assert run["run_type"] == "llm"
        assert run["inputs"] == {"n": n}
        assert run["outputs"]["output"] == {"label": "big" if n >= 30 else "small"}
        facts = run["extra"]["metadata"]
        assert facts["ls_provider"] == "sutro"
        assert facts["team"] == "sales"
        assert facts["sutro_job_id"] == house.deployment.jobs[0]["job_id"]
    made = session(smith, "first")
    assert made["num_examples"] == 50
    assert made["extra"]["metadata"]["dataset_splits"] == ["base"]
    assert made["end_time"]
    assert results.experiment_name == "first"
    assert made["id"] in results.url


@modes
async def test_the_scores_are_those_of_evaluate(smith, house, mode):
    before = evaluate(
        one_by_one(house.function),
        data="sizes",
        evaluators=[house.judge, exact],
        summary_evaluators=[share_right],
        client=smith.smith,
    )
    before.wait()
    smith.smith.flush()
    # `evaluate` itself gives the runs of its evaluators ids of version 4.
    smith.violations[:] = [one for one in smith.violations if "version 7" not in one]
    singles = len(house.deployment.requests)
    await evaluated(
        mode,
        house.function,
        "sizes",
        evaluators=[house.judge, exact],
        summary_evaluators=[share_right],
        experiment_name="after",
        client=smith.smith,
    )
    smith.wait()
    smith.smith.flush()
    assert house.jobs() == 2  # one for the Function, one for the judge
    assert len(runs_of(smith, "after")) == 50
    for key in ("agrees", "agrees_confidence", "exact"):
        assert scores(smith, "after", key) == scores(smith, before.experiment_name, key)
        assert len(scores(smith, "after", key)) == 50
    whole = [one["score"] for one in smith.feedback if one["key"] == "share_right"]
    assert whole[0] == whole[1]
    assert singles > len(house.deployment.requests) - singles


@modes
async def test_feedback_is_linked_to_the_judges_run_of_its_row(smith, house, mode):
    await evaluated(mode, house.function, "sizes", evaluators=[house.judge], experiment_name="one")
    smith.wait()
    judged = {run["id"]: run for run in runs_of(smith, "evaluators")}
    targets = {run["id"]: run for run in runs_of(smith, "one")}
    assert len(judged) == 50
    given = [one for one in smith.feedback if one["key"] == "agrees"]
    assert len(given) == 50
    for one in given:
        source = judged[one["feedback_source"]["metadata"]["__run"]["run_id"]]
        answer = targets[one["run_id"]]["outputs"]["output"]["label"]
        assert source["inputs"]["answer"] == answer
        assert source["extra"]["metadata"]["reference_run_id"] == one["run_id"]
        assert one["comment"].startswith(answer)
        assert one["session_id"] == session(smith, "one")["id"]


@modes
async def test_a_judge_over_an_experiment_is_one_job_and_gives_feedback_once(smith, house, mode):
    before = evaluate(one_by_one(house.function), data="sizes", client=smith.smith)
    before.wait()
    smith.smith.flush()
    name = before.experiment_name
    results = await evaluated(mode, house.judge, experiment=name, summary_evaluators=[share_right])
    smith.wait()
    assert house.jobs() == 1
    assert len(runs_of(smith, "evaluators")) == 50
    told = [
        agrees({"answer": "big" if n >= 30 else "small", "expected": expected(n)})
        for n in range(50)
    ]
    assert sorted(scores(smith, name, "agrees").values()) == sorted(
        float(one.output["verdict"] == "pass") for one in told
    )
    assert len(results) == 50
    assert results.summary().scores["agrees"] == pytest.approx(0.9)
    # By its id, and again: the same job, and nothing twice.
    again = await evaluated(
        mode,
        house.judge,
        experiment=session(smith, name)["id"],
        summary_evaluators=[share_right],
    )
    smith.wait()
    assert house.jobs() == 1
    assert len(runs_of(smith, "evaluators")) == 50
    assert no_doubles(smith)
    assert again.to_pandas().equals(results.to_pandas())


@modes
@pytest.mark.parametrize("as_examples", [True, False])
async def test_upload_results_false_writes_nothing(smith, house, mode, as_examples):
    @traceable
    def inner(outputs):
        return len(outputs)

    def traced(outputs):
        return inner(outputs) > 0

    smith.smith.info  # noqa: B018 - asked once, by whoever comes first
    before = len(smith.requests)
    results = await evaluated(
        mode,
        house.function,
        examples() if as_examples else "sizes",
        evaluators=[house.judge, traced],
        summary_evaluators=[share_right],
        upload_results=False,
        client=smith.smith,
    )
    smith.wait()
    after = smith.requests[before:]
    assert [method for method, _ in after if method != "GET"] == []
    assert not as_examples or after == [], after
    assert house.jobs() == 2
    assert results.experiment_name is None
    assert results.summary().scores == {
        "agrees": pytest.approx(0.9),
        "agrees_confidence": pytest.approx(0.75),
        "traced": 1.0,
    }
    assert results.summary().summary_scores == {"share_right": pytest.approx(0.9)}


def test_without_upload_and_with_examples_no_client_is_made(house):
    from langsmith import run_trees

    run_trees._CLIENT = None
    evaluate_dataset(house.function, examples(3), evaluators=[exact], upload_results=False)
    assert run_trees._CLIENT is None


@modes
async def test_repetitions_are_rows_of_the_same_job(smith, house, mode):
    results = await evaluated(
        mode, house.function, "sizes", num_repetitions=3, experiment_prefix="often"
    )
    smith.wait()
    assert house.jobs() == 1
    assert results.experiment_name.startswith("often-")
    runs = runs_of(smith, results.experiment_name)
    assert Counter(Counter(run["reference_example_id"] for run in runs).values()) == {3: 50}
    assert Counter(row.repetition for row in results) == {0: 50, 1: 50, 2: 50}
    assert session(smith, results.experiment_name)["num_repetitions"] == 3


class Row(BaseModel):
    n: int


def test_rows_that_cannot_be_sent_or_answered_are_errors_in_their_places(smith, house):
    dataset_id = smith.smith.create_dataset("odd").id
    smith.smith.create_examples(
        dataset_id=dataset_id,
        examples=[
            {"inputs": {"n": n}, "outputs": {"label": "small"}} for n in ("1", "many", "3", "4")
        ],
    )
    house.deployment.faults.add_job("size", null_rows=[1])
    strict = house.function.model_copy(update={"args_schema": Row})
    strict._prepare()
    results = evaluate_dataset(
        strict, str(dataset_id), evaluators=[house.judge, exact], experiment_name="odd"
    )
    smith.wait()
    assert [row.error is None for row in results] == [True, False, False, True]
    assert "SutroInputError" in results[1].error
    assert "Row 2 of the batch: Row 1 of job" in results[2].error
    assert "has no output" in results[2].error
    assert [row.score("agrees") for row in results] == [1, None, None, 1]
    assert results.summary().errors == 2
    failed = [one for one in results[1].feedback if one.key == "exact"]
    assert failed[0].extra == {"error": True}
    assert len(runs_of(smith, "odd")) == 4


class Number(BaseModel):
    label: int


def test_an_output_that_does_not_fit_names_the_callers_row_and_that_of_the_job(house):
    rows = [
        Example(id=uuid.uuid4(), inputs={"n": n}, outputs={"label": "small"}) for n in ("many", "1")
    ]
    typed = house.function.model_copy(update={"args_schema": Row, "output_model": Number})
    typed._prepare()
    results = evaluate_dataset(typed, rows, upload_results=False)
    assert "SutroInputError" in results[0].error
    assert "SutroRowError" in results[1].error
    assert "Row 1 of the batch: Row 0 of job" in results[1].error


@modes
async def test_evaluators_of_every_kind_are_applied(smith, house, mode):
    class Longer(RunEvaluator):
        def evaluate_run(self, run, example=None, evaluator_run_id=None):
            return EvaluationResult(key="longer", score=len(run.outputs["output"]["label"]) > 3)

    def old(run, example):
        return {"key": "old", "score": run.reference_example_id == example.id}

    async def later(outputs):
        await asyncio.sleep(0)
        return "fine"

    def several(inputs):
        return [{"key": "first", "score": 1}, {"key": "second", "value": str(inputs["n"])}]

    def broken(outputs):
        raise ValueError("I am broken")

    def of_runs(runs, examples):
        return len(runs) == len(examples)

    results = await evaluated(
        mode,
        house.function,
        "sizes",
        evaluators=[Longer(), old, later, several, broken],
        summary_evaluators=[of_runs],
        max_concurrency=4,
    )
    smith.wait()
    assert {one["key"] for one in smith.feedback} == {
        *("longer", "old", "later", "first", "second", "broken", "of_runs")
    }
    known = results.summary()
    assert known.scores == {"longer": pytest.approx(0.6), "old": 1.0, "first": 1.0}
    assert known.labels["later"] == {"fine": 50}
    assert known.evaluator_errors == 50
    assert known.summary_scores == {"of_runs": True}
    assert len(smith.by_name("later")) == 50
    assert {smith.sessions[run["session_id"]]["name"] for run in smith.by_name("later")} == {
        "evaluators"
    }


def test_fields_of_examples_are_mapped_to_the_functions(smith, house):
    made = smith.smith.create_dataset("nested")
    smith.smith.create_examples(
        dataset_id=made.id, examples=[{"inputs": {"lead": {"seats": n}}} for n in (3, 300)]
    )
    results = evaluate_dataset(house.function, made, fields={"n": "inputs.lead.seats"})
    smith.wait()
    assert sorted(row.answer for row in results) == ["big", "small"]


def test_the_table_has_what_went_in_what_came_out_and_what_was_said(house):
    results = evaluate_dataset(
        house.function, examples(3), evaluators=[house.judge], upload_results=False
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


def test_the_html_shows_no_markup_of_the_data(house):
    bad = Example(id=uuid.uuid4(), inputs={"n": 1, "x": "<script>"}, outputs={"label": "<b>"})
    shown = evaluate_dataset(house.function, [bad], upload_results=False)._repr_html_()
    assert "<script>" not in shown
    assert "<b>&" not in shown
    assert "&lt;script&gt;" in shown
    assert "<table>" in shown


def test_the_html_names_fields_and_shows_no_python(house):
    long = Example(id=uuid.uuid4(), inputs={"n": 1, "text": "word " * 99}, outputs={"label": "big"})
    results = evaluate_dataset(
        house.function, [long], evaluators=[exact, house.judge], upload_results=False
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
def test_the_html_tells_the_cost_as_people_write_it(house, monkeypatch, cost, shown):
    results = evaluate_dataset(house.function, examples(1), upload_results=False)
    monkeypatch.setitem(results._totals, "cost", cost)
    assert f" {shown}" in results._repr_html_()


def test_the_plots_are_of_the_experiments_numbers(house):
    plt.switch_backend("Agg")
    results = evaluate_dataset(
        house.function, examples(), evaluators=[house.judge], upload_results=False
    )
    assert results.plot_confusion().get_title() == "Confusion matrix: 50 rows, 90.0% right"
    by_path = results.plot_confusion(answer="output.label", reference="label")
    assert by_path.get_title() == "Confusion matrix: 50 rows, 90.0% right"
    assert results.plot_reliability().get_title().startswith("Reliability: 50 rows")
    judged = results.plot_reliability(score="agrees", confidence="agrees_confidence")
    assert judged.get_title() == "Reliability: 50 rows, calibration error 0.150"
    assert results.plot_coverage(score="agrees").get_title().endswith("50 rows")
    with pytest.raises(errors.SutroInputError, match="there is agrees"):
        results.plot_coverage(score="nothing")
    plt.close("all")


def test_what_does_not_go_together_is_refused(house):
    with pytest.raises(TypeError, match="data to run it over"):
        evaluate_dataset(house.function)
    with pytest.raises(TypeError, match="data to run it over"):
        evaluate_dataset(house.judge, "sizes")
    with pytest.raises(TypeError, match="to judge an experiment"):
        evaluate_dataset(house.function, experiment="one")
    with pytest.raises(errors.SutroInputError, match="no examples"):
        evaluate_dataset(house.function, [], upload_results=False)
    with pytest.raises(errors.SutroInputError, match="different keys"):
        evaluate_dataset(
            house.function, [], evaluators=[house.judge, house.judge], upload_results=False
        )
    with pytest.raises(errors.SutroInputError, match="num_repetitions must be at least 1, not 0"):
        evaluate_dataset(house.function, [], num_repetitions=0, upload_results=False)


def test_progress_is_shown_on_request(house, capsys):
    evaluate_dataset(
        house.function, examples(3), evaluators=[exact], upload_results=False, progress=True
    )
    assert "evaluators: 100%" in capsys.readouterr().err


async def test_the_event_loop_goes_on_meanwhile(smith, house):
    smith.delay = 0.05
    ticks = 0

    async def tick():
        nonlocal ticks
        while True:
            ticks += 1
            await asyncio.sleep(0.01)

    ticking = asyncio.ensure_future(tick())
    threads = []

    async def here(outputs):
        threads.append(threading.current_thread())
        return True

    await aevaluate_dataset(house.function, "sizes", evaluators=[here])
    ticking.cancel()
    await asyncio.to_thread(smith.wait)
    assert set(threads) == {threading.main_thread()}
    assert ticks > 5


@given(
    st.integers(1_500_000_000_000_000, 4_000_000_000_000_000),
    st.lists(st.text(max_size=5), max_size=3),
)
def test_an_id_is_of_version_7_tells_its_time_and_is_always_the_same(microseconds, parts):
    aware = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)
    at = aware.replace(tzinfo=None)  # as LangSmith's answers are
    made = stable_id(at, *parts)
    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert made == stable_id(aware, *parts)
    assert abs((made.int >> 80) - microseconds / 1000) <= 1
    assert made != stable_id(at, *parts, "more")


def test_nothing_is_dropped_where_the_clients_queue_is_short(house, monkeypatch):
    monkeypatch.setenv("LANGSMITH_TRACING_QUEUE_MAX_SIZE", "100")
    monkeypatch.setattr(experiment_module, "PORTION", 50)
    with (
        recorder_module.LangSmithRecorder(zstd=False) as smith,
        recorder_module.tracing_to(smith, monkeypatch),
    ):
        dataset(smith.client(), "many", 300)
        smith.delay = 0.02
        evaluate_dataset(house.function, "many", evaluators=[house.judge], experiment_name="all")
        smith.wait()
        assert len(runs_of(smith, "all")) == len(runs_of(smith, "evaluators")) == 300
        assert len(scores(smith, "all", "agrees")) == 300
        assert smith.check() == []


def test_servers_of_the_next_generation_are_read_too(house, monkeypatch):
    complete_feedback(monkeypatch)
    with (
        recorder_module.LangSmithRecorder(smithdb=True) as smith,
        recorder_module.tracing_to(smith, monkeypatch),
    ):
        dataset(smith.client(), "sizes", 50)
        for _ in range(2):
            evaluate_dataset(house.function, "sizes", experiment_name="next")
            evaluate_dataset(house.judge, experiment="next", summary_evaluators=[share_right])
            smith.wait()
        assert house.jobs() == 2
        assert len(runs_of(smith, "next")) == len(runs_of(smith, "evaluators")) == 50
        assert no_doubles(smith)
        assert smith.check() == []


@modes
async def test_the_active_traces_metadata_and_tags_reach_the_runs(smith, house, mode):
    with tracing_context(metadata={"customer": "acme"}, tags=["nightly"], enabled=True):
        await evaluated(mode, house.function, "sizes", experiment_name="inside")
        silent = house.function.model_copy(update={"forward_trace_context": False})
        await evaluated(mode, silent, "sizes", experiment_name="silent")
    smith.wait()
    for run in runs_of(smith, "inside"):
        assert run["extra"]["metadata"]["customer"] == "acme"
        assert run["tags"] == ["nightly"]
    assert "customer" not in runs_of(smith, "silent")[0]["extra"]["metadata"]


@modes
async def test_a_hook_renames_what_the_runs_are_given(smith, house, mode):
    def rename(context):
        return TraceContext({f"app.{key}": one for key, one in context.metadata.items()})

    hooked = house.function.model_copy(update={"trace_context_hook": rename})
    with tracing_context(metadata={"customer": "acme", "keys": ["sk-hush"]}, enabled=True):
        await evaluated(mode, hooked, "sizes", experiment_name="hooked")
    smith.wait()
    runs = runs_of(smith, "hooked")
    for run in runs:
        assert run["extra"]["metadata"]["app.customer"] == "acme"
        assert "customer" not in run["extra"]["metadata"]
    assert "hush" not in str(runs)


def test_an_experiment_leaves_no_other_trace(smith, house):
    evaluate_dataset(house.function, "sizes", evaluators=[house.judge], experiment_name="only")
    smith.wait()
    assert len(smith.runs) == 100


def test_no_asset_reaches_a_run(smith, house):
    made = smith.smith.create_dataset("assets")
    asset = {"base64": "QUJD" * 500, "mime_type": "image/png"}
    smith.smith.create_examples(
        dataset_id=made.id, examples=[{"inputs": {"n": 1, "picture": asset}}]
    )
    evaluate_dataset(house.function, "assets", experiment_name="pictures")
    smith.wait()
    assert "QUJDQUJD" not in str(runs_of(smith, "pictures"))


def test_the_priority_is_that_of_all_jobs(house):
    evaluate_dataset(
        house.function, examples(3), evaluators=[house.judge], job_priority=1, upload_results=False
    )
    assert [job["job_priority"] for job in house.deployment.jobs] == [1, 1]


def test_an_equal_job_is_reused_on_request(house):
    same, day = examples(3), timedelta(days=1)
    evaluate_dataset(house.function, same, upload_results=False, reuse_jobs=day)
    evaluate_dataset(house.function, same, upload_results=False, reuse_jobs=day)
    assert house.jobs() == 1


def test_a_judge_can_look_at_an_experiment_without_writing(smith, house):
    evaluate_dataset(house.function, "sizes", experiment_name="seen")
    smith.wait()
    before = len(smith.requests)
    results = evaluate_dataset(house.judge, experiment="seen", upload_results=False)
    smith.wait()
    reads = {("GET", path) for _, path in smith.requests} | {("POST", "/runs/query")}
    assert set(smith.requests[before:]) <= reads
    assert results.summary().scores["agrees"] == pytest.approx(0.9)


@pytest.mark.slow
@pytest.mark.parametrize("count", [200])
def test_one_job_beside_one_call_for_each_example(smith, house, count):
    """The service answers after 200 ms; time and requests are printed, requests are checked."""
    print(compare(smith, house, count))


def compare(smith, house, count):
    """Time and requests of both ways, over a data set of that many examples."""
    dataset(smith.smith, "many", count)
    house.deployment.faults.add("*", delay=0.2)
    client = Client(api_url=smith.url, api_key="lsv2_test")
    start, before = time.perf_counter(), len(house.deployment.requests)
    evaluate(
        one_by_one(house.function),
        data="many",
        evaluators=[house.judge],
        client=client,
        max_concurrency=10,
    ).wait()
    client.flush()
    smith.violations[:] = [one for one in smith.violations if "version 7" not in one]
    singles = (time.perf_counter() - start, len(house.deployment.requests) - before)
    start, before = time.perf_counter(), len(house.deployment.requests)
    evaluate_dataset(house.function, "many", evaluators=[house.judge], client=client)
    client.flush()
    jobs = (time.perf_counter() - start, len(house.deployment.requests) - before)
    assert singles[1] == 2 * count
    assert jobs[1] < 60
    assert house.jobs() == 2
    return (
        f"{count:,} examples: one call for each {singles[0]:.1f} s, {singles[1]:,} requests; "
        f"one job {jobs[0]:.1f} s, {jobs[1]} requests"
    )
