"""Where a failure of LangSmith's client ends: tracing fails neither a call nor a result."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from langsmith.run_trees import RunTree

__all__ = ["attempt", "made"]

_R = TypeVar("_R", bound="RunTree")

logger = logging.getLogger(__name__)


def attempt(send: Callable[[], object]) -> bool:
    """Have LangSmith's client do something, and log its failure.

    Most clients send in the background and raise nothing; one with `auto_batch_tracing=False`
    raises whatever the server or the network does. What LangSmith has already is no failure.

    Args:
        send: Such as `run.post`.

    Returns:
        Whether the client accepted it.
    """
    from langsmith.utils import LangSmithConflictError  # noqa: PLC0415 - only if tracing is on

    try:
        send()
    except LangSmithConflictError:
        return True
    except Exception as error:  # noqa: BLE001 - the client may raise anything
        # Its message may contain what was sent.
        logger.warning("LangSmith did not accept a trace: %s", type(error).__name__)
        return False
    return True


def made(make: Callable[[], _R]) -> _R | None:
    """A run that is not sent yet; None, and a log entry, if LangSmith's settings allow none."""
    try:
        return make()
    except Exception as error:  # noqa: BLE001 - whatever is wrong with the settings
        logger.warning("A trace cannot be made: %s", type(error).__name__)
        return None
