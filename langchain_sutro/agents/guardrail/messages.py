"""Messages of an agent: where they are, and what they become when they are replaced."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from langchain_core.messages import AIMessage, ToolMessage, convert_to_messages
from langgraph.types import Command

if TYPE_CHECKING:
    from collections.abc import Sequence

    from langchain_core.messages import BaseMessage

__all__ = ["ended", "messages_in", "replaced", "trailing", "with_messages"]


def trailing(messages: Sequence[BaseMessage]) -> Sequence[BaseMessage]:
    """The messages after the model's last answer; an answer that nothing followed is skipped."""
    end = len(messages)
    while end and isinstance(messages[end - 1], AIMessage):
        end -= 1
    start = end
    while start and not isinstance(messages[start - 1], AIMessage):
        start -= 1
    return messages[start:end]


def replaced(message: BaseMessage, text: str) -> BaseMessage:
    """The message with this text as its content, under the same id.

    An answer keeps its tool calls, and the content blocks that its provider expects with them.
    """
    changes: dict[str, Any] = {"content": text}
    if isinstance(message, AIMessage):
        if not message.tool_calls:
            return ended(message, text)
        if isinstance(message.content, list):
            changes["content"] = _with_text(message.content, text)
    elif isinstance(message, ToolMessage):
        changes["artifact"] = None
    return message.model_copy(update=changes)


def ended(message: AIMessage, text: str) -> AIMessage:
    """The answer with this text and without tool calls, as the last one of a run."""
    changes: dict[str, Any] = {"tool_calls": [], "invalid_tool_calls": [], "additional_kwargs": {}}
    return message.model_copy(update={"content": text, **changes})


def _with_text(blocks: Sequence[str | dict[str, Any]], text: str) -> list[str | dict[str, Any]]:
    texts = [n for n, one in enumerate(blocks) if isinstance(one, str) or one["type"] == "text"]
    kept = [one for n, one in enumerate(blocks) if n not in texts]
    kept.insert(texts[0] if texts else 0, {"type": "text", "text": text})
    return kept


def with_messages(result: Any) -> Any:
    """A tool's result, in which all messages are message objects."""
    if isinstance(result, list):
        return [with_messages(one) for one in result]
    if isinstance(result, Command) and isinstance(result.update, dict):
        messages = convert_to_messages(result.update.get("messages") or [])
        return (
            replace(result, update={**result.update, "messages": messages}) if messages else result
        )
    return result


def messages_in(result: Any) -> list[BaseMessage]:
    """The messages of a tool's result."""
    if isinstance(result, list):
        return [message for one in result for message in messages_in(one)]
    if isinstance(result, Command):
        return result.update.get("messages") or [] if isinstance(result.update, dict) else []
    return [result]
