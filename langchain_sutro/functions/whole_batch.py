"""Batches that stay whole: one call for all rows, with a LangChain run for each."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from langchain_core.runnables import Runnable, RunnableConfig

from langchain_sutro._core.tracing import quiet_when_local
from langchain_sutro.functions.checked_rows import rows_of_batch

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence

    from langchain_core.callbacks import (
        AsyncCallbackManagerForChainRun,
        BaseRunManager,
        CallbackManagerForChainRun,
    )

__all__ = ["WholeBatch", "abatch_with_runs", "batch_with_runs"]


class WholeBatch(Runnable[Any, Any]):
    """A Runnable whose `batch` handles all rows together, so its outputs complete together."""

    def batch_as_completed(
        self,
        inputs: Sequence[Any],
        config: RunnableConfig | Sequence[RunnableConfig] | None = None,
        *,
        return_exceptions: bool = False,
        **kwargs: Any,
    ) -> Iterator[tuple[int, Any]]:
        """Yield the index and output of each row, all at the end of one `batch`."""
        each = cast("RunnableConfig | list[RunnableConfig] | None", config)
        yield from enumerate(
            self.batch(rows_of_batch(inputs), each, return_exceptions=return_exceptions, **kwargs)
        )

    async def abatch_as_completed(
        self,
        inputs: Sequence[Any],
        config: RunnableConfig | Sequence[RunnableConfig] | None = None,
        *,
        return_exceptions: bool = False,
        **kwargs: Any,
    ) -> AsyncIterator[tuple[int, Any]]:
        """Asynchronous form of `batch_as_completed`."""
        each = cast("RunnableConfig | list[RunnableConfig] | None", config)
        outputs = await self.abatch(
            rows_of_batch(inputs), each, return_exceptions=return_exceptions, **kwargs
        )
        for indexed in enumerate(outputs):
            yield indexed


def batch_with_runs(
    runnable: Runnable[Any, Any],
    call: Callable[[Sequence[BaseRunManager], list[RunnableConfig]], list[Any]],
    inputs: list[Any],
    config: RunnableConfig | list[RunnableConfig] | None,
    *,
    return_exceptions: bool,
    run_type: str | None = None,
) -> list[Any]:
    """Make one call for all rows, with a run for each.

    Args:
        runnable: What the runs are runs of.
        call: Given the run manager of each row and the config of its children, returns a value or
            error for each row.
        inputs: The rows, as the runs show them.
        config: One for all rows, or one for each.
        return_exceptions: Whether errors stay in their places; otherwise the first is raised.
        run_type: LangChain's word for the kind of the runs.
    """
    interrupts = _Interrupts()

    def interruptible(
        _: list[Any],
        run_manager: list[CallbackManagerForChainRun],
        config: list[RunnableConfig],
    ) -> list[Any]:
        with interrupts.noted():
            return call(run_manager, config)

    with quiet_when_local():
        outputs = runnable._batch_with_config(  # noqa: SLF001 - meant for Runnables
            interruptible, inputs, config, return_exceptions=return_exceptions, run_type=run_type
        )
    interrupts.raise_again()
    return outputs


async def abatch_with_runs(
    runnable: Runnable[Any, Any],
    call: Callable[[Sequence[BaseRunManager], list[RunnableConfig]], Awaitable[list[Any]]],
    inputs: list[Any],
    config: RunnableConfig | list[RunnableConfig] | None,
    *,
    return_exceptions: bool,
    run_type: str | None = None,
) -> list[Any]:
    """Asynchronous form of `batch_with_runs`."""
    interrupts = _Interrupts()

    async def interruptible(
        _: list[Any],
        run_manager: list[AsyncCallbackManagerForChainRun],
        config: list[RunnableConfig],
    ) -> list[Any]:
        with interrupts.noted():
            return await call(run_manager, config)

    with quiet_when_local():
        outputs = await runnable._abatch_with_config(  # noqa: SLF001 - meant for Runnables
            interruptible, inputs, config, return_exceptions=return_exceptions, run_type=run_type
        )
    interrupts.raise_again()
    return outputs


class _Interrupts:
    """Lets Ctrl-C and cancellation through LangChain's batch helpers.

    With `return_exceptions` those return the interrupt as the result of every row.
    """

    def __init__(self) -> None:
        self._first: BaseException | None = None

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Note an interrupt on its way out."""
        try:
            yield
        except Exception:
            raise
        except BaseException as interrupt:
            self._first = interrupt
            raise

    def raise_again(self) -> None:
        """Raise the interrupt that was noted."""
        if self._first is not None:
            raise self._first
