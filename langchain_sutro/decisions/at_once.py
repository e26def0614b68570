"""Several pieces of work at once, of which one failure ends all."""

from __future__ import annotations

import asyncio
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Any, TypeVar

from langchain_sutro._core.service import start

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

__all__ = ["all_at_once", "all_at_once_async"]

_T = TypeVar("_T")


def all_at_once(works: Sequence[Callable[[], _T]], limit: int) -> list[_T]:
    """Do all work in threads; a single piece in this one.

    Args:
        works: The pieces.
        limit: How many are done at once.

    Returns:
        Their results, in order.

    Raises:
        Exception: What the first piece that failed raised. What had not begun is not done, and what
            had is not waited for.
    """
    if len(works) == 1:
        return [works[0]()]
    pool = ThreadPoolExecutor(min(limit, len(works)), thread_name_prefix="sutro-decision")
    try:
        futures = [start(pool, work) for work in works]
        done, _ = wait(futures, return_when=FIRST_EXCEPTION)
        failed = [one for one in futures if one in done and one.exception() is not None]
        return [future.result() for future in failed or futures]
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


async def all_at_once_async(works: Sequence[Callable[[], Awaitable[_T]]], limit: int) -> list[_T]:
    """Asynchronous form of `all_at_once`; what had begun is cancelled where it can be."""
    if len(works) == 1:
        return [await works[0]()]
    places = asyncio.Semaphore(limit)

    async def placed(work: Callable[[], Awaitable[_T]]) -> _T:
        async with places:
            return await work()

    tasks = [asyncio.ensure_future(placed(work)) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        failed = [task for task in tasks if task in done and task.exception() is not None]
        return [task.result() for task in failed or tasks]
    except BaseException as error:
        await _cancel(tasks, error)
        raise


async def _cancel(tasks: Sequence[asyncio.Future[Any]], error: BaseException) -> None:
    """Cancel what still runs; what it says then, such as which job continues, is noted."""
    running = [task for task in tasks if not task.done()]
    for task in running:
        task.cancel()
    for task in running:
        # `gather` would give another exception, without the notes.
        try:
            await task
        except (asyncio.CancelledError, Exception) as ended:  # noqa: BLE001 - any kind of work
            for note in getattr(ended, "__notes__", ()):
                error.add_note(note)
