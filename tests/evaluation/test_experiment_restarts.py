"""An evaluation that was interrupted is finished by calling it again, and nothing is done twice."""

import pytest

from langchain_sutro import SutroFunction, errors
from langchain_sutro.evaluation.dataset import evaluate_dataset
from tests.support.calls import modes
from tests.support.experiments import (
    dataset,
    evaluated,
    no_doubles,
    runs_of,
    scores,
    session,
    share_right,
)

# LangSmith's older clients know no other word for an example's reference outputs.
pytestmark = pytest.mark.filterwarnings("ignore:'outputs' is deprecated")


class Died(BaseException):
    """What ends a process, and no evaluator's own error."""


@modes
async def test_a_call_that_died_while_waiting_is_followed_by_one_that_takes_up_its_job(
    smith, service, mode
):
    def die(_):
        raise RuntimeError("died")

    dying = service.function.model_copy(update={"on_progress": die})
    with pytest.raises(RuntimeError, match="died"):
        await evaluated(mode, dying, "sizes", experiment_name="twice")
    assert service.jobs() == 1
    results = await evaluated(mode, service.function, "sizes", experiment_name="twice")
    smith.wait()
    assert service.jobs() == 1
    assert len(results) == len(runs_of(smith, "twice")) == 50


@modes
async def test_a_call_that_died_among_its_evaluators_is_followed_without_doubles(
    smith, service, mode
):
    calls = []

    def slow(outputs, reference_outputs):
        calls.append(outputs)
        if len(calls) == 20:
            raise Died
        return outputs["output"]["label"] == reference_outputs["label"]

    options = {
        "evaluators": [service.judge, slow],
        "summary_evaluators": [share_right],
        "experiment_name": "twice",
    }
    with pytest.raises((Died, BaseExceptionGroup)):
        await evaluated(mode, service.function, "sizes", **options)
    smith.wait()
    done = len(scores(smith, "twice", "slow"))
    assert 0 < done < 50
    del calls[:]
    calls += [None] * 100
    results = await evaluated(mode, service.function, "sizes", **options)
    smith.wait()
    assert service.jobs() == 2
    assert len(calls) == 100 + 50 - done
    assert len(runs_of(smith, "twice")) == 50
    assert len(scores(smith, "twice", "slow")) == len(scores(smith, "twice", "agrees")) == 50
    assert no_doubles(smith)
    assert [row.score("slow") for row in results] == [row.score("agrees") for row in results]


def test_what_never_arrived_is_written_by_the_next_call(smith, service):
    options = {"evaluators": [service.judge], "experiment_name": "gaps"}
    evaluate_dataset(service.function, "sizes", **options)
    smith.wait()
    lost = {
        run["id"] for run in [*runs_of(smith, "gaps")[10:20], *runs_of(smith, "evaluators")[:7]]
    }
    for run_id in lost:
        del smith.runs[run_id]
        smith._created.discard(run_id)
    smith.feedback = [one for one in smith.feedback if one["run_id"] not in lost]
    evaluate_dataset(service.function, "sizes", **options)
    smith.wait()
    assert service.jobs() == 2
    assert len(runs_of(smith, "gaps")) == len(runs_of(smith, "evaluators")) == 50
    assert len(scores(smith, "gaps", "agrees")) == 50
    assert no_doubles(smith)


def test_a_job_that_failed_is_submitted_anew_by_the_next_call(smith, service):
    service.deployment.faults.add_job("size", fail="out of memory")
    with pytest.raises(errors.SutroJobFailedError):
        evaluate_dataset(service.function, "sizes", experiment_name="anew")
    evaluate_dataset(service.function, "sizes", experiment_name="anew")
    smith.wait()
    assert service.jobs() == 2
    assert len(runs_of(smith, "anew")) == 50


def test_a_job_that_was_refused_is_not_looked_for(smith, service):
    with pytest.raises(errors.SutroNotFoundError):
        evaluate_dataset(SutroFunction("nobody"), "sizes", experiment_name="refused")
    assert session(smith, "refused")["extra"]["metadata"]["sutro_jobs"] == {"target": None}


def test_another_data_set_or_function_under_the_same_name_is_refused(smith, service):
    evaluate_dataset(service.function, "sizes", experiment_name="taken")
    with pytest.raises(errors.SutroConfigurationError, match="other examples"):
        evaluate_dataset(service.function, "sizes", experiment_name="taken", num_repetitions=2)
    with pytest.raises(errors.SutroConfigurationError, match="'agrees'"):
        evaluate_dataset(service.judge.function, "sizes", experiment_name="taken")
    dataset(smith.smith, "others", 3)
    with pytest.raises(errors.SutroConfigurationError, match="choose another"):
        evaluate_dataset(service.function, "others", experiment_name="taken")
    smith.wait()
