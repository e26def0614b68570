"""The model's call: what a guardrail does around it.

Messages are judged in a node before the model, from which the run can be ended. What reaches the
model all the same, because a caller jumps over that node or another middleware adds it, is judged
here.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from langchain.agents.middleware.types import ExtendedModelResponse, ModelResponse
from langchain_core.messages import AIMessage, ToolMessage
from langgraph.types import Command

from langchain_sutro.agents.guardrail.decisions import DECISIONS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from langchain.agents.middleware import ModelRequest
    from langchain_core.messages import BaseMessage

    from langchain_sutro.agents.guardrail.decisions import Judged
    from langchain_sutro.agents.guardrail.selection import Selection
    from langchain_sutro.agents.guardrail.updates import Settler

__all__ = ["WITHHELD", "Passage", "extended", "own_response", "refused_answer", "withheld"]

# The key of the state for a structured response that is not judged yet.
WITHHELD = "sutro_withheld"


class Passage:
    """What becomes of a model's call after its messages were judged.

    Args:
        request: The call.
        judged: Messages and final decisions.
        settler: Carries out decisions.
    """

    def __init__(
        self, request: ModelRequest[Any], judged: Sequence[Judged], settler: Settler
    ) -> None:
        settled = [settler.settle(one) for one in judged]
        changed = {id(one.before): one.now for one in settled if one.now is not one.before}
        # An open result is not the object that the request has, but has its id.
        by_id = {one.before.id: one.now for one in settled if one.before.id}
        messages: list[Any] = [
            changed.get(id(one), by_id.get(one.id, one) if one.id else one)
            for one in request.messages
        ]
        self.request = request.override(messages=messages) if settled else request
        kept = {one.id for one in request.state.get("messages", ())}
        self._update: dict[str, Any] = {DECISIONS: [one.decision for one in settled]}
        self._update["messages"] = [
            one.now for one in settled if one.now is not one.before and one.before.id in kept
        ]
        ends = [one.end for one in settled if one.end is not None]
        self.end: str | None = ends[0] if ends else None

    def response(self, response: Any) -> Any:
        """The response with the changes of the state.

        Args:
            response: The model's, or what takes its place.
        """
        if not self._update[DECISIONS]:
            return response
        update = {name: value for name, value in self._update.items() if value}
        return extended(response, update)


def extended(response: Any, update: dict[str, Any]) -> ExtendedModelResponse[Any]:
    """A response with an update of the state.

    Args:
        response: As a handler returns it.
        update: The update.
    """
    if isinstance(response, ExtendedModelResponse):
        # Of another middleware, which stands behind this one.
        own = response.command.update if response.command is not None else None
        merged = {**(own if isinstance(own, dict) else {}), **update}
        return replace(response, command=Command(update=merged))
    if isinstance(response, AIMessage):
        response = ModelResponse(result=[response])
    return ExtendedModelResponse(model_response=response, command=Command(update=update))


def own_response(response: Any, selection: Selection) -> Any:
    """The response, in which the agent's own messages can be recognized later.

    Args:
        response: As a handler returns it.
        selection: Recognizes messages.
    """
    if isinstance(response, ExtendedModelResponse):
        return replace(response, model_response=own_response(response.model_response, selection))
    if isinstance(response, AIMessage):
        return selection.as_own(response)
    return replace(response, result=[_own(one, selection) for one in response.result])


def _own(message: BaseMessage, selection: Selection) -> BaseMessage:
    is_own = isinstance(message, (AIMessage, ToolMessage))
    return selection.as_own(message) if is_own else message


def withheld(response: Any) -> Any:
    """The response, whose structured response nobody sees until it was judged.

    Args:
        response: As a handler returns it.
    """
    inner = response.model_response if isinstance(response, ExtendedModelResponse) else response
    structured = getattr(inner, "structured_response", None)
    if structured is None:
        return response
    inner = replace(inner, structured_response=None)
    if isinstance(response, ExtendedModelResponse):
        inner = replace(response, model_response=inner)
    return extended(inner, {WITHHELD: structured})


def refused_answer(text: str, selection: Selection) -> ModelResponse[Any]:
    """The last answer of a run that is ended in the model's place.

    Args:
        text: Its text.
        selection: Recognizes messages.
    """
    return ModelResponse(result=[selection.as_end(AIMessage(text))])
