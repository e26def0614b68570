"""What LangChain's shapes do with all rows of a batch at once.

Each function does for all rows what `invoke` of the shape does for one, as a generator that yields
the rows for the next steps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_core.runnables.config import ensure_config, merge_configs

from langchain_sutro.functions import RowOutcomes, retry_pause, worth_retrying
from langchain_sutro.pipelines.rows import Called, Pass, Rows, settled
from langchain_sutro.pipelines.work import Children, Shape, bound_config, pause, with_runs

if TYPE_CHECKING:
    from langchain_core.runnables import (
        RunnableAssign,
        RunnableBinding,
        RunnableParallel,
        RunnableSequence,
        RunnableWithFallbacks,
    )
    from langchain_core.runnables.base import RunnableEach
    from langchain_core.runnables.retry import RunnableRetry

__all__ = ["assign", "binding", "each", "fallbacks", "parallel", "retry", "sequence"]


def binding(step: RunnableBinding[Any, Any], rows: Rows) -> Shape:
    """Pass the rows on with what is bound; there are no runs of its own."""
    configs = [bound_config(step, config) for config in rows.configs]
    everyone = range(len(rows.values))
    given = rows.part(everyone, configs=configs, kwargs={**step.kwargs, **rows.kwargs})
    [outcomes] = yield [Pass(step.bound, given)]
    return list(outcomes)


def sequence(step: RunnableSequence[Any, Any], rows: Rows) -> Shape:
    """Pass the rows through the steps; one that fails in a step is not passed to the next."""

    def inner(children: Children) -> Shape:
        values, going = list(rows.values), list(range(len(rows.values)))
        for place, part in enumerate(step.steps):
            given = rows.part(
                going,
                [values[row] for row in going],
                children.configs(going, f"seq:step:{place + 1}"),
                kwargs=rows.kwargs if place == 0 else {},
            )
            [outputs] = yield [Pass(part, given)]
            for row, output in zip(going, outputs, strict=True):
                values[row] = output
            going = _going_on(rows, values, going)
            if not going:
                break
        state = RowOutcomes(len(values))
        state.put(values)
        return state.outcomes

    return with_runs(step, rows, inner)


def _going_on(rows: Rows, values: list[Any], going: list[int]) -> list[int]:
    """The rows for the next step."""
    failed = [row for row in going if isinstance(values[row], Exception)]
    if failed and rows.first_error_only:
        first = failed[0]
        for row in going:
            if row > first:
                values[row] = values[first]
    return [row for row in going if not isinstance(values[row], Exception)]


def parallel(step: RunnableParallel[Any], rows: Rows) -> Shape:
    """Pass the rows to every step, side by side."""

    def inner(children: Children) -> Shape:
        everyone = range(len(rows.values))
        steps = dict(step.steps__)
        outputs = yield [
            Pass(
                part,
                rows.part(
                    everyone,
                    configs=children.configs(everyone, f"map:key:{key}"),
                    called=Called.INVOKE,
                ),
            )
            for key, part in steps.items()
        ]
        state = RowOutcomes(len(rows.values))
        state.put(_merged(list(steps), [part[row] for part in outputs]) for row in everyone)
        return settled(rows, state.outcomes)

    return with_runs(step, rows, inner)


def _merged(keys: list[str], outputs: list[Any]) -> Any:
    """The dict of one row, or the error of the first key that has one."""
    errors = (output for output in outputs if isinstance(output, Exception))
    return next(errors, None) or dict(zip(keys, outputs, strict=True))


def assign(step: RunnableAssign, rows: Rows) -> Shape:
    """Add the outputs of the steps to the rows."""

    def inner(children: Children) -> Shape:
        state = RowOutcomes(len(rows.values))
        given = state.prepare(lambda row: _checked(rows.values[row]), keep=ValueError)
        going = state.open
        [outputs] = yield [
            Pass(
                step.mapper,
                rows.part(
                    going,
                    given,
                    children.configs(going),
                    kwargs=rows.kwargs,
                    called=Called.INVOKE,
                ),
            )
        ]
        state.put(
            output if isinstance(output, Exception) else {**value, **output}
            for value, output in zip(given, outputs, strict=True)
        )
        return settled(rows, state.outcomes)

    return with_runs(step, rows, inner)


def _checked(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        # The words and the type of langchain-core's error.
        raise ValueError(  # noqa: TRY004
            "The input to RunnablePassthrough.assign() must be a dict."
        )
    return value


def each(step: RunnableEach[Any, Any], rows: Rows) -> Shape:
    """Pass the values of all lists on together."""
    kwargs = dict(rows.kwargs)
    keeps_errors = bool(kwargs.pop("return_exceptions", False))

    def inner(children: Children) -> Shape:
        state = RowOutcomes(len(rows.values))
        lists = state.prepare(lambda row: list(rows.values[row]), keep=TypeError)
        owners = [row for row, part in zip(state.open, lists, strict=True) for _ in part]
        [outputs] = yield [
            Pass(
                step.bound,
                Rows(
                    [value for part in lists for value in part],
                    children.configs(owners),
                    kwargs,
                    Called.BATCH_WITH_EXCEPTIONS if keeps_errors else Called.BATCH,
                    owners,
                ),
            )
        ]
        parts: dict[int, list[Any]] = {row: [] for row in state.open}
        for owner, output in zip(owners, outputs, strict=True):
            parts[owner].append(output)
        state.put(_whole(part, keeps_errors) for part in parts.values())
        return settled(rows, state.outcomes)

    return with_runs(step, rows, inner)


def _whole(outputs: list[Any], keeps_errors: bool) -> Any:
    """The list of one row, or its first error."""
    errors = (output for output in outputs if isinstance(output, Exception))
    return outputs if keeps_errors else next(errors, outputs)


def fallbacks(step: RunnableWithFallbacks[Any, Any], rows: Rows) -> Shape:
    """Pass the rows that fail to the next Runnable.

    If all fail, `invoke` raises the first error of a row, and LangChain's `batch` the last.
    """
    one_by_one = rows.called is Called.INVOKE
    inside = Called.INVOKE if one_by_one else Called.BATCH_WITH_EXCEPTIONS

    def inner(children: Children) -> Shape:
        state, values = RowOutcomes(len(rows.values)), list(rows.values)
        if step.exception_key is not None:
            state.prepare(lambda row: _with_key(values[row]), keep=ValueError)
        kept: dict[int, BaseException] = {}
        for part in step.runnables:
            going = state.open
            if not going:
                break
            given = rows.part(
                going,
                [values[row] for row in going],
                children.configs(going),
                kwargs=rows.kwargs,
                called=inside,
                first_error_only=False,
            )
            [outputs] = yield [Pass(part, given)]
            for row, output in zip(going, outputs, strict=True):
                if not isinstance(output, step.exceptions_to_handle):
                    state.put([output], [row])
                    continue
                if not (one_by_one and row in kept):
                    kept[row] = output
                if step.exception_key is not None:
                    values[row] = {**values[row], step.exception_key: output}
            _stop_lists(rows, state)
        state.put([kept[row] for row in state.open])
        return settled(rows, state.outcomes)

    return with_runs(step, rows, inner)


def _with_key(value: Any) -> None:
    if not isinstance(value, dict):
        # The words and the type of langchain-core's error.
        raise ValueError(  # noqa: TRY004
            "If 'exception_key' is specified then input must be a dictionary."
            f"However found a type of {type(value)} for input"
        )


def _stop_lists(rows: Rows, state: RowOutcomes) -> None:
    """LangChain's `batch` raises an error that no fallback handles at once, whatever the row."""
    if rows.called is not Called.BATCH:
        return
    errors: dict[int, Exception] = {}
    for one, outcome in zip(rows.lists, state.outcomes, strict=True):
        if isinstance(outcome, Exception):
            errors.setdefault(one, outcome)
    stopped = [row for row in state.open if rows.lists[row] in errors]
    state.put([errors[rows.lists[row]] for row in stopped], stopped)


def retry(step: RunnableRetry[Any, Any], rows: Rows) -> Shape:
    """Pass the rows on, and then those that failed again, in rounds."""
    one_by_one = rows.called is Called.INVOKE
    inside = Called.INVOKE if one_by_one else Called.BATCH_WITH_EXCEPTIONS

    def inner(children: Children) -> Shape:
        state = RowOutcomes(len(rows.values))
        going = state.open
        for attempt in range(1, step.max_attempt_number + 1):
            if attempt > 1:
                yield pause(retry_pause(step, attempt - 1))
            tag = f"retry:attempt:{attempt}" if attempt > 1 else None
            configs = [
                ensure_config(merge_configs(step.config, one))
                for one in children.configs(going, tag)
            ]
            given = rows.part(
                going,
                configs=configs,
                kwargs={**step.kwargs, **rows.kwargs},
                called=inside,
                first_error_only=False,
            )
            [outputs] = yield [Pass(step.bound, given)]
            state.put(outputs, going)
            going = [row for row in going if worth_retrying(step, state.outcomes[row])]
            if not going:
                break
        return settled(rows, state.outcomes)

    return with_runs(step, rows, inner)
