"""Progress of a job inside a tool's run: for callback handlers, and for LangGraph's stream."""

from __future__ import annotations

import asyncio
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

from langchain_core.callbacks.manager import adispatch_custom_event, dispatch_custom_event

from langchain_sutro._core.service import Step
from langchain_sutro.functions import PROGRESS_EVENT, event

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from langchain_core.runnables import RunnableConfig

    from langchain_sutro._core.service import JobProgress

__all__ = ["ToolProgress"]


class ToolProgress:
    """Reports a job's progress to everything that listens to a tool's run.

    Args:
        config: The config for children of the tool's run.

    Attributes:
        latest: The progress that was reported last.
    """

    def __init__(self, config: RunnableConfig) -> None:
        self.latest: JobProgress | None = None
        self._config = config
        self._write = _stream_writer()
        self._events: list[asyncio.Future[None]] = []

    def on_progress(self, progress: JobProgress) -> None:
        """Report progress in a thread without an event loop."""
        self._note(progress)
        dispatch_custom_event(PROGRESS_EVENT, event(progress), config=self._config)

    def on_progress_async(self, progress: JobProgress) -> None:
        """Report progress on an event loop, without waiting; see `delivery`."""
        self._note(progress)
        dispatching: Coroutine[Any, Any, None] = adispatch_custom_event(
            PROGRESS_EVENT, event(progress), config=self._config
        )
        self._events.append(asyncio.ensure_future(dispatching))

    def delivery(self) -> Step[None]:
        """Wait until every handler has received what was reported."""
        return Step(lambda: None, self._delivered)

    def report(self, progress: JobProgress) -> Step[None]:
        """Report progress, and wait until every handler has received it."""

        async def report() -> None:
            self.on_progress_async(progress)
            await self._delivered()

        return Step(partial(self.on_progress, progress), report)

    async def _delivered(self) -> None:
        await asyncio.gather(*self._events)

    def _note(self, progress: JobProgress) -> None:
        self.latest = progress
        if self._write is not None:
            self._write({PROGRESS_EVENT: event(progress)})


def _stream_writer() -> Callable[[Any], None] | None:
    """LangGraph's writer for `stream_mode="custom"`, inside a graph."""
    # Inside a graph LangGraph is loaded already; outside of one it is not needed.
    langgraph: Any = sys.modules.get("langgraph.config")
    try:
        writer: Callable[[Any], None] | None = langgraph.get_stream_writer() if langgraph else None
    except (RuntimeError, KeyError):
        return None
    return writer
