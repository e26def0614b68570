"""`ThreadGatherer`: gathers the calls that are made in threads."""

from __future__ import annotations

import time
from concurrent.futures import Future
from threading import Condition, Thread
from typing import TYPE_CHECKING, Any

from langchain_sutro._core.gathering.gathering import Gathering, Rules
from langchain_sutro._core.gathering.work import Work, own_error

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ThreadGatherer"]


class ThreadGatherer:
    """Gathers the calls of all threads.

    Each group has a thread of its own, which ends with its work.

    Args:
        rules: When the calls are submitted.
        work: Makes what runs the rows of one group.
    """

    def __init__(self, rules: Rules, work: Callable[[], Work]) -> None:
        self._rules = rules
        self._work = work
        self._changed = Condition()
        self._open: _Group | None = None

    def call(self, row: Any) -> Any:
        """Have a row run together with others.

        Args:
            row: What `Work` takes.

        Returns:
            What it returns for the row.

        Raises:
            Exception: What it returns for the row, or raises for all.
        """
        future: Future[Any] = Future()
        with self._changed:
            group = self._open
            if group is None or not group.calls.open:
                group = self._open = _Group(self._rules, self._work(), self._changed)
            number = group.join((row, future))
        try:
            return future.result()
        except Exception:
            raise
        except BaseException as interrupt:
            group.leave(number, interrupt)
            raise


class _Group:
    """The calls of one job, with the thread that collects and then runs them."""

    def __init__(self, rules: Rules, work: Work, changed: Condition) -> None:
        self.calls: Gathering[tuple[Any, Future[Any]]] = Gathering(rules)
        self._work = work
        self._changed = changed
        self._waiting = 0
        # A daemon: an interpreter that exits does not wait for the job.
        self._thread = Thread(target=self._serve, name="sutro-gathered-job", daemon=True)

    def join(self, call: tuple[Any, Future[Any]]) -> int:
        """Add a call; the condition is held."""
        number = self.calls.join(call, time.monotonic())
        self._waiting += 1
        if number == 0:
            self._thread.start()
        elif not self.calls.open:
            self._changed.notify_all()
        return number

    def leave(self, number: int, interrupt: BaseException) -> None:
        """A caller was interrupted."""
        with self._changed:
            self.calls.leave(number)
            self._waiting -= 1
            abandoned = self._waiting == 0
            if abandoned:
                self.calls.open = False
            self._changed.notify_all()
        if abandoned:
            self._work.interrupted(interrupt)

    def _serve(self) -> None:
        with self._changed:
            self._collect()
            calls = self.calls.close()
        outcomes = self._outcomes([row for row, _ in calls])
        with self._changed:
            self._waiting -= len(calls)
        for (_, future), outcome in zip(calls, outcomes, strict=True):
            if isinstance(outcome, BaseException):
                future.set_exception(outcome)
            else:
                future.set_result(outcome)

    def _collect(self) -> None:
        while (due := self.calls.due()) is not None:
            seconds = due - time.monotonic()
            if seconds <= 0:
                return
            self._changed.wait(seconds)

    def _outcomes(self, rows: list[Any]) -> list[Any]:
        if not rows:
            return []
        try:
            return self._work.run(rows)
        except Exception as error:  # noqa: BLE001 - every caller raises it
            return [own_error(error, place, len(rows)) for place in range(len(rows))]
        except BaseException as interrupt:  # noqa: BLE001 - no caller waits for ever
            return [interrupt] * len(rows)
