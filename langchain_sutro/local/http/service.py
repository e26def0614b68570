"""What the endpoints of a running deployment share."""

from __future__ import annotations

import threading
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from langchain_sutro.local.refusals import Refusal

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from langchain_sutro.local.faults import Faults
    from langchain_sutro.local.functions import LocalFunction, Registry
    from langchain_sutro.local.http.keys import Keys
    from langchain_sutro.local.http.wire import Received
    from langchain_sutro.local.jobs import Job, JobFiles, Quotas, Store, Worker

__all__ = ["Service", "ServingService"]


@dataclass(slots=True, kw_only=True)
class Service:
    """The parts of a deployment.

    Attributes:
        origin: Its URL, without a trailing slash.
        deadline: Seconds after which a real-time call is answered with 504.
        heartbeat_seconds: Silence on a progress stream before a heartbeat.
        requests: What arrived, oldest first.
        stopping: Set when streams have to end.
    """

    origin: str
    folder: Path
    store: Store
    registry: Registry
    worker: Worker
    faults: Faults
    quotas: Quotas
    keys: Keys
    deadline: float
    heartbeat_seconds: float
    requests: Sequence[Received]
    stopping: threading.Event = field(default_factory=threading.Event)
    _lags: dict[str, int] = field(default_factory=dict)

    def function(self, name: str) -> LocalFunction:
        """The published Function of this name, if it can run.

        Raises:
            Refusal: 404 or 409.
        """
        function = self.registry.get(name)
        if function is None:
            nearest = self.registry.nearest(name)
            raise Refusal(404, f'No published Function "{name}". {nearest}', "function_not_found")
        if not function.runnable:
            raise Refusal(409, f'"{name}" has no runnable prompt.', "no_runnable_prompt")
        return function

    def job(self, job_id: str) -> Job:
        """The job of this id. Waits for the database.

        Raises:
            Refusal: 404.
        """
        job = self.store.get(job_id)
        if job is None:
            raise Refusal(404, f"No job {job_id!r}.")
        return job

    def finished(self, job_id: str) -> JobFiles:
        """The files of a job that has results. Waits for the database.

        Raises:
            Refusal: 404 for an unknown job, 409 if there are no results (yet).
        """
        job = self.job(job_id)
        if job.status != "SUCCEEDED":
            raise Refusal(409, f"Job {job_id} is {job.status}, it has no results.")
        if job.dry_run:
            raise Refusal(409, f"Job {job_id} only estimated its cost, it has no results.")
        left = self._lags.setdefault(job_id, (job.fault or {}).get("results_lag", 0))
        if left > 0:
            self._lags[job_id] = left - 1
            raise Refusal(409, f"The results of job {job_id} are not readable yet.")
        return self.worker.files(job_id)

    def serve(self) -> None:
        """Be the service of the request that the current context belongs to."""
        _serving.set(self)


_serving: ContextVar[Service] = ContextVar("sutro_local_service")


class ServingService:
    """Stands for the service of the deployment at which the current request arrived.

    The routes of all deployments of a process are therefore the same objects.
    """

    def __getattr__(self, name: str) -> Any:
        return getattr(_serving.get(), name)
