"""The runs that one call judges: their rows, their jobs, and the feedback that is written."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

from langsmith.utils import LangSmithError

from langchain_sutro._core.results import model_warnings
from langchain_sutro._core.rows import dump_row, spool_rows
from langchain_sutro._core.service import Step, Steps, blocking
from langchain_sutro._core.tracing import (
    TraceContext,
    job_usage,
    row_facts,
    row_run,
    run_inputs,
    stable_id,
)
from langchain_sutro.errors import SutroInputError, SutroJobError, SutroValidationError
from langchain_sutro.evaluation.client_failures import client_failures
from langchain_sutro.evaluation.experiment import EVALUATORS, Experiment, RunRef, judged_ids
from langchain_sutro.evaluation.jobs import noted_job, results_of
from langchain_sutro.evaluation.judge_answers import JudgeAnswer, JudgeAnswers, answer_of
from langchain_sutro.evaluation.ledger import Chosen
from langchain_sutro.evaluation.row_runs import shown_outputs, trace_context
from langchain_sutro.evaluation.threads import read_threads
from langchain_sutro.evaluation.traced_runs import select_runs
from langchain_sutro.functions import check_row

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from langsmith import Client
    from langsmith.evaluation import EvaluationResult
    from langsmith.run_trees import RunTree
    from langsmith.schemas import Run, TracerSession

    from langchain_sutro._core.jobs import SutroJob
    from langchain_sutro._core.results import BatchResults
    from langchain_sutro._core.rows import SpooledRows
    from langchain_sutro.evaluation.evaluator import SutroEvaluator
    from langchain_sutro.evaluation.jobs import JobOptions
    from langchain_sutro.evaluation.judged_runs import JudgedRuns
    from langchain_sutro.evaluation.ledger import Ledger
    from langchain_sutro.evaluation.traced_runs import RunSelection

__all__ = ["JudgeTask", "choose_runs", "finish_task"]

# So many judge's runs are in memory at once. LangSmith's client queues 10,000 operations and drops
# the rest, so it is flushed in between.
_PORTION = 500
# Seconds between attempts to write a portion.
_PAUSES = (1, 2, 4, 8, 16, 32)
# How often the service may refuse some inputs before the rest counts as refused too.
_MOST_REFUSALS = 20


@dataclass(frozen=True)
class JudgeTask:
    """What one judge has to do.

    Attributes:
        client: LangSmith's client.
        project: The project of the runs.
        judge: The judge.
        version: What its feedback keys end with, if anything.
        ledger: What is remembered on this machine.
    """

    client: Client
    project: TracerSession
    judge: SutroEvaluator
    version: str | None
    ledger: Ledger

    @property
    def key(self) -> str:
        """The feedback key of its verdicts."""
        return self.versioned(self.judge.key)

    def versioned(self, key: str) -> str:
        """A feedback key of this version."""
        return key if self.version is None else f"{key}_{self.version}"

    def is_done(self, run: Run) -> bool:
        """Whether the judge has judged a run."""
        return self.key in (run.feedback_stats or {}) or self.ledger.knows(run.id)

    def known(self, run: Run) -> JudgeAnswer:
        """What the judge said in an earlier call, as LangSmith's statistics show it."""
        verdict, *others = (_only(run, self.versioned(key)) for key in self.judge.feedback_keys)
        return JudgeAnswer(verdict, confidence=others[0] if others else None)

    def choose(self, run: Run, index: int) -> None:
        """Note a run to judge, with the input that it makes.

        Args:
            run: The run.
            index: Its index among those that are judged.
        """
        session_id = run.session_id or self.project.id
        ref = RunRef(run.id, run.trace_id or run.id, session_id, run.start_time)
        try:
            row = check_row(self.judge.function, self.judge.row(run), index)
            chosen = Chosen(ref, dump_row(row))
        except Exception as error:  # noqa: BLE001 - a callable of the user's may raise anything
            chosen = Chosen(ref, None, repr(error))
        self.ledger.choose(chosen)


def _only(run: Run, key: str) -> float | None:
    """The score of the only feedback of a key; a mean of several is nobody's."""
    stats = (run.feedback_stats or {}).get(key) or {}
    return stats.get("avg") if stats.get("n") == 1 else None


class _NoInput(Exception):  # noqa: N818 - it stands for an error of another class
    """Why no input could be made of a run, in the words of the error that was raised then."""

    def __repr__(self) -> str:
        return str(self)


def choose_runs(
    tasks: Sequence[JudgeTask],
    selection: RunSelection,
    idle: timedelta | None,
    limit: int | None,
    found: JudgedRuns,
) -> None:
    """Choose the runs, and remember them before anything is paid for.

    Args:
        tasks: The judges.
        selection: Which runs are looked at.
        idle: How long ago the last run of a thread must have ended; None to judge single runs.
        limit: How many are chosen at most; None for all.
        found: What the call has done.
    """
    pairs = _single_runs if idle is None else partial(_threads, idle=idle)
    for index, (run, undone) in enumerate(islice(pairs(tasks, selection, found), limit)):
        for task in undone:
            task.choose(run, index)
    for task in tasks:
        task.ledger.save()


