"""Messages of an agent: where they are, and what they become when they are replaced."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from langchain_core.messages import AIMessage, ChatMessage, ToolMessage, convert_to_messages
from langgraph.types import Command

from langchain_sutro.agents.guardrail.contents import CALL_BLOCKS

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from langchain_core.messages import BaseMessage, ToolCall

__all__ = [
    "ended",
    "last_answer",
    "messages_in",
    "replaced",
    "results_of",
    "with_arguments",
    "with_messages",
    "without_calls",
]


def last_answer(messages: Sequence[BaseMessage]) -> AIMessage | None:
    """The model's last answer."""
    return next((one for one in reversed(messages) if isinstance(one, AIMessage)), None)


def results_of(answer: AIMessage, messages: Sequence[BaseMessage]) -> list[ToolMessage]:
    """The results of an answer's tool calls, among the messages that follow it."""
    calls = {call["id"] for call in answer.tool_calls}
    following = takewhile(lambda one: one.id != answer.id, reversed(messages))
    found = [one for one in following if isinstance(one, ToolMessage) and one.tool_call_id in calls]
    return found[::-1]


def replaced(message: BaseMessage, text: str, *, is_answer: bool = False) -> BaseMessage:
    """The message with nothing but this text, under the same id.

    Args:
        message: Any message.
        text: Its new text.
        is_answer: Whether the model has just written it: then it keeps its tool calls, and the
            content blocks that its provider expects with them. Of other messages with tool calls,
            the arguments are removed.
    """
    if isinstance(message, ToolMessage):
        return message.model_copy(
            update={"content": text, "artifact": None, "additional_kwargs": {}}
        )
    if not isinstance(message, AIMessage):
        changes: dict[str, Any] = {} if message.name is None else {"name": None}
        if isinstance(message, ChatMessage):
            changes["role"] = "user"
        return message.model_copy(update={"content": text, "additional_kwargs": {}, **changes})
    if not message.tool_calls:
        return ended(message, text)
    if is_answer:
        content = message.content
        blocks = _with_text(content, text) if isinstance(content, list) else text
        return message.model_copy(update={"content": blocks, "invalid_tool_calls": []})
    calls = [{**call, "args": {}} for call in message.tool_calls]
    return ended(message, text).model_copy(update={"tool_calls": calls})


def with_arguments(message: AIMessage, edited: ToolCall) -> AIMessage:
    """The answer with other arguments for one of its tool calls."""
    call_id, arguments = edited["id"], edited["args"]
    calls = [
        {**one, "args": arguments} if one["id"] == call_id else one for one in message.tool_calls
    ]
    changes: dict[str, Any] = {"tool_calls": calls}
    if isinstance(message.content, list):
        changes["content"] = [_with_input(one, call_id, arguments) for one in message.content]
    # The provider's own copy, which would contradict them.
    kwargs = {name: one for name, one in message.additional_kwargs.items() if name != "tool_calls"}
    return message.model_copy(update={**changes, "additional_kwargs": kwargs})


def without_calls(message: AIMessage, call_ids: Collection[str | None]) -> AIMessage:
    """The answer without some of its tool calls."""
    changes: dict[str, Any] = {
        "tool_calls": [one for one in message.tool_calls if one["id"] not in call_ids]
    }
    if isinstance(message.content, list):
        changes["content"] = [
            one for one in message.content if not (_is_use(one) and _call_id(one) in call_ids)
        ]
    kwargs = {name: one for name, one in message.additional_kwargs.items() if name != "tool_calls"}
    return message.model_copy(update={**changes, "additional_kwargs": kwargs})


def ended(message: AIMessage, text: str) -> AIMessage:
    """The answer with this text and without tool calls, as the last one of a run."""
    changes: dict[str, Any] = {"tool_calls": [], "invalid_tool_calls": [], "additional_kwargs": {}}
    return message.model_copy(update={"content": text, **changes})


def _with_text(blocks: Sequence[str | dict[str, Any]], text: str) -> list[str | dict[str, Any]]:
    texts = [n for n, one in enumerate(blocks) if isinstance(one, str) or one["type"] == "text"]
    kept = [one for n, one in enumerate(blocks) if n not in texts]
    kept.insert(texts[0] if texts else 0, {"type": "text", "text": text})
    return kept


def _is_use(block: Any) -> bool:
    return isinstance(block, dict) and block.get("type") in CALL_BLOCKS


def _call_id(block: Any) -> Any:
    return block.get("call_id") or block.get("id")


def _with_input(block: Any, call_id: str | None, arguments: dict[str, Any]) -> Any:
    if not _is_use(block) or _call_id(block) != call_id:
        return block
    if "arguments" in block:
        return {**block, "arguments": json.dumps(arguments)}
    return {**block, ("args" if "args" in block else "input"): arguments}


def with_messages(result: Any) -> Any:
    """A tool's result, in which all messages are message objects, and all updates are dicts."""
    if isinstance(result, list):
        return [with_messages(one) for one in result]
    if not isinstance(result, Command):
        return result
    update = result.update
    if isinstance(update, (list, tuple)) and all(map(_is_pair, update)):
        update = _as_dict(update)
    if not isinstance(update, dict):
        return result
    given = update.get("messages")
    if not given:
        return result if update is result.update else replace(result, update=update)
    given = given if isinstance(given, list) else [given]
    return replace(result, update={**update, "messages": convert_to_messages(given)})


def _is_pair(one: Any) -> bool:
    return isinstance(one, tuple) and len(one) == 2 and isinstance(one[0], str)


def _as_dict(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    update: dict[str, Any] = {}
    for name, value in pairs:
        if name == "messages" and name in update:
            both = [one if isinstance(one, list) else [one] for one in (update[name], value)]
            update[name] = [*both[0], *both[1]]
        else:
            update[name] = value
    return update


def messages_in(result: Any) -> list[BaseMessage]:
    """The messages of a tool's result."""
    if isinstance(result, list):
        return [message for one in result for message in messages_in(one)]
    if isinstance(result, Command):
        return result.update.get("messages") or [] if isinstance(result.update, dict) else []
    return [result]
