"""What an evaluation says of its own results: what failed, what changed, what is not written."""

import logging
import uuid
from datetime import UTC, datetime

import pytest
from langsmith import evaluate
from langsmith.schemas import RunBase

from langchain_sutro import AnsweringModel, BatchResults, SutroEvaluator, SutroFunction
from langchain_sutro.errors import SutroInputError
from langchain_sutro.evaluation.dataset import evaluate_dataset
from langchain_sutro.evaluation.experiment_row import ExperimentRow
from langchain_sutro.evaluation.results import ExperimentResults
from langchain_sutro.evaluation.threshold import least_confidence
from langchain_sutro.local import LocalFunction
from tests.support.experiments import (
    ANY,
    LABEL,
    evaluated,
    exact,
    examples,
    size,
)

pytestmark = pytest.mark.filterwarnings("ignore:'outputs' is deprecated")


@pytest.mark.parametrize("mode", ["sync", "async"])
async def test_evaluators_that_all_fail_quote_the_first_cause(service, mode, caplog):
    def broken(outputs):
        raise KeyError("labell")

    lost = SutroEvaluator(service.judge.function, key="lost", fields={"answer": "outputs.nowhere"})
    with caplog.at_level(logging.WARNING, logger="langchain_sutro"):
        results = await evaluated(
            mode, service.function, examples(3), evaluators=[broken, lost, exact],
            upload_results=False,
        )  # fmt: skip
    # The judge first, since all its rows are one job.
    judge, other = results.warnings
    assert "'lost'" in judge
    assert "outputs.nowhere" in judge
    assert "fields=" in judge
    assert "KeyError('labell')" in other
    assert results.summary().warnings == results.warnings
    assert "KeyError" in caplog.text
    assert "Warning:" in results._repr_html_()


def test_one_failure_of_many_is_no_warning(service):
    def picky(outputs):
        if outputs["confidence"] > 0.51:
            raise ValueError("no")
        return True

    results = evaluate_dataset(
        service.function, examples(3), evaluators=[picky], upload_results=False
    )
    assert results.summary().evaluator_errors == 1
    assert results.warnings == ()


@pytest.mark.parametrize("mode", ["sync", "async"])
async def test_rows_that_all_fail_quote_the_first_cause(service, mode):
    results = await evaluated(
        mode, service.function, examples(3), fields={"n": "inputs.number"}, upload_results=False
    )
    [warning] = results.warnings
    assert "All 3 rows failed" in warning
    assert "inputs.number" in warning
    assert "fields=" in warning


def test_a_cause_with_a_secret_is_quoted_without_it(service):
    def broken(outputs):
        raise ValueError("postgresql://app:hunter2@db.internal/leads")

    results = evaluate_dataset(
        service.function, examples(2), evaluators=[broken], upload_results=False
    )
    assert "hunter2" not in results.warnings[0]


def test_a_change_of_the_model_within_an_experiment_is_a_warning(service, smith):
    calls = []

    def target(inputs):
        calls.append(inputs)
        if len(calls) == 26:
            anew = LocalFunction(
                "size", size, input_schema=ANY, output_schema=LABEL, model="size-2"
            )
            service.deployment._registry.publish(anew)
        return service.function.invoke(inputs)

    client = smith.smith
    done = evaluate(target, data="sizes", client=client, max_concurrency=0)
    client.flush()
    smith.wait()
    smith.until(lambda: all(run.get("end_time") for run in smith.ordered()))
    results = evaluate_dataset(
        service.judge, experiment=done.experiment_name, upload_results=False, client=client
    )
    # The target's own run is LangSmith's, and that of the Function is below it.
    assert results.summary().models == ()
    calls.clear()
    runs = [run for run in smith.by_name("size") if run["run_type"] == "llm"]
    assert {run["extra"]["metadata"]["sutro_model"] for run in runs} == {"local", "size-2"}


def results_of(*models):
    """The results of an evaluation whose rows were answered by these."""

    def run(model):
        return RunBase(
            id=uuid.uuid4(), name="f", start_time=datetime.now(UTC), run_type="llm",
            extra={"metadata": {"sutro_model": model, "sutro_revision": 1}}, inputs={},
        )  # fmt: skip

    return ExperimentResults([ExperimentRow(run=run(one), example=None) for one in models])


