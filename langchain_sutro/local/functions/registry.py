"""The Functions that a deployment publishes, by name."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, get_origin, get_type_hints

from pydantic import BaseModel, Field, TypeAdapter, create_model

from langchain_sutro.local.functions.function import Answer, LocalFunction, Schema

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["Registry", "from_signature"]

# Names in an error message.
_NAMES_SHOWN = 5

_NAMELESS = (
    inspect.Parameter.POSITIONAL_ONLY,
    inspect.Parameter.VAR_POSITIONAL,
    inspect.Parameter.VAR_KEYWORD,
)


class Registry:
    """Functions by name. Safe from any thread."""

    def __init__(self, functions: Iterable[LocalFunction]) -> None:
        self._published = threading.Condition()
        self._functions = {function.name: function for function in functions}

    def publish(self, function: LocalFunction) -> None:
        """Add a Function, or replace the one of this name."""
        with self._published:
            self._functions[function.name] = function
            self._published.notify_all()

    def get(self, name: str) -> LocalFunction | None:
        """The Function of this name."""
        return self._functions.get(name)

    def wait_for(self, name: str, seconds: float) -> LocalFunction | None:
        """The Function of this name, if it is published within so many seconds."""
        with self._published:
            self._published.wait_for(lambda: name in self._functions, seconds)
            return self._functions.get(name)

    def nearest(self, name: str) -> str:
        """What to try instead of a name that is not published, in a sentence."""
        names = list(self._functions)
        if found := get_close_matches(name, names, n=3):
            return f"Did you mean {' or '.join(map(repr, found))}?"
        if not names:
            return "Nothing is published here."
        more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
        return f"Published here: {', '.join(map(repr, names[:_NAMES_SHOWN]))}{more}."

    def all(self) -> list[LocalFunction]:
        """All Functions, in the order of their publication."""
        return list(self._functions.values())


def from_signature(
    call: Callable[..., Any],
    *,
    name: str | None = None,
    input_schema: Schema | None = None,
    output_schema: Schema | None = None,
    description: str | None = None,
    prompt: str | None = None,
) -> LocalFunction:
    """Make a Function of a Python function, with the schemas from its type hints where not given.

    Without `input_schema`, a single parameter that is a pydantic model is the row; otherwise each
    parameter is a field, required if it has no default.

    Raises:
        TypeError: The hints do not give a schema.
    """
    try:
        hints = get_type_hints(call, include_extras=True)
    except NameError as error:
        raise TypeError(f"{call.__name__}: {error}; give both schemas.") from error
    answer = hints.pop("return", None)
    if output_schema is None:
        output_schema = _output_schema(call, answer)
    if input_schema is None:
        input_schema, call = _inputs(call, hints)
    return LocalFunction(
        name or call.__name__.replace("_", "-"),
        call,
        input_schema=input_schema,
        output_schema=output_schema,
        description=description,
        prompt=prompt,
    )


def _inputs(
    call: Callable[..., Any], hints: dict[str, Any]
) -> tuple[type[BaseModel], Callable[[Any], Any]]:
    parameters = list(inspect.signature(call).parameters.values())
    if len(parameters) == 1:
        hint = hints.get(parameters[0].name)
        if isinstance(hint, type) and issubclass(hint, BaseModel):
            return hint, call
        if get_origin(hint) or hint in (dict, Mapping):
            raise TypeError(f"{call.__name__} takes whole rows; give input_schema.")
    fields: dict[str, Any] = {}
    # Fields get an alias, since a model has no attribute called `schema` or `_x` of its own.
    for position, parameter in enumerate(parameters):
        if parameter.kind in _NAMELESS:
            raise TypeError(f"{call.__name__}: not every parameter has a name; give input_schema.")
        default = ... if parameter.default is parameter.empty else parameter.default
        field = Field(default, alias=parameter.name, title=parameter.name)
        fields[f"field_{position}"] = (hints.get(parameter.name, str), field)
    model = create_model(f"{call.__name__}_input", **fields)
    return model, _spread(call, [parameter.name for parameter in parameters])


def _spread(call: Callable[..., Any], names: list[str]) -> Callable[[Any], Any]:
    """Give the fields of a row to a function as its parameters."""

    def arguments(row: Any) -> dict[str, Any]:
        return {name: getattr(row, f"field_{position}") for position, name in enumerate(names)}

    if inspect.iscoroutinefunction(call):

        async def spread_async(row: Any) -> Any:
            return await call(**arguments(row))

        spread: Callable[[Any], Any] = spread_async
    else:

        def spread_sync(row: Any) -> Any:
            return call(**arguments(row))

        spread = spread_sync
    spread.__name__ = call.__name__
    spread.__doc__ = call.__doc__
    return spread


def _output_schema(call: Callable[..., Any], hint: Any) -> Schema:
    if hint in (None, Any, Answer):
        raise TypeError(
            f"{call.__name__}: no schema can be derived from its return type; give output_schema."
        )
    if isinstance(hint, type) and issubclass(hint, BaseModel):
        return hint
    try:
        schema = TypeAdapter(hint).json_schema()
    except Exception as error:
        raise TypeError(
            f"{call.__name__}: no schema can be derived from {hint}; give output_schema."
        ) from error
    return schema
