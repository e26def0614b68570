"""The two drivers, which carry any operation out alike."""

import asyncio

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from langchain_sutro._core.service.driver import Sleep, arun, run
from tests.support.calls import modes
from tests.support.transport import Recorder, get


async def carry_out(mode, operation, session):
    return run(operation, session) if mode == "sync" else await arun(operation, session)


FAILURES = {"read": httpx.ReadError, "refused": httpx.ConnectError, "late": httpx.ReadTimeout}


def reply(request):
    end = request.url.path.rpartition("/")[2]
    if end in FAILURES:
        raise FAILURES[end]("private words")
    return httpx.Response(int(end), text=f"answer {end}")


STEPS = {
    **{f"ask {end}": lambda e=end: get(f"https://d.example/v1/{e}") for end in (200, 404, 503)},
    **{f"ask {end}": lambda e=end: get(f"https://d.example/v1/{e}") for end in FAILURES},
    "ask elsewhere": lambda: get("https://evil.example/200"),
    "sleep": lambda: Sleep(0.0),
}


def scripted(script, told):
    """An operation that does what the script says, and tells what came of it."""
    try:
        for step, catches in script:
            try:
                answer = yield STEPS[step]()
            except Exception as error:
                told.append((step, type(error), str(error), getattr(error, "sent", None)))
                if not catches:
                    raise
            else:
                content = getattr(answer, "content", answer)
                told.append((step, getattr(answer, "status", None), content))
        return "end"
    finally:
        told.append("closed")


@settings(max_examples=150)
@given(st.lists(st.tuples(st.sampled_from(sorted(STEPS)), st.booleans()), max_size=8))
def test_both_drivers_carry_any_operation_out_alike(script):
    outcomes = []
    for drive in (run, lambda *args: asyncio.run(arun(*args))):
        transport, told = Recorder(reply), []
        try:
            result = drive(scripted(script, told), transport.session())
        except Exception as error:  # noqa: BLE001 - compared below
            result = type(error), str(error)
        outcomes.append((result, told, [(r.method, r.url) for r in transport.seen]))
    assert outcomes[0] == outcomes[1]
    assert outcomes[0][1].count("closed") == 1


def test_an_interrupt_reaches_the_operation_and_the_caller():
    def interrupted(_):
        raise KeyboardInterrupt

    seen = []

    def operation():
        try:
            yield get()
        except KeyboardInterrupt as interrupt:
            seen.append(interrupt)
            raise

    with pytest.raises(KeyboardInterrupt) as caught:
        run(operation(), Recorder(interrupted).session())
    assert seen == [caught.value]


async def test_a_cancelled_operation_is_told_where_it_stands():
    seen = []

    def operation():
        try:
            yield Sleep(3600)
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    task = asyncio.create_task(arun(operation(), Recorder().session()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert seen == ["cancelled"]


@modes
async def test_an_operation_that_asks_nothing_is_its_value(mode):
    def operation():
        return 7
        yield

    assert await carry_out(mode, operation(), Recorder().session()) == 7
