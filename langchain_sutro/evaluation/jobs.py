"""The rows of an evaluation as one Batch job, submitted once even if the process is killed."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, Protocol

from langsmith.run_helpers import tracing_context

from langchain_sutro._core import service as _service
from langchain_sutro._core.jobs import SutroJob, aexecute, asubmit, execute, submit
from langchain_sutro._core.rows import encode_row, spool_rows, without_surplus
from langchain_sutro._core.service import JobRequest, JobStatus, Step, Steps, blocking
from langchain_sutro.errors import SutroAPIError, SutroConfigurationError, SutroInputError
from langchain_sutro.evaluation.experiment import Experiment, JobNote
from langchain_sutro.functions import RowOutcomes, table_schema

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from langchain_sutro._core.results import BatchResults
    from langchain_sutro._core.rows import SpooledRows
    from langchain_sutro._core.service import Submitted
    from langchain_sutro.functions import SutroFunction

__all__ = ["EvaluatedRows", "JobNotes", "JobOptions", "noted_job", "results_of", "run_job"]


class JobNotes(Protocol):
    """Where the note about a job is kept until the job's results are written."""

    def keep_note(self, job: str, note: JobNote | None, /) -> None:
        """Record that a job is about to be submitted; None if the service refused it."""


@dataclass(frozen=True)
class JobOptions:
    """How the jobs of an evaluation are run.

    Attributes:
        priority: Priority of each job; None for that of its Function.
        reuse: Use an equal job of at most this age; None for the setting of its Function.
        progress: Whether to show a progress bar.
    """

    priority: Literal[0, 1] | None
    reuse: timedelta | None
    progress: bool


@dataclass(frozen=True)
class EvaluatedRows:
    """The rows of a job and their outcomes.

    Attributes:
        function: The Function.
        inputs: Each row; None if it could not be made.
        outcomes: The `FunctionResult` or the error of each row.
        results: Those of the job; None if no row could be sent.
        started: When the job was submitted.
        ended: When its results were fetched.
        resumed: Whether an earlier call may have submitted a job for these rows.
        reused: Whether the job is that of another experiment, whose cost it is.
        job_rows: The index in the job of each row that was sent.
    """

    function: SutroFunction
    inputs: list[Any]
    outcomes: list[Any]
    results: BatchResults | None
    started: datetime
    ended: datetime
    resumed: bool
    reused: bool
    job_rows: dict[int, int]

    @property
    def job_id(self) -> str | None:
        """The job; None if no row could be sent."""
        return None if self.results is None else self.results.job_id


def run_job(
    experiment: Experiment,
    name: str,
    function: SutroFunction,
    make_rows: Sequence[Callable[[], Any]],
    options: JobOptions,
    *,
    same_rows: bool = False,
) -> Steps[EvaluatedRows]:
    """Run one job, or continue with the one that an earlier call submitted.

    Args:
        experiment: Keeps a note of each of its jobs.
        name: Name of the job in the experiment.
        function: What to run.
        make_rows: Makes each row. An error is the outcome of its row.
        options: How to run the job.
        same_rows: Whether an earlier job of other rows is an error; otherwise a new job is
            submitted.

    Raises:
        SutroConfigurationError: The rows differ from those of the earlier call.
        SutroJobError: The job did not succeed.
    """
    note, started = experiment.note(name), datetime.now(UTC)
    rows, inputs, encoded = yield blocking(_encode, function, make_rows)
    job_rows = {index: place for place, index in enumerate(rows.open)}
    results, known, reused = None, note, False
    if encoded is not None:
        with encoded:
            if note is not None and note.rows_sha256 != encoded.sha256:
                if same_rows:
                    raise SutroConfigurationError(
                        f"Experiment {experiment.name!r} was started with other examples, fields "
                        "or repetitions: choose another experiment_name."
                    )
                known = None
            job, started = yield from noted_job(experiment, name, function, encoded, known, options)
            reused = job.reused
        results = yield results_of(job, function, options)
        yield blocking(rows.put, results)
    return EvaluatedRows(
        function=function,
        inputs=inputs,
        outcomes=rows.outcomes,
        results=results,
        started=started,
        ended=datetime.now(UTC),
        resumed=note is not None,
        reused=reused,
        job_rows=job_rows,
    )


