"""The decisions of guardrails in an agent's state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple, NotRequired, TypeAlias

from typing_extensions import TypedDict

from langchain_sutro._core.exports import exported_from

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage, ToolCall

__all__ = [
    "DECISIONS",
    "GuardrailAction",
    "GuardrailDecision",
    "Judged",
    "MessageKind",
    "merge_decisions",
]

# The key of the state.
DECISIONS = "sutro_decisions"

MessageKind: TypeAlias = Literal["input", "output", "tool_result", "tool_call"]

GuardrailAction: TypeAlias = Literal["allow", "replace", "block", "end", "interrupt"]
"""What a guardrail does with a content that it has judged."""


@exported_from("langchain_sutro.middleware")
class GuardrailDecision(TypedDict):
    """The decision about one message or tool call; plain JSON, so that checkpoints can store it.

    Attributes:
        guardrail: The name of the middleware.
        function: The Function, or the decision model, that was asked.
        apply_to: What was judged.
        message_id: The message's id in the state; for a tool call, that of the answer that makes
            it.
        tool_call_id: The id of the tool call; only there for a tool call.
        answer: The judge's answer; None if it could not be asked.
        confidence: The confidence of the answer; None if it was not scored.
        rationale: The reason, if the Function gives one.
        action: `"interrupt"` as long as a human has not decided.
        decided_by: The judge's answer with the rules, an error with `on_error`, or a human.
        error: Why the judge could not be asked.
        sha256: A keyed hash of the decision and the present content. Only the guardrail can make
            it, so a decision that a caller puts into the state is ignored.
    """

    guardrail: str
    function: str
    apply_to: MessageKind
    message_id: str | None
    tool_call_id: NotRequired[str | None]
    answer: Any
    confidence: float | None
    rationale: str | None
    action: GuardrailAction
    decided_by: Literal["function", "error", "human"]
    error: str | None
    sha256: str


class Judged(NamedTuple):
    """What was judged, the decision about it, and what a human wrote in its place.

    Attributes:
        message: The message; for a tool call, the answer that makes it.
        decision: The decision.
        text: The content that a human gave instead, or the reason for a rejection.
        call: The tool call, with the arguments that a human gave instead.
    """

    message: BaseMessage
    decision: GuardrailDecision
    text: str | None = None
    call: ToolCall | None = None


def merge_decisions(
    before: list[GuardrailDecision], after: list[GuardrailDecision]
) -> list[GuardrailDecision]:
    """The reducer of the state: the last decision for each content and guardrail."""
    merged = {_key(one): one for one in before}
    merged |= {_key(one): one for one in after}
    return list(merged.values())


def _key(decision: GuardrailDecision) -> tuple[Any, ...]:
    return decision["guardrail"], decision["message_id"], decision.get("tool_call_id")
