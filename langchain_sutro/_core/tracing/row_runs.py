"""The runs of the rows of a job."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_sutro._core.tracing.run_facts import add_facts, function_metadata

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from uuid import UUID

    from langsmith.run_trees import RunTree

    from langchain_sutro._core.tracing.context import TraceContext

__all__ = ["row_run"]


def row_run(
    facts: Mapping[str, Any],
    *,
    function: str,
    run_id: UUID,
    inputs: Mapping[str, Any],
    outputs: Mapping[str, Any] | None,
    error: str | None,
    start: datetime,
    end: datetime,
    context: TraceContext,
    name: str | None = None,
    **place: Any,
) -> RunTree:
    """The `llm` run of one row of a job, not sent yet.

    Args:
        facts: From `row_facts`.
        function: The Function's name.
        run_id: From `stable_id`.
        inputs: From `run_inputs`.
        outputs: None if the row failed.
        error: None if it did not.
        start: When the run starts: LangSmith sorts rows by it.
        end: When it ends.
        context: Metadata and tags that the run gets besides its facts.
        name: Defaults to the Function's name.
        place: Where the run belongs, as arguments of `RunTree`: its client, parent and project.
    """
    from langsmith.run_trees import RunTree  # noqa: PLC0415 - only if tracing is on

    run = RunTree(
        id=run_id,
        name=name or function,
        run_type="llm",
        inputs=inputs,
        outputs=outputs,
        error=error,
        start_time=start,
        end_time=end,
        tags=list(context.tags),
        **place,
    )
    add_facts(run, {**context.metadata, **function_metadata(function), **facts})
    return run
