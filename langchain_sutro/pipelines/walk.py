"""How the batch of a pipeline goes through its steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_core.runnables import (
    RouterRunnable,
    Runnable,
    RunnableAssign,
    RunnableBinding,
    RunnableBranch,
    RunnableLambda,
    RunnableParallel,
    RunnableSequence,
    RunnableWithFallbacks,
)
from langchain_core.runnables.base import RunnableEach
from langchain_core.runnables.configurable import (
    RunnableConfigurableAlternatives,
    RunnableConfigurableFields,
)
from langchain_core.runnables.retry import RunnableRetry

from langchain_sutro.functions import SutroAssign, SutroRetry, SutroRouter
from langchain_sutro.pipelines import choices, shapes
from langchain_sutro.pipelines.lambdas import lambda_
from langchain_sutro.pipelines.work import Work, call, side_by_side

if TYPE_CHECKING:
    from collections.abc import Callable

    from langchain_sutro.pipelines.rows import Pass, Rows
    from langchain_sutro.pipelines.work import Shape

__all__ = ["shape_of", "walk"]

_SHAPES: dict[type[Runnable[Any, Any]], Callable[[Any, Rows], Shape]] = {
    RouterRunnable: choices.router,
    RunnableAssign: shapes.assign,
    RunnableBinding: shapes.binding,
    RunnableBranch: choices.branch,
    RunnableConfigurableAlternatives: choices.configured,
    RunnableConfigurableFields: choices.configured,
    RunnableEach: shapes.each,
    RunnableLambda: lambda_,
    RunnableParallel: shapes.parallel,
    RunnableRetry: shapes.retry,
    RunnableSequence: shapes.sequence,
    RunnableWithFallbacks: shapes.fallbacks,
    SutroAssign: choices.sutro_assign,
    SutroRetry: shapes.retry,
    SutroRouter: choices.sutro_router,
}
_CALLS = ("invoke", "ainvoke", "batch", "abatch")


def shape_of(step: Runnable[Any, Any]) -> Callable[[Any, Rows], Shape] | None:
    """What passes all rows of a batch through a step at once; None for the step's own `batch`.

    A subclass with a call of its own is no shape of LangChain's.
    """
    kind = type(step)
    for base in kind.__mro__:
        if base in _SHAPES:
            own = any(getattr(kind, name) is not getattr(base, name) for name in _CALLS)
            return None if own else _SHAPES[base]
    return None


def walk(step: Runnable[Any, Any], rows: Rows) -> Work:
    """Pass rows through a step, and through what is in it.

    Args:
        step: Any Runnable.
        rows: The rows.

    Returns:
        The value or error of each row.
    """
    if not rows.values:
        return []
    shape = shape_of(step)
    if shape is None:
        return (yield from call(step, rows))
    work = shape(step, rows)
    wanted = next(work)
    try:
        while True:
            try:
                done = yield from _done(wanted) if isinstance(wanted, list) else _step(wanted)
            except BaseException as error:  # noqa: BLE001 - the shape decides
                wanted = work.throw(error)
            else:
                wanted = work.send(done)
    except StopIteration as end:
        outcomes: list[Any] = end.value
        return outcomes
    finally:
        work.close()


def _step(step: Any) -> Any:
    return (yield step)


def _done(wanted: list[Pass]) -> Any:
    works = [walk(one.step, one.rows) for one in wanted]
    going = [place for place, one in enumerate(wanted) if one.rows.values]
    results: list[list[Any]] = [[] for _ in wanted]
    if len(going) == 1:
        results[going[0]] = yield from works[going[0]]
    elif going:
        limit = wanted[going[0]].rows.configs[0].get("max_concurrency")
        outcomes = yield side_by_side([works[place] for place in going], limit)
        for place, outcome in zip(going, outcomes, strict=True):
            results[place] = outcome
    return results
