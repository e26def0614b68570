"""Steps are carried out in the same way by a thread and by an event loop."""

import asyncio
import threading

import pytest

from langchain_sutro._core.service import Step, arun_steps, blocking, run_steps
from tests.support.calls import modes


async def carried_out(mode, steps):
    return run_steps(steps) if mode == "sync" else await arun_steps(steps)


async def tomorrow(value):
    await asyncio.sleep(0)
    return value


@modes
async def test_each_step_is_done_in_its_form_and_its_result_is_given_back(mode):
    def work():
        first = yield Step(lambda: "sync", lambda: tomorrow("async"))
        second = yield blocking(threading.get_ident)
        return first, second == threading.get_ident()

    assert await carried_out(mode, work()) == (mode, mode == "sync")


@modes
async def test_what_a_step_raises_is_raised_where_it_was_yielded(mode):
    def fail():
        raise KeyError("broken")

    def work():
        try:
            yield blocking(fail)
        except KeyError:
            return "handled"

    def careless():
        yield blocking(fail)

    assert await carried_out(mode, work()) == "handled"
    with pytest.raises(KeyError, match="broken"):
        await carried_out(mode, careless())


async def test_a_cancelled_step_runs_what_the_steps_clean_up():
    cleaned = []

    def work():
        try:
            yield Step(lambda: None, asyncio.Event().wait)
        finally:
            cleaned.append(True)

    task = asyncio.ensure_future(arun_steps(work()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert cleaned == [True]
