"""`Judging`: asks the judge about messages and tool calls."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from langchain_core.runnables.config import ContextThreadPoolExecutor
from langgraph.func import task

from langchain_sutro._core.service import Steps, arun_steps, run_steps, start_all
from langchain_sutro.agents.guardrail.contents import call_digest, message_digest
from langchain_sutro.agents.guardrail.decisions import (
    DECISIONS,
    GuardrailAction,
    GuardrailDecision,
    Judged,
    MessageKind,
)
from langchain_sutro.errors import SutroInputError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from langchain_core.messages import BaseMessage, ToolCall

    from langchain_sutro._core.results import FunctionResult
    from langchain_sutro.agents.guardrail.rules import Rules
    from langchain_sutro.agents.guardrail.seals import Seals

__all__ = ["Judging", "Question"]

_log = logging.getLogger(__name__)

# LangGraph streams the result of a task among the updates of nodes, so it has their form.
_TaskResult: TypeAlias = dict[str, list[GuardrailDecision]]
_AT_ONCE = 16


class Question(NamedTuple):
    """What is to be judged, and the judge's input for it.

    Attributes:
        message: The message; for a tool call, the answer that makes it.
        apply_to: What it is.
        row: The judge's input.
        opaque: What cannot be judged because it has no text, such as an image; None if all can.
        message_id: The message's id in the state.
        call: The tool call; None for a message.
    """

    message: BaseMessage
    apply_to: MessageKind
    row: Any
    opaque: str | None
    message_id: str
    call: ToolCall | None = None


class Judging:
    """Asks the judge, and applies the rules to its answers.

    Args:
        name: The guardrail's name.
        rules: What an answer or an error leads to.
        seals: Seal the decisions.
        refused_for_text: Whether an input that the judge refuses was refused for its text alone,
            so that nobody has to change the configuration.
    """

    def __init__(
        self, name: str, rules: Rules, seals: Seals, refused_for_text: Callable[[], bool]
    ) -> None:
        self._name = name
        self._rules = rules
        self._judge = rules.judge
        self._seals = seals
        self._refused_for_text = refused_for_text

    def judge(self, questions: Sequence[Question], *, once: bool = False) -> list[Judged]:
        """Decide about contents inside a node.

        Args:
            questions: What to judge.
            once: Do not ask again if the node runs again, even if no human may be asked here.
        """
        if self._rules.may_ask or once:
            waiting = [self._task(question) for question in questions]
            return _judged(questions, [future.result()[DECISIONS][0] for future in waiting])
        if len(questions) < 2:
            return _judged(questions, [self._run(question) for question in questions])
        with ContextThreadPoolExecutor(min(len(questions), _AT_ONCE)) as pool:
            waiting = start_all(pool, self._run, questions)
            return _judged(questions, [one.result() for one in waiting])

    async def ajudge(self, questions: Sequence[Question], *, once: bool = False) -> list[Judged]:
        """Asynchronous form of `judge`."""
        if self._rules.may_ask or once:
            found = await asyncio.gather(*(self._atask(question) for question in questions))
            return _judged(questions, [one[DECISIONS][0] for one in found])
        slots = asyncio.Semaphore(_AT_ONCE)

        async def run(question: Question) -> GuardrailDecision:
            async with slots:
                return await arun_steps(self.decide(question))

        return _judged(questions, await asyncio.gather(*map(run, questions)))

    # A node that interrupts runs again from its start; results of tasks are checkpointed. The
    # tasks take no arguments, which would be shown in the trace.

    def _task(self, question: Question) -> Any:
        def judge() -> _TaskResult:
            return {DECISIONS: [self._run(question)]}

        return self._once(judge)

    def _atask(self, question: Question) -> Any:
        async def judge() -> _TaskResult:
            return {DECISIONS: [await arun_steps(self.decide(question))]}

        return self._once(judge)

    def _once(self, judge: Any) -> Any:
        return task(name=f"{self._name}.judge")(judge)()

    def _run(self, question: Question) -> GuardrailDecision:
        return run_steps(self.decide(question))

    def decide(self, question: Question) -> Steps[GuardrailDecision]:
        """Ask the judge about one content."""
        if question.opaque is not None and self._rules.on_unreadable != "allow":
            return self._unreadable(question, question.opaque)
        try:
            result = yield from self._judge.ask(question.row)
        except Exception as error:
            is_input = isinstance(error, SutroInputError)
            if is_input and not self._refused_for_text():
                raise
            if not is_input and not self._judge.failed(error):
                raise
            action = self._rules.on_unreadable if is_input else self._rules.on_error
            if action == "raise":
                raise
            _log.warning(
                "%s could not ask the Function, and on_error=%r: %r", self._name, action, error
            )
            return self._decision(question, action, error=error)
        return self._decision(question, self._rules.action(result), result)

    def _unreadable(self, question: Question, opaque: str) -> GuardrailDecision:
        error = SutroInputError(f"It cannot be judged as text: it contains {opaque!r}.")
        action = self._rules.on_unreadable
        if action == "raise":
            raise error
        _log.warning("%s, and on_unreadable=%r: %s", self._name, action, error)
        return self._decision(question, action, error=error)

    def _decision(
        self,
        question: Question,
        action: GuardrailAction,
        result: FunctionResult | None = None,
        error: Exception | None = None,
    ) -> GuardrailDecision:
        words: dict[GuardrailAction, GuardrailAction] = {"block": "replace"}
        if question.call is not None:
            words = {"replace": "block"}
        decision: GuardrailDecision = {
            "guardrail": self._name,
            "function": self._judge.name,
            "apply_to": question.apply_to,
            "message_id": question.message_id,
            "answer": None if result is None else result.answer,
            "confidence": None if result is None else result.confidence,
            "rationale": None if result is None else result.rationale,
            "action": words.get(action, action),
            "decided_by": "function" if error is None else "error",
            "error": None if error is None else f"{type(error).__name__}: {error}",
            "sha256": "",
        }
        if question.call is None:
            digest = message_digest(question.message)
        else:
            digest = call_digest(question.call)
            decision["tool_call_id"] = question.call["id"]
        decision["sha256"] = self._seals.of_decision(decision, digest)
        return decision


def _judged(questions: Sequence[Question], decisions: Sequence[GuardrailDecision]) -> list[Judged]:
    return [
        Judged(question.message, decision, call=question.call)
        for question, decision in zip(questions, decisions, strict=True)
    ]
