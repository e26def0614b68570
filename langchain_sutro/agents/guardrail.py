"""`SutroGuardrail`: a Function that judges what goes into an agent, and what comes out of it.

Needs the extra `agents`.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from itertools import islice, takewhile
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, NotRequired, TypeAlias, cast

try:
    from langchain.agents.middleware import AgentMiddleware, AgentState, hook_config
    from langchain.agents.middleware.types import OmitFromInput
    from langgraph.func import task
    from langgraph.types import Command, interrupt
except ImportError as error:
    raise ImportError(
        f'A guardrail needs LangChain\'s agents ({error}): pip install "langchain-sutro[agents]"'
    ) from error
from langchain_core.messages import (
    AIMessage,
    HumanMessage,
    RemoveMessage,
    ToolMessage,
    convert_to_messages,
)

from langchain_sutro._exports import exported_from
from langchain_sutro.agents.guardrail_rules import (
    DECISIONS,
    GuardrailAction,
    GuardrailActions,
    GuardrailDecision,
    Judged,
    Rules,
    digest,
    ended,
    merge_decisions,
    read_review,
    replaced,
    review_request,
    row_maker,
    trailing,
)
from langchain_sutro.errors import SutroConfigurationError, SutroError
from langchain_sutro.functions import Judge

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    from langchain.agents.middleware import ToolCallRequest
    from langchain_core.messages import BaseMessage
    from langgraph.runtime import Runtime

    from langchain_sutro._results import FunctionResult
    from langchain_sutro.functions import SutroFunction

__all__ = ["GuardrailAction", "GuardrailDecision", "SutroGuardrail"]

_log = logging.getLogger(__name__)

_Place: TypeAlias = Literal["input", "output", "tool_result"]
# What a task gives is streamed among the updates of nodes, and shaped as one.
_Told: TypeAlias = dict[str, list[GuardrailDecision]]


class _GuardrailState(AgentState[Any]):
    # Callers may read the decisions but not give them: that would be a way around the guardrail.
    sutro_decisions: NotRequired[Annotated[list[GuardrailDecision], OmitFromInput, merge_decisions]]


class _Question(NamedTuple):
    """A message to judge, and the Function's input for it."""

    message: BaseMessage
    apply_to: _Place
    row: Any


class _Settled(NamedTuple):
    """A message before and after the decision about it, and the words with which the run ends."""

    before: BaseMessage
    now: BaseMessage
    decision: GuardrailDecision
    end: str | None


