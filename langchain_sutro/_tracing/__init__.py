"""LangSmith: the active trace's metadata and tags, and the runs of jobs and their rows."""

from langchain_sutro._tracing.context import (
    TraceContext,
    active_context,
    client_run,
    function_metadata,
    own_run,
    quiet_when_local,
    record_facts,
    traced_inputs,
    traced_outputs,
    tracing_is_on,
    without_secrets,
)
from langchain_sutro._tracing.job_traces import JobTrace, JobTraces, job_trace, wait_for_job_traces
from langchain_sutro._tracing.row_sample import TraceRows, check_trace_rows, stable_id

__all__ = [
    "JobTrace",
    "JobTraces",
    "TraceContext",
    "TraceRows",
    "active_context",
    "check_trace_rows",
    "client_run",
    "function_metadata",
    "job_trace",
    "own_run",
    "quiet_when_local",
    "record_facts",
    "stable_id",
    "traced_inputs",
    "traced_outputs",
    "tracing_is_on",
    "wait_for_job_traces",
    "without_secrets",
]
