"""`RowBatch`: the rows of a `batch` call, between LangChain's runs and the Batch job."""

from __future__ import annotations

import asyncio
import inspect
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from langchain_core.callbacks.manager import adispatch_custom_event, dispatch_custom_event

from langchain_sutro._rows import encode_row, spool_rows
from langchain_sutro._tracing import row_facts
from langchain_sutro.errors import SutroError, SutroInputError
from langchain_sutro.functions.row_outcomes import RowOutcomes

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from langchain_core.callbacks import BaseRunManager
    from langchain_core.runnables import RunnableConfig

    from langchain_sutro._jobs import SutroClient, SutroJob
    from langchain_sutro._results import BatchResults
    from langchain_sutro._rows import InputSchema, SpooledRows
    from langchain_sutro._service import JobProgress
    from langchain_sutro.functions.answers import AnswerForm
    from langchain_sutro.functions.runs import CallRuns

__all__ = ["PROGRESS_EVENT", "RowBatch", "event"]

PROGRESS_EVENT = "sutro_job_progress"


@dataclass(frozen=True)
class RowBatch:
    """The rows of one `batch` call, each with its own run and its own value or error.

    Attributes:
        inputs: The rows as the caller gave them.
        schema: Checks each row; None sends them as they are.
        form: The form of the outcomes.
        runs: Writes the facts of each row onto its run.
        managers: The run manager of each row.
        configs: The config of each row's children.
        client: Fetches the results.
        listener: Called with the progress of the job.
        progress: Whether to show a bar.
        return_exceptions: Whether a bad row keeps its error while the others are sent.
    """

    inputs: Sequence[Any]
    schema: InputSchema | None
    form: AnswerForm
    runs: CallRuns
    managers: Sequence[BaseRunManager]
    configs: Sequence[RunnableConfig]
    client: SutroClient
    listener: Callable[[JobProgress], Any] | None
    progress: bool
    return_exceptions: bool
    _events: set[asyncio.Future[Any]] = field(default_factory=set, init=False)

    def run(self, submit: Callable[[SpooledRows], SutroJob]) -> list[Any]:
        """Run the rows as one job.

        Args:
            submit: Submits the rows that can be sent.

        Returns:
            One value or error for each row, in input order.

        Raises:
            SutroInputError: A row cannot be sent, and the caller wants no partial answer.
            SutroJobError: The job did not succeed.
        """
        rows, encoded = self._encode()
        if encoded is None:
            return rows.outcomes
        with encoded:
            job = submit(encoded)
        job.wait(None, progress=self.progress, on_progress=self._on_progress)
        with job.fetching():
            results = self.client.fetch_results(
                job.job_id, rows=job.rows, function=self.form.function
            )
            return self._finish(rows, job.job_id, results)

    async def arun(self, submit: Callable[[SpooledRows], Awaitable[SutroJob]]) -> list[Any]:
        """Asynchronous form of `run`."""
        rows, encoded = await asyncio.to_thread(self._encode)
        if encoded is None:
            return rows.outcomes
        with encoded:
            job = await submit(encoded)
        await job.await_(None, progress=self.progress, on_progress=self._on_progress_async)
        with job.fetching():
            # What a listener raises is raised here.
            await asyncio.gather(*self._events)
            results = await self.client.afetch_results(
                job.job_id, rows=job.rows, function=self.form.function
            )
            return self._finish(rows, job.job_id, results)

    def _encode(self) -> tuple[RowOutcomes, SpooledRows | None]:
        """The rows, of which those that can be sent are open, and these encoded."""
        rows = RowOutcomes(len(self.inputs))

        def encoded(index: int) -> Any:
            row = self.inputs[index]
            if self.schema is not None:
                row = self.schema.check(row, row_index=index)
            return encode_row(row, row_index=index)

        good = rows.prepare(encoded, keep=SutroInputError if self.return_exceptions else ())
        return rows, spool_rows(good) if good else None

    def _finish(self, rows: RowOutcomes, job_id: str, results: BatchResults) -> list[Any]:
        outcomes = []
        for place, (index, result) in enumerate(zip(rows.open, results, strict=True)):
            outcomes.append(self._outcome(result, job_id, place))
            self.runs.record(
                self.managers[index],
                self.configs[index],
                facts=row_facts(job_id, index, result),
            )
        rows.put(outcomes)
        return rows.outcomes

    def _outcome(self, result: Any, job_id: str, row_index: int) -> Any:
        if isinstance(result, SutroError):
            return result
        try:
            return self.form.of(result, job_id=job_id, row_index=row_index)
        except SutroError as error:
            return error

    def _on_progress(self, known: JobProgress) -> None:
        """Pass progress on to the listener and to every callback handler."""
        if self.listener is not None:
            self.listener(known)
        # A custom event needs a run that it belongs to: that of the first row.
        dispatch_custom_event(PROGRESS_EVENT, event(known), config=self.configs[0])

    def _on_progress_async(self, known: JobProgress) -> None:
        """The same on an event loop, without waiting for the listeners."""
        if self.listener is not None:
            heard = self.listener(known)
            if inspect.isawaitable(heard):
                self._events.add(asyncio.ensure_future(heard))
        event_sent = adispatch_custom_event(PROGRESS_EVENT, event(known), config=self.configs[0])
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
