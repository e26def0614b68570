"""pytest fixtures for tests of code that calls Functions, offline and without an account.

Put `pytest_plugins = ["langchain_sutro.testing"]` into the top `conftest.py`. Needs pytest and the
extra `local`.

```python
def test_unsure_leads_go_to_a_human(sutro_deployment, sutro_function):
    judge = sutro_function("lead-qualifier", lambda row: Answer("qualified", confidence=0.3))
    assert route(judge, {"query": "hello"}) == "human"
    assert len(sutro_deployment.requests) == 1
```
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from langchain_sutro._core.jobs import default_client
from langchain_sutro.functions import SutroFunction
from langchain_sutro.local import LocalDeployment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["sutro_deployment", "sutro_function"]

_ANY_FIELDS = {"type": "object", "properties": {}, "additionalProperties": True}


@pytest.fixture
def sutro_deployment(monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalDeployment]:
    """A local deployment with the samples, set in the environment for the length of a test.

    `requests` lists what arrived, `jobs` the jobs, and `faults` makes calls fail on demand.
    """
    with LocalDeployment() as deployment:
        for name, value in deployment.environ.items():
            monkeypatch.setenv(name, value)
        default_client.cache_clear()
        yield deployment
        default_client.cache_clear()


@pytest.fixture
def sutro_function(sutro_deployment: LocalDeployment) -> Callable[..., SutroFunction]:
    """Publish a stand-in for a Function and get the Runnable that calls it.

    The factory takes the name, the callable on a row (or a Runnable), optionally `input_schema` and
    `output_schema`, and any field of `SutroFunction`.
    """

    def publish(
        name: str,
        answer: Callable[..., Any],
        *,
        input_schema: Any = None,
        output_schema: Any = None,
        **fields: Any,
    ) -> SutroFunction:
        sutro_deployment.publish(
            name,
            answer,
            input_schema=_ANY_FIELDS if input_schema is None else input_schema,
            output_schema={"type": "string"} if output_schema is None else output_schema,
        )
        return SutroFunction(name, **fields)

    return publish
