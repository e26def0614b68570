"""The trace of a Batch job: one `chain` run, and on completion one `llm` run for each traced row.

The job's run is created under the active run when the job is submitted. Its id is the submission's
token, so the process that fetches the results, this one or another, finds the run and completes it.
Rows are written once, in the background: tracing neither delays results nor makes them fail.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING, Any

from langchain_sutro._exports import exported_from
from langchain_sutro._rows import SpooledRows
from langchain_sutro._tracing.adoption import CAP, PROJECT, complete_trace
from langchain_sutro._tracing.call_run import tracing_is_on
from langchain_sutro._tracing.context import TraceContext, active_context
from langchain_sutro._tracing.job_run import THREAD_KEYS, JobTrace
from langchain_sutro._tracing.privacy import traced_inputs
from langchain_sutro._tracing.row_sample import TraceRows, check_trace_rows
from langchain_sutro._tracing.run_facts import function_metadata

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

_pending: set[Future[None]] = set()


@exported_from("langchain_sutro")
def wait_for_job_traces(timeout: float | None = None) -> bool:
    """Wait until the traces of all jobs whose results were fetched are written.

    Ordinary programs need not call this: the interpreter waits for the traces when it exits. In a
    process that is frozen instead, such as a serverless function, call it and then flush
    LangSmith's client.

    Args:
        timeout: Seconds; None waits as long as it takes, which is bounded for each job.

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
    """A job's run around its submission, nested under the active run.

    Args:
        function: The Function's name.
        rows: The rows of the job, kept for the inputs of their runs.
        config: LangChain's config.
        metadata: Overrides that of the active trace.
        tags: Placed before those of the active trace.
        forward: Whether the active trace's metadata and tags are read.
        hook: May rename or remove what was read.
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
    facts = {"sutro_function": function, CAP: cap, PROJECT: run.session_name}
    versions = {"lc_versions": function_metadata(function)["lc_versions"]}
    # A child run inherits all of its parent's metadata, even tokens and the model's name.
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
    """Creates a run where LangChain and LangSmith would put one now; and the merged config."""
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
    """The traces of the jobs that one client submitted.

    It keeps the last 256, and the input rows of the last 32 of them.
    """

    def __init__(self) -> None:
        self._known: OrderedDict[str, JobTrace] = OrderedDict()
        self._lock = Lock()

    def add(self, job: Submitted, trace: JobTrace) -> None:
        """Start the trace of a job that was just submitted."""
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
            error: Why it failed.
            fetch: Returns the service's job object, whose description has the token of a
                submission by another process.
        """
        trace = self._known.get(job_id)
        if trace is not None:
            trace.failed(error)
        elif tracing_is_on():
            _in_background(complete_trace, fetch, error, None)

    def completed(self, job_id: str, results: BatchResults, fetch: Callable[[], Any]) -> None:
        """Write the runs of a job's rows and end its run, in a background thread.

        Args:
            job_id: The job.
            results: Its results.
            fetch: Returns the service's job object, with tokens and cost.
        """
        trace = self._known.get(job_id)
        if trace is not None:
            if trace.claim():
                _in_background(trace.write, results, fetch)
        elif tracing_is_on():
            _in_background(complete_trace, fetch, None, results)


def _in_background(work: Any, *args: Any) -> None:
    """Run work in a thread that the interpreter joins while LangSmith's own thread is still alive.

    Each piece of work has its own pool, so no thread stays behind and forking is safe.
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
