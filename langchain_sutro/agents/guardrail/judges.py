"""Who judges: a Function, or a decision model of LangChain that is asked one question."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from langchain_core.exceptions import (
    ModelAuthenticationError,
    ModelInvalidRequestError,
    ModelNotFoundError,
    ModelPermissionDeniedError,
)
from langgraph.errors import GraphBubbleUp
from pydantic import SecretStr

from langchain_sutro._core.jobs import SutroClient
from langchain_sutro._core.results import FunctionResult, check_min_confidence
from langchain_sutro._core.service import Step, Steps
from langchain_sutro.errors import (
    SutroAPIError,
    SutroAuthenticationError,
    SutroConfigurationError,
    SutroError,
    SutroNotFoundError,
    SutroValidationError,
)
from langchain_sutro.functions import Judge as FunctionVerdict
from langchain_sutro.functions import SutroFunction

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Judge", "judge_of"]

# An administrator must change something; no later call would succeed by itself.
_FAULTS = (
    ModelAuthenticationError,
    ModelInvalidRequestError,
    ModelNotFoundError,
    ModelPermissionDeniedError,
    SutroAuthenticationError,
    SutroConfigurationError,
    SutroNotFoundError,
    SutroValidationError,
)
# A model of another package may raise anything; these are faults in code.
_BUGS = (AssertionError, AttributeError, LookupError, NameError, NotImplementedError, TypeError)
_TOO_LARGE = 413
# The model, and what maps its questions to Functions.
_DEEPEST = 2


class Judge(Protocol):
    """What a guardrail needs to know about who judges.

    Attributes:
        name: The name of the Function or of the decision model.
        min_confidence: The least confidence that is accepted; None accepts every answer.
        asked: The Function or the decision model itself.
        answers_numbers: Whether its answers are numbers, which no dict of actions can name.
    """

    name: str
    min_confidence: float | None
    asked: Any
    answers_numbers: bool

    def ask(self, row: Any) -> Steps[FunctionResult]:
        """Ask about one content.

        Args:
            row: The Function's input, or the decision model's state.
        """

    def failed(self, error: Exception) -> bool:
        """Whether an error means that no answer could be had, so that `on_error` applies.

        Faults in the configuration and in code are to be raised instead.
        """

    def secret(self) -> bytes:
        """What only those know who may ask."""


def judge_of(judge: Any, question: Any, min_confidence: float | None) -> Judge:
    """The judge that a user of the guardrail describes.

    Args:
        judge: A Function, its name, or a decision model.
        question: For a decision model, the id of the question and the question.
        min_confidence: By default the Function's own.

    Raises:
        SutroConfigurationError: An argument is invalid.
    """
    if question is None and not _is_decision_model(judge):
        return _FunctionJudge(FunctionVerdict.of(judge, min_confidence, "A guardrail"))
    if isinstance(judge, (str, SutroFunction)):
        raise SutroConfigurationError(
            "question is for decision models only: a Function has its own question."
        )
    if not (callable(getattr(judge, "invoke", None)) and callable(getattr(judge, "ainvoke", None))):
        raise SutroConfigurationError(
            "A guardrail with a question needs a decision model, such as one of "
            f"langchain_core.decisions (langchain-core 1.8 or newer), not {type(judge).__name__}."
        )
    check_min_confidence(min_confidence)
    return _DecisionJudge(judge, *_the_question(question), min_confidence)


def _is_decision_model(judge: Any) -> bool:
    try:
        from langchain_core.decisions import BaseDecisionModel  # noqa: PLC0415 - 1.8 or newer
    except ImportError:
        return False
    return isinstance(judge, BaseDecisionModel)


class _FunctionJudge:
    def __init__(self, judge: FunctionVerdict) -> None:
        function = judge.function
        if judge.min_confidence is not None and not function.confidence_scoring:
            raise SutroConfigurationError(
                f"min_confidence needs confidence scores, but {function.function!r} has "
                "confidence_scoring=False."
            )
        self.asked: SutroFunction = function
        self.name = function.function
        self.min_confidence = judge.min_confidence
        self.answers_numbers = False

    def ask(self, row: Any) -> Steps[FunctionResult]:
        function = self.asked
        result: FunctionResult = yield Step(
            partial(function.invoke, row), partial(function.ainvoke, row)
        )
        return result

    def failed(self, error: Exception) -> bool:
        return isinstance(error, SutroError) and not _is_fault(error)

    def secret(self) -> bytes:
        return self.asked.client.settings.api_key.get_secret_value().encode()


class _DecisionJudge:
    def __init__(
        self, model: Any, question_id: str, question: Any, min_confidence: float | None
    ) -> None:
        self.asked = model
        self.name = str(getattr(model, "model", None) or type(model).__name__)
        self.min_confidence = min_confidence
        self.answers_numbers = question.type == "score"
        self._id, self._question = question_id, question

    def ask(self, row: Any) -> Steps[FunctionResult]:
        model = self.asked
        request = {"state": row, "questions": {self._id: self._question}}
        response = yield Step(partial(model.invoke, request), partial(model.ainvoke, request))
        answer = response.answers.get(self._id)
        if answer is None or answer.type != self._question.type:
            raise SutroAPIError(
                f"{self.name} did not answer the question {self._id!r} as it was asked.",
                status_code=200,
            )
        return _result(answer)

    def failed(self, error: Exception) -> bool:
        return not isinstance(error, (GraphBubbleUp, *_BUGS)) and not _is_fault(error)

    def secret(self) -> bytes:
        known = list(_secrets(self.asked))
        if not known and type(self.asked).__module__.startswith("langchain_sutro"):
            # Functions by name, whose key comes from the environment.
            known = [SutroClient().settings.api_key.get_secret_value()]
        # Without a secret that other processes have, each process trusts only itself.
        return "\0".join(known).encode() if known else secrets.token_bytes()


def _is_fault(error: Exception) -> bool:
    too_large = getattr(error, "status_code", None) == _TOO_LARGE
    return isinstance(error, _FAULTS) and not too_large


def _the_question(question: Any) -> tuple[str, Any]:
    if not isinstance(question, Mapping) or len(question) != 1:
        raise SutroConfigurationError(
            "A decision model needs question=, a dict with the id of one question and the "
            'question, such as {"is_risky": Noul(instructions="Would this call be risky?")}.'
        )
    [(question_id, asked)] = question.items()
    if getattr(asked, "type", None) not in {"noul", "choice", "score"}:
        raise SutroConfigurationError(
            f"The question {question_id!r} must be a Noul, a Choice or a Score of "
            f"langchain_core.decisions, not {type(asked).__name__}."
        )
    return str(question_id), asked


def _result(answer: Any) -> FunctionResult:
    """An answer in the form of a Function's result."""
    if answer.type == "noul":
        yes = answer.noul >= 0.5
        probabilities = {True: answer.noul, False: 1 - answer.noul}
        return _as_result(yes, probabilities[yes], probabilities)
    if answer.type == "choice":
        return _as_result(answer.choice, answer.confidence, answer.probabilities)
    return _as_result(answer.score, answer.confidence, answer.probabilities)


def _as_result(
    answer: Any, confidence: float, probabilities: Mapping[Any, float]
) -> FunctionResult:
    ranked = sorted(probabilities.items(), key=lambda one: -one[1])
    predictions = [{"label": label, "confidence": each} for label, each in ranked]
    return FunctionResult(response=answer, confidence=confidence, predictions=predictions)


def _secrets(value: Any, depth: int = 0) -> Iterator[str]:
    """The keys in the fields of a decision model, and those of the Functions that it asks."""
    if isinstance(value, SecretStr):
        yield value.get_secret_value()
    elif isinstance(value, SutroFunction):
        yield value.client.settings.api_key.get_secret_value()
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from _secrets(one, depth)
    elif depth < _DEEPEST and hasattr(value, "__dict__") and not callable(value):
        yield from _secrets(vars(value), depth + 1)
