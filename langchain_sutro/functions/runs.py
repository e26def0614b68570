"""The LangChain runs of a Function's calls: what is known before and after a call."""

from __future__ import annotations

from dataclasses import dataclass
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
    from collections.abc import Callable, Mapping

    from langchain_core.callbacks import BaseRunManager

    from langchain_sutro._tracing import TraceContext

__all__ = ["CallRuns"]


@dataclass(frozen=True)
class CallRuns:
    """What a Function writes onto the runs of its calls.

    Attributes:
        function: The Function's name.
        metadata: Its own metadata.
        tags: Its own tags.
        forward: Whether the context of the active trace is written too.
        hook: Changes that context beforehand.
        model: LangSmith's name for the model; by default the Function's name.
    """

    function: str
    metadata: dict[str, Any] | None
    tags: list[str] | None
    forward: bool
    hook: Callable[[TraceContext], TraceContext] | None
    model: str | None = None

    def config(self, config: RunnableConfig | None) -> RunnableConfig:
        """The config of a call with what is known beforehand, so that every tracer sees it."""
        config = ensure_config(config)
        # LangChain posts these when the run starts, and they cannot be cleaned afterwards.
        given = config["metadata"] | (self.metadata or {})
        config["metadata"] = without_secrets(given) | function_metadata(self.function, self.model)
        if self.tags:
            config["tags"] = [*config["tags"], *self.tags]
        if config["tags"]:
            config["tags"] = without_secrets(config["tags"])
        return config

    def configs(
        self, config: RunnableConfig | list[RunnableConfig] | None, rows: int
    ) -> list[RunnableConfig]:
        """The same for each row of a batch."""
        return [self.config(one) for one in get_config_list(config, rows)]

    def record(
        self,
        run_manager: BaseRunManager,
        config: RunnableConfig,
        *,
        usage: Mapping[str, Any] | None = None,
        facts: Mapping[str, Any],
    ) -> None:
        """Write the active trace's context and a call's facts onto its run, if it has one.

        Args:
            run_manager: That of the call's run.
            config: That of the call.
            usage: As the service sent it.
            facts: Such as `sutro_request_id`.
        """
        run = own_run(run_manager)
        if run is None:
            return
        context = active_context(
            config,
            run_manager,
            metadata=self.metadata,
            tags=self.tags,
            enabled=self.forward,
            hook=self.hook,
        )
        record_facts(
            run,
            function=self.function,
            context=context,
            usage=usage,
            facts=facts,
            model=self.model,
        )
