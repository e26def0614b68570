"""`KnownJobs`: which jobs a model may look at, fetch and cancel."""

from __future__ import annotations

import hashlib
import re
from functools import partial
from typing import TYPE_CHECKING, Any

from langchain_sutro._core.jobs import SutroJob
from langchain_sutro._core.service import Step, Steps
from langchain_sutro.errors import SutroConfigurationError, SutroInputError, SutroNotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable

    from langchain_core.runnables import RunnableConfig

    from langchain_sutro.functions import SutroFunction

__all__ = ["KnownJobs"]

_OWNER = re.compile(r"\bagent-jobs=([0-9a-f]{32})\b")
_LISTED = 10


class KnownJobs:
    """The jobs of one Function that its job tools give access to.

    Args:
        function: The Function.
        scope: Whose jobs these are; see `SutroJobToolkit`.
        any_job: Whether all of the Function's jobs are accessible, wherever they were started.
    """

    def __init__(
        self,
        function: SutroFunction,
        scope: str | Callable[[RunnableConfig], str] | None,
        *,
        any_job: bool,
    ) -> None:
        self._function = function
        self._scope = scope
        self._any_job = any_job
        # Each with its scope.
        self._jobs: dict[str, tuple[str, SutroJob]] = {}

    def description(self, config: RunnableConfig) -> str | None:
        """The job description by which other processes recognize a job of this scope."""
        scope = self.scope_of(config)
        return f"agent-jobs={_digest(scope)}" if scope else None

    def add(self, job: SutroJob, config: RunnableConfig) -> None:
        """Remember a job that was just started."""
        # Interrupting a call that looks at a job must not cancel the job.
        job.on_interrupt = "detach"
        self._jobs[job.job_id] = self.scope_of(config), job

    def find(self, job_id: str, config: RunnableConfig) -> Steps[SutroJob]:
        """A job that was started here, or by another process with the same scope.

        Raises:
            SutroInputError: The job does not exist or belongs to another scope; the message does
                not reveal which.
        """
        scope = self.scope_of(config)
        owner, job = self._jobs.get(job_id, ("", None))
        if job is not None and owner == scope:
            return job
        facts = yield from self._stored(job_id)
        if facts is None or not self._is_accessible(facts, scope):
            raise SutroInputError(f"There is no job {job_id!r} here. {self._listing(scope)}")
        rows = facts.get("num_rows")
        job = SutroJob.from_id(
            job_id,
            client=self._function.client,
            function=self._function.function,
            rows=rows if isinstance(rows, int) else None,
        )
        self._jobs[job_id] = scope, job
        return job

    def _stored(self, job_id: str) -> Steps[dict[str, Any] | None]:
        """What the service knows about a job that was not started here."""
        if self._scope is None and not self._any_job:
            return None
        client = self._function.client
        try:
            facts: dict[str, Any] = yield Step(
                partial(client.fetch_job, job_id), partial(client.afetch_job, job_id)
            )
        except (SutroNotFoundError, SutroInputError):
            # No job can have an id that is refused before it is asked for.
            return None
        return facts

    def _is_accessible(self, facts: dict[str, Any], scope: str) -> bool:
        if facts.get("model") != self._function.function:
            return False
        owner = _OWNER.search(str(facts.get("description")))
        own = scope != "" and owner is not None and owner[1] == _digest(scope)
        return self._any_job or own

    def _listing(self, scope: str) -> str:
        # Other calls may start jobs meanwhile, in their own threads.
        known = list(self._jobs.items())
        started = [job_id for job_id, (owner, _) in known if owner == scope]
        if not started:
            return "No job has been started yet."
        return f"Jobs started here: {', '.join(started[-_LISTED:])}."

    def scope_of(self, config: RunnableConfig) -> str:
        """Whose jobs a call may see; empty without scopes."""
        scope = self._scope(config) if callable(self._scope) else self._scope
        if self._scope is not None and not (isinstance(scope, str) and scope):
            raise SutroConfigurationError("scope must be, or return, a string that is not empty.")
        return scope or ""


def _digest(scope: str) -> str:
    return hashlib.sha256(scope.encode()).hexdigest()[:32]
