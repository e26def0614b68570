"""`ExperimentRow`: one example of an experiment, its run, and its feedback."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from langchain_sutro._core.exports import exported_from
from langchain_sutro._core.results import AnsweringModel, FunctionResult

if TYPE_CHECKING:
    from langsmith.evaluation import EvaluationResult
    from langsmith.schemas import Example, RunBase

__all__ = ["ExperimentRow"]


@exported_from("langchain_sutro")
@dataclass(frozen=True)
class ExperimentRow:
    """One example, its run, and its feedback.

    Attributes:
        run: The run as LangSmith has it.
        example: The example; None for a run without one.
        feedback: The feedback of the evaluators, in their order.
        repetition: Which repetition of the example this is, from 0.
    """

    run: RunBase
    example: Example | None
    feedback: list[EvaluationResult] = field(default_factory=list)
    repetition: int = 0

    @property
    def inputs(self) -> dict[str, Any]:
        """The example's inputs, or the run's if there is no example."""
        given = self.run.inputs if self.example is None else self.example.inputs
        return given or {}

    @property
    def outputs(self) -> dict[str, Any]:
        """The run's outputs; empty if it failed."""
        return self.run.outputs or {}

    @property
    def reference(self) -> dict[str, Any]:
        """The example's reference outputs; empty if it has none."""
        return (self.example.outputs if self.example is not None else None) or {}

    @property
    def error(self) -> str | None:
        """Why the run failed."""
        return self.run.error

    @property
    def answer(self) -> Any:
        """The run's answer, by the rule of `FunctionResult.answer`; None if it failed."""
        return _answer(self.run.outputs)

    @property
    def expected(self) -> Any:
        """The expected answer, by the same rule; None without reference outputs."""
        return _answer(self.reference)

    @property
    def is_right(self) -> bool | None:
        """Whether the answer equals the expected one; None without reference outputs."""
        return None if self.expected is None else bool(self.answer == self.expected)

    @property
    def confidence(self) -> float | None:
        """The probability that the answer is right, 0 to 1; None if it was not scored."""
        noted = (self.run.extra or {}).get("metadata", {}).get("sutro_confidence")
        given = self.outputs.get("confidence") if noted is None else noted
        return FunctionResult(confidence=given).confidence

    @property
    def model(self) -> AnsweringModel | None:
        """The model that answered, its source and revision, as the run's metadata has it."""
        metadata = (self.run.extra or {}).get("metadata") or {}
        return AnsweringModel.of(
            {
                "model": metadata.get("sutro_model"),
                "model_source": metadata.get("sutro_model_source"),
                "revision": metadata.get("sutro_revision"),
            }
        )

    def score(self, key: str) -> float | None:
        """The score of the feedback with this key, as a number; None if there is none."""
        for one in self.feedback:
            if one.key == key and one.score is not None:
                return float(one.score)
        return None


def _answer(fields: dict[str, Any] | None) -> Any:
    if not fields:
        return None
    payload = fields if {"output", "response"} & fields.keys() else {"output": fields}
    return FunctionResult(payload).answer
