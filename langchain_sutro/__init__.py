"""Sutro Functions for LangChain and LangSmith.

Names are loaded at first use, so that importing the package costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from langchain_sutro._version import __version__

if TYPE_CHECKING:
    from langchain_sutro import errors
    from langchain_sutro._jobs_api import JobProgress, JobStatus
    from langchain_sutro.batch_results import BatchResults
    from langchain_sutro.client import SutroClient
    from langchain_sutro.functions import SutroFunction
    from langchain_sutro.job_groups import SutroJobGroup
    from langchain_sutro.jobs import SutroJob
    from langchain_sutro.results import FunctionResult
    from langchain_sutro.tools import SutroTool
    from langchain_sutro.verbs import (
        await_job_completion,
        batch_run_function,
        cancel_job,
        get_job_results,
        get_job_status,
        get_quotas,
        list_jobs,
        run_function,
    )

__all__ = [
    "BatchResults",
    "FunctionResult",
    "JobProgress",
    "JobStatus",
    "SutroClient",
    "SutroFunction",
    "SutroJob",
    "SutroJobGroup",
    "SutroTool",
    "__version__",
    "await_job_completion",
    "batch_run_function",
    "cancel_job",
    "errors",
    "get_job_results",
    "get_job_status",
    "get_quotas",
    "list_jobs",
    "run_function",
]

_HOMES = {
    "BatchResults": "batch_results",
    "FunctionResult": "results",
    "JobProgress": "_jobs_api",
    "JobStatus": "_jobs_api",
    "SutroClient": "client",
    "SutroFunction": "functions",
    "SutroJob": "jobs",
    "SutroJobGroup": "job_groups",
    "SutroTool": "tools",
    "await_job_completion": "verbs",
    "batch_run_function": "verbs",
    "cancel_job": "verbs",
    "get_job_results": "verbs",
    "get_job_status": "verbs",
    "get_quotas": "verbs",
    "list_jobs": "verbs",
    "run_function": "verbs",
}


def __getattr__(name: str) -> Any:
    if name == "errors":
        return import_module("langchain_sutro.errors")
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"langchain_sutro.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
