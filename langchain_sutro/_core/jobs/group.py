"""`SutroJobGroup`: one table as several jobs behind one handle, finished after a crash too."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from langchain_sutro._core.exports import exported_from
from langchain_sutro._core.jobs.bar import GroupBar, progress_bar
from langchain_sutro._core.jobs.checkpoint import MOST_ROWS, Checkpoint, CheckpointFile, JobPart
from langchain_sutro._core.jobs.client import SutroClient
from langchain_sutro._core.jobs.contents import FileContents, RowContents, kept_files, pieces_of
from langchain_sutro._core.jobs.job import SutroJob
from langchain_sutro._core.jobs.parts import Parts, row_quota, split_table
from langchain_sutro._core.jobs.plan import Limits
from langchain_sutro._core.jobs.slots import stoppable
from langchain_sutro._core.jobs.written import write_jobs
from langchain_sutro._core.results import WriteOptions
from langchain_sutro._core.rows import FileSet, InputSchema, files_of, table_for
from langchain_sutro._core.service import in_thread
from langchain_sutro.errors import SutroError, SutroInputError

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator, Sequence
    from datetime import timedelta

    from pydantic import BaseModel

    from langchain_sutro._core.jobs.contents import Contents
    from langchain_sutro._core.jobs.job import OnInterrupt
    from langchain_sutro._core.jobs.parts import JobTracer
    from langchain_sutro._core.results import BatchResults
    from langchain_sutro._core.rows import Fields
    from langchain_sutro._core.service import JobProgress, JobRequest, JobStatus

__all__ = ["SutroJobGroup"]


@exported_from("langchain_sutro")
class SutroJobGroup:
    """Several jobs on the parts of one table, with the verbs of one job.

    With a checkpoint, a small JSON file that is written before and after each submission, a process
    that was killed in the middle can be followed by another: `resume` finds the jobs that were
    made, submits the rest, and nothing twice. It is made by `SutroFunction.submit_in_parts` and
    `resume`.

    Attributes:
        jobs: The jobs, in the order of the rows.
    """

    def __init__(
        self,
        parts: Sequence[JobPart],
        *,
        function: str,
        client: SutroClient,
        poll_interval: float = 5.0,
        on_interrupt: OnInterrupt = "detach",
    ) -> None:
        self._parts = list(parts)
        self._function = function
        self._client = client
        self._poll_interval = poll_interval
        self._on_interrupt: OnInterrupt = on_interrupt

    @classmethod
    def submit(
        cls,
        request: JobRequest,
        data: Any,
        max_rows: int | None = None,
        *,
        client: SutroClient,
        max_jobs: int | None = None,
        max_bytes: int | None = None,
        stage: str | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        reuse: timedelta | None = None,
        trace: JobTracer | None = None,
        poll_interval: float = 5.0,
        on_interrupt: OnInterrupt = "detach",
    ) -> SutroJobGroup:
        """Split a table and submit a job for each part.

        All rows on this machine are checked before the first job is submitted.

        Args:
            request: What each job is to do.
            data: Any table but one behind a URL, or the `FileSet` of files that are a job each.
            max_rows: Maximum rows per job; a table that is not a `FileSet` needs it.
            client: How to reach the deployment.
            max_jobs: How many of the jobs may run at once; the next one is submitted when one has
                ended, so that this returns when the last one was submitted. By default any number.
            max_bytes: Maximum size of a file in object storage that is one job.
            stage: Directory in object storage for files that are cut, joined, or on this machine.
            checkpoint: File to resume from. One that exists already is an error.
            reuse: Take earlier jobs of at most this age for equal parts.
            trace: Makes the trace of a part's job.
            poll_interval: Maximum number of seconds between status checks.
            on_interrupt: What becomes of the jobs when a wait for them is interrupted.

        Raises:
            SutroInputError: A value cannot be sent, the table lies behind a URL, or has no rows.
            SutroConfigurationError: The file exists, or cannot be locked or written.
            SutroError: As `SutroFunction.submit` does. Its note names the jobs made before.
        """
        file = CheckpointFile(checkpoint) if checkpoint is not None else None
        if file is not None:
            file.check_new()
        request.check()
        _check_positive(max_rows_per_job=max_rows, max_jobs=max_jobs, max_bytes=max_bytes)
        if isinstance(data, FileSet):
            # Without a stage nothing can be cut, and parts that are too large are refused below.
            most = max_rows
            if most is None and stage is not None:
                most = row_quota(client, request.job_priority)
            joined = None if stage is None else max_rows
            contents: Contents = FileContents(data, Limits(most, max_bytes, joined), stage)
        elif max_rows is None or max_bytes is not None or stage is not None:
            raise SutroInputError(
                "A table that is not of files needs max_rows_per_job, and takes neither max_bytes "
                "nor stage."
            )
        else:
            contents = RowContents(split_table(data, max_rows))
        kept = Checkpoint(
            request,
            None if max_rows is None else min(max_rows, MOST_ROWS),
            contents.parts(),
            None if reuse is None else reuse.total_seconds(),
            max_jobs,
        )
        with nullcontext() if file is None else file.owned():
            if file is not None:
                file.check_new()
            parts = Parts(client, kept, file)
            parts.check_quota()
            parts.save()
            parts.submit_missing(contents, trace, poll_interval)
        return cls(
            kept.parts,
            function=request.function,
            client=client,
            poll_interval=poll_interval,
            on_interrupt=on_interrupt,
        )

    @classmethod
    def resume(
        cls,
        checkpoint: str | os.PathLike[str],
        data: Any = None,
        *,
        client: SutroClient | None = None,
        poll_interval: float = 5.0,
        on_interrupt: OnInterrupt = "detach",
        resubmit_unknown: bool = False,
        fields: Fields | None = None,
        args_schema: type[BaseModel] | dict[str, Any] | None = None,
    ) -> SutroJobGroup:
        """Continue with the jobs of a checkpoint.

        The file has one owner at a time: while another process submits its parts, this one waits up
        to a minute.

        Args:
            checkpoint: The file.
            data: The same table again; needed only if parts of it were not submitted yet. Files are
                named by the checkpoint, except for the queries of presigned URLs.
            client: How to reach the deployment.
            poll_interval: As for `submit`.
            on_interrupt: As for `submit`.
            resubmit_unknown: Submit a part again that may have been submitted before, if its job is
                not found. A job that the service lists late is then paid for twice.
            fields: As it was for `SutroFunction.submit_in_parts`.
            args_schema: That of the Function which submitted the table, if it has one.

        Raises:
            SutroInputError: Parts are missing and the table is not given, or it differs.
            SubmissionUnknownError: A part may have been submitted, and its job was not found;
                nothing was submitted now.
            SutroConfigurationError: The file is not a checkpoint, or in use by another process.
            SutroError: As `submit` does.
        """
        client = client if client is not None else SutroClient()
        file = CheckpointFile(checkpoint)
        # Nobody waits for a file that is not there.
        file.read()
        with file.owned():
            # Another process may have written it meanwhile.
            kept = file.read()
            parts = Parts(client, kept, file)
            contents = _kept_contents(kept, data, fields, args_schema)
            if contents is not None:
                contents.check_same(kept.parts)
            parts.find_lost(resubmit_unknown=resubmit_unknown)
            parts.free_unread()
            if any(part.job_id is None for part in kept.parts):
                if contents is None:
                    raise SutroInputError(
                        f"Parts of the table in {file.path} were not submitted: give the table "
                        "again."
                    )
                parts.submit_missing(contents, None, poll_interval)
        return cls(
            kept.parts,
            function=kept.request.function,
            client=client,
            poll_interval=poll_interval,
            on_interrupt=on_interrupt,
        )

    @classmethod
    async def aresume(
        cls, checkpoint: str | os.PathLike[str], data: Any = None, **options: Any
    ) -> SutroJobGroup:
        """`resume`, with the same `options`, all of it in a thread."""
        return await stoppable(partial(cls.resume, checkpoint, data, **options))

    @property
    def jobs(self) -> list[SutroJob]:
        """The jobs, in the order of their rows."""
        return [
            SutroJob(
                str(part.job_id),
                client=self._client,
                function=self._function,
                rows=part.rows,
                token=part.token,
                poll_interval=self._poll_interval,
                on_interrupt=self._on_interrupt,
            )
            for part in self._parts
        ]

    @property
    def rows(self) -> int | None:
        """Rows of the whole table; None if the service has yet to count those of a file."""
        counts = [part.rows for part in self._parts]
        return None if None in counts else sum(count or 0 for count in counts)

    def __len__(self) -> int:
        return len(self._parts)

    def __repr__(self) -> str:
        name, rows = self._function, self.rows
        shown = "unknown" if rows is None else f"{rows:,}"
        return f"SutroJobGroup({len(self)} jobs, function={name!r}, rows={shown})"

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
        with self._bar(progress) as show:
            for number, job in enumerate(self.jobs):
                try:
                    job.wait(timeout, on_progress=show)
                except (KeyboardInterrupt, SystemExit) as interrupt:
                    for other in [*self.jobs[:number], *self.jobs[number + 1 :]]:
                        other.interrupted(interrupt)
                    raise
        return self

    @contextmanager
    def _bar(self, progress: bool) -> Iterator[Callable[[JobProgress], None] | None]:
        """One bar for all jobs, if one is wanted."""
        if not progress:
            yield None
            return
        with progress_bar(self._function, self.rows) as show:
            yield GroupBar(show, len(self))

    async def await_(
        self,
        timeout: float | None = 7200.0,  # noqa: ASYNC109 - each job's, not the call's
        *,
        progress: bool = False,
    ) -> SutroJobGroup:
        """Asynchronous form of `wait`, for all jobs at once."""
        with self._bar(progress) as show:
            waits = [
                asyncio.ensure_future(self._await_one(job, timeout, show)) for job in self.jobs
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
    async def _await_one(
        job: SutroJob,
        timeout: float | None,  # noqa: ASYNC109
        show: Callable[[JobProgress], None] | None,
    ) -> None:
        # A wait that ends because of another job's end is no interrupt.
        job.on_interrupt = "detach"
        await job.await_(timeout, on_progress=show)

    def results(
        self,
        *,
        timeout: float | None = 7200.0,
        progress: bool = False,
        include_inputs: bool = False,
    ) -> BatchResults:
        """The results of all jobs, in input order; see `SutroJob.results`."""
        from langchain_sutro._core.results import BatchResults  # noqa: PLC0415

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
        from langchain_sutro._core.results import BatchResults  # noqa: PLC0415

        await self.await_(timeout, progress=progress)
        parts = [
            await job.aresults(include_inputs=include_inputs, timeout=timeout) for job in self.jobs
        ]
        return await in_thread(BatchResults.concat, parts)

    def write_results(
        self,
        target: str | os.PathLike[str],
        *,
        inputs: bool = False,
        output_column: str = "inference_result",
        error_column: str = "error",
        suffix: str | None = None,
        timeout: float | None = 7200.0,
        progress: bool = False,
    ) -> dict[str, Any]:
        """Write the results to a directory: one Parquet file for each part, in order.

        The files have the columns of `BatchResults.to_arrow`, `confidence_score` and the column of
        errors, with one schema, which holds the values of all parts without loss. For it all
        results are fetched first, to temporary files of this machine, and read twice; memory stays
        flat. Each file is there whole or not at all. A call that follows an interrupted one
        finds the files that are there, and writes the others.

        Args:
            target: A local directory, which is made, or a URL that fsspec knows, such as
                `s3://bucket/out/`. It must not hold other results.
            inputs: Whether each row has the columns of its input before those of its result. For
                parts that are Parquet or CSV files, which must not have changed, and are read here.
            output_column: Name of the column for outputs that are not JSON objects, if there are
                any.
            error_column: Name of the column with the reason why a row has no usable output; null
                for other rows.
            suffix: Appended to the name of a result column that the input also has; None makes that
                an error.
            timeout: Seconds to wait for each job.
            progress: Show a bar meanwhile.

        Returns:
            What the file `_manifest.json` in the directory holds: `function`, `rows`, `errors`,
            `input_tokens`, `output_tokens`, `cost` in USD, and the same of each of the `files`,
            with its `name` and `job_id`. What the service does not say is None.

        Raises:
            SutroJobError: As `wait` does; or files have other numbers of rows than their results.
            SutroInputError: Files were changed or cannot be joined, or two columns have one name.
            SutroConfigurationError: The directory has other results, or cannot be reached.
        """
        self.wait(timeout, progress=progress)
        return self._write(target, WriteOptions(inputs, output_column, error_column, suffix))

    async def awrite_results(
        self,
        target: str | os.PathLike[str],
        *,
        inputs: bool = False,
        output_column: str = "inference_result",
        error_column: str = "error",
        suffix: str | None = None,
        timeout: float | None = 7200.0,  # noqa: ASYNC109 - each job's, not the call's
        progress: bool = False,
    ) -> dict[str, Any]:
        """Asynchronous form of `write_results`; files are handled in a thread."""
        await self.await_(timeout, progress=progress)
        options = WriteOptions(inputs, output_column, error_column, suffix)
        return await in_thread(self._write, target, options)

    def _write(self, target: str | os.PathLike[str], options: WriteOptions) -> dict[str, Any]:
        return write_jobs(self.jobs, list(map(pieces_of, self._parts)), target, options)

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


def _check_positive(**given: int | None) -> None:
    for name, value in given.items():
        if value is not None and value < 1:
            raise SutroInputError(f"{name} must be at least 1, not {value}.")


def _kept_contents(
    kept: Checkpoint,
    data: Any,
    fields: Fields | None,
    args_schema: type[BaseModel] | dict[str, Any] | None,
) -> Contents | None:
    """What the parts of a checkpoint consist of, as far as it is known."""
    schema = None if args_schema is None else InputSchema(args_schema, kept.request.function)
    if any(part.files for part in kept.parts):
        given = None if data is None else files_of(data)
        if data is not None and given is None:
            raise SutroInputError("The checkpoint is of files: pass the same files, or none.")
        files = kept_files(kept.parts) if given is None else given.files
        checking = None if schema is None else schema.for_tables()
        return FileContents(FileSet(files, fields, checking), Limits(kept.max_rows))
    if data is None or kept.max_rows is None:
        return None
    table = table_for(data, fields, None if schema is None else schema.for_tables())
    return RowContents(split_table(table, kept.max_rows))


_Error = TypeVar("_Error", bound=BaseException)


def _noted(error: _Error, job: SutroJob) -> _Error:
    error.add_note(f"{job.job_id} could not be asked to cancel, and may continue.")
    return error


def _sum(costs: Sequence[float | None]) -> float | None:
    known = [cost for cost in costs if cost is not None]
    return sum(known) if len(known) == len(costs) else None
