"""`SutroGuardrail`: a Function that judges what goes into an agent, and what comes out of it.

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
        rules = Rules(actions, otherwise, judge, on_low_confidence, on_error)
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
        self._judging = Judging(self._name, rules)

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
        return self._input_update(
            self._judging.judge(self._inputs(state)) + self._open_results(state)
        )

    @hook_config(can_jump_to=["end"])
    async def abefore_model(self, state: Any, runtime: Runtime[Any]) -> dict[str, Any] | None:  # noqa: ARG002
        """`before_model` on the running event loop."""
        judged = await self._judging.ajudge(self._inputs(state))
        return self._input_update(judged + self._open_results(state))

    @hook_config(can_jump_to=["end"])
    def after_model(self, state: Any, runtime: Runtime[Any]) -> dict[str, Any] | None:  # noqa: ARG002
        """Judge the model's answer, before the tools that it calls.

        Args:
            state: The agent's.
            runtime: The agent's.

        Returns:
            The state's update; None if nothing was to decide.
        """
        return self._output_update(state, self._judging.judge(self._outputs(state)))

    @hook_config(can_jump_to=["end"])
    async def aafter_model(self, state: Any, runtime: Runtime[Any]) -> dict[str, Any] | None:  # noqa: ARG002
        """`after_model` on the running event loop."""
        return self._output_update(state, await self._judging.ajudge(self._outputs(state)))

    def after_agent(self, state: Any, runtime: Runtime[Any]) -> dict[str, Any] | None:  # noqa: ARG002
        """Decide about results of tools after which the model is not asked again.

        Args:
            state: The agent's.
            runtime: The agent's.

        Returns:
            The state's update; None if nothing was to decide.
        """
        return self._input_update(self._open_results(state), jump=False)

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
        result = with_messages(handler(request))
        return run_steps(self._judge_result(request, result))

    async def awrap_tool_call(
        self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], Awaitable[Any]]
    ) -> Any:
        """`wrap_tool_call` on the running event loop."""
        result = with_messages(await handler(request))
        return await arun_steps(self._judge_result(request, result))

    def _judge_result(self, request: ToolCallRequest, result: Any) -> Steps[Any]:
        decided = {}
        for question in self._results(request, result):
            decided[id(question.message)] = yield from self._judging.decide(question)
        return result_update(result, decided, self._texts)

    # What is to be judged.

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

    # What becomes of the messages.

    @property
    def _texts(self) -> Texts:
        return Texts(self.replacement, self.end_message)

    def _input_update(self, judged: list[Judged], *, jump: bool = True) -> dict[str, Any] | None:
        return input_update(reviewed(self.name, judged), self._texts, jump=jump)

    def _output_update(self, state: Any, judged: list[Judged]) -> dict[str, Any] | None:
        return output_update(state, reviewed(self.name, judged), self._texts)
