"""The runs that LangChain makes of a Function's calls: what is known before and after them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_core.runnables import RunnableConfig, ensure_config
from langchain_core.runnables.config import get_config_list

from langchain_sutro._tracing import (
    active_context,
    function_metadata,
    own_run,
    record_facts,
    without_secrets,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from langchain_core.callbacks import BaseRunManager

    from langchain_sutro.functions.function import SutroFunction

__all__ = ["config_of_call", "configs_of_rows", "record_call"]


def config_of_call(function: SutroFunction, config: RunnableConfig | None) -> RunnableConfig:
    """The config with what is known before the call, so that every tracer sees it."""
    config = ensure_config(config)
    # What LangChain posts at the start is not cleaned afterwards.
    given = config["metadata"] | (function.metadata or {})
    config["metadata"] = without_secrets(given) | function_metadata(function.function)
    if function.tags:
        config["tags"] = [*config["tags"], *function.tags]
    if config["tags"]:
        config["tags"] = without_secrets(config["tags"])
    return config


def configs_of_rows(
    function: SutroFunction, config: RunnableConfig | list[RunnableConfig] | None, rows: int
) -> list[RunnableConfig]:
    """The same for each row of a batch."""
    return [config_of_call(function, one) for one in get_config_list(config, rows)]


def record_call(
    function: SutroFunction,
    run_manager: BaseRunManager,
    config: RunnableConfig,
    *,
    usage: Mapping[str, Any] | None = None,
    facts: Mapping[str, Any],
) -> None:
    """Put the active trace's context and a call's facts onto the call's run, if it has one.

    Args:
        function: What was called.
        run_manager: Of the call's run.
        config: Of the call.
        usage: As the service sent it.
        facts: Such as `sutro_request_id`.
    """
    run = own_run(run_manager)
    if run is None:
        return
    context = active_context(
        config,
        run_manager,
        metadata=function.metadata,
        tags=function.tags,
        enabled=function.forward_trace_context,
        hook=function.trace_context_hook,
    )
    record_facts(run, function=function.function, context=context, usage=usage, facts=facts)
