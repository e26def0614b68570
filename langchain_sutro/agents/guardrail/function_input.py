"""The Function's input for a message."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_sutro.errors import SutroConfigurationError
from langchain_sutro.functions import input_schema, named_arguments

if TYPE_CHECKING:
    from collections.abc import Callable

    from langchain_core.messages import BaseMessage

    from langchain_sutro.functions import SutroFunction

__all__ = ["row_maker"]

_OFFERED = ("text", "message", "state")


def row_maker(
    fields: str | Callable[..., Any] | None, function: SutroFunction
) -> Callable[[BaseMessage, Any], Any]:
    """A callable that makes the Function's input from a message and the state; None to skip it."""
    if fields is None:
        fields = _only_field(function)
    if isinstance(fields, str):

        def row(message: BaseMessage, _: Any) -> dict[str, str] | None:
            text = str(message.text)
            return {fields: text} if text.strip() else None

        return row
    if not callable(fields):
        raise SutroConfigurationError(
            "fields must be the name of the field that receives the text, or a callable that "
            f"returns the row, not {type(fields).__name__}."
        )
    names = named_arguments(fields, _OFFERED)
    if not names:
        raise SutroConfigurationError(
            f"The callable for fields must take any of {', '.join(_OFFERED)}, by these names."
        )

    def made(message: BaseMessage, state: Any) -> Any:
        given = {"text": str(message.text), "message": message, "state": state}
        return fields(**{name: given[name] for name in names})

    return made


def _only_field(function: SutroFunction) -> str:
    schema = input_schema(function)
    known = () if schema is None else schema.fields
    if len(known) != 1:
        raise SutroConfigurationError(
            f"Which field of {function.function!r} receives the message's text? Pass fields=, its "
            "name or a callable that returns the row."
        )
    return known[0]
