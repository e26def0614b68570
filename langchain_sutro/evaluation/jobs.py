"""The rows of an evaluation as one Batch job, submitted once even if the process is killed."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from langsmith.run_helpers import tracing_context

from langchain_sutro import _service
from langchain_sutro._jobs import SutroJob
from langchain_sutro._rows import encode_row, spool_rows
from langchain_sutro._service import JobRequest, JobStatus, Step, Steps, blocking
from langchain_sutro._tracing import TraceContext, row_run, run_inputs, traced_outputs
from langchain_sutro.errors import SutroAPIError, SutroError, SutroInputError
from langchain_sutro.evaluation.langsmith import Experiment, JobNote
from langchain_sutro.functions import check_row

if TYPE_CHECKING:
    from langsmith import Client
    from langsmith.run_trees import RunTree

    from langchain_sutro._results import BatchResults
    from langchain_sutro._rows import SpooledRows
    from langchain_sutro.functions import SutroFunction

__all__ = ["JobRows", "RowsDone", "run_job"]


@dataclass
class JobRows:
    """The rows of a job, some of which cannot be sent.

    Attributes:
        function: The Function.
        inputs: Each row, as far as it could be made.
        encoded: Those that can be sent; None if there are none.
        sent: Their indices.
        outcomes: The error of each other row, at its index.
    """

    function: SutroFunction
    inputs: list[Any]
    encoded: SpooledRows | None
    sent: list[int]
    outcomes: list[Any]

    @classmethod
    def encode(cls, function: SutroFunction, makers: Sequence[Callable[[], Any]]) -> JobRows:
        """Make, check and encode each row."""
        inputs: list[Any] = [None] * len(makers)
        outcomes: list[Any] = [None] * len(makers)
        sent, good = [], []
        for index, make in enumerate(makers):
            try:
                inputs[index] = make()
                row = encode_row(check_row(function, inputs[index], index), row_index=index)
            except Exception as error:  # noqa: BLE001 - a mapping may be the caller's own callable
                outcomes[index] = error
            else:
                sent.append(index)
                good.append(row)
        return cls(function, inputs, spool_rows(good) if good else None, sent, outcomes)

    def fill(self, results: BatchResults) -> None:
        """Put each result into its place."""
        for index, result in zip(self.sent, results, strict=True):
            if isinstance(result, SutroError):
                result.row_index = index
            self.outcomes[index] = result


@dataclass(frozen=True)
class RowsDone:
    """What became of the rows of a job.

    Attributes:
        function: The Function.
        inputs: Each row.
        outcomes: Its `FunctionResult` or error.
        results: The job's; None if no row could be sent.
        started: When the job was submitted.
        ended: When its results were there.
    """

    function: SutroFunction
    inputs: list[Any]
    outcomes: list[Any]
    results: BatchResults | None
    started: datetime
    ended: datetime

    def tree(
        self,
        index: int,
        run_id: uuid.UUID,
        *,
        name: str,
        inputs: Any,
        shaped: Callable[[Any], Any],
        project: str | None,
        metadata: Mapping[str, Any],
        client: Client | None,
        tags: Sequence[str] = (),
        reference_example_id: uuid.UUID | None = None,
    ) -> RunTree:
        """A row as a run of its own trace, not sent yet.

        Starts are a microsecond apart, so that LangSmith keeps the order of the rows.
        """
        outcome, value = self.outcomes[index], None
        if not isinstance(outcome, Exception):
            try:
                value = shaped(outcome)
            except SutroError as error:
                outcome = error
        failed = isinstance(outcome, Exception)
        start = self.started + timedelta(microseconds=index)
        known = {key: value for key, value in metadata.items() if value is not None}
        return row_run(
            index,
            outcome,
            function=self.function.function,
            job_id=None if self.results is None else self.results.job_id,
            run_id=run_id,
            name=name[:128],
            inputs=run_inputs(inputs),
            outputs=None if failed else _outputs(value),
            error=repr(outcome) if failed else None,
            start=start,
            end=max(self.ended, start),
            context=TraceContext(known, list(tags)),
            project_name=project or "local",
            reference_example_id=reference_example_id,
            client=client,
        )


def _outputs(value: Any) -> dict[str, Any]:
    """A result as a run's outputs, in the form that `langsmith.evaluate` gives it."""
    if hasattr(value, "model_dump"):
        return {"output": value.model_dump(mode="json", by_alias=True)}
    return traced_outputs(value) if isinstance(value, Mapping) else {"output": value}


