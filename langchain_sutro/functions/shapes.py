"""LangChain's shapes with a `batch` that passes all rows to every step at once.

Each class is one of langchain-core's, under its name, so that runs, serialised ids, schemas and
everything but batches are langchain-core's. What a batch calls is written once as a generator,
which `batch` and `abatch` drive.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from langchain_core.runnables import (
    RouterRunnable,
    Runnable,
    RunnableAssign,
    RunnableBranch,
    RunnableConfig,
    RunnableParallel,
    RunnableSequence,
    RunnableWithFallbacks,
)
from langchain_core.runnables.base import RunnableEach
from langchain_core.runnables.config import (
    get_config_list,
    get_executor_for_config,
    patch_config,
)
from langchain_core.runnables.configurable import (
    RunnableConfigurableAlternatives,
    RunnableConfigurableFields,
)
from langchain_core.runnables.retry import RunnableRetry

from langchain_sutro.functions.retry import SutroRetry
from langchain_sutro.functions.row_outcomes import RowOutcomes
from langchain_sutro.functions.whole_batch import WholeBatch, abatch_with_runs, batch_with_runs

if TYPE_CHECKING:
    from langchain_core.callbacks import BaseRunManager

__all__ = [
    "Alternatives",
    "Assign",
    "Branch",
    "Each",
    "Fallbacks",
    "Fields",
    "Parallel",
    "Retry",
    "Router",
    "Sequential",
]


@dataclass(frozen=True)
class _Call:
    """One `batch` of a step."""

    step: Runnable[Any, Any]
    rows: list[Any]
    configs: list[RunnableConfig]
    kwargs: dict[str, Any] = field(default_factory=dict)

    def run(self) -> list[Any]:
        outputs = self.step.batch(self.rows, self.configs, return_exceptions=True, **self.kwargs)
        return _checked(self.step, outputs, len(self.rows))

    async def arun(self) -> list[Any]:
        outputs = await self.step.abatch(
            self.rows, self.configs, return_exceptions=True, **self.kwargs
        )
        return _checked(self.step, outputs, len(self.rows))


# Calls that may run side by side go out, their outputs come in.
_Calls = Generator[list[_Call], list[list[Any]], list[Any]]


def _checked(step: Runnable[Any, Any], outputs: list[Any], count: int) -> list[Any]:
    """Outputs of a step, unless it was interrupted; LangChain's batches return interrupts."""
    for output in outputs:
        if isinstance(output, BaseException) and not isinstance(output, Exception):
            raise output
    if len(outputs) != count:
        raise ValueError(
            f"{step.get_name()}.batch returned {len(outputs)} outputs for {count} rows."
        )
    return outputs


@dataclass(frozen=True)
class _Rows:
    """The rows of one batch, with the configs of their runs' children."""

    inputs: list[Any]
    managers: Sequence[BaseRunManager] | None
    configs: list[RunnableConfig]
    kwargs: dict[str, Any]

    def call(
        self,
        step: Runnable[Any, Any],
        rows: Sequence[int],
        values: Sequence[Any],
        tag: str | None = None,
        **kwargs: Any,
    ) -> _Call:
        """A call of a step with some rows and a value for each."""
        return _Call(step, list(values), [self._config(row, tag) for row in rows], kwargs)

    def _config(self, row: int, tag: str | None) -> RunnableConfig:
        if self.managers is None:
            return self.configs[row]
        child = self.managers[row].get_child(tag)  # type: ignore[attr-defined] # of chains
        return patch_config(self.configs[row], callbacks=child)


