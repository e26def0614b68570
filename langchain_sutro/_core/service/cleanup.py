"""Cleans up after objects that are gone, without holding up an event loop."""

from __future__ import annotations

import asyncio
import os
import weakref
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["when_gone"]


def when_gone(owner: object, work: Callable[..., Any], *args: Any) -> weakref.finalize[..., Any]:
    """Have something done once when an object goes, or the interpreter ends.

    A forked child has a copy of the object, and leaves what belongs to it to its parent.

    Args:
        owner: The object; the work must not refer to it.
        work: May block, such as by deleting a file: on a running event loop, where objects may go
            as anywhere, a thread does it.
        args: Its arguments.

    Returns:
        Call it to have it done at once.
    """
    return weakref.finalize(owner, _do, os.getpid(), partial(work, *args))


def _do(process: int, work: Callable[[], Any]) -> None:
    if os.getpid() != process:
        return
    try:
        loop = asyncio.get_running_loop()
        # Not at once: objects go in the middle of anything, such as of what hands work to a thread,
        # whose lock this thread would then wait for, for ever.
        loop.call_soon(_beside, loop, work)
    except RuntimeError:
        # There is no loop here, or it is closing.
        work()


def _beside(loop: asyncio.AbstractEventLoop, work: Callable[[], Any]) -> None:
    try:
        loop.run_in_executor(None, work)
    except RuntimeError:
        # Its threads have ended.
        work()
