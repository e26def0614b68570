"""The LangChain runs of a Function's calls: what is known before and after a call."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from langchain_core.callbacks import BaseCallbackManager
from langchain_core.runnables import RunnableConfig, ensure_config
from langchain_core.runnables.config import get_config_list

from langchain_sutro._core.tracing import (
    active_context,
    add_facts,
    config_showing,
    function_metadata,
    manager_of,
    manager_showing,
    own_run,
    quiet_when_local,
    without_ambient_context,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from langchain_core.callbacks import BaseRunManager, CallbackManager

    from langchain_sutro._core.tracing import TraceContext

__all__ = ["CallRuns", "is_watched"]


def is_watched(config: RunnableConfig) -> bool:
    """Whether anybody sees the run of a call with a config of `CallRuns.config`.

    LangChain's part of a call, which takes about a fifth of its time, is for those who do.
    """
    callbacks = config.get("callbacks")
    return bool(callbacks.handlers if isinstance(callbacks, BaseCallbackManager) else callbacks)


@dataclass(frozen=True)
class CallRuns:
    """What the runs of a Function's calls show.

    Attributes:
        function: The Function's name.
        metadata: Its own metadata.
        tags: Its own tags.
        forward: Whether the context of the active trace is shown too.
        hook: Changes that context beforehand.
        model: LangSmith's name for the model; by default the Function's name.
    """

    function: str
    metadata: dict[str, Any] | None = None
    tags: list[str] | None = None
    forward: bool = True
    hook: Callable[[TraceContext], TraceContext] | None = None
    model: str | None = None

    @contextmanager
    def started(self) -> Iterator[None]:
        """Around what LangChain does with a config of `config` or `configs`."""
        with quiet_when_local(), without_ambient_context():
            yield

    def config(self, config: RunnableConfig | None) -> RunnableConfig:
        """The config of a call, whose run shows what it may from its start, to every tracer."""
        full = ensure_config(config)
        manager = manager_of(full)
        if not manager.handlers:
            return full
        own = function_metadata(self.function, self.model)
        return config_showing(full, manager, self._context(full, manager), own)

    def configs(
        self, config: RunnableConfig | list[RunnableConfig] | None, rows: int
    ) -> list[RunnableConfig]:
        """The same for each row of a batch."""
        if isinstance(config, list):
            return [self.config(one) for one in get_config_list(config, rows)]
        # Rows of one config show the same, which is then found out once.
        shown = self.config(get_config_list(config, rows)[0])
        later = {name: value for name, value in shown.items() if name != "run_id"}
        return [shown, *(cast("RunnableConfig", dict(later)) for _ in range(1, rows))]

    def manager(
        self, manager: BaseCallbackManager, config: RunnableConfig | None
    ) -> CallbackManager:
        """A callback manager for a tool of the Function, whose runs show what they may."""
        return manager_showing(manager, self._context(config, manager))

    def record(self, run_manager: BaseRunManager, facts: Mapping[str, Any]) -> bool:
        """Write a call's facts onto its run.

        Args:
            run_manager: That of the call's run.
            facts: Such as `sutro_request_id`.

        Returns:
            Whether the call has a run.
        """
        run = own_run(run_manager)
        if run is None:
            return False
        add_facts(run, facts)
        return True

    def _context(self, config: RunnableConfig | None, manager: BaseCallbackManager) -> TraceContext:
        return active_context(
            config,
            manager,
            metadata=self.metadata,
            tags=self.tags,
            enabled=self.forward,
            hook=self.hook,
        )
