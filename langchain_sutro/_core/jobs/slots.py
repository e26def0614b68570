"""How many jobs of a group run at once, and when its submission is to stop."""

from __future__ import annotations

import asyncio
import threading
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, TypeVar

from langchain_sutro._core import service as _service
from langchain_sutro._core.jobs.connection import Connection, execute
from langchain_sutro._core.service import JobStatus, in_thread
from langchain_sutro.errors import SutroJobError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = ["Slots", "stoppable"]

_T = TypeVar("_T")
_stop: ContextVar[threading.Event | None] = ContextVar("_stop", default=None)


async def stoppable(work: Callable[[], _T]) -> _T:
    """Do work in a thread, whose `Slots` submit nothing more once the task is cancelled."""
    stop = threading.Event()
    token = _stop.set(stop)
    try:
        return await in_thread(work)
    except asyncio.CancelledError:
        stop.set()
        raise
    finally:
        _stop.reset(token)


class Slots:
    """Lets a job be submitted when fewer than the maximum run. Blocks, so not for an event loop.

    Args:
        client: How to reach the deployment.
        most: How many jobs of the group may run at once; None for any number.
        poll_interval: Seconds between two looks at the jobs.
        jobs: Those of the group that were made before, which may run.
    """

    def __init__(
        self, client: Connection, most: int | None, poll_interval: float, jobs: Iterable[str]
    ) -> None:
        self._client = client
        self._most = most
        self._poll_interval = poll_interval
        self._running = dict.fromkeys(jobs, False)
        self._stop = _stop.get() or threading.Event()

    def wait(self) -> None:
        """Return when another job may be submitted.

        Raises:
            SutroJobFailedError: A job that was submitted here failed; the next ones might too.
            SutroJobCancelledError: The same for one that was cancelled.
        """
        self._go_on()
        if self._most is None:
            return
        while len(self._running) >= self._most:
            for job_id, ours in list(self._running.items()):
                self._look(job_id, ours=ours)
            if len(self._running) >= self._most:
                self._stop.wait(self._poll_interval)
                self._go_on()

    def taken(self, job_id: str) -> None:
        """A job was submitted."""
        self._running[job_id] = True

    def _go_on(self) -> None:
        if self._stop.is_set():
            raise asyncio.CancelledError

    def _look(self, job_id: str, *, ours: bool) -> None:
        status = execute(self._client, _service.job_status, job_id)
        if not status.ended:
            return
        if ours and status is not JobStatus.SUCCEEDED:
            with _said():
                execute(self._client, _service.wait_for_job, job_id)
        del self._running[job_id]


@contextmanager
def _said() -> Iterator[None]:
    try:
        yield
    except SutroJobError as error:
        error.add_note("No further parts were submitted.")
        raise
