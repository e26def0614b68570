"""The parts of a table, each submitted once, by whichever process gets that far."""

from __future__ import annotations

import uuid
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from langchain_sutro._core import service as _service
from langchain_sutro._core.jobs.connection import Connection, execute
from langchain_sutro._core.jobs.memory import memory
from langchain_sutro._core.jobs.slots import Slots
from langchain_sutro._core.jobs.submissions import submit
from langchain_sutro._core.jobs.unread import unread_jobs
from langchain_sutro._core.rows import RemoteTable, open_table, split_rows
from langchain_sutro._core.service import made_no_job
from langchain_sutro._core.tracing import job_trace
from langchain_sutro.errors import (
    SubmissionUnknownError,
    SutroAPIError,
    SutroConnectionError,
    SutroInputError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from langchain_sutro._core.jobs.checkpoint import Checkpoint, CheckpointFile, JobPart
    from langchain_sutro._core.jobs.contents import Contents
    from langchain_sutro._core.rows import SpooledRows
    from langchain_sutro._core.tracing import JobTrace

__all__ = ["JobTracer", "Parts", "row_quota", "split_table"]

JobTracer: TypeAlias = "Callable[[SpooledRows | RemoteTable], AbstractContextManager[JobTrace]]"

# The service's smallest quota of rows.
_SMALL = 1000


def split_table(data: Any, max_rows: int) -> list[SpooledRows]:
    """Encode and check a whole table, in parts of at most so many rows.

    Raises:
        SutroInputError: It cannot be sent, or cannot be split.
    """
    if max_rows < 1:
        raise SutroInputError(f"max_rows_per_job must be at least 1, not {max_rows}.")
    table = open_table(data)
    if isinstance(table, RemoteTable):
        raise SutroInputError(
            "A table behind a URL cannot be split: the service fetches it. Leave out "
            "max_rows_per_job, to make one job of each file."
        )
    parts = list(split_rows(table, max_rows))
    if not parts:
        raise SutroInputError("The table has no rows.")
    return parts


def row_quota(client: Connection, priority: int) -> int | None:
    """How many rows a job of a priority may have; None if the service does not say.

    Args:
        client: How to reach the deployment.
        priority: Of the job.
    """
    try:
        quotas = execute(client, _service.get_quotas)
    except (SutroAPIError, SutroConnectionError):
        return None
    known = {one.get("priority"): one.get("row_quota") for one in quotas}
    found = known.get(priority)
    return found if isinstance(found, int) and found > 0 else None


class Parts:
    """The parts, and the file in which they are kept, whose owner this process is.

    Args:
        client: How to reach the deployment.
        checkpoint: The parts.
        file: Where they are kept, if anywhere.
    """

    def __init__(
        self, client: Connection, checkpoint: Checkpoint, file: CheckpointFile | None
    ) -> None:
        self._client = client
        self._checkpoint = checkpoint
        self._file = file

    def save(self) -> None:
        """Write the file."""
        if self._file is not None:
            self._file.write(self._checkpoint)

    def find_lost(self, *, resubmit_unknown: bool) -> None:
        """A part with a token and no job may have been submitted just before an end.

        Raises:
            SubmissionUnknownError: Its job is not found, and it must not be submitted again.
        """
        unknown = None
        parts = self._checkpoint.parts
        for number, part in enumerate(parts, 1):
            if part.job_id is not None or part.token is None:
                continue
            job_id, error = self._look_for(part.token)
            if job_id is not None:
                part.job_id = job_id
            elif error is None and (resubmit_unknown or memory.is_forgotten(part.token)):
                memory.forget(part.token)
                part.token = None
            elif unknown is None:
                unknown = _unknown(f"Part {number} of {len(parts)}", part.token, error)
        self.save()
        if unknown is not None:
            raise unknown

    def _look_for(self, token: str) -> tuple[str | None, Exception | None]:
        try:
            # Any number of jobs may have been made since.
            job = execute(self._client, _service.look_for, token, pages=None)
        except (SutroAPIError, SutroConnectionError) as error:
            return None, error
        return (None if job is None else str(job["job_id"])), None

    def check_quota(self) -> None:
        """Refuse parts that are too large for a job, before the first is submitted.

        Raises:
            SutroInputError: One has more rows than the priority's quota.
        """
        most = max(part.rows or 0 for part in self._checkpoint.parts)
        if most > _SMALL:
            priority = self._checkpoint.request.job_priority
            execute(self._client, _service.check_quota, priority, most)

    def free_unread(self) -> None:
        """A part whose job could not read its object is submitted again, from a new URL."""
        remote = {
            part.job_id: part
            for part in self._checkpoint.parts
            if part.job_id is not None and part.sha256 is None
        }
        for job_id in unread_jobs(self._client, list(remote)):
            remote[job_id].job_id = remote[job_id].token = None
        self.save()

    def submit_missing(
        self, contents: Contents, trace: JobTracer | None, poll_interval: float
    ) -> None:
        """Submit the parts that have no job yet, in order."""
        tracer = trace or partial(job_trace, self._checkpoint.request.function)
        parts = self._checkpoint.parts
        made = [part.job_id for part in parts if part.job_id is not None]
        slots = Slots(self._client, self._checkpoint.max_jobs, poll_interval, made)
        with self._naming_jobs():
            for number, part in enumerate(parts):
                if part.job_id is None:
                    slots.wait()
                    with contents.opened(number, part) as rows:
                        slots.taken(self._submit(part, rows, tracer))

    def _submit(self, part: JobPart, rows: SpooledRows | RemoteTable, tracer: JobTracer) -> str:
        seconds = self._checkpoint.reuse_seconds
        # What is staged has a name of its own for each version of its files.
        version = "" if part.staged else "".join(file.version or "" for file in part.files)
        request = self._checkpoint.request
        with tracer(rows) as traced:
            part.token = traced.token or uuid.uuid4().hex
            self.save()
            try:
                submitted = submit(
                    self._client,
                    replace(request, version=version) if part.sha256 is None else request,
                    rows,
                    reuse=None if seconds is None else timedelta(seconds=seconds),
                    trace=traced,
                    token=part.token,
                )
            except BaseException as error:
                if isinstance(error, SubmissionUnknownError):
                    # It may be that of equal rows that were submitted before.
                    part.token = error.token
                elif made_no_job(error):
                    part.token = None
                self.save()
                raise
        part.job_id, part.token = submitted.job_id, submitted.token
        self.save()
        return submitted.job_id

    @contextmanager
    def _naming_jobs(self) -> Iterator[None]:
        """Whatever goes wrong says which jobs there are: they are paid for."""
        try:
            yield
        except BaseException as error:
            made = [part.job_id for part in self._checkpoint.parts if part.job_id is not None]
            if made:
                error.add_note(f"Jobs of this table so far: {', '.join(made)}.")
            if self._file is not None:
                path = str(self._file.path)
                error.add_note(f"Continue with SutroJobGroup.resume({path!r}), and the same table.")
            raise


def _unknown(part: str, token: str, cause: Exception | None) -> SubmissionUnknownError:
    why = "no such job was found" if cause is None else f"it could not be looked for ({cause})"
    error = SubmissionUnknownError(
        f"{part} may have been submitted, with the token {token}, and {why}, so nothing was "
        f"submitted now. Resume again later, or check with SutroJob.find({token!r}). If you are "
        "sure that there is no such job, resume with resubmit_unknown=True.",
        token=token,
    )
    error.__cause__ = cause
    return error
