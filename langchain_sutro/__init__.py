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
    from langchain_sutro.evaluation import SutroEvaluator
    from langchain_sutro.experiment_results import ExperimentResults
    from langchain_sutro.experiments import aevaluate_dataset, evaluate_dataset
    from langchain_sutro.functions import SutroFunction
    from langchain_sutro.job_groups import SutroJobGroup
    from langchain_sutro.job_tools import SutroJobToolkit
    from langchain_sutro.jobs import SutroJob
    from langchain_sutro.results import FunctionResult
    from langchain_sutro.router import SutroRouter
    from langchain_sutro.toolkit import SutroToolkit
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
    "ExperimentResults",
    "FunctionResult",
    "JobProgress",
    "JobStatus",
    "SutroClient",
    "SutroEvaluator",
    "SutroFunction",
    "SutroJob",
    "SutroJobGroup",
    "SutroJobToolkit",
    "SutroRouter",
    "SutroTool",
    "SutroToolkit",
    "__version__",
    "aevaluate_dataset",
    "await_job_completion",
    "batch_run_function",
    "cancel_job",
    "errors",
    "evaluate_dataset",
    "get_job_results",
    "get_job_status",
    "get_quotas",
    "list_jobs",
    "run_function",
]

_HOMES = {
    "BatchResults": "batch_results",
    "ExperimentResults": "experiment_results",
    "FunctionResult": "results",
    "JobProgress": "_jobs_api",
    "JobStatus": "_jobs_api",
    "SutroClient": "client",
    "SutroEvaluator": "evaluation",
    "SutroFunction": "functions",
    "SutroJob": "jobs",
    "SutroJobGroup": "job_groups",
    "SutroJobToolkit": "job_tools",
    "SutroRouter": "router",
    "SutroTool": "tools",
    "SutroToolkit": "toolkit",
    "aevaluate_dataset": "experiments",
    "await_job_completion": "verbs",
    "batch_run_function": "verbs",
    "cancel_job": "verbs",
    "evaluate_dataset": "experiments",
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
