"""The official SDK's verbs at module level, on a default client made at first use.

Where the SDK prints and returns None, these raise.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

from langchain_sutro._core.exports import exported_from
from langchain_sutro._core.jobs.client import SutroClient
from langchain_sutro._core.jobs.forms import bound_to

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "attach",
    "await_job_completion",
    "batch_run_function",
    "cancel_job",
    "default_client",
    "download_job_results",
    "get_job_results",
    "get_job_status",
    "get_quotas",
    "list_jobs",
    "results_download_url",
    "run_function",
    "try_authentication",
]

_P = ParamSpec("_P")
_T = TypeVar("_T")


@cache
def default_client() -> SutroClient:
    """The client behind the verbs; its settings come from the environment or the login file."""
    return SutroClient()


def _verb(method: Callable[Concatenate[SutroClient, _P], _T]) -> Callable[_P, _T]:
    return exported_from("langchain_sutro")(bound_to(default_client, method))


run_function = _verb(SutroClient.run_function)
"""Run a Function once, now: `SutroClient.run_function` of the default client."""

batch_run_function = _verb(SutroClient.batch_run_function)
"""Run a Function over a table as one Batch job, as `SutroClient.batch_run_function` does."""

await_job_completion = _verb(SutroClient.await_job_completion)
"""Wait until a job has succeeded, as `SutroClient.await_job_completion` does."""

get_job_results = _verb(SutroClient.get_job_results)
"""The results of a job as a data frame, as `SutroClient.get_job_results` returns them."""

get_job_status = _verb(SutroClient.get_job_status)
"""The stored status of a job, as `SutroClient.get_job_status` returns it."""

cancel_job = _verb(SutroClient.cancel_job)
"""Ask for a job's cancellation, as `SutroClient.cancel_job` does."""

list_jobs = _verb(SutroClient.list_jobs)
"""All jobs, newest first, as `SutroClient.list_jobs` returns them."""

get_quotas = _verb(SutroClient.get_quotas)
"""Rows and tokens of each job priority, as `SutroClient.get_quotas` returns them."""

attach = _verb(SutroClient.attach)
"""Show the progress of a job until it has succeeded, as `SutroClient.attach` does."""

results_download_url = _verb(SutroClient.results_download_url)
"""Presigned URLs of a job's results, as `SutroClient.results_download_url` returns them."""

download_job_results = _verb(SutroClient.download_job_results)
"""Save a job's results as a Parquet file, as `SutroClient.download_job_results` does."""

try_authentication = _verb(SutroClient.try_authentication)
"""Ask whether the service accepts a key, as `SutroClient.try_authentication` does."""
