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

from langchain_sutro._exports import exported_from
from langchain_sutro._tracing.privacy import is_secret_name, is_secret_value, json_safe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from langchain_core.callbacks import BaseRunManager
    from langchain_core.runnables import RunnableConfig

__all__ = ["TraceContext", "active_context"]

# Keys that frameworks add for themselves. Passed on, `ls_provider` and `usage_metadata` of a parent
# would make this call look like the parent's model, and be counted twice.
_FRAMEWORK_KEYS = re.compile(
    r"__.*|ls_.*|lc_.*|langgraph_.*|checkpoint_.*|LANGSMITH_.*|LANGCHAIN_.*|"
    r"revision_id|usage_metadata|runtime|"
    r"sutro_(?:function|request_id|job_id|row_index|confidence)"
)
_FRAMEWORK_TAGS = re.compile(r"(?:seq:step|map:key|graph:step|retry:attempt|langsmith):.*")


@exported_from("langchain_sutro")
@dataclass(frozen=True, slots=True)
class TraceContext:
    """The active trace's metadata, as JSON, and its tags, each once."""

    metadata: dict[str, Any] = field(default_factory=dict)
    tags: list[str] = field(default_factory=list)


def active_context(
    config: RunnableConfig | None = None,
    run_manager: BaseRunManager | None = None,
    *,
    metadata: Mapping[str, Any] | None = None,
    tags: Sequence[str] | None = None,
    enabled: bool = True,
    hook: Callable[[TraceContext], TraceContext] | None = None,
) -> TraceContext:
    """Read the active trace's context.

    Args:
        config: LangChain's config of the call.
        run_manager: The manager of the call's run.
        metadata: Explicit metadata, which overrides the trace's; keys that look secret are left
            out.
        tags: Explicit tags, which come first.
        enabled: If False, only the explicit metadata and tags are used.
        hook: May rename or remove what was read.
    """
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
        if run_manager is not None:
            _add(found, names, run_manager.metadata, run_manager.tags)
        for more, others in _langsmith_context():
            _add(found, names, more, others)
    context = TraceContext(found, list(names))
    return context if hook is None else hook(context)


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
        if not (_drops(key, explicit) or is_secret_value(value)):
            found[key] = json_safe(value)
    for tag in tags or ():
        if not isinstance(tag, str) or is_secret_value(tag):
            continue
        if explicit or not _FRAMEWORK_TAGS.fullmatch(tag):
            names[tag] = None


@lru_cache(maxsize=2048)
def _drops(key: str, explicit: bool) -> bool:
    return is_secret_name(key) or (not explicit and _FRAMEWORK_KEYS.fullmatch(key) is not None)


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
    """What `langsmith.configure` set for the process; LangSmith has no public getter for it."""
    try:
        from langsmith._internal import _context  # noqa: PLC0415 - private: see the docstring
    except ImportError:
        return None, None
    return getattr(_context, "_GLOBAL_METADATA", None), getattr(_context, "_GLOBAL_TAGS", None)
