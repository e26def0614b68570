"""A lambda that returns a Runnable, which LangChain then calls with the lambda's input."""

from __future__ import annotations

import inspect
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from langchain_core.runnables import Runnable, RunnableBinding, RunnableLambda
from langchain_core.runnables.config import (
    acall_func_with_variable_args,
    call_func_with_variable_args,
    patch_config,
    run_in_executor,
    set_config_context,
)
from langchain_core.runnables.configurable import DynamicRunnable
from langchain_core.runnables.utils import (
    coro_with_context,
    is_async_generator,
)

from langchain_sutro.functions import RowOutcomes
from langchain_sutro.pipelines.alike import likeness
from langchain_sutro.pipelines.by_row import by_row
from langchain_sutro.pipelines.rows import Called, Pass, Rows, settled
from langchain_sutro.pipelines.work import Children, Shape, bound_config, call, with_runs

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from langchain_core.runnables import RunnableConfig

    from langchain_sutro._core.service import Step

__all__ = ["lambda_"]

# They pass the config and the run on to a function whose parameters ask for them.
_CALL: Callable[..., Any] = call_func_with_variable_args
_ACALL: Callable[..., Any] = acall_func_with_variable_args
# A lambda that returns one of more Runnables than this makes them for the rows.
_MOST_BRANCHES = 16


def lambda_(step: RunnableLambda[Any, Any], rows: Rows) -> Shape:
    """Call the function for each row, and pass the rows on to the Runnables that it returns."""
    if _yields(step):
        return (yield from call(step, rows))
    return (yield from with_runs(step, rows, partial(_calls, step, rows)))


def _yields(step: RunnableLambda[Any, Any]) -> bool:
    """Whether the function is a generator, whose output LangChain adds up."""
    sync, other = getattr(step, "func", None), getattr(step, "afunc", None)
    return inspect.isgeneratorfunction(sync) or (other is not None and is_async_generator(other))


def _calls(step: RunnableLambda[Any, Any], rows: Rows, children: Children) -> Shape:
    outputs = yield by_row(
        step,
        rows,
        partial(_called, step, rows, children),
        partial(_acalled, step, rows, children),
    )
    state = RowOutcomes(len(rows.values))
    given = [row for row, output in enumerate(outputs) if isinstance(output, Runnable)]
    rest = [row for row, output in enumerate(outputs) if not isinstance(output, Runnable)]
    state.put([outputs[row] for row in rest], rest)
    if given:
        yield from _passed_on(step, rows, state, [outputs[row] for row in given], children)
    return settled(rows, state.outcomes)


def _called(step: RunnableLambda[Any, Any], rows: Rows, children: Children, row: int) -> Any:
    if not hasattr(step, "func"):
        # The words of langchain-core's error.
        raise TypeError("Cannot invoke a coroutine function synchronously.Use `ainvoke` instead.")
    [config] = children.configs([row])
    function, manager = step.func, children.managers[row]
    call_it = partial(_CALL, function, rows.values[row], config, manager, **rows.kwargs)
    with set_config_context(config) as context:
        return context.run(call_it)


async def _acalled(step: RunnableLambda[Any, Any], rows: Rows, children: Children, row: int) -> Any:
    [config] = children.configs([row])
    manager, value = children.managers[row], rows.values[row]
    work: Awaitable[Any]
    if hasattr(step, "afunc"):
        work = _ACALL(step.afunc, value, config, manager, **rows.kwargs)
    else:
        call_it = partial(_CALL, step.func, value, config, manager.get_sync(), **rows.kwargs)
        work = run_in_executor(config, call_it)
    with set_config_context(config) as context:
        return await coro_with_context(work, context)


def _passed_on(
    step: RunnableLambda[Any, Any],
    rows: Rows,
    state: RowOutcomes,
    targets: Sequence[Runnable[Any, Any]],
    children: Children,
) -> Shape:
    """Pass the open rows on, those of the same Runnable together."""
    for row in state.open:
        if rows.configs[row]["recursion_limit"] <= 0:
            error = RecursionError(f"Recursion limit reached when invoking {step.get_name()}.")
            state.put([error] * len(state.open))
            return state.outcomes
    going = list(state.open)
    configs = [
        patch_config(config, recursion_limit=rows.configs[row]["recursion_limit"] - 1)
        for row, config in zip(going, children.configs(going), strict=True)
    ]
    given = rows.part(going, configs=configs, called=Called.INVOKE)
    parts = _alike([_peeled(*pair) for pair in zip(targets, configs, strict=True)])
    if len(parts) == len(going) > _MOST_BRANCHES:
        state.put((yield _one_by_one(step, targets, given)), going)
        return state.outcomes
    outputs = yield [
        Pass(target, given.part(places, configs=each, kwargs=kwargs))
        for target, kwargs, places, each in parts
    ]
    for (_, _, places, _), results in zip(parts, outputs, strict=True):
        state.put(results, [going[place] for place in places])
    return state.outcomes


_Bound = tuple["Runnable[Any, Any]", "RunnableConfig", dict[str, Any]]
_Part = tuple["Runnable[Any, Any]", dict[str, Any], list[int], list["RunnableConfig"]]


def _peeled(target: Runnable[Any, Any], config: RunnableConfig) -> _Bound:
    """The Runnable within bindings, of which a function may make one for each row."""
    kwargs: dict[str, Any] = {}
    with suppress(Exception):  # raised again where the rows are passed on
        while True:
            if type(target) is RunnableBinding:
                config = bound_config(target, config)
                kwargs = {**target.kwargs, **kwargs}
                target = target.bound
            elif isinstance(target, DynamicRunnable):
                target, config = target.prepare(config)
            else:
                break
    return target, config, kwargs


def _alike(bound: Sequence[_Bound]) -> list[_Part]:
    """The places of those that call the same Runnable with the same arguments."""
    parts: dict[object, list[_Part]] = {}
    keys: dict[int, object] = {}
    for place, (target, config, kwargs) in enumerate(bound):
        if id(target) not in keys:
            keys[id(target)] = likeness(target)
        same = parts.setdefault(keys[id(target)], [])
        part = next((one for one in same if one[1] == kwargs), None)
        if part is None:
            part = (target, kwargs, [], [])
            same.append(part)
        part[2].append(place)
        part[3].append(config)
    return [part for same in parts.values() for part in same]


def _one_by_one(
    step: RunnableLambda[Any, Any], targets: Sequence[Runnable[Any, Any]], rows: Rows
) -> Step[list[Any]]:
    """Call `invoke` of each row's own Runnable, as LangChain does."""

    def one(row: int) -> Any:
        return targets[row].invoke(rows.values[row], rows.configs[row])

    async def aone(row: int) -> Any:
        return await targets[row].ainvoke(rows.values[row], rows.configs[row])

    return by_row(step, rows, one, aone)
