"""How the answers of a judging Function are compared with the verdicts that a user names."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TypeVar

from langchain_sutro.errors import SutroConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from langchain_sutro._core.results import FunctionResult

__all__ = ["by_verdict", "result_verdict", "verdict_key"]

_T = TypeVar("_T")


def verdict_key(verdict: Any) -> str:
    """The form in which two verdicts are compared: as text, ignoring case and outer spaces.

    Args:
        verdict: A Function's answer, or what the user wrote; anything but a string as its JSON.
    """
    text = verdict if isinstance(verdict, str) else json.dumps(verdict, default=str)
    return text.strip().casefold()


def by_verdict(values: Mapping[Any, _T], parameter: str) -> dict[str, _T]:
    """The values that a user gives for verdicts, by `verdict_key`.

    Args:
        values: A value for each verdict.
        parameter: Where the user gives them, for the error message.

    Raises:
        SutroConfigurationError: Two verdicts have the same key.
    """
    found = {verdict_key(verdict): value for verdict, value in values.items()}
    if len(found) < len(values):
        raise SutroConfigurationError(f"{parameter} has verdicts that differ only in case.")
    return found


def result_verdict(result: FunctionResult, parameter: str) -> str:
    """The `verdict_key` of a payload's answer.

    Args:
        result: The payload.
        parameter: Where the user gives values for verdicts, for the error message.

    Raises:
        SutroConfigurationError: The answer has several fields, so that it is not one verdict.
    """
    answer = result.answer
    if isinstance(answer, dict):
        raise SutroConfigurationError(
            f"The Function answers with several fields, {', '.join(map(str, answer))}: "
            f"{parameter}= must be a callable on the result."
        )
    return verdict_key(answer)
