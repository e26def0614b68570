"""What each job tool does: start, estimate, check the status, fetch a page of results, cancel.

Every action is written once, as steps that a thread or an event loop carries out.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import orjson

from langchain_sutro._core.service import JobProgress, JobStatus, Step, Steps, blocking
from langchain_sutro.agents.jobs.input import RowsInput
from langchain_sutro.agents.jobs.pages import Page, PageLimits
from langchain_sutro.agents.jobs.progress import ToolProgress
from langchain_sutro.errors import (
    SutroInputError,
    SutroJobCancelledError,
    SutroJobError,
    SutroJobFailedError,
    SutroJobTimeoutError,
)
from langchain_sutro.functions import event, scoped

if TYPE_CHECKING:
    from collections.abc import Callable

    from langchain_core.runnables import RunnableConfig

    from langchain_sutro._core.jobs import SutroJob
    from langchain_sutro._core.results import BatchResults
    from langchain_sutro._core.rows import SpooledRows
    from langchain_sutro.agents.jobs.known_jobs import KnownJobs
    from langchain_sutro.agents.safe_files import RootFiles
    from langchain_sutro.functions import SutroFunction

__all__ = ["JobActions", "Limits", "Outcome"]

# The content for the model, and the artifact for code.
Outcome: TypeAlias = tuple[str, dict[str, Any]]

_ESTIMATES_LAST = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Limits:
    """What a model may ask for; `SutroJobToolkit` explains each."""

    rows: int
    bytes: int
    cost: float | None
    page: PageLimits
    wait_seconds: float
    estimate_seconds: float


class JobActions:
    """The work behind the job tools of one Function.

    Args:
        function: The Function.
        files: Where tables may be read from; None if no files may be read.
        limits: What a model may ask for.
        jobs: The jobs that the model may look at, fetch and cancel.
    """

    def __init__(
        self, function: SutroFunction, files: RootFiles | None, limits: Limits, jobs: KnownJobs
    ) -> None:
        self._function = function
        # Equal rows are estimated once, also by another process.
        self._estimator = function.model_copy(update={"reuse_jobs": _ESTIMATES_LAST})
        self._input = RowsInput(function, files, limits.rows, limits.bytes)
        self._limits = limits
        self._jobs = jobs
        self._estimates: dict[str, float] = {}
        self._fetched: tuple[str, BatchResults] | None = None

    def rows(self, arguments: Any) -> SpooledRows:
        """The rows of a call. Reads files.

        Raises:
            SutroInputError: There are too many rows, or one cannot be sent; the message names the
                row and the column.
        """
        return self._input.read(arguments.rows, arguments.file)

    def known_estimate(self, rows: SpooledRows) -> float | None:
        """The estimate of these rows, if one was made here before."""
        return self._estimates.get(rows.sha256)

    def estimated_cost(
        self, rows: SpooledRows, config: RunnableConfig | None = None
    ) -> Steps[float]:
        """The service's estimate for these rows in USD.

        Raises:
            SutroJobError: The service gives no estimate, so that no limit can be kept.
        """
        known = self.known_estimate(rows)
        if known is not None:
            return known
        function, seconds = self._estimator, self._limits.estimate_seconds
        job = yield Step(
            partial(function.submit, rows, config, dry_run=True),
            partial(function.asubmit, rows, config, dry_run=True),
        )
        cost: float | None = yield Step(
            partial(job.cost_estimate, seconds), partial(job.acost_estimate, seconds)
        )
        if cost is None:
            raise SutroJobError(
                f"The service gave no estimate for {rows.count:,} rows.", job_id=job.job_id
            )
        self._estimates[rows.sha256] = cost
        return cost

    def start(
        self,
        arguments: Any,
        config: RunnableConfig,
        check: Callable[[SpooledRows], Steps[None]],
    ) -> Steps[Outcome]:
        """Submit a job, unless it is estimated to cost more than `max_cost`.

        Args:
            arguments: The arguments of the call.
            config: The config of its run.
            check: Raises if these are not the rows that a human has decided on.
        """
        rows = yield blocking(self.rows, arguments)
        yield from check(rows)
        if self._limits.cost is not None:
            cost = yield from self.estimated_cost(rows, config)
            _check_cost(cost, self._limits.cost, rows)
        description = self._jobs.description(config)
        function = scoped(self._function, self._jobs.scope_of(config))
        job = yield Step(
            partial(function.submit, rows, config, description=description),
            partial(function.asubmit, rows, config, description=description),
        )
        self._jobs.add(job, config)
        progress = ToolProgress(config)
        yield progress.report(JobProgress(job.job_id, JobStatus.QUEUED, rows_total=job.rows))
        return _outcome({"job_id": job.job_id, "rows": job.rows, "status": str(JobStatus.QUEUED)})

    def estimate(self, arguments: Any, config: RunnableConfig) -> Steps[Outcome]:
        """Estimate what a job would cost."""
        rows = yield blocking(self.rows, arguments)
        cost = yield from self.estimated_cost(rows, config)
        return _outcome({"rows": rows.count, "cost_usd": cost})

    def status(self, arguments: Any, config: RunnableConfig) -> Steps[Outcome]:
        """A job's status, after waiting some time for the job to end."""
        job = yield from self._jobs.find(arguments.job_id, config)
        seconds = float(min(arguments.wait_seconds, self._limits.wait_seconds))
        progress = ToolProgress(config)
        reason = None
        try:
            yield Step(
                partial(job.wait, seconds, on_progress=progress.on_progress),
                partial(job.await_, seconds, on_progress=progress.on_progress_async),
            )
        except SutroJobTimeoutError:
            progress.latest = yield Step(job.progress, job.aprogress)
        except (SutroJobFailedError, SutroJobCancelledError) as error:
            reason = str(error)
        yield progress.delivery()
        return _status(job, progress.latest, reason)

    def results(self, arguments: Any, config: RunnableConfig) -> Steps[Outcome]:
        """Fetch a page of a job's results."""
        job = yield from self._jobs.find(arguments.job_id, config)
        _check_succeeded(job, (yield Step(job.status, job.astatus)))
        if self._fetched is not None and self._fetched[0] == job.job_id:
            results = self._fetched[1]
        else:
            results = yield Step(job.results, job.aresults)
        self._fetched = job.job_id, results
        page: Page = yield blocking(
            Page.of, results, arguments.offset, arguments.limit, self._limits.page
        )
        facts = {"job_id": job.job_id, "rows_total": len(results)}
        following = {"next_offset": page.next_offset}
        content = orjson.dumps({**facts, "rows": page.shown, **following}).decode()
        return content, {**facts, "rows": page.rows, **following, "offset": page.offset}

    def cancel(self, arguments: Any, config: RunnableConfig) -> Steps[Outcome]:
        """Ask for a job's cancellation."""
        job = yield from self._jobs.find(arguments.job_id, config)
        cancelling = yield Step(job.cancel, job.acancel)
        return _outcome({"job_id": job.job_id, "cancelling": cancelling})


def _outcome(facts: dict[str, Any]) -> Outcome:
    return orjson.dumps(facts).decode(), facts


def _status(job: SutroJob, known: JobProgress | None, reason: str | None) -> Outcome:
    facts = event(known or JobProgress(job.job_id, rows_total=job.rows))
    if known is not None and known.status is JobStatus.SUCCEEDED:
        # The stream may end before it has counted all rows.
        facts["rows_done"] = facts["rows_total"]
    if reason is not None:
        facts["reason"] = reason
    return _outcome({name: value for name, value in facts.items() if value is not None})


def _check_cost(cost: float, limit: float, rows: SpooledRows) -> None:
    if cost > limit:
        raise SutroInputError(
            f"The job was not started: its {rows.count:,} rows are estimated at ${cost:.6g}, and "
            f"the limit is ${limit:.6g} per job. Use fewer rows."
        )


def _check_succeeded(job: SutroJob, status: JobStatus) -> None:
    if status is not JobStatus.SUCCEEDED:
        later = "" if status.ended else " Check its status again later."
        raise SutroInputError(f"{job.job_id} has no results: its status is {status}.{later}")
