"""One call, made synchronously and asynchronously, and the requests that it led to."""

import pytest

LEAD = {"query": "We need 200 seats by Friday, budget approved", "region": "APAC"}


def posts(deployment, ending):
    return [r for r in deployment.requests if r.method == "POST" and r.path.endswith(ending)]


async def call(mode, runnable, method, *args, **kwargs):
    """Call a method or its async twin."""
    if mode == "async":
        return await getattr(runnable, f"a{method}")(*args, **kwargs)
    return getattr(runnable, method)(*args, **kwargs)


modes = pytest.mark.parametrize("mode", ["sync", "async"])
