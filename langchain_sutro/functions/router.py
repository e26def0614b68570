"""`SutroRouter`: a Function's answer decides which Runnable each row is passed to."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from langchain_core.runnables import Runnable, RunnableConfig, RunnableSerializable
from pydantic import ConfigDict, Field, model_validator

from langchain_sutro._core.exports import exported_from
from langchain_sutro._core.results import is_confident
from langchain_sutro._core.tracing import quiet_when_local
from langchain_sutro.errors import LowConfidenceError, SutroConfigurationError, SutroRowError
from langchain_sutro.functions.assign import SutroAssign
from langchain_sutro.functions.checked_rows import rows_of_batch
from langchain_sutro.functions.row_outcomes import RowOutcomes
from langchain_sutro.functions.settings import without_secrets_of_typos
from langchain_sutro.functions.verdicts import by_verdict, verdict_key
from langchain_sutro.functions.whole_batch import abatch_with_runs, batch_with_runs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from langchain_core.callbacks import AsyncCallbackManagerForChainRun, CallbackManagerForChainRun

__all__ = ["SutroRouter", "chosen_branch"]


@exported_from("langchain_sutro")
class SutroRouter(RunnableSerializable[dict[str, Any], Any]):
    """Passes each row to the branch that the Function's answer names.

    A batch judges all rows in one job, and runs each branch once with its own rows.

    ```python
    SutroRouter(
        judge=qualify.assign_as("verdict"),
        branches={"qualified": write_offer, "not_qualified": say_thanks},
        min_confidence=0.8,
        fallback=ask_a_human,
    )
    ```

    Attributes:
        judge: From `SutroFunction.assign_as`, which selects the Function's input. Branches receive
            the row with the verdict under its key.
        branches: A Runnable for each answer: a label, or `True` and `False`. Labels are compared
            ignoring case and outer spaces, as guardrails and evaluators do.
        fallback: Receives rows whose answer has no branch or too low a confidence, and rows without
            a usable answer; without a fallback these are errors.
        min_confidence: From 0 to 1. Answers of lower confidence, or without one, go to the
            fallback.
    """

    model_config = ConfigDict(
        arbitrary_types_allowed=True, extra="forbid", hide_input_in_errors=True
    )

    judge: SutroAssign
    branches: dict[str | bool | int, Runnable[Any, Any]]
    fallback: Runnable[Any, Any] | None = None
    min_confidence: float | None = Field(default=None, ge=0, le=1)

    @model_validator(mode="before")
    @classmethod
    def _hide_typos(cls, values: Any) -> Any:
        return without_secrets_of_typos(cls, values)

    @model_validator(mode="after")
    def _check(self) -> SutroRouter:
        by_verdict(self.branches, "branches")
        return self

    def invoke(
        self, input: dict[str, Any], config: RunnableConfig | None = None, **kwargs: Any
    ) -> Any:
        """Judge a row, and return the output of its branch.

        Raises:
            LowConfidenceError: The answer's confidence is too low, and there is no fallback.
            SutroConfigurationError: The answer has no branch, and there is no fallback.
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
            branch, value = chosen_branch(self, row, judged)
            return branch.invoke(value, config)

        with quiet_when_local():
            return self._call_with_config(call, input, config)

    async def ainvoke(
        self, input: dict[str, Any], config: RunnableConfig | None = None, **kwargs: Any
    ) -> Any:
        """Asynchronous form of `invoke`."""

        async def call(
            row: dict[str, Any],
            run_manager: AsyncCallbackManagerForChainRun,  # noqa: ARG001 - for the config
            config: RunnableConfig,
        ) -> Any:
            try:
                judged: Any = await self.judge.ainvoke(row, config, **kwargs)
            except (LowConfidenceError, SutroRowError) as error:
                judged = error
            branch, value = chosen_branch(self, row, judged)
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
            **kwargs: Passed to the Function.

        Returns:
            The output of each row's branch, in input order.
        """
        inputs = rows_of_batch(inputs)

        def call(_: Sequence[Any], configs: list[RunnableConfig]) -> list[Any]:
            judged = self.judge.batch(inputs, configs, return_exceptions=True, **kwargs)
            routes = self._routes(inputs, judged)
            for branch in routes.branches:
                given, each = routes.inputs(branch, configs)
                routes.put(branch, branch.batch(given, each, return_exceptions=True))
            return routes.rows.outcomes

        return batch_with_runs(self, call, inputs, config, return_exceptions=return_exceptions)

    async def abatch(
        self,
        inputs: list[dict[str, Any]],
        config: RunnableConfig | list[RunnableConfig] | None = None,
        *,
        return_exceptions: bool = False,
        **kwargs: Any,
    ) -> list[Any]:
        """Asynchronous form of `batch`; branches run concurrently."""
        inputs = rows_of_batch(inputs)

        async def call(_: Sequence[Any], configs: list[RunnableConfig]) -> list[Any]:
            judged = await self.judge.abatch(inputs, configs, return_exceptions=True, **kwargs)
            routes = self._routes(inputs, judged)
            work = [
                branch.abatch(*routes.inputs(branch, configs), return_exceptions=True)
                for branch in routes.branches
            ]
            for branch, outputs in zip(routes.branches, await asyncio.gather(*work), strict=True):
                routes.put(branch, outputs)
            return routes.rows.outcomes

        return await abatch_with_runs(
            self, call, inputs, config, return_exceptions=return_exceptions
        )

    def _routes(self, inputs: Sequence[dict[str, Any]], judged: Sequence[Any]) -> _Routes:
        rows = RowOutcomes(len(inputs))
        # Whatever goes wrong here concerns one row alone.
        routed = rows.prepare(
            lambda index: chosen_branch(self, inputs[index], judged[index]), keep=Exception
        )
        return _Routes(rows, routed)


def chosen_branch(router: SutroRouter, row: Any, judged: Any) -> tuple[Runnable[Any, Any], Any]:
    """The branch of a row, and the branch's input.

    Args:
        router: The branches.
        row: The row.
        judged: The row with the verdict, or the error of its judge.

    Raises:
        Exception: The row goes nowhere; this is its error.
    """
    problem, value = judged, row
    if not isinstance(judged, Exception):
        verdict, value = judged[router.judge.key], judged
        answer = getattr(verdict, "answer", verdict)
        branch = _branch(router, answer)
        confidence = getattr(verdict, "confidence", None)
        if not is_confident(confidence, router.min_confidence):
            problem = LowConfidenceError(
                f"The answer has a confidence of {confidence}, and {router.min_confidence} is "
                "required.",
                result=verdict,
            )
        elif branch is not None:
            return branch, value
        else:
            problem = SutroConfigurationError(
                f"There is no branch for the answer {answer!r}, only for "
                f"{', '.join(map(repr, router.branches))}: add one, or a fallback."
            )
    weak = isinstance(problem, LowConfidenceError | SutroRowError | SutroConfigurationError)
    if router.fallback is None or not weak:
        raise problem
    return router.fallback, value


def _branch(router: SutroRouter, answer: Any) -> Runnable[Any, Any] | None:
    """The branch of an answer, if it has one."""
    if not isinstance(answer, str | bool | int):
        return None
    return by_verdict(router.branches, "branches").get(verdict_key(answer))


class _Routes:
    """The rows of each branch.

    Args:
        rows: Those that go to a branch are open.
        routed: The branch of each open row, and what it is given.
    """

    def __init__(self, rows: RowOutcomes, routed: Sequence[tuple[Runnable[Any, Any], Any]]) -> None:
        self.rows = rows
        self.branches: list[Runnable[Any, Any]] = []
        self._parts: dict[int, list[tuple[int, Any]]] = {}
        for index, (branch, value) in zip(rows.open, routed, strict=True):
            if id(branch) not in self._parts:
                self.branches.append(branch)
            self._parts.setdefault(id(branch), []).append((index, value))

    def inputs(
        self, branch: Runnable[Any, Any], configs: Sequence[RunnableConfig]
    ) -> tuple[list[Any], list[RunnableConfig]]:
        """What a branch is given, and the config of each of its rows."""
        part = self._parts[id(branch)]
        return [value for _, value in part], [configs[index] for index, _ in part]

    def put(self, branch: Runnable[Any, Any], outputs: Sequence[Any]) -> None:
        """Put the outputs of a branch into the places of its rows."""
        self.rows.put(outputs, [index for index, _ in self._parts[id(branch)]])
