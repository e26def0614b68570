"""Work for threads, which goes on where no more threads are started.

A program that ends, or whose main thread has ended while others still work, refuses new work for
threads; so does an executor that is shut down. Results that are paid for are worth a little more
time in the thread that asks for them, even if that is the thread of an event loop.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import Executor, Future
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

__all__ = ["in_thread", "start", "start_all"]

_T = TypeVar("_T")
_A = TypeVar("_A")


async def in_thread(work: Callable[..., _T], *args: Any, **kwargs: Any) -> _T:
    """`asyncio.to_thread`, or here if no thread takes the work."""
    begun = False

    def begin() -> _T:
        nonlocal begun
        begun = True
        return work(*args, **kwargs)

    try:
        return await asyncio.to_thread(begin)
    except RuntimeError:
        if begun:
            # It is the work's own.
            raise
    return begin()


def start(pool: Executor, work: Callable[..., _T], *args: Any) -> Future[_T]:
    """`Executor.submit`, or here if the executor takes no work."""
    try:
        return pool.submit(work, *args)
    except RuntimeError:
        done: Future[_T] = Future()
        try:
            done.set_result(work(*args))
        except BaseException as error:  # noqa: BLE001 - whoever asks for the result gets it
            done.set_exception(error)
        return done


def start_all(pool: Executor, work: Callable[[_A], _T], given: Iterable[_A]) -> list[Future[_T]]:
    """`start` for each of several values, in order."""
    return [start(pool, work, one) for one in given]
