"""Completing the trace of a job that another client or process submitted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from langchain_sutro._core.service import Marker
from langchain_sutro._core.tracing.context import stored_context
from langchain_sutro._core.tracing.ids import aware, time_of
from langchain_sutro._core.tracing.job_run import JobTrace
from langchain_sutro._core.tracing.row_sample import DEFAULT_ROWS
from langchain_sutro._core.tracing.run_facts import add_facts
from langchain_sutro._core.tracing.stored_runs import read_run, sends_spans_only

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from langsmith import Client

    from langchain_sutro._core.results import BatchResults

__all__ = ["CAP", "PROJECT", "Adoption", "job_name"]

# Metadata of a job's run that tells a later process how to complete it.
PROJECT = "sutro_langsmith_project"
CAP = "sutro_trace_rows"


def job_name(function: str) -> str:
    """The name of a job's run."""
    return f"Sutro batch {function}"


@dataclass(frozen=True)
class Adoption:
    """Who completes the trace of a job, and how.

    Attributes:
        fetch: Returns the service's job object, whose description says which run is the job's.
        known: The traces of jobs that this process submitted, by their tokens.
        client: The client that the surrounding code traces with; None for the process's own.
        replicas: Where else it sends its runs.
    """

    fetch: Callable[[], Any]
    known: Mapping[str, JobTrace]
    client: Client | None
    replicas: Any

    def complete(self, error: BaseException | None, results: BatchResults | None) -> None:
        """Complete the trace, if the job has one that is still open.

        Args:
            error: Why the job failed, if it did.
            results: Its results, if it succeeded.
        """
        job = self.fetch()
        marker = Marker.find(job.get("description"))
        if marker is None:
            return
        trace = self.known.get(marker.token) or self._trace(job, marker)
        if trace is None or not trace.claim():
            return
        trace.through(self.client)
        if error is not None:
            trace.fail(error)
        elif results is not None:
            trace.write(results, lambda: job)

    def _trace(self, job: Mapping[str, Any], marker: Marker) -> JobTrace | None:
        from langsmith.run_trees import get_cached_client  # noqa: PLC0415 - only if tracing is on
        from langsmith.utils import LangSmithError  # noqa: PLC0415

        client = self.client or get_cached_client()
        run_id = UUID(marker.run or marker.token)
        if sends_spans_only(client):
            return self._anew(client, run_id, job)
        try:
            found = read_run(client, run_id)
        except LangSmithError:
            return None
        # None if the submission was not traced, or its run has not arrived yet.
        return None if found is None or found.end_time is not None else self._of(client, found)

    def _of(self, client: Client, found: Any) -> JobTrace:
        """The trace of a run that LangSmith has."""
        from langsmith.run_trees import RunTree  # noqa: PLC0415 - loaded already

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
            replicas=self.replicas,
        )
        return JobTrace(
            run,
            function=str(metadata.get("sutro_function") or ""),
            context=stored_context(metadata, found.tags),
            cap=int(metadata.get(CAP, 0)),
            reused=bool(metadata.get("sutro_job_reused")),
            stored=True,
        )

    def _anew(self, client: Client, run_id: UUID, job: Mapping[str, Any]) -> JobTrace | None:
        """The span of a job whose beginning only its submitter knows.

        The run's id says when it was submitted, and whether that was traced: other tokens are of
        another version.
        """
        from langsmith.run_trees import RunTree  # noqa: PLC0415 - loaded already

        if run_id.version != 7:
            return None
        function = str(job.get("model") or "")
        run = RunTree(
            client=client,
            id=run_id,
            name=job_name(function),
            run_type="chain",
            inputs={"function": function, "job_id": job.get("job_id"), "rows": job.get("num_rows")},
            start_time=min(time_of(run_id), datetime.now(UTC)),
        )
        add_facts(run, {"sutro_function": function, "sutro_job_id": job.get("job_id")})
        return JobTrace(run, function=function, cap=DEFAULT_ROWS)