class _Whole(WholeBatch):
    """Drives the calls of a batch."""

    def _calls(self, rows: _Rows) -> _Calls:
        raise NotImplementedError

    def batch(
        self,
        inputs: list[Any],
        config: RunnableConfig | list[RunnableConfig] | None = None,
        *,
        return_exceptions: bool = False,
        **kwargs: Any,
    ) -> list[Any]:
        """Pass all rows to each step at once."""

        def call(managers: Sequence[BaseRunManager], configs: list[RunnableConfig]) -> list[Any]:
            return _drive(self._calls(_Rows(inputs, managers, configs, kwargs)))

        return batch_with_runs(self, call, inputs, config, return_exceptions=return_exceptions)

    async def abatch(
        self,
        inputs: list[Any],
        config: RunnableConfig | list[RunnableConfig] | None = None,
        *,
        return_exceptions: bool = False,
        **kwargs: Any,
    ) -> list[Any]:
        """Asynchronous form of `batch`."""

        async def call(
            managers: Sequence[BaseRunManager], configs: list[RunnableConfig]
        ) -> list[Any]:
            return await _adrive(self._calls(_Rows(inputs, managers, configs, kwargs)))

        return await abatch_with_runs(
            self, call, inputs, config, return_exceptions=return_exceptions
        )


def _drive(calls: _Calls) -> list[Any]:
    try:
        wanted = next(calls)
        while True:
            wanted = calls.send(_side_by_side(wanted))
    except StopIteration as end:
        outcomes: list[Any] = end.value
        return outcomes


def _side_by_side(calls: list[_Call]) -> list[list[Any]]:
    if len(calls) == 1:
        return [calls[0].run()]
    if not calls:
        return []
    with get_executor_for_config(calls[0].configs[0]) as executor:
        return list(executor.map(_Call.run, calls))


async def _adrive(calls: _Calls) -> list[Any]:
    try:
        wanted = next(calls)
        while True:
            wanted = calls.send(await asyncio.gather(*(call.arun() for call in wanted)))
    except StopIteration as end:
        outcomes: list[Any] = end.value
        return outcomes


class Sequential(_Whole, RunnableSequence):  # type: ignore[type-arg]
    """A sequence; a row that fails in a step is not passed to the next."""

    def _calls(self, rows: _Rows) -> _Calls:
        state = RowOutcomes(len(rows.inputs))
        values = list(rows.inputs)
        for place, step in enumerate(self.steps):
            going = [row for row in state.open if not isinstance(values[row], Exception)]
            if place == 0:
                going = state.open
            if not going:
                break
            call = rows.call(
                step,
                going,
                [values[row] for row in going],
                f"seq:step:{place + 1}",
                **(rows.kwargs if place == 0 else {}),
            )
            [outputs] = yield [call]
            for row, output in zip(going, outputs, strict=True):
                values[row] = output
        state.put(values)
        return state.outcomes


class Parallel(_Whole, RunnableParallel):  # type: ignore[type-arg]
    """A dict of steps, which run side by side."""

    def _calls(self, rows: _Rows) -> _Calls:
        everyone = range(len(rows.inputs))
        steps = dict(self.steps__)
        outputs = yield [
            rows.call(step, everyone, rows.inputs, f"map:key:{key}") for key, step in steps.items()
        ]
        state = RowOutcomes(len(rows.inputs))
        state.put(
            [
                next((part for part in parts if isinstance(part, Exception)), None)
                or dict(zip(steps, parts, strict=True))
                for parts in (zip(*outputs, strict=True) if steps else ((),) * len(rows.inputs))
            ]
        )
        return state.outcomes


class Assign(_Whole, RunnableAssign):
    """A dict of steps whose outputs are added to the row."""

    def _calls(self, rows: _Rows) -> _Calls:
        state = RowOutcomes(len(rows.inputs))
        given = state.prepare(lambda row: _dict(rows.inputs[row]), keep=ValueError)
        if given:
            going = state.open
            [outputs] = yield [rows.call(self.mapper, going, given, **rows.kwargs)]
            state.put(
                [
                    output if isinstance(output, Exception) else {**value, **output}
                    for value, output in zip(given, outputs, strict=True)
                ]
            )
        return state.outcomes


