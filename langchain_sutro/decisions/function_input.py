"""The input of a Function for a question: from the state, and from the question itself."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from langchain_sutro.decisions.questions import options
from langchain_sutro.decisions.state import is_media, is_message, json_text, judged_text
from langchain_sutro.errors import SutroConfigurationError, SutroError, SutroInputError
from langchain_sutro.functions import ABSENT, holds, inside, named_arguments

if TYPE_CHECKING:
    from langchain_sutro.decisions.questions import AskedQuestion

__all__ = ["DecisionFields", "InputMaker"]

DecisionFields: TypeAlias = str | Mapping[str, str] | Callable[..., Any] | None
"""Where the input of a Function comes from; see `DecisionFunction`."""

_GENERAL = ("state", "instructions", "options")
_OFFERED = ("state", "question", "text", "question_id")
# The parts of a request, by which a path may start.
_PARTS = ("text", *_GENERAL, "question_id")


class InputMaker:
    """Makes the input of one Function.

    Args:
        fields: What the user says about it.
        known: The fields of the Function; None if they are not known.
        required: Those of them that it needs.
        general: Whether a Function of which nothing is known is a general judge.

    Raises:
        SutroConfigurationError: `fields` is not valid.
    """

    def __init__(
        self,
        fields: DecisionFields,
        known: tuple[str, ...] | None,
        required: tuple[str, ...],
        *,
        general: bool,
    ) -> None:
        self._fields = fields
        self._known = known
        self._required = required
        if fields is None and known is None and general:
            self._fields = {name: name for name in _GENERAL}
        elif fields is None and known is not None and {"instructions", "options"} & set(known):
            self._fields = {name: name for name in known if name in _PARTS}
        self._call = _callable(fields) if callable(fields) else None
        if isinstance(fields, Mapping):
            for field, path in fields.items():
                if not isinstance(path, str) or "" in path.split("."):
                    raise SutroConfigurationError(
                        f"The path of field {field!r} must be keys and indices with dots between "
                        "them."
                    )
        elif fields is not None and not isinstance(fields, str) and self._call is None:
            raise SutroConfigurationError(
                "fields must be the name of the field that receives the text, a dict of paths or "
                f"a callable, not {type(fields).__name__}."
            )

    def row(self, question_id: str, question: AskedQuestion, state: Any) -> Any:
        """The input for a question.

        Raises:
            SutroInputError: The state lacks what the Function needs, or contains images or
                documents which it is not given; or the callable raised an error.
        """
        if self._call is not None:
            return self._called(question_id, question, state)
        request = _Request(question_id, question, state)
        if isinstance(self._fields, str):
            return {self._fields: judged_text(state)}
        if isinstance(self._fields, Mapping):
            return {field: request.at(field, path) for field, path in self._fields.items()}
        return self._by_default(request)

    def _called(self, question_id: str, question: AskedQuestion, state: Any) -> Any:
        call: Any = self._call
        try:
            return call(state, question, question_id)
        except SutroError:
            raise
        except Exception as error:
            # Its message may contain the state.
            raise SutroInputError(
                f"fields= raised {type(error).__name__} for this state."
            ) from error

    def _by_default(self, request: _Request) -> Any:
        state, known = request.state, self._known
        record = isinstance(state, Mapping) and not _holds_messages(state)
        if known is None:
            # The service takes a string for a Function of one field.
            return (
                {name: _value(value) for name, value in state.items()}
                if record
                else (judged_text(state))
            )
        if record and known and set(self._required or known) <= state.keys():
            return {name: _value(state[name]) for name in known if name in state}
        if len(known) == 1:
            return {known[0]: judged_text(state)}
        raise SutroInputError(
            f"the Function has the fields {', '.join(known)}: pass fields= to say what of the "
            "state they receive."
        )


class _Request:
    """The parts of a request that paths lead to."""

    def __init__(self, question_id: str, question: AskedQuestion, state: Any) -> None:
        self.state = state
        self._question = question
        self._question_id = question_id

    def at(self, field: str, path: str) -> Any:
        """What a path leads to.

        Raises:
            SutroInputError: Nothing.
        """
        root, *steps = path.split(".")
        if not steps and root in _PARTS:
            return self._part(root)
        value = self.state
        for step in steps if root == "state" else [root, *steps]:
            found = inside(value, step)
            if found is ABSENT:
                raise SutroInputError(
                    f"field {field!r} comes from {path!r} of the state, which {holds(value)}.",
                    column=field,
                )
            value = found
        return _value(value)

    def _part(self, name: str) -> str:
        if name == "text":
            return judged_text(self.state)
        if name == "state":
            return json_text(self.state)
        if name == "instructions":
            return json_text(self._question.instructions)
        if name == "options":
            return json_text(options(self._question))
        return self._question_id


def _value(value: Any) -> Any:
    """A part of the state as a field: plain values and images as they are, all else as text."""
    if value is None or isinstance(value, str | bool | int | float) or is_media(value):
        return value
    return judged_text(value) if is_message(value) else json_text(value)


def _holds_messages(state: Mapping[Any, Any]) -> bool:
    return is_message(state) or "messages" in state or "tool_call" in state


def _callable(call: Callable[..., Any]) -> Callable[[Any, Any, str], Any]:
    """The user's callable, called with what it takes."""
    names = named_arguments(call, _OFFERED)
    if names:

        def by_name(state: Any, question: Any, question_id: str) -> Any:
            given = {"state": state, "question": question, "question_id": question_id}
            if "text" in names:
                given["text"] = judged_text(state)
            return call(**{name: given[name] for name in names})

        return by_name
    try:
        inspect.signature(call).bind(None)
    except (TypeError, ValueError):
        raise SutroConfigurationError(
            f"The callable for fields must take any of {', '.join(_OFFERED)}, by these names."
        ) from None
    return lambda state, question, question_id: call(state)  # noqa: ARG005 - one argument
