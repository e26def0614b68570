"""What a reader of a message reads: its text, and whether some of it has no text to judge."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from typing import TYPE_CHECKING, Any, NamedTuple

from langchain_core.messages import AIMessage, ToolMessage

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from langchain_core.messages import BaseMessage, ToolCall

__all__ = [
    "CALL_BLOCKS",
    "Content",
    "answer_content",
    "call_content",
    "call_digest",
    "message_content",
    "message_digest",
]

# Blocks whose strings are all prose, links of citations included.
_PROSE = frozenset(
    {
        *("text", "input_text", "output_text", "summary_text", "refusal"),
        *("reasoning", "reasoning_text", "thinking", "citation", "search_result"),
        *("tool_use", "tool_call", "tool_call_chunk", "invalid_tool_call", "function_call"),
        *("server_tool_use", "server_tool_call", "web_search_call"),
    }
)
# Blocks that repeat a tool call.
CALL_BLOCKS = frozenset({"tool_use", "tool_call", "function_call", "custom_tool_call"})
# Encrypted by the provider, which accepts only what it has written itself.
_ENCRYPTED = frozenset({"redacted_thinking"})
# Fields that hold or name an image, a recording or a file.
_MEDIA = frozenset(
    {
        *("base64", "bytes", "data", "file_data", "file_id", "file_uri", "file_url", "image_url"),
        *("uri", "url", "video_url"),
    }
)
# Fields that steer the provider, and which no model reads as long as they hold a single word.
_TECHNICAL = frozenset(
    {
        *("type", "id", "index", "call_id", "tool_use_id", "mime_type", "media_type", "format"),
        *("detail", "status", "signature", "encrypted_content", "ttl", "source_type"),
    }
)
_WORD = re.compile(r"[\w.:/+=|-]*")
_DEEPEST = 64
# A provider's parsed copy of the answer; it is not sent to a model.
_COPIES = ("parsed",)


class Content(NamedTuple):
    """What a message says.

    Attributes:
        text: All of its text.
        opaque: What has no text, such as `"image"`; None if the text is all there is.
    """

    text: str
    opaque: str | None = None


class _Unreadable(Exception):  # noqa: N818 - it never leaves this file
    """A value that is nested too deeply to be read."""


def message_content(message: BaseMessage) -> Content:
    """What a model reads of a message that somebody else has written.

    Args:
        message: Of any role.
    """
    if isinstance(message, ToolMessage):
        return _content(message.content)
    said = _content(message.content, [_name(message), _kwargs(message)])
    if isinstance(message, AIMessage):
        calls = [call_content(call) for call in message.tool_calls]
        return _joined(said, *calls, _content([], [message.invalid_tool_calls]))
    return said


def answer_content(
    message: AIMessage, answered: Collection[str | None], structured: Any
) -> Content:
    """What a caller reads of a model's answer, but for tool calls that are still to be executed.

    Args:
        message: The answer.
        answered: The ids of its tool calls that have a result, as those of structured output have.
        structured: The structured response that was made of it; None if there is none.
    """
    known = {call["id"] for call in message.tool_calls}
    blocks = message.content
    if isinstance(blocks, list):
        blocks = [one for one in blocks if not _is_call(one, known)]
    kwargs = {name: value for name, value in _kwargs(message).items() if name != "tool_calls"}
    arguments = [
        _as_json(call["args"])
        for call in message.tool_calls
        if call["id"] in answered and call["args"]
    ]
    said = _content(blocks, [kwargs, message.invalid_tool_calls])
    found = _joined(said, *arguments)
    rest = _content([], [_plain(structured)])
    missing = [one for one in rest.text.splitlines() if one not in found.text]
    return _joined(found, Content("\n".join(missing), rest.opaque))


def call_content(call: ToolCall | Mapping[str, Any]) -> Content:
    """A tool call as JSON: its name and arguments."""
    return _as_json({"name": call["name"], "args": call["args"]})


def message_digest(message: BaseMessage) -> str:
    """The hash of all that anybody reads of a message, by which a change is noticed."""
    facts = [
        message.type.lower().removesuffix("messagechunk"),
        getattr(message, "role", None),
        message.content,
        message.name,
        getattr(message, "tool_call_id", None),
        [[call["id"], call["name"], call["args"]] for call in getattr(message, "tool_calls", ())],
        getattr(message, "invalid_tool_calls", None) or [],
        _kwargs(message),
    ]
    return _digest(facts)


def call_digest(call: ToolCall | Mapping[str, Any]) -> str:
    """The hash of a tool call."""
    return _digest([call["id"], call["name"], call["args"]])


def _digest(value: Any) -> str:
    try:
        text = json.dumps(value, default=str, sort_keys=True)
    except (RecursionError, TypeError, ValueError):
        # Equal to no other, so that no decision ever covers it.
        return secrets.token_hex(32)
    return hashlib.sha256(text.encode()).hexdigest()


def _as_json(value: Any) -> Content:
    try:
        return Content(json.dumps(value, default=str, ensure_ascii=False))
    except (RecursionError, TypeError, ValueError):
        return Content("", "arguments that have no JSON form")


def _joined(*contents: Content) -> Content:
    opaque = next((one.opaque for one in contents if one.opaque), None)
    return Content("\n".join(one.text for one in contents if one.text), opaque)


def _name(message: BaseMessage) -> list[str]:
    return [one for one in (getattr(message, "role", None), message.name) if one]


def _kwargs(message: BaseMessage) -> dict[str, Any]:
    return {name: value for name, value in message.additional_kwargs.items() if name not in _COPIES}


def _is_call(block: Any, known: Collection[str | None]) -> bool:
    if not isinstance(block, dict) or block.get("type") not in CALL_BLOCKS:
        return False
    return block.get("call_id") in known or block.get("id") in known


def _plain(value: Any) -> Any:
    """A structured response as JSON values."""
    dump = getattr(value, "model_dump", None)
    if callable(dump):
        return dump(mode="json")
    fields = getattr(value, "__dataclass_fields__", None)
    return {name: getattr(value, name) for name in fields} if fields else value


def _content(content: str | list[Any], extra: list[Any] | None = None) -> Content:
    opaque: list[str] = []
    blocks = [content] if isinstance(content, str) else content
    try:
        own = "".join(one for block in blocks for one in _own_text(block))
        more = [one for block in blocks for one in _other_text(block, opaque)]
        more += _strings(extra or (), opaque, prose=True)
    except _Unreadable:
        return Content("", "content that is nested too deeply")
    return Content("\n".join(filter(None, [own, *more])), opaque[0] if opaque else None)


def _own_text(block: Any) -> Iterator[str]:
    if isinstance(block, str):
        yield block
    elif isinstance(block, dict) and block.get("type") == "text":
        text = block.get("text")
        if isinstance(text, str):
            yield text


def _other_text(block: Any, opaque: list[str]) -> list[str]:
    """The strings of a block but for its own text."""
    if isinstance(block, str):
        return []
    if isinstance(block, dict) and block.get("type") == "text":
        block = {**block, "text": None if isinstance(block.get("text"), str) else block.get("text")}
    found = list(_strings(block, opaque))
    is_text = isinstance(block, dict) and block.get("type") in {"text", *_ENCRYPTED}
    if not found and not opaque and not is_text:
        opaque.append(_kind(block))
    return found


def _strings(
    value: Any, opaque: list[str], *, name: str = "", prose: bool = False, depth: int = 0
) -> Iterator[str]:
    """The strings in a value; what has none to give is named in `opaque`.

    Args:
        value: Anything within a message.
        opaque: Gets the kinds of what cannot be read.
        name: The field that holds the value.
        prose: Whether links are part of the text, rather than content of their own.
        depth: How deeply the value is nested.
    """
    if depth > _DEEPEST:
        raise _Unreadable
    if isinstance(value, str):
        if name in _MEDIA and not prose:
            opaque.extend([name] if value else [])
        elif value and not (_is_technical(name) and _WORD.fullmatch(value)):
            yield value
    elif isinstance(value, dict):
        yield from _strings_of_block(value, opaque, prose=prose, depth=depth + 1)
    elif isinstance(value, (list, tuple, set, frozenset)):
        for one in value:
            yield from _strings(one, opaque, name=name, prose=prose, depth=depth + 1)
    elif isinstance(value, (bytes, bytearray, memoryview)):
        opaque.append(name or "bytes")
    elif value is not None and not isinstance(value, (bool, int, float)):
        yield str(value)


def _strings_of_block(
    block: dict[Any, Any], opaque: list[str], *, prose: bool, depth: int
) -> Iterator[str]:
    kind, before = block.get("type"), len(opaque)
    if kind in _ENCRYPTED:
        return
    prose = prose or kind in _PROSE
    for key, value in block.items():
        yield from _strings(value, opaque, name=str(key), prose=prose, depth=depth)
    if len(opaque) > before and isinstance(kind, str):
        opaque[before:] = [kind]


def _is_technical(name: str) -> bool:
    return name in _TECHNICAL or name.startswith("__")


def _kind(block: Any) -> str:
    kind = block.get("type") if isinstance(block, dict) else None
    return kind if isinstance(kind, str) else type(block).__name__
