"""Shapes that choose a step for each row: branches, routers, and what a config chooses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_sutro.functions import RowOutcomes, assigned_input, chosen_branch
from langchain_sutro.pipelines.rows import Called, Pass, Rows, settled
from langchain_sutro.pipelines.work import Children, Shape, with_runs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from langchain_core.runnables import RouterRunnable, Runnable, RunnableBranch, RunnableConfig
    from langchain_core.runnables.configurable import DynamicRunnable

    from langchain_sutro.functions import SutroAssign, SutroRouter

__all__ = ["branch", "configured", "router", "sutro_assign", "sutro_router"]


def branch(step: RunnableBranch[Any, Any], rows: Rows) -> Shape:
    """Ask each condition about the rows that are undecided, then run the branches side by side."""

    def inner(children: Children) -> Shape:
        state = RowOutcomes(len(rows.values))
        undecided = state.open
        routes: list[tuple[Runnable[Any, Any], list[int], str]] = []
        for place, (condition, target) in enumerate(step.branches, 1):
            if not undecided:
                break
            configs = children.configs(undecided, f"condition:{place}")
            asked = rows.part(undecided, configs=configs, called=Called.INVOKE)
            [answers] = yield [Pass(condition, asked)]
            decided = dict(zip(undecided, answers, strict=True))
            failed = [row for row in undecided if isinstance(decided[row], Exception)]
            state.put([decided[row] for row in failed], failed)
            chosen = [row for row in state.open if decided.get(row)]
            routes.append((target, chosen, f"branch:{place}"))
            undecided = [row for row in undecided if row in decided and not decided[row]]
        routes.append((step.default, undecided, "branch:default"))
        parts = [part for _, part, _ in routes]
        outputs = yield [
            Pass(
                target,
                rows.part(
                    part,
                    configs=children.configs(part, tag),
                    kwargs=rows.kwargs,
                    called=Called.INVOKE,
                ),
            )
            for target, part, tag in routes
        ]
        for part, results in zip(parts, outputs, strict=True):
            state.put(results, part)
        return settled(rows, state.outcomes)

    return with_runs(step, rows, inner)


def router(step: RouterRunnable[Any], rows: Rows) -> Shape:
    """Pass each row's input to the Runnable of its key; there are no runs of its own."""
    state = RowOutcomes(len(rows.values))
    routed = state.prepare(lambda row: _routed(step.runnables, rows.values[row]), keep=Exception)
    given = rows.part(
        state.open,
        [value for _, value in routed],
        # LangChain's `invoke` does not pass arguments on, and its `batch` does.
        kwargs={} if rows.called is Called.INVOKE else rows.kwargs,
        called=Called.INVOKE,
    )
    yield from _grouped(state, [target for target, _ in routed], given)
    return settled(rows, state.outcomes)


def _routed(
    runnables: Mapping[str, Runnable[Any, Any]], value: Any
) -> tuple[Runnable[Any, Any], Any]:
    key, given = value["key"], value["input"]
    if key not in runnables:
        # The words of langchain-core's error.
        raise ValueError(f"No runnable associated with key '{key}'")
    return runnables[key], given


def _grouped(state: RowOutcomes, steps: Sequence[Runnable[Any, Any]], given: Rows) -> Shape:
    """Pass the open rows on, those of a step together and the steps side by side."""
    going = list(state.open)
    parts: dict[int, list[int]] = {}
    for place, step in enumerate(steps):
        parts.setdefault(id(step), []).append(place)
    outputs = yield [
        Pass(steps[part[0]], given.part(part, kwargs=given.kwargs)) for part in parts.values()
    ]
    for part, results in zip(parts.values(), outputs, strict=True):
        state.put(results, [going[place] for place in part])
    return state.outcomes


def configured(step: DynamicRunnable[Any, Any], rows: Rows) -> Shape:
    """Pass the rows on to what their configs choose; there are no runs of its own.

    LangChain makes a new Runnable for each row. Rows whose configs choose the same share one.
    """
    state = RowOutcomes(len(rows.values))
    prepared: list[tuple[Any, Runnable[Any, Any]]] = []

    def prepare(row: int) -> tuple[Runnable[Any, Any], RunnableConfig]:
        target, config = step.prepare(rows.configs[row])
        chosen = config.get("configurable", {})
        for others, known in prepared:
            if known is target or (type(known) is type(target) and others == chosen):
                return known, config
        prepared.append((chosen, target))
        return target, config

    made = state.prepare(prepare, keep=Exception)
    targets = [target for target, _ in made]
    inside = _called_inside(step, rows, state.open, targets)
    given = rows.part(
        state.open, configs=[config for _, config in made], kwargs=rows.kwargs, called=inside
    )
    yield from _grouped(state, targets, given)
    return settled(rows, state.outcomes)


def _called_inside(
    step: DynamicRunnable[Any, Any],
    rows: Rows,
    going: Sequence[int],
    targets: Sequence[Runnable[Any, Any]],
) -> Called:
    """LangChain passes a batch on as one if nothing else than the default is chosen."""
    default = all(target is step.default for target in targets)
    return rows.called if default and len(going) == len(rows.values) else Called.INVOKE


def sutro_assign(step: SutroAssign, rows: Rows) -> Shape:
    """Add the Runnable's results to the rows."""

    def inner(children: Children) -> Shape:
        state = RowOutcomes(len(rows.values))
        given = state.prepare(lambda row: assigned_input(step, rows.values[row]), keep=Exception)
        going = state.open
        passed = rows.part(
            going,
            given,
            children.configs(going),
            kwargs=rows.kwargs,
            called=_soft(rows),
        )
        [outputs] = yield [Pass(step.bound, passed)]
        state.put(
            output if isinstance(output, Exception) else {**rows.values[row], step.key: output}
            for row, output in zip(going, outputs, strict=True)
        )
        return settled(rows, state.outcomes)

    return with_runs(step, rows, inner)


def _soft(rows: Rows) -> Called:
    """How our own shapes pass rows on: they need the outcome of each row."""
    return Called.INVOKE if rows.called is Called.INVOKE else Called.BATCH_WITH_EXCEPTIONS


def sutro_router(step: SutroRouter, rows: Rows) -> Shape:
    """Judge the rows, then pass each to its branch; branches run side by side."""

    def inner(children: Children) -> Shape:
        everyone = range(len(rows.values))
        asked = rows.part(
            everyone,
            configs=children.configs(everyone),
            kwargs=rows.kwargs,
            called=_soft(rows),
            first_error_only=False,
        )
        [judged] = yield [Pass(step.judge, asked)]
        state = RowOutcomes(len(rows.values))
        routed = state.prepare(
            lambda row: chosen_branch(step, rows.values[row], judged[row]), keep=Exception
        )
        given = rows.part(
            state.open,
            [value for _, value in routed],
            children.configs(state.open),
            called=_soft(rows),
        )
        yield from _grouped(state, [target for target, _ in routed], given)
        return settled(rows, state.outcomes)

    return with_runs(step, rows, inner)
