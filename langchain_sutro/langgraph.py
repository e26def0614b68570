"""Jobs in LangGraph: nodes that submit and collect them, and what a checkpoint stores.

LangGraph is needed only where a graph runs: `pip install "langchain-sutro[agents]"`.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from langchain_core.runnables import (
    Runnable,
    RunnableConfig,
    RunnableLambda,
)

from langchain_sutro._core.jobs import SutroJob, SutroJobGroup
from langchain_sutro._core.results import BatchResults, FunctionResult
from langchain_sutro._core.service import Step, Steps, arun_steps, run_steps
from langchain_sutro.errors import SutroInputError, SutroJobTimeoutError
from langchain_sutro.functions import SutroFunction

if TYPE_CHECKING:
    from collections.abc import Callable


__all__ = ["STATE_TYPES", "collect_node", "state_serializer", "submit_node"]

STATE_TYPES: tuple[tuple[str, str], ...] = (
    ("langchain_sutro", "FunctionResult"),
    ("langchain_sutro", "SutroJob"),
)
"""What this package stores in checkpoints: values for `allowed_msgpack_modules` of LangGraph."""


def submit_node(
    function: SutroFunction,
    rows: str | Callable[[Any], Any],
    *,
    job: str = "job",
    **options: Any,
) -> Runnable[Any, dict[str, Any]]:
    """A node that submits a job and puts its handle, a `SutroJob`, into the state.

    It makes exactly one job, also if the node runs again: because a later part of its step failed,
    a retry policy repeats it, or the process died before the checkpoint was written. A node that
    the graph reaches again, in a loop or with other rows, makes another job.

    ```python
    from langgraph.graph import StateGraph

    graph = StateGraph(dict)
    graph.add_node("submit", submit_node(qualify, "leads"))
    graph.add_node("collect", collect_node(qualify))
    graph.add_edge("submit", "collect")
    ```

    Args:
        function: The Function.
        rows: The key of the state that holds the table, or a callable that takes the state and
            returns the table: rows, a data frame, or a path or URL. It must return equal rows if
            the node runs again.
        job: The key of the state that receives the job.
        **options: As for `SutroFunction.submit`, such as `job_name`.

    Returns:
        The node.
    """

    def steps(state: Any, config: RunnableConfig) -> Steps[dict[str, Any]]:
        table = _value(state, rows) if isinstance(rows, str) else rows(state)
        how: dict[str, Any] = {"idempotency_key": _task(config), **options}
        submitted = yield Step(
            partial(function.submit, table, config, **how),
            partial(function.asubmit, table, config, **how),
        )
        return {job: submitted}

    return _node(f"submit {function.function}", steps)


def collect_node(
    function: SutroFunction,
    *,
    job: str = "job",
    results: str = "results",
    wait: float | None = 0.0,
    collect: Callable[[BatchResults], Any] | None = None,
) -> Runnable[Any, dict[str, Any]]:
    """A node that puts the results of a job into the state, and interrupts until there are any.

    While the job is running, the graph is interrupted with `{"job_id": ..., "status": ...}`, so
    that its process can end. Resume it later, with any value: the node looks again, and
    interrupts again if the job has not ended. This needs a checkpointer.

    Args:
        function: The Function, which knows how to reach the deployment.
        job: The key of the state that holds the job, as `submit_node` put it there.
        results: The key of the state that receives the results.
        wait: Maximum number of seconds to wait for the job before the graph is interrupted; None
            waits as long as the job takes, and never interrupts.
        collect: Makes the value for the state from the `BatchResults`. By default a list with one
            entry per row: its answer, or `{"error": ...}`. For large jobs, return a summary or the
            path of a file: whatever is in the state is written at every checkpoint.

    Returns:
        The node.

    Raises:
        SutroJobFailedError: When the node runs; with the service's reason.
        SutroJobCancelledError: When the node runs; the job was cancelled.
    """

    def steps(state: Any, _: RunnableConfig) -> Steps[dict[str, Any]]:
        stored = _value(state, job)
        facts = stored.to_dict() if isinstance(stored, SutroJob) else dict(stored)
        handle = SutroJob.from_dict(facts, client=function.client)
        while True:
            try:
                yield Step(partial(handle.wait, wait), partial(handle.await_, wait))
            except SutroJobTimeoutError:
                status = yield Step(handle.status, handle.astatus)
                _interrupt({"job_id": handle.job_id, "status": str(status)})
            else:
                break
        found = yield Step(handle.results, handle.aresults)
        return {results: (_answers if collect is None else collect)(found)}

    return _node(f"collect {function.function}", steps)


def state_serializer(*types: type | tuple[str, str]) -> Any:
    """A serializer for LangGraph's checkpointers under which results keep their type.

    ```python
    from langgraph.checkpoint.memory import InMemorySaver

    checkpointer = InMemorySaver(serde=state_serializer())
    ```

    With LangGraph's own serializer, a `FunctionResult` in the state comes back as a plain dict, and
    a `SutroJob` as itself, but with a warning that its type is not registered.

    Args:
        *types: Your own types that may be read from checkpoints. LangGraph's messages and the
            standard library's types always may.

    Returns:
        A `JsonPlusSerializer` that allows `STATE_TYPES` and these types. It raises a
        `SutroInputError` for what does not belong into a checkpoint: `BatchResults`,
        `SutroJobGroup`, `SutroFunction`.
    """
    from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer  # noqa: PLC0415

    class StateSerializer(JsonPlusSerializer):
        def dumps_typed(self, obj: Any) -> tuple[str, bytes]:
            return super().dumps_typed(_typed(obj))

    named = [one if isinstance(one, tuple) else (one.__module__, one.__name__) for one in types]
    return StateSerializer(allowed_msgpack_modules=[*STATE_TYPES, *named])


_REFUSED: dict[type, str] = {
    BatchResults: (
        "it may be of any size. Put the SutroJob into the state and fetch its results where they "
        "are needed, or put the answers that you need, or the path of a file."
    ),
    SutroJobGroup: (
        "submit it with checkpoint=, put that path into the state, and take the group up with "
        "SutroJobGroup.resume."
    ),
    SutroFunction: "it holds the API key. Make it where the graph is made.",
}


def _typed(value: Any) -> Any:
    """The value, in which the serializer does not take a `FunctionResult` for a plain dict.

    Raises:
        SutroInputError: There is something in it that does not belong into a checkpoint.
    """
    if isinstance(value, FunctionResult):
        return _Stored(value)
    for kind, advice in _REFUSED.items():
        if isinstance(value, kind):
            raise SutroInputError(f"{kind.__name__} is not stored in checkpoints: {advice}")
    if type(value) is dict:
        return {name: _typed(one) for name, one in value.items()}
    if type(value) in {list, tuple}:
        return type(value)(_typed(one) for one in value)
    return value


class _Stored:
    """Stored as the call that makes the result again."""

    def __init__(self, result: FunctionResult) -> None:
        self._result = result

    @property  # type: ignore[misc]
    def __class__(self) -> type[FunctionResult]:  # type: ignore[override]
        # By this name the serializer stores it.
        return FunctionResult

    def _asdict(self) -> dict[str, Any]:
        return dict(self._result)


def _node(
    name: str, steps: Callable[[Any, RunnableConfig], Steps[dict[str, Any]]]
) -> Runnable[Any, dict[str, Any]]:
    def run(state: Any, config: RunnableConfig) -> dict[str, Any]:
        return run_steps(steps(state, config))

    async def arun(state: Any, config: RunnableConfig) -> dict[str, Any]:
        return await arun_steps(steps(state, config))

    return RunnableLambda(run, arun, name=name)


def _value(state: Any, key: str) -> Any:
    return state[key] if isinstance(state, dict) else getattr(state, key)


def _task(config: RunnableConfig) -> str | None:
    """What identifies this run of the node; it is the same if the node runs again."""
    configurable, metadata = config.get("configurable") or {}, config.get("metadata") or {}
    task = metadata.get("langgraph_checkpoint_ns") or configurable.get("checkpoint_ns")
    return f"{configurable.get('thread_id')} {task}" if task else None


def _interrupt(value: dict[str, Any]) -> None:
    from langgraph.types import interrupt  # noqa: PLC0415 - only graphs have it

    interrupt(value)


def _answers(results: BatchResults) -> list[Any]:
    return [{"error": str(one)} if isinstance(one, Exception) else one for one in results.answers]
