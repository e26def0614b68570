"""Batch jobs: submit, look, list, cancel, follow. The same in both generations."""

from __future__ import annotations

import re
import tempfile
import uuid
from typing import IO, TYPE_CHECKING, Annotated, Any

import anyio.to_thread
from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse

from langchain_sutro.local.http.bodies import (
    Cancelled,
    JobBody,
    JobList,
    JobStatusBody,
    QuotaList,
    Submission,
    Submitted,
)
from langchain_sutro.local.http.progress import progress_lines
from langchain_sutro.local.http.requests import documented, errors, validated
from langchain_sutro.local.http.submission import read_submission
from langchain_sutro.local.jobs import InputWriter, Job
from langchain_sutro.local.refusals import InvalidInputError, Refusal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from langchain_sutro.local.functions import LocalFunction
    from langchain_sutro.local.http.service import Service
    from langchain_sutro.local.jobs import JobFiles

__all__ = ["job_routes"]

_PIECE = 1 << 20
# How many rows of one kind a refusal names.
_NAMED_ROWS = 50
_LINES = "application/x-ndjson"
_RESERVED = ("outputs", "confidence_score", "cumulative_logprobs")
_INPUTS = {
    "description": "Rows (strings if the Function has one text field), or the URL of a CSV or "
    "Parquet file.",
    "anyOf": [
        {"type": "array", "minItems": 1, "items": {"type": ["object", "string"]}},
        {"type": "string", "pattern": "^https?://[^/]"},
    ],
}
# An id column is carried from a table behind a URL, and must not hide a column of the results.
_ID_COLUMN = {
    "if": {"properties": {"inputs": {"type": "array"}}},
    "then": {"properties": {"id_column_name": {"type": "null"}}},
    "else": {"properties": {"id_column_name": {"not": {"enum": list(_RESERVED)}}}},
}


def job_routes(service: Service) -> APIRouter:
    """The endpoints of jobs, without those of their results."""
    router = APIRouter()

    @router.post(
        "/batch-inference",
        response_model=Submitted,
        responses=errors(401, 404, 409, 422),
        openapi_extra=documented(Submission, _ID_COLUMN, inputs=_INPUTS),
    )
    async def submit(request: Request) -> dict[str, Any]:
        """Submit a job. Rows may have more than the Function's fields, and lack optional ones."""
        with tempfile.TemporaryFile(dir=service.folder) as spool:
            await _spool(request, spool)
            job = await anyio.to_thread.run_sync(_accept, service, spool)
        service.worker.submit(job)
        return {
            "results": job.job_id,
            "metadata": {"job_id": job.job_id, "message": "The job is queued."},
        }

    @router.get(
        "/job-status/{job_id}", response_model=JobStatusBody, responses=errors(401, 404, 422)
    )
    def status(job_id: str) -> dict[str, Any]:
        """Where a job is."""
        job = service.job(job_id)
        reason = job.failure_reason
        return {
            "message": f"Job {job_id} is {job.status}.",
            "job_status": {job_id: job.status},
            "metadata": {"failure_reason": reason} if reason else None,
        }

    @router.get("/jobs/{job_id}", response_model=JobBody, responses=errors(401, 404, 422))
    def details(job_id: str) -> dict[str, Any]:
        """All that is known of a job."""
        return {"job": service.job(job_id).public()}

    @router.get(
        "/list-jobs",
        response_model=JobList,
        response_model_exclude_unset=True,
        responses=errors(401, 422),
    )
    def list_jobs(
        limit: Annotated[int | None, Query(ge=1, le=100)] = None,
        cursor: Annotated[str | None, Query(pattern="^[0-9]{1,18}$")] = None,
    ) -> dict[str, Any]:
        """Jobs, newest first: all of them, or with `limit` a page."""
        if limit is None:
            jobs = [job.public() for job in service.store.newest()]
            return {"message": f"{len(jobs)} jobs.", "jobs": jobs}
        page = service.store.newest(limit + 1, int(cursor) if cursor else None)
        following = str(page[limit - 1].seq) if len(page) > limit else None
        return {"jobs": [job.public() for job in page[:limit]], "next_cursor": following}

    # GET in the documentation and every SDK, POST in the oldest pages: two operations, but one
    # route that serves both, so that a 405 allows both.
    @router.get("/job-cancel/{job_id}", response_model=Cancelled, responses=errors(401, 404, 422))
    @router.post("/job-cancel/{job_id}", response_model=Cancelled, responses=errors(401, 404, 422))
    @router.api_route("/job-cancel/{job_id}", methods=["GET", "POST"], include_in_schema=False)
    def cancel(job_id: str) -> dict[str, Any]:
        """Cancel a job. Cancelling a job that has ended already is not an error."""
        job = service.job(job_id)
        unfinished = ("QUEUED", "STARTING", "RUNNING", "CANCELLING")
        changed = service.store.update(job_id, only_from=unfinished, status="CANCELLING")
        if changed is None:
            return {"cancelled": True, "message": f"Job {job_id} is {job.status} already."}
        service.worker.cancel(job_id)
        return {"cancelled": True, "message": f"Job {job_id} is being cancelled."}

    @router.get(
        "/stream-job-progress/{job_id}",
        response_class=StreamingResponse,
        responses={**errors(401, 404, 422), 200: {"content": {_LINES: {}}}},
    )
    def stream(job_id: str) -> StreamingResponse:
        """Progress as newline-delimited JSON, until the job ends."""
        service.job(job_id)
        return StreamingResponse(progress_lines(service, job_id), media_type=_LINES)

    @router.get("/get-quotas", response_model=QuotaList, responses=errors(401))
    def quotas() -> dict[str, Any]:
        """How large a job may be, per priority."""
        return {"quotas": service.quotas.public()}

    return router


