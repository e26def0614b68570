"""Waiting for a Batch job and following its progress, without I/O."""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeGuard

import orjson

from langchain_sutro._core.exports import exported_from
from langchain_sutro._core.service.driver import Operation, Request, Sleep, Timeout
from langchain_sutro._core.service.exchange import (
    LONGEST_RETRY_AFTER,
    Service,
    endpoint,
    explanation,
)
from langchain_sutro._core.service.jobs import JobStatus, job_status
from langchain_sutro._core.service.runs import fetch_job
from langchain_sutro.errors import (
    SutroAPIError,
    SutroConnectionError,
    SutroJobCancelledError,
    SutroJobError,
    SutroJobFailedError,
    SutroJobTimeoutError,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from langchain_sutro._core.service.settings import Settings

__all__ = ["JobProgress", "job_progress", "wait_for_job"]

_log = logging.getLogger(__name__)

_FIRST_POLL = 0.1
_STREAM_SECONDS = 30.0
# How long a look may take, and may take even where less of the wait is left.
_READ_SECONDS, _SHORTEST_READ = 60.0, 1.0


@exported_from("langchain_sutro")
@dataclass(frozen=True, slots=True)
class JobProgress:
    """What is known of a running job.

    Attributes:
        job_id: The job.
        status: As last read.
        rows_done: Rows finished, at least; never decreases.
        rows_total: Rows in the job, if known.
        input_tokens: Tokens read so far.
        output_tokens: Tokens written so far.
        tokens_per_second: Throughput over both.
        unreachable: Why the last status check failed; None if it did not.
    """

    job_id: str
    status: JobStatus = JobStatus.UNKNOWN
    rows_done: int = 0
    rows_total: int | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    tokens_per_second: float | None = None
    unreachable: str | None = None


def job_progress(
    service: Service, job_id: str, rows_total: int | None = None
) -> Operation[JobProgress]:
    """One check of a job: its status, and what the progress stream reports within two seconds."""
    job = yield from fetch_job(service, job_id)
    rows = job.get("num_rows")
    total = rows if _is_count(rows) else rows_total
    watch = _Watch(JobProgress(job_id, rows_total=total), None, service.policy.clock)
    watch.status(JobStatus.parse(job.get("status")))
    watch.tokens(job)
    if watch.known.status is JobStatus.SUCCEEDED:
        return replace(watch.known, rows_done=total or 0)
    if watch.known.status is JobStatus.RUNNING:
        yield from _follow(service.settings, watch, 2.0)
    return watch.known


def wait_for_job(
    service: Service,
    job_id: str,
    *,
    timeout: float | None = 7200.0,
    poll_interval: float = 5.0,
    rows_total: int | None = None,
    on_progress: Callable[[JobProgress], None] | None = None,
) -> Operation[None]:
    """Wait until the job has succeeded.

    Args:
        service: The deployment, and how patiently a single request is made. An outage is tolerated
            for `Policy.outage_seconds`.
        job_id: The job.
        timeout: Seconds to wait; None for no limit. The job continues when the wait ends.
        poll_interval: Maximum number of seconds between status checks; the first ones are closer
            together.
        rows_total: Rows in the job, for progress.
        on_progress: Given what is known whenever it changes, from the service's progress stream.

    Raises:
        SutroJobFailedError: The job failed; the message has the service's reason.
        SutroJobCancelledError: It was cancelled.
        SutroJobTimeoutError: The time is over; the cause says so if the service was unreachable.
    """
    policy = service.policy
    start = policy.clock()
    watch = _Watch(JobProgress(job_id, rows_total=rows_total), on_progress, policy.clock)
    last_seen = start
    delay = min(_FIRST_POLL, poll_interval)
    failures = 0
    while True:
        left = float("inf") if timeout is None else timeout - (policy.clock() - start)
        # What fails is looked at again below; a single look must not outlast the wait.
        seconds = min(policy.timeout or _READ_SECONDS, max(left, _SHORTEST_READ))
        look = replace(policy, max_retries=0, timeout=seconds)
        try:
            status = yield from job_status(replace(service, policy=look), job_id)
        except (SutroConnectionError, SutroAPIError) as error:
            if not _may_pass(error) or policy.clock() - last_seen > policy.outage_seconds:
                error.add_note(f"While waiting for {job_id}, which may continue.")
                raise
            asked = error.retry_after if isinstance(error, SutroAPIError) else None
            obeyed = asked is not None and asked <= LONGEST_RETRY_AFTER
            least = asked if asked is not None and obeyed else policy.backoff(failures)
            failures += 1
            watch.unreachable(error)
        else:
            failures, least = 0, 0.0
            last_seen = policy.clock()
            watch.status(status)
            if status is JobStatus.SUCCEEDED:
                return
            if status.ended:
                raise (yield from _ending(service, seconds, job_id, status))
        left = float("inf") if timeout is None else timeout - (policy.clock() - start)
        if left <= 0:
            raise _timed_out(job_id, timeout, watch.outage) from watch.outage
        pause = min(left, max(least, delay * (0.9 + 0.2 * policy.jitter())))
        before = watch.known
        if on_progress is not None:
            yield from _follow(service.settings, watch, min(left, _STREAM_SECONDS))
        news = watch.known != before
        if not (news and watch.all_rows_done()):
            # Otherwise the job is about to end, and the stream said so a moment ago.
            yield Sleep(pause)
        delay = min(_FIRST_POLL if news else delay * 1.5, poll_interval)


def _timed_out(
    job_id: str, timeout: float | None, outage: SutroConnectionError | SutroAPIError | None
) -> SutroJobTimeoutError:
    again = f"wait again with SutroJob.from_id({job_id!r})."
    known = (
        f"It is still running: {again}"
        if outage is None
        else f"The service is unreachable ({outage}), so the job may still be running: {again}"
    )
    return SutroJobTimeoutError(
        f"{job_id} had not ended after {timeout:g} s. {known}", job_id=job_id
    )


def _may_pass(error: SutroConnectionError | SutroAPIError) -> bool:
    if isinstance(error, SutroAPIError):
        return error.status_code in (200, 408, 425, 429) or error.status_code >= 500
    return True


def _ending(
    service: Service, seconds: float, job_id: str, status: JobStatus
) -> Operation[SutroJobError]:
    """The error for a job that did not succeed, with the service's reason if it gives one."""
    if status is JobStatus.CANCELLED:
        return SutroJobCancelledError(f"{job_id} was cancelled.", job_id=job_id)
    reason: Any = None
    service = replace(service, policy=replace(service.policy, timeout=seconds))
    # The reason is only an explanation; that the job failed is certain.
    with suppress(SutroConnectionError, SutroAPIError):
        reason = (yield from fetch_job(service, job_id)).get("failure_reason")
    why = explanation(reason, service.settings) or "the service gave no reason"
    return SutroJobFailedError(f"{job_id} failed: {why.rstrip('.')}.", job_id=job_id)


class _Watch:
    """Reads the progress stream: lines of JSON that may be partial, repeated, late or garbage."""

    blocks = False

    def __init__(
        self,
        known: JobProgress,
        tell: Callable[[JobProgress], None] | None,
        clock: Callable[[], float],
    ) -> None:
        self.known = known
        self.outage: SutroConnectionError | SutroAPIError | None = None
        self._tell = tell
        self._clock = clock
        self._rest = b""
        self._until = 0.0
        self._raised: Exception | None = None

    def stop_after(self, seconds: float) -> None:
        self._until = self._clock() + seconds

    def status(self, status: JobStatus) -> None:
        self.outage = None
        self._update(status=status, unreachable=None)

    def unreachable(self, error: SutroConnectionError | SutroAPIError) -> None:
        if self.outage is None:
            _log.warning("The status of %s cannot be checked: %s", self.known.job_id, error)
        self.outage = error
        self._update(unreachable=str(error))

    def all_rows_done(self) -> bool:
        return self.known.rows_total is not None and self.known.rows_done >= self.known.rows_total

    def start(self, status: int, headers: object) -> bool:  # noqa: ARG002
        self._rest = b""
        return status == 200

    def write(self, piece: bytes) -> bool:
        *lines, self._rest = (self._rest + piece).split(b"\n")
        # A line without an end is garbage.
        self._rest = self._rest[-65536:]
        look = False
        try:
            for line in lines:
                look = self._line(line) or look
        except Exception as error:  # noqa: BLE001 - kept for `raise_again`
            self._raised = error
            return False
        return not look and self._clock() < self._until

    def raise_again(self) -> None:
        """Raise what a listener raised, which may look like a failure of the stream."""
        if self._raised is not None:
            raise self._raised

    def _line(self, line: bytes) -> bool:
        """Take one event; whether it is a reason to look at the status."""
        try:
            event = orjson.loads(line)
        except ValueError:
            return False
        kind = event.get("update_type") if isinstance(event, dict) else None
        result = event.get("result") if isinstance(event, dict) else None
        if kind == "progress" and _is_count(result):
            total = self.known.rows_total
            self._update(rows_done=result if total is None else min(result, total))
            return self.all_rows_done()
        if kind == "tokens" and isinstance(result, dict):
            self.tokens(result)
        # The final notification can be missed, so the stream's own sign of life will do.
        return kind == "heartbeat"

    def tokens(self, result: dict[str, Any]) -> None:
        changes: dict[str, Any] = {
            name: result[name]
            for name in ("input_tokens", "output_tokens")
            if _is_count(result.get(name))
        }
        rate = result.get("total_tokens_processed_per_second")
        if isinstance(rate, int | float) and not isinstance(rate, bool):
            changes["tokens_per_second"] = float(rate)
        self._update(**changes)

    def _update(self, **changes: Any) -> None:
        for name in ("rows_done", "input_tokens", "output_tokens"):
            if name in changes:
                changes[name] = max(changes[name], getattr(self.known, name))
        known = replace(self.known, **changes)
        if known != self.known:
            self.known = known
            if self._tell is not None:
                self._tell(known)


def _is_count(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _follow(settings: Settings, watch: _Watch, seconds: float) -> Operation[None]:
    """Follow the progress stream for a while; its reports go to the watch."""
    watch.stop_after(seconds)
    url = endpoint(settings.batch_url, "stream-job-progress", watch.known.job_id)
    # The stream is a convenience: whatever becomes of it, the status is asked for next.
    with suppress(SutroConnectionError):
        yield Request("GET", url, timeout=Timeout(read=max(1.0, seconds)), sink=watch)
    watch.raise_again()
