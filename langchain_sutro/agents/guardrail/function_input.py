"""`RowMaker`: what the judge is given for a message or a tool call."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, NamedTuple

from langchain_sutro.errors import SutroConfigurationError
from langchain_sutro.functions import SutroFunction, input_schema, named_arguments

if TYPE_CHECKING:
    from collections.abc import Callable

    from langchain_core.messages import BaseMessage, ToolCall

__all__ = ["RowMaker", "Subject"]

_OFFERED = ("text", "message", "state", "tool_call")
# Enough of the conversation to see what the user has asked for.
_LAST_MESSAGES = 30


class Subject(NamedTuple):
    """What is judged.

    Attributes:
        text: All of its text.
        message: The message, or the answer that makes the tool call.
        state: The agent's state.
        tool_call: The tool call; None for a message.
        tool_description: The description of the tool that is called, if it is known.
    """

    text: str
    message: BaseMessage | None
    state: Any
    tool_call: ToolCall | None = None
    tool_description: str | None = None


class RowMaker:
    """Makes the judge's input.

    Args:
        fields: The argument of the guardrail.
        judge: The Function or the decision model.

    Raises:
        SutroConfigurationError: `fields` is invalid, or needed.
    """

    def __init__(self, fields: str | Callable[..., Any] | None, judge: Any) -> None:
        self._schema = input_schema(judge) if isinstance(judge, SutroFunction) else None
        if isinstance(judge, SutroFunction):
            fields = self._only_field(judge.function) if fields is None else fields
        elif isinstance(fields, str):
            raise SutroConfigurationError(
                "fields must be a callable that returns the state for the decision model, not the "
                "name of a field."
            )
        self._names: tuple[str, ...] = ()
        self._fields = fields
        if callable(fields):
            self._names = _names(fields)
        elif not isinstance(fields, str) and fields is not None:
            raise SutroConfigurationError(
                "fields must be the name of the field that receives the text, or a callable that "
                f"returns the row, not {type(fields).__name__}."
            )

    @property
    def sees_all(self) -> bool:
        """Whether the user's callable is given more than the text, such as images."""
        return not {"message", "state"}.isdisjoint(self._names)

    @property
    def fits(self) -> bool:
        """Whether an input that was refused must have been refused for its text alone."""
        if not isinstance(self._fields, str):
            return self._fields is None
        if self._schema is None:
            return True
        required = self._schema.json_schema.get("required", ())
        return self._fields in self._schema.fields and set(required) <= {self._fields}

    def row(self, subject: Subject) -> Any:
        """The input; None if there is nothing to judge."""
        if callable(self._fields):
            if not self._names:
                return self._fields(subject.text)
            given = subject._asdict()
            return self._fields(**{name: given[name] for name in self._names})
        if not subject.text.strip():
            return None
        if self._fields is not None:
            return {self._fields: subject.text}
        return subject.text if subject.tool_call is None else _call_state(subject)

    def _only_field(self, function: str) -> str:
        known = () if self._schema is None else self._schema.fields
        if len(known) != 1:
            raise SutroConfigurationError(
                f"Which field of {function!r} receives the message's text? Pass fields=, its "
                "name or a callable that returns the row."
            )
        return known[0]


def _call_state(subject: Subject) -> dict[str, Any]:
    """As LangChain's `AutoModeMiddleware` describes a call to a decision model."""
    call: Any = subject.tool_call
    state = {
        "messages": list(subject.state.get("messages", ()))[-_LAST_MESSAGES:],
        "tool_call": {"id": call["id"], "name": call["name"], "args": call["args"]},
    }
    if subject.tool_description:
        state["tool_description"] = subject.tool_description
    return state


def _names(fields: Callable[..., Any]) -> tuple[str, ...]:
    """The names by which the callable takes its arguments; none if it takes the text by position.

    Raises:
        SutroConfigurationError: It can be called in neither way.
    """
    names = named_arguments(fields, _OFFERED)
    if names or _takes_one(fields):
        return names
    raise SutroConfigurationError(
        "The callable for fields must have a single parameter, the text, or take any of text, "
        "message, state, by these names, and tool_call."
    )


def _takes_one(fields: Callable[..., Any]) -> bool:
    try:
        parameters = list(inspect.signature(fields).parameters.values())
    except ValueError:  # some builtins have no signature
        return False
    by_position = [one for one in parameters if one.kind in _BY_POSITION]
    needed = [
        one
        for one in parameters
        if one.default is one.empty and one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)
    ]
    if needed:
        return len(needed) == 1 and needed == by_position[:1]
    return len(by_position) == 1


_BY_POSITION = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
