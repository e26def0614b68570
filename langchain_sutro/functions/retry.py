"""`SutroRetry`: repeats the rows of a batch that failed, each round as one job."""

from __future__ import annotations

import asyncio
import random
import time
from typing import TYPE_CHECKING, Any

from langchain_core.runnables import RunnableConfig  # noqa: TC002 - langchain-core resolves it
from langchain_core.runnables.config import get_config_list, merge_configs
from langchain_core.runnables.retry import RunnableRetry

from langchain_sutro._exports import exported_from
from langchain_sutro.functions.checked_rows import rows_of_batch
from langchain_sutro.functions.row_outcomes import RowOutcomes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from langchain_core.runnables import Runnable
    from langchain_core.runnables.retry import ExponentialJitterParams

__all__ = ["SutroRetry", "retrying"]


@exported_from("langchain_sutro")
class SutroRetry(RunnableRetry[Any, Any]):  # type: ignore[no-redef] # its field `kwargs`
    """`with_retry` whose batch repeats only the rows that failed, each in its own place.

    With langchain-core's own class a row can receive the answer of another row when some rows keep
    failing (langchain-ai/langchain#35475). Each round of a batch is a job of its own.
    """

    @classmethod
    def get_lc_namespace(cls) -> list[str]:
        """The namespace of its serialised id; langchain-core's class would say its own."""
        return cls.__module__.split(".")

    def batch(
        self,
        inputs: list[Any],
        config: RunnableConfig | list[RunnableConfig] | None = None,
        *,
        return_exceptions: bool = False,
        **kwargs: Any,
    ) -> list[Any]:
        """Run all rows, then repeat those that failed."""
        rounds = _Rounds(self, inputs, config)
        while rounds.rows.open:
            time.sleep(rounds.pause())
            rows, configs = rounds.next()
            rounds.put(
                self.bound.batch(rows, configs, return_exceptions=True, **{**self.kwargs, **kwargs})
            )
        return rounds.rows.results(return_exceptions=return_exceptions)

    async def abatch(
        self,
        inputs: list[Any],
        config: RunnableConfig | list[RunnableConfig] | None = None,
        *,
        return_exceptions: bool = False,
        **kwargs: Any,
    ) -> list[Any]:
        """Asynchronous form of `batch`."""
        rounds = _Rounds(self, inputs, config)
        while rounds.rows.open:
            await asyncio.sleep(rounds.pause())
            rows, configs = rounds.next()
            rounds.put(
                await self.bound.abatch(
                    rows, configs, return_exceptions=True, **{**self.kwargs, **kwargs}
                )
            )
        return rounds.rows.results(return_exceptions=return_exceptions)


class _Rounds:
    """The rounds of a batch: an open row is one that is still to be run."""

    def __init__(
        self,
        retry: SutroRetry,
        inputs: Sequence[Any],
        config: RunnableConfig | list[RunnableConfig] | None,
    ) -> None:
        inputs = rows_of_batch(inputs)
        self.rows = RowOutcomes(len(inputs))
        self._retry = retry
        self._inputs = inputs
        self._configs = get_config_list(config, len(inputs)) if inputs else []
        self._attempt = 0

    def pause(self) -> float:
        """Seconds before the next round, from the parameters of LangChain's `with_retry`."""
        if self._attempt == 0 or not self._retry.wait_exponential_jitter:
            return 0.0
        given = self._retry.exponential_jitter_params or {}
        wait = given.get("initial", 1.0) * given.get("exp_base", 2.0) ** (self._attempt - 1)
        jitter = random.uniform(0, given.get("jitter", 1.0))  # noqa: S311 - no secret
        return float(min(wait + jitter, given.get("max", 60.0)))

    def next(self) -> tuple[list[Any], list[RunnableConfig]]:
        """Inputs and configs of the next round; repetitions are tagged as LangChain tags them."""
        self._attempt += 1
        tags = [f"retry:attempt:{self._attempt}"] if self._attempt > 1 else []
        configs = [
            merge_configs(self._retry.config, self._configs[row], {"tags": tags})
            for row in self.rows.open
        ]
        return [self._inputs[row] for row in self.rows.open], configs

    def put(self, outputs: Sequence[Any]) -> None:
        """Keep the outputs of a round, and reopen the rows that are to be repeated."""
        sent = self.rows.open
        self.rows.put(outputs)
        if self._attempt < self._retry.max_attempt_number:
            self.rows.open = [row for row in sent if self._repeats(self.rows.outcomes[row])]

    def _repeats(self, output: Any) -> bool:
        kinds = self._retry.retry_exception_types
        if not isinstance(output, Exception):
            return False
        return isinstance(output, kinds) if isinstance(kinds, tuple) else kinds(output)


def retrying(
    bound: Runnable[Any, Any],
    *,
    retry_if_exception_type: tuple[type[BaseException], ...] | Callable[[BaseException], bool],
    wait_exponential_jitter: bool,
    exponential_jitter_params: ExponentialJitterParams | None,
    stop_after_attempt: int,
) -> SutroRetry:
    """Make what `with_retry` of a Runnable returns, from its arguments.

    Args:
        bound: The Runnable.
        retry_if_exception_type: Exception types to retry, or a predicate on the exception.
        wait_exponential_jitter: Whether to wait between attempts.
        exponential_jitter_params: `initial`, `max`, `exp_base` and `jitter`, in seconds.
        stop_after_attempt: Maximum number of attempts.
    """
    return SutroRetry(
        bound=bound,
        kwargs={},
        config={},
        retry_exception_types=retry_if_exception_type,
        wait_exponential_jitter=wait_exponential_jitter,
        exponential_jitter_params=exponential_jitter_params,
        max_attempt_number=stop_after_attempt,
    )
