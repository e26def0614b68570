"""The course of an evaluation: rows go through a job, verdicts become feedback."""

from __future__ import annotations

import logging
import uuid
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from langchain_sutro._core.service import Steps, blocking
from langchain_sutro.errors import SutroInputError
from langchain_sutro.evaluation.examples import load_examples
from langchain_sutro.evaluation.experiment import EVALUATORS, Experiment
from langchain_sutro.evaluation.experiment_row import ExperimentRow
from langchain_sutro.evaluation.fields import FieldMapping
from langchain_sutro.evaluation.jobs import EvaluatedRows, run_job
from langchain_sutro.evaluation.results import ExperimentResults
from langchain_sutro.evaluation.row_runs import judge_runs, target_runs
from langchain_sutro.evaluation.scores import flat, score_rows, summarize
from langchain_sutro.functions import SutroFunction

if TYPE_CHECKING:
    from collections.abc import Sequence

    from langsmith.schemas import Example, Run

    from langchain_sutro._core.results import BatchResults
    from langchain_sutro.evaluation.evaluator import SutroEvaluator
    from langchain_sutro.evaluation.plan import Plan

__all__ = ["evaluate_in_steps"]

_log = logging.getLogger(__name__)

_TARGET = "target"


def evaluate_in_steps(plan: Plan) -> Steps[ExperimentResults]:
    """Carry out a whole evaluation.

    Args:
        plan: What was asked for.

    Raises:
        SutroError: As `evaluate_dataset` does.
    """
    if isinstance(plan.target, SutroFunction):
        study = yield from _run_function(plan, plan.target)
    else:
        study = yield blocking(_load_experiment, plan)
    for judge in plan.judges:
        yield from _judge(study, judge)
    if plan.others:
        yield from score_rows(
            study.experiment,
            study.rows,
            plan.others,
            max_concurrency=plan.max_concurrency,
            progress=plan.progress,
        )
    summary = yield blocking(summarize, study.experiment, study.rows, plan.summary_evaluators)
    yield blocking(study.experiment.close, ended=plan.experiment is None)
    results = ExperimentResults(
        study.rows,
        experiment_name=study.experiment.name,
        experiment_id=study.experiment.id,
        url=study.experiment.url,
        summary_feedback=summary,
        jobs=study.jobs,
        refused=study.experiment.refused,
    )
    for warning in results.warnings:
        _log.warning("%s", warning)
    return results


@dataclass
class _Study:
    """An evaluation in progress."""

    plan: Plan
    experiment: Experiment
    rows: list[ExperimentRow] = field(default_factory=list)
    jobs: dict[str, BatchResults] = field(default_factory=dict)

    def note_job(self, name: str, done: EvaluatedRows) -> None:
        """Keep the results of a job."""
        if done.results is not None:
            self.jobs[name] = done.results


def _run_function(plan: Plan, function: SutroFunction) -> Steps[_Study]:
    """Run the Function over the data set, recorded as an experiment."""
    mapping = None if plan.fields is None else FieldMapping.of(plan.fields)
    examples = yield blocking(
        load_examples, plan.data, lambda: plan.langsmith, upload=plan.upload_results
    )
    study = _Study(plan, (yield blocking(_create_experiment, plan, function, examples)))
    repeated = [(one, number) for number in range(plan.num_repetitions) for one in examples]
    make_rows = [partial(_input, example, mapping) for example, _ in repeated]
    done = yield from run_job(
        study.experiment, _TARGET, function, make_rows, plan.jobs, same_rows=True
    )
    study.note_job(_TARGET, done)
    runs = target_runs(study.experiment, done, repeated, plan.metadata or {})
    study.rows = [
        ExperimentRow(run=run, example=example, repetition=repetition)
        for run, (example, repetition) in zip(runs, repeated, strict=True)
    ]
    yield blocking(study.experiment.write_runs, runs)
    return study


def _create_experiment(
    plan: Plan, function: SutroFunction, examples: Sequence[Example]
) -> Experiment:
    if not plan.upload_results:
        return Experiment(None, None)
    if any(one.dataset_id != examples[0].dataset_id for one in examples):
        raise SutroInputError("The examples of an experiment must belong to one data set.")
    prefix = plan.experiment_prefix or function.function
    return Experiment.create(
        plan.langsmith,
        plan.experiment_name or f"{prefix}-{uuid.uuid4().hex[:8]}",
        function.function,
        examples,
        description=plan.description,
        metadata=plan.metadata or {},
        num_repetitions=plan.num_repetitions,
        evaluator_keys=plan.keys,
    )


def _input(example: Example, mapping: FieldMapping | None) -> Any:
    """The Function's input for an example."""
    inputs = example.inputs or {}
    if mapping is None:
        return inputs
    return mapping.row(inputs, None, example.outputs, example=example)


def _load_experiment(plan: Plan) -> _Study:
    """An existing experiment with its runs and their examples."""
    experiment = Experiment.load(plan.langsmith, str(plan.experiment), upload=plan.upload_results)
    runs, examples = experiment.runs(plan.langsmith), experiment.examples(plan.langsmith)
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
    """Have a judge look at all rows in one job; its verdicts become feedback."""
    name = f"judge:{judge.key}"
    make_rows = [partial(judge.row, cast("Run", row.run), row.example) for row in study.rows]
    done = yield from run_job(study.experiment, name, judge.function, make_rows, study.plan.jobs)
    study.note_job(name, done)
    yield blocking(_write_verdicts, study, judge, done)


def _write_verdicts(study: _Study, judge: SutroEvaluator, done: EvaluatedRows) -> None:
    experiment = study.experiment
    runs = judge_runs(experiment, done, study.rows, judge.key)
    if done.resumed:
        experiment.look_for_runs(EVALUATORS, runs)
    experiment.write_runs(runs)
    for row, source, outcome in zip(study.rows, runs, done.outcomes, strict=True):
        source_id = source.id if experiment.uploads else None
        given = flat(judge.feedback(outcome, source_run_id=source_id), judge.key)
        row.feedback.extend(given)
        experiment.write_feedback(row.run, given)
