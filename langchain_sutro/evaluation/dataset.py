"""`evaluate_dataset`: run a Function over a data set, or a judge over an experiment, in one job."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Literal

from langchain_sutro._core.exports import exported_from
from langchain_sutro._core.service import arun_steps, run_steps
from langchain_sutro.evaluation.asynchronous import asynchronous_form_of
from langchain_sutro.evaluation.plan import Plan
from langchain_sutro.evaluation.study import evaluate_in_steps

if TYPE_CHECKING:
    import uuid
    from collections.abc import Callable, Mapping, Sequence
    from datetime import timedelta

    from langsmith import Client
    from langsmith.evaluation import RunEvaluator

    from langchain_sutro.evaluation.evaluator import SutroEvaluator
    from langchain_sutro.evaluation.fields import FieldSpec
    from langchain_sutro.evaluation.results import ExperimentResults
    from langchain_sutro.functions import SutroFunction

__all__ = ["aevaluate_dataset", "evaluate_dataset"]


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

    Runs a Function over a data set, recorded as a LangSmith experiment with one root run for each
    example; or runs a judge over an existing `experiment`, whose runs get its verdicts as feedback.
    Every `SutroEvaluator` judges all rows in one job. Other evaluators are called for each row, as
    `langsmith.evaluate` does.

    To continue after an interruption, call it again with the same `experiment_name` or the same
    `experiment`: it finds the jobs that were submitted, and writes what is missing. Runs and
    feedback are never written twice. To judge an experiment again, use a judge with another key.

    Args:
        target: The Function under test, or the judge of an `experiment`.
        data: A LangSmith data set (its name, id or object), or examples of one.
        experiment: Name or id of the experiment to judge, instead of `data`.
        evaluators: What `langsmith.evaluate` takes: callables of `(run, example)` or of any of
            `inputs`, `outputs`, `reference_outputs`; `RunEvaluator`, `SutroEvaluator`.
        summary_evaluators: Callables of `(runs, examples)` or of lists of the same names.
        fields: Where the Function's input fields come from, as for `SutroEvaluator`; defaults to
            the example's inputs.
        experiment_name: The full name; needed to continue after an interruption.
        experiment_prefix: The start of the name, followed by a random suffix; defaults to the
            Function's name.
        description: Description of the experiment.
        metadata: Metadata of the experiment and its runs.
        num_repetitions: How often each example is run, all in the same job.
        max_concurrency: How many rows the other evaluators judge at the same time; 0 means one
            after the other.
        job_priority: Priority of all jobs; defaults to that of each Function.
        reuse_jobs: Use an earlier job of at most this age with the same Function and rows; defaults
            to the setting of each Function.
        progress: Whether to show progress bars for jobs and evaluators.
        upload_results: False writes nothing to LangSmith; with examples as `data`, nothing is read
            from it either.
        client: LangSmith's client; defaults to one made from the environment.

    Returns:
        The experiment, with one row for each run.

    Raises:
        SutroInputError: There are no examples or runs, or two judges have the same key. A row that
            cannot be sent raises nothing: its error is its result.
        SutroConfigurationError: `experiment_name` belongs to another Function, data set or rows.
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


@exported_from("langchain_sutro")
@asynchronous_form_of(evaluate_dataset)
async def aevaluate_dataset(*args: Any, **kwargs: Any) -> ExperimentResults:
    """The asynchronous form of `evaluate_dataset`, with the same parameters.

    Asynchronous evaluators run on the event loop. LangSmith's client has no asynchronous form of
    what is needed here, so it is called in threads.
    """
    given = inspect.signature(evaluate_dataset).bind(*args, **kwargs)
    given.apply_defaults()
    return await arun_steps(evaluate_in_steps(Plan(**given.arguments)))
