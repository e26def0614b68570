"""Reading runs back from LangSmith."""

from __future__ import annotations

import inspect
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from uuid import UUID

    from langsmith import Client
    from langsmith.run_trees import RunTree

__all__ = ["lacks", "read_run", "sends_spans_only"]

# What arrived a moment ago may not be readable yet.
_PAUSE = 0.25


def read_run(client: Client, run_id: UUID) -> Any:
    """A run as LangSmith has it; None if it does not have it.

    Raises:
        LangSmithError: It cannot be asked.
    """
    from langsmith.utils import LangSmithNotFoundError  # noqa: PLC0415 - only if tracing is on

    try:
        # The method that replaces this one needs the project's id, which is not known here.
        # Unwrapped, it does not log its deprecation.
        return inspect.unwrap(type(client).read_run)(client, run_id)
    except LangSmithNotFoundError:
        return None


def lacks(run: RunTree, deadline: float, *, end: bool = False) -> bool:
    """Whether LangSmith lacks a run that was sent to it; False if that cannot be known.

    Args:
        run: The run.
        deadline: When there is no time left to ask, by the monotonic clock.
        end: Whether a run that has not ended there is lacking too.
    """
    client = run.client
    sampled = getattr(client, "tracing_sample_rate", None) is not None
    if sampled or run.replicas or sends_spans_only(client):
        return False
    for pause in (0.0, _PAUSE):
        time.sleep(pause)
        if time.monotonic() >= deadline:
            return False
        try:
            found = read_run(client, run.id)
        except Exception:  # noqa: BLE001 - the server may have no such query, or be down
            return False
        if found is not None and (found.end_time is not None or not end):
            return False
    return True


def sends_spans_only(client: Client) -> bool:
    """Whether a client exports OpenTelemetry spans and sends LangSmith nothing.

    It has no public property that says so.
    """
    return getattr(client, "_tracing_mode", None) == "otel"
