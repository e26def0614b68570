"""Work on traces that nobody waits for."""

from __future__ import annotations

import logging
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING

from langchain_sutro._core.exports import exported_from

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["in_background", "wait_for_job_traces"]

logger = logging.getLogger(__name__)

_pending: set[Future[None]] = set()


@exported_from("langchain_sutro")
def wait_for_job_traces(timeout: float | None = None) -> bool:
    """Wait until the traces of all jobs whose results were fetched are written.

    Ordinary programs need not call this: the interpreter waits for the traces when it exits. In a
    process that is frozen instead, such as a serverless function, call it and then flush
    LangSmith's client.

    Args:
        timeout: Seconds; None waits as long as it takes, which is bounded for each job.

    Returns:
        Whether all are written.
    """
    return not wait(set(_pending), timeout).not_done


def in_background(work: Callable[[], object]) -> None:
    """Do work in a thread that the interpreter joins while LangSmith's own thread is still alive.

    Each piece of work has its own pool, so no thread stays behind and forking is safe.
    """
    pool = ThreadPoolExecutor(1, thread_name_prefix="sutro-job-trace")
    try:
        future = pool.submit(_guarded, work)
    except RuntimeError:
        # The interpreter is ending and starts no more threads. The work takes a bounded time.
        _guarded(work)
        return
    _pending.add(future)
    future.add_done_callback(_pending.discard)
    pool.shutdown(wait=False)


def _guarded(work: Callable[[], object]) -> None:
    try:
        work()
    except Exception as error:  # noqa: BLE001 - a trace must not fail anything
        logger.warning("A job's trace is incomplete: %s", type(error).__name__)
