"""Updates of an agent's state by decisions."""

from __future__ import annotations

from dataclasses import replace
from itertools import takewhile
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from langchain_core.messages import AIMessage, RemoveMessage, ToolMessage
from langgraph.types import Command

from langchain_sutro.agents.guardrail.decisions import (
    DECISIONS,
    GuardrailDecision,
    Judged,
    digest,
)
from langchain_sutro.agents.guardrail.messages import ended, messages_in, replaced

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from langchain_core.messages import BaseMessage

__all__ = ["Texts", "input_update", "output_update", "result_update"]


class Texts(NamedTuple):
    """What a user reads instead of a message.

    Attributes:
        replacement: The content of a replaced message.
        end: The last answer of a run that is ended.
    """

    replacement: str
    end: str


class _Settled(NamedTuple):
    """A message before and after its decision, and the text with which the run ends."""

    before: BaseMessage
    now: BaseMessage
    decision: GuardrailDecision
    end: str | None


def input_update(
    judged: Sequence[Judged], texts: Texts, *, jump: bool = True
) -> dict[str, Any] | None:
    """The state's update after the user's input and tool results were judged.

    Args:
        judged: Messages and final decisions.
        texts: What replaces messages.
        jump: Whether the run can still be ended here.
    """
    settled = [_settled(*one, texts=texts) for one in judged]
    if not settled:
        return None
    update: dict[str, Any] = {
        "messages": [one.now for one in settled if one.now is not one.before],
        DECISIONS: [one.decision for one in settled],
    }
    ends = [one.end for one in settled if one.end is not None]
    if ends:
        update["messages"].append(AIMessage(ends[0]))
        if jump:
            update["jump_to"] = "end"
    return update


def output_update(state: Any, judged: Sequence[Judged], texts: Texts) -> dict[str, Any] | None:
    """The state's update after the model's answer was judged.

    Args:
        state: The agent's state.
        judged: The answer and the final decision, if it was judged now.
        texts: What replaces messages.
    """
    if not judged:
        return None
    [one] = judged
    answer, now, decision, end = _settled(*one, texts=texts)
    if now is answer:
        return {DECISIONS: [decision]}
    update: dict[str, Any] = {"messages": [now], DECISIONS: [decision]}
    calls = {call["id"] for call in cast("AIMessage", answer).tool_calls}
    results = [
        message
        for message in takewhile(lambda one: one.id != answer.id, reversed(state["messages"]))
        if isinstance(message, ToolMessage) and message.tool_call_id in calls
    ]
    structured = state.get("structured_response") is not None
    if structured:
        update["structured_response"] = None
    if end is not None or (structured and len(results) == len(calls)):
        # The answer keeps no tool calls, so the results of its calls are removed as well.
        now = ended(cast("AIMessage", answer), str(now.text))
        update["messages"] = [now, *(RemoveMessage(one.id) for one in results if one.id)]
        update[DECISIONS] = [_with_digest(decision, now)]
        update["jump_to"] = "end"
    return update


def result_update(item: Any, decided: Mapping[int, GuardrailDecision], texts: Texts) -> Any:
    """A tool's result as it goes into the state, with the decisions about it.

    Args:
        item: The result, as `wrap_tool_call` returns it.
        decided: Decisions, by the `id()` of their messages.
        texts: What replaces messages.
    """
    if isinstance(item, list):
        return [result_update(one, decided, texts) for one in item]
    update: dict[str, Any] = {"messages": [], DECISIONS: []}
    leaves = isinstance(item, Command) and item.graph is not None
    for message in messages_in(item):
        decision = decided.get(id(message))
        if decision is None:
            update["messages"].append(message)
            continue
        if leaves and decision["action"] == "interrupt":
            # Another agent continues with the message, and this one cannot interrupt it.
            decision = {**decision, "action": "replace"}
        settled = _settled(message, decision, texts=texts)
        named = settled.now.model_copy(update={"id": decision["message_id"]})
        update["messages"].append(named)
        update[DECISIONS].append(settled.decision)
    if not update[DECISIONS]:
        return item
    if isinstance(item, ToolMessage):
        return Command(update=update)
    # Another guardrail may have judged it before.
    update[DECISIONS] = [*item.update.get(DECISIONS, ()), *update[DECISIONS]]
    if leaves:
        del update[DECISIONS]
    return replace(item, update={**item.update, **update})


def _settled(
    message: BaseMessage, decision: GuardrailDecision, text: str | None = None, *, texts: Texts
) -> _Settled:
    action, now, end = decision["action"], message, None
    if action == "replace":
        now = replaced(message, texts.replacement if text is None else text)
    elif action == "end":
        end = text or texts.end
        if isinstance(message, AIMessage):
            now = ended(message, end)
        else:
            now = replaced(message, texts.replacement)
    return _Settled(message, now, _with_digest(decision, now), end)


def _with_digest(decision: GuardrailDecision, message: BaseMessage) -> GuardrailDecision:
    return {**decision, "sha256": digest(message)}
