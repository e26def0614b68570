"""`evaluate_dataset`: a Function over a data set, or a judge over an experiment, in one job."""

from __future__ import annotations

import uuid
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, cast

from langchain_sutro._exports import exported_from
from langchain_sutro._service import Steps, arun_steps, blocking, run_steps
from langchain_sutro._tracing import active_context
from langchain_sutro.errors import SutroConfigurationError, SutroInputError
from langchain_sutro.evaluation.fields import FieldMapping
from langchain_sutro.evaluation.jobs import JobRows, RowsDone, run_job
from langchain_sutro.evaluation.langsmith import EVALUATORS, Experiment, load_examples
from langchain_sutro.evaluation.plan import Plan
from langchain_sutro.evaluation.results import ExperimentResults, ExperimentRow
from langchain_sutro.evaluation.scores import about, flat, score_rows, summarize
from langchain_sutro.functions import SutroFunction, answer_form

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import timedelta

    from langsmith import Client
    from langsmith.evaluation import RunEvaluator
    from langsmith.run_trees import RunTree
    from langsmith.schemas import Example, Run

    from langchain_sutro._results import BatchResults
    from langchain_sutro._tracing import TraceContext
    from langchain_sutro.evaluation.evaluator import SutroEvaluator
    from langchain_sutro.evaluation.fields import FieldSpec

__all__ = ["aevaluate_dataset", "evaluate_dataset"]

_TARGET = "target"


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
        target,
        data,
        experiment,
        evaluators,
        summary_evaluators,
        fields,
        experiment_name,
        experiment_prefix,
        description,
        metadata,
        num_repetitions,
        max_concurrency,
        job_priority,
        reuse_jobs,
        progress,
        upload_results,
        client,
    )
    return run_steps(_evaluation(plan))


