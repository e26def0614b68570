"""The review by a human, in the form of LangChain's `HumanInTheLoopMiddleware`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from langgraph.types import interrupt

from langchain_sutro.agents.guardrail.decisions import DECISIONS, GuardrailDecision, Judged

if TYPE_CHECKING:
    from collections.abc import Sequence

    from langchain_core.messages import BaseMessage

__all__ = ["reviewed"]


def reviewed(name: str, judged: list[Judged]) -> list[Judged]:
    """The same messages, after a human has decided about those whose action is "interrupt".

    Args:
        name: The guardrail's name.
        judged: Messages and decisions.
    """
    pending = [one for one in judged if one.decision["action"] == "interrupt"]
    problem = None
    while pending:
        response = interrupt(_review_request(name, pending, problem))
        try:
            reviews = iter(_read_review(response, pending))
        except ValueError as error:
            problem = str(error)
        else:
            asked = (one.decision["action"] == "interrupt" for one in judged)
            return [next(reviews) if each else one for one, each in zip(judged, asked, strict=True)]
    return judged


def _review_request(
    name: str, pending: Sequence[Judged], problem: str | None = None
) -> dict[str, Any]:
    """The `HITLRequest` that is shown to a human.

    Args:
        name: The name of the guardrail.
        pending: The messages to decide about.
        problem: Why the last response was invalid.
    """
    return {
        "action_requests": [
            {
                "name": name,
                "args": {"text": str(one.message.text)},
                "description": " ".join(filter(None, [problem, _description(one.decision)])),
            }
            for one in pending
        ],
        "review_configs": [
            {"action_name": name, "allowed_decisions": ["approve", "edit", "reject"]}
            for _ in pending
        ],
        DECISIONS: [one.decision for one in pending],
    }


_PLACES = {
    "input": "the user's input",
    "output": "the model's answer",
    "tool_result": "a tool's result",
}


def _description(decision: GuardrailDecision) -> str:
    about = _PLACES[decision["apply_to"]]
    if decision["error"] is not None:
        return f"{decision['function']!r} could not be asked about {about}: {decision['error']}"
    said = f"{decision['function']!r} answers {decision['answer']!r} about {about}"
    if decision["confidence"] is not None:
        said += f", with a confidence of {decision['confidence']:.2f}"
    rationale = decision["rationale"]
    return f"{said}: {rationale}" if rationale else f"{said}."


def _read_review(response: Any, pending: Sequence[Judged]) -> list[Judged]:
    """The decisions of a human, by position.

    Args:
        response: The `HITLResponse`: `{"decisions": [...]}`.
        pending: The messages to decide about.

    Raises:
        ValueError: The response is invalid; the message says what is expected.
    """
    decisions = response.get("decisions") if isinstance(response, Mapping) else None
    if not isinstance(decisions, list) or len(decisions) != len(pending):
        raise ValueError(f'Resume with {{"decisions": [...]}}, a list of length {len(pending)}.')
    return [_read_decision(one, *each) for each, one in zip(pending, decisions, strict=True)]


def _read_decision(
    review: Any, message: BaseMessage, decision: GuardrailDecision, *_: Any
) -> Judged:
    match review:
        case {"type": "approve"}:
            action, text = "allow", None
        case {"type": "reject"}:
            action, text = "end", review.get("message")
        case {"type": "edit", "edited_action": {"args": {"text": str(text)}}}:
            action = "replace"
        case _:
            raise ValueError(
                'A decision must be {"type": "approve"}, {"type": "reject", "message": ...} or '
                '{"type": "edit", "edited_action": {"name": ..., "args": {"text": ...}}}.'
            )
    settled: Any = {**decision, "action": action, "decided_by": "human"}
    return Judged(message, settled, text)
