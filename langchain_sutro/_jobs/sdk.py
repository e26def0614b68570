"""The official SDK's verbs at module level, on a default client made at first use.

Where the SDK prints and returns None, these raise.
"""

from __future__ import annotations

import inspect
from functools import cache, wraps
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

from langchain_sutro._exports import exported_from
from langchain_sutro._jobs.client import SutroClient

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "await_job_completion",
    "batch_run_function",
    "cancel_job",
    "default_client",
    "get_job_results",
    "get_job_status",
    "get_quotas",
    "list_jobs",
    "run_function",
]

P = ParamSpec("P")
T = TypeVar("T")


@cache
def default_client() -> SutroClient:
    """The client behind the verbs; its settings come from the environment or the login file."""
    return SutroClient()


def _on_default_client(method: Callable[Concatenate[SutroClient, P], T]) -> Callable[P, T]:
    """The function that calls a method of the default client, with that method's signature."""

    @wraps(method)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        return method(default_client(), *args, **kwargs)

    _, *parameters = inspect.signature(method).parameters.values()
    call.__signature__ = inspect.signature(method).replace(  # type: ignore[attr-defined]
        parameters=parameters
    )
    call.__qualname__ = method.__name__
    return exported_from("langchain_sutro")(call)


run_function = _on_default_client(SutroClient.run_function)
"""Run a Function once, now: `SutroClient.run_function` of the default client."""

batch_run_function = _on_default_client(SutroClient.batch_run_function)
"""Run a Function over a table as one Batch job, as `SutroClient.batch_run_function` does."""

await_job_completion = _on_default_client(SutroClient.await_job_completion)
"""Wait until a job has succeeded, as `SutroClient.await_job_completion` does."""

get_job_results = _on_default_client(SutroClient.get_job_results)
"""The results of a job as a data frame, as `SutroClient.get_job_results` returns them."""

get_job_status = _on_default_client(SutroClient.get_job_status)
"""The stored status of a job, as `SutroClient.get_job_status` returns it."""

cancel_job = _on_default_client(SutroClient.cancel_job)
"""Ask for a job's cancellation, as `SutroClient.cancel_job` does."""

list_jobs = _on_default_client(SutroClient.list_jobs)
"""All jobs, newest first, as `SutroClient.list_jobs` returns them."""

get_quotas = _on_default_client(SutroClient.get_quotas)
"""Rows and tokens of each job priority, as `SutroClient.get_quotas` returns them."""
