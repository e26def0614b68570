"""Results of jobs: as JSON, as a file, and as presigned URLs; and the storage behind those."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Annotated, Any

import anyio.to_thread
import orjson
from fastapi import APIRouter, Query, Request
from fastapi.responses import FileResponse, StreamingResponse

from langchain_sutro.local.http.bodies import JobResults, ResultsRequest, ResultsUrl
from langchain_sutro.local.http.requests import (
    documented,
    errors,
    read_json,
    read_limited,
    validated,
)
from langchain_sutro.local.jobs import JobFiles, Variant
from langchain_sutro.local.refusals import Refusal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from starlette.types import Receive, Scope, Send

    from langchain_sutro.local.http.service import Service

__all__ = ["result_routes", "storage_routes"]

_BUCKET = "local-results"
_LARGEST_BODY = 64 * 1024
# Documented, but refused by hand: with 400, as the service does, not as a wrong type.
_FILE_FORMATS = {"enum": ["json", "csv", "parquet"]}
_URL_FORMATS = {"enum": ["parquet"]}
_PARQUET = "application/vnd.apache.parquet"
_RANGE = [
    {"name": "Range", "in": "header", "schema": {"type": "string", "examples": ["bytes=10-"]}},
    {"name": "If-Range", "in": "header", "schema": {"type": "string"}},
]
# A malformed or unsatisfiable range is refused by the base class of the answer, in plain text.
_PARTS: dict[int | str, dict[str, Any]] = {
    200: {"content": {_PARQUET: {}}},
    206: {
        "description": "A part",
        "content": {_PARQUET: {}, "multipart/byteranges": {}},
    },
    400: {**errors(400)[400], "content": {"text/plain": {"schema": {"type": "string"}}}},
    416: {
        "description": "The range is outside of the object",
        "content": {"text/plain": {"schema": {"type": "string"}}},
    },
}


def result_routes(service: Service) -> APIRouter:
    """The endpoints of results."""
    router = APIRouter()

    @router.post(
        "/job-results",
        response_model=JobResults,
        responses=errors(401, 404, 409, 413, 422),
        openapi_extra=documented(ResultsRequest),
    )
    async def results(request: Request) -> StreamingResponse:
        """Results by column. `outputs` is text, or JSON text; null for a row that failed."""
        body = validated(ResultsRequest, read_json(await read_limited(request, _LARGEST_BODY)))
        files = await anyio.to_thread.run_sync(service.finished, body.job_id)
        variant = Variant(bool(body.include_inputs), bool(body.include_cumulative_logprobs))
        start, end = b'{"results":', b',"message":"Results of the job."}'
        return _json(_columns(files, variant, start, end))

    @router.get(
        "/jobs/{job_id}/results",
        responses={
            **errors(400, 401, 404, 409, 422),
            200: {
                "description": "A JSON object of columns, a ZIP archive with one CSV, or Parquet",
                "content": {
                    "application/json": {"schema": {"type": "object"}},
                    "application/zip": {},
                    _PARQUET: {},
                },
            },
        },
        response_model=None,
    )
    def file(
        job_id: str,
        format: Annotated[  # noqa: A002 - the parameter's name in the API
            str | None, Query(json_schema_extra=_FILE_FORMATS)
        ] = None,
        result_format: Annotated[
            str | None, Query(description="The hosted name", json_schema_extra=_FILE_FORMATS)
        ] = None,
        include_inputs: bool = False,
        include_cumulative_logprobs: bool = False,
    ) -> FileResponse | StreamingResponse:
        """Results as a file. One of `format` and `result_format` is required."""
        wanted = format or result_format
        if wanted not in ("json", "csv", "parquet"):
            raise Refusal(400, "format: json, csv or parquet.")
        files = service.finished(job_id)
        variant = Variant(include_inputs, include_cumulative_logprobs)
        if wanted == "json":
            return _json(_columns(files, variant))
        if wanted == "csv":
            path, media_type = files.csv(variant), "application/zip"
        else:
            path, media_type = files.parquet(variant), _PARQUET
        return FileResponse(path, media_type=media_type, filename=path.name)

    @router.get(
        "/jobs/{job_id}/results-url",
        response_model=ResultsUrl,
        responses=errors(400, 401, 404, 409, 422),
    )
    def url(
        job_id: str,
        format: Annotated[  # noqa: A002 - the parameter's name in the API
            str, Query(json_schema_extra=_URL_FORMATS)
        ] = "parquet",
        include_inputs: bool = False,
        include_cumulative_logprobs: bool = False,
        expires_in_seconds: Annotated[int, Query(ge=1, le=604_800)] = 3600,
    ) -> dict[str, Any]:
        """URLs that need no key, each for one method, until they expire."""
        if format != "parquet":
            raise Refusal(400, "format: only parquet.")
        variant = Variant(include_inputs, include_cumulative_logprobs)
        path = service.finished(job_id).parquet(variant)
        key = f"{job_id}/{path.name}"
        return {
            "job_id": job_id,
            "format": format,
            "include_inputs": include_inputs,
            "include_cumulative_logprobs": include_cumulative_logprobs,
            "expires_in_seconds": expires_in_seconds,
            "artifact": {
                "bucket": _BUCKET,
                "key": key,
                "filename": path.name,
                "size_bytes": path.stat().st_size,
            },
            "urls": {
                method.lower(): service.keys.presign(
                    service.origin, f"/storage/{key}", method, expires_in_seconds
                )
                for method in ("GET", "HEAD")
            },
        }

    return router


def storage_routes(service: Service) -> APIRouter:
    """Object storage, as presigned URLs reach it."""
    router = APIRouter()
    path = "/storage/{job_id}/{filename}"
    documented: dict[str, Any] = {
        "response_class": FileResponse,
        "response_model": None,
        "responses": {**errors(400, 403, 404, 422), **_PARTS},
        "openapi_extra": {"parameters": _RANGE},
    }

    # Two operations, but one route that serves both, so that a 405 allows both.
    @router.head(path, **documented)
    @router.get(path, **documented)
    @router.api_route(path, methods=["GET", "HEAD"], include_in_schema=False, response_model=None)
    def stored(
        request: Request, job_id: str, filename: str, expires: int = 0, signature: str = ""
    ) -> FileResponse:
        """An object, whole or in ranges. The signature is the only credential."""
        if "authorization" in request.headers:
            raise Refusal(400, "A key was sent to the storage, which must never see it.")
        if not service.keys.verify(request.scope["path"], request.method, expires, signature):
            raise Refusal(403, "The signature is wrong, for another method, or has expired.")
        file = service.worker.files(job_id).folder / filename
        if not file.is_file():
            raise Refusal(404, "No such object.")
        return _Object(service, file)

    return router


class _Object(FileResponse):
    """A file with an ETag, unless a fault takes it away."""

    def __init__(self, service: Service, path: Path) -> None:
        super().__init__(path, media_type=_PARQUET, stat_result=path.stat())
        fault = service.faults.take_storage()
        if fault is not None and fault.etag == "missing":
            del self.headers["etag"]
        elif fault is not None:
            self.headers["etag"] = f'"{secrets.token_hex(8)}"'

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        condition = headers.pop(b"if-range", None)
        # Decided here and not by the base, which may compare with the tag that the file would have.
        if condition is not None and condition.decode("latin-1") != self.headers.get("etag"):
            headers.pop(b"range", None)
        await super().__call__({**scope, "headers": list(headers.items())}, receive, send)


def _json(pieces: Iterator[bytes]) -> StreamingResponse:
    return StreamingResponse(pieces, media_type="application/json")


def _columns(
    files: JobFiles, variant: Variant, start: bytes = b"", end: bytes = b""
) -> Iterator[bytes]:
    """All columns as one JSON object, chunk by chunk."""
    schema = files.schema(variant)
    separator = start + b"{"
    for name in schema.names:
        yield separator + orjson.dumps(name) + b":["
        comma = b""
        for values in files.column(name, schema):
            if values:
                yield comma + orjson.dumps(values, default=str)[1:-1]
                comma = b","
        yield b"]"
        separator = b","
    yield b"}" + end
