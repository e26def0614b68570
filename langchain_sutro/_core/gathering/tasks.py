"""`LoopGatherer`: gathers the calls that are made on event loops."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from contextvars import Context
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, ref

from langchain_sutro._core.gathering.gathering import Gathering, Rules
from langchain_sutro._core.gathering.work import Work, own_error

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["LoopGatherer"]

_logger = logging.getLogger("langchain_sutro")


class LoopGatherer:
    """Gathers calls, those of each event loop apart.

    Args:
        rules: When they are submitted.
        work: Makes what runs the rows of one group.
    """

    def __init__(self, rules: Rules, work: Callable[[], Work]) -> None:
        self._rules = rules
        self._work = work
        # The callers hold the group, so that a loop which is dropped takes it along.
        self._open: WeakKeyDictionary[asyncio.AbstractEventLoop, ref[_Group]] = WeakKeyDictionary()

    async def call(self, row: Any) -> Any:
        """Have a row run together with others.

        Args:
            row: What `Work` takes.

        Returns:
            What it returns for the row.

        Raises:
            Exception: What it returns for the row, or raises for all.
        """
        loop = asyncio.get_running_loop()
        known = self._open.get(loop)
        group = None if known is None else known()
        if group is None or not group.calls.open:
            group = _Group(self._rules, self._work())
            self._open[loop] = ref(group)
            group.start()
        return await group.call(row)


class _Group:
    """The calls of one job, with the task that collects and then runs them."""

    def __init__(self, rules: Rules, work: Work) -> None:
        self.calls: Gathering[tuple[Any, asyncio.Future[Any]]] = Gathering(rules)
        self._rules = rules
        self._work = work
        self._waiting = 0
        self._changed = asyncio.Event()
        self._notes: list[str] = []
        self._task: asyncio.Task[None]

    def start(self) -> None:
        """Begin to collect."""
        # Not in the context of the call that happens to be the first.
        loop = asyncio.get_running_loop()
        self._task = loop.create_task(self._serve(), context=Context())

    async def call(self, row: Any) -> Any:
        """Join, and wait for the outcome."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        number = self.calls.join((row, future), loop.time())
        self._waiting += 1
        if not self.calls.open:
            self._changed.set()
        try:
            return await future
        except asyncio.CancelledError as cancelled:
            self.calls.leave(number)
            if self._waiting == 1:
                await self._abandoned(cancelled)
            raise
        finally:
            self._waiting -= 1

    async def _abandoned(self, cancelled: asyncio.CancelledError) -> None:
        """End the work, since nobody waits for it any more."""
        self.calls.open = False
        if not self._task.cancelling():
            self._task.cancel()
        await asyncio.wait([self._task])
        for note in self._notes:
            cancelled.add_note(note)

    async def _serve(self) -> None:
        calls: list[tuple[Any, asyncio.Future[Any]]] = []
        try:
            await self._collected()
            calls = self.calls.close()
            outcomes = await self._outcomes([row for row, _ in calls])
        except BaseException as interrupt:
            self._interrupted([*calls, *self.calls.close()], interrupt)
            raise
        for (_, future), outcome in zip(calls, outcomes, strict=True):
            if future.done():  # its caller was cancelled
                continue
            if isinstance(outcome, Exception):
                future.set_exception(outcome)
            else:
                future.set_result(outcome)

    async def _collected(self) -> None:
        """Return when the calls are to be submitted."""
        loop = asyncio.get_running_loop()
        disturbed = 0
        while (due := self.calls.due()) is not None:
            late = loop.time() - due
            if late < 0:
                self._changed.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout_at(due):
                        await self._changed.wait()
            elif late > self._rules.quiet and disturbed < self.calls.joined and self.calls.open:
                # The loop was busy with something else, so that no call could be made.
                disturbed = self.calls.joined
                self.calls.disturbed(loop.time())
            else:
                return

    async def _outcomes(self, rows: list[Any]) -> list[Any]:
        if not rows:
            return []
        try:
            return await self._work.arun(rows)
        except Exception as error:  # noqa: BLE001 - every caller raises it
            return [own_error(error, place, len(rows)) for place in range(len(rows))]

    def _interrupted(
        self, calls: list[tuple[Any, asyncio.Future[Any]]], interrupt: BaseException
    ) -> None:
        """The loop ends, or nobody waits any more: no call is answered, and no job is lost."""
        self._notes = list(getattr(interrupt, "__notes__", ()))
        left = [future for _, future in calls if not future.done()]
        if left or self._notes:
            _logger.warning(
                "Gathered calls were ended before they were answered. %s",
                " ".join(self._notes) or f"The {len(left)} rows of their job were not submitted.",
            )
        for future in left:
            if not future.get_loop().is_closed():
                future.cancel()
