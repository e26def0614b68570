"""A Batch job as the service reports it, without I/O: its status, the list of jobs, its results."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeVar

import orjson

from langchain_sutro._core.exports import exported_from
from langchain_sutro._core.service.driver import PACE, Operation, Request, Sleep, Timeout
from langchain_sutro._core.service.exchange import (
    Policy,
    Service,
    endpoint,
    json_object,
    malformed,
    read,
    send_request,
)
from langchain_sutro.errors import SutroAPIError

if TYPE_CHECKING:
    from collections.abc import Callable


_DEEPEST_RESULTS = 1_000

__all__ = ["JobStatus", "job_results", "job_status", "list_jobs", "when_ready"]

_T = TypeVar("_T")
_RESULTS_SECONDS = 300.0
_LARGEST_RESULTS = 128 * 2**20


@exported_from("langchain_sutro")
class JobStatus(StrEnum):
    """The job's stored status.

    The service spells it in either case, and its oldest documentation differently.
    """

    UNKNOWN = "UNKNOWN"
    QUEUED = "QUEUED"
    STARTING = "STARTING"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    CANCELLING = "CANCELLING"
    CANCELLED = "CANCELLED"
    FAILED = "FAILED"

    @classmethod
    def parse(cls, value: object) -> JobStatus:
        """Parse any spelling; an unknown word becomes UNKNOWN, which is not a final status."""
        word = value.strip().upper() if isinstance(value, str) else ""
        if word in ("PENDING", "SUBMITTED"):
            return cls.QUEUED
        return cls(word) if word in cls.__members__ else cls.UNKNOWN

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen."""
        return self in (JobStatus.SUCCEEDED, JobStatus.CANCELLED, JobStatus.FAILED)


def list_jobs(
    service: Service, *, limit: int | None = None, cursor: str | None = None
) -> Operation[tuple[list[dict[str, Any]], str | None]]:
    """Jobs, newest first, and the cursor of the next page; without a limit all of them."""
    url = endpoint(service.settings.batch_url, "list-jobs", limit=limit, cursor=cursor)
    answer = yield from read(service, url)
    jobs, following = answer.get("jobs"), answer.get("next_cursor")
    if not isinstance(jobs, list) or not all(isinstance(job, dict) for job in jobs):
        raise malformed('"jobs"')
    return jobs, following if isinstance(following, str) else None


def job_status(service: Service, job_id: str) -> Operation[JobStatus]:
    """The job's status as the service has stored it, which alone decides about success."""
    url = endpoint(service.settings.batch_url, "job-status", job_id)
    answer = yield from read(service, url)
    value = answer.get("job_status")
    if isinstance(value, dict):
        value = value.get(job_id)
    if not isinstance(value, str):
        raise malformed("the status of this job")
    return JobStatus.parse(value)


def when_ready(policy: Policy, attempt: Callable[[], Operation[_T]]) -> Operation[_T]:
    """Repeat an operation on results that may lag behind the job's success."""
    end = policy.clock() + policy.lag_seconds
    number = 0
    while True:
        try:
            return (yield from attempt())
        except SutroAPIError as error:
            lagging = error.status_code in (404, 409, 425) or error.status_code >= 500
            if not lagging or policy.clock() >= end:
                raise
        yield Sleep(policy.backoff(number, first=0.2, most=5.0))
        number += 1


def job_results(
    service: Service,
    job_id: str,
    *,
    include_inputs: bool = False,
    include_cumulative_logprobs: bool = False,
) -> Operation[dict[str, list[Any]]]:
    """The results of a job as columns of equal length, in input order.

    Returns:
        `outputs`, a list of strings or None; `confidence_score`, `inputs`,
        `cumulative_logprobs` and a carried id column where the job has them.
    """
    content = orjson.dumps(
        {
            "job_id": job_id,
            "include_inputs": include_inputs,
            "include_cumulative_logprobs": include_cumulative_logprobs,
        }
    )
    url = endpoint(service.settings.batch_url, "job-results")
    # Many rows may take longer than the timeout, but no row may.
    request = Request(
        "POST",
        url,
        content,
        timeout=Timeout(read=service.policy.timeout or _RESULTS_SECONDS),
        most=_LARGEST_RESULTS,
        pace=PACE,
    )
    response = yield from send_request(service, request)
    # A row that is nested too deeply is that row's error, and not that of all.
    return _columns(json_object(response, deepest=_DEEPEST_RESULTS).get("results"))


def _columns(results: object) -> dict[str, list[Any]]:
    if isinstance(results, list):
        results = {"outputs": results}
    if not isinstance(results, dict) or not isinstance(results.get("outputs"), list):
        raise malformed('"outputs"')
    columns = {name: column for name, column in results.items() if isinstance(column, list)}
    rows = len(columns["outputs"])
    for name, column in columns.items():
        if len(column) != rows:
            raise malformed(f"as many values in {name!r} as in 'outputs'")
    return columns
