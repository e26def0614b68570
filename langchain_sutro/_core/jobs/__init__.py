"""The service without LangChain: the client, the SDK's verbs, jobs and groups of jobs."""

from langchain_sutro._core.jobs.calls import (
    afetch_results,
    fetch_results,
    take_rows,
)
from langchain_sutro._core.jobs.client import SutroClient
from langchain_sutro._core.jobs.connection import aexecute, execute
from langchain_sutro._core.jobs.group import SutroJobGroup
from langchain_sutro._core.jobs.job import OnInterrupt, SutroJob
from langchain_sutro._core.jobs.locks import exclusive
from langchain_sutro._core.jobs.sdk import (
    attach,
    await_job_completion,
    batch_run_function,
    cancel_job,
    default_client,
    download_job_results,
    get_job_results,
    get_job_status,
    get_quotas,
    list_jobs,
    results_download_url,
    run_function,
    try_authentication,
)
from langchain_sutro._core.jobs.slots import stoppable
from langchain_sutro._core.jobs.submissions import asubmit, submit

__all__ = [
    "OnInterrupt",
    "SutroClient",
    "SutroJob",
    "SutroJobGroup",
    "aexecute",
    "afetch_results",
    "asubmit",
    "attach",
    "await_job_completion",
    "batch_run_function",
    "cancel_job",
    "default_client",
    "download_job_results",
    "exclusive",
    "execute",
    "fetch_results",
    "get_job_results",
    "get_job_status",
    "get_quotas",
    "list_jobs",
    "results_download_url",
    "run_function",
    "stoppable",
    "submit",
    "take_rows",
    "try_authentication",
]
