"""`BatchJob`: submits the rows of a batch, waits for them, and passes the progress on."""

from __future__ import annotations

import asyncio
import inspect
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from langchain_core.callbacks.manager import adispatch_custom_event, dispatch_custom_event

from langchain_sutro._core.jobs import afetch_results, fetch_results
from langchain_sutro.errors import SutroError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from langchain_core.runnables import RunnableConfig

    from langchain_sutro._core.jobs import SutroClient, SutroJob
    from langchain_sutro._core.results import BatchResults
    from langchain_sutro._core.rows import SpooledRows
    from langchain_sutro._core.service import JobProgress

__all__ = ["PROGRESS_EVENT", "BatchJob", "event"]

PROGRESS_EVENT = "sutro_job_progress"

_T = TypeVar("_T")


@dataclass(frozen=True)
class BatchJob:
    """The job of a batch whose rows have runs of their own, so that it makes none.

    Attributes:
        function: The Function's name.
        client: Fetches the results.
        submit: Submits the rows.
        asubmit: Asynchronous form of `submit`.
        listener: Called with the progress of the job.
        progress: Whether to show a bar.
        config: A config whose run the progress events belong to: that of the first row.
        priced: Whether to find out the job's tokens and cost, for the runs of its rows. A job that
            is reused has been paid and counted before.
    """

    function: str
    client: SutroClient
    submit: Callable[[SpooledRows], SutroJob]
    asubmit: Callable[[SpooledRows], Awaitable[SutroJob]]
    listener: Callable[[JobProgress], Any] | None
    progress: bool
    config: RunnableConfig
    priced: bool = False
    _events: set[asyncio.Future[Any]] = field(default_factory=set, init=False)

    def run(self, rows: SpooledRows, finish: Callable[[str, BatchResults], _T]) -> _T:
        """Run the rows as one job.

        Args:
            rows: The rows, encoded; they are closed once they have been submitted.
            finish: Takes the job's id and its results. What it raises says where the results are.

        Returns:
            What `finish` returns.

        Raises:
            SutroJobError: The job did not succeed.
        """
        with rows:
            job = self.submit(rows)
        return self.follow(job, finish)

    async def arun(self, rows: SpooledRows, finish: Callable[[str, BatchResults], _T]) -> _T:
        """Asynchronous form of `run`."""
        with rows:
            job = await self.asubmit(rows)
        return await self.afollow(job, finish)

    async def afollow(self, job: SutroJob, finish: Callable[[str, BatchResults], _T]) -> _T:
        """Asynchronous form of `follow`."""
        await job.await_(None, progress=self.progress, on_progress=self._on_progress_async)
        with job.fetching():
            # What a listener raises is raised here.
            await asyncio.gather(*self._events)
            results = await afetch_results(
                self.client,
                job.job_id,
                rows=job.rows,
                function=self.function,
                job=await self._ajob_object(job),
            )
            return finish(job.job_id, results)

    def follow(self, job: SutroJob, finish: Callable[[str, BatchResults], _T]) -> _T:
        """Wait for a job that was submitted; otherwise as `run`."""
        job.wait(None, progress=self.progress, on_progress=self._on_progress)
        with job.fetching():
            results = fetch_results(
                self.client,
                job.job_id,
                rows=job.rows,
                function=self.function,
                job=self._job_object(job),
            )
            return finish(job.job_id, results)

    def _job_object(self, job: SutroJob) -> dict[str, Any] | None:
        with suppress(SutroError):
            if self.priced and not job.reused:
                return self.client.fetch_job(job.job_id)
        return None

    async def _ajob_object(self, job: SutroJob) -> dict[str, Any] | None:
        with suppress(SutroError):
            if self.priced and not job.reused:
                return await self.client.afetch_job(job.job_id)
        return None

    def _on_progress(self, known: JobProgress) -> None:
        """Pass progress on to the listener and to every callback handler."""
        if self.listener is not None:
            self.listener(known)
        dispatch_custom_event(PROGRESS_EVENT, event(known), config=self.config)

    def _on_progress_async(self, known: JobProgress) -> None:
        """The same on an event loop, without waiting for the listeners."""
        if self.listener is not None:
            heard = self.listener(known)
            if inspect.isawaitable(heard):
                self._events.add(asyncio.ensure_future(heard))
        event_sent = adispatch_custom_event(PROGRESS_EVENT, event(known), config=self.config)
        self._events.add(asyncio.ensure_future(event_sent))


def event(known: JobProgress) -> dict[str, Any]:
    """Progress as JSON."""
    return {
        "job_id": known.job_id,
        "status": str(known.status),
        "rows_done": known.rows_done,
        "rows_total": known.rows_total,
        "input_tokens": known.input_tokens,
        "output_tokens": known.output_tokens,
        "tokens_per_second": known.tokens_per_second,
    }
