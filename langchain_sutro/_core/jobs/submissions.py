"""Submitting a job once, also when somebody else submits the same at the same time, or again."""

from __future__ import annotations

import asyncio
import logging
import os
import tempfile
import time
import uuid
from contextlib import suppress
from datetime import timedelta
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from langchain_sutro._core import service as _service
from langchain_sutro._core.jobs.connection import Connection, asking, traces_of
from langchain_sutro._core.jobs.forms import asynchronous, synchronous
from langchain_sutro._core.jobs.locks import FileLock
from langchain_sutro._core.jobs.memory import Pending, key_of, memory
from langchain_sutro._core.rows import RemoteTable, SpooledRows
from langchain_sutro._core.service import JobStatus, Step, Submitted, blocking, made_no_job
from langchain_sutro._core.tracing import JobTrace
from langchain_sutro.errors import (
    SubmissionUnknownError,
    SutroAPIError,
    SutroConnectionError,
    SutroNotFoundError,
    SutroTimeoutError,
)

if TYPE_CHECKING:
    from langchain_sutro._core.service import JobRequest, Steps

__all__ = ["asubmit", "submit"]

_log = logging.getLogger(__name__)

# Longer than a submission may take, with the look for its job.
_FLIGHT_SECONDS = 600.0
_PAUSE = 0.05
_NOTES_LAST = timedelta(days=7)


@synchronous
def submit(
    client: Connection,
    request: JobRequest,
    rows: SpooledRows | RemoteTable,
    *,
    reuse: timedelta | None = None,
    trace: JobTrace | None = None,
    token: str | None = None,
) -> Steps[Submitted]:
    """Submit a job exactly once; `submit_job` has the rules and the errors.

    An earlier submission of equal content by this process whose outcome is unknown, or whose
    results were not delivered, is taken up first, whoever tries again.

    Args:
        client: How to reach the deployment.
        request: What is asked of the job.
        rows: The rows, encoded, or a URL that the service fetches.
        reuse: Take a job of at most this age that has the same content. Equal submissions of this
            machine wait for each other.
        trace: The run of the job; by default one is made if tracing is on.
        token: What marks the job, to find it by; by default a new one.
    """
    request.check()
    trace = trace or JobTrace()
    settings = yield blocking(lambda: client.settings)
    wire = rows.url if isinstance(rows, RemoteTable) else rows
    token = token or trace.token or uuid.uuid4().hex
    one = _Submission(
        client,
        request,
        wire,
        key_of(settings, request.fingerprint(wire)),
        token,
        # The token names the run too, unless either was chosen by somebody else.
        None if trace.run_id == token else trace.run_id,
    )
    try:
        submitted = yield from one.once() if reuse is None else one.in_one_flight(reuse)
    except BaseException as error:
        one.interrupted(error)
        raise
    memory.made(one.key, submitted)
    traces_of(client).add(submitted, trace)
    return submitted


asubmit = asynchronous(submit)


