"""LangSmith: the active trace's metadata and tags, and the runs of calls, jobs and rows."""

from langchain_sutro._core.tracing.background import wait_for_job_traces
from langchain_sutro._core.tracing.call_run import client_run, own_run, quiet_when_local
from langchain_sutro._core.tracing.context import (
    TraceContext,
    active_context,
    decided,
    manager_of,
)
from langchain_sutro._core.tracing.guard import attempt
from langchain_sutro._core.tracing.ids import aware, stable_id
from langchain_sutro._core.tracing.job_run import JobTrace
from langchain_sutro._core.tracing.job_traces import JobTraces, job_trace
from langchain_sutro._core.tracing.place import tracing_is_on
from langchain_sutro._core.tracing.privacy import (
    run_inputs,
    traced_inputs,
    traced_outputs,
    without_secrets,
)
from langchain_sutro._core.tracing.row_runs import row_run
from langchain_sutro._core.tracing.row_sample import TraceRows, check_trace_rows
from langchain_sutro._core.tracing.run_facts import (
    add_facts,
    call_facts,
    function_metadata,
    job_usage,
    model_facts,
    row_facts,
    usage_facts,
)
from langchain_sutro._core.tracing.shown import (
    config_showing,
    manager_showing,
    without_ambient_context,
)

__all__ = [
    "JobTrace",
    "JobTraces",
    "TraceContext",
    "TraceRows",
    "active_context",
    "add_facts",
    "attempt",
    "aware",
    "call_facts",
    "check_trace_rows",
    "client_run",
    "config_showing",
    "decided",
    "function_metadata",
    "job_trace",
    "job_usage",
    "manager_of",
    "manager_showing",
    "model_facts",
    "own_run",
    "quiet_when_local",
    "row_facts",
    "row_run",
    "run_inputs",
    "stable_id",
    "traced_inputs",
    "traced_outputs",
    "tracing_is_on",
    "usage_facts",
    "wait_for_job_traces",
    "without_ambient_context",
    "without_secrets",
]