def _single_runs(
    tasks: Sequence[JudgeTask], selection: RunSelection, found: JudgedRuns
) -> Iterator[tuple[Run, list[JudgeTask]]]:
    """The runs that have to be judged, and by which judges."""
    for run in select_runs(tasks[0].client, selection):
        if undone := _undone(tasks, run, found):
            yield run, undone


def _threads(
    tasks: Sequence[JudgeTask], selection: RunSelection, found: JudgedRuns, idle: timedelta
) -> Iterator[tuple[Run, list[JudgeTask]]]:
    """The same with whole threads. The feedback of a thread is that of its last run."""
    with read_threads(tasks[0].client, selection, idle) as threads:
        for group in threads.finished():
            undone = {thread: _undone(tasks, run, found) for thread, run in group}
            open_ = [thread for thread, left in undone.items() if left]
            runs = threads.conversations(open_)
            yield from ((run, undone[thread]) for thread, run in zip(open_, runs, strict=True))


def _undone(tasks: Sequence[JudgeTask], run: Run, found: JudgedRuns) -> list[JudgeTask]:
    found.selected += 1
    undone = []
    for task in tasks:
        if task.is_done(run):
            found.skipped[task.key] = found.skipped.get(task.key, 0) + 1
            answers = found.answers.setdefault(task.key, JudgeAnswers())
            answers.add(run.id, run.start_time, task.known(run))
        else:
            undone.append(task)
    return undone


def finish_task(
    task: JudgeTask,
    found: JudgedRuns,
    options: JobOptions,
    max_cost: float | None,
    *,
    resumed: bool,
) -> Steps[None]:
    """Have the chosen runs judged, and write what the judge says.

    Args:
        task: The judge.
        found: What the call has done.
        options: How to run the job.
        max_cost: In USD; None for any.
        resumed: Whether an earlier call chose the runs, and may have written some verdicts.
    """
    ledger, key = task.ledger, task.key
    if not len(ledger):
        return
    results, started = None, datetime.now(UTC)
    if ledger.sendable:
        job, started = yield from _job(task, options, max_cost)
        results = yield results_of(job, task.judge.function, options)
        found.jobs.setdefault(key, []).append(job.job_id)
        found.cost += results.totals["job_cost"] or 0
        models = [one for one in (ledger.model, results.model) if one is not None]
        found.warnings += model_warnings(models, f"Judge {key!r}")
    verdicts = _Verdicts(task, results, started)
    yield blocking(partial(verdicts.write, found, resumed=resumed))
    yield blocking(ledger.done, None if results is None else results.model)


def _job(
    task: JudgeTask, options: JobOptions, max_cost: float | None
) -> Steps[tuple[SutroJob, datetime]]:
    """The job of the chosen runs, without those whose input the service refuses.

    Raises:
        SutroJobError: It is estimated to cost too much.
        SutroError: The service cannot be asked, or refuses. If it refuses all inputs, the next call
            chooses anew, since their fields may have been corrected by then.
    """
    ledger, refusals = task.ledger, 0
    while True:
        encoded: SpooledRows = yield blocking(spool_rows, ledger.inputs())
        with encoded:
            note = ledger.note
            try:
                if note is None and max_cost is not None:
                    yield from _check_cost(task, encoded, max_cost)
                function = task.judge.function
                found: tuple[SutroJob, datetime] = yield from noted_job(
                    ledger, task.key, function, encoded, note, options
                )
            except SutroValidationError as error:
                refusals += 1
                refused = error.rows if refusals <= _MOST_REFUSALS else {}
                if not (yield blocking(ledger.refuse, refused)):
                    yield blocking(ledger.drop)
                    raise
            except SutroInputError:
                yield blocking(ledger.drop)
                raise
            else:
                return found


def _check_cost(task: JudgeTask, rows: SpooledRows, limit: float) -> Steps[None]:
    """Ask for the service's estimate.

    Raises:
        SutroJobError: It is too high, or there is none.
    """
    judge, function = task.judge, task.judge.function
    try:
        job = yield Step(
            partial(function.submit, rows, dry_run=True),
            partial(function.asubmit, rows, dry_run=True),
        )
        cost = yield Step(job.cost_estimate, job.acost_estimate)
    except SutroJobError:
        yield blocking(task.ledger.drop)
        raise
    if cost is None or cost > limit:
        # The next call may choose fewer runs.
        yield blocking(task.ledger.drop)
        said = "gives no estimate" if cost is None else f"estimates {cost:.4f} USD"
        raise SutroJobError(
            f"Judge {judge.key!r}: the service {said} for {rows.count:,} rows, and max_cost is "
            f"{limit:g} USD. Nothing was judged.",
            job_id=job.job_id,
        )