def run_job(
    experiment: Experiment,
    name: str,
    rows: JobRows,
    *,
    reuse: timedelta | None,
    progress: bool,
) -> Steps[RowsDone]:
    """Run one job, or take up the one that an earlier call submitted.

    Args:
        experiment: Knows the jobs of earlier calls.
        name: Of the job in the experiment.
        rows: Its rows.
        reuse: Take an equal job of at most this age; by default the Function's own setting.
        progress: Show a bar.

    Raises:
        SutroJobError: The job did not succeed.
    """
    function, started = rows.function, datetime.now(UTC)
    if rows.encoded is None:
        return RowsDone(function, rows.inputs, rows.outcomes, None, started, started)
    with rows.encoded as encoded:
        note, job_id = experiment.note(name), None
        wanted = (function.function, encoded.sha256)
        if note is not None and (note.function, note.rows_sha256) == wanted:
            job_id = yield from _submitted_before(function, note)
        if note is None or job_id is None:
            note = JobNote(uuid.uuid4().hex, *wanted, started_at=started.isoformat())
            reuse = function.reuse_jobs if reuse is None else reuse
            job_id = yield from _submit(experiment, name, function, encoded, note, reuse)
        job = SutroJob(
            job_id,
            client=function.client,
            function=function.function,
            rows=encoded.count,
            token=note.token,
            poll_interval=function.poll_interval,
            on_interrupt=function.on_interrupt,
        )
    results = yield _results(job, progress=progress, on_progress=function.on_progress)
    yield blocking(rows.fill, results)
    return RowsDone(function, rows.inputs, rows.outcomes, results, note.started, datetime.now(UTC))


def _results(job: SutroJob, **options: Any) -> Step[BatchResults]:
    """Wait for a job, without a trace of its own: the experiment's runs are its trace."""

    def now() -> BatchResults:
        with tracing_context(enabled=False):
            return job.results(timeout=None, **options)

    async def later() -> BatchResults:
        with tracing_context(enabled=False):
            return await job.aresults(timeout=None, **options)

    return Step(now, later)


def _submitted_before(function: SutroFunction, note: JobNote) -> Steps[str | None]:
    """The job of an earlier call, unless it failed; asked for a while, for it may be under way."""
    client = function.client
    job = yield Step(
        partial(client.execute, _service.look_for, note.token),
        partial(client.aexecute, _service.look_for, note.token),
    )
    if job is None:
        return None
    ended_badly = (JobStatus.FAILED, JobStatus.CANCELLED, JobStatus.CANCELLING)
    return None if JobStatus.parse(job.get("status")) in ended_badly else str(job["job_id"])


def _submit(
    experiment: Experiment,
    name: str,
    function: SutroFunction,
    rows: SpooledRows,
    note: JobNote,
    reuse: timedelta | None,
) -> Steps[str]:
    """Submit a job whose token is noted beforehand, so that it is found again whatever happens."""
    yield blocking(experiment.keep_note, name, note)
    request = JobRequest(function.function, function.job_priority)
    client = function.client
    options: dict[str, Any] = {"reuse": reuse, "token": note.token}
    try:
        submitted = yield Step(
            partial(client.execute, _service.submit_job, request, rows, **options),
            partial(client.aexecute, _service.submit_job, request, rows, **options),
        )
    except (SutroAPIError, SutroInputError):
        # Refused: nobody needs to look for it.
        yield blocking(experiment.keep_note, name, None)
        raise
    if submitted.reused:
        yield blocking(experiment.keep_note, name, replace(note, token=submitted.token))
    return str(submitted.job_id)
