"""The runs of a tool's batch: for each input one `tool` run, as `BaseTool.run` makes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_core.messages import ToolMessage
from langchain_core.runnables.config import get_config_list, patch_config
from langchain_core.tools import ToolException

from langchain_sutro._core.tracing import decided, manager_of, traced_inputs
from langchain_sutro.functions.row_outcomes import RowOutcomes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from langchain_core.runnables import RunnableConfig
    from langchain_core.tools import BaseTool

    from langchain_sutro.functions.runs import CallRuns

__all__ = ["ToolRuns"]


class ToolRuns:
    """The inputs of one batch of a tool, from its runs to its outputs.

    Args:
        tool: The tool.
        runs: What its runs show.
        inputs: Rows or `ToolCall`s.
        config: One for all, or one for each.
        return_exceptions: Whether errors stay in their places; otherwise the first is raised.
    """

    def __init__(
        self,
        tool: BaseTool,
        runs: CallRuns,
        inputs: Sequence[Any],
        config: RunnableConfig | list[RunnableConfig] | None,
        *,
        return_exceptions: bool,
    ) -> None:
        self._tool = tool
        self._runs = runs
        self._calls = [_split(one) for one in inputs]
        self._configs = get_config_list(config, len(inputs))
        self._managers = [runs.manager(manager_of(one), one) for one in self._configs]
        self._return_exceptions = return_exceptions
        self._rows = RowOutcomes(len(inputs))

    def started(self) -> AbstractContextManager[None]:
        """Around what LangChain does with the runs."""
        return self._runs.started()

    def starts(self) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
        """For each input the arguments of a callback manager, and of its `on_tool_start`."""
        tool = self._tool
        each = zip(self._calls, self._configs, self._managers, strict=True)
        for (arguments, call_id), config, manager in each:
            shown = traced_inputs(arguments)
            scope = {
                "inheritable_callbacks": manager,
                "local_callbacks": tool.callbacks,
                "verbose": tool.verbose,
                "local_tags": tool.tags,
                "local_metadata": tool.metadata,
            }
            start = {
                "serialized": {"name": tool.name, "description": tool.description},
                "input_str": str(shown),
                "name": config.get("run_name"),
                "run_id": config.pop("run_id", None),
                "inputs": dict(shown) if isinstance(shown, dict) else None,
                "tool_call_id": call_id,
            }
            yield scope, start

    def checked(
        self, managers: Sequence[Any], check: Callable[[Any, str | None], Any]
    ) -> tuple[list[Any], list[RunnableConfig]]:
        """The rows that can be sent, with the configs of their runs' children.

        Raises:
            SutroInputError: A row cannot be sent, and the caller wants no partial answer.
        """
        rows = self._rows.prepare(lambda index: check(*self._calls[index]), keep=Exception)
        if not self._return_exceptions:
            for error in filter(None, self._rows.outcomes):
                if not self._handled(error):
                    raise error
        configs = [
            decided(patch_config(self._configs[index], callbacks=managers[index].get_child()))
            for index in self._rows.open
        ]
        return rows, configs

    def ends(
        self, outputs: Sequence[Any], outcome: Callable[[Any, str | None], Any]
    ) -> list[tuple[Any, Exception | None]]:
        """The output or the error of each input.

        Args:
            outputs: A result or an error for each row that was sent.
            outcome: Turns a result into content and artifact, or raises the error to report.
        """
        sent = dict(zip(self._rows.open, outputs, strict=True))
        # An error here is that of its row, and raised by `results`.
        self._rows.put(
            self._rows.prepare(
                lambda index: outcome(sent[index], self._calls[index][1]), keep=Exception
            )
        )
        return [
            self._end(found, call_id)
            for found, (_, call_id) in zip(self._rows.outcomes, self._calls, strict=True)
        ]

    def results(self, ends: Sequence[tuple[Any, Exception | None]]) -> list[Any]:
        """What the batch returns.

        Raises:
            Exception: The first error, unless errors are to stay in their places.
        """
        if not self._return_exceptions:
            for _, error in ends:
                if error is not None:
                    raise error
        return [output if error is None else error for output, error in ends]

    def _end(self, found: Any, call_id: str | None) -> tuple[Any, Exception | None]:
        if isinstance(found, Exception):
            if not self._handled(found):
                return None, found
            content, artifact, status = self._handling(found), None, "error"
        else:
            (content, artifact), status = found, "success"
        if call_id is None:
            return content, None
        message = ToolMessage(
            content, artifact=artifact, tool_call_id=call_id, name=self._tool.name, status=status
        )
        return message, None

    def _handled(self, error: Exception) -> bool:
        return isinstance(error, ToolException) and bool(self._tool.handle_tool_error)

    def _handling(self, error: Exception) -> Any:
        how: Any = self._tool.handle_tool_error
        if callable(how):
            return how(error)
        return how if isinstance(how, str) else str(error)


def _split(one: Any) -> tuple[Any, str | None]:
    """Arguments, and the id of the call if a model made it."""
    if isinstance(one, dict) and one.get("type") == "tool_call":
        return dict(one["args"]), one["id"]
    return one, None
