"""The kinds of faults: those of requests, jobs, progress streams and storage."""

from __future__ import annotations

from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Literal, TypedDict

import orjson

from langchain_sutro._core.exports import exported_from

__all__ = [
    "HttpFault",
    "HttpFaultFields",
    "JobFault",
    "ProgressFault",
    "StorageFault",
    "strikes",
]


class HttpFaultFields(TypedDict, total=False):
    """The fields of an `HttpFault` besides its path, for type checkers."""

    method: str | None
    status: int | None
    json: Any
    html: str | None
    body: bytes | None
    headers: dict[str, str]
    handled: bool
    delay: float
    reset: Literal["before", "during", "after"] | None
    truncate: Literal["connection", "body"] | None
    truncate_at: int | None


@exported_from("langchain_sutro.local")
@dataclass(frozen=True, slots=True, kw_only=True)
class HttpFault:
    """What happens to a request, or to its answer.

    Attributes:
        path: Pattern of the path (`*` also stands for slashes), without `/v1`, so that it fits
            both generations: `"functions/*"`, `"batch-inference"`, `"storage/*"`.
        method: Only requests with this method.
        status: Answer with this status instead of handling the request.
        json: The answer's body as JSON,
        html: or as an HTML page,
        body: or as bytes. Without any of them it is empty.
        headers: Headers that are added to the answer, for example `{"retry-after": "2"}`.
        handled: Handle the request nevertheless, and only replace its answer: the job exists, but
            the client does not learn of it.
        delay: Hold the answer back for this number of seconds.
        reset: Reset the connection: `"before"` the request's body is read, `"during"` its upload,
            or `"after"` it was handled, so that only the answer is lost.
        truncate: `"connection"` announces the whole body and closes after a part of it; `"body"`
            sends a part of it as if it were all.
        truncate_at: Length of that part in bytes. Defaults to half of the first piece.
    """

    path: str = "*"
    method: str | None = None
    status: int | None = None
    json: Any = None
    html: str | None = None
    body: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)
    handled: bool = False
    delay: float = 0.0
    reset: Literal["before", "during", "after"] | None = None
    truncate: Literal["connection", "body"] | None = None
    truncate_at: int | None = None

    def __post_init__(self) -> None:
        # What cannot be JSON is an error of the test that adds the fault, not of the server.
        self.content()

    def matches(self, method: str, path: str) -> bool:
        """Whether it applies to a request with this `method` and `path`, which has no `/v1`."""
        return self.method in (None, method) and fnmatchcase(path, self.path.lstrip("/"))

    def content(self) -> bytes:
        """The body of the answer."""
        if self.json is not None:
            return orjson.dumps(self.json)
        return self.html.encode() if self.html is not None else self.body or b""

    def answer_headers(self) -> dict[str, str]:
        """The headers of the answer, their names in lower case."""
        headers = {name.lower(): value for name, value in self.headers.items()}
        if self.json is not None:
            headers.setdefault("content-type", "application/json")
        elif self.html is not None:
            headers.setdefault("content-type", "text/html; charset=utf-8")
        return headers


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFault:
    """What happens to a job; see `Faults.add_job`."""

    function: str = "*"
    fail: str | bool = False
    null_rows: float | list[int] = 0.0
    unparseable_rows: float | list[int] = 0.0
    null_confidences: float | list[int] = 0.0
    rows_per_second: float | None = None
    cancelling_seconds: float = 0.0
    results_lag: int = 0

    def matches(self, function: str) -> bool:
        """Whether it applies to a job of this Function."""
        return fnmatchcase(function, self.function)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgressFault:
    """What happens to a progress stream; see `Faults.add_progress`."""

    lose_final: bool = False
    garbage: bool = False
    duplicate: bool = False
    close_after: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageFault:
    """What happens to a storage request; see `Faults.add_storage`."""

    etag: Literal["missing", "changed"]


def strikes(rows: float | list[int], index: int) -> bool:
    """Whether a row is among those of a fault."""
    if isinstance(rows, list):
        return index in rows
    return int((index + 1) * rows) > int(index * rows)
