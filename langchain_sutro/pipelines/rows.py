"""`Rows`: what a step of a pipeline is given, and how LangChain would have called it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from langchain_core.runnables import Runnable, RunnableConfig

__all__ = ["Called", "Pass", "Rows", "settled"]


class Called(Enum):
    """How LangChain calls a step, which decides the errors of a row that fails.

    Within `RunnableEach`, which `map` makes, LangChain calls `batch` for each list, and otherwise
    `invoke` for each row.
    """

    INVOKE = "invoke"
    BATCH = "batch"
    BATCH_WITH_EXCEPTIONS = "batch(return_exceptions=True)"


@dataclass(frozen=True)
class Rows:
    """The rows of one batch of a step.

    Attributes:
        values: The input of each row.
        configs: The config of each row's run.
        kwargs: Further arguments of the call.
        called: How LangChain calls the step.
        lists: Which of LangChain's calls of `batch` each row belongs to.
        first_error_only: Whether the caller wants the first row's error alone. Rows behind one that
            failed are then not passed on to further steps.
    """

    values: Sequence[Any]
    configs: Sequence[RunnableConfig]
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    called: Called = Called.INVOKE
    lists: Sequence[int] = ()
    first_error_only: bool = False

    def part(
        self,
        rows: Sequence[int],
        values: Sequence[Any] | None = None,
        configs: Sequence[RunnableConfig] | None = None,
        **changes: Any,
    ) -> Rows:
        """Some of the rows.

        Args:
            rows: Their indices.
            values: Their new values.
            configs: Their new configs.
            **changes: Other attributes that change.
        """
        return replace(
            self,
            values=[self.values[row] for row in rows] if values is None else values,
            configs=[self.configs[row] for row in rows] if configs is None else configs,
            lists=[self.lists[row] for row in rows] if self.lists else (),
            **{"kwargs": {}, **changes},
        )


@dataclass(frozen=True)
class Pass:
    """Rows that are passed to a step.

    Attributes:
        step: The step.
        rows: Its rows.
    """

    step: Runnable[Any, Any]
    rows: Rows


def settled(rows: Rows, outcomes: Sequence[Any]) -> list[Any]:
    """The outcomes of rows as LangChain's call would return or raise them.

    Args:
        rows: The rows.
        outcomes: The value or error of each.

    Returns:
        The same, where a call of `batch` without `return_exceptions` has the first error of its
        rows in the place of each of them.
    """
    if rows.called is not Called.BATCH:
        return list(outcomes)
    errors: dict[int, Exception] = {}
    for one, outcome in zip(rows.lists, outcomes, strict=True):
        if isinstance(outcome, Exception):
            errors.setdefault(one, outcome)
    return [errors.get(one, outcome) for one, outcome in zip(rows.lists, outcomes, strict=True)]
