"""Errors as answers of the endpoint; none shows a key, a state or what the service said."""

from __future__ import annotations

import math
from typing import Any

from langchain_sutro.errors import (
    SutroAPIError,
    SutroConflictError,
    SutroConnectionError,
    SutroDecisionError,
    SutroError,
    SutroInputError,
    SutroNotFoundError,
    SutroRateLimitError,
    SutroTimeoutError,
    SutroValidationError,
)

__all__ = ["Refusal", "invalid", "refusal_of"]

# Service and edge say so after their own deadline.
_TIMEOUTS = (504, 524)


class Refusal(Exception):  # noqa: N818 - a refusal is an answer, not a failure
    """An answer with an error status.

    Attributes:
        status: HTTP status.
        detail: The `detail` of the body.
        headers: Headers besides those of every answer.
    """

    def __init__(
        self, status: int, error_type: str, message: str, *, retry_after: float | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.detail: Any = {"error_type": error_type, "message": message}
        self.headers: dict[str, str] = {}
        if status == 401:
            self.headers["www-authenticate"] = "Bearer"
        if retry_after is not None:
            self.headers["retry-after"] = str(math.ceil(retry_after))
            self.headers["retry-after-ms"] = str(math.ceil(retry_after * 1000))


def invalid(loc: tuple[str | int, ...], message: str, kind: str = "value_error") -> Refusal:
    """422 for a part of the body.

    Args:
        loc: Where it is in the body.
        message: What is wrong with it.
        kind: The kind of problem, by pydantic's words.
    """
    refusal = Refusal(422, kind, message)
    refusal.detail = [{"loc": ["body", *loc], "msg": message, "type": kind}]
    return refusal


def refusal_of(error: Exception) -> Refusal:
    """The answer for an error of a decision model.

    A client repeats 429 and 5xx, which is why an answer that was paid for and will not be another
    one the next time is 422.

    Args:
        error: What the decision model raised.
    """
    question = getattr(error, "question", None)
    loc = ("questions",) if question is None else ("questions", question)
    if isinstance(error, SutroInputError):
        return invalid(loc, str(error))
    if isinstance(error, SutroDecisionError):
        return invalid(loc, str(error), "decision_error")
    where = "" if question is None else f"Question {question!r}: "
    if isinstance(error, SutroConnectionError):
        late = isinstance(error, SutroTimeoutError)
        status, kind = (504, "timeout_error") if late else (502, "connection_error")
        what = "did not answer in time" if late else "could not be reached, or broke off"
        return Refusal(status, kind, f"{where}the Function's service {what}.")
    if isinstance(error, SutroAPIError):
        return _passed_on(error, loc, where)
    if isinstance(error, SutroError):
        return Refusal(500, "configuration_error", f"{where}the endpoint is not set up for it.")
    return Refusal(500, "internal_error", "The endpoint failed.")


def _passed_on(error: SutroAPIError, loc: tuple[str | int, ...], where: str) -> Refusal:
    """What the service answered, as far as it concerns the client."""
    if isinstance(error, SutroRateLimitError):
        wait = 1.0 if error.retry_after is None else error.retry_after
        message = f"{where}the Function's service takes no more calls now."
        return Refusal(429, "rate_limit_error", message, retry_after=wait)
    if isinstance(error, SutroNotFoundError):
        return Refusal(404, "not_found_error", f"{where}its Function is not published.")
    if isinstance(error, SutroConflictError):
        return Refusal(409, "conflict_error", f"{where}its Function cannot run.")
    if isinstance(error, SutroValidationError):
        return invalid(loc, f"{where}its Function does not accept this state.")
    late = error.status_code in _TIMEOUTS
    kind = "timeout_error" if late else "service_error"
    message = f"{where}the Function's service answered {error.status_code}."
    return Refusal(504 if late else 502, kind, message)
