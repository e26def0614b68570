"""Whether two Runnables do the same, such as those that a function makes for each row."""

from __future__ import annotations

from types import FunctionType, MethodType
from typing import Any

from langchain_core.runnables import Runnable, RunnableLambda
from pydantic import BaseModel

__all__ = ["likeness"]

_PLAIN = (str, bytes, int, float, bool, type(None))


def likeness(value: Any) -> object:
    """A key that is the same for Runnables of the same steps and settings.

    Args:
        value: A Runnable, or what it holds. It must be kept while keys are compared, since objects
            whose content is unknown are themselves.

    Returns:
        A hashable key.
    """
    kind = type(value)
    if kind is RunnableLambda or (isinstance(value, Runnable) and isinstance(value, BaseModel)):
        private = getattr(value, "__pydantic_private__", None)
        return (kind, likeness(dict(vars(value))), likeness(private))
    if kind in _PLAIN:
        return (kind, value)
    if kind in (dict, list, tuple):
        parts = value.items() if kind is dict else value
        return (kind, *map(likeness, parts))
    return _of_function(value) if isinstance(value, FunctionType | MethodType) else id(value)


def _of_function(function: FunctionType | MethodType) -> object:
    """Functions of one definition that see the same variables do the same."""
    if isinstance(function, MethodType):
        return (MethodType, id(function.__self__), id(function.__func__))
    return (
        FunctionType,
        function.__code__,
        id(function.__globals__),
        tuple(map(id, function.__closure__ or ())),
        likeness(function.__defaults__),
        likeness(function.__kwdefaults__),
    )
