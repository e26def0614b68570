"""What a guardrail decides by, what it writes down, and what becomes of a message it judged."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias, get_args

import orjson
from langchain_core.messages import AIMessage, ToolMessage
from typing_extensions import TypedDict

from langchain_sutro._exports import exported_from
from langchain_sutro.errors import SutroConfigurationError
from langchain_sutro.functions import by_verdict, input_schema, named_arguments, result_verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from langchain_core.messages import BaseMessage

    from langchain_sutro._results import FunctionResult
    from langchain_sutro.functions import Judge, SutroFunction

__all__ = [
    "DECISIONS",
    "GuardrailAction",
    "GuardrailActions",
    "GuardrailDecision",
    "Judged",
    "Rules",
    "digest",
    "ended",
    "merge_decisions",
    "read_review",
    "replaced",
    "review_request",
    "row_maker",
    "trailing",
]

DECISIONS = "sutro_decisions"

GuardrailAction: TypeAlias = Literal["allow", "replace", "end", "interrupt"]
GuardrailActions: TypeAlias = (
    "Mapping[str | bool | int, GuardrailAction] | Callable[[FunctionResult], GuardrailAction]"
)

_OFFERED = ("text", "message", "state")
_ACTIONS: tuple[GuardrailAction, ...] = get_args(GuardrailAction)


@exported_from("langchain_sutro.middleware")
class GuardrailDecision(TypedDict):
    """What became of one message; plain JSON, so checkpoints keep it.

    Attributes:
        guardrail: The middleware's name.
        function: The Function that was asked.
        apply_to: What was judged.
        message_id: The message's id in the state.
        answer: The Function's; None if it could not be asked.
        confidence: The answer's; None if it was not scored.
        rationale: Why, if the Function says.
        action: `"interrupt"` as long as a human has not decided.
        decided_by: The rules on the Function's answer, `on_error`, or a human.
        error: Why the Function could not be asked.
        sha256: Of the content that the message now has.
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
    """A message with the decision about it, and what a human wants in its place."""

    message: BaseMessage
    decision: GuardrailDecision
    text: str | None = None


def row_maker(
    fields: str | Callable[..., Any] | None, function: SutroFunction
) -> Callable[[BaseMessage, Any], Any]:
    """What makes the Function's input of a message and the state, or None of what has no text."""
    if fields is None:
        fields = _only_field(function)
    if isinstance(fields, str):

        def row(message: BaseMessage, _: Any) -> dict[str, str] | None:
            text = str(message.text)
            return {fields: text} if text.strip() else None

        return row
    if not callable(fields):
        raise SutroConfigurationError(
            "fields must be the name of the field that gets the text, or a callable that makes "
            f"the row, not {type(fields).__name__}."
        )
    names = named_arguments(fields, _OFFERED)
    if not names:
        raise SutroConfigurationError(
            f"The callable for fields must take any of {', '.join(_OFFERED)}, by these names."
        )

    def made(message: BaseMessage, state: Any) -> Any:
        given = {"text": str(message.text), "message": message, "state": state}
        return fields(**{name: given[name] for name in names})

    return made


def _only_field(function: SutroFunction) -> str:
    schema = input_schema(function)
    known = () if schema is None else schema.fields
    if len(known) != 1:
        raise SutroConfigurationError(
            f"Which field of {function.function!r} gets the message's text? Give fields=, its name "
            "or a callable that makes the row."
        )
    return known[0]


@dataclass(frozen=True)
class Rules:
    """Which answer leads to which action.

    Attributes:
        actions: The action of each answer, whatever its case, or a callable on the payload.
        otherwise: Of answers that `actions` does not name.
        judge: Says which answers are confident enough.
        on_low_confidence: Of answers of less confidence, or of none.
        on_error: If the Function could not be asked.

    Raises:
        SutroConfigurationError: They are not understood, or let nothing through.
    """

    actions: GuardrailActions
    otherwise: GuardrailAction
    judge: Judge
    on_low_confidence: GuardrailAction
    on_error: GuardrailAction | Literal["raise"]

    def __post_init__(self) -> None:
        _check("otherwise", self.otherwise)
        _check("on_low_confidence", self.on_low_confidence)
        if self.on_error != "raise":
            _check("on_error", self.on_error, "raise")
        if self.judge.min_confidence is None and self.on_low_confidence != "end":
            raise SutroConfigurationError(
                "on_low_confidence says nothing without min_confidence: give both."
            )
        if isinstance(self.actions, Mapping):
            self._check_mapping(self.actions)
        elif not callable(self.actions):
            raise SutroConfigurationError(
                "actions must be a dict of answers and actions, or a callable on the Function's "
                f"result, not {type(self.actions).__name__}."
            )

    def _check_mapping(self, actions: Mapping[Any, GuardrailAction]) -> None:
        for answer, action in actions.items():
            _check(f"actions[{answer!r}]", action)
        words = by_verdict(actions, "actions")
        if not {*words.values(), self.otherwise} & {"allow", "interrupt"}:
            raise SutroConfigurationError(
                'Nothing would pass: give an answer the action "allow", or otherwise="allow".'
            )
        object.__setattr__(self, "actions", words)

    @property
    def may_ask(self) -> bool:
        """Whether a human may be asked."""
        known = (self.otherwise, self.on_low_confidence, self.on_error)
        if "interrupt" in known or not isinstance(self.actions, Mapping):
            return True
        return "interrupt" in self.actions.values()

    def action(self, result: FunctionResult) -> GuardrailAction:
        """What to do after this answer.

        Raises:
            SutroConfigurationError: The answer has several fields and `actions` is no callable, or
                that gave no action.
        """
        if not self.judge.is_confident(result):
            return self.on_low_confidence
        if not isinstance(self.actions, Mapping):
            action = self.actions(result)
            _check("What actions gave", action)
            return action
        return self.actions.get(result_verdict(result, "actions"), self.otherwise)


