"""`Approvals`: whether a human must approve a job, and which rows that decision is about."""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import Future
from contextvars import copy_context
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import ValidationError

from langchain_sutro._core.service import Steps, blocking, run_steps
from langchain_sutro.errors import SutroInputError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from langchain_core.runnables import RunnableConfig

    from langchain_sutro._core.rows import SpooledRows
    from langchain_sutro.agents.jobs.actions import JobActions

__all__ = ["Approvals", "Call", "call_of", "current_config"]

_MOST = 10_000


class Call(NamedTuple):
    """One tool call.

    Attributes:
        thread: The thread of the agent; None without one.
        call_id: The id that the model gave it; None if no model made it.
        arguments: Its arguments as JSON.
    """

    thread: str | None
    call_id: str | None
    arguments: str


def call_of(arguments: Any, call_id: str | None, config: Mapping[str, Any] | None) -> Call:
    """Identify a tool call.

    Args:
        arguments: As the model gave them.
        call_id: Its id.
        config: The config of the agent's run.
    """
    thread = ((config or {}).get("configurable") or {}).get("thread_id")
    try:
        text = json.dumps(arguments, sort_keys=True, default=str)
    except (RecursionError, TypeError, ValueError):
        text = ""
    return Call(None if thread is None else str(thread), call_id, text)


class Approvals:
    """Decides about tool calls, and remembers for each call what was decided on.

    Args:
        actions: Read and estimate rows.
        arguments: Checks the arguments of a call.
    """

    def __init__(self, actions: JobActions, arguments: Callable[[Any], Any]) -> None:
        self._actions = actions
        self._arguments = arguments
        self._answers: dict[tuple[Any, ...], bool] = {}
        # The hash of the rows that were decided on; None if they could not be read.
        self._contents: dict[Call, Future[str | None]] = {}
        self._lock = Lock()

    def asks(self, call: Call, given: Any, rows: int | None, cost: float | None) -> bool:
        """Whether a human must approve a call; always the same for one call.

        Args:
            call: The call.
            given: Its arguments.
            rows: Ask for jobs with more rows.
            cost: Ask for jobs that cost more, in USD.
        """
        key = (call, rows, cost)
        if call.call_id is None and self._has_changed(call, given):
            # Without an id, an equal call may be another one.
            self._answers.pop(key, None)
            self._contents.pop(call, None)
        if key not in self._answers:
            _keep(self._answers, key, self._exceeds(call, given, rows, cost))
        return self._answers[key]

    def check(self, call: Call, rows: SpooledRows, file: str | None) -> Steps[None]:
        """Check that the rows of a call are those that were decided on.

        Raises:
            SutroInputError: They are not.
        """
        decided = self._contents.get(call)
        if decided is None:
            return
        sha256: str | None = yield blocking(decided.result)
        if sha256 != rows.sha256:
            raise SutroInputError(
                f"The job was not started: {file!r} is not as it was when this call was decided "
                "on. Call the tool again, so that the new content is decided on."
            )

    def _has_changed(self, call: Call, given: Any) -> bool:
        decided = self._contents.get(call)
        if decided is None or _on_event_loop():
            return False
        try:
            found = self._actions.rows(self._arguments(given)).sha256
        except (SutroInputError, ValidationError, RecursionError):
            found = None
        return decided.result() != found

    def _exceeds(
        self, call: Call, given: Any, most_rows: int | None, most_cost: float | None
    ) -> bool:
        try:
            arguments = self._arguments(given)
        except (ValidationError, RecursionError):
            # The tool will refuse it.
            return isinstance(given, dict) and given.get("file") is not None
        waiting = _on_event_loop()
        if waiting and arguments.file is not None:
            self._read_later(call, arguments)
            return True
        try:
            rows = self._actions.rows(arguments)
        except SutroInputError:
            if arguments.file is not None:
                self._remember(call, None)
            return arguments.file is not None
        if arguments.file is not None:
            self._remember(call, rows.sha256)
        if most_rows is not None and rows.count > most_rows:
            return True
        return most_cost is not None and self._costs_more(rows, most_cost, waiting=waiting)

    def _costs_more(self, rows: SpooledRows, most: float, *, waiting: bool) -> bool:
        cost = self._actions.known_estimate(rows)
        if cost is None and waiting:
            return True
        return (run_steps(self._actions.estimated_cost(rows)) if cost is None else cost) > most

    def _remember(self, call: Call, sha256: str | None) -> None:
        content: Future[str | None] = Future()
        content.set_result(sha256)
        self._put(call, content)

    def _read_later(self, call: Call, arguments: Any) -> None:
        """Read a file in a thread, since an event loop must not wait for it."""
        content: Future[str | None] = Future()
        self._put(call, content)

        def read() -> None:
            try:
                content.set_result(self._actions.rows(arguments).sha256)
            except SutroInputError:
                content.set_result(None)
            except BaseException as error:  # noqa: BLE001 - raised where the result is needed
                content.set_exception(error)

        Thread(target=copy_context().run, args=(read,), daemon=True).start()

    def _put(self, call: Call, content: Future[str | None]) -> None:
        with self._lock:
            # The first decision counts: the predicate runs again when the run resumes.
            if call not in self._contents:
                _keep(self._contents, call, content)


def _keep(kept: dict[Any, Any], key: Any, value: Any) -> None:
    while len(kept) >= _MOST:
        kept.pop(next(iter(kept)), None)
    kept[key] = value


def _on_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def current_config() -> RunnableConfig | None:
    """The config of the run that is going on; None outside of a graph."""
    try:
        from langgraph.config import get_config  # noqa: PLC0415 - only agents have it

        return get_config()
    except (ImportError, RuntimeError):
        return None
