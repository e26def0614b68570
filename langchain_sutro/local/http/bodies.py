"""The JSON bodies of the HTTP API."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

__all__ = [
    "Artifact",
    "Authenticated",
    "Cancelled",
    "ConsoleRequest",
    "ConsoleRequests",
    "ConsoleRow",
    "ConsoleRows",
    "ErrorBody",
    "HostedAnswer",
    "HostedRun",
    "HostedUsage",
    "JobBody",
    "JobFacts",
    "JobList",
    "JobResults",
    "JobStatusBody",
    "Prediction",
    "PresignedUrls",
    "PriorityQuota",
    "PublishedFunction",
    "PublishedFunctions",
    "QuotaList",
    "ResultsRequest",
    "ResultsUrl",
    "Run",
    "RunAnswer",
    "Submission",
    "Submitted",
    "Usage",
]

JobStatus = Literal[
    "QUEUED", "STARTING", "RUNNING", "SUCCEEDED", "CANCELLING", "CANCELLED", "FAILED"
]
Row = dict[str, Any]
Probability = Annotated[float, Field(ge=0, le=1)]


def _no_boolean(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("Input should be 0 or 1")  # noqa: TRY004 - what pydantic reports
    return value


# 1.0 is an integer to JSON, and true is none.
Priority = Annotated[int, Field(strict=False, ge=0, le=1), BeforeValidator(_no_boolean)]
Time = Annotated[str, Field(json_schema_extra={"format": "date-time"})]


class ErrorBody(BaseModel):
    """Any error. `detail` is a list if a parameter does not fit its type."""

    detail: str | list[dict[str, Any]]
    code: str | None = None
    request_id: str | None = None


class Authenticated(BaseModel):
    """A key that is taken, and whose it is."""

    authenticated: bool
    principal: dict[str, str] | None = None


class Run(BaseModel):
    """A real-time call of the deployment generation."""

    model_config = ConfigDict(extra="forbid", strict=True, title="Run")

    input: Row | str
    confidence_scoring: bool | None = True


class HostedRun(BaseModel):
    """A real-time call of the hosted generation."""

    model_config = ConfigDict(strict=True, title="HostedRun")

    name: str
    input_data: Row


class Usage(BaseModel):
    """What a call used."""

    input_tokens: int
    output_tokens: int
    cost_usd: float


class HostedUsage(BaseModel):
    """What a call used, and the Function's prompt."""

    input_tokens: int
    output_tokens: int
    system_prompt: str


class Prediction(BaseModel):
    """One label of a classifier."""

    label: Any
    confidence: Probability | None


class RunAnswer(BaseModel):
    """The answer of a real-time call of the deployment generation."""

    request_id: str
    function: dict[str, Any]
    output: Any
    confidence: Probability | None
    usage: Usage


class HostedAnswer(BaseModel):
    """The answer of a real-time call of the hosted generation.

    One primary output is a `response`, and may have `predictions`; several fields are an `output`.
    """

    response: Any = None
    output: dict[str, Any] | None = None
    rationale: str
    confidence: Probability | None
    predictions: list[Prediction] | None = None
    usage: HostedUsage


class Submission(BaseModel):
    """A Batch job to submit, but for its `inputs`."""

    model_config = ConfigDict(strict=True, title="Submission", protected_namespaces=())

    model: str | None = "gpt-oss-20b"
    column_name: str | None = None
    id_column_name: str | None = None
    job_priority: Priority | None = 0
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
    job_status: dict[str, JobStatus]
    metadata: dict[str, Any] | None


class JobFacts(BaseModel):
    """All that is known of a job."""

    job_id: str
    status: JobStatus
    model: str
    job_priority: int
    name: str | None
    description: str | None
    system_prompt: str | None
    json_schema: Row | None
    sampling_params: Row | None
    num_rows: int | None
    input_tokens: int | None
    output_tokens: int | None
    job_cost: float | None
    cost_estimate: float | None
    failure_reason: dict[str, Any] | None
    datetime_created: Time
    datetime_started: Time | None
    datetime_completed: Time | None
    run_type: Literal["FULL", "ESTIMATE"]
    dataset_id: str | None


class JobBody(BaseModel):
    """One job."""

    job: JobFacts


class JobList(BaseModel):
    """Jobs, newest first; with `limit`, a page of them."""

    message: str | None = None
    jobs: list[JobFacts]
    next_cursor: str | None = None


class Cancelled(BaseModel):
    """A job that will be cancelled."""

    cancelled: bool
    message: str


class ResultsRequest(BaseModel):
    """Which results are asked for."""

    model_config = ConfigDict(strict=True, title="ResultsRequest")

    job_id: str
    include_inputs: bool | None = False
    include_cumulative_logprobs: bool | None = False


class JobResults(BaseModel):
    """Results by column; all have the same length, in the order of the rows."""

    results: dict[str, list[Any]]
    message: str


class Artifact(BaseModel):
    """An object of the storage."""

    bucket: str
    key: str
    filename: str
    size_bytes: int


class PresignedUrls(BaseModel):
    """One URL for each method."""

    get: str
    head: str


class ResultsUrl(BaseModel):
    """Where results can be downloaded until the URLs expire."""

    job_id: str
    format: Literal["parquet"]
    include_inputs: bool
    include_cumulative_logprobs: bool
    expires_in_seconds: int
    artifact: Artifact
    urls: PresignedUrls


class PriorityQuota(BaseModel):
    """What one job of a priority may have."""

    priority: int
    row_quota: int
    token_quota: int


class QuotaList(BaseModel):
    """The quotas of each priority."""

    quotas: list[PriorityQuota]


class PublishedFunction(BaseModel):
    """One Function, with its JSON schemas."""

    name: str
    description: str
    input_schema: dict[str, Any]
    output_schema: dict[str, Any]


class PublishedFunctions(BaseModel):
    """What the deployment publishes. Only a local deployment has this route."""

    functions: list[PublishedFunction]


class ConsoleRow(BaseModel):
    """A row of a job, as the console shows it."""

    input: str
    output: str | None
    confidence: Probability | None
    done: bool


class ConsoleRows(BaseModel):
    """A page of a job's rows."""

    rows: list[ConsoleRow]
    total: int


class ConsoleRequest(BaseModel):
    """A request that arrived."""

    time: datetime
    method: str
    path: str
    status: int | None
    size: int


class ConsoleRequests(BaseModel):
    """The latest requests, newest first."""

    requests: list[ConsoleRequest]