def _dict(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        # The words of langchain-core.
        raise ValueError(  # noqa: TRY004 - its type too
            "The input to RunnablePassthrough.assign() must be a dict."
        )
    return value


class Branch(_Whole, RunnableBranch):  # type: ignore[type-arg]
    """Conditions, of which each sees the undecided rows, and then the branches side by side."""

    def _calls(self, rows: _Rows) -> _Calls:
        state = RowOutcomes(len(rows.inputs))
        undecided = list(state.open)
        routes: list[tuple[Runnable[Any, Any], list[int], str]] = []
        for place, (condition, branch) in enumerate(self.branches, 1):
            if not undecided:
                break
            values = [rows.inputs[row] for row in undecided]
            [answers] = yield [rows.call(condition, undecided, values, f"condition:{place}")]
            decided = dict(zip(undecided, answers, strict=True))
            failed = [row for row in undecided if isinstance(decided[row], Exception)]
            state.put([decided[row] for row in failed], failed)
            chosen = [row for row in undecided if row not in set(failed) and decided[row]]
            routes.append((branch, chosen, f"branch:{place}"))
            settled = {*failed, *chosen}
            undecided = [row for row in undecided if row not in settled]
        routes.append((self.default, undecided, "branch:default"))
        routes = [route for route in routes if route[1]]
        outputs = yield [
            rows.call(branch, part, [rows.inputs[row] for row in part], tag, **rows.kwargs)
            for branch, part, tag in routes
        ]
        for (_, part, _), results in zip(routes, outputs, strict=True):
            state.put(results, part)
        return state.outcomes


class Fallbacks(_Whole, RunnableWithFallbacks):  # type: ignore[type-arg]
    """Fallbacks for the rows that fail; as in `invoke`, the first error stays if all fail."""

    def _calls(self, rows: _Rows) -> _Calls:
        state = RowOutcomes(len(rows.inputs))
        values = list(rows.inputs)
        first: dict[int, BaseException] = {}
        for step in self.runnables:
            going = state.open
            if not going:
                break
            [outputs] = yield [
                rows.call(step, going, [values[row] for row in going], **rows.kwargs)
            ]
            for row, output in zip(going, outputs, strict=True):
                if isinstance(output, self.exceptions_to_handle):
                    first.setdefault(row, output)
                    if self.exception_key is not None:
                        values[row] = {**values[row], self.exception_key: output}
                else:
                    state.put([output], [row])
        state.put([first[row] for row in state.open])
        return state.outcomes


class Each(_Whole, RunnableEach):  # type: ignore[type-arg]
    """Lists of rows, all of which are passed on together."""

    def _calls(self, rows: _Rows) -> _Calls:
        owners = [row for row, values in enumerate(rows.inputs) for _ in values]
        values = [value for part in rows.inputs for value in part]
        parts: list[list[Any]] = [[] for _ in rows.inputs]
        if values:
            [outputs] = yield [rows.call(self.bound, owners, values, **rows.kwargs)]
            for owner, output in zip(owners, outputs, strict=True):
                parts[owner].append(output)
        return [
            next((value for value in part if isinstance(value, Exception)), part) for part in parts
        ]


class _Runless(_Whole):
    """A shape that has no runs of its own."""

    def batch(
        self,
        inputs: list[Any],
        config: RunnableConfig | list[RunnableConfig] | None = None,
        *,
        return_exceptions: bool = False,
        **kwargs: Any,
    ) -> list[Any]:
        """Pass all rows on at once."""
        configs = get_config_list(config, len(inputs))
        outcomes = _drive(self._calls(_Rows(inputs, None, configs, kwargs)))
        return _settled(outcomes, return_exceptions)

    async def abatch(
        self,
        inputs: list[Any],
        config: RunnableConfig | list[RunnableConfig] | None = None,
        *,
        return_exceptions: bool = False,
        **kwargs: Any,
    ) -> list[Any]:
        """Asynchronous form of `batch`."""
        configs = get_config_list(config, len(inputs))
        outcomes = await _adrive(self._calls(_Rows(inputs, None, configs, kwargs)))
        return _settled(outcomes, return_exceptions)


class Router(_Runless, RouterRunnable):  # type: ignore[type-arg]
    """Rows that name their Runnable; langchain-core's has no runs of its own."""

    def _calls(self, rows: _Rows) -> _Calls:
        state = RowOutcomes(len(rows.inputs))
        routes: dict[str, list[int]] = {}
        for row, value in enumerate(rows.inputs):
            key = value["key"]
            if key in self.runnables:
                routes.setdefault(key, []).append(row)
            else:
                state.put([ValueError(f"No runnable associated with key '{key}'")], [row])
        outputs = yield [
            rows.call(
                self.runnables[key],
                part,
                [rows.inputs[row]["input"] for row in part],
                **rows.kwargs,
            )
            for key, part in routes.items()
        ]
        for part, results in zip(routes.values(), outputs, strict=True):
            state.put(results, part)
        return state.outcomes


class _Dynamic(_Runless):
    """Rows whose config asks for the same are passed on together."""

    def _calls(self, rows: _Rows) -> _Calls:
        me: Any = self
        groups: list[tuple[Any, Runnable[Any, Any], list[int]]] = []
        configs = list(rows.configs)
        for row, config in enumerate(rows.configs):
            step, configs[row] = me.prepare(config)
            asked = (me.config or {}).get("configurable", {}) | config.get("configurable", {})
            part = next((p for key, s, p in groups if s is step or key == asked), None)
            if part is None:
                part = []
                groups.append((asked, step, part))
            part.append(row)
        given = _Rows(rows.inputs, None, configs, rows.kwargs)
        outputs = yield [
            given.call(step, part, [rows.inputs[row] for row in part], **rows.kwargs)
            for _, step, part in groups
        ]
        state = RowOutcomes(len(rows.inputs))
        for (_, _, part), results in zip(groups, outputs, strict=True):
            state.put(results, part)
        return state.outcomes


class Fields(_Dynamic, RunnableConfigurableFields):  # type: ignore[type-arg]
    """A Runnable with configurable fields."""


class Alternatives(_Dynamic, RunnableConfigurableAlternatives):  # type: ignore[type-arg]
    """Runnables of which the config picks one."""


class Retry(SutroRetry):  # type: ignore[no-redef] # its field `kwargs`
    """`with_retry`, which has a run for each row as langchain-core's has."""

    @classmethod
    def get_lc_namespace(cls) -> list[str]:
        """That of langchain-core's class."""
        return RunnableRetry.get_lc_namespace()

    def batch(
        self,
        inputs: list[Any],
        config: RunnableConfig | list[RunnableConfig] | None = None,
        *,
        return_exceptions: bool = False,
        **kwargs: Any,
    ) -> list[Any]:
        """Run all rows, then repeat those that failed."""
        rounds = super().batch

        def call(_: Sequence[BaseRunManager], configs: list[RunnableConfig]) -> list[Any]:
            return rounds(inputs, configs, return_exceptions=True, **kwargs)

        return batch_with_runs(self, call, inputs, config, return_exceptions=return_exceptions)

    async def abatch(
        self,
        inputs: list[Any],
        config: RunnableConfig | list[RunnableConfig] | None = None,
        *,
        return_exceptions: bool = False,
        **kwargs: Any,
    ) -> list[Any]:
        """Asynchronous form of `batch`."""
        rounds = super().abatch

        async def call(_: Sequence[BaseRunManager], configs: list[RunnableConfig]) -> list[Any]:
            return await rounds(inputs, configs, return_exceptions=True, **kwargs)

        return await abatch_with_runs(
            self, call, inputs, config, return_exceptions=return_exceptions
        )


def _settled(outcomes: list[Any], return_exceptions: bool) -> list[Any]:
    if not return_exceptions:
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                raise outcome
    return outcomes


for _shape, _original in (
    (Sequential, "RunnableSequence"),
    (Parallel, "RunnableParallel"),
    (Assign, "RunnableAssign"),
    (Branch, "RunnableBranch"),
    (Each, "RunnableEach"),
    (Fallbacks, "RunnableWithFallbacks"),
    (Router, "RouterRunnable"),
    (Fields, "RunnableConfigurableFields"),
    (Alternatives, "RunnableConfigurableAlternatives"),
    (Retry, "RunnableRetry"),
):
    # LangChain takes default run names and serialised ids from the name of the class.
    _shape.__name__ = _original
