"""Jobs in SQLite, so that they outlive the process that took them."""

from __future__ import annotations

import sqlite3
import threading
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import orjson

from langchain_sutro.local.refusals import Refusal

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

__all__ = ["ENDED", "Job", "Store", "now"]

ENDED = ("SUCCEEDED", "CANCELLED", "FAILED")

_TABLES = """
CREATE TABLE IF NOT EXISTS jobs (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    job_id TEXT NOT NULL UNIQUE,
    status TEXT NOT NULL,
    facts BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS jobs_by_status ON jobs (status);
"""


def now() -> str:
    """The time as the service writes it: ISO 8601, UTC."""
    return datetime.now(UTC).isoformat()


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A Batch job.

    Attributes:
        source_url: Where a table is to be downloaded from, or None if rows came with the request.
        id_column: Column of that table which every form of the results carries.
        dry_run: Whether only its cost is estimated.
        rows_done: Rows finished so far.
        fault: What was asked to go wrong with it, as JSON; see `faults.JobFault`.
        seq: Its place in the order of submission; 0 before it is stored.

    The other attributes are those of the service's job object.
    """

    job_id: str
    model: str
    status: str = "QUEUED"
    job_priority: int = 0
    name: str | None = None
    description: str | None = None
    system_prompt: str | None = None
    json_schema: dict[str, Any] | None = None
    sampling_params: dict[str, Any] | None = None
    source_url: str | None = None
    id_column: str | None = None
    dry_run: bool = False
    num_rows: int | None = None
    rows_done: int = 0
    input_tokens: int | None = None
    output_tokens: int | None = None
    job_cost: float | None = None
    cost_estimate: float | None = None
    failure_reason: dict[str, Any] | None = None
    datetime_created: str = field(default_factory=now)
    datetime_started: str | None = None
    datetime_completed: str | None = None
    fault: dict[str, Any] | None = None
    seq: int = 0

    def public(self) -> dict[str, Any]:
        """The job as the service shows it."""
        facts = asdict(self)
        for private in ("source_url", "id_column", "rows_done", "fault", "seq"):
            del facts[private]
        facts["run_type"] = "ESTIMATE" if facts.pop("dry_run") else "FULL"
        facts["dataset_id"] = None
        return facts


class Store:
    """All jobs of a deployment. Safe from any thread, but not for an event loop: it waits.

    Args:
        path: The database file; it is made if missing.
    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.RLock()
        self._database = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._database.execute("PRAGMA journal_mode=WAL")
        # With WAL, NORMAL loses nothing when the process dies, only when the machine does.
        self._database.execute("PRAGMA synchronous=NORMAL")
        self._database.executescript(_TABLES)

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            self._database.close()

    def add(self, job: Job) -> Job:
        """Store a new job, and return its position in the order."""
        with self._lock:
            cursor = self._database.execute(
                "INSERT INTO jobs (job_id, status, facts) VALUES (?, ?, ?)",
                (job.job_id, job.status, _encode(job)),
            )
            return replace(job, seq=cursor.lastrowid or 0)

    def get(self, job_id: str) -> Job | None:
        """The job, or None if there is none of this id."""
        with self._lock:
            row = self._database.execute(
                "SELECT seq, facts FROM jobs WHERE job_id = ?", (job_id,)
            ).fetchone()
        return None if row is None else _decode(row)

    def newest(self, limit: int = -1, before: int | None = None) -> list[Job]:
        """Jobs, newest first.

        Args:
            limit: At most so many; -1 for all.
            before: Only jobs that come before this `seq`.
        """
        with self._lock:
            rows = self._database.execute(
                "SELECT seq, facts FROM jobs WHERE ? IS NULL OR seq < ? ORDER BY seq DESC LIMIT ?",
                (before, before, limit),
            ).fetchall()
        return [_decode(row) for row in rows]

    def unfinished(self) -> list[Job]:
        """Jobs that have not ended, oldest first."""
        with self._lock:
            rows = self._database.execute(
                "SELECT seq, facts FROM jobs WHERE status NOT IN (?, ?, ?) ORDER BY seq", ENDED
            ).fetchall()
        return [_decode(row) for row in rows]

    def update(
        self, job_id: str, *, only_from: Collection[str] | None = None, **changes: Any
    ) -> Job | None:
        """Change a job.

        Args:
            job_id: The job.
            only_from: Statuses in which it may be changed; any status if None.
            **changes: New values of its attributes.

        Returns:
            The job as changed; None if it is unknown or in another status.
        """
        with self._lock:
            job = self.get(job_id)
            if job is None or (only_from is not None and job.status not in only_from):
                return None
            job = replace(job, **changes)
            self._database.execute(
                "UPDATE jobs SET status = ?, facts = ? WHERE job_id = ?",
                (job.status, _encode(job), job_id),
            )
            return job


def _encode(job: Job) -> bytes:
    try:
        return orjson.dumps(job)
    except TypeError as error:
        # A client's JSON may be nested deeper than can be written again.
        raise Refusal(422, f"The submission cannot be stored: {error}.") from None


def _decode(row: tuple[int, bytes]) -> Job:
    return Job(**{**orjson.loads(row[1]), "seq": row[0]})
