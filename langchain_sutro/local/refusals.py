"""Errors that become an answer of the HTTP API."""

from __future__ import annotations

__all__ = ["InvalidInputError", "Refusal"]


class Refusal(Exception):  # noqa: N818 - a refusal is an answer, not a failure
    """An answer with an error status.

    Attributes:
        status: HTTP status.
        detail: The explanation.
        code: The service's own word for it, if it has one.
    """

    def __init__(self, status: int, detail: str, code: str | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.code = code


class InvalidInputError(Exception):
    """A value that a Function does not take; its message names the field."""