@exported_from("langchain_sutro")
async def aevaluate_dataset(
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
    """`evaluate_dataset` on the running event loop.

    Asynchronous evaluators run on it; LangSmith's client, which has no asynchronous form for this,
    works in threads.
    """
    plan = Plan(
        target,
        data,
        experiment,
        evaluators,
        summary_evaluators,
        fields,
        experiment_name,
        experiment_prefix,
        description,
        metadata,
        num_repetitions,
        max_concurrency,
        job_priority,
        reuse_jobs,
        progress,
        upload_results,
        client,
    )
    return await arun_steps(_evaluation(plan))


@dataclass
class _Study:
    """An evaluation under way."""

    plan: Plan
    experiment: Experiment
    rows: list[ExperimentRow] = field(default_factory=list)
    jobs: dict[str, BatchResults] = field(default_factory=dict)

    def job(self, name: str, rows: JobRows) -> Steps[RowsDone]:
        """One job of this evaluation."""
        done = yield from run_job(
            self.experiment,
            name,
            rows,
            reuse=self.plan.reuse_jobs,
            progress=self.plan.progress,
        )
        if done.results is not None:
            self.jobs[name] = done.results
        return done


def _evaluation(plan: Plan) -> Steps[ExperimentResults]:
    """The whole course, as steps."""
    if isinstance(plan.target, SutroFunction):
        study = yield from _run_function(plan, plan.target)
    else:
        study = yield blocking(_take_experiment, plan)
    for judge in plan.judges:
        yield from _judge(study, judge)
    if plan.others:
        yield score_rows(
            study.experiment,
            study.rows,
            plan.others,
            max_concurrency=plan.max_concurrency,
            progress=plan.progress,
        )
    summary = yield blocking(summarize, study.experiment, study.rows, plan.summary_evaluators)
    yield blocking(study.experiment.close, ended=plan.experiment is None)
    return ExperimentResults(
        study.rows,
        experiment_name=study.experiment.name,
        experiment_id=study.experiment.id,
        url=study.experiment.url,
        summary_feedback=summary,
        jobs=study.jobs,
    )


def _run_function(plan: Plan, function: SutroFunction) -> Steps[_Study]:
    """The Function over the data set, recorded as an experiment."""
    mapping = None if plan.fields is None else FieldMapping.of(plan.fields)
    examples = yield blocking(load_examples, plan.data, lambda: plan.client)
    study = _Study(plan, (yield blocking(_open, plan, function, examples)))
    repeated = [(one, number) for number in range(plan.num_repetitions) for one in examples]
    makers = [partial(_input, example, mapping) for example, _ in repeated]
    rows = yield blocking(JobRows.encode, plan.prioritized(function), makers)
    note = study.experiment.note(_TARGET)
    if note is not None and rows.encoded is not None and note.rows_sha256 != rows.encoded.sha256:
        raise SutroConfigurationError(
            f"Experiment {study.experiment.name!r} was begun with other examples, fields or "
            "repetitions: choose another experiment_name."
        )
    done = yield from study.job(_TARGET, rows)
    study.rows = [
        ExperimentRow(
            run=_target_run(study, done, index, example, repetition),
            example=example,
            repetition=repetition,
        )
        for index, (example, repetition) in enumerate(repeated)
    ]
    yield blocking(study.experiment.write_runs, [row.run for row in study.rows])
    return study


def _open(plan: Plan, function: SutroFunction, examples: Sequence[Example]) -> Experiment:
    if not plan.upload:
        return Experiment(None, None)
    if any(one.dataset_id != examples[0].dataset_id for one in examples):
        raise SutroInputError("The examples of one experiment belong to one data set.")
    prefix = plan.experiment_prefix or function.function
    return Experiment.create(
        plan.client,
        plan.experiment_name or f"{prefix}-{uuid.uuid4().hex[:8]}",
        function.function,
        examples,
        description=plan.description,
        metadata=plan.metadata or {},
        num_repetitions=plan.num_repetitions,
        evaluator_keys=plan.keys,
    )


def _input(example: Example, mapping: FieldMapping | None) -> Any:
    """What the Function gets of an example."""
    inputs = example.inputs or {}
    if mapping is None:
        return inputs
    return mapping.row(inputs, None, example.outputs, example=example)


def _target_run(
    study: _Study, done: RowsDone, index: int, example: Example, repetition: int
) -> RunTree:
    context = _trace_context(done.function, study.plan.metadata or {})
    version = example.modified_at.isoformat() if example.modified_at else None
    return done.tree(
        index,
        study.experiment.stable_id(done.started, example.id, repetition),
        name=done.function.get_name(),
        inputs=example.inputs,
        shaped=answer_form(done.function).of,
        project=study.experiment.name,
        metadata={**context.metadata, "example_version": version},
        client=study.experiment.client,
        tags=context.tags,
        reference_example_id=example.id,
    )


def _trace_context(function: SutroFunction, metadata: Mapping[str, Any]) -> TraceContext:
    """What the active trace, the caller and the Function say of each run."""
    return active_context(
        metadata={**metadata, **(function.metadata or {})},
        tags=function.tags,
        enabled=function.forward_trace_context,
        hook=function.trace_context_hook,
    )


def _take_experiment(plan: Plan) -> _Study:
    """An experiment that exists, with its runs and their examples."""
    experiment = Experiment.load(plan.client, str(plan.experiment), upload=plan.upload)
    runs, examples = experiment.runs(plan.client), experiment.examples(plan.client)
    if not runs:
        raise SutroInputError(f"Experiment {plan.experiment} has no runs to judge.")
    seen: Counter[Any] = Counter()
    rows = []
    for one in runs:
        example_id = one.reference_example_id
        example = None if example_id is None else examples.get(example_id)
        rows.append(ExperimentRow(run=one, example=example, repetition=seen[example_id]))
        seen[example_id] += 1
    return _Study(plan, experiment, rows)


def _judge(study: _Study, judge: SutroEvaluator) -> Steps[None]:
    """All rows before one judge, in one job; its verdicts become feedback."""
    name = f"judge:{judge.key}"
    resumed = study.experiment.note(name) is not None
    makers = [partial(judge.row, cast("Run", row.run), row.example) for row in study.rows]
    function = study.plan.prioritized(judge.function)
    done = yield from study.job(name, (yield blocking(JobRows.encode, function, makers)))
    yield blocking(_give_verdicts, study, judge, done, resumed=resumed)


def _give_verdicts(study: _Study, judge: SutroEvaluator, done: RowsDone, *, resumed: bool) -> None:
    experiment = study.experiment
    runs = [_judge_run(study, judge, done, index) for index in range(len(study.rows))]
    if resumed:
        experiment.look_for_runs(EVALUATORS, runs)
    experiment.write_runs(runs)
    for row, source, outcome in zip(study.rows, runs, done.outcomes, strict=True):
        source_id = source.id if experiment.uploads else None
        given = flat(judge.feedback(outcome, source_run_id=source_id), judge.key)
        row.feedback.extend(given)
        experiment.write_feedback(row.run, given)


def _judge_run(study: _Study, judge: SutroEvaluator, done: RowsDone, index: int) -> RunTree:
    row = study.rows[index]
    context = _trace_context(done.function, {})
    return done.tree(
        index,
        study.experiment.stable_id(done.started, row.run.id, judge.key),
        name=judge.key,
        inputs=done.inputs[index],
        shaped=lambda result: result,
        project=EVALUATORS,
        metadata={**context.metadata, "experiment": study.experiment.name, **about(row)},
        client=study.experiment.client,
        tags=context.tags,
    )
