"""The active trace's metadata and tags.

LangChain and LangSmith keep them in several places: the config, the run manager, context variables,
the parent run, and process-wide defaults. What a framework added for itself and what may be a
secret is left out. With tracing off, reading them takes microseconds.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from langchain_sutro._core.exports import exported_from
from langchain_sutro._core.tracing.privacy import is_secret, is_secret_value, json_safe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from langchain_core.callbacks import BaseCallbackManager, BaseRunManager, CallbackManager
    from langchain_core.runnables import RunnableConfig
    from langchain_core.tracers.langchain import LangChainTracer

__all__ = [
    "TraceContext",
    "active_context",
    "bookkeeping",
    "configured_project",
    "decided",
    "framework_tags",
    "is_decided",
    "manager_of",
    "stored_context",
    "tracers",
]

# Keys that frameworks add for themselves, which say nothing about what the user does.
_BOOKKEEPING = re.compile(
    r"__.*|lc_.*|langgraph_.*|checkpoint_.*|LANGSMITH_.*|LANGCHAIN_.*|revision_id|runtime"
)
# What a parent says of its own model. Passed on, it would make this call look like that model's,
# and be counted twice.
_OF_A_MODEL = re.compile(r"ls_.*|usage_metadata")
_OF_A_RUN = re.compile(
    r"sutro_(?:function|request_id|job_id|job_reused|row_index|rows_traced|rows_total|usage_rows|"
    r"confidence|model|model_source|revision|trace_rows|langsmith_project|input_tokens|"
    r"output_tokens|cost_usd)"
)
# LangChain passes names like this on and shows them nowhere.
_DECIDED = "__sutro_trace_context_decided"
_FRAMEWORK_TAGS = re.compile(r"(?:seq:step|map:key|graph:step|retry:attempt|langsmith):.*")


@exported_from("langchain_sutro")
@dataclass(frozen=True, slots=True)
class TraceContext:
    """The active trace's metadata, as JSON, and its tags, each once."""

    metadata: dict[str, Any] = field(default_factory=dict)
    tags: list[str] = field(default_factory=list)


def active_context(
    config: RunnableConfig | None = None,
    manager: BaseCallbackManager | None = None,
    *,
    metadata: Mapping[str, Any] | None = None,
    tags: Sequence[str] | None = None,
    enabled: bool = True,
    hook: Callable[[TraceContext], TraceContext] | None = None,
) -> TraceContext:
    """Read the active trace's context.

    Args:
        config: LangChain's config of the call.
        manager: The callback manager that LangChain makes of that config.
        metadata: Explicit metadata, which overrides the trace's; what looks secret is left out.
        tags: Explicit tags, which come first.
        enabled: If False, only the explicit metadata and tags are used.
        hook: May rename or remove what was read.
    """
    if is_decided(config):
        return _handed_down(manager)
    found: dict[str, Any] = {}
    names: dict[str, None] = {}
    _add(found, names, metadata, tags, explicit=True)
    if enabled:
        if config is not None:
            _add(found, names, config.get("metadata"), config.get("tags"))
            # The scalars that LangChain itself passes to its LangSmith tracer, such as thread_id.
            scalars = {
                key: value
                for key, value in config.get("configurable", {}).items()
                if isinstance(value, str | int | float | bool)
            }
            _add(found, names, scalars, None)
        if manager is not None:
            _add(found, names, manager.metadata, manager.tags)
            for tracer in tracers(manager):
                _add(found, names, tracer.tracing_metadata, tracer.tags)
        for more, others in _langsmith_context():
            _add(found, names, more, others)
    context = TraceContext(found, list(names))
    return context if hook is None else hook(context)


def _handed_down(manager: BaseCallbackManager | None) -> TraceContext:
    """What a callback manager of a decided config has, which is all that may be shown."""
    found: dict[str, Any] = {}
    names: dict[str, None] = {}
    if manager is not None:
        _add(found, names, manager.metadata, manager.tags)
    return TraceContext(found, list(names))


