"""A data set through a Function, or an experiment before a judge, as one job."""

import asyncio
import inspect
import threading
import uuid
from collections import Counter
from datetime import timedelta

import pytest
from langsmith import evaluate
from langsmith.evaluation import EvaluationResult, RunEvaluator
from langsmith.schemas import Example
from pydantic import BaseModel

from langchain_sutro import errors
from langchain_sutro.evaluation.dataset import aevaluate_dataset, evaluate_dataset
from tests.support.calls import modes
from tests.support.experiments import (
    agrees,
    evaluated,
    exact,
    examples,
    expected,
    no_doubles,
    one_by_one,
    runs_of,
    scores,
    session,
    share_right,
)

# LangSmith's older clients know no other word for an example's reference outputs.
pytestmark = pytest.mark.filterwarnings("ignore:'outputs' is deprecated")


@modes
async def test_a_data_set_is_one_job_and_one_root_run_for_each_example(smith, service, mode):
    results = await evaluated(
        mode,
        service.function,
        "sizes",
        experiment_name="first",
        metadata={"team": "sales"},
    )
    smith.wait()
    runs = runs_of(smith, "first")
    assert service.jobs() == 1
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
        assert facts["sutro_job_id"] == service.deployment.jobs[0]["job_id"]
    made = session(smith, "first")
    assert made["num_examples"] == 50
    assert made["extra"]["metadata"]["dataset_splits"] == ["base"]
    assert made["end_time"]
    assert results.experiment_name == "first"
    assert made["id"] in results.url


@modes
async def test_the_scores_are_those_of_evaluate(smith, service, mode):
    before = evaluate(
        one_by_one(service.function),
        data="sizes",
        evaluators=[service.judge, exact],
        summary_evaluators=[share_right],
        client=smith.smith,
    )
    before.wait()
    smith.smith.flush()
    # `evaluate` itself gives the runs of its evaluators ids of version 4.
    smith.violations[:] = [one for one in smith.violations if "version 7" not in one]
    singles = len(service.deployment.requests)
    await evaluated(
        mode,
        service.function,
        "sizes",
        evaluators=[service.judge, exact],
        summary_evaluators=[share_right],
        experiment_name="after",
        client=smith.smith,
    )
    smith.wait()
    smith.smith.flush()
    assert service.jobs() == 2  # one for the Function, one for the judge
    assert len(runs_of(smith, "after")) == 50
    for key in ("agrees", "agrees_confidence", "exact"):
        assert scores(smith, "after", key) == scores(smith, before.experiment_name, key)
        assert len(scores(smith, "after", key)) == 50
    whole = [one["score"] for one in smith.feedback if one["key"] == "share_right"]
    assert whole[0] == whole[1]
    assert singles > len(service.deployment.requests) - singles


@modes
async def test_a_judge_over_an_experiment_is_one_job_and_gives_feedback_once(smith, service, mode):
    before = evaluate(one_by_one(service.function), data="sizes", client=smith.smith)
    before.wait()
    smith.smith.flush()
    name = before.experiment_name
    results = await evaluated(
        mode, service.judge, experiment=name, summary_evaluators=[share_right]
    )
    smith.wait()
    assert service.jobs() == 1
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
        service.judge,
        experiment=session(smith, name)["id"],
        summary_evaluators=[share_right],
    )
    smith.wait()
    assert service.jobs() == 1
    assert len(runs_of(smith, "evaluators")) == 50
    assert no_doubles(smith)
    assert again.to_pandas().equals(results.to_pandas())


@modes
async def test_repetitions_are_rows_of_the_same_job(smith, service, mode):
    results = await evaluated(
        mode, service.function, "sizes", num_repetitions=3, experiment_prefix="often"
    )
    smith.wait()
    assert service.jobs() == 1
    assert results.experiment_name.startswith("often-")
    runs = runs_of(smith, results.experiment_name)
    assert Counter(Counter(run["reference_example_id"] for run in runs).values()) == {3: 50}
    assert Counter(row.repetition for row in results) == {0: 50, 1: 50, 2: 50}
    assert session(smith, results.experiment_name)["num_repetitions"] == 3


class Row(BaseModel):
    n: int


