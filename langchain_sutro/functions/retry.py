"""`SutroRetry`: repeats the rows of a batch that failed, each round as one job."""

from __future__ import annotations

import asyncio
import random
import time
from typing import TYPE_CHECKING, Any

from langchain_core.runnables import RunnableConfig  # noqa: TC002 - langchain-core resolves it
from langchain_core.runnables.config import merge_configs, patch_config
from langchain_core.runnables.retry import RunnableRetry

from langchain_sutro._core.exports import exported_from
from langchain_sutro.errors import SubmissionUnknownError
from langchain_sutro.functions.checked_rows import rows_of_batch
from langchain_sutro.functions.row_outcomes import RowOutcomes
from langchain_sutro.functions.whole_batch import abatch_with_runs, batch_with_runs

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from langchain_core.callbacks import BaseRunManager
    from langchain_core.runnables import Runnable
    from langchain_core.runnables.retry import ExponentialJitterParams

__all__ = ["SutroRetry", "retry_pause", "retrying", "worth_retrying"]


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

        def call(managers: Sequence[BaseRunManager], configs: list[RunnableConfig]) -> list[Any]:
            rounds = _Rounds(self, inputs, configs, managers)
            while rounds.rows.open:
                time.sleep(rounds.pause())
                rows, each = rounds.next()
                rounds.put(self.bound.batch(rows, each, return_exceptions=True, **options))
            return rounds.rows.outcomes

        inputs, options = rows_of_batch(inputs), {**self.kwargs, **kwargs}
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
            rounds = _Rounds(self, inputs, configs, managers)
            while rounds.rows.open:
                await asyncio.sleep(rounds.pause())
                rows, each = rounds.next()
                rounds.put(await self.bound.abatch(rows, each, return_exceptions=True, **options))
            return rounds.rows.outcomes

        inputs, options = rows_of_batch(inputs), {**self.kwargs, **kwargs}
        return await abatch_with_runs(
            self, call, inputs, config, return_exceptions=return_exceptions
        )


class _Rounds:
    """The rounds of a batch: an open row is one that is still to be run."""

    def __init__(
        self,
        retry: SutroRetry,
        inputs: Sequence[Any],
        configs: Sequence[RunnableConfig],
        managers: Sequence[BaseRunManager],
    ) -> None:
        self.rows = RowOutcomes(len(inputs))
        self._retry = retry
        self._inputs = inputs
        self._configs = configs
        # Those of chains, which have children.
        self._managers: Sequence[Any] = managers
        self._attempt = 0

    def pause(self) -> float:
        """Seconds before the next round."""
        return retry_pause(self._retry, self._attempt) if self._attempt else 0.0

    def next(self) -> tuple[list[Any], list[RunnableConfig]]:
        """Inputs and configs of the next round; repetitions are tagged as LangChain tags them."""
        self._attempt += 1
        tag = f"retry:attempt:{self._attempt}" if self._attempt > 1 else None
        configs = [
            merge_configs(
                self._retry.config,
                patch_config(self._configs[row], callbacks=self._managers[row].get_child(tag)),
            )
            for row in self.rows.open
        ]
        return [self._inputs[row] for row in self.rows.open], configs

    def put(self, outputs: Sequence[Any]) -> None:
        """Keep the outputs of a round, and reopen the rows that are to be repeated."""
        sent = self.rows.open
        self.rows.put(outputs)
        if self._attempt < self._retry.max_attempt_number:
            self.rows.open = [
                row for row in sent if worth_retrying(self._retry, self.rows.outcomes[row])
            ]


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


def retry_pause(retry: RunnableRetry[Any, Any], attempts: int) -> float:
    """Seconds before the next attempt, from the parameters of LangChain's `with_retry`.

    Args:
        retry: The parameters.
        attempts: How many attempts there were.
    """
    if not retry.wait_exponential_jitter:
        return 0.0
    given = retry.exponential_jitter_params or {}
    wait = given.get("initial", 1.0) * given.get("exp_base", 2.0) ** (attempts - 1)
    jitter = random.uniform(0, given.get("jitter", 1.0))  # noqa: S311 - no secret
    return float(min(wait + jitter, given.get("max", 60.0)))


def worth_retrying(retry: RunnableRetry[Any, Any], output: Any) -> bool:
    """Whether an output is an error after which another attempt is wanted.

    Args:
        retry: Says which errors are.
        output: A value or error.
    """
    # `SutroRetry` takes a predicate too.
    kinds: Any = retry.retry_exception_types
    if not isinstance(output, Exception):
        return False
    if kinds == (Exception,) and isinstance(output, SubmissionUnknownError):
        # Nothing is submitted again before that job is found, which was tried for a while.
        return False
    return bool(isinstance(output, kinds) if isinstance(kinds, tuple) else kinds(output))
