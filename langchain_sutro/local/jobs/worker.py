"""Runs jobs in threads, chunk by chunk, and resumes those that were interrupted."""

from __future__ import annotations

import logging
import queue
import threading
import time
from typing import TYPE_CHECKING

from langsmith import tracing_context

from langchain_sutro.local.jobs.artifacts import JobFiles
from langchain_sutro.local.jobs.job_run import CancelledRun, JobRun, JobRunError, StoppedRun
from langchain_sutro.local.jobs.sources import SourceError
from langchain_sutro.local.jobs.store import ENDED

if TYPE_CHECKING:
    from pathlib import Path

    from langchain_sutro.local.functions import LocalFunction, Registry
    from langchain_sutro.local.jobs.quotas import Quotas
    from langchain_sutro.local.jobs.store import Job, Store

__all__ = ["Worker"]

logger = logging.getLogger(__name__)

_THREADS = 8
# A Function may be published shortly after the deployment was started again.
_SECONDS_TO_PUBLISH = 5.0
_STOP_SECONDS = 5.0


class Worker:
    """The threads that run jobs.

    Args:
        store: Where jobs are.
        registry: What they run.
        quotas: For tables whose size is known only now.
        folder: Where jobs have their folders.
    """

    def __init__(self, store: Store, registry: Registry, quotas: Quotas, folder: Path) -> None:
        self._store = store
        self._registry = registry
        self._quotas = quotas
        self._folder = folder
        # Production goes first; then the oldest.
        self._queue: queue.PriorityQueue[tuple[int, int, str]] = queue.PriorityQueue()
        self._stopping = threading.Event()
        self._cancelled: dict[str, threading.Event] = {}
        self._threads: list[threading.Thread] = []

    def files(self, job_id: str) -> JobFiles:
        """The files of a job."""
        return JobFiles(self._folder / job_id, job_id)

    def start(self) -> None:
        """Start, beginning with the jobs that did not end."""
        for folder in self._folder.iterdir():
            # A submission that was cut off before it became a job.
            if self._store.get(folder.name) is None:
                self.files(folder.name).remove()
        for job in self._store.unfinished():
            self.submit(job)
        for number in range(_THREADS):
            thread = threading.Thread(target=self._work, name=f"sutro-job-{number}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def submit(self, job: Job) -> None:
        """Run a stored job when a thread is free."""
        self._cancelled[job.job_id] = threading.Event()
        self._queue.put((-job.job_priority, job.seq, job.job_id))

    def cancel(self, job_id: str) -> None:
        """Stop working on a job that is CANCELLING."""
        if (event := self._cancelled.get(job_id)) is not None:
            event.set()

    def stop(self) -> None:
        """Stop between two rows, and leave the jobs as they are."""
        self._stopping.set()
        for event in list(self._cancelled.values()):
            event.set()
        for _ in self._threads:
            self._queue.put((-2, 0, ""))
        deadline = time.monotonic() + _STOP_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
            if thread.is_alive():
                logger.warning("%s is still busy with a Function's row.", thread.name)
        self._threads.clear()

    def _work(self) -> None:
        # What runs here is the service's side: its Runnables are not the caller's traces.
        with tracing_context(enabled=False):
            while not self._stopping.is_set():
                _, _, job_id = self._queue.get()
                if job_id and not self._stopping.is_set():
                    self._run(job_id)

    def _run(self, job_id: str) -> None:
        wakes = self._cancelled[job_id]
        job = self._store.get(job_id)
        if job is None or job.status in ENDED:
            return
        run = JobRun(job, self._store, self.files(job_id), wakes, self._stopping)
        try:
            run.check()
            run.go(self._function(job), self._quotas)
        except StoppedRun:
            return
        except CancelledRun:
            run.cancelled()
        except (JobRunError, SourceError) as error:
            run.failed({"message": str(error)})
        except Exception as error:
            if self._stopping.is_set():
                return
            logger.exception("Job %s broke.", job_id)
            run.failed({"message": f"Internal error: {type(error).__name__}."})
        del self._cancelled[job_id]

    def _function(self, job: Job) -> LocalFunction:
        function = self._registry.wait_for(job.model, _SECONDS_TO_PUBLISH)
        if function is None or not function.runnable:
            raise JobRunError(f'There is no runnable Function "{job.model}".')
        return function
