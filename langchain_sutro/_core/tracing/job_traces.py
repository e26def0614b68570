"""The trace of a Batch job: one `chain` run, and on completion one `llm` run for each traced row.

The job's run is created under the active run when the job is submitted. Its id is the submission's
token, so the process that fetches the results, this one or another, finds the run and completes it.
Rows are written once, in the background: tracing neither delays results nor makes them fail.
"""

from __future__ import annotations

from collections import OrderedDict
from contextlib import contextmanager
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from langchain_sutro._core.rows import SpooledRows
from langchain_sutro._core.tracing.adoption import CAP, PROJECT, Adoption, job_name
from langchain_sutro._core.tracing.background import in_background
from langchain_sutro._core.tracing.context import TraceContext, active_context
from langchain_sutro._core.tracing.guard import made
from langchain_sutro._core.tracing.job_run import JobTrace
from langchain_sutro._core.tracing.place import (
    find_place,
    named_client,
    named_replicas,
    tracing_is_forbidden,
    tracing_is_on,
)
from langchain_sutro._core.tracing.privacy import traced_inputs
from langchain_sutro._core.tracing.row_sample import DEFAULT_ROWS, TraceRows, check_trace_rows
from langchain_sutro._core.tracing.run_facts import add_facts, function_metadata

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from langchain_core.runnables import RunnableConfig
    from langsmith.run_trees import RunTree

    from langchain_sutro._core.results import BatchResults
    from langchain_sutro._core.rows import RemoteTable
    from langchain_sutro._core.service import Submitted
    from langchain_sutro._core.tracing.place import Place

__all__ = ["JobTraces", "job_trace"]

_HEAD = 3
_MOST_TRACES, _MOST_TABLES = 256, 32

# The open traces of this process by the tokens of their jobs, whichever client submitted these.
_by_token: WeakValueDictionary[str, JobTrace] = WeakValueDictionary()


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
    cap: TraceRows = DEFAULT_ROWS,
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
    place = find_place(config)
    trace = JobTrace()
    if place is not None:
        context = active_context(
            place.config, place.manager, metadata=metadata, tags=tags, enabled=forward, hook=hook
        )
        run = made(partial(_job_run, place, function, rows, context, most))
        trace = JobTrace(
            run,
            function=function,
            context=context,
            rows=rows,
            cap=most,
            given_id=bool((place.config or {}).get("run_id")),
        )
    try:
        yield trace
    except BaseException as error:
        trace.refused(error)
        raise


def _job_run(
    place: Place,
    function: str,
    rows: SpooledRows | RemoteTable,
    context: TraceContext,
    cap: int,
) -> RunTree:
    inputs: dict[str, Any] = {"function": function}
    if isinstance(rows, SpooledRows):
        inputs |= {"rows": rows.count, "first_rows": traced_inputs(rows.head(_HEAD))}
    config = place.config or {}
    run = place.run(
        config.get("run_name") or job_name(function), "chain", inputs, config.get("run_id")
    )
    facts = {"sutro_function": function, CAP: cap, PROJECT: run.session_name}
    versions = {"lc_versions": function_metadata(function)["lc_versions"]}
    add_facts(run, {**context.metadata, **versions, **facts})
    run.tags = list(context.tags)
    return run


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
        if not job.reused:
            _by_token[job.token] = trace
        with self._lock:
            self._known[job.job_id] = trace
            if len(self._known) > _MOST_TRACES:
                self._known.popitem(last=False)
            for old in list(self._known.values())[:-_MOST_TABLES]:
                old.forget_rows()

    def failed(self, job_id: str, error: BaseException, fetch: Callable[[], Any]) -> None:
        """End a job's run as an error, in the background.

        Args:
            job_id: The job.
            error: Why it failed.
            fetch: Returns the service's job object, whose description has the token of a
                submission by another process.
        """
        self._complete(job_id, error, None, fetch)

    def completed(self, job_id: str, results: BatchResults, fetch: Callable[[], Any]) -> None:
        """Write the runs of a job's rows and end its run, in the background.

        Args:
            job_id: The job.
            results: Its results.
            fetch: Returns the service's job object, with tokens and cost.
        """
        self._complete(job_id, None, results, fetch)

    def _complete(
        self,
        job_id: str,
        error: BaseException | None,
        results: BatchResults | None,
        fetch: Callable[[], Any],
    ) -> None:
        if tracing_is_forbidden():
            # Not even a run that is open already may get these results.
            return
        trace = self._known.get(job_id)
        if trace is None:
            if tracing_is_on():
                adoption = Adoption(fetch, _by_token, named_client(), named_replicas())
                in_background(partial(adoption.complete, error, results))
        elif trace.claim():
            trace.through(named_client())
            if error is not None:
                in_background(partial(trace.fail, error))
            elif results is not None:
                in_background(partial(trace.write, results, fetch))
