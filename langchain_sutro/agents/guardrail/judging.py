"""`Judging`: asks the Function about messages."""

from __future__ import annotations

import asyncio
import logging
import uuid
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

from langgraph.func import task

from langchain_sutro._service import Step, Steps, arun_steps, run_steps
from langchain_sutro.agents.guardrail.decisions import (
    DECISIONS,
    GuardrailAction,
    GuardrailDecision,
    Judged,
    digest,
)
from langchain_sutro.errors import SutroError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from langchain_core.messages import BaseMessage

    from langchain_sutro._results import FunctionResult
    from langchain_sutro.agents.guardrail.rules import Rules

__all__ = ["Judging", "MessageKind", "Question"]

_log = logging.getLogger(__name__)

MessageKind: TypeAlias = Literal["input", "output", "tool_result"]
# LangGraph streams the result of a task among the updates of nodes, so it has their form.
_TaskResult: TypeAlias = dict[str, list[GuardrailDecision]]


class Question(NamedTuple):
    """A message to judge, and the Function's input for it."""

    message: BaseMessage
    apply_to: MessageKind
    row: Any


class Judging:
    """Asks the Function, and applies the rules to its answers.

    Args:
        name: The guardrail's name.
        rules: What an answer or an error leads to.
    """

    def __init__(self, name: str, rules: Rules) -> None:
        self._name = name
        self._rules = rules
        self._function = rules.judge.function
        # A node that interrupts runs again from its start; results of tasks are checkpointed.
        once: Any = task(name=f"{name}.judge")
        self._task, self._atask = once(self._run_task), once(self._arun_task)

    def judge(self, questions: Sequence[Question]) -> list[Judged]:
        """Decide about messages inside a node; once, also if the node runs again."""
        if self._rules.may_ask:
            waiting = [self._task(question) for question in questions]
            results = [future.result() for future in waiting]
        else:
            results = [self._run_task(question) for question in questions]
        return _judged(questions, results)

    async def ajudge(self, questions: Sequence[Question]) -> list[Judged]:
        """Asynchronous form of `judge`."""
        run = self._atask if self._rules.may_ask else self._arun_task
        return _judged(questions, await asyncio.gather(*map(run, questions)))

    def _run_task(self, question: Question) -> _TaskResult:
        return {DECISIONS: [run_steps(self.decide(question))]}

    async def _arun_task(self, question: Question) -> _TaskResult:
        return {DECISIONS: [await arun_steps(self.decide(question))]}

    def decide(self, question: Question) -> Steps[GuardrailDecision]:
        """Ask the Function about one message."""
        function, row = self._function, question.row
        try:
            result = yield Step(partial(function.invoke, row), partial(function.ainvoke, row))
        except SutroError as error:
            action = self._rules.on_error
            if action == "raise":
                raise
            _log.warning(
                "%s could not ask the Function, and on_error=%r: %r", self._name, action, error
            )
            return self._decision(question, action, error=error)
        return self._decision(question, self._rules.action(result), result)

    def _decision(
        self,
        question: Question,
        action: GuardrailAction,
        result: FunctionResult | None = None,
        error: SutroError | None = None,
    ) -> GuardrailDecision:
        return {
            "guardrail": self._name,
            "function": self._function.function,
            "apply_to": question.apply_to,
            # A tool's result gets its id here; all messages in the state have one.
            "message_id": question.message.id or str(uuid.uuid4()),
            "answer": None if result is None else result.answer,
            "confidence": None if result is None else result.confidence,
            "rationale": None if result is None else result.rationale,
            "action": action,
            "decided_by": "function" if error is None else "error",
            "error": None if error is None else f"{type(error).__name__}: {error}",
            "sha256": digest(question.message),
        }


def _judged(questions: Sequence[Question], results: Sequence[_TaskResult]) -> list[Judged]:
    return [
        Judged(question.message, result[DECISIONS][0])
        for question, result in zip(questions, results, strict=True)
    ]
