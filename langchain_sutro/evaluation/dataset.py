"""`evaluate_dataset`: run a Function over a data set, or a judge over an experiment, in one job."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, TypeVar

from langchain_sutro._exports import exported_from
from langchain_sutro._service import arun_steps, run_steps
from langchain_sutro.evaluation.plan import Plan
from langchain_sutro.evaluation.study import evaluate_in_steps

if TYPE_CHECKING:
    import uuid
    from collections.abc import Callable, Coroutine, Mapping, Sequence
    from datetime import timedelta

    from langsmith import Client
    from langsmith.evaluation import RunEvaluator

    from langchain_sutro.evaluation.evaluator import SutroEvaluator
    from langchain_sutro.evaluation.fields import FieldSpec
    from langchain_sutro.evaluation.results import ExperimentResults
    from langchain_sutro.functions import SutroFunction

__all__ = ["aevaluate_dataset", "evaluate_dataset"]

_P = ParamSpec("_P")
_T = TypeVar("_T")


@exported_from("langchain_sutro")
def evaluate_dataset(
    target: SutroFunction | SutroEvaluator,
    data: Any = None,
    *,
    experiment: str | uuid.UUID | None = None,
    evaluators: Sequence[RunEvaluator | Callable[..., Any]] = (),
    summary_evaluators: Sequence[Callable[..., Any]] = (),
    fields: FieldSpec = None,
    experiment_name: str | None = None,
    experiment_prefix: str | None = None,
    description: str | None = None,
    metadata: Mapping[str, Any] | None = None,
    num_repetitions: int = 1,
    max_concurrency: int = 0,
    job_priority: Literal[0, 1] | None = None,
    reuse_jobs: timedelta | None = None,
    progress: bool = False,
    upload_results: bool = True,
    client: Client | None = None,
) -> ExperimentResults:
    """Evaluate with one Batch job instead of one call per example.

    Either a Function over a data set, recorded as a LangSmith experiment with one root run for each
    example; or a judge over an `experiment` that exists, whose verdicts become feedback of its
    runs. Every `SutroEvaluator` judges all rows in one job; other evaluators are called for each
    row, as `langsmith.evaluate` does.

    A call that was interrupted is repeated with the same `experiment_name`, or the same
    `experiment`: it takes up the jobs that were submitted, and writes what is missing. Runs and
    feedback are never written twice. To judge an experiment anew, use a judge with another key.

    Args:
        target: The Function under test; or the judge of an `experiment`.
        data: A LangSmith data set (its name, id or object), or examples of one.
        experiment: Name or id of an experiment to judge, instead of `data`.
        evaluators: What `langsmith.evaluate` takes: callables of `(run, example)` or of any of
            `inputs`, `outputs`, `reference_outputs`; `RunEvaluator`, `SutroEvaluator`.
        summary_evaluators: Callables of `(runs, examples)` or of lists of the same names.
        fields: Which of an example's fields the Function gets, as for `SutroEvaluator`; by default
            its inputs.
        experiment_name: The whole name, with which an interrupted call can be repeated.
        experiment_prefix: Its beginning, by default the Function's name; a random end is added.
        description: Of the experiment.
        metadata: Of the experiment and its runs.
        num_repetitions: How often each example is run, all in the same job.
        max_concurrency: Rows whose other evaluators are called at once; 0 is one after the other.
        job_priority: Of all jobs; by default each Function's own.
        reuse_jobs: Take an earlier job of at most this age with the same Function and rows; by
            default the Function's own setting.
        progress: Show bars for jobs and evaluators.
        upload_results: False writes nothing to LangSmith; with examples as `data` nothing is read
            from it either.
        client: LangSmith's, by default from the environment.

    Returns:
        One row for each run.

    Raises:
        SutroInputError: There are no examples or runs, or two judges have one key. A single row
            that cannot be sent is an error in its own place.
        SutroConfigurationError: `experiment_name` belongs to something else.
        SutroJobError: A job did not succeed.
        LangSmithNotFoundError: There is no such data set or experiment.
        TypeError: `target`, `data` and `experiment` do not go together.
    """
    plan = Plan(
        target=target,
        data=data,
        experiment=experiment,
        evaluators=evaluators,
        summary_evaluators=summary_evaluators,
        fields=fields,
        experiment_name=experiment_name,
        experiment_prefix=experiment_prefix,
        description=description,
        metadata=metadata,
        num_repetitions=num_repetitions,
        max_concurrency=max_concurrency,
        job_priority=job_priority,
        reuse_jobs=reuse_jobs,
        progress=progress,
        upload_results=upload_results,
        client=client,
    )
    return run_steps(evaluate_in_steps(plan))


def _asynchronous_form_of(
    function: Callable[_P, _T],
) -> Callable[[Callable[..., Coroutine[Any, Any, _T]]], Callable[_P, Coroutine[Any, Any, _T]]]:
    """Give a coroutine function the parameters of its synchronous form."""

    def with_parameters(
        coroutine: Callable[..., Coroutine[Any, Any, _T]],
    ) -> Callable[_P, Coroutine[Any, Any, _T]]:
        coroutine.__signature__ = inspect.signature(function)  # type: ignore[attr-defined]
        return coroutine

    return with_parameters


@exported_from("langchain_sutro")
@_asynchronous_form_of(evaluate_dataset)
async def aevaluate_dataset(*args: Any, **kwargs: Any) -> ExperimentResults:
    """The asynchronous form of `evaluate_dataset`, with the same parameters.

    Asynchronous evaluators run on the event loop. LangSmith's client has no asynchronous form of
    what is needed here, so it is called in threads.
    """
    given = inspect.signature(evaluate_dataset).bind(*args, **kwargs)
    given.apply_defaults()
    return await arun_steps(evaluate_in_steps(Plan(**given.arguments)))
