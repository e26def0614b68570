"""What has to be called for each row, in LangChain's own `batch`."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from langchain_core.runnables import Runnable

from langchain_sutro._core.service import Step

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from langchain_core.runnables import RunnableConfig

    from langchain_sutro.pipelines.rows import Rows

__all__ = ["by_row"]


def by_row(
    step: Runnable[Any, Any],
    rows: Rows,
    sync: Callable[[int], Any],
    asynchronous: Callable[[int], Awaitable[Any]],
) -> Step[list[Any]]:
    """Call something for each row.

    Args:
        step: The step that does so.
        rows: Its rows.
        sync: Called with the index of a row.
        asynchronous: Its asynchronous form.

    Returns:
        The value or error of each row.
    """
    calls = _ByRow(step, sync, asynchronous)
    config: RunnableConfig = {"max_concurrency": rows.configs[0].get("max_concurrency")}
    options: dict[str, Any] = {"config": config, "return_exceptions": True}
    places = list(range(len(rows.values)))
    return Step(partial(calls.batch, places, **options), partial(calls.abatch, places, **options))


class _ByRow(Runnable[int, Any]):
    """A Runnable, since a Function looks in LangChain's `batch` for what calls it for each row."""

    def __init__(
        self,
        step: Runnable[Any, Any],
        sync: Callable[[int], Any],
        asynchronous: Callable[[int], Awaitable[Any]],
    ) -> None:
        self.step, self.sync, self.asynchronous = step, sync, asynchronous

    def get_name(self, suffix: str | None = None, *, name: str | None = None) -> str:
        return self.step.get_name(suffix, name=name)

    def invoke(self, input: int, *_: Any, **__: Any) -> Any:
        return self.sync(input)

    async def ainvoke(self, input: int, *_: Any, **__: Any) -> Any:
        return await self.asynchronous(input)
