"""Sutro Functions for LangChain and LangSmith.

Names are loaded at first use, so that importing the package costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from langchain_sutro._core.exports import lazy_exports
from langchain_sutro._core.version import __version__

if TYPE_CHECKING:
    from langchain_sutro import errors
    from langchain_sutro._core.jobs import (
        SutroClient,
        SutroJob,
        SutroJobGroup,
        attach,
        await_job_completion,
        batch_run_function,
        cancel_job,
        download_job_results,
        get_job_results,
        get_job_status,
        get_quotas,
        list_jobs,
        results_download_url,
        run_function,
        try_authentication,
    )
    from langchain_sutro._core.results import AnsweringModel, BatchResults, FunctionResult
    from langchain_sutro._core.rows import RemoteTable
    from langchain_sutro._core.service import JobProgress, JobStatus, Settings
    from langchain_sutro._core.tracing import TraceContext, wait_for_job_traces
    from langchain_sutro.agents import SutroJobToolkit, SutroToolkit
    from langchain_sutro.evaluation import (
        ComparedFigure,
        ExamplePair,
        ExperimentComparison,
        ExperimentReport,
        ExperimentResults,
        ExperimentRow,
        ExperimentSummary,
        HumanLabel,
        HumanLabels,
        JudgedRuns,
        LabelledDataset,
        ReviewedBecause,
        SentForReview,
        SutroEvaluator,
        VerdictRate,
        aevaluate_dataset,
        aevaluate_runs,
        areviewed,
        asend_for_review,
        compare_experiments,
        evaluate_dataset,
        evaluate_runs,
        reviewed,
        send_for_review,
    )
    from langchain_sutro.functions import (
        SutroAssign,
        SutroFunction,
        SutroGatheredFunction,
        SutroRetry,
        SutroRouter,
        SutroTool,
    )
    from langchain_sutro.pipelines import FunctionPlan, OneJob, one_job

__all__ = [
    "AnsweringModel",
    "BatchResults",
    "ComparedFigure",
    "ExamplePair",
    "ExperimentComparison",
    "ExperimentReport",
    "ExperimentResults",
    "ExperimentRow",
    "ExperimentSummary",
    "FunctionPlan",
    "FunctionResult",
    "HumanLabel",
    "HumanLabels",
    "JobProgress",
    "JobStatus",
    "JudgedRuns",
    "LabelledDataset",
    "OneJob",
    "RemoteTable",
    "ReviewedBecause",
    "SentForReview",
    "Settings",
    "SutroAssign",
    "SutroClient",
    "SutroEvaluator",
    "SutroFunction",
    "SutroGatheredFunction",
    "SutroJob",
    "SutroJobGroup",
    "SutroJobToolkit",
    "SutroRetry",
    "SutroRouter",
    "SutroTool",
    "SutroToolkit",
    "TraceContext",
    "VerdictRate",
    "__version__",
    "aevaluate_dataset",
    "aevaluate_runs",
    "areviewed",
    "asend_for_review",
    "attach",
    "await_job_completion",
    "batch_run_function",
    "cancel_job",
    "compare_experiments",
    "download_job_results",
    "errors",
    "evaluate_dataset",
    "evaluate_runs",
    "get_job_results",
    "get_job_status",
    "get_quotas",
    "list_jobs",
    "one_job",
    "results_download_url",
    "reviewed",
    "run_function",
    "send_for_review",
    "try_authentication",
    "wait_for_job_traces",
]

_load, _ = lazy_exports(
    __name__,
    {
        "SutroClient": "_core.jobs",
        "SutroJob": "_core.jobs",
        "SutroJobGroup": "_core.jobs",
        "attach": "_core.jobs",
        "await_job_completion": "_core.jobs",
        "batch_run_function": "_core.jobs",
        "cancel_job": "_core.jobs",
        "download_job_results": "_core.jobs",
        "get_job_results": "_core.jobs",
        "get_job_status": "_core.jobs",
        "get_quotas": "_core.jobs",
        "list_jobs": "_core.jobs",
        "results_download_url": "_core.jobs",
        "run_function": "_core.jobs",
        "try_authentication": "_core.jobs",
        "AnsweringModel": "_core.results",
        "BatchResults": "_core.results",
        "FunctionResult": "_core.results",
        "RemoteTable": "_core.rows",
        "JobProgress": "_core.service",
        "JobStatus": "_core.service",
        "Settings": "_core.service",
        "TraceContext": "_core.tracing",
        "wait_for_job_traces": "_core.tracing",
        "SutroJobToolkit": "agents",
        "SutroToolkit": "agents",
        "ComparedFigure": "evaluation",
        "ExamplePair": "evaluation",
        "ExperimentComparison": "evaluation",
        "ExperimentReport": "evaluation",
        "compare_experiments": "evaluation",
        "ExperimentResults": "evaluation",
        "ExperimentRow": "evaluation",
        "ExperimentSummary": "evaluation",
        "HumanLabel": "evaluation",
        "HumanLabels": "evaluation",
        "JudgedRuns": "evaluation",
        "LabelledDataset": "evaluation",
        "ReviewedBecause": "evaluation",
        "SentForReview": "evaluation",
        "SutroEvaluator": "evaluation",
        "VerdictRate": "evaluation",
        "aevaluate_dataset": "evaluation",
        "aevaluate_runs": "evaluation",
        "areviewed": "evaluation",
        "asend_for_review": "evaluation",
        "evaluate_dataset": "evaluation",
        "evaluate_runs": "evaluation",
        "reviewed": "evaluation",
        "send_for_review": "evaluation",
        "SutroAssign": "functions",
        "SutroFunction": "functions",
        "SutroGatheredFunction": "functions",
        "SutroRetry": "functions",
        "SutroRouter": "functions",
        "SutroTool": "functions",
        "FunctionPlan": "pipelines",
        "OneJob": "pipelines",
        "one_job": "pipelines",
    },
)


def __getattr__(name: str) -> Any:
    if name == "errors":
        return import_module("langchain_sutro.errors")
    return _load(name)


def __dir__() -> list[str]:
    return __all__
