"""What the job tools do, each sync and async: start, estimate, look, fetch a page, cancel."""

from __future__ import annotations

import asyncio
import hashlib
import re
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import orjson

from langchain_sutro._jobs import SutroJob
from langchain_sutro._service import JobProgress, JobStatus
from langchain_sutro.agents.jobs.input import JobRows
from langchain_sutro.agents.jobs.progress import ToolProgress
from langchain_sutro.errors import (
    SutroConfigurationError,
    SutroError,
    SutroInputError,
    SutroJobCancelledError,
    SutroJobError,
    SutroJobFailedError,
    SutroJobTimeoutError,
    SutroNotFoundError,
)
from langchain_sutro.functions import event, short_answer

if TYPE_CHECKING:
    from collections.abc import Callable

    from langchain_core.runnables import RunnableConfig

    from langchain_sutro._results import BatchResults
    from langchain_sutro._rows import SpooledRows
    from langchain_sutro.agents.safe_files import RootFiles
    from langchain_sutro.functions import SutroFunction

__all__ = ["JobActions", "Limits", "Outcome"]

# What the model reads, and what code gets.
Outcome = tuple[str, dict[str, Any]]

_ESTIMATES_LAST = timedelta(hours=24)
_OWNER = re.compile(r"\bagent-jobs=([0-9a-f]{32})\b")


@dataclass(frozen=True, slots=True)
class Limits:
    """What a model may ask for; `SutroJobToolkit` explains each."""

    rows: int
    cost: float | None
    page_rows: int
    page_chars: int
    wait_seconds: float
    estimate_seconds: float