async def _spool(request: Request, file: IO[bytes]) -> None:
    buffer = bytearray()
    async for piece in request.stream():
        buffer += piece
        if len(buffer) >= _PIECE:
            await anyio.to_thread.run_sync(file.write, buffer)
            buffer = bytearray()
    await anyio.to_thread.run_sync(file.write, buffer)


def _accept(service: Service, body: IO[bytes]) -> Job:
    """Make a job of a submission. Waits for disk and database."""
    files = service.worker.files(f"job-{uuid.uuid4()}")
    files.make()
    try:
        return service.store.add(_made(service, files, body))
    except BaseException:
        files.remove()
        raise


def _made(service: Service, files: JobFiles, body: IO[bytes]) -> Job:
    body.seek(0)
    fields, chunks = read_submission(body)
    with InputWriter(files.inputs) as writer:
        kinds = _store_rows(writer, chunks)
    submission = validated(Submission, fields)
    source = _source(fields, submission, writer.count)
    _check_rows(service.function(submission.model or ""), kinds)
    if source is not None:
        files.inputs.unlink()
        return _job(service, files.job_id, submission, source, None)
    priority = submission.job_priority or 0
    if excess := service.quotas.excess(priority, writer.count, writer.tokens):
        raise Refusal(422, excess, "quota_exceeded")
    return _job(service, files.job_id, submission, None, writer.count)


def _store_rows(
    writer: InputWriter, chunks: Iterator[list[Any]]
) -> dict[Any, tuple[list[int], Any]]:
    """Store rows, and return one of each kind that occurs, with the indices of its first rows.

    The Function may be named after the rows. Whether it takes a row depends on the row's keys
    only, so one of each kind is enough to check.
    """
    kinds: dict[Any, tuple[list[int], Any]] = {}
    for rows in chunks:
        for row in rows:
            kind = tuple(row) if isinstance(row, dict) else type(row)
            indices, _ = kinds.setdefault(kind, ([], row))
            if len(indices) < _NAMED_ROWS:
                indices.append(writer.count)
            try:
                writer.add(row)
            except TypeError as error:
                raise Refusal(422, f"Row {writer.count}: {error}.") from None
    return kinds


def _check_rows(function: LocalFunction, kinds: dict[Any, tuple[list[int], Any]]) -> None:
    """Refuse a job for the rows that its Function does not take, and name them."""
    refused = []
    for indices, row in kinds.values():
        try:
            function.fields.check(row)
        except InvalidInputError as error:
            named = f"Row {indices[0]}" if len(indices) == 1 else f"Rows {_listed(indices)}"
            refused.append(f"{named}: {error}")
    if refused:
        raise Refusal(422, " ".join(refused[:_NAMED_ROWS]), "invalid_input")


def _listed(indices: list[int]) -> str:
    return f"{', '.join(map(str, indices[:-1]))} and {indices[-1]}"


def _source(fields: dict[str, Any], submission: Submission, rows: int) -> str | None:
    """The URL of the rows, or None if they are here."""
    if "inputs" not in fields:
        if rows == 0:
            raise Refusal(422, "inputs: there are no rows.", "invalid_input")
        if submission.id_column_name is not None:
            raise Refusal(422, "id_column_name is for a table behind a URL.", "invalid_input")
        return None
    inputs = fields["inputs"]
    if not isinstance(inputs, str) or not re.match(r"https?://[^/]", inputs):
        raise Refusal(422, "inputs: a list of rows, or an http(s) URL.", "invalid_input")
    if submission.id_column_name in _RESERVED:
        raise Refusal(422, f"id_column_name: the results have a {submission.id_column_name}.")
    return inputs


def _job(
    service: Service, job_id: str, submission: Submission, source: str | None, rows: int | None
) -> Job:
    return Job(
        job_id=job_id,
        model=submission.model or "",
        job_priority=submission.job_priority or 0,
        name=submission.name,
        description=submission.description,
        system_prompt=submission.system_prompt,
        json_schema=submission.json_schema,
        sampling_params=submission.sampling_params,
        source_url=source,
        id_column=submission.id_column_name,
        dry_run=bool(submission.cost_estimate),
        num_rows=rows,
        fault=service.faults.take_job(submission.model or ""),
    )