def test_rows_that_cannot_be_sent_or_answered_are_errors_in_their_places(smith, service):
    dataset_id = smith.smith.create_dataset("odd").id
    smith.smith.create_examples(
        dataset_id=dataset_id,
        examples=[
            {"inputs": {"n": n}, "outputs": {"label": "small"}} for n in ("1", "many", "3", "4")
        ],
    )
    service.deployment.faults.add_job("size", null_rows=[1])
    strict = service.function.model_copy(update={"args_schema": Row})
    strict._prepare()
    results = evaluate_dataset(
        strict, str(dataset_id), evaluators=[service.judge, exact], experiment_name="odd"
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


def test_an_output_that_does_not_fit_names_the_callers_row_and_that_of_the_job(service):
    rows = [
        Example(id=uuid.uuid4(), inputs={"n": n}, outputs={"label": "small"}) for n in ("many", "1")
    ]
    typed = service.function.model_copy(update={"args_schema": Row, "output_model": Number})
    typed._prepare()
    results = evaluate_dataset(typed, rows, upload_results=False)
    assert "SutroInputError" in results[0].error
    assert "SutroRowError" in results[1].error
    assert "Row 1 of the batch: Row 0 of job" in results[1].error


@modes
async def test_evaluators_of_every_kind_are_applied(smith, service, mode):
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
        service.function,
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


def test_fields_of_examples_are_mapped_to_the_functions(smith, service):
    made = smith.smith.create_dataset("nested")
    smith.smith.create_examples(
        dataset_id=made.id, examples=[{"inputs": {"lead": {"seats": n}}} for n in (3, 300)]
    )
    results = evaluate_dataset(service.function, made, fields={"n": "inputs.lead.seats"})
    smith.wait()
    assert sorted(row.answer for row in results) == ["big", "small"]


def test_what_does_not_go_together_is_refused(service):
    with pytest.raises(TypeError, match="data to run it over"):
        evaluate_dataset(service.function)
    with pytest.raises(TypeError, match="data to run it over"):
        evaluate_dataset(service.judge, "sizes")
    with pytest.raises(TypeError, match="to judge an experiment"):
        evaluate_dataset(service.function, experiment="one")
    with pytest.raises(errors.SutroInputError, match="no examples"):
        evaluate_dataset(service.function, [], upload_results=False)
    with pytest.raises(errors.SutroInputError, match="different keys"):
        evaluate_dataset(
            service.function,
            [],
            evaluators=[service.judge, service.judge],
            upload_results=False,
        )
    with pytest.raises(errors.SutroInputError, match="num_repetitions must be at least 1, not 0"):
        evaluate_dataset(service.function, [], num_repetitions=0, upload_results=False)


def test_both_forms_show_the_same_parameters():
    assert inspect.iscoroutinefunction(aevaluate_dataset)
    assert inspect.signature(aevaluate_dataset) == inspect.signature(evaluate_dataset)
    assert "num_repetitions: 'int' = 1" in str(inspect.signature(aevaluate_dataset))


def test_progress_is_shown_on_request(service, capsys):
    evaluate_dataset(
        service.function,
        examples(3),
        evaluators=[exact],
        upload_results=False,
        progress=True,
    )
    assert "evaluators: 100%" in capsys.readouterr().err


async def test_the_event_loop_goes_on_meanwhile(smith, service):
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

    await aevaluate_dataset(service.function, "sizes", evaluators=[here])
    ticking.cancel()
    await asyncio.to_thread(smith.wait)
    assert set(threads) == {threading.main_thread()}
    assert ticks > 5


def test_the_priority_is_that_of_all_jobs(service):
    evaluate_dataset(
        service.function,
        examples(3),
        evaluators=[service.judge],
        job_priority=1,
        upload_results=False,
    )
    assert [job["job_priority"] for job in service.deployment.jobs] == [1, 1]


def test_an_equal_job_is_reused_on_request(service):
    same, day = examples(3), timedelta(days=1)
    evaluate_dataset(service.function, same, upload_results=False, reuse_jobs=day)
    evaluate_dataset(service.function, same, upload_results=False, reuse_jobs=day)
    assert service.jobs() == 1
