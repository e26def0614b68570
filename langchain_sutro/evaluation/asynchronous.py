"""The parameters of a function for its asynchronous form, so that they are written once."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

__all__ = ["asynchronous_form_of"]

_P = ParamSpec("_P")
_T = TypeVar("_T")


def asynchronous_form_of(
    function: Callable[_P, _T],
) -> Callable[[Callable[..., Coroutine[Any, Any, _T]]], Callable[_P, Coroutine[Any, Any, _T]]]:
    """Give a coroutine function the parameters of its synchronous form.

    Args:
        function: The synchronous form.
    """

    def with_parameters(
        coroutine: Callable[..., Coroutine[Any, Any, _T]],
    ) -> Callable[_P, Coroutine[Any, Any, _T]]:
        coroutine.__signature__ = inspect.signature(function)  # type: ignore[attr-defined]
        return coroutine

    return with_parameters
