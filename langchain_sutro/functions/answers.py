"""`AnswerForm`: the form in which a Function's user wants its answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from langchain_sutro._core.results import is_confident, parse_output_model
from langchain_sutro.errors import LowConfidenceError

if TYPE_CHECKING:
    from pydantic import BaseModel

    from langchain_sutro._core.results import FunctionResult

__all__ = ["AnswerForm"]


@dataclass(frozen=True)
class AnswerForm:
    """Turns payloads into what the user of a Function asked for.

    Attributes:
        function: The Function's name, for messages.
        output: Whether the whole payload or its answer alone is wanted.
        output_model: The model to validate the output into, which then is the result.
        min_confidence: The least confidence that is accepted.
    """

    function: str
    output: Literal["full", "answer"]
    output_model: type[BaseModel] | None
    min_confidence: float | None

    def of(
        self, result: FunctionResult, *, job_id: str | None = None, row_index: int | None = None
    ) -> Any:
        """A payload in this form.

        Args:
            result: The payload.
            job_id: The job that it is a row of.
            row_index: Index of the row; None for a real-time run.

        Raises:
            LowConfidenceError: The answer's confidence is missing or below `min_confidence`.
            SutroAPIError: The output of a real-time run does not fit `output_model`.
            SutroRowError: The same for a row of a job.
        """
        if not is_confident(result.confidence, self.min_confidence):
            raise LowConfidenceError(
                f"{self.function!r} answered with a confidence of {result.confidence}, and "
                f"{self.min_confidence} is required.",
                result=result,
            )
        if self.output_model is not None:
            return parse_output_model(result, self.output_model, job_id=job_id, row_index=row_index)
        return result.answer if self.output == "answer" else result