def _check(what: str, action: Any, *more: str) -> None:
    known = (*_ACTIONS, *more)
    if action not in known:
        raise SutroConfigurationError(
            f"{what} must be one of {', '.join(map(repr, known))}, not {action!r}."
        )


def merge_decisions(
    before: list[GuardrailDecision], after: list[GuardrailDecision]
) -> list[GuardrailDecision]:
    """The reducer of the state: one decision for each message and guardrail, the last one."""
    merged = {(one["guardrail"], one["message_id"]): one for one in before}
    merged |= {(one["guardrail"], one["message_id"]): one for one in after}
    return list(merged.values())


def digest(message: BaseMessage) -> str:
    """Tells whether a message still says what was judged."""
    content = orjson.dumps(message.content, default=str, option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(content).hexdigest()


def trailing(messages: Sequence[BaseMessage]) -> Sequence[BaseMessage]:
    """What came after the model's last answer; an answer that nothing followed is skipped."""
    end = len(messages)
    while end and isinstance(messages[end - 1], AIMessage):
        end -= 1
    start = end
    while start and not isinstance(messages[start - 1], AIMessage):
        start -= 1
    return messages[start:end]


def replaced(message: BaseMessage, text: str) -> BaseMessage:
    """The message with this text for its content, under the same id.

    An answer keeps its tool calls, and with them the blocks that its provider wants to see again.
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
    """The answer with this text, as the last of a run: it calls no tools."""
    changes: dict[str, Any] = {"tool_calls": [], "invalid_tool_calls": [], "additional_kwargs": {}}
    return message.model_copy(update={"content": text, **changes})


def _with_text(blocks: Sequence[str | dict[str, Any]], text: str) -> list[str | dict[str, Any]]:
    texts = [n for n, one in enumerate(blocks) if isinstance(one, str) or one["type"] == "text"]
    kept = [one for n, one in enumerate(blocks) if n not in texts]
    kept.insert(texts[0] if texts else 0, {"type": "text", "text": text})
    return kept


def review_request(
    name: str, pending: Sequence[Judged], problem: str | None = None
) -> dict[str, Any]:
    """What a human is shown: the `HITLRequest` of LangChain's `HumanInTheLoopMiddleware`.

    Args:
        name: The guardrail's.
        pending: What is to be decided.
        problem: Why the last response was not understood.
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


def read_review(response: Any, pending: Sequence[Judged]) -> list[Judged]:
    """What a human decided, by position.

    Args:
        response: The `HITLResponse`: `{"decisions": [...]}`.
        pending: What was to be decided.

    Raises:
        ValueError: It is not understood; the message says what to give.
    """
    decisions = response.get("decisions") if isinstance(response, Mapping) else None
    if not isinstance(decisions, list) or len(decisions) != len(pending):
        raise ValueError(f'Resume with {{"decisions": [...]}}, a list of {len(pending)}.')
    return [_reviewed(one, *each) for each, one in zip(pending, decisions, strict=True)]


def _reviewed(review: Any, message: BaseMessage, decision: GuardrailDecision, *_: Any) -> Judged:
    match review:
        case {"type": "approve"}:
            action, text = "allow", None
        case {"type": "reject"}:
            action, text = "end", review.get("message")
        case {"type": "edit", "edited_action": {"args": {"text": str(text)}}}:
            action = "replace"
        case _:
            raise ValueError(
                'A decision is {"type": "approve"}, {"type": "reject", "message": ...} or {"type": '
                '"edit", "edited_action": {"name": ..., "args": {"text": ...}}}.'
            )
    settled: Any = {**decision, "action": action, "decided_by": "human"}
    return Judged(message, settled, text)
