"""One job being run: its table fetched, its rows answered chunk by chunk, its end recorded."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Any

from langchain_sutro.local.faults import JobFault, strikes
from langchain_sutro.local.jobs.artifacts import CHUNK, InputWriter, Part
from langchain_sutro.local.jobs.sources import download, open_table
from langchain_sutro.local.jobs.store import now
from langchain_sutro.local.jobs.tokens import cost_usd, count_tokens
from langchain_sutro.local.refusals import InvalidInputError

if TYPE_CHECKING:
    import threading

    from langchain_sutro.local.functions import LocalFunction
    from langchain_sutro.local.jobs.artifacts import JobFiles
    from langchain_sutro.local.jobs.quotas import Quotas
    from langchain_sutro.local.jobs.store import Job, Store

__all__ = ["CancelledRun", "JobRun", "JobRunError", "StoppedRun"]

logger = logging.getLogger(__name__)

_SECONDS_BETWEEN_REPORTS = 0.05
_ROWS_TO_ESTIMATE = 100


class StoppedRun(Exception):  # noqa: N818 - how a thread leaves a job, not an error
    """The deployment stops; the job resumes when it is started again."""


class CancelledRun(Exception):  # noqa: N818 - how a thread leaves a job, not an error
    """The job was cancelled."""


class JobRunError(Exception):
    """The job as a whole cannot run."""


class JobRun:
    """One job being run by one thread.

    Args:
        job: As stored when the thread took it.
        store: Where its progress is recorded.
        files: Its files.
        wakes: Set when the job is cancelled, and when the deployment stops.
        stopping: Set when the deployment stops.
    """

    def __init__(
        self,
        job: Job,
        store: Store,
        files: JobFiles,
        wakes: threading.Event,
        stopping: threading.Event,
    ) -> None:
        self._job = job
        self._store = store
        self._files = files
        self._wakes = wakes
        self._stopping = stopping
        self._fault = JobFault(**(job.fault or {}))
        self._done = self._input_tokens = self._output_tokens = 0
        self._reported = 0.0
        self._due = 0.0

    def check(self) -> None:
        """Stop working on the job if it should not continue."""
        if self._stopping.is_set():
            raise StoppedRun
        # The event may be older than this process's knowledge of the job.
        if self._wakes.is_set() or self._job.status == "CANCELLING":
            raise CancelledRun

    def go(self, function: LocalFunction, quotas: Quotas) -> None:
        """Run it to its end.

        Raises:
            StoppedRun: The deployment stops.
            CancelledRun: The job was cancelled.
            JobRunError: The job as a whole cannot run.
            SourceError: Its table cannot be fetched or read.
        """
        self._become("STARTING", datetime_started=self._job.datetime_started or now())
        if self._job.source_url is not None and not self._files.inputs.exists():
            self._fetch(self._job.source_url, function, quotas)
        self._become("RUNNING")
        if self._job.dry_run:
            self._estimate(function)
        else:
            self._answer_all(function)

    def cancelled(self) -> None:
        """Record that it was cancelled."""
        self._stopping.wait(self._fault.cancelling_seconds)
        if not self._stopping.is_set():
            self._end("CANCELLED")

    def failed(self, reason: dict[str, Any] | None) -> None:
        """Record that it failed."""
        self._end("FAILED", failure_reason=reason)

    def _become(self, status: str, **changes: Any) -> None:
        unfinished = ("QUEUED", "STARTING", "RUNNING")
        id_ = self._job.job_id
        job = self._store.update(id_, only_from=unfinished, status=status, **changes)
        if job is None:
            raise CancelledRun
        self._job = job

    def _end(self, status: str, **changes: Any) -> None:
        self._store.update(self._job.job_id, status=status, datetime_completed=now(), **changes)

    def _succeed(self, **changes: Any) -> None:
        if self._fault.fail:
            self._report(force=True)
            self.failed(None if self._fault.fail is True else {"message": self._fault.fail})
        else:
            self._end("SUCCEEDED", **changes)

    def _fetch(self, url: str, function: LocalFunction, quotas: Quotas) -> None:
        path = self._files.folder / "source"
        download(url, path, self._wakes.is_set)
        self.check()
        table = open_table(path)
        id_column = self._job.id_column
        if id_column is not None and id_column not in table.schema.names:
            raise JobRunError(f'The table has no column "{id_column}".')
        missing = [name for name in function.fields.required if name not in table.schema.names]
        if missing:
            raise JobRunError(f"The table lacks columns of the Function: {missing}.")
        ids = None if id_column is None else table.schema.field(id_column)
        with InputWriter(self._files.inputs, ids) as writer:
            for row in table.rows():
                writer.add(row, None if id_column is None else row[id_column])
        excess = quotas.excess(self._job.job_priority, writer.count, writer.tokens)
        if excess:
            raise JobRunError(excess)
        path.unlink()
        self._store.update(self._job.job_id, num_rows=writer.count)

    def _estimate(self, function: LocalFunction) -> None:
        """Time and price the first chunk, and extrapolate."""
        rows = self._files.rows(0) if self._files.chunks() else []
        with asyncio.Runner() as runner:
            part = self._answered(function, rows[:_ROWS_TO_ESTIMATE], 0, runner)
        share = len(part.outputs) or 1
        total = (self._job.num_rows or len(rows)) / share
        estimate = cost_usd(round(part.input_tokens * total), round(part.output_tokens * total))
        self._succeed(cost_estimate=estimate)

    def _answer_all(self, function: LocalFunction) -> None:
        with asyncio.Runner() as runner:
            for chunk in range(self._files.chunks()):
                known = self._files.part(chunk)
                if known is None:
                    rows = self._files.rows(chunk)
                    part = self._answered(function, rows, chunk * CHUNK, runner)
                    self._files.finish(chunk, part)
                else:
                    self._count_known(known["rows"], known["input_tokens"], known["output_tokens"])
        self._succeed(
            rows_done=self._done,
            num_rows=self._done,
            input_tokens=self._input_tokens,
            output_tokens=self._output_tokens,
            job_cost=cost_usd(self._input_tokens, self._output_tokens),
        )

    def _answered(
        self, function: LocalFunction, rows: list[Any], first: int, runner: asyncio.Runner
    ) -> Part:
        """Answer a chunk; a row that fails has a null output, and the job continues."""
        outputs: list[str | None] = [None] * len(rows)
        confidences: list[float | None] = [None] * len(rows)
        prompt = count_tokens(function.prompt)
        used_in = used_out = 0
        readable = self._readable(function, rows, first)
        answers = function.answers(list(readable.values()), runner)
        for index, answer in zip(readable, answers, strict=True):
            self.check()
            if isinstance(answer, Exception):
                logger.info("Row %d of %s failed: %r", first + index, self._job.job_id, answer)
            else:
                outputs[index], confidences[index] = function.text(answer), answer.confidence
            tokens_in = prompt + count_tokens(str(rows[index]))
            tokens_out = count_tokens(outputs[index] or "")
            used_in, used_out = used_in + tokens_in, used_out + tokens_out
            self._count(1, tokens_in, tokens_out)
        self._count(len(rows) - len(readable), 0, 0)
        scored = any(confidence is not None for confidence in confidences)
        self._spoil(outputs, confidences, first)
        return Part(outputs, confidences, used_in, used_out, scored)

    def _readable(self, function: LocalFunction, rows: list[Any], first: int) -> dict[int, Any]:
        """The rows as the Function takes them, by index, without those that it cannot take."""
        readable = {}
        for index, row in enumerate(rows):
            try:
                readable[index] = function.fields.lax(row)
            except InvalidInputError as error:
                logger.info("Row %d of %s: %s", first + index, self._job.job_id, error)
        return readable

    def _spoil(
        self, outputs: list[str | None], confidences: list[float | None], first: int
    ) -> None:
        fault = self._fault
        for index in range(len(outputs)):
            if strikes(fault.unparseable_rows, first + index):
                outputs[index] = '{"label": "qual'
            if strikes(fault.null_rows, first + index):
                outputs[index] = confidences[index] = None
            if strikes(fault.null_confidences, first + index):
                confidences[index] = None

    def _count(self, rows: int, input_tokens: int, output_tokens: int) -> None:
        self._count_known(rows, input_tokens, output_tokens)
        if self._fault.rows_per_second:
            self._due = max(self._due, time.monotonic()) + rows / self._fault.rows_per_second
            self._wakes.wait(max(0.0, self._due - time.monotonic()))
        self._report()

    def _count_known(self, rows: int, input_tokens: int, output_tokens: int) -> None:
        self._done += rows
        self._input_tokens += input_tokens
        self._output_tokens += output_tokens

    def _report(self, *, force: bool = False) -> None:
        """Store how far the job is, but not for every row."""
        at = time.monotonic()
        if not force and at - self._reported < _SECONDS_BETWEEN_REPORTS:
            return
        self._reported = at
        self._store.update(
            self._job.job_id,
            rows_done=self._done,
            input_tokens=self._input_tokens,
            output_tokens=self._output_tokens,
        )
