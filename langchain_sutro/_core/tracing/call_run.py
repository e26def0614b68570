"""The LangSmith run of one call, whether LangChain made it or this package does."""

from __future__ import annotations

import sys
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any

from langchain_sutro._core.tracing.context import active_context, tracers
from langchain_sutro._core.tracing.guard import attempt, made
from langchain_sutro._core.tracing.place import find_place
from langchain_sutro._core.tracing.privacy import run_inputs, traced_outputs
from langchain_sutro._core.tracing.run_facts import add_facts, call_facts, function_metadata

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from langchain_core.callbacks import BaseRunManager
    from langsmith.run_trees import RunTree

    from langchain_sutro._core.results import FunctionResult

__all__ = ["ClientRun", "client_run", "own_run", "quiet_when_local"]


def quiet_when_local() -> AbstractContextManager[None]:
    """Upload nothing where LangSmith keeps runs local.

    `evaluate(upload_results=False)` asks for this, but LangChain's tracer uploads regardless.
    """
    if "langsmith.run_helpers" in sys.modules:
        from langsmith.run_helpers import (  # noqa: PLC0415 - loaded already
            get_tracing_context,
            tracing_context,
        )

        if get_tracing_context()["enabled"] == "local":
            return tracing_context(enabled=False)
    return nullcontext()


def own_run(run_manager: BaseRunManager) -> RunTree | None:
    """The LangSmith run that LangChain made for this very call, if there is one."""
    wanted = str(run_manager.run_id)
    if "langsmith.run_helpers" in sys.modules:
        from langsmith.run_helpers import get_current_run_tree  # noqa: PLC0415 - loaded already

        current = get_current_run_tree()
        if current is not None and str(current.id) == wanted:
            return current
    found = (tracer.run_map.get(wanted) for tracer in tracers(run_manager))
    return next(filter(None, found), None)


class ClientRun:
    """The run of a call made outside LangChain. Without a run, its methods do nothing."""

    def __init__(self, run: RunTree | None = None) -> None:
        self._run = run

    def finish(self, result: FunctionResult) -> None:
        """Write the result and its facts on the run."""
        if self._run is not None:
            add_facts(self._run, call_facts(result))
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
    place = find_place()
    if place is None:
        yield ClientRun()
        return
    context = active_context(place.config, place.manager, metadata=metadata, tags=tags)
    run = made(partial(place.run, function, "llm", run_inputs(inputs)))
    if run is None:
        yield ClientRun()
        return
    add_facts(run, {**context.metadata, **function_metadata(function)})
    run.tags = context.tags
    attempt(run.post)
    from langsmith.run_helpers import tracing_context  # noqa: PLC0415 - loaded already

    try:
        with tracing_context(parent=run, client=run.ls_client, replicas=run.replicas):
            yield ClientRun(run)
    except BaseException as error:
        run.end(error=f"{type(error).__name__}: {error}")
        raise
    finally:
        attempt(run.patch)
