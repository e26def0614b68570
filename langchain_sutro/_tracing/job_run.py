"""The run of one Batch job, and those of its rows, which are written once the results are here."""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any

from langchain_sutro._rows import SpooledRows
from langchain_sutro._tracing.context import (
    TraceContext,
    record_facts,
    traced_inputs,
    traced_outputs,
)
from langchain_sutro._tracing.row_sample import choose_rows, stable_id
from langchain_sutro.errors import SutroError, SutroRowError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from langsmith.run_trees import RunTree

    from langchain_sutro._results import BatchResults, FunctionResult
    from langchain_sutro._rows import RemoteTable
    from langchain_sutro._service import Submitted

__all__ = ["THREAD_KEYS", "JobTrace", "aware"]

logger = logging.getLogger(__name__)

# LangSmith adds up the cost of a thread by these.
THREAD_KEYS = ("thread_id", "session_id", "conversation_id")
# Between two portions the queue of LangSmith's client, of 10,000 runs, is emptied.
_PORTION = 250
_SECONDS = 10.0


class JobTrace:
    """The run of one job; without a run it does nothing.

    Attributes:
        token: For the submission, so that others find the run; None without a run.
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
        """Write the job's run, which stays open until the job's results are here."""
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
        """Whether the rows are still to be written, and from now on by whoever asked."""
        free = self._run is not None and not self._ended
        self._ended = True
        return free

    def forget_rows(self) -> None:
        """Give the memory of what went in back; the rows' runs will lack their inputs."""
        self._rows = None

    def write(self, results: BatchResults, fetch: Callable[[], Any]) -> None:
        """Write the rows and end the job's run, here.

        Args:
            results: What the job gave.
            fetch: Gives the job's object, for tokens and cost.
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
        """The traced rows with what went in, as far as this process has it still."""
        left = iter(chosen)
        while portion := list(islice(left, _PORTION)):
            given: Mapping[int, Any] = {}
            if self._rows is not None:
                try:
                    given = self._rows.rows([index for index, _ in portion])
                except ValueError:
                    # The caller has changed or closed the rows since.
                    self._rows = None
            for index, result in portion:
                row = traced_inputs(given.get(index, {"row_index": index}))
                yield index, row if isinstance(row, dict) else {"input": row}, result

    def _write_row(
        self,
        parent: RunTree,
        index: int,
        given: dict[str, Any],
        result: FunctionResult | SutroRowError,
        job_id: str | None,
        end: datetime,
    ) -> None:
        from langsmith.run_trees import RunTree  # noqa: PLC0415 - for those who trace

        start = min(aware(parent.start_time) + timedelta(microseconds=index + 1), end)
        error, outputs, confidence = None, None, None
        if isinstance(result, SutroRowError):
            error = str(result)
        else:
            outputs, confidence = traced_outputs(result), result.confidence
        row = RunTree(
            name=self._function,
            run_type="llm",
            id=stable_id(start, job_id, index),
            parent_run=parent,
            client=parent.client,
            project_name=parent.session_name,
            replicas=parent.replicas,
            start_time=start,
            end_time=end,
            inputs=given,
            outputs=outputs,
            error=error,
        )
        known = self._context.metadata
        record_facts(
            row,
            function=self._function,
            context=TraceContext({key: known[key] for key in THREAD_KEYS if key in known}),
            facts={
                "sutro_job_id": job_id,
                "sutro_row_index": index,
                "sutro_confidence": confidence,
            },
        )
        row.post()

    def _add(self, facts: Mapping[str, Any]) -> None:
        if self._run is not None:
            known = {key: value for key, value in facts.items() if value is not None}
            extra = self._run.extra or {}
            metadata = {**extra.get("metadata", {}), **known}
            self._run.extra = {**extra, "metadata": metadata}


def _totals(fetch: Callable[[], Any]) -> dict[str, Any]:
    """Tokens and cost of the job, under keys that LangSmith does not add to those of the rows."""
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


def aware(moment: datetime) -> datetime:
    """A time with its zone, which LangSmith's answers leave out."""
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
