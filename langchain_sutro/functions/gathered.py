"""A Function whose single calls become rows of one job."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from langchain_core.runnables.config import RunnableConfig, patch_config
from pydantic import Field, PrivateAttr

from langchain_sutro._core.exports import exported_from
from langchain_sutro._core.gathering import LoopGatherer, Rules, ThreadGatherer
from langchain_sutro._core.rows import encode_row
from langchain_sutro.functions.checked_rows import CheckedRow
from langchain_sutro.functions.function import CALL_SIGNATURE, SutroFunction
from langchain_sutro.functions.interface import answer_form
from langchain_sutro.functions.many_calls import batches_in_progress
from langchain_sutro.functions.row_batch import RowBatch
from langchain_sutro.functions.untraced import untraced_job

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from langchain_core.callbacks import (
        AsyncCallbackManagerForChainRun,
        BaseRunManager,
        CallbackManagerForChainRun,
    )
    from pydantic import BaseModel

    from langchain_sutro._core.jobs import SutroJob
    from langchain_sutro._core.rows import SpooledRows
    from langchain_sutro._core.service import JobProgress

__all__ = ["SutroGatheredFunction"]

_logger = logging.getLogger("langchain_sutro")

# A job with at most this many rows, and a batch with so many times more.
_HANDFUL = 32
_MANY = 4


@exported_from("langchain_sutro")
class SutroGatheredFunction(SutroFunction):
    """A Function whose single calls that are in flight at the same time become rows of one job.

    `SutroFunction.gathered` makes it. `invoke` and `ainvoke` wait for the job, so a call takes as
    long as a job does; everything else is as for `SutroFunction`. Calls of one object on one event
    loop are gathered, and so are its calls in threads.

    Attributes:
        quiet: Submit when no further call has come for this many seconds.
        max_rows: Submit as soon as there are this many calls.
        max_wait: Submit at the latest this many seconds after the first call.
    """

    quiet: float = Field(default=0.2, ge=0)
    max_rows: int = Field(default=10_000, ge=1)
    max_wait: float = Field(default=30.0, ge=0)

    _loops: LoopGatherer = PrivateAttr()
    _threads: ThreadGatherer = PrivateAttr()
    _warned: bool = PrivateAttr(default=False)

    def _prepare(self, changed: Mapping[str, Any] | None = None) -> None:
        super()._prepare(changed)
        # The calls of a copy are gathered on their own.
        rules = Rules(self.quiet, self.max_rows, self.max_wait)
        self._loops = LoopGatherer(rules, partial(_GatheredJob, self))
        self._threads = ThreadGatherer(rules, partial(_GatheredJob, self))
        self._warned = False

    def invoke(
        self,
        input: dict[str, Any] | BaseModel | str,
        config: RunnableConfig | None = None,
        **kwargs: Any,
    ) -> Any:
        """Run the Function as a row of a job, together with the calls of other threads.

        Args:
            input: The Function's fields, or a string if it has one field.
            config: Its metadata and tags are added to the call's run.
            **kwargs: Those of `SutroFunction.invoke`, which have no meaning for a job.

        Returns:
            What `SutroFunction.invoke` returns.

        Raises:
            SutroInputError: The input cannot be sent, or does not fit `args_schema`.
            SutroJobError: The job did not succeed.
            SutroRowError: The row has no usable output.
        """
        self._options(kwargs)
        runs = self._runs()
        full = runs.config(config)
        row = CheckedRow.of(input, self._schema, encode=encode_row)

        def call(_: Any, run_manager: CallbackManagerForChainRun) -> Any:
            return self._threads.call(_Call.of(row, full, run_manager))

        call.__signature__ = CALL_SIGNATURE  # type: ignore[attr-defined]
        with runs.started():
            return self._call_with_config(call, row.shown, full, run_type="llm")

    async def ainvoke(
        self,
        input: dict[str, Any] | BaseModel | str,
        config: RunnableConfig | None = None,
        **kwargs: Any,
    ) -> Any:
        """Run the Function as a row of a job, together with the other calls on this event loop."""
        self._options(kwargs)
        runs = self._runs()
        full = runs.config(config)
        row = CheckedRow.of(input, self._schema, encode=encode_row)

        async def call(_: Any, run_manager: AsyncCallbackManagerForChainRun) -> Any:
            return await self._loops.call(_Call.of(row, full, run_manager))

        call.__signature__ = CALL_SIGNATURE  # type: ignore[attr-defined]
        with runs.started():
            return await self._acall_with_config(call, row.shown, full, run_type="llm")

    def warn_of_few_rows(self, rows: int) -> None:
        """Log once that threads limit the rows of a job, while many calls wait for a thread.

        Args:
            rows: The rows of the job.
        """
        if self._warned or rows > _HANDFUL:
            return
        for step, inputs in batches_in_progress():
            if len(inputs) > _MANY * rows:
                self._warned = True
                _logger.warning(
                    "A gathered job of %r has %d rows, while a batch of %s has %d: each call waits "
                    "in a thread, so max_concurrency of the config limits the rows of a job. Raise "
                    "it, or use abatch, where all calls wait at the same time.",
                    self.function,
                    rows,
                    step.get_name(),
                    len(inputs),
                )
                return


@dataclass(frozen=True)
class _Call:
    """A call that waits for its job.

    Attributes:
        row: What is sent.
        config: The config of its run's children.
        manager: That of its run.
    """

    row: CheckedRow
    config: RunnableConfig
    manager: BaseRunManager

    @classmethod
    def of(cls, row: CheckedRow, config: RunnableConfig, manager: Any) -> _Call:
        """Note what the job needs of a call; a row that cannot be sent is an error at once."""
        row.sent()
        child = patch_config(config, callbacks=manager.get_child())
        return cls(row, child, manager)


class _NobodyWaits(BaseException):
    """Every caller was interrupted."""


class _GatheredJob:
    """The job of gathered calls."""

    def __init__(self, function: SutroGatheredFunction) -> None:
        self._function = function
        self._job: SutroJob | None = None
        self._abandoned = False

    def run(self, calls: list[_Call]) -> list[Any]:
        """Run the calls in this thread; returns the answer or error of each."""
        self._function.warn_of_few_rows(len(calls))
        batch = self._batch(calls)
        job = batch.job

        def submit(rows: SpooledRows) -> SutroJob:
            self._job = job.submit(rows)
            return self._job

        listener = partial(self._listen, job.listener)
        return replace(batch, job=replace(job, submit=submit, listener=listener)).run()

    async def arun(self, calls: list[_Call]) -> list[Any]:
        """Asynchronous form of `run`."""
        return await self._batch(calls).arun()

    def interrupted(self, interrupt: BaseException) -> None:
        """End the wait for the job, and say what becomes of it."""
        self._abandoned = True
        if self._job is not None:
            self._job.interrupted(interrupt)

    def _batch(self, calls: list[_Call]) -> RowBatch:
        return RowBatch(
            [call.row for call in calls],
            answer_form(self._function),
            self._function._runs(),  # noqa: SLF001 - ours
            [call.manager for call in calls],
            untraced_job(self._function, calls[0].config),
            return_exceptions=True,
        )

    def _listen(self, listener: Callable[[JobProgress], Any] | None, known: JobProgress) -> None:
        if self._abandoned:
            raise _NobodyWaits
        if listener is not None:
            listener(known)
