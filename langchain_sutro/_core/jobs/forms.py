"""Both forms of a verb, from one function that is written as steps: its signature exists once."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from langchain_sutro._core.service import arun_steps, run_steps

if TYPE_CHECKING:
    from langchain_sutro._core.service import Steps

__all__ = ["asynchronous", "bound_to", "steps_of", "synchronous"]

_P = ParamSpec("_P")
_T = TypeVar("_T")
_S = TypeVar("_S")
_STEPS = "Steps["


def synchronous(steps: Callable[_P, Steps[_T]]) -> Callable[_P, _T]:
    """The form that carries the steps out in the calling thread.

    Args:
        steps: A function or method that is a generator of steps. Its signature and its docstring
            are those of both forms.
    """

    @wraps(steps)
    def call(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        return run_steps(steps(*args, **kwargs))

    return _described(call, steps)


def asynchronous(form: Callable[_P, _T]) -> Callable[_P, Coroutine[Any, Any, _T]]:
    """The form that carries the steps out without blocking the event loop.

    Args:
        form: What `synchronous` made.
    """
    steps = steps_of(form)

    @wraps(steps)
    async def call(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        return await arun_steps(steps(*args, **kwargs))

    call.__name__ = f"a{steps.__name__}"
    call.__qualname__ = f"{steps.__qualname__.removesuffix(steps.__name__)}{call.__name__}"
    described = _described(call, steps)
    _, _, rest = (steps.__doc__ or "").partition("\n")
    described.__doc__ = f"Asynchronous form of `{steps.__name__}`.\n{rest}"
    return described


def steps_of(form: Callable[_P, _T]) -> Callable[_P, Steps[_T]]:
    """The steps behind what `synchronous` made, for a verb that contains another."""
    steps: Callable[_P, Steps[_T]] = form.steps  # type: ignore[attr-defined]
    return steps


def bound_to(
    owner: Callable[[], _S], method: Callable[Concatenate[_S, _P], _T]
) -> Callable[_P, _T]:
    """The function that calls a method of an object, with that method's signature.

    Args:
        owner: Gives the object, at each call.
        method: Of its class.
    """

    @wraps(method)
    def call(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        return method(owner(), *args, **kwargs)

    whole = inspect.signature(method)
    call.__signature__ = whole.replace(  # type: ignore[attr-defined]
        parameters=list(whole.parameters.values())[1:]
    )
    call.__qualname__ = method.__name__
    return call


_F = TypeVar("_F", bound=Callable[..., Any])


def _described(call: _F, steps: Callable[..., Any]) -> _F:
    """Show what the form returns, rather than its steps."""
    signature = inspect.signature(steps)
    returned = str(signature.return_annotation).removeprefix(_STEPS).removesuffix("]")
    call.__signature__ = signature.replace(  # type: ignore[attr-defined]
        return_annotation=returned
    )
    call.__annotations__ = {**steps.__annotations__, "return": returned}
    call.steps = steps  # type: ignore[attr-defined]
    return call
