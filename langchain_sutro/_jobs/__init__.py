"""The service without LangChain: the client, the SDK's verbs, jobs and groups of jobs."""

from langchain_sutro._jobs.client import SutroClient, aexecute, execute, take_rows
from langchain_sutro._jobs.group import SutroJobGroup
from langchain_sutro._jobs.job import OnInterrupt, SutroJob
from langchain_sutro._jobs.sdk import (
    await_job_completion,
    batch_run_function,
    cancel_job,
    default_client,
    get_job_results,
    get_job_status,
    get_quotas,
    list_jobs,
    run_function,
)

__all__ = [
    "OnInterrupt",
    "SutroClient",
    "SutroJob",
    "SutroJobGroup",
    "aexecute",
    "await_job_completion",
    "batch_run_function",
    "cancel_job",
    "default_client",
    "execute",
    "get_job_results",
    "get_job_status",
    "get_quotas",
    "list_jobs",
    "run_function",
    "take_rows",
]
