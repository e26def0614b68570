"""The JSON bodies of the HTTP API."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = [
    "Cancelled",
    "ErrorBody",
    "HostedRun",
    "JobBody",
    "JobList",
    "JobResults",
    "JobStatusBody",
    "PublishedFunctions",
    "QuotaList",
    "ResultsRequest",
    "ResultsUrl",
    "Run",
    "RunAnswer",
    "Submission",
    "Submitted",
]

Row = dict[str, Any]


class ErrorBody(BaseModel):
    """Any error. `detail` is a list if a parameter does not fit its type."""

    detail: str | list[dict[str, Any]]
    code: str | None = None
    request_id: str | None = None


class Run(BaseModel):
    """A real-time call of the deployment generation."""

    model_config = ConfigDict(extra="forbid", title="Run")

    input: Row | str
    confidence_scoring: bool | None = True


class HostedRun(BaseModel):
    """A real-time call of the hosted generation."""

    model_config = ConfigDict(title="HostedRun")

    name: str
    input_data: Row


class RunAnswer(BaseModel):
    """The answer of a real-time call of the deployment generation."""

    request_id: str
    function: dict[str, Any]
    output: Any
    confidence: float | None
    usage: dict[str, Any]


class Submission(BaseModel):
    """A Batch job to submit, but for its `inputs`."""

    model_config = ConfigDict(title="Submission", protected_namespaces=())

    model: str | None = "gpt-oss-20b"
    column_name: str | None = None
    id_column_name: str | None = None
    job_priority: Literal[0, 1] | None = 0
    json_schema: Row | None = None
    system_prompt: str | None = None
    sampling_params: Row | None = None
    cost_estimate: bool | None = False
    random_seed_per_input: bool | None = False
    truncate_rows: bool | None = False
    name: str | None = Field(None, max_length=45)
    description: str | None = Field(None, max_length=512)


class Submitted(BaseModel):
    """A job that was taken."""

    results: str
    metadata: dict[str, str]


class JobStatusBody(BaseModel):
    """Where a job is: a map from its id to its status."""

    message: str
    job_status: dict[str, str]
    metadata: dict[str, Any] | None


class JobBody(BaseModel):
    """One job."""

    job: dict[str, Any]


class JobList(BaseModel):
    """Jobs, newest first; with `limit`, a page of them."""

    message: str | None = None
    jobs: list[dict[str, Any]]
    next_cursor: str | None = None


class Cancelled(BaseModel):
    """A job that will be cancelled."""

    cancelled: bool
    message: str


class ResultsRequest(BaseModel):
    """Which results are asked for."""

    model_config = ConfigDict(title="ResultsRequest")

    job_id: str
    include_inputs: bool | None = False
    include_cumulative_logprobs: bool | None = False


class JobResults(BaseModel):
    """Results by column; all have the same length, in the order of the rows."""

    results: dict[str, list[Any]]
    message: str


class ResultsUrl(BaseModel):
    """Where results can be downloaded until the URLs expire."""

    job_id: str
    format: str
    include_inputs: bool
    include_cumulative_logprobs: bool
    expires_in_seconds: int
    artifact: dict[str, Any]
    urls: dict[str, str]


class QuotaList(BaseModel):
    """The quotas of each priority."""

    quotas: list[dict[str, int]]


class PublishedFunctions(BaseModel):
    """What the deployment publishes. Only a local deployment tells."""

    functions: list[dict[str, Any]]
