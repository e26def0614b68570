"""The trace of a Batch job: one `chain` run, and on completion one `llm` run for each traced row.

The job's run is made when the job is submitted, under the active run. Its id is the submission's
token, so whoever fetches the results, this process or another, finds it and completes it. Rows are
written once, in the background: tracing neither delays nor fails a result.
"""

from __future__ import annotations

import inspect
import logging
import time
from collections import OrderedDict
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import TYPE_CHECKING, Any
from uuid import UUID

from langchain_sutro._submit_api import Marker
from langchain_sutro._traced_rows import TraceRows, check_trace_rows, choose_rows, row_id
from langchain_sutro.errors import (
    SutroError,
    SutroRowError,
)
from langchain_sutro.rows import SpooledRows
from langchain_sutro.tracing import (
    TraceContext,
    active_context,
    function_metadata,
    record_facts,
    traced_inputs,
    traced_outputs,
    tracing_is_on,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from langchain_core.runnables import RunnableConfig
    from langsmith.run_trees import RunTree

    from langchain_sutro._submit_api import Submitted
    from langchain_sutro.batch_results import BatchResults
    from langchain_sutro.results import FunctionResult
    from langchain_sutro.rows import RemoteTable

__all__ = [
    "JobTrace",
    "JobTraces",
    "job_trace",
    "wait_for_job_traces",
]

logger = logging.getLogger(__name__)

# Between two portions the queue of LangSmith's client, of 10,000 runs, is emptied.
_PORTION = 500
_SECONDS = 10.0
_HEAD = 3
# LangSmith adds up the cost of a thread by these.
_THREAD_KEYS = ("thread_id", "session_id", "conversation_id")
_MOST_TRACES, _MOST_TABLES = 256, 32
_PROJECT = "sutro_langsmith_project"
_CAP = "sutro_trace_rows"

_pending: set[Future[None]] = set()


def wait_for_job_traces(timeout: float | None = None) -> bool:
    """Wait until the traces of all jobs whose results were fetched are written.

    Ordinary programs need not: the interpreter waits for them at its end. Where a process is
    frozen instead, as serverless functions are, call this and then flush LangSmith's client.

    Args:
        timeout: Seconds; None for as long as it takes, which is bounded for each job.

    Returns:
        Whether all are written.
    """
    return not wait(set(_pending), timeout).not_done


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

    def completed(self, results: BatchResults, fetch: Callable[[], Any]) -> None:
        """Write the rows and end the job's run, in a thread."""
        if self._run is not None and not self._ended:
            self._ended = True
            _in_background(self.write, results, fetch)

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
        if written < len(scan.chosen) or scan.cut:
            logger.warning(
                "%s: %d of %d rows were traced; LangSmith took too long for the others.",
                results.job_id,
                written,
                total,
            )

    def _with_inputs(
        self, chosen: Sequence[tuple[int, Any]]
    ) -> Iterator[tuple[int, dict[str, Any], Any]]:
        """The traced rows with what went in, as far as this process has it still."""
        for start in range(0, len(chosen), _PORTION):
            portion = chosen[start : start + _PORTION]
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

        start = min(_aware(parent.start_time) + timedelta(microseconds=index + 1), end)
        error, outputs, confidence = None, None, None
        if isinstance(result, SutroRowError):
            error = str(result)
        else:
            outputs, confidence = traced_outputs(result), result.confidence
        row = RunTree(
            name=self._function,
            run_type="llm",
            id=row_id(start, job_id, index),
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
            context=TraceContext({key: known[key] for key in _THREAD_KEYS if key in known}),
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


@contextmanager
def job_trace(
    function: str,
    rows: SpooledRows | RemoteTable,
    *,
    config: RunnableConfig | None = None,
    metadata: Mapping[str, Any] | None = None,
    tags: Sequence[str] | None = None,
    forward: bool = True,
    hook: Callable[[TraceContext], TraceContext] | None = None,
    cap: TraceRows = 1000,
) -> Iterator[JobTrace]:
    """The run of a job around its submission, nested under the active run.

    Args:
        function: The Function's name.
        rows: What is submitted; kept for the inputs of the rows' runs.
        config: LangChain's.
        metadata: Over that of the active trace.
        tags: Before those of the active trace.
        forward: Whether the active trace's metadata and tags are read.
        hook: May rename or drop what was read.
        cap: See `check_trace_rows`.
    """
    most = check_trace_rows(cap)
    place = _place(config)
    trace = JobTrace()
    if place is not None:
        make, full = place
        context = active_context(full, metadata=metadata, tags=tags, enabled=forward, hook=hook)
        run = _job_run(make, function, rows, context, most)
        trace = JobTrace(run, function=function, context=context, rows=rows, cap=most)
    try:
        yield trace
    except BaseException as error:
        trace.failed(error)
        raise


def _job_run(
    make: Callable[..., RunTree],
    function: str,
    rows: SpooledRows | RemoteTable,
    context: TraceContext,
    cap: int,
) -> RunTree:
    inputs: dict[str, Any] = {"function": function}
    if isinstance(rows, SpooledRows):
        inputs |= {"rows": rows.count, "first_rows": traced_inputs(rows.head(_HEAD))}
    run = make(name=f"Sutro batch {function}", run_type="chain", inputs=inputs)
    facts = {"sutro_function": function, _CAP: cap, _PROJECT: run.session_name}
    versions = {"lc_versions": function_metadata(function)["lc_versions"]}
    before = (run.extra or {}).get("metadata", {})
    run.extra = {
        **(run.extra or {}),
        "metadata": {**before, **context.metadata, **versions, **facts},
    }
    run.tags = list(dict.fromkeys([*(run.tags or []), *context.tags]))
    return run


def _place(
    config: RunnableConfig | None,
) -> tuple[Callable[..., RunTree], RunnableConfig] | None:
    """What makes a run where LangChain and LangSmith would put one now, with the full config."""
    if config is None and not tracing_is_on():
        return None
    from langchain_core.runnables.config import (  # noqa: PLC0415 - for those who trace
        ensure_config,
        get_callback_manager_for_config,
    )
    from langchain_core.tracers.langchain import LangChainTracer  # noqa: PLC0415
    from langsmith.run_helpers import get_tracing_context  # noqa: PLC0415
    from langsmith.run_trees import RunTree  # noqa: PLC0415

    if get_tracing_context()["enabled"] == "local":
        return None
    config = ensure_config(config)
    manager = get_callback_manager_for_config(config)
    tracer = next((one for one in manager.handlers if isinstance(one, LangChainTracer)), None)
    if tracer is None:
        return None
    parent = tracer.run_map.get(str(manager.parent_run_id)) or RunTree.from_runnable_config(
        {"callbacks": manager}
    )
    if parent is not None:
        return parent.create_child, config

    def make_root(**parts: Any) -> RunTree:
        return RunTree(client=tracer.client, project_name=tracer.project_name, **parts)

    return make_root, config


class JobTraces:
    """The traces of the jobs that one client submitted, and what it knows of others.

    It keeps the last 256, and the rows that went in for the last 32 of them.
    """

    def __init__(self) -> None:
        self._known: OrderedDict[str, JobTrace] = OrderedDict()
        self._lock = Lock()

    def add(self, job: Submitted, trace: JobTrace) -> None:
        """Open the trace of a job that was just submitted."""
        trace.submitted(job)
        if trace.token is None:
            return
        with self._lock:
            self._known[job.job_id] = trace
            if len(self._known) > _MOST_TRACES:
                self._known.popitem(last=False)
            for old in list(self._known.values())[:-_MOST_TABLES]:
                old.forget_rows()

    def failed(self, job_id: str, error: BaseException, fetch: Callable[[], Any]) -> None:
        """End a job's run as an error.

        Args:
            job_id: The job.
            error: How it ended.
            fetch: Gives the job's object, in whose description another process left its token.
        """
        trace = self._known.get(job_id)
        if trace is not None:
            trace.failed(error)
        elif tracing_is_on():
            _in_background(_complete_later, fetch, error, None)

    def completed(self, job_id: str, results: BatchResults, fetch: Callable[[], Any]) -> None:
        """Write a job's rows and end its run, in a thread.

        Args:
            job_id: The job.
            results: What it gave.
            fetch: Gives the job's object, with tokens and cost.
        """
        trace = self._known.get(job_id)
        if trace is not None:
            trace.completed(results, fetch)
        elif tracing_is_on():
            _in_background(_complete_later, fetch, None, results)


def _complete_later(
    fetch: Callable[[], Any], error: BaseException | None, results: BatchResults | None
) -> None:
    """Complete the trace of a job that another process submitted, if it is open."""
    from langsmith.run_trees import RunTree, get_cached_client  # noqa: PLC0415
    from langsmith.utils import LangSmithError  # noqa: PLC0415

    job = fetch()
    marker = Marker.find(job.get("description"))
    if marker is None:
        return
    client = get_cached_client()
    try:
        # Its successor needs the project's id, which nobody here knows. Unwrapped, it does not
        # warn of that from a thread of ours.
        found = inspect.unwrap(type(client).read_run)(client, UUID(marker.token))
    except LangSmithError:
        # The submission was not traced, or its run is not there yet.
        return
    if found.end_time is not None:
        return
    metadata = (found.extra or {}).get("metadata", {})
    run = RunTree(
        client=client,
        id=found.id,
        name=found.name,
        run_type=found.run_type,
        inputs=found.inputs,
        start_time=_aware(found.start_time),
        trace_id=found.trace_id,
        dotted_order=found.dotted_order,
        parent_run_id=found.parent_run_id,
        project_name=metadata.get(_PROJECT),
        tags=found.tags,
        extra=found.extra,
    )
    trace = JobTrace(
        run,
        function=str(metadata.get("sutro_function") or ""),
        context=TraceContext(metadata),
        cap=int(metadata.get(_CAP, 0)),
        posted=True,
    )
    if error is not None:
        trace.failed(error)
    elif results is not None:
        trace.write(results, lambda: job)


def _in_background(work: Any, *args: Any) -> None:
    """Do it in a thread that the interpreter waits for, while LangSmith's own thread still works.

    A pool of its own each time: it leaves nothing behind, and a fork in between does no harm.
    """
    pool = ThreadPoolExecutor(1, thread_name_prefix="sutro-job-trace")
    future = pool.submit(_guarded, work, *args)
    _pending.add(future)
    future.add_done_callback(_pending.discard)
    pool.shutdown(wait=False)


def _guarded(work: Any, *args: Any) -> None:
    try:
        work(*args)
    except Exception as error:  # noqa: BLE001 - a trace must not fail anything
        logger.warning("A job's trace is incomplete: %s", type(error).__name__)


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


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