@dataclass(frozen=True)
class _Verdict:
    """What a judge says of one run.

    Attributes:
        chosen: The run.
        outcome: The payload, or the error.
        run: The judge's run, not sent yet; None if the judge was not asked.
    """

    chosen: RunRef
    outcome: Any
    run: RunTree | None


@dataclass
class _Verdicts:
    """What a judge says of its runs, on the way to LangSmith.

    Attributes:
        task: The judge.
        results: Those of its job; None if no row could be sent.
        started: When the job was first submitted, from which the ids of the judge's runs follow.
    """

    task: JudgeTask
    results: BatchResults | None
    started: datetime

    def write(self, found: JudgedRuns, *, resumed: bool) -> None:
        """Write all of it, portion by portion, except what an earlier call has written."""
        ledger = self.task.ledger
        written = ledger.written
        outcomes = iter(self.results if self.results is not None else ())
        start, sent = 0, 0
        while portion := ledger.chosen(start, _PORTION):
            inputs = sum(chosen.input is not None for chosen in portion)
            if start + len(portion) <= written:
                next(islice(outcomes, inputs, inputs), None)
            else:
                verdicts = self._verdicts(portion, start, sent, outcomes)
                self._write_portion(verdicts, found, resumed=resumed)
                ledger.mark_written(start + len(portion))
            start, sent = start + len(portion), sent + inputs

    def _verdicts(
        self, portion: Sequence[Chosen], start: int, sent: int, outcomes: Iterator[Any]
    ) -> list[_Verdict]:
        found = []
        for index, chosen in enumerate(portion, start):
            if chosen.input is None:
                found.append(_Verdict(chosen.run, _NoInput(chosen.error), None))
                continue
            outcome = next(outcomes)
            run = self._run(index, chosen.run, chosen.row, outcome, is_first=sent == 0)
            found.append(_Verdict(chosen.run, outcome, run))
            sent += 1
        return found

    def _write_portion(
        self, verdicts: Sequence[_Verdict], found: JudgedRuns, *, resumed: bool
    ) -> None:
        given = [(one, self._feedback(one)) for one in verdicts]
        for pause in _PAUSES:
            with client_failures() as failures:
                refused = self._send(given, look_first=resumed)
            if not failures:
                break
            # Such as a rate limit that lasted longer than the client's own patience.
            time.sleep(pause)
            resumed = True
        else:
            raise LangSmithError(
                f"LangSmith does not accept the feedback of judge {self.task.key!r}; its client "
                "has logged why. The next call writes what is missing, without another job."
            )
        found.refused += refused
        for one, results in given:
            self._count(one, results, found)

    def _send(
        self, given: Sequence[tuple[_Verdict, list[EvaluationResult]]], *, look_first: bool
    ) -> int:
        """Send runs and feedback, except what was sent before; how much was refused."""
        # It remembers what it wrote, so there is a new one each time.
        experiment = Experiment(self.task.client, self.task.project)
        runs = [one.run for one, _ in given if one.run is not None]
        if look_first:
            experiment.look_for_runs(EVALUATORS, runs)
            experiment.look_for_feedback([one.chosen.id for one, _ in given])
        experiment.write_runs(runs)
        for one, results in given:
            experiment.write_feedback(one.chosen, results)
        experiment.close(ended=False)
        return experiment.refused

    def _feedback(self, one: _Verdict) -> list[EvaluationResult]:
        source = None if one.run is None else one.run.id
        results = self.task.judge.feedback(one.outcome, source_run_id=source)["results"]
        for result in results:
            result.key = self.task.versioned(result.key)
        return results

    def _count(self, one: _Verdict, results: Sequence[EvaluationResult], found: JudgedRuns) -> None:
        key = self.task.key
        answers = found.answers.setdefault(key, JudgeAnswers())
        answers.add(one.chosen.id, one.chosen.start_time, answer_of(results))
        found.judged[key] = found.judged.get(key, 0) + 1
        if (results[0].extra or {}).get("error"):
            found.failed[key] = found.failed.get(key, 0) + 1

    def _run(self, index: int, ref: RunRef, row: Any, outcome: Any, *, is_first: bool) -> RunTree:
        """The judge's run, not sent yet."""
        task, results = self.task, self.results
        function = task.judge.function
        context = trace_context(function, {})
        failed = isinstance(outcome, Exception)
        job_id = None if results is None else results.job_id
        facts = row_facts(job_id, index, outcome, None if results is None else results.model)
        if results is not None and is_first:
            facts |= job_usage(results.totals, len(results))
        start = self.started + timedelta(microseconds=index)
        return row_run(
            facts,
            function=function.function,
            run_id=stable_id(self.started, task.project.id, ref.id, task.judge.key),
            name=task.key[:128],
            inputs=run_inputs(row),
            outputs=None if failed else shown_outputs(outcome),
            error=repr(outcome) if failed else None,
            start=start,
            end=max(datetime.now(UTC), start),
            context=TraceContext({**context.metadata, **judged_ids(ref, None)}, context.tags),
            project_name=EVALUATORS,
            client=task.client,
        )
