"""`Judge`: a Function whose answers decide something, as those of guardrails and evaluators do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from langchain_sutro._core.results import check_min_confidence, is_confident
from langchain_sutro.errors import SutroConfigurationError
from langchain_sutro.functions.function import SutroFunction
from langchain_sutro.functions.interface import payload_function

if TYPE_CHECKING:
    from langchain_sutro._core.results import FunctionResult

__all__ = ["Judge"]


@dataclass(frozen=True)
class Judge:
    """A Function that returns whole payloads, and the least confidence of a verdict.

    Attributes:
        function: The Function. It returns payloads and raises no `LowConfidenceError`, so that its
            user decides what to do about a verdict of low confidence.
        min_confidence: From 0 to 1; None accepts every verdict.
    """

    function: SutroFunction
    min_confidence: float | None

    @classmethod
    def of(cls, function: SutroFunction | str, min_confidence: float | None, user: str) -> Judge:
        """Make the judge that a user of this package describes.

        Args:
            function: The Function, in whatever form it returns its answers, or its name.
            min_confidence: By default the Function's own.
            user: What judges, for the error message, such as "A guardrail".

        Raises:
            SutroConfigurationError: `function` is neither a Function nor a name, or
                `min_confidence` is out of range.
        """
        if isinstance(function, str):
            function = SutroFunction(function)
        if not isinstance(function, SutroFunction):
            raise SutroConfigurationError(
                f"{user} needs a SutroFunction or its name, not {type(function).__name__}."
            )
        minimum = function.min_confidence if min_confidence is None else min_confidence
        check_min_confidence(minimum)
        return cls(payload_function(function, min_confidence=None), minimum)

    def is_confident(self, result: FunctionResult) -> bool:
        """Whether the verdict of a payload may be used."""
        return is_confident(result.confidence, self.min_confidence)