class _Submission:
    def __init__(
        self,
        client: Connection,
        request: JobRequest,
        wire: SpooledRows | str,
        key: str,
        token: str,
        run: str | None,
    ) -> None:
        self._run = run
        self._client = client
        self._request = request
        self._wire = wire
        self.key = key
        self._token = token
        self._lock: FileLock | None = None
        self._made: Submitted | None = None

    def once(self) -> Steps[Submitted]:
        """Take up what is pending, or submit."""
        pending = memory.pending(self.key)
        if pending is not None:
            taken = yield from self._taken_up(pending)
            if taken is not None:
                return taken
        return (yield from self._submit())

    def in_one_flight(self, reuse: timedelta) -> Steps[Submitted]:
        """Take up an equal job of at most this age, or submit; one thread or process at a time."""
        self._lock = yield from self._locked()
        try:
            noted = self._noted(reuse)
            for pending in (memory.pending(self.key), noted):
                if pending is not None:
                    taken = yield from self._taken_up(pending)
                    if taken is not None:
                        return taken
            job: Submitted | None = yield from asking(
                self._client, _service.reusable_job, self._request, self._wire, reuse
            )
            if job is not None:
                return job
            return (yield from self._submit())
        finally:
            if self._lock is not None:
                yield blocking(self._lock.release)

    def interrupted(self, error: BaseException) -> None:
        """Say which job was made before the call could return it."""
        if self._made is None:
            return
        job_id = self._made.job_id
        memory.made(self.key, self._made)
        if not isinstance(error, KeyboardInterrupt | SystemExit):
            memory.undelivered(job_id)
        error.add_note(f"{job_id} was submitted: return to it with SutroJob.from_id({job_id!r}).")

    def _submit(self) -> Steps[Submitted]:
        sent = False

        def on_post() -> None:
            nonlocal sent
            sent = True

        yield from self._note(None, self._token)
        try:
            submitted = yield from asking(
                self._client,
                _service.submit_job,
                self._request,
                self._wire,
                token=self._token,
                run=self._run,
                on_post=on_post,
            )
        except BaseException as error:
            if sent and not made_no_job(error):
                memory.unknown(self.key, self._token)
            elif self._lock is not None:
                yield blocking(self._lock.write)
            raise
        self._made = submitted
        yield from self._note(submitted.job_id, submitted.token)
        return submitted

    def _taken_up(self, pending: Pending) -> Steps[Submitted | None]:
        """The job that a submission of before has made; None if there is none to have."""
        if pending.job_id is None:
            job_id, status = yield from self._found(pending.token)
        else:
            job_id = pending.job_id
            try:
                status = yield from asking(self._client, _service.job_status, job_id)
            except SutroNotFoundError:
                status = JobStatus.CANCELLED
        if status in (JobStatus.FAILED, JobStatus.CANCELLED, JobStatus.CANCELLING):
            memory.settled(self.key)
            return None
        yield from self._note(job_id, pending.token)
        return Submitted(job_id, pending.token, reused=True)

    def _found(self, token: str) -> Steps[tuple[str, JobStatus]]:
        try:
            job = yield from asking(self._client, _service.look_for, token, pages=None)
        except (SutroAPIError, SutroConnectionError) as error:
            raise _unknown(token) from error
        if job is None:
            raise _unknown(token)
        return str(job["job_id"]), JobStatus.parse(job.get("status"))

    def _locked(self) -> Steps[FileLock | None]:
        """The lock of this content on this machine; None where there are no locks."""
        end = time.monotonic() + _FLIGHT_SECONDS
        lock: FileLock | None = None
        try:
            lock = yield blocking(lambda: FileLock(_notes() / self.key, keep=True))
            while not (yield blocking(lock.acquire)):
                if time.monotonic() >= end:
                    holder = yield blocking(lock.holder)
                    raise SutroTimeoutError(
                        f"The same rows are being submitted by {holder}.", sent=False
                    )
                yield Step(partial(time.sleep, _PAUSE), partial(asyncio.sleep, _PAUSE))
        except OSError as error:
            _log.warning("Equal submissions do not wait for each other: %s", error.strerror)
            return None
        return lock

    def _noted(self, reuse: timedelta) -> Pending | None:
        """What the last holder of the lock has noted, in this process or another."""
        note = {} if self._lock is None else self._lock.note
        token, job_id, at = note.get("token"), note.get("job_id"), note.get("at")
        if not isinstance(token, str) or not isinstance(at, int | float):
            return None
        if memory.is_forgotten(token) or time.time() - at > reuse.total_seconds():
            return None
        return Pending(token, job_id if isinstance(job_id, str) else None)

    def _note(self, job_id: str | None, token: str) -> Steps[None]:
        if self._lock is not None:
            yield blocking(self._lock.write, token=token, job_id=job_id, at=time.time())


def _unknown(token: str) -> SubmissionUnknownError:
    return SubmissionUnknownError(
        f"These rows were submitted before, with the token {token}, and it is not known whether a "
        f"job was made: none was found, so nothing was submitted now. Check with "
        f"SutroJob.find({token!r}). If you are sure that there is none, SutroJob.forget({token!r}) "
        "lets the rows be submitted again.",
        token=token,
    )


def _notes() -> Path:
    """The directory of this user's notes, where old ones are removed."""
    user = os.getuid() if hasattr(os, "getuid") else ""
    folder = Path(tempfile.gettempdir()) / f"langchain-sutro-{user}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.is_symlink() or (hasattr(os, "getuid") and folder.stat().st_uid != os.getuid()):
        raise PermissionError(13, f"{folder} belongs to somebody else")
    _remove_old(folder)
    return folder


@cache
def _remove_old(folder: Path) -> None:
    """Once in a process."""
    oldest = time.time() - _NOTES_LAST.total_seconds()
    for path in folder.iterdir():
        with suppress(OSError):
            if path.stat().st_mtime < oldest:
                lock = FileLock(path)
                if lock.acquire():
                    lock.release()
