"""The decisions of guardrails in an agent's state."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

import orjson
from typing_extensions import TypedDict

from langchain_sutro._exports import exported_from

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage

__all__ = [
    "DECISIONS",
    "GuardrailAction",
    "GuardrailDecision",
    "Judged",
    "digest",
    "merge_decisions",
]

# The key of the state.
DECISIONS = "sutro_decisions"

GuardrailAction: TypeAlias = Literal["allow", "replace", "end", "interrupt"]
"""What a guardrail does with a content that it has judged."""


@exported_from("langchain_sutro.middleware")
class GuardrailDecision(TypedDict):
    """The decision about one message; plain JSON, so that checkpoints can store it.

    Attributes:
        guardrail: The name of the middleware.
        function: The Function that was asked.
        apply_to: What was judged.
        message_id: The message's id in the state.
        answer: The Function's answer; None if the Function could not be asked.
        confidence: The confidence of the answer; None if it was not scored.
        rationale: The reason, if the Function gives one.
        action: `"interrupt"` as long as a human has not decided.
        decided_by: The Function's answer with the rules, an error with `on_error`, or a human.
        error: Why the Function could not be asked.
        sha256: The hash of the message's present content.
    """

    guardrail: str
    function: str
    apply_to: Literal["input", "output", "tool_result"]
    message_id: str | None
    answer: Any
    confidence: float | None
    rationale: str | None
    action: GuardrailAction
    decided_by: Literal["function", "error", "human"]
    error: str | None
    sha256: str


class Judged(NamedTuple):
    """A message, the decision about it, and the text that a human wrote in its place."""

    message: BaseMessage
    decision: GuardrailDecision
    text: str | None = None


def merge_decisions(
    before: list[GuardrailDecision], after: list[GuardrailDecision]
) -> list[GuardrailDecision]:
    """The reducer of the state: one decision for each message and guardrail, the last one."""
    merged = {(one["guardrail"], one["message_id"]): one for one in before}
    merged |= {(one["guardrail"], one["message_id"]): one for one in after}
    return list(merged.values())


def digest(message: BaseMessage) -> str:
    """The hash of a message's content, which shows whether it has changed since it was judged."""
    content = orjson.dumps(message.content, default=str, option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(content).hexdigest()
