"""What the batch of a pipeline consists of: calls of steps, runs, and work side by side."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Generator
from concurrent.futures import Future
from contextvars import copy_context
from functools import partial
from threading import BoundedSemaphore, Thread
from typing import TYPE_CHECKING, Any, TypeAlias

from langchain_core.runnables import ensure_config
from langchain_core.runnables.config import (
    get_async_callback_manager_for_config,
    get_callback_manager_for_config,
    merge_configs,
    patch_config,
)

from langchain_sutro._core.service import Step, arun_steps, run_steps
from langchain_sutro.pipelines.rows import Pass, Rows

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from langchain_core.callbacks import BaseRunManager
    from langchain_core.runnables import Runnable, RunnableBinding, RunnableConfig

    from langchain_sutro._core.service import Steps

__all__ = [
    "Children",
    "Shape",
    "Work",
    "bound_config",
    "call",
    "pause",
    "side_by_side",
    "with_runs",
]

Work: TypeAlias = Generator[Step[Any], Any, list[Any]]
# What a shape does with its rows: it also yields lists of `Pass`, and receives their outcomes.
Shape: TypeAlias = Generator[Step[Any] | list[Pass], Any, list[Any]]


def call(step: Runnable[Any, Any], rows: Rows) -> Work:
    """Call a step's own `batch`, once for all rows.

    Returns:
        The value or error of each row. An error of the whole batch is that of every row.
    """
    options: dict[str, Any] = {**rows.kwargs, "return_exceptions": True}
    values, configs = list(rows.values), list(rows.configs)
    try:
        outputs = yield Step(
            partial(step.batch, values, configs, **options),
            partial(step.abatch, values, configs, **options),
        )
    except Exception as error:  # noqa: BLE001 - whatever the step raises
        return [error] * len(values)
    for output in outputs:
        # LangChain's batches return interrupts too.
        if isinstance(output, BaseException) and not isinstance(output, Exception):
            raise output
    if len(outputs) != len(values):
        problem = f"{step.get_name()}.batch returned {len(outputs)} outputs for {len(values)} rows."
        return [ValueError(problem)] * len(values)
    return list(outputs)


def bound_config(binding: RunnableBinding[Any, Any], config: RunnableConfig) -> RunnableConfig:
    """The config that a binding passes on, as langchain-core merges it.

    Args:
        binding: Holds a config, and what makes others, such as listeners.
        config: That of the call.
    """
    if not binding.config and not binding.config_factories:
        return config
    merged = merge_configs(binding.config, config)
    made = (make(merged) for make in binding.config_factories)
    return ensure_config(merge_configs(merged, *made))


def pause(seconds: float) -> Step[None]:
    """A step that waits."""
    return Step(partial(time.sleep, seconds), partial(asyncio.sleep, seconds))


class Children:
    """The runs of some rows, as the parents of what their step calls.

    Args:
        rows: The rows.
        managers: The run manager of each.
    """

    def __init__(self, rows: Rows, managers: Sequence[Any]) -> None:
        self._rows = rows
        self.managers = managers

    def configs(self, rows: Sequence[int], tag: str | None = None) -> list[RunnableConfig]:
        """The configs of calls.

        Args:
            rows: The indices of the rows for which a call is made.
            tag: LangChain's mark of the call.
        """
        return [
            patch_config(self._rows.configs[row], callbacks=self.managers[row].get_child(tag))
            for row in rows
        ]


def with_runs(step: Runnable[Any, Any], rows: Rows, inner: Callable[[Children], Shape]) -> Shape:
    """Do work within a run for each row.

    Args:
        step: What the runs are runs of.
        rows: The rows.
        inner: Given the runs, does the work.
    """
    name = step.get_name()
    managers = yield Step(partial(_started, name, rows), partial(_astarted, name, rows))
    try:
        outcomes = yield from inner(Children(rows, managers))
    except GeneratorExit:
        raise
    except BaseException as error:
        failed = [error] * len(managers)
        yield Step(partial(_ended, managers, failed), partial(_aended, managers, failed))
        raise
    yield Step(partial(_ended, managers, outcomes), partial(_aended, managers, outcomes))
    return outcomes


def _start(name: str, config: RunnableConfig) -> dict[str, Any]:
    return {
        "serialized": None,
        "name": config.get("run_name") or name,
        "run_id": config.get("run_id"),
    }


def _started(name: str, rows: Rows) -> list[BaseRunManager]:
    return [
        get_callback_manager_for_config(config).on_chain_start(inputs=value, **_start(name, config))
        for value, config in zip(rows.values, rows.configs, strict=True)
    ]


async def _astarted(name: str, rows: Rows) -> list[BaseRunManager]:
    return await asyncio.gather(
        *(
            get_async_callback_manager_for_config(config).on_chain_start(
                inputs=value, **_start(name, config)
            )
            for value, config in zip(rows.values, rows.configs, strict=True)
        )
    )


def _ended(managers: Sequence[Any], outcomes: Sequence[Any]) -> None:
    for manager, outcome in zip(managers, outcomes, strict=True):
        if isinstance(outcome, BaseException):
            manager.on_chain_error(outcome)
        else:
            manager.on_chain_end(outcome)


async def _aended(managers: Sequence[Any], outcomes: Sequence[Any]) -> None:
    await asyncio.gather(
        *(
            manager.on_chain_error(outcome)
            if isinstance(outcome, BaseException)
            else manager.on_chain_end(outcome)
            for manager, outcome in zip(managers, outcomes, strict=True)
        )
    )


def side_by_side(works: Sequence[Steps[Any]], limit: int | None) -> Step[list[Any]]:
    """Several pieces of work at the same time.

    Args:
        works: What to do.
        limit: The maximum number at the same time; None for all.
    """
    return Step(partial(_in_threads, works, limit), partial(_in_tasks, works, limit))


def _in_threads(works: Sequence[Steps[Any]], limit: int | None) -> list[Any]:
    if limit == 1:
        return [run_steps(work) for work in works]
    gate = BoundedSemaphore(limit or len(works))
    results: list[Future[Any]] = [Future() for _ in works]

    def run(work: Steps[Any], result: Future[Any]) -> None:
        try:
            with gate:
                result.set_result(run_steps(work))
        except BaseException as error:  # noqa: BLE001 - raised where the result is awaited
            result.set_exception(error)

    for work, result in zip(works, results, strict=True):
        # Daemons, so that Ctrl-C need not wait for the jobs of the other branches.
        Thread(target=copy_context().run, args=(run, work, result), daemon=True).start()
    return [result.result() for result in results]


async def _in_tasks(works: Sequence[Steps[Any]], limit: int | None) -> list[Any]:
    gate = asyncio.Semaphore(limit or len(works))

    async def run(work: Steps[Any]) -> Any:
        async with gate:
            return await arun_steps(work)

    tasks = [asyncio.ensure_future(run(work)) for work in works]
    try:
        return await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        waiting: Awaitable[Any] = asyncio.gather(*tasks, return_exceptions=True)
        await waiting
        raise
