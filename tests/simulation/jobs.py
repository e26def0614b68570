"""What is in a simulated service: jobs, their rows, and what must hold for them."""

from dataclasses import dataclass
from functools import lru_cache

import orjson

_MOST_ROWS = 1500
_OUTPUTS = [f"answer {row}" for row in range(_MOST_ROWS)]
_CONFIDENCES = [row / _MOST_ROWS for row in range(_MOST_ROWS)]

# Jobs of other people, and odd ones, as a list has them.
STRANGERS = [{"job_id": None, "description": None, "status": "odd"}] + [
    {"job_id": f"job-other-{number}", "status": "SUCCEEDED", "description": description}
    for number in range(25)
    for description in (
        None, "weekly", f"[langchain-sutro token={number:032x}]", "[langchain-sutro token=short]",
        7, "", "[langchain-sutro", f"[langchain-sutro token={number:032x} same=0a]", {}, "x" * 500,
    )
]  # fmt: skip


@lru_cache(maxsize=64)
def _inputs(count: int) -> bytes:
    return orjson.dumps(list(range(count)))


def outputs(count: int) -> list[str]:
    """What a job of so many rows answers, in order."""
    return _OUTPUTS[:count]


def confidences(count: int) -> list[float]:
    """How sure it is of each."""
    return _CONFIDENCES[:count]


@lru_cache(maxsize=256)
def file(version: int, count: int) -> bytes:
    """The same as the bytes of a file; storage may build the object anew, with other bytes."""
    return b"".join(b"%d:row %05d;" % (version, row) for row in range(count))


class Table:
    """Encoded rows, as `submit_job` wants them."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.size = len(_inputs(count))
        self.sha256 = f"sha of {count} rows"

    def pieces(self, prefix: bytes = b"", suffix: bytes = b""):
        yield prefix
        yield _inputs(self.count)
        yield suffix


@dataclass(slots=True)
class Job:
    """A job as it will have been: its whole life is drawn when it is made."""

    job_id: str
    description: str
    rows: int
    created: float
    listed: float = 0.0
    started: float = 0.0
    ended: float = 0.0
    ending: str = "SUCCEEDED"
    ready: float = 0.0

    @classmethod
    def drawn(cls, rng, job_id: str, description: str, rows: int, created: float) -> "Job":
        """A job of some fate; `listed` and `ready` are for the service to delay."""
        job = cls(job_id, description, rows, created)
        job.started = created + rng.random() * rng.choice((0, 3, 20))
        job.ended = job.started + rng.random() * rng.choice((0, 5, 40, 300))
        drawn = rng.random()
        if drawn < 0.12:
            job.ending = "FAILED" if drawn < 0.06 else "CANCELLED"
        elif drawn < 0.15:
            job.ended = 1e9
        job.listed, job.ready = created, job.ended
        return job

    def status(self, time: float) -> str:
        if time < self.started:
            return "QUEUED"
        if time < self.ended:
            return "RUNNING"
        if self.ending == "CANCELLED" and time < self.ended + 5.0:
            return "CANCELLING"
        return self.ending

    def rows_done(self, time: float) -> int:
        if time >= self.ended:
            return self.rows
        past = max(0.0, time - self.started)
        return int(self.rows * past / max(self.ended - self.started, 1e-9))
