"""The run of a Batch job, which also writes the runs of its rows once there are results."""

from __future__ import annotations

import logging
import time
import uuid
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice
from threading import Lock, main_thread
from typing import TYPE_CHECKING, Any

from langchain_sutro._core.rows import SpooledRows
from langchain_sutro._core.tracing.context import TraceContext
from langchain_sutro._core.tracing.guard import attempt
from langchain_sutro._core.tracing.ids import aware, stable_id
from langchain_sutro._core.tracing.privacy import run_inputs, traced_outputs
from langchain_sutro._core.tracing.row_runs import row_run
from langchain_sutro._core.tracing.row_sample import choose_rows
from langchain_sutro._core.tracing.run_facts import add_facts, job_usage, model_facts, row_facts
from langchain_sutro._core.tracing.stored_runs import lacks
from langchain_sutro.errors import SutroError, SutroRowError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from langsmith import Client
    from langsmith.run_trees import RunTree

    from langchain_sutro._core.results import BatchResults, FunctionResult
    from langchain_sutro._core.rows import RemoteTable
    from langchain_sutro._core.service import Submitted
    from langchain_sutro._core.tracing.row_sample import TracedRows

__all__ = ["JobTrace"]

logger = logging.getLogger(__name__)

# LangSmith's client queues at most 10,000 runs, so its queue is flushed after each portion.
_PORTION = 250
_SECONDS = 10.0


