"""`SutroGuardrail`: a judge of an agent's input, output, tool calls and tool results.

Needs the extra `agents`.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal, NotRequired

try:
    from langchain.agents.middleware import AgentMiddleware, AgentState, hook_config
    from langchain.agents.middleware.types import OmitFromInput, OmitFromSchema
    from langchain.agents.structured_output import StructuredOutputError
except ImportError as error:
    raise ImportError(
        f'SutroGuardrail needs LangChain\'s agents ({error}): pip install "langchain-sutro[agents]"'
    ) from error

from langchain_sutro._core.exports import exported_from
from langchain_sutro._core.service import Step, Steps, arun_steps, blocking, run_steps
from langchain_sutro.agents.guardrail.decisions import (
    DECISIONS,
    GuardrailAction,
    GuardrailDecision,
    Judged,
    merge_decisions,
)
from langchain_sutro.agents.guardrail.function_input import RowMaker
from langchain_sutro.agents.guardrail.judges import judge_of
from langchain_sutro.agents.guardrail.judging import Judging, Question
from langchain_sutro.agents.guardrail.messages import with_messages
from langchain_sutro.agents.guardrail.model_calls import (
    WITHHELD,
    Passage,
    extended,
    own_response,
    refused_answer,
    withheld,
)
from langchain_sutro.agents.guardrail.review import reviewed
from langchain_sutro.agents.guardrail.rules import GuardrailActions, Rules
from langchain_sutro.agents.guardrail.seals import Seals
from langchain_sutro.agents.guardrail.selection import Places, Selection
from langchain_sutro.agents.guardrail.trace import NO_PAYLOAD
from langchain_sutro.agents.guardrail.updates import (
    Settler,
    answer_update,
    blocked,
    input_update,
    result_update,
    sealed_call,
)
from langchain_sutro.errors import SutroConfigurationError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Mapping

    from langchain.agents.middleware import ModelRequest, ToolCallRequest
    from langchain_core.decisions import BaseDecisionModel
    from langgraph.runtime import Runtime

    from langchain_sutro.functions import SutroFunction

__all__ = ["SutroGuardrail"]


class _GuardrailState(AgentState[Any]):
    # Callers can read decisions but not supply them, which would bypass the guardrail.
    sutro_decisions: NotRequired[Annotated[list[GuardrailDecision], OmitFromInput, merge_decisions]]
    # A structured response, until it was judged.
    sutro_withheld: NotRequired[Annotated[Any, OmitFromSchema()]]


@exported_from("langchain_sutro.middleware")
class SutroGuardrail(AgentMiddleware[Any, Any]):
    """Asks a judge about what an agent reads, says and does.

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

    The judge is a Function, or a decision model of `langchain_core.decisions` with a question. Its
    answer decides:

    - `"allow"`: nothing changes.
    - `"replace"`: `replacement` becomes the content, and the agent continues. An answer keeps the
      tool calls that are still to be executed; structured output is removed, which ends the run.
    - `"block"`: for a tool call, the tool is not executed, and the model reads `block_message` as
      its result, with the status `"error"`. For messages it is the same as `"replace"`, and for
      tool calls `"replace"` is the same as `"block"`.
    - `"end"`: the run ends with `end_message`, and no more tools are called. The content of input
      and tool results becomes `replacement`, so that later turns do not see it either. There is no
      structured response.
    - `"interrupt"`: a human decides, which needs a checkpointer. Interrupt and response have the
      form of LangChain's `HumanInTheLoopMiddleware`: resume with
      `Command(resume={"decisions": [{"type": "approve"}]})`, or `{"type": "reject"}`, which acts as
      `"end"` and may have a `message` as the end message, or `{"type": "edit", "edited_action":
      {"name": ..., "args": {"text": "..."}}}`, which acts as `"replace"` with that text. For a tool
      call, `"reject"` acts as `"block"`, and `"edit"` runs the same tool with other `args`. An
      invalid response interrupts again with an explanation. Until the decision, the message stays
      in the state.

    Each judgement is one real-time call and one `llm` run in the agent's trace. Nothing is judged
    twice unless its content changes, also in later turns of its thread, and resuming an interrupt
    does not ask the judge again.

    The decisions are kept in the state as `state["sutro_decisions"]`, one `GuardrailDecision` for
    each message or tool call. They are not part of `messages`.

    **What is judged as input.** Everything that the model is about to read and that neither the
    model nor a tool has written in this thread: messages of every role, histories that a caller
    sends whole, answers and tool results in them, messages that were changed under their id, and
    what other middleware adds. All text counts, also that in content blocks of any type, names and
    arguments of tool calls. Content without text, such as an image, cannot be judged:
    `on_unreadable` applies. The agent's own messages are recognized by a keyed hash in their
    metadata, which callers cannot make.

    **Order.** Put it last in `middleware`, for example after a middleware that redacts personal
    data. Then it sees each answer first and each prompt last, and no other middleware can end the
    run before it.

    **Streaming.** An answer is judged when it is complete. Its tokens, and the update of the
    model's node, are streamed before that: show them as provisional, and retract what is missing
    from the final state. Tool results are judged before they leave their node. Earlier checkpoints
    and traces keep the original content.

    Args:
        function: The Function, its name, or a decision model. A Function's `output` and
            `output_model` are ignored; its `min_confidence` is the default for the argument below.
        question: For a decision model, a dict with one question by its id, such as
            `{"is_risky": Noul(instructions="Would this call be risky?")}`. A `Noul` is answered by
            True or False, a `Choice` by its label, and a `Score` by a number, for which `actions`
            must be a callable.
        fields: The Function's input: the name of the field that receives the text, or a callable
            that returns the whole row, or None to skip the content. A callable has one parameter,
            the text, or takes any of `text`, `message`, `state` and `tool_call` by these names.
            The text of a tool call is JSON of its name and arguments. A callable that takes
            `message` or `state` is responsible for images and files too. Defaults to the only
            field of `args_schema`. For a decision model, a callable that returns the state to
            judge; by default the text, or for a tool call an object with `tool_call`, the last
            `messages` and `tool_description`.
        actions: The action for each answer, ignoring case, or a callable that takes the
            `FunctionResult` and returns the action; it is called once for each content.
        otherwise: The action for answers that are not in `actions`.
        min_confidence: From 0 to 1. The confidence of a `Noul` is the probability of its answer.
        on_low_confidence: The action for every answer whose confidence is missing or lower.
        on_error: The action if the judge cannot be asked, for example because the service is not
            reachable; it is logged. `"end"` fails closed, `"allow"` fails open, `"raise"` raises
            the error. Faults in the configuration (a refused key, a Function that does not exist, a
            field that it does not have) are always raised.
        on_unreadable: The action for content that has no text to judge, such as images and files,
            and for text that the service does not accept. With `"allow"`, the text beside an image
            is still judged. Defaults to `on_error`.
        apply_to_input: Judge what the model is about to read; see above.
        apply_to_output: Judge the model's answers, including structured output, before their tool
            calls are run.
        apply_to_tool_calls: Judge the tool calls of the model, all or those of the named tools,
            each on its own and before any of them is executed.
        apply_to_tool_results: Judge the results of all tools, or of the named tools, including
            error messages.
        replacement: The content of a replaced message.
        end_message: The last answer of a run that is ended.
        block_message: What the model reads as the result of a tool call that is not executed.
        name: The name of the middleware; must be unique within an agent.
        secret: What the keyed hashes are made with, if several processes share a thread and the
            judge is a decision model without an API key of its own. Defaults to the API key of the
            judge.

    Raises:
        SutroConfigurationError: An argument is invalid, or no content could ever pass.
    """

    state_schema = _GuardrailState
    trace_policy = NO_PAYLOAD

    def __init__(
        self,
        function: SutroFunction | BaseDecisionModel | str,
        *,
        actions: GuardrailActions,
        question: Mapping[str, Any] | None = None,
        fields: str | Callable[..., Any] | None = None,
        otherwise: GuardrailAction = "end",
        min_confidence: float | None = None,
        on_low_confidence: GuardrailAction = "end",
        on_error: GuardrailAction | Literal["raise"] = "end",
        on_unreadable: GuardrailAction | Literal["raise"] | None = None,
        apply_to_input: bool = True,
        apply_to_output: bool = False,
        apply_to_tool_calls: bool | Collection[str] = False,
        apply_to_tool_results: bool | Collection[str] = False,
        replacement: str = "[Removed by a guardrail.]",
        end_message: str = "I cannot help with that.",
        block_message: str = "This tool call was blocked by a guardrail and was not executed.",
        name: str | None = None,
        secret: str | None = None,
    ) -> None:
        super().__init__()
        judge = judge_of(function, question, min_confidence)
        places = Places(
            apply_to_input,
            apply_to_output,
            _names("apply_to_tool_results", apply_to_tool_results),
            _names("apply_to_tool_calls", apply_to_tool_calls),
        )
        if not any(places):
            raise SutroConfigurationError(
                "There is nothing to judge: set apply_to_input, apply_to_output, "
                "apply_to_tool_calls or apply_to_tool_results."
            )
        unreadable = on_error if on_unreadable is None else on_unreadable
        rules = Rules(actions, otherwise, judge, on_low_confidence, on_error, unreadable)
        rows = RowMaker(fields, judge.asked)
        self._judge = judge.asked
        self._name = f"SutroGuardrail[{judge.name}]" if name is None else name
        if {"|", ":"} & set(self._name):
            raise SutroConfigurationError(
                f"LangGraph allows no '|' or ':' in {self._name!r}: pass another name."
            )
        self._places = places
        seals = Seals(self._name, judge.secret if secret is None else secret.encode)
        self._seals = seals
        self._selection = Selection(
            self._name, places, rows, seals, opaque_passes=unreadable == "allow"
        )
        self._judging = Judging(self._name, rules, seals, lambda: rows.fits)
        self._settler = Settler(seals, replacement, end_message, block_message)

    @property
    def name(self) -> str:
        """The name of the middleware, of its nodes, and of its decisions."""
        return self._name

    @property
    def function(self) -> Any:
        """The Function that judges, which returns whole payloads, or the decision model."""
        return self._judge

    @hook_config(can_jump_to=["end"])
    def before_model(self, state: Any, runtime: Runtime[Any]) -> dict[str, Any] | None:  # noqa: ARG002
        """Judge what the model is about to read, and let a human decide about tool results.

        Args:
            state: The agent's state.
            runtime: The agent's runtime.

        Returns:
            The update of the state; None if there was nothing to decide.
        """
        return run_steps(self._before_model(state))

    @hook_config(can_jump_to=["end"])
    async def abefore_model(self, state: Any, runtime: Runtime[Any]) -> dict[str, Any] | None:  # noqa: ARG002
        """Asynchronous form of `before_model`."""
        return await arun_steps(self._before_model(state))

    def wrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], Any]
    ) -> Any:
        """Judge what no node before the model has judged, and mark the model's answer.

        Args:
            request: The call.
            handler: Calls the model.

        Returns:
            The model's response, or the end message in its place.
        """
        return run_steps(self._model_call(request, handler))

    async def awrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], Awaitable[Any]]
    ) -> Any:
        """Asynchronous form of `wrap_model_call`."""
        return await arun_steps(self._model_call(request, handler))

    @hook_config(can_jump_to=["end"])
    def after_model(self, state: Any, runtime: Runtime[Any]) -> dict[str, Any] | None:  # noqa: ARG002
        """Judge the model's answer and its tool calls, before any of them is run.

        Args:
            state: The agent's state.
            runtime: The agent's runtime.

        Returns:
            The update of the state; None if there was nothing to decide.
        """
        return run_steps(self._after_model(state))

    @hook_config(can_jump_to=["end"])
    async def aafter_model(self, state: Any, runtime: Runtime[Any]) -> dict[str, Any] | None:  # noqa: ARG002
        """Asynchronous form of `after_model`."""
        return await arun_steps(self._after_model(state))

    def after_agent(self, state: Any, runtime: Runtime[Any]) -> dict[str, Any] | None:  # noqa: ARG002
        """Decide about tool results after which the model is not called again.

        Args:
            state: The agent's state.
            runtime: The agent's runtime.

        Returns:
            The update of the state; None if there was nothing to decide.
        """
        return run_steps(self._after_agent(state))

    async def aafter_agent(self, state: Any, runtime: Runtime[Any]) -> dict[str, Any] | None:  # noqa: ARG002
        """Asynchronous form of `after_agent`."""
        return await arun_steps(self._after_agent(state))

    def wrap_tool_call(
        self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], Any]
    ) -> Any:
        """Judge a tool call that was not judged yet, and its result before it enters the state.

        About a result, a human is asked in the next node, so that the tool does not run again.

        Args:
            request: The tool call.
            handler: Runs the tool.

        Returns:
            The result, or a `Command` with the result and the decisions.
        """
        return run_steps(self._tool_call(request, handler))

    async def awrap_tool_call(
        self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], Awaitable[Any]]
    ) -> Any:
        """Asynchronous form of `wrap_tool_call`."""
        return await arun_steps(self._tool_call(request, handler))

    # What the hooks do, in both forms.

    def _before_model(self, state: Any) -> Steps[dict[str, Any] | None]:
        yield from self._prepare()
        judged = yield from self._judged(self._selection.inputs(state["messages"], state))
        judged += self._selection.open_results(state)
        return input_update(state, self._reviewed(judged, state), self._settler)

    def _model_call(self, request: ModelRequest[Any], handler: Callable[..., Any]) -> Steps[Any]:
        yield from self._prepare()
        state = request.state
        judged = yield from self._judged(self._selection.inputs(request.messages, state))
        judged += self._selection.open_results(state)
        passage = Passage(request, self._reviewed(judged, state), self._settler)
        if passage.end is not None:
            return passage.response(refused_answer(passage.end, self._selection))
        call = partial(handler, passage.request)
        try:
            response = yield Step(call, call)
        except StructuredOutputError as error:
            response = yield from self._failed_output(error, state)
        else:
            if self._places.input:
                response = own_response(response, self._selection)
            if self._places.output:
                response = withheld(response)
        return passage.response(response)

    def _failed_output(self, error: StructuredOutputError, state: Any) -> Steps[Any]:
        """The answer in place of one that has no structured response, and is quoted in the error.

        Raises:
            StructuredOutputError: The error, if the answer is allowed.
        """
        judged = yield from self._judged(self._selection.failed_output(error.ai_message, state))
        if not judged or judged[0].decision["action"] == "allow":
            raise error
        [one] = judged
        if one.decision["action"] == "interrupt":
            # What a human could allow is an error, and the model would be called again for it.
            ended: Any = {**one.decision, "action": "end"}
            one = one._replace(decision=ended)
        settled = self._settler.settle(one, is_answer=True)
        response = refused_answer(str(settled.now.text), self._selection)
        [answer] = response.result
        decision: Any = {**settled.decision, "message_id": answer.id}
        return extended(response, {DECISIONS: [self._settler.sealed(decision, answer)]})

    def _after_model(self, state: Any) -> Steps[dict[str, Any] | None]:
        yield from self._prepare()
        if self._selection.has_ended(state):
            stale = state.get("structured_response") is not None
            return {"jump_to": "end", **({"structured_response": None} if stale else {})}
        structured = state.get(WITHHELD)
        if structured is not None:
            state = {**state, "structured_response": structured}
        output, calls = self._selection.output(state), self._selection.calls(state)
        judged = yield from self._judged(output + calls)
        judged = self._reviewed(judged, state)
        end = len(output)
        update = answer_update(state, judged[:end], judged[end:], self._settler)
        if structured is None:
            return update
        return {"structured_response": structured, **(update or {}), WITHHELD: None}

    def _after_agent(self, state: Any) -> Steps[dict[str, Any] | None]:
        yield from self._prepare()
        judged = self._reviewed(self._selection.open_results(state), state)
        return input_update(state, judged, self._settler, jump=False)

    def _tool_call(self, request: ToolCallRequest, handler: Callable[..., Any]) -> Steps[Any]:
        yield from self._prepare()
        # The tool may interrupt, after which this runs again.
        judged = yield from self._judged(self._selection.call(request), once=True)
        judged = self._reviewed(judged, request.state)
        for one in judged:
            if one.decision["action"] != "allow":
                return blocked(one, self._settler)
            if one.call is not None and one.call != request.tool_call:
                request = request.override(tool_call=one.call)
        run = partial(handler, request)
        result = with_messages((yield Step(run, run)))
        decided = {}
        for question in self._selection.results(request, result):
            decided[id(question.message)] = yield from self._judging.decide(question)
        own = {id(one) for one in self._selection.own_results(request, result)}
        allowed = [sealed_call(one, self._settler) for one in judged]
        return result_update(result, decided, own, allowed, self._settler)

    def _prepare(self) -> Steps[None]:
        if not self._seals.ready:
            yield blocking(self._seals.prepare)

    def _judged(self, questions: list[Question], *, once: bool = False) -> Steps[list[Judged]]:
        if not questions:
            return []
        judging = self._judging
        judged: list[Judged] = yield Step(
            partial(judging.judge, questions, once=once),
            partial(judging.ajudge, questions, once=once),
        )
        return judged

    def _reviewed(self, judged: list[Judged], state: Any) -> list[Judged]:
        return reviewed(self.name, judged, lambda one: self._selection.content(one, state))


def _names(parameter: str, which: bool | Collection[str]) -> bool | Collection[str]:
    if isinstance(which, str):
        raise SutroConfigurationError(
            f"{parameter} takes a list of tool names: {parameter}=[{which!r}]."
        )
    return which
