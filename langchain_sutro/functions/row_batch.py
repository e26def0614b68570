"""One Batch job for the rows of a `batch` call: each row its own run, its own value or error."""

from __future__ import annotations

import asyncio
import inspect
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from langchain_core.callbacks.manager import adispatch_custom_event, dispatch_custom_event

from langchain_sutro._rows import encode_row, spool_rows
from langchain_sutro.errors import SutroError, SutroInputError
from langchain_sutro.functions.runs import record_call

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from langchain_core.callbacks import BaseRunManager
    from langchain_core.runnables import RunnableConfig

    from langchain_sutro._jobs import SutroJob
    from langchain_sutro._results import BatchResults
    from langchain_sutro._rows import SpooledRows
    from langchain_sutro._service import JobProgress
    from langchain_sutro.functions.function import SutroFunction

__all__ = ["PROGRESS_EVENT", "Interrupts", "RowBatch", "event"]

PROGRESS_EVENT = "sutro_job_progress"


class Interrupts:
    """Lets Ctrl-C and cancellation through LangChain's batch helpers.

    With `return_exceptions` those take an interrupt for the result of every row.
    """

    def __init__(self) -> None:
        self._first: BaseException | None = None

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Note an interrupt on its way out."""
        try:
            yield
        except Exception:
            raise
        except BaseException as interrupt:
            self._first = interrupt
            raise

    def raise_again(self) -> None:
        """Raise the interrupt that was noted."""
        if self._first is not None:
            raise self._first


class RowBatch:
    """The rows of one call, between LangChain's runs and the job.

    Args:
        function: The Runnable that is called.
        rows: Its inputs.
        managers: The run of each row.
        configs: The config of each row's children.
        return_exceptions: Whether a bad row leaves the others alone.
    """

    def __init__(
        self,
        function: SutroFunction,
        rows: Sequence[Any],
        managers: Sequence[BaseRunManager],
        configs: Sequence[RunnableConfig],
        *,
        return_exceptions: bool,
    ) -> None:
        self._function = function
        self._rows = rows
        self._managers = managers
        self._configs = configs
        self._return_exceptions = return_exceptions
        self._outputs: list[Any] = [None] * len(rows)
        self._sent: list[int] = []
        self._events: set[asyncio.Task[None]] = set()

    def encode(self) -> SpooledRows | None:
        """Check and encode the rows; None if there is none to send.

        Raises:
            SutroInputError: A row cannot be sent, and the caller wants no partial answer.
        """
        good = []
        for index, row in enumerate(self._rows):
            try:
                good.append(encode_row(self._function.checked(row, index), row_index=index))
            except SutroInputError as error:
                if not self._return_exceptions:
                    raise
                self._outputs[index] = error
            else:
                self._sent.append(index)
        return spool_rows(good) if good else None

    def outputs(self, job: SutroJob | None, results: BatchResults | None) -> list[Any]:
        """One value or error for each row, in input order; each goes onto its row's run."""
        if job is not None and results is not None:
            for index, result in zip(self._sent, results, strict=True):
                if isinstance(result, SutroError):
                    result.row_index = index
                    self._outputs[index] = result
                else:
                    self._outputs[index] = self._shaped(result)
                self._record(index, job, result)
        return self._outputs

    def _shaped(self, result: Any) -> Any:
        try:
            return self._function.shaped(result)
        except SutroError as error:
            return error

    def _record(self, index: int, job: SutroJob, result: Any) -> None:
        record_call(
            self._function,
            self._managers[index],
            self._configs[index],
            facts={
                "sutro_job_id": job.job_id,
                "sutro_row_index": index,
                "sutro_confidence": getattr(result, "confidence", None),
            },
        )

    def on_progress(self, known: JobProgress) -> None:
        """Tell the caller's callable and every callback handler."""
        if self._function.on_progress is not None:
            self._function.on_progress(known)
        # A custom event needs a run to hang on: that of the first row.
        dispatch_custom_event(PROGRESS_EVENT, event(known), config=self._configs[0])

    def on_progress_async(self, known: JobProgress) -> None:
        """The same on an event loop, which goes on meanwhile."""
        if self._function.on_progress is not None:
            told = self._function.on_progress(known)
            if inspect.isawaitable(told):
                self._start(told)
        self._start(adispatch_custom_event(PROGRESS_EVENT, event(known), config=self._configs[0]))

    def _start(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._events.add(task)

    async def told(self) -> None:
        """Wait until everybody has heard; what a listener raises is raised here."""
        await asyncio.gather(*self._events)


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
