"""`SutroAssign`: adds a Runnable's result to each row, with one `batch` for all rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, cast

from langchain_core.runnables import Runnable, RunnableConfig, RunnableSerializable
from pydantic import ConfigDict

from langchain_sutro._core.exports import exported_from
from langchain_sutro._core.tracing import quiet_when_local
from langchain_sutro.errors import SutroInputError
from langchain_sutro.functions.checked_rows import rows_of_batch
from langchain_sutro.functions.row_outcomes import RowOutcomes
from langchain_sutro.functions.whole_batch import abatch_with_runs, batch_with_runs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from langchain_core.callbacks import AsyncCallbackManagerForChainRun, CallbackManagerForChainRun

__all__ = ["SutroAssign", "assigned_input"]


@exported_from("langchain_sutro")
class SutroAssign(RunnableSerializable[dict[str, Any], dict[str, Any]]):
    """Adds a Runnable's result to each row under a key.

    `RunnablePassthrough.assign` would call the Runnable once for each row of a batch; this class
    calls its `batch` once with all rows.

    Attributes:
        bound: The Runnable.
        key: The key under which its result is added.
        inputs: Which fields of the row are passed to it: a list of names, a dict of its field
            names to the row's, or a callable on the row. None passes the whole row.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, hide_input_in_errors=True)

    bound: Runnable[Any, Any]
    key: str
    inputs: list[str] | dict[str, str] | Callable[[dict[str, Any]], Any] | None = None

    @classmethod
    def is_lc_serializable(cls) -> bool:
        """LangChain's `dumps` and `load` work if they do for `bound`; not with a callable."""
        return True

    def invoke(
        self, input: dict[str, Any], config: RunnableConfig | None = None, **kwargs: Any
    ) -> dict[str, Any]:
        """Return the row with the result added."""

        def call(
            row: dict[str, Any],
            run_manager: CallbackManagerForChainRun,  # noqa: ARG001 - for the config
            config: RunnableConfig,
        ) -> dict[str, Any]:
            given = assigned_input(self, row)
            return {**row, self.key: self.bound.invoke(given, config, **kwargs)}

        with quiet_when_local():
            return self._call_with_config(call, input, config)

    async def ainvoke(
        self, input: dict[str, Any], config: RunnableConfig | None = None, **kwargs: Any
    ) -> dict[str, Any]:
        """Asynchronous form of `invoke`."""

        async def call(
            row: dict[str, Any],
            run_manager: AsyncCallbackManagerForChainRun,  # noqa: ARG001 - for the config
            config: RunnableConfig,
        ) -> dict[str, Any]:
            given = assigned_input(self, row)
            return {**row, self.key: await self.bound.ainvoke(given, config, **kwargs)}

        with quiet_when_local():
            return await self._acall_with_config(call, input, config)

    def batch(
        self,
        inputs: list[dict[str, Any]],
        config: RunnableConfig | list[RunnableConfig] | None = None,
        *,
        return_exceptions: bool = False,
        **kwargs: Any,
    ) -> list[dict[str, Any]]:
        """Return the rows with the results added, from one `batch` of the Runnable.

        Args:
            inputs: The rows.
            config: One for all rows, or one for each.
            return_exceptions: Put a row's error in its place, also what a callable of `inputs`
                raises, instead of raising the first before anything is run.
            **kwargs: Passed to the Runnable.
        """
        inputs, keep = rows_of_batch(inputs), Exception if return_exceptions else ()

        def call(_: Sequence[Any], configs: list[RunnableConfig]) -> list[Any]:
            rows = RowOutcomes(len(inputs))
            given = rows.prepare(lambda index: assigned_input(self, inputs[index]), keep=keep)
            each = [configs[index] for index in rows.open]
            rows.put(self.bound.batch(given, each, return_exceptions=True, **kwargs))
            return self._added(inputs, rows.outcomes)

        return batch_with_runs(self, call, inputs, config, return_exceptions=return_exceptions)

    async def abatch(
        self,
        inputs: list[dict[str, Any]],
        config: RunnableConfig | list[RunnableConfig] | None = None,
        *,
        return_exceptions: bool = False,
        **kwargs: Any,
    ) -> list[dict[str, Any]]:
        """Asynchronous form of `batch`."""
        inputs, keep = rows_of_batch(inputs), Exception if return_exceptions else ()

        async def call(_: Sequence[Any], configs: list[RunnableConfig]) -> list[Any]:
            rows = RowOutcomes(len(inputs))
            given = rows.prepare(lambda index: assigned_input(self, inputs[index]), keep=keep)
            each = [configs[index] for index in rows.open]
            rows.put(await self.bound.abatch(given, each, return_exceptions=True, **kwargs))
            return self._added(inputs, rows.outcomes)

        return await abatch_with_runs(
            self, call, inputs, config, return_exceptions=return_exceptions
        )

    def _added(self, rows: Sequence[dict[str, Any]], results: Sequence[Any]) -> list[Any]:
        return [
            result if isinstance(result, Exception) else {**row, self.key: result}
            for row, result in zip(rows, results, strict=True)
        ]


def assigned_input(assign: SutroAssign, row: Any) -> Any:
    """What a Runnable is given for a row.

    Args:
        assign: The Runnable, and which fields it needs.
        row: The row.

    Raises:
        SutroInputError: The row lacks a field that is needed.
    """
    if not isinstance(row, Mapping):
        raise SutroInputError(f"assign_as needs rows with named fields, not {type(row).__name__}.")
    inputs = assign.inputs
    if inputs is None:
        return row
    if callable(inputs):
        return inputs(cast("dict[str, Any]", row))
    wanted = inputs if isinstance(inputs, dict) else {name: name for name in inputs}
    missing = [source for source in wanted.values() if source not in row]
    if missing:
        raise SutroInputError(
            f"assign_as({assign.key!r}) needs the field {missing[0]!r}, which the row lacks.",
            column=missing[0],
        )
    return {name: row[source] for name, source in wanted.items()}
