"""Updates of an agent's state by decisions."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from langchain_core.messages import AIMessage, RemoveMessage, ToolMessage
from langgraph.types import Command

from langchain_sutro.agents.guardrail.contents import call_digest, message_digest
from langchain_sutro.agents.guardrail.decisions import DECISIONS, GuardrailDecision, Judged
from langchain_sutro.agents.guardrail.messages import (
    ended,
    last_answer,
    messages_in,
    replaced,
    results_of,
    with_arguments,
    without_calls,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from langchain_core.messages import BaseMessage, ToolCall

    from langchain_sutro.agents.guardrail.seals import Seals

__all__ = ["Settler", "answer_update", "blocked", "input_update", "result_update", "sealed_call"]


class _Settled(NamedTuple):
    """A message before and after its decision, and the text with which the run ends."""

    before: BaseMessage
    now: BaseMessage
    decision: GuardrailDecision
    end: str | None


@dataclass(frozen=True)
class Settler:
    """Carries out decisions.

    Attributes:
        seals: Seal decisions about changed contents.
        replacement: The content of a replaced message.
        end: The last answer of a run that is ended.
        blocked: The result of a tool call that is not executed.
    """

    seals: Seals
    replacement: str
    end: str
    blocked: str

    def settle(self, judged: Judged, *, is_answer: bool = False) -> _Settled:
        """What becomes of a message.

        Args:
            judged: The message and its final decision.
            is_answer: Whether the model has just written it.
        """
        message, decision, text = judged.message, judged.decision, judged.text
        now, end = message, None
        if decision["action"] == "replace":
            text = self.replacement if text is None else text
            now = replaced(message, text, is_answer=is_answer)
        elif decision["action"] == "end":
            end = text or self.end
            if is_answer:
                now = ended(cast("AIMessage", message), end)
            else:
                now = replaced(message, self.replacement)
        return _Settled(message, now, self.sealed(decision, now), end)

    def sealed(self, decision: GuardrailDecision, message: BaseMessage) -> GuardrailDecision:
        """The decision about the present content of the message."""
        seal = self.seals.of_decision(decision, message_digest(message))
        return {**decision, "sha256": seal}

    def own(self, message: BaseMessage) -> BaseMessage:
        """A message that the guardrail has written itself, recognizably."""
        return self.seals.marked(message, message_digest(message))


def input_update(
    state: Any, judged: Sequence[Judged], settler: Settler, *, jump: bool = True
) -> dict[str, Any] | None:
    """The state's update after what the model is about to read was judged.

    Args:
        state: The agent's state.
        judged: Messages and final decisions.
        settler: Carries out decisions.
        jump: Whether the run can still be ended here.
    """
    settled = [settler.settle(one) for one in judged]
    if not settled:
        return None
    update: dict[str, Any] = {
        "messages": [one.now for one in settled if one.now is not one.before],
        DECISIONS: [one.decision for one in settled],
    }
    ends = [one.end for one in settled if one.end is not None]
    if ends:
        update["messages"].append(settler.own(AIMessage(ends[0])))
        if state.get("structured_response") is not None:
            update["structured_response"] = None
        if jump:
            update["jump_to"] = "end"
    return update


def answer_update(
    state: Any, output: Sequence[Judged], calls: Sequence[Judged], settler: Settler
) -> dict[str, Any] | None:
    """The state's update after the model's answer and its tool calls were judged.

    Args:
        state: The agent's state.
        output: The answer and the final decision, if it was judged now.
        calls: The tool calls that were judged now, and the final decisions.
        settler: Carries out decisions.
    """
    answer = last_answer(state["messages"])
    if answer is None or not (output or calls):
        return None
    results = results_of(answer, state["messages"])
    settled = [settler.settle(one, is_answer=True) for one in output]
    decisions = [one.decision for one in settled]
    now = cast("AIMessage", settled[0].now if settled else answer)
    ends = [one.end for one in settled if one.end is not None]
    ends += [one.text or settler.end for one in calls if one.decision["action"] == "end"]
    update: dict[str, Any] = {"messages": []}
    removed = now is not answer
    if removed:
        # What was said in structured output goes with the text.
        now = without_calls(now, {one.tool_call_id for one in results})
        update["messages"] = [RemoveMessage(one.id) for one in results if one.id]
    structured = state.get("structured_response") is not None
    if structured and (removed or ends):
        update["structured_response"] = None
    if ends or (removed and results and not now.tool_calls):
        now = ended(now, ends[0] if ends else str(now.text))
        if not removed:
            update["messages"] = [RemoveMessage(one.id) for one in results if one.id]
        update["jump_to"] = "end"
        decisions += [sealed_call(one, settler) for one in calls]
    else:
        for one in calls:
            now = _with_call(now, one, settler, update["messages"], decisions)
    if now is not answer:
        update["messages"].insert(0, now if output else settler.own(now))
    if output:
        decisions[0] = settler.sealed(decisions[0], now)
    return {**update, DECISIONS: decisions}


def _with_call(
    answer: AIMessage,
    judged: Judged,
    settler: Settler,
    results: list[BaseMessage],
    decisions: list[GuardrailDecision],
) -> AIMessage:
    """The answer after the decision about one of its tool calls."""
    call = cast("ToolCall", judged.call)
    decisions.append(sealed_call(judged, settler))
    if judged.decision["action"] == "block":
        results.append(_blocked_result(call, judged, settler))
    elif judged.decision["decided_by"] == "human":
        asked = next(one for one in answer.tool_calls if one["id"] == call["id"])
        if asked["args"] != call["args"]:
            return with_arguments(answer, call)
    return answer


def sealed_call(judged: Judged, settler: Settler) -> GuardrailDecision:
    """The decision about a tool call, with its present arguments.

    Args:
        judged: The tool call and the final decision.
        settler: Seals it.
    """
    digest = call_digest(cast("ToolCall", judged.call))
    return {**judged.decision, "sha256": settler.seals.of_decision(judged.decision, digest)}


def _blocked_result(call: ToolCall, judged: Judged, settler: Settler) -> BaseMessage:
    message = ToolMessage(
        judged.text or settler.blocked,
        tool_call_id=call["id"],
        name=call["name"],
        status="error",
        id=str(uuid.uuid4()),
    )
    return settler.own(message)


def blocked(judged: Judged, settler: Settler) -> Command[Any]:
    """The result of a tool call that is not executed.

    Args:
        judged: The tool call and the final decision: to block it, or to end the run.
        settler: Carries out decisions.
    """
    result = _blocked_result(cast("ToolCall", judged.call), judged, settler)
    decisions = [sealed_call(judged, settler)]
    if judged.decision["action"] == "end":
        # The next node ends the run.
        about: Any = {**judged.decision, "message_id": result.id}
        about.pop("tool_call_id", None)
        decisions.append(settler.sealed(about, result))
    return Command(update={"messages": [result], DECISIONS: decisions})


def result_update(
    item: Any,
    decided: Mapping[int, GuardrailDecision],
    own: Collection[int],
    before: Sequence[GuardrailDecision],
    settler: Settler,
) -> Any:
    """A tool's result as it goes into the state, with the decisions about it.

    Args:
        item: The result, as `wrap_tool_call` returns it.
        decided: Decisions, by the `id()` of their messages.
        own: The `id()` of unjudged messages that the tool has written.
        before: The decisions that let the tool run.
        settler: Carries out decisions.
    """
    if isinstance(item, list):
        first, *rest = item or [None]
        return (
            [
                result_update(first, decided, own, before, settler),
                *(result_update(one, decided, own, (), settler) for one in rest),
            ]
            if item
            else item
        )
    update: dict[str, Any] = {"messages": [], DECISIONS: list(before)}
    leaves = isinstance(item, Command) and item.graph is not None
    for message in messages_in(item):
        decision = decided.get(id(message))
        if decision is None:
            update["messages"].append(settler.own(message) if id(message) in own else message)
            continue
        if leaves and decision["action"] == "interrupt":
            # Another agent continues with the message, and this one cannot interrupt it.
            decision = {**decision, "action": "replace"}
        settled = settler.settle(Judged(message, decision))
        named = settled.now.model_copy(update={"id": decision["message_id"]})
        update["messages"].append(named)
        update[DECISIONS].append(settled.decision)
    if isinstance(item, ToolMessage):
        return Command(update=update) if update[DECISIONS] else update["messages"][0]
    if not isinstance(item.update, dict):
        return item
    # Another guardrail may have judged it before.
    update[DECISIONS] = [*item.update.get(DECISIONS, ()), *update[DECISIONS]]
    if leaves or not update[DECISIONS]:
        del update[DECISIONS]
    if not update["messages"]:
        del update["messages"]
    return replace(item, update={**item.update, **update}) if update else item