def test_an_experiments_runs_say_which_models_answered():
    same = results_of("a", "a")
    assert same.summary().models == (AnsweringModel("a", revision=1),)
    assert same.warnings == ()
    [warning] = results_of("a", "b", "a").warnings
    assert "a, revision 1; b, revision 1" in warning


def test_a_job_whose_parts_were_answered_by_several_models_says_so():
    def part(function):
        return BatchResults.from_columns(["x"], job={"function": function})

    one, two = {"model": "a", "model_source": "sweep"}, {"model": "a", "revision": 2}
    assert part(one).model == AnsweringModel("a", "sweep")
    summary = BatchResults.concat([part(one), part(two), part(one)]).summary()
    assert summary.models == (AnsweringModel("a", "sweep"), AnsweringModel("a", revision=2))
    assert "a, from sweep; a, revision 2" in summary.warnings[0]
    assert BatchResults.concat([part(one), part(one)]).summary().warnings == ()
    assert part({"model": 7}).models == part("odd").models == ()


@pytest.mark.parametrize("mode", ["sync", "async"])
async def test_a_judgement_says_which_model_gave_it(service, mode):
    run = next(iter(evaluate_dataset(service.function, examples(1), upload_results=False))).run
    judge = service.judge
    found = judge.evaluate_run(run) if mode == "sync" else await judge.aevaluate_run(run)
    # A judge that cannot be asked names no model; the example's label is missing here.
    assert "sutro_model" not in found["results"][0].evaluator_info
    function = SutroFunction("agrees")
    result = function.invoke({"answer": "big", "expected": "big"})
    info = judge.feedback(result)["results"][0].evaluator_info
    assert (info["sutro_model"], info["sutro_model_source"]) == ("local", "local")


@pytest.mark.parametrize("mode", ["sync", "async"])
async def test_a_langsmith_that_refuses_everything_takes_no_result_away(service, smith, mode):
    smith.status = 403
    client = smith.client(auto_batch_tracing=False)
    results = await evaluated(
        mode, service.function, "sizes", evaluators=[service.judge, exact], client=client,
        experiment_name="refused",
    )  # fmt: skip
    assert len(results) == 50
    assert results.summary().scores["exact"] == 0.9
    assert any("has not accepted" in one for one in results.warnings)
    smith.status = None
    again = await evaluated(
        mode, service.function, "sizes", evaluators=[service.judge, exact], client=client,
        experiment_name="refused",
    )  # fmt: skip
    assert again.warnings == ()
    assert service.jobs() == 2
    assert len(smith.project("refused")) == 50


def test_the_least_confidence_of_a_target_is_found():
    rows = [(0.5, 0), (0.6, 1), (0.7, 0), (0.8, 1), (0.8, 1), (0.9, 1)]
    assert least_confidence(rows, 0.5) == 0.0
    assert least_confidence(rows, 0.8) == 0.6
    assert least_confidence(rows, 0.98) == 0.8
    assert least_confidence([(0.9, 0)], 0.5) is None
    assert least_confidence([(0.9, 0)], 0.0) == 0.0


@pytest.mark.parametrize("mode", ["sync", "async"])
async def test_results_give_the_threshold_of_an_accuracy(service, mode):
    results = await evaluated(
        mode, service.function, examples(50), evaluators=[exact, service.judge],
        upload_results=False,
    )  # fmt: skip
    assert results.threshold(0.9) == 0.0
    least = results.threshold(accuracy=1.0)
    kept = [row for row in results if row.confidence >= least]
    assert kept
    assert all(row.answer == row.expected for row in kept)
    assert not all(row.answer == row.expected for row in results if row.confidence >= least - 0.01)
    assert results.threshold(0.9, score="exact") == 0.0
    # All judgements have the same confidence.
    assert results.threshold(1.0, score="exact", confidence="agrees_confidence") is None
    with pytest.raises(SutroInputError, match="share"):
        results.threshold(98)
    with pytest.raises(SutroInputError, match="nowhere"):
        results.threshold(0.9, score="nowhere")
