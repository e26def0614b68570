"""`SutroJobGroup`: one table as several jobs behind one handle, finished after a crash too."""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import orjson

from langchain_sutro import _service
from langchain_sutro._exports import exported_from
from langchain_sutro._jobs.calls import submit
from langchain_sutro._jobs.client import SutroClient
from langchain_sutro._jobs.connection import execute
from langchain_sutro._jobs.job import SutroJob
from langchain_sutro._rows import RemoteTable, open_table, split_rows
from langchain_sutro._service import JobRequest
from langchain_sutro._tracing import job_trace
from langchain_sutro.errors import SutroConfigurationError, SutroError, SutroInputError

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from langchain_sutro._jobs.job import OnInterrupt
    from langchain_sutro._results import BatchResults
    from langchain_sutro._rows import SpooledRows
    from langchain_sutro._service import JobProgress, JobStatus
    from langchain_sutro._tracing import JobTrace

    JobTracer = Callable[[SpooledRows], AbstractContextManager[JobTrace]]

__all__ = ["SutroJobGroup"]


@dataclass(slots=True)
class JobPart:
    """One job's share of the table; `token` is set before the job is submitted."""

    rows: int
    sha256: str
    token: str | None = None
    job_id: str | None = None


@exported_from("langchain_sutro")
class SutroJobGroup:
    """Several jobs on the parts of one table, with the verbs of one job.

    With a checkpoint, a small JSON file that is written before and after each submission, a process
    that was killed in the middle can be followed by another: `resume` finds the jobs that were
    made, submits the rest, and nothing twice.

    Attributes:
        jobs: The jobs, in the order of the rows.
    """

    def __init__(
        self,
        request: JobRequest,
        max_rows: int,
        parts: Sequence[JobPart],
        *,
        client: SutroClient,
        checkpoint: Path | None = None,
        reuse: timedelta | None = None,
        poll_interval: float = 5.0,
        on_interrupt: OnInterrupt = "detach",
    ) -> None:
        self._request = request
        self._max_rows = max_rows
        self._parts = list(parts)
        self._client = client
        self._checkpoint = checkpoint
        self._reuse = reuse
        self._poll_interval = poll_interval
        self._on_interrupt: OnInterrupt = on_interrupt

    @classmethod
    def submit(
        cls,
        request: JobRequest,
        data: Any,
        max_rows: int,
        *,
        client: SutroClient,
        checkpoint: str | os.PathLike[str] | None = None,
        reuse: timedelta | None = None,
        trace: JobTracer | None = None,
        poll_interval: float = 5.0,
        on_interrupt: OnInterrupt = "detach",
    ) -> SutroJobGroup:
        """Split a table and submit a job for each part.

        All rows are checked before the first job is submitted.

        Args:
            request: What each job is to do.
            data: Any table but one behind a URL.
            max_rows: Maximum rows per job.
            client: How to reach the deployment.
            checkpoint: File to resume from. One that exists already is an error.
            reuse: Take earlier jobs of at most this age for equal parts.
            trace: Makes the trace of a part's job.
            poll_interval: Maximum number of seconds between status checks.
            on_interrupt: What becomes of the jobs when a wait for them is interrupted.

        Raises:
            SutroInputError: A value cannot be sent, the table lies behind a URL, or has no rows.
            SutroConfigurationError: The file exists.
            SutroError: As `SutroFunction.submit` does. Its note names the jobs made before.
        """
        path = Path(checkpoint) if checkpoint is not None else None
        if path is not None and path.exists():
            raise SutroConfigurationError(
                f"{path} exists: go on with SutroJobGroup.resume, or choose another checkpoint."
            )
        request.check()
        spooled = _split(data, max_rows)
        parts = [JobPart(rows.count, rows.sha256) for rows in spooled]
        group = cls(
            request,
            max_rows,
            parts,
            client=client,
            checkpoint=path,
            reuse=reuse,
            poll_interval=poll_interval,
            on_interrupt=on_interrupt,
        )
        group._save()
        group._submit_missing(spooled, trace)
        return group

    @classmethod
    def resume(
        cls,
        checkpoint: str | os.PathLike[str],
        data: Any = None,
        *,
        client: SutroClient | None = None,
        poll_interval: float = 5.0,
        on_interrupt: OnInterrupt = "detach",
    ) -> SutroJobGroup:
        """Continue with the jobs of a checkpoint.

        Args:
            checkpoint: The file.
            data: The same table again; needed only if parts of it were not submitted yet.
            client: How to reach the deployment.
            poll_interval: As for `submit`.
            on_interrupt: As for `submit`.

        Raises:
            SutroInputError: Parts are missing and the table is not given, or is another one.
            SutroConfigurationError: The file is not a checkpoint.
            SutroError: A part may have been submitted and could not be looked for, so that nothing
                was submitted now; or as `submit` does.
        """
        path = Path(checkpoint)
        try:
            state = orjson.loads(path.read_bytes())
            request = JobRequest(**state["request"])
            parts = [JobPart(**part) for part in state["parts"]]
            max_rows = int(state["max_rows"])
            seconds = state.get("reuse_seconds")
            reuse = None if seconds is None else timedelta(seconds=seconds)
        except (ValueError, KeyError, TypeError) as error:
            raise SutroConfigurationError(f"{path} is not a checkpoint of a job group.") from error
        client = client if client is not None else SutroClient()
        group = cls(
            request,
            max_rows,
            parts,
            client=client,
            checkpoint=path,
            reuse=reuse,
            poll_interval=poll_interval,
            on_interrupt=on_interrupt,
        )
        group._find_lost()
        if any(part.job_id is None for part in group._parts):
            if data is None:
                raise SutroInputError(
                    f"Parts of the table in {path} were not submitted: give the table again."
                )
            spooled = _split(data, max_rows)
            group._check_same(spooled)
            group._submit_missing(spooled, None)
        return group

    @classmethod
    async def aresume(
        cls, checkpoint: str | os.PathLike[str], data: Any = None, **options: Any
    ) -> SutroJobGroup:
        """`resume`, with the same `options`, all of it in a thread."""
        return await asyncio.to_thread(cls.resume, checkpoint, data, **options)

    def _find_lost(self) -> None:
        """A part with a token and no job may have been submitted just before the end."""
        for part in self._parts:
            if part.job_id is None and part.token is not None:
                # Any number of jobs may have been made since.
                job = execute(self._client, _service.look_for, part.token, pages=None)
                part.job_id = None if job is None else str(job["job_id"])
        self._save()

    def _check_same(self, spooled: Sequence[SpooledRows]) -> None:
        same = [part.sha256 for part in self._parts] == [rows.sha256 for rows in spooled]
        if not same:
            raise SutroInputError("This is another table than the one in the checkpoint.")

    def _submit_missing(self, spooled: Sequence[SpooledRows], trace: JobTracer | None) -> None:
        trace = trace or partial(job_trace, self._request.function)
        with self._naming_jobs():
            for part, rows in zip(self._parts, spooled, strict=True):
                if part.job_id is not None:
                    continue
                with trace(rows) as traced:
                    part.token = traced.token or uuid.uuid4().hex
                    self._save()
                    submitted = submit(
                        self._client,
                        self._request,
                        rows,
                        reuse=self._reuse,
                        trace=traced,
                        token=part.token,
                    )
                part.job_id, part.token = submitted.job_id, submitted.token
                self._save()

    @contextmanager
    def _naming_jobs(self) -> Iterator[None]:
        """Whatever goes wrong says which jobs there are: they are paid for."""
        try:
            yield
        except BaseException as error:
            made = [part.job_id for part in self._parts if part.job_id is not None]
            if made:
                error.add_note(f"Jobs of this table so far: {', '.join(made)}.")
            if self._checkpoint is not None:
                path = str(self._checkpoint)
                error.add_note(f"Go on with SutroJobGroup.resume({path!r}), and the same table.")
            raise

    def _save(self) -> None:
        if self._checkpoint is None:
            return
        state = {
            "request": asdict(self._request),
            "max_rows": self._max_rows,
            "reuse_seconds": None if self._reuse is None else self._reuse.total_seconds(),
            "parts": [asdict(part) for part in self._parts],
        }
        # Written beside and renamed, so that a crash leaves the old or the new one.
        beside = self._checkpoint.with_name(self._checkpoint.name + ".new")
        beside.write_bytes(orjson.dumps(state, option=orjson.OPT_INDENT_2))
        beside.replace(self._checkpoint)

    @property
    def jobs(self) -> list[SutroJob]:
        """The jobs, in the order of their rows."""
        return [
            SutroJob(
                str(part.job_id),
                client=self._client,
                function=self._request.function,
                rows=part.rows,
                token=part.token,
                poll_interval=self._poll_interval,
                on_interrupt=self._on_interrupt,
            )
            for part in self._parts
        ]

    @property
    def rows(self) -> int:
        """Rows of the whole table."""
        return sum(part.rows for part in self._parts)

    def __len__(self) -> int:
        return len(self._parts)

    def __repr__(self) -> str:
        name = self._request.function
        return f"SutroJobGroup({len(self)} jobs, function={name!r}, rows={self.rows:,})"

    def status(self) -> dict[JobStatus, int]:
        """The number of jobs in each status."""
        return dict(Counter(job.status() for job in self.jobs))

    async def astatus(self) -> dict[JobStatus, int]:
        """Asynchronous form of `status`."""
        return dict(Counter(await asyncio.gather(*(job.astatus() for job in self.jobs))))

    def progress(self) -> list[JobProgress]:
        """What the service reports of each job now, in the order of their rows."""
        return [job.progress() for job in self.jobs]

    async def aprogress(self) -> list[JobProgress]:
        """Asynchronous form of `progress`, for all jobs at once."""
        return list(await asyncio.gather(*(job.aprogress() for job in self.jobs)))

    def wait(self, timeout: float | None = 7200.0, *, progress: bool = False) -> SutroJobGroup:
        """Wait until all jobs have succeeded; `timeout` is for each.

        Raises:
            SutroJobError: As `SutroJob.wait` does, for the first job that ends badly.
        """
        for number, job in enumerate(self.jobs):
            try:
                job.wait(timeout, progress=progress)
            except (KeyboardInterrupt, SystemExit) as interrupt:
                for other in [*self.jobs[:number], *self.jobs[number + 1 :]]:
                    other.interrupted(interrupt)
                raise
        return self

    async def await_(
        self,
        timeout: float | None = 7200.0,  # noqa: ASYNC109 - each job's, not the call's
        *,
        progress: bool = False,
    ) -> SutroJobGroup:
        """Asynchronous form of `wait`, for all jobs at once."""
        waits = [
            asyncio.ensure_future(self._await_one(job, timeout, progress)) for job in self.jobs
        ]
        try:
            await asyncio.gather(*waits)
        except BaseException as error:
            # The first that ends badly ends the wait for the others, but not the others.
            for wait in waits:
                wait.cancel()
            await asyncio.gather(*waits, return_exceptions=True)
            if isinstance(error, asyncio.CancelledError | KeyboardInterrupt | SystemExit):
                await asyncio.gather(*(job.ainterrupted(error) for job in self.jobs))
            raise
        return self

    @staticmethod
    async def _await_one(job: SutroJob, timeout: float | None, progress: bool) -> None:  # noqa: ASYNC109
        # A wait that ends because of another job's end is no interrupt.
        job.on_interrupt = "detach"
        await job.await_(timeout, progress=progress)

    def results(
        self,
        *,
        timeout: float | None = 7200.0,
        progress: bool = False,
        include_inputs: bool = False,
    ) -> BatchResults:
        """The results of all jobs, in input order; see `SutroJob.results`."""
        from langchain_sutro._results import BatchResults  # noqa: PLC0415

        self.wait(timeout, progress=progress)
        return BatchResults.concat(
            [job.results(include_inputs=include_inputs, timeout=timeout) for job in self.jobs]
        )

    async def aresults(
        self,
        *,
        timeout: float | None = 7200.0,  # noqa: ASYNC109 - each job's, not the call's
        progress: bool = False,
        include_inputs: bool = False,
    ) -> BatchResults:
        """Asynchronous form of `results`."""
        from langchain_sutro._results import BatchResults  # noqa: PLC0415

        await self.await_(timeout, progress=progress)
        parts = [
            await job.aresults(include_inputs=include_inputs, timeout=timeout) for job in self.jobs
        ]
        return await asyncio.to_thread(BatchResults.concat, parts)

    def cancel(self) -> int:
        """Ask for the cancellation of every job; gives how many the service took.

        Raises:
            SutroError: One could not be asked for; the others were. Its note names the job.
        """
        taken, failed = 0, []
        for job in self.jobs:
            try:
                taken += job.cancel()
            except SutroError as error:
                failed.append(_noted(error, job))
        if failed:
            raise failed[0]
        return taken

    async def acancel(self) -> int:
        """Asynchronous form of `cancel`."""
        jobs = self.jobs
        asked = await asyncio.gather(*(job.acancel() for job in jobs), return_exceptions=True)
        for job, outcome in zip(jobs, asked, strict=True):
            if isinstance(outcome, BaseException):
                raise _noted(outcome, job)
        return sum(outcome is True for outcome in asked)

    def cost_estimate(self) -> float | None:
        """The sum of the jobs' estimates in USD; None if one has none."""
        return _sum([job.cost_estimate() for job in self.jobs])

    async def acost_estimate(self) -> float | None:
        """Asynchronous form of `cost_estimate`."""
        return _sum(await asyncio.gather(*(job.acost_estimate() for job in self.jobs)))


def _split(data: Any, max_rows: int) -> list[SpooledRows]:
    if max_rows < 1:
        raise SutroInputError(f"max_rows_per_job must be at least 1, not {max_rows}.")
    table = open_table(data)
    if isinstance(table, RemoteTable):
        raise SutroInputError("A table behind a URL cannot be split: the service fetches it.")
    parts = list(split_rows(table, max_rows))
    if not parts:
        raise SutroInputError("The table has no rows.")
    return parts


_Error = TypeVar("_Error", bound=BaseException)


def _noted(error: _Error, job: SutroJob) -> _Error:
    error.add_note(f"{job.job_id} could not be asked to cancel, and may go on.")
    return error


def _sum(costs: Sequence[float | None]) -> float | None:
    known = [cost for cost in costs if cost is not None]
    return sum(known) if len(known) == len(costs) else None