def decided(config: RunnableConfig) -> RunnableConfig:
    """The config of what is called by a run for which the context has been decided already.

    Its callback manager has what may be shown, and the config the rest, which is not looked at: a
    hook is not asked twice.
    """
    configurable = {**config.get("configurable", {}), _DECIDED: True}
    return {**config, "metadata": {}, "tags": [], "configurable": configurable}


def is_decided(config: RunnableConfig | None) -> bool:
    """Whether a config is from `decided`."""
    return config is not None and _DECIDED in config.get("configurable", {})


def manager_of(config: RunnableConfig) -> CallbackManager:
    """The callback manager that LangChain makes of a config, which is complete."""
    from langchain_core.runnables.config import (  # noqa: PLC0415 - for those who trace
        get_callback_manager_for_config,
    )

    if is_decided(config):
        config = {**config, "metadata": {}, "tags": [], "configurable": {}}
    return get_callback_manager_for_config(config)


def tracers(manager: BaseCallbackManager | BaseRunManager) -> list[LangChainTracer]:
    """The LangSmith tracers among the handlers of a callback manager or a run's manager."""
    loaded = sys.modules.get("langchain_core.tracers.langchain")
    if loaded is None:
        return []
    return [one for one in manager.handlers if isinstance(one, loaded.LangChainTracer)]


def bookkeeping(metadata: Mapping[str, Any] | None) -> dict[str, Any]:
    """What frameworks put into a run's metadata for their own use, such as LangGraph's node."""
    return {key: value for key, value in (metadata or {}).items() if _BOOKKEEPING.fullmatch(key)}


def framework_tags(tags: Iterable[str] | None) -> list[str]:
    """What frameworks put among a run's tags, such as `seq:step:1`."""
    return [tag for tag in tags or () if isinstance(tag, str) and _FRAMEWORK_TAGS.fullmatch(tag)]


def stored_context(metadata: Mapping[str, Any] | None, tags: Iterable[str] | None) -> TraceContext:
    """The context that an earlier process wrote on a run."""
    found: dict[str, Any] = {}
    names: dict[str, None] = {}
    _add(found, names, metadata, tags)
    return TraceContext(found, list(names))


def _add(
    found: dict[str, Any],
    names: dict[str, None],
    metadata: Mapping[str, Any] | None,
    tags: Iterable[str] | None,
    *,
    explicit: bool = False,
) -> None:
    """Add what is not there yet: earlier sources take precedence."""
    for key, value in (metadata or {}).items():
        if not isinstance(key, str) or value is None or key in found:
            continue
        if not (_drops(key, explicit) or is_secret(key, value)):
            found[key] = json_safe(value)
    for tag in tags or ():
        if not isinstance(tag, str) or is_secret_value(tag):
            continue
        if explicit or not _FRAMEWORK_TAGS.fullmatch(tag):
            names[tag] = None


@lru_cache(maxsize=2048)
def _drops(key: str, explicit: bool) -> bool:
    return not explicit and any(
        pattern.fullmatch(key) for pattern in (_BOOKKEEPING, _OF_A_MODEL, _OF_A_RUN)
    )


def _langsmith_context() -> Iterator[tuple[Mapping[str, Any] | None, Iterable[str] | None]]:
    """LangSmith's own sources, nearest first. If it was never imported, nothing was set."""
    if "langsmith.run_helpers" not in sys.modules:
        return
    from langsmith.run_helpers import get_tracing_context  # noqa: PLC0415 - loaded already

    context = get_tracing_context()
    if context["enabled"] is not False:
        parent = context["parent"]
        if parent is not None:
            yield parent.metadata, parent.tags
        yield context["metadata"], context["tags"]
        yield _process_defaults()


def _process_defaults() -> tuple[Mapping[str, Any] | None, Iterable[str] | None]:
    return _configured("_GLOBAL_METADATA"), _configured("_GLOBAL_TAGS")


def configured_project() -> str | None:
    """The project that `langsmith.configure` set for the process."""
    project: str | None = _configured("_GLOBAL_PROJECT_NAME")
    return project


def _configured(name: str) -> Any:
    """What `langsmith.configure` set for the process; LangSmith has no public getter for it."""
    try:
        from langsmith._internal import _context  # noqa: PLC0415 - private: see the docstring
    except ImportError:
        return None
    return getattr(_context, name, None)
