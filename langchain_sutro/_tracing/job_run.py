"""The run of a Batch job, which also writes the runs of its rows once there are results."""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any

from langchain_sutro._rows import SpooledRows
from langchain_sutro._tracing.context import TraceContext
from langchain_sutro._tracing.ids import aware, stable_id
from langchain_sutro._tracing.privacy import run_inputs, traced_outputs
from langchain_sutro._tracing.row_runs import row_run
from langchain_sutro._tracing.row_sample import choose_rows
from langchain_sutro.errors import SutroError, SutroRowError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from langsmith.run_trees import RunTree

    from langchain_sutro._results import BatchResults, FunctionResult
    from langchain_sutro._rows import RemoteTable
    from langchain_sutro._service import Submitted

__all__ = ["THREAD_KEYS", "JobTrace"]

logger = logging.getLogger(__name__)

# LangSmith sums the cost of a thread over the runs that share one of these.
THREAD_KEYS = ("thread_id", "session_id", "conversation_id")
# LangSmith's client queues at most 10,000 runs, so its queue is flushed after each portion.
_PORTION = 250
_SECONDS = 10.0


class JobTrace:
    """The run of one job. Without a run, its methods do nothing.

    Attributes:
        token: The submission's token, from which other processes find the run; None without a
            run.
    """

    def __init__(
        self,
        run: RunTree | None = None,
        *,
        function: str = "",
        context: TraceContext | None = None,
        rows: SpooledRows | RemoteTable | None = None,
        cap: int = 0,
        posted: bool = False,
    ) -> None:
        self.token = None if run is None else run.id.hex
        self._run = run
        self._function = function
        self._context = context or TraceContext()
        self._rows = rows if isinstance(rows, SpooledRows) else None
        self._cap = cap
        self._posted = posted
        self._ended = False

    def submitted(self, job: Submitted) -> None:
        """Create the job's run, which stays open until the job's results are fetched."""
        if self._run is None:
            return
        self._run.inputs["job_id"] = job.job_id
        facts = {"sutro_job_id": job.job_id, "sutro_job_reused": True if job.reused else None}
        self._add(facts)
        self._run.post()
        self._posted = True

    def failed(self, error: BaseException) -> None:
        """End the job's run as an error: it was not submitted, failed or was cancelled."""
        if self._run is None or self._ended:
            return
        self._ended = True
        self._run.end(error=f"{type(error).__name__}: {error}")
        if self._posted:
            self._run.patch()
        else:
            self._run.post()

    def claim(self) -> bool:
        """Whether the rows are not written yet. True once only: the caller then writes them."""
        free = self._run is not None and not self._ended
        self._ended = True
        return free

    def forget_rows(self) -> None:
        """Free the memory of the inputs, which the rows' runs will then lack."""
        self._rows = None

    def write(self, results: BatchResults, fetch: Callable[[], Any]) -> None:
        """Write the rows' runs and end the job's run, in this thread.

        Args:
            results: The job's results.
            fetch: Returns the service's job object, for tokens and cost.
        """
        run = self._run
        if run is None:
            return
        deadline = time.monotonic() + _SECONDS
        end = datetime.now(UTC)
        scan = choose_rows(results, self._cap, deadline)
        written = 0
        try:
            for index, given, result in self._with_inputs(scan.chosen):
                self._write_row(run, index, given, result, results.job_id, end)
                written += 1
                if written % _PORTION == 0:
                    run.client.flush(timeout=max(0.0, deadline - time.monotonic()))
                    if time.monotonic() >= deadline:
                        break
        finally:
            total = len(results)
            self._add({"sutro_rows_traced": written, "sutro_rows_total": total, **_totals(fetch)})
            run.end(outputs={"rows": total, **scan.outputs()}, end_time=end)
            run.patch()
            self.forget_rows()
        if written < scan.count or scan.cut:
            logger.warning(
                "%s: %d of %d rows were traced; LangSmith took too long for the others.",
                results.job_id,
                written,
                total,
            )

    def _with_inputs(
        self, chosen: Iterable[tuple[int, Any]]
    ) -> Iterator[tuple[int, dict[str, Any], Any]]:
        """The traced rows with their inputs, as far as this process still has them."""
        left = iter(chosen)
        while portion := list(islice(left, _PORTION)):
            given: Mapping[int, Any] = {}
            if self._rows is not None:
                try:
                    given = self._rows.rows([index for index, _ in portion])
                except ValueError:
                    # The caller has closed the rows since.
                    self._rows = None
            for index, result in portion:
                yield index, run_inputs(given.get(index, {"row_index": index})), result

    def _write_row(
        self,
        parent: RunTree,
        index: int,
        inputs: dict[str, Any],
        result: FunctionResult | SutroRowError,
        job_id: str | None,
        end: datetime,
    ) -> None:
        start = min(aware(parent.start_time) + timedelta(microseconds=index + 1), end)
        error, outputs = None, None
        if isinstance(result, SutroRowError):
            error = str(result)
        else:
            outputs = traced_outputs(result)
        known = self._context.metadata
        row_run(
            index,
            result,
            function=self._function,
            job_id=job_id,
            run_id=stable_id(start, job_id, index),
            inputs=inputs,
            outputs=outputs,
            error=error,
            start=start,
            end=end,
            context=TraceContext({key: known[key] for key in THREAD_KEYS if key in known}),
            parent_run=parent,
            client=parent.client,
            project_name=parent.session_name,
            replicas=parent.replicas,
        ).post()

    def _add(self, facts: Mapping[str, Any]) -> None:
        if self._run is not None:
            known = {key: value for key, value in facts.items() if value is not None}
            extra = self._run.extra or {}
            metadata = {**extra.get("metadata", {}), **known}
            self._run.extra = {**extra, "metadata": metadata}


def _totals(fetch: Callable[[], Any]) -> dict[str, Any]:
    """The job's tokens and cost, under keys that LangSmith does not sum with those of the rows."""
    named = {
        "input_tokens": "sutro_input_tokens",
        "output_tokens": "sutro_output_tokens",
        "job_cost": "sutro_cost_usd",
    }
    try:
        job = fetch() or {}
    except SutroError:
        job = {}
    return {ours: job.get(theirs) for theirs, ours in named.items()}
