"""What a batch of a pipeline does with each Function in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from langchain_core.runnables import Runnable, RunnableLambda

from langchain_sutro._core.exports import exported_from
from langchain_sutro.functions import (
    SutroFunction,
    SutroGatheredFunction,
    WholeBatch,
    held,
    makes_functions,
    references,
)
from langchain_sutro.pipelines.walk import shape_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["FunctionPlan", "plans"]

# A function that uses one of these names calls a Runnable itself.
_CALLS = frozenset(
    f"{asynchronous}{call}"
    for call in ("invoke", "batch", "batch_as_completed", "stream", "transform")
    for asynchronous in ("", "a")
)


@exported_from("langchain_sutro")
@dataclass(frozen=True)
class FunctionPlan:
    """What a batch of a pipeline does with one of its Functions.

    Attributes:
        function: The Function's name.
        where: The names of the steps that lead to it.
        one_job: Whether a batch makes one job of all rows that reach it.
        reason: Why it does not; None if it does.
    """

    function: str
    where: str
    one_job: bool
    reason: str | None = None


def plans(step: Runnable[Any, Any]) -> list[FunctionPlan]:
    """Find the Functions in a step, and what stands between them and one job.

    Args:
        step: Any Runnable.

    Returns:
        One entry for each place where a Function stands.
    """
    return list(_found(step, (), None, ()))


def _found(
    part: Any, where: tuple[str, ...], reason: str | None, above: tuple[int, ...]
) -> Iterator[FunctionPlan]:
    if id(part) in above:
        return
    above = (*above, id(part))
    if isinstance(part, SutroFunction):
        reason = _own_reason(part, reason)
        yield FunctionPlan(part.function, " > ".join(where), reason is None, reason)
    elif isinstance(part, dict):
        for key, value in part.items():
            yield from _found(value, (*where, str(key)), reason, above)
    elif isinstance(part, list | tuple):
        for value in part:
            yield from _found(value, where, reason, above)
    elif isinstance(part, Runnable):
        yield from _inside(part, (*where, part.get_name()), reason, above)


def _own_reason(function: SutroFunction, reason: str | None) -> str | None:
    if reason is not None and isinstance(function, SutroGatheredFunction):
        return f"{reason}, and its calls are gathered"
    if reason is None and function.batch_mode == "realtime":
        return 'its batch_mode is "realtime"'
    return reason


def _inside(
    step: Runnable[Any, Any], where: tuple[str, ...], reason: str | None, above: tuple[int, ...]
) -> Iterator[FunctionPlan]:
    if not isinstance(step, RunnableLambda):
        for part in held(step):
            yield from _found(part, where, reason or _obstacle(step), above)
    for name in ("func", "afunc"):
        function = vars(step).get(name)
        if callable(function):
            yield from _referred(step, function, where, reason, above)


def _obstacle(step: Runnable[Any, Any]) -> str | None:
    """Why a step does not pass a batch on as one."""
    if isinstance(step, WholeBatch) or shape_of(step) is not None:
        return None
    if type(step).batch is Runnable.batch:
        return f"{step.get_name()} calls it once for each row"
    return f"{step.get_name()} has a batch of its own, which may call it once for each row"


def _referred(
    step: Runnable[Any, Any],
    function: Callable[..., Any],
    where: tuple[str, ...],
    reason: str | None,
    above: tuple[int, ...],
) -> Iterator[FunctionPlan]:
    """The Functions that a function refers to: it calls them, or else it returns them."""
    names, known = references(function)
    if not isinstance(step, RunnableLambda) or shape_of(step) is None or names & _CALLS:
        reason = reason or f"{step.get_name()} calls it once for each row"
    elif makes_functions(function):
        reason = reason or f"{step.get_name()} may make a Runnable of its own for each row"
    for part in known:
        yield from _found(part, where, reason, above)
