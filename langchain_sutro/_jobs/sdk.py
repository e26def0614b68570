"""The official SDK's verbs at module level, on a default client made at first use.

The signatures are the SDK's. Where it prints and returns None, these raise.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from langchain_sutro._exports import exported_from
from langchain_sutro._jobs.client import SutroClient

if TYPE_CHECKING:
    from langchain_sutro._results import FunctionResult
    from langchain_sutro._service import JobStatus

__all__ = [
    "await_job_completion",
    "batch_run_function",
    "cancel_job",
    "default_client",
    "get_job_results",
    "get_job_status",
    "get_quotas",
    "list_jobs",
    "run_function",
]


@cache
def default_client() -> SutroClient:
    """The client behind the verbs; its settings come from the environment or the login file."""
    return SutroClient()


@exported_from("langchain_sutro")
def run_function(
    name: str,
    input_data: Any,
    langsmith_metadata: dict[str, Any] | None = None,
    langsmith_tags: list[str] | None = None,
    timeout_seconds: float | None = None,
    confidence_scoring: bool = True,
) -> FunctionResult:
    """Run a Function once, now; see `SutroClient.run_function`."""
    return default_client().run_function(
        name, input_data, langsmith_metadata, langsmith_tags, timeout_seconds, confidence_scoring
    )


@exported_from("langchain_sutro")
def batch_run_function(
    name: str,
    data: Any,
    job_priority: int = 0,
    output_column: str = "inference_result",
    dry_run: bool = False,
    stay_attached: bool = False,
    job_name: str | None = None,
    description: str | None = None,
    langsmith_metadata: dict[str, Any] | None = None,
    langsmith_tags: list[str] | None = None,
    id_column: str | None = None,
) -> str:
    """Run a Function over a table as one Batch job; see `SutroClient.batch_run_function`."""
    return default_client().batch_run_function(
        name,
        data,
        job_priority,
        output_column,
        dry_run,
        stay_attached,
        job_name,
        description,
        langsmith_metadata,
        langsmith_tags,
        id_column,
    )


@exported_from("langchain_sutro")
def await_job_completion(
    job_id: str,
    timeout: float | None = 7200,
    obtain_results: bool = True,
    output_column: str = "inference_result",
    unpack_json: bool = True,
) -> Any:
    """Wait until a job has succeeded; see `SutroClient.await_job_completion`."""
    return default_client().await_job_completion(
        job_id, timeout, obtain_results, output_column, unpack_json
    )


@exported_from("langchain_sutro")
def get_job_results(
    job_id: str,
    include_inputs: bool = False,
    include_cumulative_logprobs: bool = False,
    with_original_df: Any = None,
    output_column: str = "inference_result",
    disable_cache: bool = False,
    unpack_json: bool = True,
) -> Any:
    """The results of a job as a data frame; see `SutroClient.get_job_results`."""
    return default_client().get_job_results(
        job_id,
        include_inputs,
        include_cumulative_logprobs,
        with_original_df,
        output_column,
        disable_cache,
        unpack_json,
    )


@exported_from("langchain_sutro")
def get_job_status(job_id: str) -> JobStatus:
    """Where a job is; see `SutroClient.get_job_status`."""
    return default_client().get_job_status(job_id)


@exported_from("langchain_sutro")
def cancel_job(job_id: str) -> dict[str, Any]:
    """Ask for a job's cancellation; see `SutroClient.cancel_job`."""
    return default_client().cancel_job(job_id)


@exported_from("langchain_sutro")
def list_jobs() -> list[dict[str, Any]]:
    """All jobs, newest first; see `SutroClient.list_jobs`."""
    return default_client().list_jobs()


@exported_from("langchain_sutro")
def get_quotas() -> list[dict[str, Any]]:
    """Rows and tokens of each job priority; see `SutroClient.get_quotas`."""
    return default_client().get_quotas()
