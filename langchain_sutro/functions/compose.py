"""What keeps a pipeline's `batch` one job where LangChain's own parts would not, or would err."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from langchain_core.runnables import Runnable, RunnableConfig, RunnableSerializable
from langchain_core.runnables.config import get_config_list, merge_configs
from langchain_core.runnables.retry import RunnableRetry
from pydantic import ConfigDict

from langchain_sutro._exports import exported_from
from langchain_sutro._tracing import quiet_when_local
from langchain_sutro.errors import SutroInputError
from langchain_sutro.functions.row_batch import Interrupts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from langchain_core.callbacks import AsyncCallbackManagerForChainRun, CallbackManagerForChainRun

__all__ = ["SutroAssign", "SutroRetry"]


@exported_from("langchain_sutro")
class SutroRetry(RunnableRetry[Any, Any]):  # type: ignore[no-redef] # its field `kwargs`
    """`with_retry` whose batch repeats only the rows that failed, each in its own place.

    langchain-core's version can give a row another row's answer when some rows keep failing
    (langchain-ai/langchain#35475). Each round of a batch is a job of its own.
    """

    def batch(
        self,
        inputs: list[Any],
        config: RunnableConfig | list[RunnableConfig] | None = None,
        *,
        return_exceptions: bool = False,
        **kwargs: Any,
    ) -> list[Any]:
        """Run the rows, then those that failed again."""
        rounds = _Rounds(self, inputs, config)
        while rounds.pending:
            time.sleep(rounds.pause())
            rows, configs = rounds.next()
            rounds.take(
                self.bound.batch(rows, configs, return_exceptions=True, **{**self.kwargs, **kwargs})
            )
        return rounds.result(return_exceptions=return_exceptions)

    async def abatch(
        self,
        inputs: list[Any],
        config: RunnableConfig | list[RunnableConfig] | None = None,
        *,
        return_exceptions: bool = False,
        **kwargs: Any,
    ) -> list[Any]:
        """`batch` on the running event loop."""
        rounds = _Rounds(self, inputs, config)
        while rounds.pending:
            await asyncio.sleep(rounds.pause())
            rows, configs = rounds.next()
            rounds.take(
                await self.bound.abatch(
                    rows, configs, return_exceptions=True, **{**self.kwargs, **kwargs}
                )
            )
        return rounds.result(return_exceptions=return_exceptions)


class _Rounds:
    """Which rows are still to be run, and what became of the others."""

    def __init__(
        self,
        retry: SutroRetry,
        inputs: Sequence[Any],
        config: RunnableConfig | list[RunnableConfig] | None,
    ) -> None:
        self._retry = retry
        self._inputs = inputs
        self._configs = get_config_list(config, len(inputs)) if inputs else []
        self._outputs: list[Any] = [None] * len(inputs)
        self._attempt = 0
        self.pending = list(range(len(inputs)))

    def pause(self) -> float:
        """Seconds before the next round, by the parameters of LangChain's `with_retry`."""
        if self._attempt == 0 or not self._retry.wait_exponential_jitter:
            return 0.0
        given = self._retry.exponential_jitter_params or {}
        wait = given.get("initial", 1.0) * given.get("exp_base", 2.0) ** (self._attempt - 1)
        jitter = random.uniform(0, given.get("jitter", 1.0))  # noqa: S311 - no secret
        return float(min(wait + jitter, given.get("max", 60.0)))

    def next(self) -> tuple[list[Any], list[RunnableConfig]]:
        """Rows and configs of a round; a repetition is tagged as LangChain tags it."""
        self._attempt += 1
        tags = [f"retry:attempt:{self._attempt}"] if self._attempt > 1 else []
        configs = [
            merge_configs(self._retry.config, self._configs[row], {"tags": tags})
            for row in self.pending
        ]
        return [self._inputs[row] for row in self.pending], configs

    def take(self, outputs: Sequence[Any]) -> None:
        """Put a round's outputs in their places."""
        for row, output in zip(self.pending, outputs, strict=True):
            self._outputs[row] = output
        if self._attempt >= self._retry.max_attempt_number:
            self.pending = []
        else:
            self.pending = [row for row in self.pending if self._again(self._outputs[row])]

    def _again(self, output: Any) -> bool:
        kinds = self._retry.retry_exception_types
        if not isinstance(output, Exception):
            return False
        return isinstance(output, kinds) if isinstance(kinds, tuple) else kinds(output)

    def result(self, *, return_exceptions: bool) -> list[Any]:
        """All outputs in input order."""
        if not return_exceptions:
            for output in self._outputs:
                if isinstance(output, Exception):
                    raise output
        return self._outputs


@exported_from("langchain_sutro")
class SutroAssign(RunnableSerializable[dict[str, Any], dict[str, Any]]):
    """Adds a Runnable's result to each row under a key.

    `RunnablePassthrough.assign` would call the Runnable once for each row of a batch; this one
    hands it the whole batch.

    Attributes:
        bound: What is run.
        key: Where its result goes.
        inputs: Which of the row's fields it gets: their names, or its field names mapped to the
            row's, or a callable on the row. None gives it the whole row.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    bound: Runnable[Any, Any]
    key: str
    inputs: list[str] | dict[str, str] | Callable[[dict[str, Any]], Any] | None = None

    def _input(self, row: dict[str, Any]) -> Any:
        if not isinstance(row, Mapping):
            raise SutroInputError(f"assign_as takes rows by field name, not {type(row).__name__}.")
        if self.inputs is None:
            return row
        if callable(self.inputs):
            return self.inputs(row)
        wanted = self.inputs if isinstance(self.inputs, dict) else {n: n for n in self.inputs}
        missing = [source for source in wanted.values() if source not in row]
        if missing:
            raise SutroInputError(
                f"assign_as({self.key!r}) needs the field {missing[0]!r}, which the row lacks.",
                column=missing[0],
            )
        return {name: row[source] for name, source in wanted.items()}

    def invoke(
        self, input: dict[str, Any], config: RunnableConfig | None = None, **kwargs: Any
    ) -> dict[str, Any]:
        """The row with the result added."""

        def call(
            row: dict[str, Any],
            run_manager: CallbackManagerForChainRun,  # noqa: ARG001 - for the config
            config: RunnableConfig,
        ) -> dict[str, Any]:
            return {**row, self.key: self.bound.invoke(self._input(row), config, **kwargs)}

        with quiet_when_local():
            return self._call_with_config(call, input, config)

    async def ainvoke(
        self, input: dict[str, Any], config: RunnableConfig | None = None, **kwargs: Any
    ) -> dict[str, Any]:
        """`invoke` on the running event loop."""

        async def call(
            row: dict[str, Any],
            run_manager: AsyncCallbackManagerForChainRun,  # noqa: ARG001 - for the config
            config: RunnableConfig,
        ) -> dict[str, Any]:
            return {**row, self.key: await self.bound.ainvoke(self._input(row), config, **kwargs)}

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
        """The rows with the results added, from one `batch` of the Runnable."""

        def call(
            rows: list[dict[str, Any]],
            run_manager: list[CallbackManagerForChainRun],  # noqa: ARG001 - for the configs
            config: list[RunnableConfig],
        ) -> list[Any]:
            wanted = _Wanted(self._input, rows, config)
            with interrupts.noted():
                wanted.take(
                    self.bound.batch(wanted.rows, wanted.configs, return_exceptions=True, **kwargs)
                )
            return wanted.added(self.key)

        interrupts = Interrupts()
        with quiet_when_local():
            outputs = self._batch_with_config(
                call, inputs, config, return_exceptions=return_exceptions
            )
        interrupts.raise_again()
        return outputs

    async def abatch(
        self,
        inputs: list[dict[str, Any]],
        config: RunnableConfig | list[RunnableConfig] | None = None,
        *,
        return_exceptions: bool = False,
        **kwargs: Any,
    ) -> list[dict[str, Any]]:
        """`batch` on the running event loop."""

        async def call(
            rows: list[dict[str, Any]],
            run_manager: list[AsyncCallbackManagerForChainRun],  # noqa: ARG001 - for the configs
            config: list[RunnableConfig],
        ) -> list[Any]:
            wanted = _Wanted(self._input, rows, config)
            with interrupts.noted():
                wanted.take(
                    await self.bound.abatch(
                        wanted.rows, wanted.configs, return_exceptions=True, **kwargs
                    )
                )
            return wanted.added(self.key)

        interrupts = Interrupts()
        with quiet_when_local():
            outputs = await self._abatch_with_config(
                call, inputs, config, return_exceptions=return_exceptions
            )
        interrupts.raise_again()
        return outputs


class _Wanted:
    """The inputs of the rows that have one, and the errors of the others."""

    def __init__(
        self,
        pick: Callable[[dict[str, Any]], Any],
        rows: Sequence[dict[str, Any]],
        configs: Sequence[RunnableConfig],
    ) -> None:
        self._all = rows
        self._results: list[Any] = [None] * len(rows)
        self._places: list[int] = []
        self.rows: list[Any] = []
        self.configs: list[RunnableConfig] = []
        for place, (row, config) in enumerate(zip(rows, configs, strict=True)):
            try:
                self.rows.append(pick(row))
            except SutroInputError as error:
                self._results[place] = error
            else:
                self._places.append(place)
                self.configs.append(config)

    def take(self, results: Sequence[Any]) -> None:
        for place, result in zip(self._places, results, strict=True):
            self._results[place] = result

    def added(self, key: str) -> list[Any]:
        return [
            result if isinstance(result, Exception) else {**row, key: result}
            for row, result in zip(self._all, self._results, strict=True)
        ]
