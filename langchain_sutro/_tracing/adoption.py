"""Completing the run of a job that another process submitted."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any
from uuid import UUID

from langchain_sutro._service import Marker
from langchain_sutro._tracing.context import TraceContext
from langchain_sutro._tracing.ids import aware
from langchain_sutro._tracing.job_run import JobTrace

if TYPE_CHECKING:
    from collections.abc import Callable

    from langchain_sutro._results import BatchResults

__all__ = ["CAP", "PROJECT", "complete_trace"]

# Metadata of a job's run that tells a later process how to complete it.
PROJECT = "sutro_langsmith_project"
CAP = "sutro_trace_rows"


def complete_trace(
    fetch: Callable[[], Any], error: BaseException | None, results: BatchResults | None
) -> None:
    """Complete the trace of a job that another process submitted, if its run is still open.

    Args:
        fetch: Returns the service's job object.
        error: Why the job failed, if it did.
        results: Its results, if it succeeded.
    """
    from langsmith.run_trees import RunTree, get_cached_client  # noqa: PLC0415
    from langsmith.utils import LangSmithError  # noqa: PLC0415

    job = fetch()
    marker = Marker.find(job.get("description"))
    if marker is None:
        return
    client = get_cached_client()
    try:
        # The method that replaces this one needs the project's id, which is not known here.
        # Unwrapped, it does not log its deprecation.
        found = inspect.unwrap(type(client).read_run)(client, UUID(marker.token))
    except LangSmithError:
        # The submission was not traced, or its run has not arrived yet.
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
        project_name=metadata.get(PROJECT),
        tags=found.tags,
        extra=found.extra,
    )
    trace = JobTrace(
        run,
        function=str(metadata.get("sutro_function") or ""),
        context=TraceContext(metadata),
        cap=int(metadata.get(CAP, 0)),
        posted=True,
    )
    if error is not None:
        trace.failed(error)
    elif results is not None:
        trace.write(results, lambda: job)
