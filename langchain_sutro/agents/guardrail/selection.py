"""`Selection`: what a guardrail judges, and what no decision covers yet."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from itertools import takewhile
from typing import TYPE_CHECKING, Any, NamedTuple

from langchain_core.messages import AIMessage, RemoveMessage, ToolMessage

from langchain_sutro.agents.guardrail.contents import (
    Content,
    answer_content,
    call_content,
    call_digest,
    message_content,
    message_digest,
)
from langchain_sutro.agents.guardrail.decisions import DECISIONS, Judged
from langchain_sutro.agents.guardrail.function_input import Subject
from langchain_sutro.agents.guardrail.judging import Question
from langchain_sutro.agents.guardrail.messages import last_answer, messages_in, results_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from langchain.agents.middleware import ToolCallRequest
    from langchain_core.messages import BaseMessage, ToolCall

    from langchain_sutro.agents.guardrail.decisions import GuardrailDecision, MessageKind
    from langchain_sutro.agents.guardrail.function_input import RowMaker
    from langchain_sutro.agents.guardrail.seals import Seals

__all__ = ["Places", "Selection"]

_ENDED = "ended"


class Places(NamedTuple):
    """Where a guardrail looks; `SutroGuardrail` explains each."""

    input: bool
    output: bool
    tool_results: bool | Collection[str]
    tool_calls: bool | Collection[str]


class Selection:
    """Finds what is to be judged.

    Args:
        guardrail: The guardrail's name.
        places: Where it looks.
        rows: Makes the judge's input.
        seals: Recognize decisions, and what the agent has written itself.
        opaque_passes: Whether what has no text may pass.
    """

    def __init__(
        self, guardrail: str, places: Places, rows: RowMaker, seals: Seals, *, opaque_passes: bool
    ) -> None:
        self._guardrail = guardrail
        self._places = places
        self._rows = rows
        self._seals = seals
        self._opaque_passes = opaque_passes

    def inputs(self, messages: Sequence[BaseMessage], state: Any) -> list[Question]:
        """What the model is about to read, and what no decision covers.

        Args:
            messages: What the model is about to read.
            state: The agent's state.
        """
        decisions, called = self._decisions(state), _called_tools(messages)
        found = []
        for message in messages:
            kind = self._kind(message, called)
            if kind is None or isinstance(message, RemoveMessage):
                continue
            digest = message_digest(message)
            message_id = message.id or f"content-{digest[:32]}"
            if isinstance(message, ToolMessage):
                # One that LangChain adds for the model enters the state as well.
                message.id = message_id
            known = decisions.get((message_id, None))
            if known is not None and self._seals.proves(known, digest):
                continue
            if kind == "input" and self._seals.has_mark(message, digest):
                continue
            if kind == "input" and self._seals.has_mark(message, digest, _ENDED):
                continue
            subject = Subject(message_content(message).text, message, state)
            found.append(self._question(subject, kind, message_content(message), message_id))
        return [one for one in found if one is not None]

    def _kind(self, message: BaseMessage, called: dict[Any, str]) -> MessageKind | None:
        """What a message in the conversation is judged as; None if it is not."""
        if isinstance(message, ToolMessage):
            names = {message.name or "", called.get(message.tool_call_id, "")}
            if any(_covers(self._places.tool_results, name) for name in names):
                return "tool_result"
        return "input" if self._places.input else None

    def open_results(self, state: Any) -> list[Judged]:
        """Judged tool results that a human must decide about, or that end the run."""
        decisions = {
            message_id: one
            for (message_id, call_id), one in self._decisions(state).items()
            if call_id is None and one["apply_to"] in ("tool_result", "tool_call")
        }
        messages = [one for one in state["messages"] if one.id in decisions]
        # Those that neither the model nor the guardrail has answered yet.
        unanswered = takewhile(
            lambda one: one.id in decisions or not isinstance(one, AIMessage),
            reversed(state["messages"]),
        )
        due = {
            "interrupt": {one.id for one in messages},
            "end": {one.id for one in unanswered},
        }
        found = [Judged(one, decisions[one.id]) for one in messages]
        return [
            one
            for one in found
            if one.message.id in due.get(one.decision["action"], ())
            and self._seals.proves(one.decision, message_digest(one.message))
        ]

    def output(self, state: Any) -> list[Question]:
        """The model's answer."""
        answer = last_answer(state["messages"])
        if not self._places.output or answer is None or answer.id is None:
            return []
        known = self._decisions(state).get((answer.id, None))
        if known is not None and self._seals.proves(known, message_digest(answer)):
            return []
        content = self._answer(answer, state)
        question = self._question(
            Subject(content.text, answer, state), "output", content, answer.id
        )
        return [] if question is None else [question]

    def failed_output(self, answer: AIMessage, state: Any) -> list[Question]:
        """An answer of which no structured response could be made."""
        if not self._places.output:
            return []
        content = answer_content(answer, {call["id"] for call in answer.tool_calls}, None)
        subject = Subject(content.text, answer, state)
        question = self._question(subject, "output", content, answer.id or str(uuid.uuid4()))
        return [] if question is None else [question]

    def content(self, judged: Judged, state: Any) -> Content:
        """What a content says that was judged."""
        if judged.call is not None:
            return call_content(judged.call)
        if judged.decision["apply_to"] == "output" and isinstance(judged.message, AIMessage):
            return self._answer(judged.message, state)
        return message_content(judged.message)

    def _answer(self, answer: AIMessage, state: Any) -> Content:
        results = results_of(answer, state["messages"])
        structured = state.get("structured_response")
        if answer.tool_calls and not results:
            structured = None
        return answer_content(answer, {one.tool_call_id for one in results}, structured)

    def calls(self, state: Any) -> list[Question]:
        """The tool calls that are about to be executed."""
        answer = last_answer(state["messages"])
        if answer is None or not self._places.tool_calls:
            return []
        answered: set[str | None] = {
            one.tool_call_id for one in results_of(answer, state["messages"])
        }
        pending = [call for call in answer.tool_calls if call["id"] not in answered]
        found = [self._call(call, answer, state, None) for call in pending]
        return [one for one in found if one is not None]

    def call(self, request: ToolCallRequest) -> list[Question]:
        """A tool call that is executed now, if no decision allows it."""
        call, state = request.tool_call, request.state
        messages = state.get("messages") or () if isinstance(state, dict) else ()
        answer = _caller(call, messages)
        question = self._call(call, answer, state, getattr(request.tool, "description", None))
        return [] if question is None else [question]

    def _call(
        self, call: ToolCall, answer: AIMessage | None, state: Any, description: str | None
    ) -> Question | None:
        if not _covers(self._places.tool_calls, call["name"]):
            return None
        message_id = "" if answer is None or answer.id is None else answer.id
        known = self._decisions(state).get((message_id, call["id"]))
        allowed = known is not None and known["action"] == "allow"
        if known is not None and allowed and self._seals.proves(known, call_digest(call)):
            return None
        content = call_content(call)
        subject = Subject(content.text, answer, state, call, description)
        shown = AIMessage("", id=message_id) if answer is None else answer
        question = self._question(subject, "tool_call", content, message_id)
        return None if question is None else question._replace(message=shown, call=call)

    def results(self, request: ToolCallRequest, result: Any) -> list[Question]:
        """The messages of a tool's result that are new."""
        call, state = request.tool_call, request.state
        if not _covers(self._places.tool_results, call["name"]):
            return []
        before = state.get("messages") or () if isinstance(state, dict) else ()
        old = {(one.id, message_digest(one)) for one in before}
        found = []
        for message in messages_in(result):
            if isinstance(message, RemoveMessage) or (message.id, message_digest(message)) in old:
                continue
            content = message_content(message)
            subject = Subject(content.text, message, state)
            message_id = message.id or str(uuid.uuid4())
            found.append(self._question(subject, "tool_result", content, message_id))
        return [one for one in found if one is not None]

    def own_results(self, request: ToolCallRequest, result: Any) -> Iterable[ToolMessage]:
        """The messages of a tool's result that the agent's own tool has written, unjudged."""
        call = request.tool_call
        if not self._places.input or _covers(self._places.tool_results, call["name"]):
            return []
        return [
            one
            for one in messages_in(result)
            if isinstance(one, ToolMessage) and one.tool_call_id == call["id"]
        ]

    def has_ended(self, state: Any) -> bool:
        """Whether this guardrail has answered in the model's place."""
        answer = last_answer(state["messages"])
        return answer is not None and self._seals.has_mark(answer, message_digest(answer), _ENDED)

    def as_end(self, message: AIMessage) -> AIMessage:
        """The last answer of a run that this guardrail ends in the model's place."""
        return self._seals.marked(message, message_digest(message), _ENDED)

    def as_own(self, message: BaseMessage) -> BaseMessage:
        """A message that the agent has written itself, recognizably."""
        return self._seals.marked(message, message_digest(message))

    def _decisions(self, state: Any) -> dict[tuple[str | None, str | None], GuardrailDecision]:
        decisions = (state.get(DECISIONS) if isinstance(state, dict) else None) or ()
        return {
            (one["message_id"], one.get("tool_call_id")): one
            for one in decisions
            if one["guardrail"] == self._guardrail
        }

    def _question(
        self, subject: Subject, kind: MessageKind, content: Content, message_id: str
    ) -> Question | None:
        opaque = None if self._rows.sees_all or self._opaque_passes else content.opaque
        row = None if opaque is not None else self._rows.row(subject)
        if row is None and opaque is None:
            return None
        message = subject.message or AIMessage("")
        return Question(message, kind, row, opaque, message_id)


def _covers(which: bool | Collection[str], name: str) -> bool:
    return name in which if isinstance(which, Collection) else which


def _caller(call: ToolCall, messages: Sequence[BaseMessage]) -> AIMessage | None:
    """The answer that makes a tool call."""
    answers = (one for one in reversed(messages) if isinstance(one, AIMessage))
    made = (one for one in answers if call["id"] in {each["id"] for each in one.tool_calls})
    return next(made, None)


def _called_tools(messages: Iterable[BaseMessage]) -> dict[Any, str]:
    return {
        call["id"]: call["name"]
        for one in messages
        if isinstance(one, AIMessage)
        for call in one.tool_calls
    }