class JobActions:
    """The work behind the job tools of one Function.

    Args:
        function: The Function.
        files: Where tables may be read from; None for nowhere.
        limits: What a model may ask for.
        scope: Whose jobs are whose, see `SutroJobToolkit`.
        any_job: Whether jobs of the Function that were started elsewhere may be looked at too.
    """

    def __init__(
        self,
        function: SutroFunction,
        files: RootFiles | None,
        limits: Limits,
        scope: str | Callable[[RunnableConfig], str] | None,
        *,
        any_job: bool,
    ) -> None:
        self._function = function
        # Equal rows are estimated once, also by another process.
        self._estimator = function.model_copy(update={"reuse_jobs": _ESTIMATES_LAST})
        self._rows = JobRows(function, files, limits.rows)
        self._limits = limits
        self._scope = scope
        self._any_job = any_job
        self._jobs: dict[str, tuple[str, SutroJob]] = {}
        self._estimates: dict[str, float] = {}
        self._fetched: tuple[str, BatchResults] | None = None

    def rows(self, arguments: Any) -> SpooledRows:
        """The rows of a call. Reads files.

        Raises:
            SutroInputError: They are too many, or one cannot be sent; it names row and column.
        """
        return self._rows.take(arguments.rows, arguments.file)

    def start(self, arguments: Any, config: RunnableConfig) -> Outcome:
        """Submit a job, if it costs no more than it may."""
        rows = self.rows(arguments)
        if self._limits.cost is not None:
            self._check_cost(self.estimate(rows, config), rows)
        job = self._function.submit(rows, config, description=self._description(config))
        progress = ToolProgress(config)
        progress.tell(JobProgress(job.job_id, JobStatus.QUEUED, rows_total=job.rows))
        return self._started(job, config)

    async def astart(self, arguments: Any, config: RunnableConfig) -> Outcome:
        """`start` on the running event loop."""
        rows = await asyncio.to_thread(self.rows, arguments)
        if self._limits.cost is not None:
            self._check_cost(await self.aestimate(rows, config), rows)
        job = await self._function.asubmit(rows, config, description=self._description(config))
        progress = ToolProgress(config)
        progress.tell_async(JobProgress(job.job_id, JobStatus.QUEUED, rows_total=job.rows))
        await progress.told()
        return self._started(job, config)

    def _started(self, job: SutroJob, config: RunnableConfig) -> Outcome:
        # A look that is interrupted says nothing about the job.
        job.on_interrupt = "detach"
        self._jobs[job.job_id] = self._scope_of(config), job
        return _outcome({"job_id": job.job_id, "rows": job.rows, "status": str(JobStatus.QUEUED)})

    def tell_estimate(self, arguments: Any, config: RunnableConfig) -> Outcome:
        """Estimate what a job would cost."""
        rows = self.rows(arguments)
        return _outcome({"rows": rows.count, "cost_usd": self.estimate(rows, config)})

    async def atell_estimate(self, arguments: Any, config: RunnableConfig) -> Outcome:
        """`tell_estimate` on the running event loop."""
        rows = await asyncio.to_thread(self.rows, arguments)
        return _outcome({"rows": rows.count, "cost_usd": await self.aestimate(rows, config)})

    def known_estimate(self, rows: SpooledRows) -> float | None:
        """The estimate of these rows, if it was made here before."""
        return self._estimates.get(rows.sha256)

    def estimate(self, rows: SpooledRows, config: RunnableConfig | None = None) -> float:
        """The service's estimate for these rows in USD.

        Raises:
            SutroJobError: It gives none, so that no limit can be kept.
        """
        known = self.known_estimate(rows)
        if known is not None:
            return known
        job = self._estimator.submit(rows, config, dry_run=True)
        return self._estimated(job, job.cost_estimate(self._limits.estimate_seconds), rows)

    async def aestimate(self, rows: SpooledRows, config: RunnableConfig | None = None) -> float:
        """`estimate` on the running event loop."""
        known = self.known_estimate(rows)
        if known is not None:
            return known
        job = await self._estimator.asubmit(rows, config, dry_run=True)
        return self._estimated(job, await job.acost_estimate(self._limits.estimate_seconds), rows)

    def _estimated(self, job: SutroJob, cost: float | None, rows: SpooledRows) -> float:
        if cost is None:
            raise SutroJobError(
                f"The service gave no estimate for {rows.count:,} rows.", job_id=job.job_id
            )
        self._estimates[rows.sha256] = cost
        return cost

    def _check_cost(self, cost: float, rows: SpooledRows) -> None:
        limit = self._limits.cost
        if limit is not None and cost > limit:
            raise SutroInputError(
                f"A job on these {rows.count:,} rows is estimated at ${cost:.6g}, and ${limit:.6g} "
                "may be spent on one: it was not started. Take fewer rows."
            )

    def status(self, arguments: Any, config: RunnableConfig) -> Outcome:
        """Look at a job, after waiting for its end for a while."""
        job = self._own(arguments.job_id, config) or self._adopted(
            self._asked(arguments.job_id), arguments.job_id, config
        )
        progress = ToolProgress(config)
        reason = None
        try:
            job.wait(self._patience(arguments), on_progress=progress.tell)
        except SutroJobTimeoutError:
            progress.known = job.progress()
        except (SutroJobFailedError, SutroJobCancelledError) as error:
            reason = str(error)
        return _status(job, progress.known, reason)

    async def astatus(self, arguments: Any, config: RunnableConfig) -> Outcome:
        """`status` on the running event loop."""
        job = self._own(arguments.job_id, config) or self._adopted(
            await self._aasked(arguments.job_id), arguments.job_id, config
        )
        progress = ToolProgress(config)
        reason = None
        try:
            await job.await_(self._patience(arguments), on_progress=progress.tell_async)
        except SutroJobTimeoutError:
            progress.known = await job.aprogress()
        except (SutroJobFailedError, SutroJobCancelledError) as error:
            reason = str(error)
        await progress.told()
        return _status(job, progress.known, reason)

    def _patience(self, arguments: Any) -> float:
        return float(min(arguments.wait_seconds, self._limits.wait_seconds))

    def results(self, arguments: Any, config: RunnableConfig) -> Outcome:
        """Fetch a page of a job's results."""
        job = self._own(arguments.job_id, config) or self._adopted(
            self._asked(arguments.job_id), arguments.job_id, config
        )
        _check_succeeded(job, job.status())
        kept = self._fetched
        results = kept[1] if kept and kept[0] == job.job_id else job.results()
        self._fetched = job.job_id, results
        return self._page(job, results, arguments)

    async def aresults(self, arguments: Any, config: RunnableConfig) -> Outcome:
        """`results` on the running event loop."""
        job = self._own(arguments.job_id, config) or self._adopted(
            await self._aasked(arguments.job_id), arguments.job_id, config
        )
        _check_succeeded(job, await job.astatus())
        kept = self._fetched
        results = kept[1] if kept and kept[0] == job.job_id else await job.aresults()
        self._fetched = job.job_id, results
        return await asyncio.to_thread(self._page, job, results, arguments)

    def _page(self, job: SutroJob, results: BatchResults, arguments: Any) -> Outcome:
        """As many rows as were asked for, and fit."""
        start = arguments.offset
        if start >= len(results):
            raise SutroInputError(f"offset must be below {len(results):,}, the number of rows.")
        stop = start + min(arguments.limit, self._limits.page_rows)
        shown: list[dict[str, Any]] = []
        whole = []
        left = self._limits.page_chars
        for index, result in enumerate(results[start:stop], start):
            row = _short(index, result)
            size = len(orjson.dumps(row))
            if size > left and shown:
                break
            if size > left:
                text = orjson.dumps(row).decode()
                row = {"row": index, "cut": text[: max(left, 0)] + "…"}
            left -= size
            shown.append(row)
            whole.append({"error": str(result)} if isinstance(result, SutroError) else dict(result))
        end = start + len(shown)
        page: dict[str, Any] = {"job_id": job.job_id, "rows_total": len(results), "rows": shown}
        page["next_offset"] = end if end < len(results) else None
        return orjson.dumps(page).decode(), {**page, "rows": whole, "offset": start}

    def cancel(self, arguments: Any, config: RunnableConfig) -> Outcome:
        """Ask for a job's cancellation."""
        job = self._own(arguments.job_id, config) or self._adopted(
            self._asked(arguments.job_id), arguments.job_id, config
        )
        return _outcome({"job_id": job.job_id, "cancelling": job.cancel()})

    async def acancel(self, arguments: Any, config: RunnableConfig) -> Outcome:
        """`cancel` on the running event loop."""
        job = self._own(arguments.job_id, config) or self._adopted(
            await self._aasked(arguments.job_id), arguments.job_id, config
        )
        return _outcome({"job_id": job.job_id, "cancelling": await job.acancel()})

    def _scope_of(self, config: RunnableConfig) -> str:
        scope = self._scope(config) if callable(self._scope) else self._scope
        if self._scope is not None and not (isinstance(scope, str) and scope):
            raise SutroConfigurationError("scope must give a text that is not empty.")
        return scope or ""

    def _description(self, config: RunnableConfig) -> str | None:
        """What marks a job as one of this scope, for other processes."""
        scope = self._scope_of(config)
        return f"agent-jobs={_digest(scope)}" if scope else None

    def _own(self, job_id: str, config: RunnableConfig) -> SutroJob | None:
        """A job that was started here."""
        scope, job = self._jobs.get(job_id, ("", None))
        return job if scope == self._scope_of(config) else None

    def _asked(self, job_id: str) -> dict[str, Any] | None:
        """What the service tells of a job that was not started here."""
        if self._scope is None and not self._any_job:
            return None
        try:
            return self._function.client.fetch_job(job_id)
        except SutroNotFoundError:
            return None

    async def _aasked(self, job_id: str) -> dict[str, Any] | None:
        """`_asked` on the running event loop."""
        if self._scope is None and not self._any_job:
            return None
        try:
            return await self._function.client.afetch_job(job_id)
        except SutroNotFoundError:
            return None

    def _adopted(
        self, facts: dict[str, Any] | None, job_id: str, config: RunnableConfig
    ) -> SutroJob:
        """A job of this Function and scope that another process started.

        Raises:
            SutroInputError: It is another's, or there is none. Which of both is not told.
        """
        scope = self._scope_of(config)
        found = _OWNER.search(str((facts or {}).get("description")))
        owned = self._any_job or (scope != "" and found is not None and found[1] == _digest(scope))
        if facts is None or not owned or facts.get("model") != self._function.function:
            mine = [known for known, (whose, _) in self._jobs.items() if whose == scope][-10:]
            started = f"Started here: {', '.join(mine)}." if mine else "None was started yet."
            raise SutroInputError(f"There is no job {job_id!r} here. {started}")
        rows = facts.get("num_rows")
        job = SutroJob.from_id(
            job_id,
            client=self._function.client,
            function=self._function.function,
            rows=rows if isinstance(rows, int) else None,
        )
        self._jobs[job_id] = scope, job
        return job


def _digest(scope: str) -> str:
    return hashlib.sha256(scope.encode()).hexdigest()[:32]


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


def _check_succeeded(job: SutroJob, status: JobStatus) -> None:
    if status is not JobStatus.SUCCEEDED:
        later = "" if status.ended else " Look at it again later."
        raise SutroInputError(f"{job.job_id} has no results: it is {status}.{later}")


def _short(index: int, result: Any) -> dict[str, Any]:
    """A row's result as the model reads it."""
    if isinstance(result, SutroError):
        return {"row": index, "error": str(result)}
    return {"row": index, **short_answer(result, result.answer)}