class JobTrace:
    """The run of one job. Without a run, its methods do nothing.

    Attributes:
        token: The submission's token, from which other processes find the run; None without a
            run.
        run_id: The run's id in hexadecimal, which is the token unless the caller chose it.
    """

    def __init__(
        self,
        run: RunTree | None = None,
        *,
        function: str = "",
        context: TraceContext | None = None,
        rows: SpooledRows | RemoteTable | None = None,
        cap: int = 0,
        given_id: bool = False,
        reused: bool = False,
        stored: bool = False,
    ) -> None:
        self.run_id = None if run is None else run.id.hex
        # Users may give an id twice, and a token names one submission for ever.
        self.token = uuid.uuid4().hex if given_id and run is not None else self.run_id
        self._run = run
        self._function = function
        self._context = context or TraceContext()
        self._rows = rows if isinstance(rows, SpooledRows) else None
        self._cap = cap
        self._created = self._stored = stored
        self._reused = reused
        self._ended = False
        self._lock = Lock()

    def submitted(self, job: Submitted) -> None:
        """Create the job's run, which stays open until the job's results are fetched."""
        run = self._run
        if run is None:
            return
        run.inputs["job_id"] = job.job_id
        self._reused = job.reused
        add_facts(
            run,
            {"sutro_job_id": job.job_id, "sutro_job_reused": True if job.reused else None},
        )
        self._created = attempt(run.post)

    def refused(self, error: BaseException) -> None:
        """Write the run of a job that was not submitted."""
        if self._run is not None and self.claim():
            self._run.end(error=_said(error))
            attempt(self._run.post)

    def claim(self) -> bool:
        """Whether the trace is still to be completed. The caller, and nobody else, then does."""
        with self._lock:
            free = self._run is not None and not self._ended
            self._ended = True
        return free

    def through(self, client: Client | None) -> None:
        """Complete the trace with another client, such as one that hides inputs and outputs."""
        run = self._run
        if run is not None and client is not None and run.client is not client:
            run.ls_client = client
            self._stored = False

    def forget_rows(self) -> None:
        """Free the memory of the inputs, which the rows' runs will then lack."""
        self._rows = None

    def fail(self, error: BaseException) -> None:
        """End the job's run as an error: it failed or was cancelled."""
        if self._run is None:
            return
        self._create(time.monotonic() + _SECONDS)
        self._run.end(error=_said(error))
        self._ended = attempt(self._run.patch)

    def write(self, results: BatchResults, fetch: Callable[[], Any]) -> None:
        """Write the rows' runs and end the job's run, in this thread.

        What LangSmith refuses is written by the next call with these results.

        Args:
            results: The job's results.
            fetch: Returns the service's job object, for tokens and cost.
        """
        run = self._run
        if run is None:
            return
        deadline = time.monotonic() + _SECONDS
        self._create(deadline)
        job = _job_object(fetch)
        usage = {} if self._reused else job_usage(job, len(results))
        end = datetime.now(UTC)
        scan = choose_rows(results, self._cap, deadline)
        try:
            written, refused = self._write_rows(run, results, scan, usage, end, deadline)
        except BaseException:
            self._ended = False
            raise
        add_facts(
            run,
            {
                "sutro_rows_traced": written,
                "sutro_rows_total": len(results),
                **_totals(job),
                **model_facts(results.model),
                # Without a run of a row, the job's own run has nothing below it to be added up.
                **({} if written else usage),
            },
        )
        run.end(outputs={"rows": len(results), **scan.outputs()}, end_time=end)
        self._ended = attempt(run.patch) and not refused and self._is_there(deadline)
        if self._ended:
            self.forget_rows()
        if not refused and (written < scan.count or scan.cut):
            logger.warning(
                "%s: %d of %d rows were traced; LangSmith took too long for the others.",
                results.job_id,
                written,
                len(results),
            )

    def _create(self, deadline: float) -> None:
        """Create the job's run again if LangSmith has refused it, or lost it on the way."""
        run = self._run
        if run is None or self._stored:
            return
        if self._created:
            _flush(run.client, deadline)
            if not lacks(run, deadline):
                return
        self._created = attempt(run.post)
        # Together with its update, the client would send it as one creation, which LangSmith
        # rejects as a whole if it has one already.
        _flush(run.client, deadline)

    def _is_there(self, deadline: float) -> bool:
        """Whether LangSmith has the job's run with its end, as far as that can be known."""
        if self._run is None:
            return True
        _flush(self._run.client, deadline)
        return not lacks(self._run, deadline, end=True)

    def _write_rows(
        self,
        run: RunTree,
        results: BatchResults,
        scan: TracedRows,
        usage: Mapping[str, Any],
        end: datetime,
        deadline: float,
    ) -> tuple[int, bool]:
        """The number of rows written, and whether LangSmith refused one."""
        written = 0
        for index, given, result in self._with_inputs(scan.chosen):
            row = self._row(run, index, given, result, results, end)
            add_facts(row, {} if written else usage)
            if not attempt(row.post):
                return written, True
            written += 1
            if written % _PORTION == 0:
                _flush(run.client, deadline)
                if time.monotonic() >= deadline:
                    break
        return written, False

    def _with_inputs(
        self, chosen: Iterable[tuple[int, Any]]
    ) -> Iterator[tuple[int, dict[str, Any], Any]]:
        """The traced rows with their inputs, as far as this process still has them."""
        left = iter(chosen)
        while portion := list(islice(left, _PORTION)):
            given: Mapping[int, Any] = {}
            if self._rows is not None:
                try:
                    given = self._rows.shown([index for index, _ in portion])
                except ValueError:
                    # The caller has closed the rows since.
                    self._rows = None
            for index, result in portion:
                yield index, run_inputs(given.get(index, {"row_index": index})), result

    def _row(
        self,
        parent: RunTree,
        index: int,
        inputs: dict[str, Any],
        result: FunctionResult | SutroRowError,
        results: BatchResults,
        end: datetime,
    ) -> RunTree:
        start = min(aware(parent.start_time) + timedelta(microseconds=index + 1), end)
        error, outputs = None, None
        if isinstance(result, SutroRowError):
            error = str(result)
        else:
            outputs = traced_outputs(result)
        return row_run(
            row_facts(results.job_id, index, result, results.model),
            function=self._function,
            run_id=stable_id(start, results.job_id, index),
            inputs=inputs,
            outputs=outputs,
            error=error,
            start=start,
            end=end,
            context=self._context,
            parent_run=parent,
            client=parent.client,
            project_name=parent.session_name,
            replicas=parent.replicas,
        )


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def _flush(client: Client, deadline: float) -> None:
    # Once the main thread has ended, the client's own threads have too.
    left = max(0.0, deadline - time.monotonic()) if main_thread().is_alive() else 0.0
    attempt(partial(client.flush, timeout=left))


def _job_object(fetch: Callable[[], Any]) -> dict[str, Any]:
    try:
        return fetch() or {}
    except SutroError:
        return {}


def _totals(job: Mapping[str, Any]) -> dict[str, Any]:
    """The job's tokens and cost for its own run, under keys that LangSmith does not add up."""
    named = {
        "sutro_input_tokens": "input_tokens",
        "sutro_output_tokens": "output_tokens",
        "sutro_cost_usd": "job_cost",
    }
    return {ours: job.get(theirs) for ours, theirs in named.items()}
