"""Calls and jobs of a Function without LangSmith runs, for those who make the runs themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, cast

from langchain_sutro._core import service as _service
from langchain_sutro._core.jobs import aexecute, execute
from langchain_sutro.functions.batch_job import BatchJob

if TYPE_CHECKING:
    from langchain_core.runnables import RunnableConfig

    from langchain_sutro.functions.interface import PublishedFunction

__all__ = ["arun_once", "run_once", "scoped", "untraced_job"]

_Function = TypeVar("_Function", bound="PublishedFunction")


def run_once(function: PublishedFunction, encoded: bytes, **options: Any) -> dict[str, Any]:
    """Make one real-time run, when the Function's rate limiter allows it.

    Args:
        function: What to run.
        encoded: The input as JSON.
        **options: `timeout` and `confidence_scoring` of this run.

    Returns:
        The payload as the service sent it.
    """
    # Fields of `SutroFunction` which the protocol leaves out.
    fields: Any = function
    if fields.rate_limiter is not None:
        fields.rate_limiter.acquire(blocking=True)
    return execute(function.client, _service.run_function, function.function, encoded, **options)


async def arun_once(function: PublishedFunction, encoded: bytes, **options: Any) -> dict[str, Any]:
    """Asynchronous form of `run_once`."""
    fields: Any = function
    if fields.rate_limiter is not None:
        await fields.rate_limiter.aacquire(blocking=True)
    return await aexecute(
        function.client, _service.run_function, function.function, encoded, **options
    )


def untraced_job(
    function: PublishedFunction, config: RunnableConfig, *, priced: bool = False
) -> BatchJob:
    """The job of a batch of a Function.

    Args:
        function: What to run.
        config: A config whose run the progress events belong to.
        priced: Whether to find out the job's tokens and cost.
    """
    private: Any = function
    return BatchJob(
        function.function,
        function.client,
        private._submit,  # noqa: SLF001 - ours, but not for users
        private._asubmit,  # noqa: SLF001 - as above
        private.on_progress,
        private.progress,
        config,
        priced,
    )


def scoped(function: _Function, scope: str) -> _Function:
    """The Function for one user's jobs, which are not taken for another's.

    Args:
        function: The Function.
        scope: Whose jobs; an empty one is nobody's.
    """
    if not scope:
        return function
    private: Any = function
    copy: Any = private.model_copy()
    copy._scope = scope  # noqa: SLF001 - as above
    return cast("_Function", copy)
