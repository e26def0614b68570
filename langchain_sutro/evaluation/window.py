"""The runs that one call judges: their rows, their jobs, and the feedback that is written."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import IO, TYPE_CHECKING, Any, Literal

import orjson

from langchain_sutro._core.rows import encode_row, spool_rows
from langchain_sutro._core.service import Step, Steps, blocking
from langchain_sutro._core.tracing import (
    TraceContext,
    job_usage,
    row_facts,
    row_run,
    run_inputs,
    stable_id,
)
from langchain_sutro.errors import SutroError, SutroJobError
from langchain_sutro.evaluation.experiment import EVALUATORS, PORTION, Experiment, RunRef
from langchain_sutro.evaluation.jobs import JobOptions, noted_job, results_of
from langchain_sutro.evaluation.judge_answers import JudgeAnswer, JudgeAnswers, answer_of
from langchain_sutro.evaluation.row_runs import shown_outputs, trace_context
from langchain_sutro.evaluation.traced_runs import PAGE, read_runs, select_runs
from langchain_sutro.functions import check_row

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

    from langsmith import Client
    from langsmith.run_trees import RunTree
    from langsmith.schemas import Run, TracerSession

    from langchain_sutro._core.results import BatchResults
    from langchain_sutro._core.rows import SpooledRows
    from langchain_sutro.evaluation.evaluator import SutroEvaluator
    from langchain_sutro.evaluation.judged_runs import JudgedRuns
    from langchain_sutro.evaluation.ledger import Ledger
    from langchain_sutro.evaluation.traced_runs import RunSelection

__all__ = ["JudgedWindow", "finish_window", "open_window"]


@dataclass
class _Rows:
    """The rows of one judge, on disk, and the errors of those that could not be made."""

    file: IO[bytes] = field(default_factory=tempfile.TemporaryFile)
    sent: list[int] = field(default_factory=list)
    errors: dict[int, Exception] = field(default_factory=dict)
    count: int = 0

    def add(self, judge: SutroEvaluator, run: Run | None) -> None:
        """Make the row of a run; None for a run that is gone."""
        index, self.count = self.count, self.count + 1
        if run is None:
            self.errors[index] = SutroError("The run is no longer in LangSmith.")
            return
        try:
            row = encode_row(check_row(judge.function, judge.row(run), index), row_index=index)
        except Exception as error:  # noqa: BLE001 - a callable of the user's may raise anything
            self.errors[index] = error
            return
        self.file.write(orjson.dumps(row) + b"\n")
        self.sent.append(index)

    def read(self) -> Iterator[Any]:
        """The rows that can be sent."""
        self.file.seek(0)
        for line in self.file:
            yield orjson.loads(line)


@dataclass
class JudgedWindow:
    """The runs that are judged together.

    Attributes:
        client: LangSmith's client.
        project: The project of the runs.
        ledger: What is remembered on this machine.
        selection: Which runs are judged, and what is read of them.
        judges: The judges.
        version: What the feedback keys end with, if anything.
        resumed: Whether an earlier call may have written some of it.
    """

    client: Client
    project: TracerSession
    ledger: Ledger
    selection: RunSelection
    judges: list[SutroEvaluator]
    version: str | None
    resumed: bool
    _rows: dict[str, _Rows] = field(default_factory=dict)

    def key(self, key: str) -> str:
        """A feedback key of this version."""
        return key if self.version is None else f"{key}_{self.version}"

    def rows(self, judge: SutroEvaluator) -> _Rows:
        """The rows of a judge; those of an earlier call are made again."""
        key = self.key(judge.key)
        if key not in self._rows:
            refs = self.ledger.pending[key]
            rows = self._rows[key] = _Rows()
            for start in range(0, len(refs), PAGE):
                page = refs[start : start + PAGE]
                found = read_runs(self.client, self.selection, [str(ref.id) for ref in page])
                runs = {run.id: run for run in found}
                for ref in page:
                    rows.add(judge, runs.get(ref.id))
        return self._rows[key]

    def take(self, run: Run, found: JudgedRuns) -> bool:
        """Note a run for each judge that has not judged it; whether there is any."""
        taken = False
        for judge in self.judges:
            key = self.key(judge.key)
            if key in (run.feedback_stats or {}) or str(run.id) in self.ledger.known(key):
                found.skipped[key] = found.skipped.get(key, 0) + 1
                answers = found.answers.setdefault(key, JudgeAnswers())
                answers.add(run.id, run.start_time, self._known(judge, run))
                continue
            if key not in self._rows:
                self._rows[key], self.ledger.pending[key] = _Rows(), []
            trace_id, session_id = run.trace_id or run.id, run.session_id or self.project.id
            ref = RunRef(run.id, trace_id, session_id, run.start_time)
            self.ledger.pending[key].append(ref)
            self._rows[key].add(judge, run)
            taken = True
        return taken

    def _known(self, judge: SutroEvaluator, run: Run) -> JudgeAnswer:
        """What a judge said in an earlier call, as LangSmith's statistics show it."""
        verdict, *others = (_only(run, self.key(key)) for key in judge.feedback_keys)
        return JudgeAnswer(verdict, confidence=others[0] if others else None)


def _only(run: Run, key: str) -> float | None:
    """The score of the only feedback of a key; a mean of several is nobody's."""
    stats = (run.feedback_stats or {}).get(key) or {}
    return stats.get("avg") if stats.get("n") == 1 else None


def open_window(window: JudgedWindow, found: JudgedRuns, limit: int | None) -> None:
    """Choose the runs, and remember them before anything is paid for."""
    taken = 0
    for run in select_runs(window.client, window.selection):
        found.selected += 1
        taken += window.take(run, found)
        if taken == limit:
            break
    if window.ledger.pending:
        window.ledger.save()


