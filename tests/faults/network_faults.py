"""The network faults of a scenario, drawn from its seed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_sutro._core.service import submission
from langchain_sutro._core.service.exchange import Policy

if TYPE_CHECKING:
    from random import Random

    # Processes that are started by the dozen take a second longer with it.
    from langchain_sutro.local.faults import Faults

PASSING = (408, 425, 429, 500, 502, 503, 504, 524)
READ_SECONDS = 0.15
"""How long a scenario waits for an answer; some are held back for longer."""

# What a scenario requests, most often first.
_PATHS = {
    "batch-inference": 4,
    "job-status/*": 3,
    "job-results": 2,
    "jobs/*/results-url": 2,
    "storage/*": 3,
    "list-jobs": 2,
    "functions/*": 3,
    "stream-job-progress/*": 1,
    "jobs/job-*": 1,
    "get-quotas": 1,
    "*": 1,
}
_SAYS = ("0", "0.01", "Wed, 21 Oct 2015 07:28:00 GMT", "soon", "3600")


class Quick(Policy):
    """A policy with a fiftieth of the pauses."""

    def backoff(self, attempt: int, *, first: float = 0.5, most: float = 8.0) -> float:
        return super().backoff(attempt, first=first, most=most) / 50


def impatient(rng: Random) -> Policy:
    """Short deadlines, so that a scenario is short."""
    return Quick(
        max_retries=rng.choice((0, 1, 3)),
        timeout=READ_SECONDS,
        lookup_seconds=rng.choice((0.03, 0.1)),
        outage_seconds=0.3,
        lag_seconds=0.2,
    )


def patient() -> Policy:
    """Long deadlines, for a machine that is busy with other things."""
    return Quick(timeout=30.0, lookup_seconds=0.05)


def submissions_wait(seconds: float) -> None:
    """How long a submission waits for its answer, which no policy sets."""
    submission._SUBMIT_SECONDS = submission._WRITE_SECONDS = seconds
    submission._SHORTEST_SUBMIT = min(seconds, 10.0)


def arm(faults: Faults, rng: Random) -> list[str]:
    """Let a few things go wrong; tells which."""
    told = []
    if rng.random() < 0.1:
        # The answer to a submission is lost, and its job cannot be looked for.
        faults.add("batch-inference", reset="after", skip=rng.choice((0, 0, 1)))
        faults.add("list-jobs", status=503, times=50)
        told.append("a submission is lost")
    for _ in range(rng.choice((1, 2, 2, 3, 5))):
        [path] = rng.choices(list(_PATHS), list(_PATHS.values()))
        fault = {
            "times": rng.choice((1, 1, 1, 2, 4)),
            "skip": rng.choice((0, 0, 0, 1, 2)),
            **_http_fault(rng),
        }
        faults.add(path, **fault)
        told.append(f"{path} {fault}")
    if rng.random() < 0.2:
        progress: dict[str, Any] = {
            rng.choice(("lose_final", "garbage", "duplicate")): True,
            "close_after": rng.choice((None, 1, 3)),
        }
        faults.add_progress(times=3, **progress)
        told.append(f"progress {progress}")
    if rng.random() < 0.2:
        etag = rng.choice(("missing", "changed"))
        faults.add_storage(etag=etag, times=3)
        told.append(f"etag {etag}")
    return told


def _http_fault(rng: Random) -> dict[str, Any]:
    [kind] = rng.choices(("status", "reset", "truncate", "delay"), (50, 25, 20, 5))
    if kind == "status":
        return _status(rng)
    if kind == "reset":
        return {"reset": rng.choice(("before", "during", "after"))}
    if kind == "truncate":
        at = rng.choice((None, None, 0, 1, 40, 400))
        return {"truncate": rng.choice(("connection", "body")), "truncate_at": at}
    return {"delay": rng.choice((0.01, 2 * READ_SECONDS)), "times": 1}


def _status(rng: Random) -> dict[str, Any]:
    status = rng.choice(PASSING)
    body = rng.choice(
        (
            {},
            {"json": {"detail": "not now", "code": "busy", "retry_after": 0.01}},
            {"json": [{"detail": "not now"}]},
            {"html": "<h1>upstream hiccup</h1>"},
            {"body": b'{"detail": "not n'},
        )
    )
    headers = {"retry-after": rng.choice(_SAYS)} if rng.random() < 0.4 else {}
    # 429 says that the request was refused; after the others it may have been carried out.
    handled = status != 429 and rng.random() < 0.5
    return {"status": status, "headers": headers, "handled": handled, **body}


def arm_job(faults: Faults, function: str, rng: Random, rows: int) -> dict[str, Any]:
    """Perhaps let the job itself go wrong; gives how."""
    [kind] = rng.choices(("", "fail", "rows", "lag", "slow"), (70, 6, 10, 7, 7))
    fault: dict[str, Any] = {}
    if kind == "fail":
        fault = {"fail": rng.choice(("out of memory", True))}
    elif kind == "rows":
        spoilt = rng.sample(range(rows), rng.randint(1, rows))
        fault = {rng.choice(("null_rows", "unparseable_rows")): spoilt}
    elif kind == "lag":
        fault = {"results_lag": rng.choice((1, 3))}
    elif kind == "slow":
        fault = {"rows_per_second": 10.0 * rows}
    if fault:
        faults.add_job(function, **fault)
    return fault
