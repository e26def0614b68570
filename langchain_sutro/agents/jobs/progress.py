"""Progress of a job inside a tool's run: to callback handlers, and to LangGraph's stream."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any

from langchain_core.callbacks.manager import adispatch_custom_event, dispatch_custom_event

from langchain_sutro.functions import PROGRESS_EVENT, event

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from langchain_core.runnables import RunnableConfig

    from langchain_sutro._service import JobProgress

__all__ = ["ToolProgress"]


class ToolProgress:
    """Tells everybody who listens to a tool's run what is known of a job.

    Args:
        config: Of the children of the tool's run.

    Attributes:
        known: What was told last.
    """

    def __init__(self, config: RunnableConfig) -> None:
        self.known: JobProgress | None = None
        self._config = config
        self._write = _stream_writer()
        self._events: list[asyncio.Future[None]] = []

    def tell(self, known: JobProgress) -> None:
        """Tell it from a thread without event loop."""
        self._note(known)
        dispatch_custom_event(PROGRESS_EVENT, event(known), config=self._config)

    def tell_async(self, known: JobProgress) -> None:
        """Tell it on an event loop, which goes on meanwhile."""
        self._note(known)
        telling: Coroutine[Any, Any, None] = adispatch_custom_event(
            PROGRESS_EVENT, event(known), config=self._config
        )
        self._events.append(asyncio.ensure_future(telling))

    async def told(self) -> None:
        """Wait until everybody has heard."""
        await asyncio.gather(*self._events)

    def _note(self, known: JobProgress) -> None:
        self.known = known
        if self._write is not None:
            self._write({PROGRESS_EVENT: event(known)})


def _stream_writer() -> Callable[[Any], None] | None:
    """LangGraph's writer for `stream_mode="custom"`, inside a graph."""
    # Whoever runs a graph has loaded it, and nobody else needs it.
    langgraph: Any = sys.modules.get("langgraph.config")
    try:
        writer: Callable[[Any], None] | None = langgraph.get_stream_writer() if langgraph else None
    except (RuntimeError, KeyError):
        return None
    return writer
