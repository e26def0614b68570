"""`SutroGuardrail`: a Function that judges an agent's input, output and tool results.

Needs the extra `agents`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from itertools import islice, takewhile
from typing import TYPE_CHECKING, Annotated, Any, Literal, NotRequired

try:
    from langchain.agents.middleware import AgentMiddleware, AgentState, hook_config
    from langchain.agents.middleware.types import OmitFromInput
except ImportError as error:
    raise ImportError(
        f'SutroGuardrail needs LangChain\'s agents ({error}): pip install "langchain-sutro[agents]"'
    ) from error
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage

from langchain_sutro._exports import exported_from
from langchain_sutro._service import Steps, arun_steps, run_steps
from langchain_sutro.agents.guardrail.decisions import (
    DECISIONS,
    GuardrailAction,
    GuardrailDecision,
    Judged,
    digest,
    merge_decisions,
)
from langchain_sutro.agents.guardrail.function_input import row_maker
from langchain_sutro.agents.guardrail.judging import Judging, MessageKind, Question
from langchain_sutro.agents.guardrail.messages import messages_in, trailing, with_messages
from langchain_sutro.agents.guardrail.review import reviewed
from langchain_sutro.agents.guardrail.rules import GuardrailActions, Rules
from langchain_sutro.agents.guardrail.updates import (
    Texts,
    input_update,
    output_update,
    result_update,
)
from langchain_sutro.errors import SutroConfigurationError
from langchain_sutro.functions import Judge

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    from langchain.agents.middleware import ToolCallRequest
    from langchain_core.messages import BaseMessage
    from langgraph.runtime import Runtime

    from langchain_sutro.functions import SutroFunction

__all__ = ["SutroGuardrail"]


class _GuardrailState(AgentState[Any]):
    # Callers can read decisions but not supply them, which would bypass the guardrail.
    sutro_decisions: NotRequired[Annotated[list[GuardrailDecision], OmitFromInput, merge_decisions]]


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
    - `"replace"`: `replacement` becomes the content, and the agent continues. An answer keeps its
      tool calls.
    - `"end"`: the run ends with `end_message`, and no more tools are called. The content of input
      and tool results becomes `replacement`, so that later turns do not see it either.
    - `"interrupt"`: a human decides, which needs a checkpointer. Interrupt and response have the
      form of LangChain's `HumanInTheLoopMiddleware`: resume with
      `Command(resume={"decisions": [{"type": "approve"}]})`, or `{"type": "reject"}`, which acts as
      `"end"` and may have a `message` as the end message, or `{"type": "edit", "edited_action":
      {"name": ..., "args": {"text": "..."}}}`, which acts as `"replace"` with that text. An invalid
      response interrupts again with an explanation. Until the decision, the message stays in the
      state.

    Each judgement is one real-time call and one `llm` run in the agent's trace. A message is judged
    only once unless its content changes, also in later turns of its thread, and resuming an
    interrupt does not ask the Function again.

    The decisions are kept in the state, one `GuardrailDecision` for each message, as
    `state["sutro_decisions"]`. They are not part of `messages`.

    **Order.** Put it last in `middleware`, for example after a middleware that redacts personal
    data. Then it sees each answer first, and no other middleware can end the run before it.

    **Streaming.** An answer is judged when it is complete. Its tokens, and the update of the
    model's node, are streamed before that: show them as provisional, and retract what is missing
    from the final state. Tool results are judged before they leave their node. Earlier checkpoints
    and traces keep the original content.

    Args:
        function: The Function, or its name. Its `output` and `output_model` are ignored; its
            `min_confidence` is the default for the argument below.
        fields: The Function's input: the name of the field that receives the message's text, or a
            callable that takes any of `text`, `message` and `state` by these names and returns the
            whole row, or None to skip the message. Defaults to the only field of `args_schema`.
            Without a callable, messages without text are skipped, and images are never judged.
        actions: The action for each answer, ignoring case, or a callable that takes the
            `FunctionResult` and returns the action; it is called once for each message.
        otherwise: The action for answers that are not in `actions`.
        min_confidence: From 0 to 1.
        on_low_confidence: The action for every answer whose confidence is missing or lower.
        on_error: The action if the Function cannot be asked, that is, on any `SutroError`, which is
            logged: `"end"` fails closed, `"allow"` fails open, `"raise"` raises the error.
        apply_to_input: Judge the user's messages.
        apply_to_output: Judge the model's answers, before their tool calls are run.
        apply_to_tool_results: Judge the results of all tools, or of the named tools, including
            error messages.
        replacement: The content of a replaced message.
        end_message: The last answer of a run that is ended.
        name: The name of the middleware; must be unique within an agent.

    Raises:
        SutroConfigurationError: An argument is invalid, or no message could ever pass.
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
                f"min_confidence needs confidence scores, but {judge.function.function!r} has "
                "confidence_scoring=False."
            )
        if isinstance(apply_to_tool_results, str):
            raise SutroConfigurationError(
                "apply_to_tool_results takes a list of tool names: "
                f"apply_to_tool_results=[{apply_to_tool_results!r}]."
            )
        if not (apply_to_input or apply_to_output or apply_to_tool_results):
            raise SutroConfigurationError(
                "There is nothing to judge: set apply_to_input, apply_to_output or "
                "apply_to_tool_results."
            )
        rules = Rules(actions, otherwise, judge, on_low_confidence, on_error)
        self._row = row_maker(fields, judge.function)
        self._function = judge.function
        self._name = f"SutroGuardrail[{judge.function.function}]" if name is None else name
        if {"|", ":"} & set(self._name):
            raise SutroConfigurationError(
                f"LangGraph allows no '|' or ':' in {self._name!r}: pass another name."
            )
        self.apply_to_input = apply_to_input
        self.apply_to_output = apply_to_output
        self.apply_to_tool_results = apply_to_tool_results
        self.replacement = replacement
        self.end_message = end_message
        self._judging = Judging(self._name, rules)

    @property
    def name(self) -> str:
        """The name of the middleware, of its nodes, and of its decisions."""
        return self._name

    @property
    def function(self) -> SutroFunction:
        """The Function that judges; it returns whole payloads."""
        return self._function

    @hook_config(can_jump_to=["end"])
    def before_model(self, state: Any, runtime: Runtime[Any]) -> dict[str, Any] | None:  # noqa: ARG002
        """Judge the user's messages, and let a human decide about tool results.

        Args:
            state: The agent's state.
            runtime: The agent's runtime.

        Returns:
            The update of the state; None if there was nothing to decide.
        """
        return self._input_update(
            self._judging.judge(self._inputs(state)) + self._open_results(state)
        )

    @hook_config(can_jump_to=["end"])
    async def abefore_model(self, state: Any, runtime: Runtime[Any]) -> dict[str, Any] | None:  # noqa: ARG002
        """Asynchronous form of `before_model`."""
        judged = await self._judging.ajudge(self._inputs(state))
        return self._input_update(judged + self._open_results(state))

    @hook_config(can_jump_to=["end"])
    def after_model(self, state: Any, runtime: Runtime[Any]) -> dict[str, Any] | None:  # noqa: ARG002
        """Judge the model's answer, before its tool calls are run.

        Args:
            state: The agent's state.
            runtime: The agent's runtime.

        Returns:
            The update of the state; None if there was nothing to decide.
        """
        return self._output_update(state, self._judging.judge(self._outputs(state)))

    @hook_config(can_jump_to=["end"])
    async def aafter_model(self, state: Any, runtime: Runtime[Any]) -> dict[str, Any] | None:  # noqa: ARG002
        """Asynchronous form of `after_model`."""
        return self._output_update(state, await self._judging.ajudge(self._outputs(state)))

    def after_agent(self, state: Any, runtime: Runtime[Any]) -> dict[str, Any] | None:  # noqa: ARG002
        """Decide about tool results after which the model is not called again.

        Args:
            state: The agent's state.
            runtime: The agent's runtime.

        Returns:
            The update of the state; None if there was nothing to decide.
        """
        return self._input_update(self._open_results(state), jump=False)

    async def aafter_agent(self, state: Any, runtime: Runtime[Any]) -> dict[str, Any] | None:
        """Asynchronous form of `after_agent`."""
        return self.after_agent(state, runtime)

    def wrap_tool_call(
        self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], Any]
    ) -> Any:
        """Judge a tool's result before it enters the state.

        A human is asked in the next node, so that the tool does not run again.

        Args:
            request: The tool call.
            handler: Runs the tool.

        Returns:
            The result, or a `Command` with the result and the decision about it.
        """
        result = with_messages(handler(request))
        return run_steps(self._judge_result(request, result))

    async def awrap_tool_call(
        self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], Awaitable[Any]]
    ) -> Any:
        """Asynchronous form of `wrap_tool_call`."""
        result = with_messages(await handler(request))
        return await arun_steps(self._judge_result(request, result))

    def _judge_result(self, request: ToolCallRequest, result: Any) -> Steps[Any]:
        decided = {}
        for question in self._results(request, result):
            decided[id(question.message)] = yield from self._judging.decide(question)
        return result_update(result, decided, self._texts)

    # Which messages are judged.

    def _inputs(self, state: Any) -> list[Question]:
        if not self.apply_to_input:
            return []
        said = [one for one in trailing(state["messages"]) if isinstance(one, HumanMessage)]
        return self._questions(said, "input", state)

    def _outputs(self, state: Any) -> list[Question]:
        if not self.apply_to_output:
            return []
        answers = (one for one in reversed(state["messages"]) if isinstance(one, AIMessage))
        return self._questions(list(islice(answers, 1)), "output", state)

    def _results(self, request: ToolCallRequest, result: Any) -> list[Question]:
        which, call = self.apply_to_tool_results, request.tool_call
        if not (call["name"] in which if isinstance(which, Collection) else which):
            return []
        own = [
            one
            for one in messages_in(result)
            if isinstance(one, ToolMessage) and one.tool_call_id == call["id"]
        ]
        return self._questions(own, "tool_result", request.state)

    def _questions(
        self, messages: Sequence[BaseMessage], apply_to: MessageKind, state: Any
    ) -> list[Question]:
        known = {
            (one["message_id"], one["sha256"])
            for one in state.get(DECISIONS) or ()
            if one["guardrail"] == self.name
        }
        new = (one for one in messages if (one.id, digest(one)) not in known)
        found = (Question(one, apply_to, self._row(one, state)) for one in new)
        return [one for one in found if one.row is not None]

    def _open_results(self, state: Any) -> list[Judged]:
        """Judged tool results that a human must decide about, or that end the run."""
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

    # How decisions change the state.

    @property
    def _texts(self) -> Texts:
        return Texts(self.replacement, self.end_message)

    def _input_update(self, judged: list[Judged], *, jump: bool = True) -> dict[str, Any] | None:
        return input_update(reviewed(self.name, judged), self._texts, jump=jump)

    def _output_update(self, state: Any, judged: list[Judged]) -> dict[str, Any] | None:
        return output_update(state, reviewed(self.name, judged), self._texts)
