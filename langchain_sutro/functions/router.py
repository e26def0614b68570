"""`SutroRouter`: a Function's answer decides which Runnable a row goes to; a batch is one job."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from langchain_core.runnables import Runnable, RunnableConfig, RunnableSerializable
from pydantic import ConfigDict, Field

from langchain_sutro._exports import exported_from
from langchain_sutro._tracing import quiet_when_local
from langchain_sutro.errors import LowConfidenceError, SutroConfigurationError, SutroRowError
from langchain_sutro.functions.compose import SutroAssign
from langchain_sutro.functions.row_batch import Interrupts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from langchain_core.callbacks import AsyncCallbackManagerForChainRun, CallbackManagerForChainRun

__all__ = ["SutroRouter"]


@exported_from("langchain_sutro")
class SutroRouter(RunnableSerializable[dict[str, Any], Any]):
    """Sends each row to the branch that the Function's answer names.

    A batch judges all rows in one job and runs each branch once, with its own rows.

    ```python
    SutroRouter(
        judge=qualify.assign_as("verdict"),
        branches={"qualified": write_offer, "not_qualified": say_thanks},
        min_confidence=0.8,
        fallback=ask_a_human,
    )
    ```

    Attributes:
        judge: From `SutroFunction.assign_as`: it says what the Function is given. Branches get the
            row with the verdict under its key.
        branches: A Runnable for each answer: a label, or `True` and `False`.
        fallback: Gets rows whose answer has no branch or too little confidence, and rows without
            a usable answer; without it they are errors.
        min_confidence: From 0 to 1; an answer of less, or of none, goes to the fallback.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid")

    judge: SutroAssign
    branches: dict[str | bool | int, Runnable[Any, Any]]
    fallback: Runnable[Any, Any] | None = None
    min_confidence: float | None = Field(default=None, ge=0, le=1)

    def invoke(
        self, input: dict[str, Any], config: RunnableConfig | None = None, **kwargs: Any
    ) -> Any:
        """Judge a row, and give what its branch gives.

        Raises:
            LowConfidenceError: The answer is not certain enough, and there is no fallback.
            SutroConfigurationError: No branch has the answer's name, and there is no fallback.
        """

        def call(
            row: dict[str, Any],
            run_manager: CallbackManagerForChainRun,  # noqa: ARG001 - for the config
            config: RunnableConfig,
        ) -> Any:
            try:
                judged: Any = self.judge.invoke(row, config, **kwargs)
            except (LowConfidenceError, SutroRowError) as error:
                judged = error
            branch, value = self._route(row, judged)
            return branch.invoke(value, config)

        with quiet_when_local():
            return self._call_with_config(call, input, config)

    async def ainvoke(
        self, input: dict[str, Any], config: RunnableConfig | None = None, **kwargs: Any
    ) -> Any:
        """`invoke` on the running event loop."""

        async def call(
            row: dict[str, Any],
            run_manager: AsyncCallbackManagerForChainRun,  # noqa: ARG001 - for the config
            config: RunnableConfig,
        ) -> Any:
            try:
                judged: Any = await self.judge.ainvoke(row, config, **kwargs)
            except (LowConfidenceError, SutroRowError) as error:
                judged = error
            branch, value = self._route(row, judged)
            return await branch.ainvoke(value, config)

        with quiet_when_local():
            return await self._acall_with_config(call, input, config)

    def batch(
        self,
        inputs: list[dict[str, Any]],
        config: RunnableConfig | list[RunnableConfig] | None = None,
        *,
        return_exceptions: bool = False,
        **kwargs: Any,
    ) -> list[Any]:
        """Judge all rows in one job, then run each branch once with its rows.

        Args:
            inputs: The rows.
            config: One for all rows, or one for each.
            return_exceptions: Put a row's error in its place instead of raising the first.
            **kwargs: For the Function.

        Returns:
            What each row's branch gives, in input order.
        """
        interrupts = Interrupts()

        def call(
            rows: list[dict[str, Any]],
            run_manager: list[CallbackManagerForChainRun],  # noqa: ARG001 - for the configs
            config: list[RunnableConfig],
        ) -> list[Any]:
            with interrupts.noted():
                judged = self.judge.batch(rows, config, return_exceptions=True, **kwargs)
                routes = self._routes(rows, judged, config)
                for branch in routes.branches:
                    values, configs = routes.inputs(branch)
                    routes.take(branch, branch.batch(values, configs, return_exceptions=True))
            return routes.outputs

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
    ) -> list[Any]:
        """`batch` on the running event loop; branches run at once."""
        interrupts = Interrupts()

        async def call(
            rows: list[dict[str, Any]],
            run_manager: list[AsyncCallbackManagerForChainRun],  # noqa: ARG001 - for the configs
            config: list[RunnableConfig],
        ) -> list[Any]:
            with interrupts.noted():
                judged = await self.judge.abatch(rows, config, return_exceptions=True, **kwargs)
                routes = self._routes(rows, judged, config)
                work = (
                    branch.abatch(*routes.inputs(branch), return_exceptions=True)
                    for branch in routes.branches
                )
                for branch, results in zip(
                    routes.branches, await asyncio.gather(*work), strict=True
                ):
                    routes.take(branch, results)
            return routes.outputs

        with quiet_when_local():
            outputs = await self._abatch_with_config(
                call, inputs, config, return_exceptions=return_exceptions
            )
        interrupts.raise_again()
        return outputs

    def _route(self, row: dict[str, Any], judged: Any) -> tuple[Runnable[Any, Any], Any]:
        """The branch of a row, and what it gets."""
        problem, value = judged, row
        if not isinstance(judged, Exception):
            verdict, value = judged[self.judge.key], judged
            answer = getattr(verdict, "answer", verdict)
            branch = self.branches.get(answer) if isinstance(answer, str | bool | int) else None
            confidence = getattr(verdict, "confidence", None)
            least = self.min_confidence
            if least is not None and (confidence is None or confidence < least):
                problem = LowConfidenceError(
                    f"The answer has a confidence of {confidence}, and {least} is required.",
                    result=verdict,
                )
            elif branch is not None:
                return branch, value
            else:
                problem = SutroConfigurationError(
                    f"No branch is for the answer {answer!r}, only for "
                    f"{', '.join(map(repr, self.branches))}: add it, or a fallback."
                )
        weak = isinstance(problem, LowConfidenceError | SutroRowError | SutroConfigurationError)
        if self.fallback is None or not weak:
            raise problem
        return self.fallback, value

    def _routes(
        self, rows: Sequence[dict[str, Any]], judged: Sequence[Any], configs: Sequence[Any]
    ) -> _Routes:
        routes = _Routes(len(rows))
        for place, (row, one, config) in enumerate(zip(rows, judged, configs, strict=True)):
            try:
                branch, value = self._route(row, one)
            except Exception as error:  # noqa: BLE001 - it is this row's
                routes.outputs[place] = error
            else:
                routes.add(branch, place, value, config)
        return routes


class _Routes:
    """The rows of each branch, and where their outputs go."""

    def __init__(self, rows: int) -> None:
        self.outputs: list[Any] = [None] * rows
        self.branches: list[Runnable[Any, Any]] = []
        self._parts: dict[int, list[tuple[int, Any, RunnableConfig]]] = {}

    def add(
        self, branch: Runnable[Any, Any], place: int, value: Any, config: RunnableConfig
    ) -> None:
        if id(branch) not in self._parts:
            self.branches.append(branch)
        self._parts.setdefault(id(branch), []).append((place, value, config))

    def inputs(self, branch: Runnable[Any, Any]) -> tuple[list[Any], list[RunnableConfig]]:
        part = self._parts[id(branch)]
        return [value for _, value, _ in part], [config for _, _, config in part]

    def take(self, branch: Runnable[Any, Any], results: Sequence[Any]) -> None:
        for (place, _, _), result in zip(self._parts[id(branch)], results, strict=True):
            self.outputs[place] = result
