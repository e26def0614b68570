"""What the tools of this package share: errors that a model can fix, and what their runs show."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

from langchain_core.tools import BaseTool, ToolException

from langchain_sutro._tracing import quiet_when_local, traced_inputs, without_secrets
from langchain_sutro.errors import LowConfidenceError, SutroInputError, SutroValidationError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from langchain_sutro._results import FunctionResult

__all__ = ["SutroToolError", "TracedTool", "correctable_errors", "short_answer"]

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
    """A tool whose runs show no images, documents or secrets, and are uploaded only if allowed."""

    response_format: Literal["content", "content_and_artifact"] = "content_and_artifact"
    handle_tool_error: Any = True

    def run(self, tool_input: str | dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """As `BaseTool.run`."""
        with quiet_when_local():
            return super().run(tool_input, *args, **_shown(kwargs))

    async def arun(self, tool_input: str | dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """As `BaseTool.arun`."""
        with quiet_when_local():
            return await super().arun(tool_input, *args, **_shown(kwargs))

    def _filter_injected_args(self, tool_input: dict[str, Any]) -> dict[str, Any]:
        # What callbacks see. Nothing is injected: a field called `callbacks` is the Function's own.
        return dict(traced_inputs(tool_input))


def _shown(options: dict[str, Any]) -> dict[str, Any]:
    known = {name: options[name] for name in ("metadata", "tags") if options.get(name)}
    return {**options, **without_secrets(known)}
