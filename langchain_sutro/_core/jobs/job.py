"""`SutroJob`: a handle on a Batch job that can be stored and used again later."""

from __future__ import annotations

import asyncio
import html
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Any, Literal

from langchain_sutro._core import service as _service
from langchain_sutro._core.exports import exported_from
from langchain_sutro._core.jobs.bar import progress_bar
from langchain_sutro._core.jobs.calls import (
    afetch_results,
    afollow_job,
    fetch_results,
    follow_job,
    trace_results,
)
from langchain_sutro._core.jobs.client import SutroClient
from langchain_sutro._core.jobs.connection import aexecute, execute
from langchain_sutro._core.jobs.memory import memory
from langchain_sutro.errors import SutroError, SutroInputError, SutroJobTimeoutError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from langchain_sutro._core.results import BatchResults
    from langchain_sutro._core.service import JobProgress, JobStatus

__all__ = ["OnInterrupt", "SutroJob"]

OnInterrupt = Literal["detach", "cancel"]

_STATE = ("job_id", "function", "rows", "token", "reused", "poll_interval", "on_interrupt")


@exported_from("langchain_sutro")
class SutroJob:
    """A Batch job.

    It holds ids and numbers only, so it goes into JSON, pickles and an agent's state; the key
    stays behind and is read again where the job is restored.

    Args:
        job_id: The service's id.
        client: How to reach the deployment; by default from the environment.
        function: The Function's name.
        rows: Rows that went in.
        token: Of the submission.
        reused: Whether an earlier job stands for this submission.
        poll_interval: Maximum number of seconds between status checks.
        on_interrupt: What becomes of the job when a wait for it is interrupted.
    """

    def __init__(
        self,
        job_id: str,
        *,
        client: SutroClient | None = None,
        function: str | None = None,
        rows: int | None = None,
        token: str | None = None,
        reused: bool = False,
        poll_interval: float = 5.0,
        on_interrupt: OnInterrupt = "detach",
    ) -> None:
        _service.check_id(job_id)
        self.job_id = job_id
        self.function = function
        self.rows = rows
        self.token = token
        self.reused = reused
        self.poll_interval = poll_interval
        self.on_interrupt: OnInterrupt = on_interrupt
        self._client = client if client is not None else SutroClient()

    @classmethod
    def from_id(
        cls,
        job_id: str,
        *,
        client: SutroClient | None = None,
        function: str | None = None,
        rows: int | None = None,
    ) -> SutroJob:
        """Take up a job by its id. Asks nothing of the service yet.

        Args:
            job_id: The job.
            client: Speaks to its deployment; by default one of the environment's settings.
            function: The Function's name, for its results.
            rows: How many rows went in, to check the results against.

        Raises:
            SutroInputError: It is no id: empty, unprintable or not a string.
        """
        return cls(job_id, client=client, function=function, rows=rows)

    @classmethod
    def find(cls, token: str, *, client: SutroClient | None = None) -> SutroJob | None:
        """The job of a submission whose outcome was unknown, or None if it made none.

        Args:
            token: From `SubmissionUnknownError`.
            client: How to reach the deployment.
        """
        client = client if client is not None else SutroClient()
        return cls._found(execute(client, _service.find_job, token), token, client)

    @classmethod
    async def afind(cls, token: str, *, client: SutroClient | None = None) -> SutroJob | None:
        """Asynchronous form of `find`."""
        client = client if client is not None else SutroClient()
        return cls._found(await aexecute(client, _service.find_job, token), token, client)

    @classmethod
    def forget(cls, token: str) -> None:
        """Let the rows of a submission be submitted again in this process.

        After a submission of unknown outcome, or a wait or a fetch that broke off, another
        submission of equal rows takes up its job rather than paying for a second one, or is refused
        as long as the job is not found.

        Args:
            token: From `SubmissionUnknownError`, or `SutroJob.token`. If its job exists after all,
                you pay twice.
        """
        memory.forget(token)

    @classmethod
    def _found(cls, job: dict[str, Any] | None, token: str, client: SutroClient) -> SutroJob | None:
        if job is None:
            return None
        rows, model = job.get("num_rows"), job.get("model")
        return cls(
            job["job_id"],
            client=client,
            token=token,
            function=model if isinstance(model, str) else None,
            rows=rows if isinstance(rows, int) else None,
        )

    @classmethod
    def from_dict(cls, state: dict[str, Any], *, client: SutroClient | None = None) -> SutroJob:
        """Take up a job again.

        Args:
            state: What `to_dict` gave.
            client: Speaks to its deployment; by default one of the environment's settings.

        Raises:
            SutroInputError: `to_dict` gives something else.
        """
        if not isinstance(state, dict) or "job_id" not in state or not state.keys() <= set(_STATE):
            raise SutroInputError(
                "from_dict takes what to_dict of a job gave, with its job_id; SutroJob.from_id "
                "takes an id alone."
            )
        return cls(**state, client=client)

    def to_dict(self) -> dict[str, Any]:
        """What JSON can hold: ids and numbers, no key, no rows."""
        return {name: getattr(self, name) for name in _STATE}

    def _asdict(self) -> dict[str, Any]:
        # LangGraph stores it in checkpoints, and calls the class with it.
        return self.to_dict()

    def __getstate__(self) -> dict[str, Any]:
        return {"job": self.to_dict(), "client": self._client}

    def __setstate__(self, state: dict[str, Any]) -> None:
        SutroJob.__init__(self, **state["job"], client=state["client"])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SutroJob) and other.job_id == self.job_id

    def __hash__(self) -> int:
        return hash(self.job_id)

    def __repr__(self) -> str:
        rows = "" if self.rows is None else f", rows={self.rows:,}"
        return f"SutroJob({self.job_id!r}, function={self.function!r}{rows})"

    def _repr_html_(self) -> str:
        rows = "" if self.rows is None else f" · {self.rows:,} rows"
        name = html.escape(self.function or "Function")
        return f"<b>Sutro job</b> <code>{html.escape(self.job_id)}</code> · {name}{rows}"

    def status(self) -> JobStatus:
        """Where the job is, as the service has stored it."""
        return self._client.get_job_status(self.job_id)

    async def astatus(self) -> JobStatus:
        """Asynchronous form of `status`."""
        return await self._client.aget_job_status(self.job_id)

    def wait(
        self,
        timeout: float | None = 7200.0,
        *,
        progress: bool = False,
        on_progress: Callable[[JobProgress], None] | None = None,
    ) -> SutroJob:
        """Wait until the job has succeeded.

        Args:
            timeout: Seconds; None for ever. The job continues when the wait ends.
            progress: Show a bar, on standard error or in the notebook.
            on_progress: Called with a `JobProgress` whenever more is known. What it raises ends
                the wait.

        Returns:
            The job itself.

        Raises:
            SutroJobFailedError: With the service's reason.
            SutroJobCancelledError: It was cancelled.
            SutroJobTimeoutError: The time is over.
        """
        with self._watching(progress, on_progress) as tell:
            try:
                follow_job(
                    self._client,
                    self.job_id,
                    timeout=timeout,
                    poll_interval=self.poll_interval,
                    rows_total=self.rows,
                    on_progress=tell,
                )
            except (KeyboardInterrupt, SystemExit) as interrupt:
                self.interrupted(interrupt)
                raise
        return self

    async def await_(
        self,
        timeout: float | None = 7200.0,  # noqa: ASYNC109 - the job's, not the call's
        *,
        progress: bool = False,
        on_progress: Callable[[JobProgress], None] | None = None,
    ) -> SutroJob:
        """Asynchronous form of `wait`; `await job` is the same with its defaults."""
        with self._watching(progress, on_progress) as tell:
            try:
                await afollow_job(
                    self._client,
                    self.job_id,
                    timeout=timeout,
                    poll_interval=self.poll_interval,
                    rows_total=self.rows,
                    on_progress=tell,
                )
            except (KeyboardInterrupt, SystemExit, asyncio.CancelledError) as interrupt:
                await self.ainterrupted(interrupt)
                raise
        return self

    def __await__(self) -> Generator[Any, None, SutroJob]:
        return self.await_().__await__()

    def results(
        self,
        *,
        include_inputs: bool = False,
        include_cumulative_logprobs: bool = False,
        timeout: float | None = 7200.0,
        progress: bool = False,
        on_progress: Callable[[JobProgress], None] | None = None,
    ) -> BatchResults:
        """Wait for the job and fetch its results, in input order.

        Args:
            include_inputs: Also what the Function was given, as the service rendered it.
            include_cumulative_logprobs: Also the log-probability of each output.
            timeout: Seconds to wait for the job.
            progress: Show a bar meanwhile.
            on_progress: As for `wait`.

        Raises:
            SutroJobError: As `wait` does.
        """
        try:
            self.wait(timeout, progress=progress, on_progress=on_progress)
        except SutroJobTimeoutError:
            memory.undelivered(self.job_id)
            raise
        with self.fetching():
            job = self._client.fetch_job(self.job_id)
            results = fetch_results(
                self._client,
                self.job_id,
                include_inputs=include_inputs,
                include_cumulative_logprobs=include_cumulative_logprobs,
                rows=self.rows,
                function=self.function,
                job=job,
            )
        trace_results(self._client, self.job_id, results, job)
        return results

    async def aresults(
        self,
        *,
        include_inputs: bool = False,
        include_cumulative_logprobs: bool = False,
        timeout: float | None = 7200.0,  # noqa: ASYNC109 - the job's, not the call's
        progress: bool = False,
        on_progress: Callable[[JobProgress], None] | None = None,
    ) -> BatchResults:
        """Asynchronous form of `results`; files are handled in a thread."""
        try:
            await self.await_(timeout, progress=progress, on_progress=on_progress)
        except SutroJobTimeoutError:
            memory.undelivered(self.job_id)
            raise
        with self.fetching():
            job = await self._client.afetch_job(self.job_id)
            results = await afetch_results(
                self._client,
                self.job_id,
                include_inputs=include_inputs,
                include_cumulative_logprobs=include_cumulative_logprobs,
                rows=self.rows,
                function=self.function,
                job=job,
            )
        trace_results(self._client, self.job_id, results, job)
        return results

    def cancel(self) -> bool:
        """Ask for cancellation, which the service carries out a little later.

        Returns:
            Whether the service took the request; False for a job that had ended.
        """
        # The service takes the request for a job that has ended too.
        return not self.status().ended and (
            self._client.cancel_job(self.job_id).get("cancelled") is True
        )

    async def acancel(self) -> bool:
        """Asynchronous form of `cancel`."""
        return not (await self.astatus()).ended and (
            (await self._client.acancel_job(self.job_id)).get("cancelled") is True
        )

    def cost_estimate(self, timeout: float | None = 7200.0) -> float | None:
        """The service's estimate in USD, once a dry run has ended; None if it gives none.

        An estimate may itself run a sample of the rows, so it is neither instant nor exact.
        """
        self.wait(timeout)
        with self.fetching():
            return _cost(self._client.fetch_job(self.job_id))

    async def acost_estimate(self, timeout: float | None = 7200.0) -> float | None:  # noqa: ASYNC109
        """Asynchronous form of `cost_estimate`."""
        await self.await_(timeout)
        with self.fetching():
            return _cost(await self._client.afetch_job(self.job_id))

    def progress(self) -> JobProgress:
        """What the service reports of the job now."""
        return execute(self._client, _service.job_progress, self.job_id, self.rows)

    async def aprogress(self) -> JobProgress:
        """Asynchronous form of `progress`."""
        return await aexecute(self._client, _service.job_progress, self.job_id, self.rows)

    @contextmanager
    def _watching(
        self, progress: bool, on_progress: Callable[[JobProgress], None] | None
    ) -> Iterator[Callable[[JobProgress], None] | None]:
        """Everything that wants to hear of progress, as one callable."""
        listeners = [] if on_progress is None else [on_progress]
        with ExitStack() as stack:
            if progress:
                listeners.append(
                    stack.enter_context(progress_bar(self.function or self.job_id, self.rows))
                )
            if not listeners:
                yield None
                return

            def tell(known: JobProgress) -> None:
                for listener in listeners:
                    listener(known)

            yield tell

    def interrupted(self, interrupt: BaseException) -> None:
        """Say which job continues; cancel it if `on_interrupt` says so."""
        interrupt.add_note(self._note())
        if self.on_interrupt == "cancel":
            with suppress(SutroError):
                self.cancel()

    async def ainterrupted(self, interrupt: BaseException) -> None:
        """Asynchronous form of `interrupted`."""
        interrupt.add_note(self._note())
        if self.on_interrupt == "cancel":
            # In a task of its own: this one is being cancelled.
            with suppress(SutroError):
                await asyncio.shield(asyncio.ensure_future(self.acancel()))

    @contextmanager
    def fetching(self) -> Iterator[None]:
        """Whatever goes wrong says where the results are: they are paid for."""
        try:
            yield
        except BaseException as error:
            if not isinstance(error, KeyboardInterrupt | SystemExit):
                memory.undelivered(self.job_id)
            error.add_note(
                f"{self.job_id} has succeeded: take it up again with "
                f"SutroJob.from_id({self.job_id!r})."
            )
            raise

    def _note(self) -> str:
        if self.on_interrupt == "cancel":
            return f"{self.job_id} was asked to cancel."
        return f"{self.job_id} continues: return to it with SutroJob.from_id({self.job_id!r})."


def _cost(job: dict[str, Any]) -> float | None:
    estimate = job.get("cost_estimate")
    # No cost is negative, infinite or a truth value; a limit must not pass for one that is.
    if not isinstance(estimate, int | float) or isinstance(estimate, bool):
        return None
    return float(estimate) if 0 <= estimate < float("inf") else None
