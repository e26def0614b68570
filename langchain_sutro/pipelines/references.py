"""What a function refers to, read from its code without calling it."""

from __future__ import annotations

import inspect
from functools import partial
from types import CodeType, FunctionType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["references"]


def references(function: Callable[..., Any]) -> tuple[set[str], list[Any]]:
    """The names that a function uses, and the objects that they stand for.

    LangChain's own search needs the source, which a notebook or a line with two lambdas lacks.

    Args:
        function: A function, method or partial.

    Returns:
        All names, also those of attributes, and the objects that are variables around the
        function or arguments of a partial.
    """
    given: list[Any] = []
    while isinstance(function, partial):
        given += [*function.args, *function.keywords.values()]
        function = function.func
    function = inspect.unwrap(getattr(function, "__func__", function))
    if not isinstance(function, FunctionType):
        return set(), given
    names = set(_names(function.__code__))
    around = function.__globals__ | _closure(function)
    return names, [*given, *(around[name] for name in sorted(names) if name in around)]


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    yield from code.co_freevars
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _closure(function: FunctionType) -> dict[str, Any]:
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    found = {}
    for name, cell in cells:
        try:
            found[name] = cell.cell_contents
        except ValueError:  # not assigned yet
            continue
    return found
