"""The active trace: read its metadata and tags, and write a call's facts on the call's own run.

LangChain and LangSmith keep them in several places: the config, the run manager, context variables,
the parent run, and process-wide defaults. All are read, cleaned of what is a framework's own or may
be a secret, and put onto the call's run. With tracing off this costs microseconds.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from os import environ
from typing import TYPE_CHECKING, Any

from langchain_sutro._exports import exported_from
from langchain_sutro._tracing.privacy import (
    is_secret_name,
    is_secret_value,
    json_safe,
    traced_inputs,
    traced_outputs,
    without_secrets,
)
from langchain_sutro._version import __version__

if TYPE_CHECKING:
    from langchain_core.callbacks import BaseRunManager
    from langchain_core.runnables import RunnableConfig
    from langsmith.run_trees import RunTree

    from langchain_sutro._results import FunctionResult

__all__ = [
    "ClientRun",
    "TraceContext",
    "active_context",
    "client_run",
    "function_metadata",
    "own_run",
    "quiet_when_local",
    "record_facts",
    "traced_inputs",
    "traced_outputs",
    "tracing_is_on",
    "without_secrets",
]

# Keys that frameworks add for themselves. Passed on, `ls_provider` and `usage_metadata` of a parent
# would make this call look like the parent's model, and be counted twice.
_FRAMEWORK_KEYS = re.compile(
    r"__.*|ls_.*|lc_.*|langgraph_.*|checkpoint_.*|LANGSMITH_.*|LANGCHAIN_.*|"
    r"revision_id|usage_metadata|runtime|"
    r"sutro_(?:function|request_id|job_id|row_index|confidence)"
)
_FRAMEWORK_TAGS = re.compile(r"(?:seq:step|map:key|graph:step|retry:attempt|langsmith):.*")

# `langsmith.LS_MESSAGE_VIEW_EXCLUDE`: keeps judges and classifiers out of the view of a chat.
_VIEW_EXCLUDE = "ls_message_view_exclude"


@exported_from("langchain_sutro")
@dataclass(frozen=True, slots=True)
class TraceContext:
    """What the active trace says of a call: JSON-safe metadata, and tags without repetition."""

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
    """Read the active trace context from all its places.

    Args:
        config: LangChain's config of the call.
        run_manager: Of the call's run.
        metadata: Explicit metadata; wins over the trace's, and may use any key that is no secret.
        tags: Explicit tags; come first.
        enabled: False reads nothing but the explicit ones.
        hook: May rename or drop what was read.
    """
    found: dict[str, Any] = {}
    names: dict[str, None] = {}
    _add(found, names, metadata, tags, explicit=True)
    if enabled:
        if config is not None:
            _add(found, names, config.get("metadata"), config.get("tags"))
            # The scalars that LangChain itself gives to its LangSmith tracer, such as thread_id.
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
    """Take what is new: whoever comes first wins."""
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
    """LangSmith's places, nearest first. Where it was never imported, nothing was set."""
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
    """What `langsmith.configure` set for the process; it has no public reader."""
    try:
        from langsmith._internal import _context  # noqa: PLC0415 - private: see the docstring
    except ImportError:
        return None, None
    return getattr(_context, "_GLOBAL_METADATA", None), getattr(_context, "_GLOBAL_TAGS", None)


def own_run(run_manager: BaseRunManager) -> RunTree | None:
    """The LangSmith run that LangChain made for this call; never anybody else's."""
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


def function_metadata(function: str) -> dict[str, Any]:
    """What is known of a call before it starts, in the words that LangSmith reads."""
    return {
        "ls_provider": "sutro",
        "ls_model_name": function,
        "sutro_function": function,
        _VIEW_EXCLUDE: True,
        "lc_versions": {"langchain-sutro": __version__},
    }


def record_facts(
    run: RunTree,
    *,
    function: str,
    context: TraceContext,
    usage: Mapping[str, Any] | None = None,
    facts: Mapping[str, Any] | None = None,
) -> None:
    """Put a call's facts onto its run, and take off what looks like a secret.

    The metadata is replaced, not changed in place: the old dict is also the run manager's.

    Args:
        run: The call's own.
        function: The Function's name.
        context: What the active trace says.
        usage: As the service sent it; tokens and cost in USD are taken.
        facts: Such as `sutro_request_id`; None values are left out.
    """
    before = without_secrets((run.extra or {}).get("metadata", {}))
    before.pop("usage_metadata", None)
    ours = function_metadata(function)
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
    """The service's usage in LangSmith's closed set of keys; odd values are left out."""
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


def tracing_is_on() -> bool:
    """Whether a run made now would be sent; asks LangSmith only where it can have been set up."""
    if "langsmith.run_helpers" not in sys.modules and not any(
        environ.get(f"{name}_{switch}") == "true"
        for name in ("LANGSMITH", "LANGCHAIN")
        for switch in ("TRACING", "TRACING_V2")
    ):
        return False
    from langsmith.utils import tracing_is_enabled  # noqa: PLC0415 - 100 ms, for those who trace

    return tracing_is_enabled() is True


class ClientRun:
    """The run of a call outside LangChain; without a run it does nothing."""

    def __init__(self, run: RunTree | None, function: str, context: TraceContext) -> None:
        self._run = run
        self._function = function
        self._context = context

    def finish(self, result: FunctionResult) -> None:
        """Note the result and its facts."""
        if self._run is None:
            return
        record_facts(
            self._run,
            function=self._function,
            context=self._context,
            usage=result.usage,
            facts={
                "sutro_request_id": result.request_id,
                "sutro_confidence": result.confidence,
            },
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
    """One `llm` run around a call outside LangChain, nested under the active run.

    Args:
        function: The Function's name, and the run's.
        inputs: What it is given.
        metadata: Over that of the active trace.
        tags: Before those of the active trace.
    """
    if not tracing_is_on():
        yield ClientRun(None, function, TraceContext())
        return
    from langsmith.run_helpers import trace  # noqa: PLC0415 - 100 ms, for those who trace

    context = active_context(metadata=metadata, tags=tags)
    shown = traced_inputs(inputs)
    with trace(
        function,
        "llm",
        inputs=shown if isinstance(shown, dict) else {"input": shown},
        metadata={**context.metadata, **function_metadata(function)},
        tags=context.tags,
    ) as run:
        # What a parent's model was is not ours, whether the call ends well or not.
        record_facts(run, function=function, context=context)
        yield ClientRun(run, function, context)


@contextmanager
def quiet_when_local() -> Iterator[None]:
    """Upload nothing where LangSmith is told to keep runs local.

    `evaluate(upload_results=False)` says so, but LangChain's tracer would upload all the same.
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
