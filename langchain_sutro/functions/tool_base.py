"""What the tools of this package share: errors that a model can fix, and what their runs show."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

from langchain_core.callbacks import CallbackManager
from langchain_core.runnables.config import patch_config
from langchain_core.tools import BaseTool, ToolException
from pydantic import model_validator

from langchain_sutro._core.tracing import decided, traced_inputs, without_secrets
from langchain_sutro.errors import LowConfidenceError, SutroInputError, SutroValidationError
from langchain_sutro.functions.runs import CallRuns

if TYPE_CHECKING:
    from collections.abc import Iterator

    from langchain_core.callbacks import BaseCallbackManager
    from langchain_core.runnables import RunnableConfig

    from langchain_sutro._core.results import FunctionResult
    from langchain_sutro.functions.interface import PublishedFunction

__all__ = [
    "SutroToolError",
    "TracedTool",
    "child_config",
    "correctable_errors",
    "runs_of_tool",
    "short_answer",
]

_CORRECTABLE = (SutroInputError, SutroValidationError, LowConfidenceError)


class SutroToolError(ToolException):
    """An error that the model can fix. It receives the message; the cause is the original error."""


@contextmanager
def correctable_errors(*, for_model: bool, hint: str = "") -> Iterator[None]:
    """Return errors that the model can fix to the model, and raise them for code.

    Args:
        for_model: Whether a model called the tool.
        hint: Added after the error's own message.
    """
    try:
        yield
    except _CORRECTABLE as error:
        if not for_model:
            raise
        raise SutroToolError(f"{error}{hint}") from error


def short_answer(result: FunctionResult, answer: Any) -> dict[str, Any]:
    """What a model receives of a result: answer, confidence, and a rationale not in the answer.

    Args:
        result: The payload.
        answer: Its answer, in the requested form.
    """
    known: dict[str, Any] = {"answer": answer}
    if result.confidence is not None:
        known["confidence"] = round(result.confidence, 4)
    repeated = isinstance(answer, dict) and result.rationale in answer.values()
    if result.rationale is not None and not repeated:
        known["rationale"] = result.rationale
    return known


class TracedTool(BaseTool):
    """A tool whose runs show no images, documents or secrets, and are uploaded only if allowed.

    What its Function shows of the active trace, by `forward_trace_context` and
    `trace_context_hook`, is what its own runs show.
    """

    response_format: Literal["content", "content_and_artifact"] = "content_and_artifact"
    handle_tool_error: Any = True

    @model_validator(mode="after")
    def _hide_secrets(self) -> TracedTool:
        # Sent as soon as a run starts, by LangChain.
        if self.metadata:
            self.metadata = without_secrets(self.metadata)
        if self.tags:
            self.tags = without_secrets(self.tags)
        return self

    def _runs(self) -> CallRuns:
        """What the tool's runs show."""
        raise NotImplementedError

    def run(self, tool_input: str | dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """As `BaseTool.run`."""
        runs = self._runs()
        options = _shown(runs, kwargs)
        with runs.started():
            return super().run(tool_input, *args, **options)

    async def arun(self, tool_input: str | dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """As `BaseTool.arun`."""
        runs = self._runs()
        options = _shown(runs, kwargs)
        with runs.started():
            return await super().arun(tool_input, *args, **options)

    def _filter_injected_args(self, tool_input: dict[str, Any]) -> dict[str, Any]:
        # What callbacks see. Nothing is injected: a field called `callbacks` is the Function's own.
        return dict(traced_inputs(tool_input))


def runs_of_tool(function: PublishedFunction) -> CallRuns:
    """What the runs of a tool of this Function show."""
    # Fields of `SutroFunction` which the protocol leaves out.
    fields: Any = function
    return CallRuns(
        function.function,
        getattr(fields, "metadata", None),
        getattr(fields, "tags", None),
        getattr(fields, "forward_trace_context", True),
        getattr(fields, "trace_context_hook", None),
    )


def child_config(config: RunnableConfig, callbacks: BaseCallbackManager) -> RunnableConfig:
    """The config of what a tool runs.

    Args:
        config: That of the tool.
        callbacks: The child manager of the tool's run.
    """
    return decided(patch_config(config, callbacks=callbacks))


def _shown(runs: CallRuns, options: dict[str, Any]) -> dict[str, Any]:
    """The options of `BaseTool.run`, with callbacks that have the metadata and tags to show."""
    manager = CallbackManager.configure(
        inheritable_callbacks=options.get("callbacks"),
        inheritable_tags=options.get("tags"),
        inheritable_metadata=options.get("metadata"),
    )
    config = options.get("config")
    shown = runs.manager(manager, config)
    return {**options, "callbacks": shown, "tags": None, "metadata": None}
