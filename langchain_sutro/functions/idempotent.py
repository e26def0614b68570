"""Submissions that may be made again, and make one job."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from langchain_sutro._core.jobs import aexecute, execute
from langchain_sutro._core.rows import SpooledRows
from langchain_sutro._core.service import JobStatus, Submitted, find_job
from langchain_sutro.errors import SutroInputError

if TYPE_CHECKING:
    from langchain_sutro._core.jobs import SutroClient
    from langchain_sutro._core.rows import RemoteTable

__all__ = ["aearlier_job", "earlier_job", "job_token"]

_ENDED_BADLY = (JobStatus.FAILED, JobStatus.CANCELLED, JobStatus.CANCELLING)


def job_token(function: str, key: str | None, rows: SpooledRows | RemoteTable) -> str | None:
    """The token of the job that these rows make under a key; None without a key.

    Args:
        function: The Function's name.
        key: Chosen by the caller.
        rows: The rows. Other rows make another job.

    Raises:
        SutroInputError: The key is empty.
    """
    if key is None:
        return None
    if not isinstance(key, str) or not key:
        raise SutroInputError("idempotency_key must be a string that is not empty.")
    content = rows.sha256 if isinstance(rows, SpooledRows) else ""
    facts = f"langchain-sutro job\0{function}\0{key}\0{content}"
    return hashlib.sha256(facts.encode(errors="surrogatepass")).hexdigest()[:32]


def earlier_job(client: SutroClient, token: str | None) -> Submitted | None:
    """The job that an earlier call has submitted, unless it failed or was cancelled.

    Args:
        client: How to reach the deployment.
        token: That of the job.
    """
    return None if token is None else _usable(execute(client, find_job, token), token)


async def aearlier_job(client: SutroClient, token: str | None) -> Submitted | None:
    """Asynchronous form of `earlier_job`."""
    return None if token is None else _usable(await aexecute(client, find_job, token), token)


def _usable(job: dict[str, Any] | None, token: str) -> Submitted | None:
    if job is None or JobStatus.parse(job.get("status")) in _ENDED_BADLY:
        return None
    return Submitted(str(job["job_id"]), token)
