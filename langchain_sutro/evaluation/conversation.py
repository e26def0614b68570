"""The root runs of a thread as one conversation."""

from __future__ import annotations

from itertools import takewhile
from typing import TYPE_CHECKING, Any

from langchain_core.messages import convert_to_openai_messages

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["conversation"]

_MESSAGES = "messages"


def conversation(turns: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The root runs of a thread as if the last one had been given the whole conversation.

    A run says something in the `messages` of its inputs and outputs, in any form that LangChain
    reads. Messages that a run repeats from earlier ones are in the conversation once. Inputs or
    outputs without `messages` that hold a single string say that string.

    Args:
        turns: The runs in the order of time, at least one, with the fields of LangSmith's API.

    Returns:
        The last run. The `messages` of its inputs and of its outputs are the whole conversation in
        OpenAI's form, and the `turns` of its inputs are the inputs and outputs of each run. A part
        that was not read is not there.
    """
    parts = [part for part in ("inputs", "outputs") if any(part in turn for turn in turns)]
    said: list[Any] = []
    for turn in turns:
        for part, role in (("inputs", "user"), ("outputs", "assistant")):
            said += _new(said, _messages(turn.get(part), role))
    last = dict(turns[-1])
    for part in parts:
        last[part] = {**(last.get(part) or {}), _MESSAGES: said}
    if "inputs" in parts:
        last["inputs"]["turns"] = [{part: turn.get(part) for part in parts} for turn in turns]
    return last


def _messages(values: Any, role: str) -> list[Any]:
    """What is said in the inputs or outputs of a run."""
    if not isinstance(values, dict):
        return []
    found = values.get(_MESSAGES)
    if found is None:
        words = [value for value in values.values() if isinstance(value, str)]
        return [{"role": role, "content": words[0]}] if len(words) == 1 else []
    if not isinstance(found, list):
        found = [found]
    if len(found) == 1 and isinstance(found[0], list):
        # Chat models take lists of conversations.
        found = found[0]
    return [_plain(message, role) for message in found]


def _plain(message: Any, role: str) -> Any:
    if isinstance(message, str):
        return {"role": role, "content": message}
    try:
        return convert_to_openai_messages(message)
    except Exception:  # noqa: BLE001 - an unknown form may break it anywhere
        # The judge sees it as it was traced.
        return message


def _new(said: Sequence[Any], messages: Sequence[Any]) -> Sequence[Any]:
    """Those messages that the conversation does not end with yet."""
    # Instructions stand at the start of each turn, also of one that repeats the last messages only.
    leading = len(list(takewhile(_is_instruction, messages)))
    if messages[:leading] == said[:leading]:
        messages = messages[leading:]
    whole = said[len(list(takewhile(_is_instruction, said))) :]
    for size in range(min(len(whole), len(messages)), 0, -1):
        if whole[-size:] == messages[:size]:
            return messages[size:]
    return messages


def _is_instruction(message: Any) -> bool:
    return isinstance(message, dict) and message.get("role") in ("system", "developer")
