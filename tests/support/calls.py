"""One call, made synchronously and asynchronously, and the requests that it led to."""

import asyncio
import time

import pytest

LEAD = {"query": "We need 200 seats by Friday, budget approved", "region": "APAC"}


def posts(deployment, ending):
    return [r for r in deployment.requests if r.method == "POST" and r.path.endswith(ending)]


async def call(mode, runnable, method, *args, **kwargs):
    """Call a method or its async twin."""
    if mode == "async":
        return await getattr(runnable, f"a{method}")(*args, **kwargs)
    return getattr(runnable, method)(*args, **kwargs)


def waited_for(deployment):
    """How many jobs their clients wait for: a client that asks for a job's state knows its id."""
    paths = "".join(request.path for request in list(deployment.requests))
    return sum(job["job_id"] in paths for job in deployment.jobs)


def until(condition, seconds=60):
    """Wait until a condition holds; the test fails if it never does."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.01)


async def auntil(condition, seconds=60):
    """`until`, on an event loop."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came to that"
        await asyncio.sleep(0.01)


modes = pytest.mark.parametrize("mode", ["sync", "async"])
