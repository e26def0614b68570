"""The rows of an evaluation's jobs as LangSmith runs, each the root of its own trace."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from langchain_sutro._core.tracing import (
    TraceContext,
    active_context,
    job_usage,
    row_facts,
    row_run,
    run_inputs,
    traced_outputs,
)
from langchain_sutro.errors import SutroError, SutroRowError
from langchain_sutro.evaluation.experiment import EVALUATORS, Experiment, judged_ids
from langchain_sutro.functions import answer_form

if TYPE_CHECKING:
    import uuid
    from collections.abc import Sequence

    from langsmith.run_trees import RunTree
    from langsmith.schemas import Example

    from langchain_sutro.evaluation.experiment_row import ExperimentRow
    from langchain_sutro.evaluation.jobs import EvaluatedRows
    from langchain_sutro.functions import SutroFunction

__all__ = ["judge_runs", "shown_outputs", "target_runs", "trace_context"]


def target_runs(
    experiment: Experiment,
    done: EvaluatedRows,
    examples: Sequence[tuple[Example, int]],
    metadata: Mapping[str, Any],
) -> list[RunTree]:
    """The runs of the Function under test, not sent yet.

    Args:
        experiment: The experiment that they belong to.
        done: The rows of the job.
        examples: The example of each row, and which repetition of it the row is.
        metadata: The caller's metadata of the experiment.
    """
    function = done.function
    context = trace_context(function, metadata)
    runs = _RowRuns(experiment, done, function.get_name(), experiment.name, context)
    return [
        runs.of(
            index,
            experiment.stable_id(done.started, example.id, repetition),
            inputs=example.inputs,
            metadata={"example_version": _version(example)},
            reference_example_id=example.id,
        )
        for index, (example, repetition) in enumerate(examples)
    ]


def judge_runs(
    experiment: Experiment, done: EvaluatedRows, judged: Sequence[ExperimentRow], key: str
) -> list[RunTree]:
    """The runs of a judge, not sent yet.

    Args:
        experiment: The experiment that is judged.
        done: The rows of the judge's job.
        judged: What each row judges.
        key: The judge's feedback key.
    """
    context = trace_context(done.function, {})
    runs = _RowRuns(experiment, done, key, EVALUATORS, context)
    return [
        runs.of(
            index,
            experiment.stable_id(done.started, row.run.id, key),
            inputs=done.inputs[index],
            metadata={"experiment": experiment.name, **judged_ids(row.run, row.example)},
        )
        for index, row in enumerate(judged)
    ]


@dataclass(frozen=True)
class _RowRuns:
    """What the runs of one job have in common."""

    experiment: Experiment
    done: EvaluatedRows
    name: str
    project: str | None
    context: TraceContext

    def of(
        self,
        index: int,
        run_id: uuid.UUID,
        *,
        inputs: Any,
        metadata: Mapping[str, Any],
        reference_example_id: uuid.UUID | None = None,
    ) -> RunTree:
        """The run of a row.

        Start times are a microsecond apart, so that LangSmith keeps the order of the rows.
        """
        done, value = self.done, self._value(index)
        failed = isinstance(value, Exception)
        start = done.started + timedelta(microseconds=index)
        known = {**self.context.metadata, **metadata}
        return row_run(
            self._facts(index, value if failed else done.outcomes[index]),
            function=done.function.function,
            run_id=run_id,
            name=self.name[:128],
            inputs=run_inputs(inputs),
            outputs=None if failed else shown_outputs(value),
            error=repr(value) if failed else None,
            start=start,
            end=max(done.ended, start),
            context=TraceContext(
                {key: one for key, one in known.items() if one is not None}, self.context.tags
            ),
            project_name=self.project or "local",
            reference_example_id=reference_example_id,
            client=self.experiment.client,
        )

    def _facts(self, index: int, outcome: Any) -> dict[str, Any]:
        """The facts of a row, and with the first row of the job those of the whole job."""
        done = self.done
        if done.results is None:
            return row_facts(done.job_id, index, outcome)
        facts = row_facts(done.job_id, index, outcome, done.results.model)
        if done.reused or index != min(done.job_rows):
            return facts
        return {**facts, **job_usage(done.results.totals, len(done.results))}

    def _value(self, index: int) -> Any:
        """What the user of the Function gets for a row: a value or an error."""
        done, outcome = self.done, self.done.outcomes[index]
        if isinstance(outcome, Exception):
            return outcome
        try:
            return answer_form(done.function).of(
                outcome, job_id=done.job_id, row_index=done.job_rows[index]
            )
        except SutroRowError as error:
            return error.at_row(index)
        except SutroError as error:
            return error


def shown_outputs(value: Any) -> dict[str, Any]:
    """A result as a run's outputs, in the form that `langsmith.evaluate` gives it.

    Args:
        value: What the user of the Function gets for a row.
    """
    if hasattr(value, "model_dump"):
        return {"output": value.model_dump(mode="json", by_alias=True)}
    return traced_outputs(value) if isinstance(value, Mapping) else {"output": value}


def _version(example: Example) -> str | None:
    return example.modified_at.isoformat() if example.modified_at else None


def trace_context(function: SutroFunction, metadata: Mapping[str, Any]) -> TraceContext:
    """What the active trace, the caller and the Function add to each run.

    Args:
        function: The Function.
        metadata: The caller's.
    """
    return active_context(
        metadata={**metadata, **(function.metadata or {})},
        tags=function.tags,
        enabled=function.forward_trace_context,
        hook=function.trace_context_hook,
    )
