"""Callables of the user that take what they need by name."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["named_arguments"]


def named_arguments(call: Callable[..., Any], offered: Sequence[str]) -> tuple[str, ...]:
    """The names by which a callable takes some of what is offered.

    Args:
        call: The callable; with `**kwargs` it takes everything.
        offered: The names of what it may take.

    Returns:
        The names among `offered` to call it with; empty if it takes none of them, needs anything
        else, or takes arguments by position only.
    """
    try:
        parameters = inspect.signature(call).parameters.values()
    except ValueError:  # some builtins have no signature
        return ()
    if any(one.kind is one.POSITIONAL_ONLY for one in parameters):
        return ()
    if any(_is_required(one) for one in parameters if one.name not in offered):
        return ()
    if any(one.kind is one.VAR_KEYWORD for one in parameters):
        return tuple(offered)
    return tuple(one.name for one in parameters if one.name in offered)


def _is_required(parameter: inspect.Parameter) -> bool:
    variadic = parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    return parameter.default is parameter.empty and not variadic
