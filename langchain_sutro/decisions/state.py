"""The state of a request: the text of it that is judged, and the whole of it as JSON."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from langchain_core.messages import AIMessage, BaseMessage, ChatMessage, ToolMessage
from pydantic import BaseModel

from langchain_sutro.errors import SutroInputError

__all__ = ["is_list", "is_media", "is_message", "json_text", "judged_text"]

_ROLES = {"human": "user", "ai": "assistant"}
_KNOWN_ROLES = ("user", "assistant", "system", "developer", "tool", "function", *_ROLES)
_MEDIA_TYPES = frozenset(
    {
        *("image", "image_url", "input_image", "audio", "input_audio", "video"),
        *("file", "input_file", "document", "media", "pdf"),
    }
)
# Where such a block keeps what it shows; another object may be of type "file" too.
_MEDIA_SOURCES = frozenset(
    {
        *("base64", "url", "data", "source", "file", "file_id", "file_data", "file_url"),
        *("image_url", "input_audio"),
    }
)
_DATA_URL = re.compile(r"data:[^,]{0,200};base64,")
_DEEPEST = 100


@dataclass(frozen=True)
class _Message:
    """A message, in whichever form it came.

    Attributes:
        role: `"user"`, `"assistant"`, `"system"`, `"tool"` or another.
        text: Its text.
        tool_calls: `name` and `args` of each tool call.
        more: `name` and `tool_call_id`, if it has them.
    """

    role: str
    text: str
    tool_calls: list[dict[str, Any]]
    more: dict[str, Any]

    def json(self) -> dict[str, Any]:
        """The message as JSON."""
        calls = {"tool_calls": self.tool_calls} if self.tool_calls else {}
        return {"role": self.role, "content": self.text, **calls, **self.more}


def judged_text(state: Any) -> str:
    """The text of a state that is judged unless its user says otherwise.

    - A string is judged as it is, a message by its text, or by its tool calls if it has no text.
    - Of several messages, the latest of the user is judged, or the last one if there is none of the
      user.
    - Of an object, `tool_call` is judged by its name and arguments, as JSON; otherwise `messages`
      as above; otherwise the whole object as JSON.

    Args:
        state: As LangChain's `State`, or the same as JSON.

    Raises:
        SutroInputError: What is judged contains an image or a document, or has no JSON form.
    """
    if isinstance(state, str):
        return str(_plain(state))
    if is_message(state):
        message = _read(state)
        return message.text or json_text(message.tool_calls)
    if isinstance(state, Mapping):
        call = state.get("tool_call")
        if isinstance(call, Mapping) and "name" in call:
            return json_text({"name": call["name"], "args": call.get("args")})
        if is_list(state.get("messages")) and state["messages"]:
            return judged_text(state["messages"])
    if is_list(state):
        told = [one for one in state if is_message(one)]
        said = [one for one in told if _role(one) == "user"]
        if told:
            return judged_text((said or told)[-1])
    return json_text(state)


def json_text(value: Any) -> str:
    """A value as JSON text, with messages as objects.

    Raises:
        SutroInputError: It contains an image or a document, or has no JSON form.
    """
    try:
        return orjson.dumps(_plain(value)).decode()
    except SutroInputError:
        raise
    except (TypeError, ValueError) as error:
        raise SutroInputError(f"The state has no JSON form: {error}.") from None


def _plain(value: Any, depth: int = 0) -> Any:
    """A value as JSON, with messages as objects of role and content.

    Raises:
        SutroInputError: As for `json_text`.
    """
    if depth > _DEEPEST:
        raise SutroInputError("The state is nested too deeply.")
    if isinstance(value, str):
        return value if _DATA_URL.match(value) is None else _refuse_media()
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, BaseMessage):
        return _plain(_read(value).json(), depth + 1)
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json")
    if isinstance(value, Mapping):
        if is_media(value):
            _refuse_media()
        if not all(isinstance(key, str) for key in value):
            raise SutroInputError("The keys of objects in the state must be strings.")
        return {key: _plain(part, depth + 1) for key, part in value.items()}
    if is_list(value):
        return [_plain(part, depth + 1) for part in value]
    raise SutroInputError(f"The state contains a {type(value).__name__}, which has no JSON form.")


def is_media(value: Any) -> bool:
    """Whether a value is a content block with an image, a document or a recording."""
    if not isinstance(value, Mapping):
        return False
    kind = value.get("type")
    named = isinstance(kind, str) and kind in _MEDIA_TYPES
    return "base64" in value or (named and not _MEDIA_SOURCES.isdisjoint(value))


def is_list(value: Any) -> bool:
    """Whether a value is a JSON array."""
    return isinstance(value, Sequence) and not isinstance(value, str | bytes | bytearray)


def is_message(value: Any) -> bool:
    """Whether a value is a message, or an object of role and content."""
    if isinstance(value, BaseMessage):
        return True
    if not isinstance(value, Mapping) or "content" not in value:
        return False
    role = value.get("role")
    return isinstance(role, str) and role in _KNOWN_ROLES


def _role(message: Any) -> str:
    """The role of a message, by the names of the wire."""
    if isinstance(message, BaseMessage):
        role = message.role if isinstance(message, ChatMessage) else message.type
    else:
        role = message["role"]
    return _ROLES.get(role, role)


def _read(message: Any) -> _Message:
    if isinstance(message, BaseMessage):
        content, calls = (
            message.content,
            message.tool_calls if isinstance(message, AIMessage) else [],
        )
        given = {"name": message.name}
        if isinstance(message, ToolMessage):
            given["tool_call_id"] = message.tool_call_id
    else:
        content, calls = message["content"], message.get("tool_calls") or []
        given = {name: message.get(name) for name in ("name", "tool_call_id")}
    more = {name: value for name, value in given.items() if value is not None}
    return _Message(_role(message), _text(content), [*map(_tool_call, calls)], more)


def _text(content: Any) -> str:
    """The text of a message's content.

    Raises:
        SutroInputError: It contains an image or a document.
    """
    if isinstance(content, str):
        return str(_plain(content))
    blocks = content if is_list(content) else []
    if any(map(is_media, blocks)):
        _refuse_media()
    texts = [one if isinstance(one, str) else _block_text(one) for one in blocks]
    return "".join(_plain(text) for text in texts)


def _block_text(block: Any) -> str:
    text = block.get("text") if isinstance(block, Mapping) else None
    return text if isinstance(text, str) else ""


def _tool_call(call: Any) -> dict[str, Any]:
    """`name` and `args` of a tool call, in LangChain's form or that of the OpenAI API."""
    inner = call.get("function") if isinstance(call, Mapping) else None
    if isinstance(inner, Mapping):
        arguments = inner.get("arguments")
        try:
            args = orjson.loads(arguments) if isinstance(arguments, str) else arguments
        except ValueError:
            args = arguments
        return {"name": inner.get("name"), "args": args}
    if isinstance(call, Mapping):
        return {"name": call.get("name"), "args": call.get("args")}
    raise SutroInputError("A tool call in the state is not an object.")


def _refuse_media() -> str:
    raise SutroInputError(
        "The state contains an image, a document or a recording, but the Function is given text "
        "only. Pass fields= with a callable that returns the Function's input."
    )
