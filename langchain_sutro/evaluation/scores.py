"""Calls LangSmith's evaluators for the rows of an experiment, as `langsmith.evaluate` does."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from langsmith import uuid7
from langsmith.evaluation import EvaluationResult, RunEvaluator
from langsmith.run_helpers import tracing_context
from langsmith.utils import ContextThreadPoolExecutor

from langchain_sutro._core.service import (
    Step,
    Steps,
    arun_steps,
    blocking,
    in_thread,
    run_steps,
    start_all,
)
from langchain_sutro.evaluation.experiment import EVALUATORS, Experiment, judged_ids
from langchain_sutro.functions import named_arguments

if TYPE_CHECKING:
    import uuid

    from langchain_sutro.evaluation.experiment_row import ExperimentRow

__all__ = ["flat", "score_rows", "summarize"]

_log = logging.getLogger(__name__)


def score_rows(
    experiment: Experiment,
    rows: Sequence[ExperimentRow],
    evaluators: Sequence[RunEvaluator],
    *,
    max_concurrency: int,
    progress: bool,
) -> Steps[None]:
    """Call the evaluators for each row, and attach their feedback.

    Args:
        experiment: The experiment that gets the feedback.
        rows: Its rows, which get the feedback too.
        evaluators: The evaluators, called one after the other for a row.
        max_concurrency: How many rows are evaluated at the same time.
        progress: Whether to show a progress bar.
    """
    with _bar(len(rows), shown=progress) as advance:

        def one(row: ExperimentRow) -> Steps[None]:
            given = yield from _score(experiment, evaluators, row)
            row.feedback.extend(given)
            yield blocking(experiment.write_feedback, row.run, given)
            advance()

        yield _together([partial(one, row) for row in rows], max(max_concurrency, 1))
    _log_failures(rows)


def _together(works: Sequence[Callable[[], Steps[None]]], at_once: int) -> Step[None]:
    """Carry out several pieces of work, some at the same time."""

    def now() -> None:
        with ContextThreadPoolExecutor(max_workers=at_once) as threads:
            for done in start_all(threads, lambda work: run_steps(work()), works):
                done.result()

    async def later() -> None:
        limit = asyncio.Semaphore(at_once)

        async def one(work: Callable[[], Steps[None]]) -> None:
            async with limit:
                await arun_steps(work())

        async with asyncio.TaskGroup() as tasks:
            for work in works:
                tasks.create_task(one(work))

    return Step(now, later)


def _log_failures(rows: Sequence[ExperimentRow]) -> None:
    """Log failures once for each key; the feedback itself has the reason."""
    said = (one for row in rows for one in row.feedback)
    for key, count in Counter(one.key for one in said if (one.extra or {}).get("error")).items():
        _log.warning("%r could not be judged for %s of %s rows.", key, f"{count:,}", len(rows))


def _score(
    experiment: Experiment, evaluators: Sequence[RunEvaluator], row: ExperimentRow
) -> Steps[list[EvaluationResult]]:
    found: list[EvaluationResult] = []
    for evaluator in evaluators:
        given = experiment.given(row.run, evaluator.feedback_keys)
        if given is None:
            source = uuid7()
            try:
                said = yield _call(experiment, evaluator, row, source)
                given = flat(said, _name(evaluator))
            except Exception as error:  # noqa: BLE001 - an evaluator may raise anything
                _log.debug("Evaluator %s failed on run %s.", _name(evaluator), row.run.id)
                given = _failed(evaluator.feedback_keys or [_name(evaluator)], error, source)
        found += given
    if not experiment.uploads:
        # The evaluators' runs are not written, so there is nothing to link to.
        found = [one.model_copy(update={"source_run_id": None}) for one in found]
    return found


def _call(
    experiment: Experiment, evaluator: RunEvaluator, row: ExperimentRow, source: uuid.UUID
) -> Step[Any]:
    """Call an evaluator in its own form where there is one.

    LangSmith's own conversions between the two forms lose the id of the evaluator's run.
    """
    judged: Any = (row.run, row.example, source)
    only_async = getattr(evaluator, "is_async", False) and not hasattr(evaluator, "func")
    bridged = type(evaluator).aevaluate_run is RunEvaluator.aevaluate_run
    only_sync = bridged or not getattr(evaluator, "is_async", True)

    def now() -> Any:
        with _context(experiment, judged_ids(row.run, row.example)):
            if only_async:
                return asyncio.run(evaluator.aevaluate_run(*judged))
            return evaluator.evaluate_run(*judged)

    async def later() -> Any:
        with _context(experiment, judged_ids(row.run, row.example)):
            if only_sync:
                return await in_thread(evaluator.evaluate_run, *judged)
            return await evaluator.aevaluate_run(*judged)

    return Step(now, later)


def summarize(
    experiment: Experiment,
    rows: Sequence[ExperimentRow],
    evaluators: Sequence[Callable[..., Any]],
) -> list[EvaluationResult]:
    """Call the evaluators of the experiment as a whole, and attach their feedback."""
    found: list[EvaluationResult] = []
    for evaluator in evaluators:
        name = getattr(evaluator, "__name__", type(evaluator).__name__)
        with _context(experiment, {}):
            try:
                found += flat(_call_summary(evaluator, rows), name)
            except Exception:  # noqa: BLE001 - as in langsmith.evaluate, the rows are kept
                _log.exception("Summary evaluator %s failed.", name)
    experiment.write_summary(found)
    return found


def _call_summary(evaluator: Callable[..., Any], rows: Sequence[ExperimentRow]) -> Any:
    """Pass the arguments that it names; without such names, the runs and the examples."""
    known = {
        "runs": [row.run for row in rows],
        "examples": [row.example for row in rows],
        "inputs": [row.inputs for row in rows],
        "outputs": [row.outputs for row in rows],
        "reference_outputs": [row.reference for row in rows],
    }
    names = named_arguments(evaluator, tuple(known))
    if names:
        return evaluator(**{name: known[name] for name in names})
    return evaluator(known["runs"], known["examples"])


def _failed(
    keys: Iterable[str], error: Exception, source: uuid.UUID | None
) -> list[EvaluationResult]:
    """Feedback without a score whose comment is the error, as `langsmith.evaluate` gives it."""
    return [
        EvaluationResult(key=key, source_run_id=source, comment=repr(error), extra={"error": True})
        for key in keys
    ]


def flat(said: Any, key: str) -> list[EvaluationResult]:
    """Whatever an evaluator returned, as a list.

    Args:
        said: One or several results, a number, a string or a dict.
        key: The feedback key of results that have none.

    Raises:
        TypeError: An evaluator may not return this.
    """
    if isinstance(said, EvaluationResult):
        return [said]
    if isinstance(said, Mapping) and "results" in said:
        said = said["results"]
    if isinstance(said, list | tuple):
        return [one for part in said for one in flat(part, key)]
    if isinstance(said, bool | int | float):
        return [EvaluationResult(key=key, score=said)]
    if isinstance(said, str):
        return [EvaluationResult(key=key, value=said)]
    if isinstance(said, Mapping):
        return [EvaluationResult(**{"key": key, **said})]
    raise TypeError(f"An evaluator may not return {type(said).__name__}.")


@contextmanager
def _context(experiment: Experiment, metadata: Mapping[str, Any]) -> Iterator[None]:
    """Trace evaluators in the same project as `langsmith.evaluate` does."""
    if not experiment.uploads:
        with tracing_context(enabled=False):
            yield
        return
    with tracing_context(
        project_name=EVALUATORS,
        metadata={"experiment": experiment.name, **metadata},
        parent=False,
        enabled=True,
        client=experiment.client,
    ):
        yield


def _name(evaluator: RunEvaluator) -> str:
    return getattr(evaluator, "__name__", None) or type(evaluator).__name__


@contextmanager
def _bar(rows: int, *, shown: bool) -> Iterator[Callable[[], Any]]:
    if not shown:
        yield lambda: None
        return
    from tqdm.auto import tqdm  # noqa: PLC0415 - only for a bar that is shown

    with tqdm(total=rows, desc="evaluators", unit="row") as bar:
        yield bar.update
