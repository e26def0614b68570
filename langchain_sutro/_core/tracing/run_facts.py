"""What this package writes on a run: the Function, the job and row, confidence, tokens and cost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from langchain_sutro._core.version import __version__

if TYPE_CHECKING:
    from langsmith.run_trees import RunTree

    from langchain_sutro._core.results import AnsweringModel, FunctionResult

__all__ = [
    "add_facts",
    "call_facts",
    "function_metadata",
    "job_usage",
    "model_facts",
    "row_facts",
    "usage_facts",
]

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
    return {
        "sutro_request_id": result.request_id,
        "sutro_confidence": result.confidence,
        **model_facts(result.model),
        **usage_facts(result.usage),
    }


def row_facts(
    job_id: str | None, row_index: int, outcome: object, model: AnsweringModel | None = None
) -> dict[str, Any]:
    """What a row of a job adds to its run's metadata.

    Args:
        job_id: The job.
        row_index: The row's index among those that the caller passed.
        outcome: The row's `FunctionResult`, or its error.
        model: What answered the job, unless the row says it itself.
    """
    return {
        "sutro_job_id": job_id,
        "sutro_row_index": row_index,
        "sutro_confidence": getattr(outcome, "confidence", None),
        **model_facts(getattr(outcome, "model", None) or model),
    }


def model_facts(model: AnsweringModel | None) -> dict[str, Any]:
    """The model that answered, as far as the service says."""
    if model is None:
        return {}
    return {
        "sutro_model": model.name,
        "sutro_model_source": model.source,
        "sutro_revision": model.revision,
    }


def usage_facts(usage: Any) -> dict[str, Any]:
    """Tokens and cost of a call under the key whose figures LangSmith adds up.

    Args:
        usage: As the service sent it; invalid values are left out.
    """
    if not isinstance(usage, Mapping):
        return {}
    return _usage(usage.get("input_tokens"), usage.get("output_tokens"), usage.get("cost_usd"))


def job_usage(job: Mapping[str, Any] | None, rows: int) -> dict[str, Any]:
    """Tokens and cost of a whole job, for one of its runs.

    The service counts them for the job and not for a row. LangSmith adds up what its runs say, so
    exactly one of them has the job's totals.

    Args:
        job: The service's job object.
        rows: The number of rows that the figures are of.
    """
    known = job or {}
    found = _usage(known.get("input_tokens"), known.get("output_tokens"), known.get("job_cost"))
    return {**found, "sutro_usage_rows": rows} if found else {}


def add_facts(run: RunTree, facts: Mapping[str, Any]) -> None:
    """Add facts to a run's metadata; None values are left out.

    The metadata is replaced, not changed in place: LangChain's run manager shares the old dict.
    """
    known = {key: value for key, value in facts.items() if value is not None}
    extra = run.extra or {}
    run.extra = {**extra, "metadata": {**(extra.get("metadata") or {}), **known}}


def _usage(input_tokens: Any, output_tokens: Any, cost: Any) -> dict[str, Any]:
    counts = {"input_tokens": input_tokens, "output_tokens": output_tokens}
    found: dict[str, Any] = {
        name: count
        for name, count in counts.items()
        if isinstance(count, int) and not isinstance(count, bool) and count >= 0
    }
    if found:
        found["total_tokens"] = sum(found.values())
    if isinstance(cost, int | float) and not isinstance(cost, bool) and 0 <= cost < float("inf"):
        found["total_cost"] = cost
    return {"usage_metadata": found} if found else {}
