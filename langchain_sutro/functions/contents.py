"""What a Runnable holds, and what a function refers to, found without calling anything."""

from __future__ import annotations

import inspect
from functools import partial
from types import CodeType, FunctionType
from typing import TYPE_CHECKING, Any

from langchain_core.runnables import Runnable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["held", "holds", "makes_functions", "references"]

# A container with more elements than this holds data.
_MOST_PARTS = 1_000
_COMPREHENSIONS = ("<listcomp>", "<dictcomp>", "<setcomp>", "<genexpr>")


def holds(step: Any, wanted: Callable[[Any], bool]) -> bool:
    """Whether a Runnable, or a function in it, holds or refers to something.

    Args:
        step: The Runnable.
        wanted: Whether an object is what is looked for.
    """
    seen: set[int] = set()
    left = [step]
    while left:
        part = left.pop()
        if id(part) in seen:
            continue
        seen.add(id(part))
        if wanted(part):
            return True
        if isinstance(part, Runnable):
            left += held(part)
            for name in ("func", "afunc"):
                function = vars(part).get(name)
                left += references(function)[1] if callable(function) else ()
        elif isinstance(part, dict):
            left += part.values()
        elif isinstance(part, list | tuple):
            left += part
    return False


def held(step: Runnable[Any, Any]) -> Iterator[Any]:
    """What a Runnable holds that may be or hold another."""
    for value in list(vars(step).values()):
        if isinstance(value, Runnable) or (
            isinstance(value, list | tuple) and len(value) <= _MOST_PARTS
        ):
            yield value
        elif isinstance(value, dict) and len(value) <= _MOST_PARTS:
            # A node of a LangGraph graph is not a Runnable, and holds one.
            yield {
                key: part if isinstance(part, Runnable) else getattr(part, "bound", part)
                for key, part in value.items()
            }


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
    function = _plain(function)
    if not isinstance(function, FunctionType):
        return set(), given
    names = set(_names(function.__code__))
    around = function.__globals__ | _closure(function)
    known = [*given, *(around[name] for name in sorted(names) if name in around)]
    return names, [one for one in known if not _is_data(one)]


def _plain(function: Any) -> Any:
    """The function behind partials, methods and decorators."""
    while isinstance(function, partial):
        function = function.func
    return inspect.unwrap(getattr(function, "__func__", function))


def makes_functions(function: Callable[..., Any]) -> bool:
    """Whether each call of a function makes other functions, which see its variables.

    Args:
        function: A function, method or partial.
    """
    code = getattr(_plain(function), "__code__", None)
    if not isinstance(code, CodeType):
        return False
    inner = (one for one in code.co_consts if isinstance(one, CodeType))
    return any(
        one.co_name not in _COMPREHENSIONS and not set(one.co_freevars).isdisjoint(code.co_cellvars)
        for one in inner
    )


def _is_data(value: Any) -> bool:
    return isinstance(value, list | tuple | dict) and len(value) > _MOST_PARTS


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