def _encode(
    function: SutroFunction, make_rows: Sequence[Callable[[], Any]]
) -> tuple[RowOutcomes, list[Any], SpooledRows | None]:
    """Make, check and encode the rows; those that can be sent stay open."""
    rows = RowOutcomes(len(make_rows))
    inputs: list[Any] = [None] * len(make_rows)
    schema = table_schema(function)

    def encoded(index: int) -> Any:
        row = inputs[index]
        return encode_row(
            row if schema is None else schema.check(row, row_index=index), row_index=index
        )

    # A callable of the user's may make a row, and may raise anything.
    made = rows.prepare(lambda index: make_rows[index](), keep=Exception)
    for index, row in zip(rows.open, without_surplus(made, schema), strict=True):
        inputs[index] = row
    good = rows.prepare(encoded, keep=Exception)
    return rows, inputs, spool_rows(good) if good else None


def noted_job(
    notes: JobNotes,
    name: str,
    function: SutroFunction,
    rows: SpooledRows,
    note: JobNote | None,
    options: JobOptions,
) -> Steps[tuple[SutroJob, datetime]]:
    """The job of these rows, with the time at which it was first submitted.

    Args:
        notes: Where the job's token is noted before the job is submitted.
        name: The name of the note.
        function: What to run.
        rows: The rows of the job.
        note: What an earlier call noted, if it did.
        options: How to run the job.
    """
    job_id = None
    if note is not None and note.function == function.function:
        job_id = yield from _find_submitted(function, note)
    if note is None or job_id is None:
        started_at = datetime.now(UTC).isoformat()
        note = JobNote(uuid.uuid4().hex, function.function, rows.sha256, started_at)
        submitted = yield from _submit(notes, name, function, rows, note, options)
        job_id, note = submitted.job_id, replace(note, reused=submitted.reused)
    job = SutroJob(
        job_id,
        client=function.client,
        function=function.function,
        rows=rows.count,
        token=note.token,
        reused=note.reused,
        poll_interval=function.poll_interval,
        on_interrupt=function.on_interrupt,
    )
    return job, note.started


def _find_submitted(function: SutroFunction, note: JobNote) -> Steps[str | None]:
    """The job of an earlier call, unless it failed.

    The search goes on for a while, since the submission may still be under way.
    """
    client = function.client
    job = yield Step(
        partial(execute, client, _service.look_for, note.token),
        partial(aexecute, client, _service.look_for, note.token),
    )
    if job is None:
        return None
    ended_badly = (JobStatus.FAILED, JobStatus.CANCELLED, JobStatus.CANCELLING)
    return None if JobStatus.parse(job.get("status")) in ended_badly else str(job["job_id"])


def _submit(
    notes: JobNotes,
    name: str,
    function: SutroFunction,
    rows: SpooledRows,
    note: JobNote,
    options: JobOptions,
) -> Steps[Submitted]:
    """Submit a job whose token is noted first, so that the job is found whatever happens."""
    yield blocking(notes.keep_note, name, note)
    priority = function.job_priority if options.priority is None else options.priority
    reuse = function.reuse_jobs if options.reuse is None else options.reuse
    call = (JobRequest(function.function, priority), rows)
    client = function.client
    try:
        submitted: Submitted = yield Step(
            partial(submit, client, *call, reuse=reuse, token=note.token),
            partial(asubmit, client, *call, reuse=reuse, token=note.token),
        )
    except (SutroAPIError, SutroInputError):
        # The service refused it, so there is no job to look for.
        yield blocking(notes.keep_note, name, None)
        raise
    if submitted.reused:
        earlier = replace(note, token=submitted.token, reused=True)
        yield blocking(notes.keep_note, name, earlier)
    return submitted


def results_of(job: SutroJob, function: SutroFunction, options: JobOptions) -> Step[BatchResults]:
    """Wait for a job without tracing it: the runs of its rows are its trace.

    Args:
        job: The job.
        function: Its Function.
        options: How to run it.
    """
    how: dict[str, Any] = {"progress": options.progress, "on_progress": function.on_progress}

    def now() -> BatchResults:
        with tracing_context(enabled=False):
            return job.results(timeout=None, **how)

    async def later() -> BatchResults:
        with tracing_context(enabled=False):
            return await job.aresults(timeout=None, **how)

    return Step(now, later)