@exported_from("langchain_sutro.middleware")
class SutroGuardrail(AgentMiddleware[Any, Any]):
    """Asks a Function about the user's input, the model's answers or the results of tools.

    ```python
    guardrail = SutroGuardrail(
        "message-safety",
        fields="text",
        actions={"safe": "allow", "unsafe": "end"},
        min_confidence=0.8,
        on_low_confidence="interrupt",
    )
    agent = create_agent(model, middleware=[guardrail])
    ```

    The Function's answer decides:

    - `"allow"`: nothing changes.
    - `"replace"`: `replacement` stands in the place of the content, and the agent goes on. An
      answer keeps its tool calls.
    - `"end"`: the run ends with `end_message`, and no tool is called any more. Input and results
      get `replacement` for their content, so that a later turn does not see them either.
    - `"interrupt"`: a human decides, which needs a checkpointer. The interrupt is the one of
      LangChain's `HumanInTheLoopMiddleware`, and so is what to resume with:
      `Command(resume={"decisions": [{"type": "approve"}]})`, or `{"type": "reject"}`, which is
      `"end"` and takes a `message` for its end message, or `{"type": "edit", "edited_action":
      {"name": ..., "args": {"text": "..."}}}`, which is `"replace"` with that text. A response that
      is not understood interrupts again, and says what is wrong with it. Until then the state has
      what is in question.

    Each judgement is one real-time call and one `llm` run in the agent's trace. No message is
    judged twice as long as it says the same, in later turns of its thread included, and a resumed
    interrupt does not ask the Function again.

    What was decided stands in the state, one `GuardrailDecision` for each message:
    `state["sutro_decisions"]`. `messages` holds nothing of it.

    **Order.** Put it last in `middleware`, after what redacts personal data for example: then it
    sees each answer first, and no other middleware can end the run before it was judged.

    **Streaming.** An answer is judged when it is complete. Tokens, and the update of the model's
    own node, are streamed before that: show them as provisional, and take back what the final
    state does not have. Results of tools are judged before they leave their node. Checkpoints and
    traces of what was before keep what was said.

    Args:
        function: The Function, or its name. Its `output` and `output_model` are not used; its
            `min_confidence` is the default of the one below.
        fields: Where the Function's input comes from: the field that gets the message's text, or a
            callable that makes the whole row of any of `text`, `message` and `state`, by these
            names, or None where there is nothing to judge. By default the only field of
            `args_schema`. Without a callable a message without text is not judged, and images
            never are.
        actions: The action for each answer, whatever its case, or a callable that makes the action
            of a `FunctionResult`, and is asked once for each message.
        otherwise: For answers that `actions` does not name.
        min_confidence: From 0 to 1.
        on_low_confidence: For answers of less confidence, or of none, whatever they say.
        on_error: If the Function cannot be asked, which is any `SutroError`, and is logged:
            `"end"` fails closed, `"allow"` fails open, `"raise"` lets the error through.
        apply_to_input: Judge what the user says.
        apply_to_output: Judge what the model answers, before the tools that it calls.
        apply_to_tool_results: Judge what tools give, errors included; all, or those of these names.
        replacement: Text that stands where something was replaced.
        end_message: Text of the answer with which a run ends.
        name: Of the middleware; two of one agent need different ones.

    Raises:
        SutroConfigurationError: What is given is not understood, or would let nothing through.
    """

    state_schema = _GuardrailState

    def __init__(
        self,
        function: SutroFunction | str,
        *,
        actions: GuardrailActions,
        fields: str | Callable[..., Any] | None = None,
        otherwise: GuardrailAction = "end",
        min_confidence: float | None = None,
        on_low_confidence: GuardrailAction = "end",
        on_error: GuardrailAction | Literal["raise"] = "end",
        apply_to_input: bool = True,
        apply_to_output: bool = False,
        apply_to_tool_results: bool | Collection[str] = False,
        replacement: str = "[Removed by a guardrail.]",
        end_message: str = "I cannot help with that.",
        name: str | None = None,
    ) -> None:
        super().__init__()
        judge = Judge.of(function, min_confidence, "A guardrail")
        if judge.min_confidence is not None and not judge.function.confidence_scoring:
            raise SutroConfigurationError(
                f"min_confidence needs a Function that scores: {judge.function.function!r} has "
                "confidence_scoring=False."
            )
        if isinstance(apply_to_tool_results, str):
            raise SutroConfigurationError(
                "apply_to_tool_results takes a list of names: "
                f"apply_to_tool_results=[{apply_to_tool_results!r}]."
            )
        if not (apply_to_input or apply_to_output or apply_to_tool_results):
            raise SutroConfigurationError(
                "There is nothing to judge: set apply_to_input, apply_to_output or "
                "apply_to_tool_results."
            )
        self._rules = Rules(actions, otherwise, judge, on_low_confidence, on_error)
        self._row = row_maker(fields, judge.function)
        self._function = judge.function
        self._name = f"SutroGuardrail[{judge.function.function}]" if name is None else name
        if {"|", ":"} & set(self._name):
            raise SutroConfigurationError(
                f"LangGraph takes no '|' or ':' in {self._name!r}: give another name."
            )
        self.apply_to_input = apply_to_input
        self.apply_to_output = apply_to_output
        self.apply_to_tool_results = apply_to_tool_results
        self.replacement = replacement
        self.end_message = end_message
        # A node that interrupts runs again from its start; what a task gave is in the checkpoint.
        once: Any = task(name=f"{self._name}.judge")
        self._told_once, self._atold_once = once(self._told), once(self._atold)

    @property
    def name(self) -> str:
        """The name of the middleware, of its nodes, and of its decisions."""
        return self._name

    @property
    def function(self) -> SutroFunction:
        """The Function that judges, giving whole payloads."""
        return self._function

    @hook_config(can_jump_to=["end"])
    def before_model(self, state: Any, runtime: Runtime[Any]) -> dict[str, Any] | None:  # noqa: ARG002
        """Judge what the user said, and let a human decide about the results of tools.

        Args:
            state: The agent's.
            runtime: The agent's.

        Returns:
            The state's update; None if nothing was to decide.
        """
        return self._update(self._judge(self._inputs(state)) + self._open_results(state))

    @hook_config(can_jump_to=["end"])
    async def abefore_model(self, state: Any, runtime: Runtime[Any]) -> dict[str, Any] | None:  # noqa: ARG002
        """`before_model` on the running event loop."""
        judged = await self._ajudge(self._inputs(state))
        return self._update(judged + self._open_results(state))

    @hook_config(can_jump_to=["end"])
    def after_model(self, state: Any, runtime: Runtime[Any]) -> dict[str, Any] | None:  # noqa: ARG002
        """Judge the model's answer, before the tools that it calls.

        Args:
            state: The agent's.
            runtime: The agent's.

        Returns:
            The state's update; None if nothing was to decide.
        """
        return self._output_update(state, self._judge(self._outputs(state)))

    @hook_config(can_jump_to=["end"])
    async def aafter_model(self, state: Any, runtime: Runtime[Any]) -> dict[str, Any] | None:  # noqa: ARG002
        """`after_model` on the running event loop."""
        return self._output_update(state, await self._ajudge(self._outputs(state)))

    def after_agent(self, state: Any, runtime: Runtime[Any]) -> dict[str, Any] | None:  # noqa: ARG002
        """Decide about results of tools after which the model is not asked again.

        Args:
            state: The agent's.
            runtime: The agent's.

        Returns:
            The state's update; None if nothing was to decide.
        """
        return self._update(self._open_results(state), jump=False)

    async def aafter_agent(self, state: Any, runtime: Runtime[Any]) -> dict[str, Any] | None:
        """`after_agent` on the running event loop."""
        return self.after_agent(state, runtime)

    def wrap_tool_call(
        self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], Any]
    ) -> Any:
        """Judge a tool's result, before it is in the state.

        The human is asked in the node after this one, so that the tool does not run again.

        Args:
            request: The call.
            handler: Runs the tool.

        Returns:
            The result, or a `Command` with it and what was decided.
        """
        result = _readable(handler(request))
        questions = self._results(request, result)
        return self._result(result, {id(one.message): self._decide(one) for one in questions})

    async def awrap_tool_call(
        self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], Awaitable[Any]]
    ) -> Any:
        """`wrap_tool_call` on the running event loop."""
        result = _readable(await handler(request))
        questions = self._results(request, result)
        decided = {id(one.message): await self._adecide(one) for one in questions}
        return self._result(result, decided)

    # What is to be judged.

    def _inputs(self, state: Any) -> list[_Question]:
        if not self.apply_to_input:
            return []
        said = [one for one in trailing(state["messages"]) if isinstance(one, HumanMessage)]
        return self._questions(said, "input", state)

    def _outputs(self, state: Any) -> list[_Question]:
        if not self.apply_to_output:
            return []
        answers = (one for one in reversed(state["messages"]) if isinstance(one, AIMessage))
        return self._questions(list(islice(answers, 1)), "output", state)

    def _results(self, request: ToolCallRequest, result: Any) -> list[_Question]:
        which, call = self.apply_to_tool_results, request.tool_call
        if not (call["name"] in which if isinstance(which, Collection) else which):
            return []
        own = [
            one
            for one in _messages_in(result)
            if isinstance(one, ToolMessage) and one.tool_call_id == call["id"]
        ]
        return self._questions(own, "tool_result", request.state)

    def _questions(
        self, messages: Sequence[BaseMessage], apply_to: _Place, state: Any
    ) -> list[_Question]:
        known = {
            (one["message_id"], one["sha256"])
            for one in state.get(DECISIONS) or ()
            if one["guardrail"] == self.name
        }
        new = (one for one in messages if (one.id, digest(one)) not in known)
        found = (_Question(one, apply_to, self._row(one, state)) for one in new)
        return [one for one in found if one.row is not None]

    def _open_results(self, state: Any) -> list[Judged]:
        """Judged results of tools that a human is to decide about, or that end the run."""
        messages = {one.id: one for one in state["messages"] if isinstance(one, ToolMessage)}
        unanswered = takewhile(
            lambda one: not isinstance(one, AIMessage), reversed(state["messages"])
        )
        due = {"interrupt": messages.keys(), "end": {one.id for one in unanswered}}
        return [
            Judged(messages[one["message_id"]], one)
            for one in state.get(DECISIONS) or ()
            if one["guardrail"] == self.name
            and one["message_id"] in messages
            and one["message_id"] in due.get(one["action"], ())
        ]

    # Asking the Function.

    def _judge(self, questions: list[_Question]) -> list[Judged]:
        if self._rules.may_ask:
            waiting = [self._told_once(one) for one in questions]
            told = [one.result() for one in waiting]
        else:
            told = [self._told(one) for one in questions]
        return _judged(questions, told)

    async def _ajudge(self, questions: list[_Question]) -> list[Judged]:
        tell = self._atold_once if self._rules.may_ask else self._atold
        return _judged(questions, await asyncio.gather(*map(tell, questions)))

    def _told(self, question: _Question) -> _Told:
        return {DECISIONS: [self._decide(question)]}

    async def _atold(self, question: _Question) -> _Told:
        return {DECISIONS: [await self._adecide(question)]}

    def _decide(self, question: _Question) -> GuardrailDecision:
        try:
            result = self._function.invoke(question.row)
        except SutroError as error:
            return self._failed(question, error)
        return self._decision(question, self._rules.action(result), result)

    async def _adecide(self, question: _Question) -> GuardrailDecision:
        try:
            result = await self._function.ainvoke(question.row)
        except SutroError as error:
            return self._failed(question, error)
        return self._decision(question, self._rules.action(result), result)

    def _failed(self, question: _Question, error: SutroError) -> GuardrailDecision:
        action = self._rules.on_error
        if action == "raise":
            raise error
        _log.warning("%s could not ask, and on_error=%r: %r", self.name, action, error)
        return self._decision(question, action, error=error)

    def _decision(
        self,
        question: _Question,
        action: GuardrailAction,
        result: FunctionResult | None = None,
        error: SutroError | None = None,
    ) -> GuardrailDecision:
        return {
            "guardrail": self.name,
            "function": self._function.function,
            "apply_to": question.apply_to,
            # The result of a tool gets its id here; everything in the state has one.
            "message_id": question.message.id or str(uuid.uuid4()),
            "answer": None if result is None else result.answer,
            "confidence": None if result is None else result.confidence,
            "rationale": None if result is None else result.rationale,
            "action": action,
            "decided_by": "function" if error is None else "error",
            "error": None if error is None else f"{type(error).__name__}: {error}",
            "sha256": digest(question.message),
        }

    # What becomes of the messages.

    def _settle(self, judged: list[Judged]) -> list[_Settled]:
        return [self._settled(*one) for one in self._reviewed(judged)]

    def _reviewed(self, judged: list[Judged]) -> list[Judged]:
        """What was judged, after a human has decided what is theirs."""
        pending = [one for one in judged if one.decision["action"] == "interrupt"]
        problem = None
        while pending:
            response = interrupt(review_request(self.name, pending, problem))
            try:
                reviews = iter(read_review(response, pending))
            except ValueError as error:
                problem = str(error)
            else:
                asked = (one.decision["action"] == "interrupt" for one in judged)
                return [
                    next(reviews) if each else one for one, each in zip(judged, asked, strict=True)
                ]
        return judged

    def _settled(
        self, message: BaseMessage, decision: GuardrailDecision, text: str | None = None
    ) -> _Settled:
        action, now, end = decision["action"], message, None
        if action == "replace":
            now = replaced(message, self.replacement if text is None else text)
        elif action == "end":
            end = text or self.end_message
            if isinstance(message, AIMessage):
                now = ended(message, end)
            else:
                now = replaced(message, self.replacement)
        return _Settled(message, now, _about(now, decision), end)

    def _update(self, judged: list[Judged], *, jump: bool = True) -> dict[str, Any] | None:
        """The state's update after input and results of tools."""
        settled = self._settle(judged)
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

    def _output_update(self, state: Any, judged: list[Judged]) -> dict[str, Any] | None:
        """The state's update after the model's answer."""
        if not judged:
            return None
        [(answer, now, decision, end)] = self._settle(judged)
        if now is answer:
            return {DECISIONS: [decision]}
        update: dict[str, Any] = {"messages": [now], DECISIONS: [decision]}
        calls = {one["id"] for one in cast("AIMessage", answer).tool_calls}
        told = [
            one
            for one in takewhile(lambda one: one.id != answer.id, reversed(state["messages"]))
            if isinstance(one, ToolMessage) and one.tool_call_id in calls
        ]
        structured = state.get("structured_response") is not None
        if structured:
            update["structured_response"] = None
        if end is not None or (structured and len(told) == len(calls)):
            # The answer calls nothing any more, so that what its calls were told goes too.
            now = ended(cast("AIMessage", answer), str(now.text))
            update["messages"] = [now, *(RemoveMessage(one.id) for one in told if one.id)]
            update[DECISIONS] = [_about(now, decision)]
            update["jump_to"] = "end"
        return update

    def _result(self, item: Any, decided: Mapping[int, GuardrailDecision]) -> Any:
        """A tool's result as it goes into the state, with what was decided about it."""
        if isinstance(item, list):
            return [self._result(one, decided) for one in item]
        update: dict[str, Any] = {"messages": [], DECISIONS: []}
        leaves = isinstance(item, Command) and item.graph is not None
        for message in _messages_in(item):
            decision = decided.get(id(message))
            if decision is None:
                update["messages"].append(message)
                continue
            if leaves and decision["action"] == "interrupt":
                # Another agent goes on with it, where this one can ask nobody.
                decision = {**decision, "action": "replace"}
            settled = self._settled(message, decision)
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


def _judged(questions: Sequence[_Question], told: Sequence[_Told]) -> list[Judged]:
    return [
        Judged(one.message, each[DECISIONS][0]) for one, each in zip(questions, told, strict=True)
    ]


def _about(message: BaseMessage, decision: GuardrailDecision) -> GuardrailDecision:
    return {**decision, "sha256": digest(message)}


def _readable(result: Any) -> Any:
    """A tool's result, in which messages are messages."""
    if isinstance(result, list):
        return [_readable(one) for one in result]
    if isinstance(result, Command) and isinstance(result.update, dict):
        messages = convert_to_messages(result.update.get("messages") or [])
        return (
            replace(result, update={**result.update, "messages": messages}) if messages else result
        )
    return result


def _messages_in(result: Any) -> list[BaseMessage]:
    if isinstance(result, list):
        return [message for one in result for message in _messages_in(one)]
    if isinstance(result, Command):
        return result.update.get("messages") or [] if isinstance(result.update, dict) else []
    return [result]
