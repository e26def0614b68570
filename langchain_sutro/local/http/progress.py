"""The progress stream of a job."""

from __future__ import annotations

import asyncio
import time
from datetime import datetime
from typing import TYPE_CHECKING, Any

import anyio.to_thread
import orjson

from langchain_sutro.local.jobs import ENDED, Job, now

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from langchain_sutro.local.faults import ProgressFault
    from langchain_sutro.local.http.service import Service

__all__ = ["progress_lines"]

_SECONDS_BETWEEN_LOOKS = 0.05
_GARBAGE = (
    b"\n",
    b"<html>upstream hiccup</html>\n",
    b'{"update_type": "progress", "resu\n',
    b"7\n",
)


async def progress_lines(service: Service, job_id: str) -> AsyncIterator[bytes]:
    """Events as the service sends them, one JSON object per line.

    `progress` counts the rows done, `tokens` has any part of the token counts, `heartbeat` only
    shows that the stream is alive. The stream ends with the job, or with the deployment.
    """
    fault = service.faults.take_progress()
    seen = _Seen()
    sent = 0
    last_sent = time.monotonic()
    while not service.stopping.is_set():
        job = await anyio.to_thread.run_sync(service.store.get, job_id)
        if job is None:
            return
        ended = job.status in ENDED
        events = [] if ended and fault.lose_final else list(seen.news(job))
        if not events and time.monotonic() - last_sent >= service.heartbeat_seconds:
            events = [{"update_type": "heartbeat", "result": None}]
        for event in events:
            last_sent = time.monotonic()
            for line in _lines(event, fault):
                yield line
            sent += 1
            if sent == fault.close_after:
                return
        if ended and not fault.lose_final:
            return
        await asyncio.sleep(_SECONDS_BETWEEN_LOOKS)


class _Seen:
    """What a stream has sent so far."""

    def __init__(self) -> None:
        self._told: dict[str, int] = {}

    def news(self, job: Job) -> Iterator[dict[str, Any]]:
        if self._is_new("rows", job.rows_done):
            yield {"update_type": "progress", "result": job.rows_done}
        counts = {"input_tokens": job.input_tokens, "output_tokens": job.output_tokens}
        # Only what has changed: a client must not expect all of it in each event.
        new = {name: count for name, count in counts.items() if self._is_new(name, count)}
        if new:
            rate = _tokens_per_second(job)
            speed = {} if rate is None else {"total_tokens_processed_per_second": rate}
            yield {"update_type": "tokens", "result": {**new, **speed}}

    def _is_new(self, name: str, count: int | None) -> bool:
        if not count or self._told.get(name) == count:
            return False
        self._told[name] = count
        return True


def _tokens_per_second(job: Job) -> float | None:
    if job.datetime_started is None:
        return None
    until = job.datetime_completed or now()
    passed = datetime.fromisoformat(until) - datetime.fromisoformat(job.datetime_started)
    seconds = passed.total_seconds()
    tokens = (job.input_tokens or 0) + (job.output_tokens or 0)
    return round(tokens / seconds, 1) if seconds > 0 else None


def _lines(event: dict[str, Any], fault: ProgressFault) -> Iterator[bytes]:
    line = orjson.dumps(event) + b"\n"
    if fault.garbage:
        yield from _GARBAGE
    yield line
    if fault.duplicate:
        yield line
        yield orjson.dumps({"update_type": "progress", "result": 0}) + b"\n"
