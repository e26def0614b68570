"""Jobs that ended before they had read their table, and so cost nothing."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

from langchain_sutro._core import service as _service
from langchain_sutro._core.jobs.connection import Connection, execute
from langchain_sutro._core.service import JobStatus, start_all
from langchain_sutro.errors import SutroNotFoundError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["unread_jobs"]

_AT_ONCE = 8
_COUNTS = ("num_rows", "input_tokens", "output_tokens", "job_cost")


def unread_jobs(client: Connection, job_ids: Sequence[str]) -> set[str]:
    """Those of some jobs on tables behind URLs that failed without having read a row.

    That is so if the service has counted no rows, no tokens and no cost: the URL had expired before
    the job started, or the object storage did not answer.

    Args:
        client: How to reach the deployment.
        job_ids: The jobs.
    """
    with ThreadPoolExecutor(_AT_ONCE, "langchain-sutro-jobs") as pool:
        found = start_all(pool, partial(_is_unread, client), job_ids)
        return {job_id for job_id, one in zip(job_ids, found, strict=True) if one.result()}


def _is_unread(client: Connection, job_id: str) -> bool:
    try:
        if execute(client, _service.job_status, job_id) is not JobStatus.FAILED:
            return False
        job = execute(client, _service.fetch_job, job_id)
    except SutroNotFoundError:
        # It may have been paid for, and is not listed any more.
        return False
    return not any(job.get(name) for name in _COUNTS)
