"""The review by a human, in the form of LangChain's `HumanInTheLoopMiddleware`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from langgraph.types import interrupt

from langchain_sutro.agents.guardrail.decisions import DECISIONS, GuardrailDecision, Judged

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from langchain_sutro.agents.guardrail.contents import Content

__all__ = ["reviewed"]


def reviewed(name: str, judged: list[Judged], content: Callable[[Judged], Content]) -> list[Judged]:
    """The same contents, after a human has decided about those whose action is "interrupt".

    Args:
        name: The guardrail's name.
        judged: Contents and decisions.
        content: What a content says.
    """
    pending = [one for one in judged if one.decision["action"] == "interrupt"]
    problem = None
    while pending:
        response = interrupt(_review_request(name, pending, content, problem))
        try:
            reviews = iter(_read_review(response, pending))
        except ValueError as error:
            problem = str(error)
        else:
            asked = (one.decision["action"] == "interrupt" for one in judged)
            return [next(reviews) if each else one for one, each in zip(judged, asked, strict=True)]
    return judged


def _review_request(
    name: str,
    pending: Sequence[Judged],
    content: Callable[[Judged], Content],
    problem: str | None,
) -> dict[str, Any]:
    """The `HITLRequest` that is shown to a human.

    Args:
        name: The name of the guardrail.
        pending: What to decide about.
        content: What it says.
        problem: Why the last response was invalid.
    """
    named = [name if one.call is None else one.call["name"] for one in pending]
    return {
        "action_requests": [
            {
                "name": each,
                "args": {"text": content(one).text} if one.call is None else one.call["args"],
                "description": " ".join(filter(None, [problem, _description(one.decision)])),
            }
            for each, one in zip(named, pending, strict=True)
        ],
        "review_configs": [
            {"action_name": each, "allowed_decisions": ["approve", "edit", "reject"]}
            for each in named
        ],
        DECISIONS: [one.decision for one in pending],
    }


_PLACES = {
    "input": "the user's input",
    "output": "the model's answer",
    "tool_result": "a tool's result",
    "tool_call": "a tool call",
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
        pending: What to decide about.

    Raises:
        ValueError: The response is invalid; the message says what is expected.
    """
    decisions = response.get("decisions") if isinstance(response, Mapping) else None
    if not isinstance(decisions, list) or len(decisions) != len(pending):
        raise ValueError(f'Resume with {{"decisions": [...]}}, a list of length {len(pending)}.')
    return [_read_decision(one, each) for each, one in zip(pending, decisions, strict=True)]


def _read_decision(review: Any, one: Judged) -> Judged:
    call, text = one.call, None
    match review:
        case {"type": "approve"}:
            action = "allow"
        case {"type": "reject"} if isinstance(review.get("message"), str | None):
            action, text = "end" if call is None else "block", review.get("message")
        case {"type": "edit", "edited_action": {"args": {"text": str(new)}}} if call is None:
            action, text = "replace", new
        case {"type": "edit", "edited_action": {"name": name, "args": dict(args)}} if (
            call is not None and name == call["name"]
        ):
            action, call = "allow", {**call, "args": args}
        case _:
            new = '{"text": ...}' if call is None else "{...}"
            raise ValueError(
                'A decision must be {"type": "approve"}, {"type": "reject", "message": ...} or '
                f'{{"type": "edit", "edited_action": {{"name": ..., "args": {new}}}}}'
                f"{'' if call is None else ' with the name of the same tool'}."
            )
    settled: Any = {**one.decision, "action": action, "decided_by": "human"}
    return Judged(one.message, settled, text, call)
