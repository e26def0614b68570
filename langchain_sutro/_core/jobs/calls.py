"""What jobs, groups and Functions do with a job through a client: follow, fetch, trace.

Functions rather than methods of the client, since they are not for users.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

from langchain_sutro._core import service as _service
from langchain_sutro._core.jobs.connection import Connection, asking, execute, traces_of
from langchain_sutro._core.jobs.forms import asynchronous, synchronous
from langchain_sutro._core.jobs.memory import memory
from langchain_sutro._core.results import BatchResults
from langchain_sutro._core.rows import RemoteTable, SpooledRows, spool_rows, table_for
from langchain_sutro._core.service import PrivateFile, blocking
from langchain_sutro.errors import (
    SutroInputError,
    SutroJobCancelledError,
    SutroJobFailedError,
    SutroJobTimeoutError,
)

if TYPE_CHECKING:
    from langchain_sutro._core.rows import Fields, InputSchema
    from langchain_sutro._core.service import Steps

__all__ = [
    "afetch_results",
    "afollow_job",
    "fetch_results",
    "follow_job",
    "take_rows",
    "trace_end",
    "trace_results",
]

# Up to here one JSON answer is quicker than a file, and needs no pyarrow.
_FEW_ROWS = 5000


def take_rows(
    data: Any, fields: Fields | None = None, schema: InputSchema | None = None
) -> SpooledRows | RemoteTable:
    """Encode and check a table, or find that it lies behind a URL. Reads files.

    Args:
        data: Any table; rows that are encoded already are returned as they are.
        fields: Names of the columns to send, or a mapping of names of fields to columns.
        schema: Checks every row; columns that it does not name are not sent.

    Raises:
        SutroInputError: It cannot be sent, or has no rows; names row and column.
    """
    if isinstance(data, SpooledRows):
        return data
    table = table_for(data, fields, schema)
    if isinstance(table, RemoteTable):
        return table
    rows = spool_rows(table)
    if not rows.count:
        raise SutroInputError("The table has no rows.")
    return rows


@synchronous
def follow_job(client: Connection, job_id: str, **options: Any) -> Steps[None]:
    """Wait until a job has succeeded.

    Args:
        client: How to reach the deployment.
        job_id: The job.
        **options: Those of `wait_for_job`, which has the errors as well.
    """
    _service.check_id(job_id)
    try:
        yield from asking(client, _service.wait_for_job, job_id, **options)
    except (SutroJobFailedError, SutroJobCancelledError) as error:
        memory.delivered(job_id)
        trace_end(client, job_id, error)
        raise
    except SutroJobTimeoutError:
        # The caller wanted to wait no longer, which is no failure.
        raise
    except (Exception, asyncio.CancelledError):
        memory.undelivered(job_id)
        raise


afollow_job = asynchronous(follow_job)


@synchronous
def fetch_results(
    client: Connection,
    job_id: str,
    *,
    include_inputs: bool = False,
    include_cumulative_logprobs: bool = False,
    rows: int | None = None,
    function: str | None = None,
    job: dict[str, Any] | None = None,
) -> Steps[BatchResults]:
    """The results of a job that has succeeded, row by row or as a table.

    Few rows come as JSON; more as Parquet over a presigned URL, resumed if it breaks off, to a
    private temporary file that goes with the object.

    Args:
        client: How to reach the deployment.
        job_id: The job.
        include_inputs: Also what the Function was given, as the service rendered it.
        include_cumulative_logprobs: Also the log-probability of each output.
        rows: How many rows went in. Results of another number are an error, never shifted.
        function: The Function, for display.
        job: The job's object, for tokens and cost.
    """
    _service.check_id(job_id)
    try:
        results = yield from _fetched(
            client,
            job_id,
            {
                "include_inputs": include_inputs,
                "include_cumulative_logprobs": include_cumulative_logprobs,
            },
            {"function": function, "expected_rows": rows, "job": job},
        )
    except (Exception, asyncio.CancelledError):
        memory.undelivered(job_id)
        raise
    memory.delivered(job_id)
    return results


afetch_results = asynchronous(fetch_results)


def _fetched(
    client: Connection, job_id: str, options: dict[str, bool], facts: dict[str, Any]
) -> Steps[BatchResults]:
    settings = yield blocking(lambda: client.settings)
    facts = {"job_id": job_id, "generation": settings.generation, **facts}
    rows = facts["expected_rows"]
    if rows is None or rows > _FEW_ROWS:
        return (yield from _from_file(client, job_id, options, facts))
    columns = yield from asking(client, _service.fetch_results, job_id, None, options)
    return BatchResults.from_columns(columns or {}, **facts)


def _from_file(
    client: Connection, job_id: str, options: dict[str, bool], facts: dict[str, Any]
) -> Steps[BatchResults]:
    """The results by way of a private file, or as JSON where there is none."""
    target: PrivateFile = yield blocking(PrivateFile)
    results: BatchResults
    try:
        columns = yield from asking(client, _service.fetch_results, job_id, target, options)
        if columns is None:
            path = yield blocking(target.keep)
            results = yield blocking(BatchResults.from_parquet, path, **facts, delete=True)
        else:
            results = BatchResults.from_columns(columns, **facts)
    except BaseException as error:
        yield blocking(target.__exit__, type(error))
        raise
    yield blocking(target.__exit__)
    return results


def trace_results(
    client: Connection, job_id: str, results: BatchResults, job: dict[str, Any] | None = None
) -> None:
    """Complete the job's trace, if it has one, in the background.

    Args:
        client: That the job was submitted through, or that has taken it up.
        job_id: The job.
        results: What it gave.
        job: Its object, if it is here already.
    """
    fetch = partial(execute, client, _service.fetch_job, job_id) if job is None else lambda: job
    traces_of(client).completed(job_id, results, fetch)


def trace_end(client: Connection, job_id: str, error: BaseException) -> None:
    """End the job's trace, if it has one, as that of a job without results."""
    fetch = partial(execute, client, _service.fetch_job, job_id)
    traces_of(client).failed(job_id, error, fetch)
