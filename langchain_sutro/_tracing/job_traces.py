"""The trace of a Batch job: one `chain` run, and on completion one `llm` run for each traced row.

The job's run is made when the job is submitted, under the active run. Its id is the submission's
token, so whoever fetches the results, this process or another, finds it and completes it. Rows are
written once, in the background: tracing neither delays nor fails a result.
"""

from __future__ import annotations

import inspect
import logging
from collections import OrderedDict
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING, Any
from uuid import UUID

from langchain_sutro._exports import exported_from
from langchain_sutro._rows import SpooledRows
from langchain_sutro._service import Marker
from langchain_sutro._tracing.context import (
    TraceContext,
    active_context,
    function_metadata,
    traced_inputs,
    tracing_is_on,
)
from langchain_sutro._tracing.job_run import THREAD_KEYS, JobTrace, aware
from langchain_sutro._tracing.row_sample import TraceRows, check_trace_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from langchain_core.runnables import RunnableConfig
    from langsmith.run_trees import RunTree

    from langchain_sutro._results import BatchResults
    from langchain_sutro._rows import RemoteTable
    from langchain_sutro._service import Submitted

__all__ = [
    "JobTrace",
    "JobTraces",
    "job_trace",
    "wait_for_job_traces",
]

logger = logging.getLogger(__name__)

_HEAD = 3
_MOST_TRACES, _MOST_TABLES = 256, 32
_PROJECT = "sutro_langsmith_project"
_CAP = "sutro_trace_rows"

_pending: set[Future[None]] = set()


@exported_from("langchain_sutro")
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
    # A child has all of its parent's metadata, tokens and the model's name included.
    before = (run.extra or {}).get("metadata", {})
    thread = {key: before[key] for key in THREAD_KEYS if key in before}
    run.extra = {
        **(run.extra or {}),
        "metadata": {**thread, **context.metadata, **versions, **facts},
    }
    run.tags = context.tags
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
            if trace.claim():
                _in_background(trace.write, results, fetch)
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
        start_time=aware(found.start_time),
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
