"""Has LangChain make a call's run with what it may show, and nothing else.

LangChain writes metadata and tags onto a run as it starts and sends them at once. So whatever is
not to be shown is taken out beforehand, of the config, the callback manager, its tracers and
LangSmith's context variables, which all contribute.
"""

from __future__ import annotations

import sys
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from langchain_sutro._core.tracing.context import TraceContext, bookkeeping, framework_tags, tracers

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager

    from langchain_core.callbacks import BaseCallbackHandler, BaseCallbackManager, CallbackManager
    from langchain_core.runnables import RunnableConfig
    from langchain_core.tracers.langchain import LangChainTracer

__all__ = ["config_showing", "manager_showing", "without_ambient_context"]


def config_showing(
    config: RunnableConfig,
    manager: BaseCallbackManager,
    context: TraceContext,
    own: Mapping[str, Any],
) -> RunnableConfig:
    """The config of a run that shows a context and nothing else of the active trace.

    Args:
        config: The whole config of the call.
        manager: What LangChain makes of it.
        context: What the run may show.
        own: Metadata of this run alone.
    """
    return {
        **config,
        "callbacks": manager_showing(manager, context, own),
        # All of these are in the manager, as far as they may be shown.
        "tags": [],
        "metadata": {},
        "configurable": {},
    }


def manager_showing(
    manager: BaseCallbackManager, context: TraceContext, own: Mapping[str, Any] | None = None
) -> CallbackManager:
    """The same callback manager for a run that shows a context.

    Args:
        manager: What LangChain made of the call's config.
        context: What the run, and those below it, may show.
        own: Metadata of this run alone.
    """
    from langchain_core.callbacks import CallbackManager  # noqa: PLC0415 - loaded already

    # What LangGraph and LangChain themselves need to know about a run stays.
    kept: dict[str, Any] = {}
    for tracer in tracers(manager):
        kept |= bookkeeping(tracer.tracing_metadata)
    inherited = {**kept, **bookkeeping(manager.metadata), **context.metadata}
    tags = [*framework_tags(manager.tags), *context.tags]
    loaded = sys.modules.get("langchain_core.tracers.langchain")

    def clean(handlers: list[BaseCallbackHandler]) -> list[BaseCallbackHandler]:
        # LangChain copies tracers, so that those of the run and those below it are others.
        return [
            _tracer_showing(one, inherited, tags)
            if loaded is not None and isinstance(one, loaded.LangChainTracer)
            else one
            for one in handlers
        ]

    return CallbackManager(
        handlers=clean(manager.handlers),
        inheritable_handlers=clean(manager.inheritable_handlers),
        parent_run_id=manager.parent_run_id,
        tags=tags,
        inheritable_tags=list(context.tags),
        metadata={**inherited, **(own or {})},
        inheritable_metadata=inherited,
    )


def _tracer_showing(
    tracer: LangChainTracer, metadata: Mapping[str, Any], tags: list[str]
) -> LangChainTracer:
    """The tracer itself if all that it adds to its runs may be shown, else one that adds nothing.

    `tracing_v2_enabled` and others ask the tracer that they made for its latest run.
    """
    if (tracer.tracing_metadata or {}).items() <= metadata.items() and set(tracer.tags) <= set(
        tags
    ):
        return tracer
    plain = tracer.copy_with_metadata_defaults()
    plain.tags, plain.tracing_metadata = [], None
    return plain


def without_ambient_context() -> AbstractContextManager[None]:
    """Hide the metadata and tags of LangSmith's context variables from LangChain.

    What of them may be shown is in the config of `config_showing`.
    """
    if "langsmith.run_helpers" in sys.modules:
        from langsmith.run_helpers import (  # noqa: PLC0415 - loaded already
            get_tracing_context,
            tracing_context,
        )

        current = get_tracing_context()
        if current["metadata"] or current["tags"]:
            # The parent is in the config too; here it would bring its metadata along.
            hidden = {"parent": False, "metadata": None, "tags": None}
            return tracing_context(**current | hidden)
    return nullcontext()
