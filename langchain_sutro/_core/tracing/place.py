"""Where a run belongs that this package makes itself: its parent, project and LangSmith client."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from os import environ
from typing import TYPE_CHECKING, Any

from langchain_sutro._core.tracing.context import configured_project, manager_of, tracers

if TYPE_CHECKING:
    from langchain_core.callbacks import BaseCallbackManager
    from langchain_core.runnables import RunnableConfig
    from langchain_core.tracers.langchain import LangChainTracer
    from langsmith import Client
    from langsmith.run_trees import RunTree

__all__ = [
    "Place",
    "find_place",
    "named_client",
    "named_replicas",
    "tracing_is_forbidden",
    "tracing_is_on",
]

_LANGCHAIN = "langchain_core.tracers.context"


def tracing_is_on() -> bool:
    """Whether a run made now would be sent; loads LangSmith only if it may have been set up."""
    if _enclosing_tracer() is not None:
        return not tracing_is_forbidden()
    if "langsmith.run_helpers" not in sys.modules and not any(
        environ.get(f"{name}_{switch}") == "true"
        for name in ("LANGSMITH", "LANGCHAIN")
        for switch in ("TRACING", "TRACING_V2")
    ):
        return False
    from langsmith.utils import tracing_is_enabled  # noqa: PLC0415 - 100 ms, for those who trace

    return tracing_is_enabled() is True


def tracing_is_forbidden() -> bool:
    """Whether the surrounding code says that nothing is to be sent, such as `enabled=False`."""
    return "langsmith.run_helpers" in sys.modules and _context()["enabled"] in (False, "local")


def named_client() -> Client | None:
    """The client that the surrounding code traces with; None where it names none."""
    if "langsmith.run_helpers" not in sys.modules:
        return None
    context = _context()
    tracer = _enclosing_tracer()
    if context["client"] is not None:
        client: Client | None = context["client"]
    elif context["parent"] is not None:
        client = context["parent"].ls_client
    else:
        client = None if tracer is None else tracer.client
    return client


def named_replicas() -> Any:
    """Where else the surrounding code sends its runs; None if it says nothing."""
    return _context()["replicas"] if "langsmith.run_helpers" in sys.modules else None


@dataclass(frozen=True)
class Place:
    """Where a run belongs.

    Attributes:
        config: LangChain's config there, complete; None without LangChain.
        manager: The callback manager that LangChain makes of it.
        parent: The run above; None for the root of a trace.
        root: What a root run is made with: client, project and example.
    """

    config: RunnableConfig | None
    manager: BaseCallbackManager | None
    parent: RunTree | None
    root: dict[str, Any]

    def run(self, name: str, run_type: str, inputs: dict[str, Any], run_id: Any = None) -> RunTree:
        """A run in this place, without metadata and tags, which is not sent yet."""
        from langsmith.run_trees import RunTree  # noqa: PLC0415 - loaded already

        given = {} if run_id is None else {"id": run_id}
        if self.parent is None:
            return RunTree(name=name, run_type=run_type, inputs=inputs, **given, **self.root)
        run = self.parent.create_child(name, run_type, inputs=inputs, run_id=run_id)  # type: ignore[arg-type]
        # A child has all of its parent's metadata, even tokens and the model's name.
        run.extra, run.tags = {"metadata": {}}, []
        return run


def find_place(config: RunnableConfig | None = None) -> Place | None:
    """Where LangChain and LangSmith would put a run made now.

    Args:
        config: LangChain's config, which may bring tracers of its own.

    Returns:
        None if the run would not be sent.
    """
    if tracing_is_forbidden() or (config is None and not tracing_is_on()):
        return None
    if config is None and _LANGCHAIN not in sys.modules:
        return _langsmith_place()
    from langchain_core.runnables import ensure_config  # noqa: PLC0415 - for those who trace
    from langsmith.run_trees import RunTree  # noqa: PLC0415

    config = ensure_config(config)
    manager = manager_of(config)
    tracer = next(iter(tracers(manager)), None)
    if tracer is None:
        return None
    parent = tracer.run_map.get(str(manager.parent_run_id)) or RunTree.from_runnable_config(
        {"callbacks": manager}
    )
    return Place(config, manager, parent, _root(tracer))


def _root(tracer: LangChainTracer) -> dict[str, Any]:
    # Newer versions can address an agent instead of a project.
    address = getattr(tracer, "address", None)
    project = tracer.project_name
    if address is None and project is None:
        project = configured_project()
    chosen = {
        "address": address,
        "project_name": project,
        "reference_example_id": tracer.example_id,
    }
    return {
        "client": tracer.client,
        **{name: value for name, value in chosen.items() if value is not None},
    }


def _langsmith_place() -> Place:
    context = _context()
    project = context["project_name"] or configured_project()
    chosen = {
        "client": context["client"],
        "address": context.get("address"),
        "project_name": None if context.get("address") else project,
    }
    root = {name: value for name, value in chosen.items() if value is not None}
    return Place(None, None, context["parent"], root)


def _context() -> dict[str, Any]:
    from langsmith.run_helpers import get_tracing_context  # noqa: PLC0415 - loaded already

    return get_tracing_context()


def _enclosing_tracer() -> LangChainTracer | None:
    """The tracer of LangChain's `tracing_v2_enabled`."""
    loaded = sys.modules.get(_LANGCHAIN)
    return None if loaded is None else loaded.tracing_v2_callback_var.get()
