"""`one_job`: a chain whose batch is one job for each Function, whatever its shape."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from langchain_core.runnables import (
    RouterRunnable,
    Runnable,
    RunnableAssign,
    RunnableBranch,
    RunnableLambda,
    RunnableParallel,
    RunnableSequence,
    RunnableWithFallbacks,
)
from langchain_core.runnables.base import RunnableBinding, RunnableBindingBase, RunnableEach
from langchain_core.runnables.configurable import (
    RunnableConfigurableAlternatives,
    RunnableConfigurableFields,
)
from langchain_core.runnables.retry import RunnableRetry

from langchain_sutro._exports import exported_from
from langchain_sutro.functions.assign import SutroAssign
from langchain_sutro.functions.function import SutroFunction
from langchain_sutro.functions.router import SutroRouter
from langchain_sutro.functions.shapes import (
    Alternatives,
    Assign,
    Branch,
    Each,
    Fallbacks,
    Fields,
    Parallel,
    Retry,
    Router,
    Sequential,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["FunctionPlan", "OneJob", "one_job"]

_SHAPES: tuple[tuple[type[Any], type[Any]], ...] = (
    (RunnableSequence, Sequential),
    (RunnableParallel, Parallel),
    (RunnableAssign, Assign),
    (RunnableBranch, Branch),
    (RunnableEach, Each),
    (RouterRunnable, Router),
    (RunnableWithFallbacks, Fallbacks),
    (RunnableConfigurableFields, Fields),
    (RunnableConfigurableAlternatives, Alternatives),
    (RunnableRetry, Retry),
)
# These pass a batch on as one; only what they hold is replaced.
_PASSES_ON = (RunnableBindingBase, SutroAssign, SutroRouter)


@exported_from("langchain_sutro")
@dataclass(frozen=True)
class FunctionPlan:
    """What a batch of a chain does with one of its Functions.

    Attributes:
        function: The Function's name.
        where: The steps that lead to it.
        one_job: Whether a batch makes one job for it.
        reason: Why it does not, if so.
    """

    function: str
    where: str
    one_job: bool
    reason: str | None = None


class OneJob(RunnableBinding[Any, Any]):  # type: ignore[no-redef] # its field `kwargs`
    """A chain that `one_job` returned; its batches pass all rows to each step at once."""

    def plan(self) -> list[FunctionPlan]:
        """What a batch does with each Function in the chain."""
        return list(_plan(self.bound, (), None))


@exported_from("langchain_sutro")
def one_job(chain: Runnable[Any, Any]) -> OneJob:
    """Return an equivalent chain whose batch makes one job for each Function.

    LangChain's `batch` calls `invoke` for each row in `RunnableParallel`, `assign`, branches and
    routers. The chain that is returned passes all rows to each step at once. Results, errors,
    order and runs are the same, and so is everything but batches.

    Args:
        chain: Any Runnable. It is not changed.

    Returns:
        The chain. Its `plan` tells for each Function whether a batch makes one job.
    """
    if isinstance(chain, OneJob):
        return chain
    return OneJob(bound=_whole(chain), kwargs={}, config={})


def _whole(step: Any) -> Any:
    """The step, with every shape in it replaced."""
    if isinstance(step, list | tuple):
        return type(step)(_whole(part) for part in step)
    if isinstance(step, dict):
        return {key: _whole(part) for key, part in step.items()}
    for original, shape in _SHAPES:
        # A subclass may have a batch of its own.
        if _class_of(step) is original:
            fields = {name: _whole(getattr(step, name)) for name in original.model_fields}
            return shape.model_construct(step.model_fields_set, **fields)
    if isinstance(step, _PASSES_ON):
        fields = {
            name: _whole(getattr(step, name))
            for name in ("bound", "judge", "branches", "fallback")
            if name in type(step).model_fields
        }
        return step.model_copy(update=fields)
    return step


def _class_of(step: Any) -> type[Any]:
    """The class of an object, without type arguments: pydantic makes a class for each of those."""
    kind: type[Any] = type(step)
    generic = getattr(kind, "__pydantic_generic_metadata__", None) or {}
    return generic.get("origin") or kind


def _plan(step: Any, where: tuple[str, ...], reason: str | None) -> Iterator[FunctionPlan]:
    if isinstance(step, SutroFunction):
        if reason is None and step.batch_mode == "realtime":
            reason = 'its batch_mode is "realtime"'
        yield FunctionPlan(step.function, " > ".join(where), reason is None, reason)
    elif isinstance(step, list | tuple):
        for part in step:
            yield from _plan(part, where, reason)
    elif isinstance(step, dict):
        for key, part in step.items():
            yield from _plan(part, (*where, str(key)), reason)
    elif isinstance(step, Runnable):
        for part in _parts(step):
            yield from _plan(part, (*where, step.get_name()), reason or _obstacle(step))


def _parts(step: Runnable[Any, Any]) -> list[Any]:
    """What a step holds that may be or hold a Function."""
    if isinstance(step, RunnableLambda):
        # LangChain finds the Runnables that a function refers to.
        return list(step.deps)
    fields = getattr(type(step), "model_fields", None) or vars(step)
    held = [getattr(step, name, None) for name in fields]
    return [part for part in held if isinstance(part, Runnable | list | tuple | dict)]


def _obstacle(step: Runnable[Any, Any]) -> str | None:
    """Why a step does not pass a batch on as one."""
    if isinstance(step, RunnableLambda):
        return f"{step.get_name()} calls it once for each row"
    if _class_of(step) in {shape for _, shape in _SHAPES} or isinstance(step, _PASSES_ON):
        return None
    return f"one_job does not know how {type(step).__name__} runs a batch"
