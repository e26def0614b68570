"""The LangSmith run of one call, whether LangChain made it or this package does."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from os import environ
from typing import TYPE_CHECKING, Any

from langchain_sutro._tracing.context import TraceContext, active_context
from langchain_sutro._tracing.privacy import run_inputs, traced_outputs
from langchain_sutro._tracing.run_facts import call_facts, function_metadata, record_facts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from langchain_core.callbacks import BaseRunManager
    from langsmith.run_trees import RunTree

    from langchain_sutro._results import FunctionResult

__all__ = ["ClientRun", "client_run", "own_run", "quiet_when_local", "tracing_is_on"]


def tracing_is_on() -> bool:
    """Whether a run made now would be sent; loads LangSmith only if it may have been set up."""
    if "langsmith.run_helpers" not in sys.modules and not any(
        environ.get(f"{name}_{switch}") == "true"
        for name in ("LANGSMITH", "LANGCHAIN")
        for switch in ("TRACING", "TRACING_V2")
    ):
        return False
    from langsmith.utils import tracing_is_enabled  # noqa: PLC0415 - 100 ms, for those who trace

    return tracing_is_enabled() is True


@contextmanager
def quiet_when_local() -> Iterator[None]:
    """Upload nothing where LangSmith keeps runs local.

    `evaluate(upload_results=False)` asks for this, but LangChain's tracer uploads regardless.
    """
    if "langsmith.run_helpers" in sys.modules:
        from langsmith.run_helpers import (  # noqa: PLC0415 - loaded already
            get_tracing_context,
            tracing_context,
        )

        if get_tracing_context()["enabled"] == "local":
            with tracing_context(enabled=False):
                yield
            return
    yield


def own_run(run_manager: BaseRunManager) -> RunTree | None:
    """The LangSmith run that LangChain made for this very call, if there is one."""
    wanted = str(run_manager.run_id)
    if "langsmith.run_helpers" in sys.modules:
        from langsmith.run_helpers import get_current_run_tree  # noqa: PLC0415 - loaded already

        current = get_current_run_tree()
        if current is not None and str(current.id) == wanted:
            return current
    tracers = sys.modules.get("langchain_core.tracers.langchain")
    for handler in run_manager.handlers if tracers is not None else ():
        if isinstance(handler, tracers.LangChainTracer):  # type: ignore[union-attr]
            run: RunTree | None = handler.run_map.get(wanted)
            if run is not None:
                return run
    return None


class ClientRun:
    """The run of a call made outside LangChain. Without a run, its methods do nothing."""

    def __init__(self, run: RunTree | None, function: str, context: TraceContext) -> None:
        self._run = run
        self._function = function
        self._context = context

    def finish(self, result: FunctionResult) -> None:
        """Write the result and its facts on the run."""
        if self._run is None:
            return
        record_facts(
            self._run,
            function=self._function,
            context=self._context,
            usage=result.usage,
            facts=call_facts(result),
        )
        self._run.end(outputs=traced_outputs(result))


@contextmanager
def client_run(
    function: str,
    inputs: Any,
    *,
    metadata: Mapping[str, Any] | None = None,
    tags: Sequence[str] | None = None,
) -> Iterator[ClientRun]:
    """One `llm` run around a call made outside LangChain, nested under the active run.

    Args:
        function: The Function's name, also used for the run.
        inputs: The call's input.
        metadata: Overrides that of the active trace.
        tags: Placed before those of the active trace.
    """
    if not tracing_is_on():
        yield ClientRun(None, function, TraceContext())
        return
    from langsmith.run_helpers import trace  # noqa: PLC0415 - 100 ms, for those who trace

    context = active_context(metadata=metadata, tags=tags)
    with trace(
        function,
        "llm",
        inputs=run_inputs(inputs),
        metadata={**context.metadata, **function_metadata(function)},
        tags=context.tags,
    ) as run:
        # A parent's model is not this call's, whether the call succeeds or fails.
        record_facts(run, function=function, context=context)
        yield ClientRun(run, function, context)
