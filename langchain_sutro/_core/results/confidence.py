"""When an answer is confident enough."""

from __future__ import annotations

from langchain_sutro.errors import SutroConfigurationError

__all__ = ["check_min_confidence", "is_confident"]


def check_min_confidence(minimum: float | None) -> None:
    """Check the setting.

    Args:
        minimum: From 0 to 1, or None to accept every answer.

    Raises:
        SutroConfigurationError: It is out of range.
    """
    if minimum is not None and not 0 <= minimum <= 1:
        raise SutroConfigurationError(f"min_confidence must be between 0 and 1, not {minimum}.")


def is_confident(confidence: float | None, minimum: float | None) -> bool:
    """Whether an answer may be used.

    Args:
        confidence: That of the answer; None if it was not scored, which no minimum accepts.
        minimum: The least confidence that is accepted; None accepts every answer.
    """
    return minimum is None or (confidence is not None and confidence >= minimum)
