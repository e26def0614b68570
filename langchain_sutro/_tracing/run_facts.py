"""What this package writes on a run: the Function, the job and row, confidence, tokens and cost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from langchain_sutro._tracing.privacy import without_secrets
from langchain_sutro._version import __version__

if TYPE_CHECKING:
    from langsmith.run_trees import RunTree

    from langchain_sutro._results import FunctionResult
    from langchain_sutro._tracing.context import TraceContext

__all__ = ["call_facts", "function_metadata", "record_facts", "row_facts"]

# `langsmith.LS_MESSAGE_VIEW_EXCLUDE`: keeps judges and classifiers out of the view of a chat.
_VIEW_EXCLUDE = "ls_message_view_exclude"


def function_metadata(function: str, model: str | None = None) -> dict[str, Any]:
    """The metadata of every run of a Function, known before the call, under LangSmith's keys.

    Args:
        function: Its name, or the names of several, separated by commas.
        model: LangSmith's name for the model; by default the Function's name.
    """
    return {
        "ls_provider": "sutro",
        "ls_model_name": model or function,
        "sutro_function": function,
        _VIEW_EXCLUDE: True,
        "lc_versions": {"langchain-sutro": __version__},
    }


def call_facts(result: FunctionResult) -> dict[str, Any]:
    """What a real-time call adds to its run's metadata."""
    return {"sutro_request_id": result.request_id, "sutro_confidence": result.confidence}


def row_facts(job_id: str | None, row_index: int, outcome: object) -> dict[str, Any]:
    """What a row of a job adds to its run's metadata.

    Args:
        job_id: The job.
        row_index: The row's index among those that the caller passed.
        outcome: The row's `FunctionResult`, or its error.
    """
    return {
        "sutro_job_id": job_id,
        "sutro_row_index": row_index,
        "sutro_confidence": getattr(outcome, "confidence", None),
    }


def record_facts(
    run: RunTree,
    *,
    function: str,
    context: TraceContext,
    usage: Mapping[str, Any] | None = None,
    facts: Mapping[str, Any] | None = None,
    model: str | None = None,
) -> None:
    """Add a call's facts to its run, and remove what looks like a secret.

    The metadata is replaced, not changed in place: the run manager shares the old dict.

    Args:
        run: The call's own run.
        function: The Function's name.
        context: Metadata and tags of the active trace.
        usage: As the service sent it; tokens and cost in USD are taken.
        facts: From `call_facts` or `row_facts`; None values are left out.
        model: As for `function_metadata`.
    """
    before = without_secrets((run.extra or {}).get("metadata", {}))
    before.pop("usage_metadata", None)
    ours = function_metadata(function, model)
    versions = before.get("lc_versions")
    if isinstance(versions, Mapping):
        ours["lc_versions"] = {**versions, **ours["lc_versions"]}
    known = {key: value for key, value in (facts or {}).items() if value is not None}
    metadata = {**before, **context.metadata, **ours, **known}
    tokens = _usage(usage)
    if tokens:
        metadata["usage_metadata"] = tokens
    run.extra = {**(run.extra or {}), "metadata": metadata}
    run.tags = list(dict.fromkeys(without_secrets([*(run.tags or []), *context.tags])))


def _usage(usage: Mapping[str, Any] | None) -> dict[str, Any]:
    """The service's usage under the keys that LangSmith accepts; invalid values are left out."""
    if not isinstance(usage, Mapping):
        return {}
    found: dict[str, Any] = {}
    for name in ("input_tokens", "output_tokens"):
        value = usage.get(name)
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            found[name] = value
    if found:
        found["total_tokens"] = sum(found.values())
    cost = usage.get("cost_usd")
    if isinstance(cost, int | float) and not isinstance(cost, bool) and 0 <= cost < float("inf"):
        found["total_cost"] = cost
    return found
