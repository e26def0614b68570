"""LangSmith: the active trace's metadata and tags, and the runs of calls, jobs and rows."""

from langchain_sutro._tracing.call_run import (
    client_run,
    own_run,
    quiet_when_local,
    tracing_is_on,
)
from langchain_sutro._tracing.context import TraceContext, active_context
from langchain_sutro._tracing.ids import stable_id
from langchain_sutro._tracing.job_run import JobTrace
from langchain_sutro._tracing.job_traces import JobTraces, job_trace, wait_for_job_traces
from langchain_sutro._tracing.privacy import (
    run_inputs,
    traced_inputs,
    traced_outputs,
    without_secrets,
)
from langchain_sutro._tracing.row_runs import row_run
from langchain_sutro._tracing.row_sample import TraceRows, check_trace_rows
from langchain_sutro._tracing.run_facts import (
    call_facts,
    function_metadata,
    record_facts,
    row_facts,
)

__all__ = [
    "JobTrace",
    "JobTraces",
    "TraceContext",
    "TraceRows",
    "active_context",
    "call_facts",
    "check_trace_rows",
    "client_run",
    "function_metadata",
    "job_trace",
    "own_run",
    "quiet_when_local",
    "record_facts",
    "row_facts",
    "row_run",
    "run_inputs",
    "stable_id",
    "traced_inputs",
    "traced_outputs",
    "tracing_is_on",
    "wait_for_job_traces",
    "without_secrets",
]
