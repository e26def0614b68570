"""What may go wrong, on demand: for this package's tests and for its users' own.

Each `add…` method arms one fault. It strikes the next requests or jobs that it matches, `times`
times, and is gone; faults that are armed earlier strike first.
"""

from __future__ import annotations

import threading
from collections.abc import Collection
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Generic, Literal, TypeVar

import orjson

__all__ = [
    "Faults",
    "HttpFault",
    "JobFault",
    "ProgressFault",
    "Rows",
    "StorageFault",
    "strikes",
]

Rows = float | Collection[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpFault:
    """What happens to a request; see `Faults.add`."""

    path: str = "*"
    method: str | None = None
    status: int | None = None
    content: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    handled: bool = False
    delay: float = 0.0
    reset: Literal["before", "during", "after"] | None = None
    truncate: Literal["connection", "body"] | None = None
    truncate_at: int | None = None

    def matches(self, method: str, path: str) -> bool:
        """Whether it is meant for a request of this method and path, without its `/v1`."""
        return self.method in (None, method) and fnmatchcase(path, self.path.lstrip("/"))


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
        """Whether it is meant for a job of this Function."""
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


_Fault = TypeVar("_Fault", HttpFault, JobFault, ProgressFault, StorageFault)


class _Armed(Generic[_Fault]):
    """Faults of one kind that still wait."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # Each with how often it may still strike, and how many it lets pass before.
        self._waiting: list[tuple[_Fault, int | None, int]] = []

    def arm(self, fault: _Fault, times: int | None, skip: int = 0) -> None:
        with self._lock:
            self._waiting.append((fault, times, skip))

    def take(self, *what: str) -> _Fault | None:
        if not self._waiting:
            return None
        with self._lock:
            for position, (fault, times, skip) in enumerate(self._waiting):
                if isinstance(fault, HttpFault | JobFault) and not fault.matches(*what):
                    continue
                if skip:
                    self._waiting[position] = (fault, times, skip - 1)
                    continue
                if times == 1:
                    del self._waiting[position]
                elif times is not None:
                    self._waiting[position] = (fault, times - 1, 0)
                return fault
        return None

    def clear(self) -> None:
        with self._lock:
            self._waiting.clear()


class Faults:
    """The faults of one deployment. Safe from any thread."""

    def __init__(self) -> None:
        self._http = _Armed[HttpFault]()
        self._jobs = _Armed[JobFault]()
        self._progress = _Armed[ProgressFault]()
        self._storage = _Armed[StorageFault]()

    def add(
        self,
        path: str = "*",
        *,
        method: str | None = None,
        times: int | None = 1,
        skip: int = 0,
        status: int | None = None,
        json: Any = None,
        html: str | None = None,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
        handled: bool = False,
        delay: float = 0.0,
        reset: Literal["before", "during", "after"] | None = None,
        truncate: Literal["connection", "body"] | None = None,
        truncate_at: int | None = None,
    ) -> None:
        """Let requests fail, or their answers.

        Args:
            path: Pattern of the path (`*` also stands for slashes), without `/v1`, so that it
                fits both generations: `"functions/*"`, `"batch-inference"`, `"storage/*"`.
            method: Only this method.
            times: How often; None for always.
            skip: Let so many matching requests pass first.
            status: Answer with this status instead of handling the request.
            json: Its body as JSON,
            html: or as an HTML page,
            body: or as bytes; without any of them it is empty.
            headers: Added to it, for example `{"retry-after": "2"}`.
            handled: Handle the request nevertheless, and only replace its answer: the job exists,
                but the client does not learn of it.
            delay: Hold the answer back for so many seconds.
            reset: Reset the connection: `"before"` the request's body is read, `"during"` its
                upload, or `"after"` it was handled, so that only the answer is lost.
            truncate: `"connection"` announces the whole body and closes after a part of it;
                `"body"` sends a part of it as if it were all.
            truncate_at: Length of that part in bytes; by default, half of the first piece.
        """
        headers = {name.lower(): value for name, value in (headers or {}).items()}
        content = body or b""
        if json is not None:
            content = orjson.dumps(json)
            headers.setdefault("content-type", "application/json")
        elif html is not None:
            content = html.encode()
            headers.setdefault("content-type", "text/html; charset=utf-8")
        fault = HttpFault(
            path=path,
            method=method,
            status=status,
            content=content,
            headers=headers,
            handled=handled,
            delay=delay,
            reset=reset,
            truncate=truncate,
            truncate_at=truncate_at,
        )
        self._http.arm(fault, times, skip)

    def add_job(
        self,
        function: str = "*",
        *,
        times: int | None = 1,
        fail: str | bool = False,
        null_rows: Rows = 0.0,
        unparseable_rows: Rows = 0.0,
        null_confidences: Rows = 0.0,
        rows_per_second: float | None = None,
        cancelling_seconds: float = 0.0,
        results_lag: int = 0,
    ) -> None:
        """Let jobs that are submitted from now on fail, or some of their rows.

        Args:
            function: Pattern of the Function's name.
            times: How many jobs; None for all.
            fail: End as FAILED with this reason, or without any if True, after the rows ran.
            null_rows: Rows whose output is null: a share, spread evenly, or their indexes.
            unparseable_rows: Rows whose output is no JSON.
            null_confidences: Rows whose confidence is null.
            rows_per_second: Work no faster than this.
            cancelling_seconds: Stay in CANCELLING for so long.
            results_lag: Answer so many requests for results with 409 although the job has
                SUCCEEDED.
        """
        fault = JobFault(
            function=function,
            fail=fail,
            null_rows=_rows(null_rows),
            unparseable_rows=_rows(unparseable_rows),
            null_confidences=_rows(null_confidences),
            rows_per_second=rows_per_second,
            cancelling_seconds=cancelling_seconds,
            results_lag=results_lag,
        )
        self._jobs.arm(fault, times)

    def add_progress(
        self,
        *,
        times: int | None = 1,
        lose_final: bool = False,
        garbage: bool = False,
        duplicate: bool = False,
        close_after: int | None = None,
    ) -> None:
        """Let progress streams mislead.

        Args:
            times: How many streams; None for all.
            lose_final: Never tell the end of the job: only heartbeats follow.
            garbage: Send lines that are not JSON, or not events, in between.
            duplicate: Send each event twice, and an old one after it.
            close_after: Close after so many events, whatever the job does.
        """
        fault = ProgressFault(
            lose_final=lose_final, garbage=garbage, duplicate=duplicate, close_after=close_after
        )
        self._progress.arm(fault, times)

    def add_storage(self, *, etag: Literal["missing", "changed"], times: int | None = 1) -> None:
        """Let storage requests answer without an ETag, or with one that differs each time.

        Args:
            etag: Which of the two.
            times: For how many requests; None for all.

        A broken or refused transfer is `add("storage/*", truncate="connection")` or `status=403`.
        """
        self._storage.arm(StorageFault(etag=etag), times)

    def clear(self) -> None:
        """Disarm everything. Jobs that are submitted already keep their fault."""
        self._http.clear()
        self._jobs.clear()
        self._progress.clear()
        self._storage.clear()

    def take_http(self, method: str, path: str) -> HttpFault | None:
        """The fault for a request of this `method` and `path`, if one waits for it."""
        return self._http.take(method, path.removeprefix("/v1").lstrip("/"))

    def take_job(self, function: str) -> dict[str, Any] | None:
        """The fault for a job as JSON, if one waits for it."""
        fault = self._jobs.take(function)
        return None if fault is None else asdict(fault)

    def take_progress(self) -> ProgressFault:
        """The fault for a progress stream, or one that does nothing."""
        return self._progress.take() or ProgressFault()

    def take_storage(self) -> StorageFault | None:
        """The fault for a storage request, if one waits for it."""
        return self._storage.take()


def strikes(rows: float | list[int], index: int) -> bool:
    """Whether a row is among those of a fault."""
    if isinstance(rows, list):
        return index in rows
    return int((index + 1) * rows) > int(index * rows)


def _rows(rows: Rows) -> float | list[int]:
    return float(rows) if isinstance(rows, int | float) else sorted(rows)
