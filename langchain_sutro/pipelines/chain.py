"""`one_job`: a pipeline whose batch makes one job for each Function, whatever its shape."""

from __future__ import annotations

from typing import Any

from langchain_core.runnables import Runnable, RunnableBinding, RunnableConfig
from langchain_core.runnables.config import get_config_list

from langchain_sutro._core.exports import exported_from
from langchain_sutro._core.service import arun_steps, run_steps
from langchain_sutro._core.tracing import quiet_when_local
from langchain_sutro.functions import WholeBatch, rows_of_batch
from langchain_sutro.pipelines.plan import FunctionPlan, plans
from langchain_sutro.pipelines.rows import Rows
from langchain_sutro.pipelines.walk import walk

__all__ = ["OneJob", "one_job"]


@exported_from("langchain_sutro")
class OneJob(WholeBatch, RunnableBinding[Any, Any]):  # type: ignore[no-redef] # its field `kwargs`
    """A pipeline whose batches pass all rows to each step at once, as `one_job` returns it.

    Everything but batches is done by the pipeline itself.

    Attributes:
        bound: The pipeline.
    """

    @classmethod
    def get_lc_namespace(cls) -> list[str]:
        """The namespace of its serialised id; langchain-core's class would say its own."""
        return cls.__module__.split(".")

    def plan(self) -> list[FunctionPlan]:
        """Report what a batch does with each Function in the pipeline; calls nothing.

        A function that LangChain calls, such as that of a `RunnableLambda` or of a node in a
        LangGraph graph, is searched for the Functions that its source refers to.

        Returns:
            One entry for each place where a Function stands.
        """
        return plans(self.bound)

    def invoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        """Call the pipeline."""
        return _inner(self).invoke(input, config, **kwargs)

    async def ainvoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        """Asynchronous form of `invoke`."""
        return await _inner(self).ainvoke(input, config, **kwargs)

    def batch(
        self,
        inputs: list[Any],
        config: RunnableConfig | list[RunnableConfig] | None = None,
        *,
        return_exceptions: bool = False,
        **kwargs: Any,
    ) -> list[Any]:
        """Pass all rows to each step at once.

        Args:
            inputs: The rows.
            config: One for all rows, or one for each.
            return_exceptions: Put a row's error in its place instead of raising that of the first
                row that fails.
            **kwargs: As for `invoke`.

        Returns:
            For each row what `invoke` returns, in input order.
        """
        inputs = rows_of_batch(inputs)
        if not inputs:
            return []
        rows = _rows(inputs, config, kwargs, return_exceptions)
        with quiet_when_local():
            return _returned(run_steps(walk(_inner(self), rows)), return_exceptions)

    async def abatch(
        self,
        inputs: list[Any],
        config: RunnableConfig | list[RunnableConfig] | None = None,
        *,
        return_exceptions: bool = False,
        **kwargs: Any,
    ) -> list[Any]:
        """Asynchronous form of `batch`."""
        inputs = rows_of_batch(inputs)
        if not inputs:
            return []
        rows = _rows(inputs, config, kwargs, return_exceptions)
        with quiet_when_local():
            return _returned(await arun_steps(walk(_inner(self), rows)), return_exceptions)


@exported_from("langchain_sutro")
def one_job(chain: Runnable[Any, Any]) -> OneJob:
    """Return an equivalent pipeline whose batch makes one job for each Function.

    LangChain's `batch` calls `invoke` for each row in `RunnableParallel`, `assign`, branches,
    routers and lambdas that return a Runnable. Here all rows are passed to each step at once, and
    independent branches run side by side. Results, order, runs and errors are those of `invoke` for
    each row, and everything but batches is done by the pipeline as it is.

    ```python
    from langchain_core.runnables import RunnablePassthrough

    judged = one_job(RunnablePassthrough.assign(verdict=qualify, second=judge))
    judged.batch(rows)  # two jobs at the same time, however many rows there are
    ```

    Steps of other packages are given all rows too, in their own `batch`. A function that calls
    `invoke` itself is called once for each row, as ever; `plan` names it.

    Args:
        chain: Any Runnable. It is not changed.

    Returns:
        The pipeline. Its `plan()` reports what a batch does with each Function.
    """
    return chain if isinstance(chain, OneJob) else OneJob(bound=chain, kwargs={}, config={})


def _inner(chain: OneJob) -> Runnable[Any, Any]:
    """The pipeline, with what was bound to it."""
    if not (chain.config or chain.kwargs or chain.config_factories):
        # As fast as the pipeline itself, where there is nothing to merge.
        return chain.bound
    return RunnableBinding(
        bound=chain.bound,
        kwargs=chain.kwargs,
        config=chain.config,
        config_factories=chain.config_factories,
    )


def _rows(
    inputs: list[Any],
    config: RunnableConfig | list[RunnableConfig] | None,
    kwargs: dict[str, Any],
    return_exceptions: bool,
) -> Rows:
    configs = get_config_list(config, len(inputs))
    return Rows(inputs, configs, kwargs, first_error_only=not return_exceptions)


def _returned(outcomes: list[Any], return_exceptions: bool) -> list[Any]:
    errors = (outcome for outcome in outcomes if isinstance(outcome, Exception))
    first = None if return_exceptions else next(errors, None)
    if first is not None:
        raise first
    return outcomes
