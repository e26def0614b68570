"""What may go wrong, on demand: for this package's tests and for its users' own.

Each `add…` method arms one fault. It applies to the next requests or jobs that it matches, `times`
times, and is then gone; faults that were armed earlier apply first.
"""

from __future__ import annotations

import threading
from collections.abc import Collection
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

from langchain_sutro._core.exports import exported_from
from langchain_sutro.local.faults.kinds import HttpFault, JobFault, ProgressFault, StorageFault

if TYPE_CHECKING:
    from typing import Unpack

    from langchain_sutro.local.faults.kinds import HttpFaultFields

__all__ = ["Faults"]

Rows = float | Collection[int]

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


@exported_from("langchain_sutro.local")
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
        times: int | None = 1,
        skip: int = 0,
        **fault: Unpack[HttpFaultFields],
    ) -> None:
        """Let requests fail, or their answers.

        Args:
            path: Pattern of the path, see `HttpFault`.
            times: How many requests; None for all.
            skip: Let this many matching requests pass first.
            **fault: The other fields of an `HttpFault`, by their names: for example `status=429`,
                `json={"detail": "busy"}` and `headers={"retry-after": "2"}`.
        """
        self.add_http(HttpFault(path=path, **fault), times=times, skip=skip)

    def add_http(self, fault: HttpFault, *, times: int | None = 1, skip: int = 0) -> None:
        """Let requests fail, or their answers; the same as `add` with a fault made beforehand.

        Args:
            fault: What happens, and to which requests.
            times: How many requests; None for all.
            skip: Let this many matching requests pass first.
        """
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
            unparseable_rows: Rows whose output is not JSON.
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
            lose_final: Never report the end of the job: only heartbeats follow.
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


def _rows(rows: Rows) -> float | list[int]:
    return float(rows) if isinstance(rows, int | float) else sorted(rows)