def finish_window(
    window: JudgedWindow,
    found: JudgedRuns,
    priority: Literal[0, 1] | None,
    max_cost: float | None,
    progress: bool,
) -> Steps[None]:
    """Have each judge look at its runs, and write what it says."""
    options = JobOptions(priority, None, progress)
    for judge in window.judges:
        key = window.key(judge.key)
        if key not in window.ledger.pending:
            continue
        rows = yield blocking(window.rows, judge)
        results, started = None, datetime.now(UTC)
        if rows.sent:
            encoded: SpooledRows = yield blocking(spool_rows, rows.read())
            with encoded:
                note = window.ledger.note(key)
                if note is not None and note.rows_sha256 != encoded.sha256:
                    note = None
                if note is None and max_cost is not None:
                    try:
                        yield from _check_cost(judge, encoded, max_cost)
                    except SutroJobError:
                        # The next call may choose fewer runs.
                        yield blocking(window.ledger.drop, key)
                        raise
                job, started = yield from noted_job(
                    window.ledger, key, judge.function, encoded, note, options
                )
            results = yield results_of(job, judge.function, options)
            found.jobs.setdefault(key, []).append(job.job_id)
            found.cost += results.totals["job_cost"] or 0
            found.warnings += results.summary().warnings
        verdicts = _Verdicts(window, judge, rows, results, started)
        yield blocking(verdicts.write, found)
        yield blocking(window.ledger.done, key)


def _check_cost(judge: SutroEvaluator, rows: SpooledRows, limit: float) -> Steps[None]:
    """Ask for the service's estimate.

    Raises:
        SutroJobError: It is too high, or there is none.
    """
    function = judge.function
    job = yield Step(
        partial(function.submit, rows, dry_run=True), partial(function.asubmit, rows, dry_run=True)
    )
    cost = yield Step(job.cost_estimate, job.acost_estimate)
    if cost is None or cost > limit:
        said = "gives no estimate" if cost is None else f"estimates {cost:.4f} USD"
        raise SutroJobError(
            f"Judge {judge.key!r}: the service {said} for {rows.count:,} rows, and max_cost is "
            f"{limit:g} USD. Nothing was judged.",
            job_id=job.job_id,
        )


@dataclass
class _Verdicts:
    """What a judge says of its runs, on the way to LangSmith.

    Attributes:
        window: The runs.
        judge: The judge.
        rows: Its rows.
        results: Those of its job; None if no row could be sent.
        started: When the job was first submitted, from which the ids of the judge's runs follow.
    """

    window: JudgedWindow
    judge: SutroEvaluator
    rows: _Rows
    results: BatchResults | None
    started: datetime

    def write(self, found: JudgedRuns) -> None:
        """Write all of it, portion by portion, except what an earlier call has written."""
        window, key = self.window, self.window.key(self.judge.key)
        experiment = Experiment(window.client, window.project)
        refs = window.ledger.pending[key]
        outcomes = iter(self.results if self.results is not None else ())
        inputs = self.rows.read()
        for start in range(0, len(refs), PORTION):
            portion = refs[start : start + PORTION]
            told: list[tuple[RunRef, Any, RunTree | None]] = []
            for index, ref in enumerate(portion, start):
                if (error := self.rows.errors.get(index)) is not None:
                    told.append((ref, error, None))
                    continue
                outcome = next(outcomes)
                told.append((ref, outcome, self._run(index, ref, next(inputs), outcome)))
            runs = [run for _, _, run in told if run is not None]
            if window.resumed:
                experiment.look_for_runs(EVALUATORS, runs)
                experiment.look_for_feedback([ref.id for ref in portion])
            experiment.write_runs(runs)
            for ref, outcome, run in told:
                self._write_feedback(experiment, ref, outcome, run, found)
        experiment.close(ended=False)
        found.refused += experiment.refused

    def _write_feedback(
        self,
        experiment: Experiment,
        ref: RunRef,
        outcome: Any,
        run: RunTree | None,
        found: JudgedRuns,
    ) -> None:
        key = self.window.key(self.judge.key)
        given = self.judge.feedback(outcome, source_run_id=None if run is None else run.id)
        results = given["results"]
        for one in results:
            one.key = self.window.key(one.key)
        answers = found.answers.setdefault(key, JudgeAnswers())
        answers.add(ref.id, ref.start_time, answer_of(results))
        experiment.write_feedback(ref, results)
        found.judged[key] = found.judged.get(key, 0) + 1
        if (results[0].extra or {}).get("error"):
            found.failed[key] = found.failed.get(key, 0) + 1

    def _run(self, index: int, ref: RunRef, row: Any, outcome: Any) -> RunTree:
        """The judge's run, not sent yet."""
        function, results = self.judge.function, self.results
        context = trace_context(function, {})
        failed = isinstance(outcome, Exception)
        job_id = None if results is None else results.job_id
        facts = row_facts(job_id, index, outcome, None if results is None else results.model)
        if results is not None and index == self.rows.sent[0]:
            facts |= job_usage(results.totals, len(results))
        start = self.started + timedelta(microseconds=index)
        return row_run(
            facts,
            function=function.function,
            run_id=stable_id(self.started, self.window.project.id, ref.id, self.judge.key),
            name=self.window.key(self.judge.key)[:128],
            inputs=run_inputs(row),
            outputs=None if failed else shown_outputs(outcome),
            error=repr(outcome) if failed else None,
            start=start,
            end=max(datetime.now(UTC), start),
            context=TraceContext({**context.metadata, **_judged(ref.id)}, context.tags),
            project_name=EVALUATORS,
            client=self.window.client,
        )


def _judged(run_id: UUID) -> dict[str, str]:
    return {"reference_run_id": str(run_id), "target_run_id": str(run_id)}
