"""Connections: no more than calls at once, used again, each by its own process and loop."""

import asyncio
import gc
import os
import subprocess
import sys
import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from types import SimpleNamespace

import httpx
import orjson
import pytest

from langchain_sutro._core.service import connections as _pool
from langchain_sutro._core.service.connections import AsyncStackTransport, StackTransport
from langchain_sutro._core.service.driver import Request, Session, Timeout
from langchain_sutro.errors import (
    SutroConfigurationError,
    SutroConnectionError,
    SutroTimeoutError,
)
from tests.support.wire import wire

ROOT = Path(__file__).parents[2]


@pytest.fixture
def server():
    with wire() as running:
        yield running


@pytest.fixture(autouse=True)
def _own_pool(monkeypatch):
    """Each test begins without connections, and closes its own."""
    pool = StackTransport()
    monkeypatch.setattr(_pool, "_shared", pool)
    yield
    pool.close()


@pytest.fixture
def session(server):
    return Session(server.settings)


def get(server, path="/v1/x", **options):
    return Request("GET", server.url + path, **options)


def number(response):
    return orjson.loads(response.content)["connection"]


# Few connections


def test_a_hundred_calls_one_after_another_are_one_connection(server, session):
    assert {number(session.send(get(server))) for _ in range(100)} == {0}
    assert (server.opened, len(server.requests)) == (1, 100)


async def test_a_hundred_asynchronous_calls_one_after_another_are_one_connection(server, session):
    assert {number(await session.asend(get(server))) for _ in range(100)} == {0}
    assert (server.opened, len(server.requests)) == (1, 100)


def test_sessions_and_settings_share_the_connections_of_an_origin(server):
    for _ in range(10):
        Session(server.settings).send(get(server))
    assert server.opened == 1


def test_calls_at_once_are_as_many_connections_which_are_used_again(server, session):
    server.together = 12
    with ThreadPoolExecutor(12) as threads:
        for _ in range(3):
            calls = [threads.submit(session.send, get(server, "/v1/held")) for _ in range(12)]
            assert {number(call.result()) for call in calls} == set(range(12))
    assert server.opened == 12


async def test_asynchronous_calls_at_once_are_as_many_connections_which_are_used_again(
    server, session
):
    server.together = 12
    for _ in range(3):
        calls = [session.asend(get(server, "/v1/held")) for _ in range(12)]
        assert {number(answer) for answer in await asyncio.gather(*calls)} == set(range(12))
    assert server.opened == 12


def test_the_connection_that_was_used_last_is_taken_first(server):
    transport = StackTransport()
    open_ = [transport.handle_request(httpx.Request("GET", server.url)) for _ in range(3)]
    for used in (1, 2, 0):
        open_[used].read()
        open_[used].close()
    for expected in (0, 0, 0):
        answer = transport.handle_request(httpx.Request("GET", server.url))
        assert orjson.loads(answer.read())["connection"] == expected
        answer.close()
    assert server.opened == 3
    transport.close()
    server.wait_until(lambda server: not server.open)


async def test_the_asynchronous_connection_that_was_used_last_is_taken_first(server):
    transport = AsyncStackTransport()
    open_ = [
        await transport.handle_async_request(httpx.Request("GET", server.url)) for _ in range(3)
    ]
    for used in (1, 2, 0):
        await open_[used].aread()
        await open_[used].aclose()
    for expected in (0, 0, 0):
        answer = await transport.handle_async_request(httpx.Request("GET", server.url))
        assert orjson.loads(await answer.aread())["connection"] == expected
        await answer.aclose()
    assert server.opened == 3
    await transport.aclose()
    await asyncio.to_thread(server.wait_until, lambda server: not server.open)


def test_a_response_closed_twice_gives_its_connection_back_once(server):
    transport = StackTransport()
    answer = transport.handle_request(httpx.Request("GET", server.url))
    answer.read()
    answer.stream.close()
    answer.stream.close()
    one, two = (transport.handle_request(httpx.Request("GET", server.url)) for _ in range(2))
    assert orjson.loads(one.read()) != orjson.loads(two.read())
    transport.close()


def test_origins_do_not_share_connections(server):
    with wire() as other:
        for place in (server, other, server, other):
            Session(place.settings).send(get(place))
        assert (server.opened, other.opened) == (1, 1)
        _pool.sync_transport().close()


def test_many_threads_get_their_own_answers(server, session):
    def call(thread):
        for turn in range(30):
            path = f"/v1/{thread}/{turn}"
            answer = session.send(get(server, path))
            assert server.by_path[path] == number(answer)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(call, range(8)))
    assert len(server.requests) == 240
    assert server.opened <= 8


# Connections that end


def test_a_connection_that_the_server_ended_is_replaced_without_an_error(server, session):
    for turn in range(3):
        assert number(session.send(get(server, "/v1/last"))) == turn
        server.wait_until(lambda server: not server.open)


async def test_an_asynchronous_connection_that_the_server_ended_is_replaced_without_an_error(
    server, session
):
    for turn in range(3):
        assert number(await session.asend(get(server, "/v1/last"))) == turn
        await asyncio.to_thread(server.wait_until, lambda server: not server.open)


@pytest.mark.parametrize("path", ["/v1/cut", "/v1/drop"])
def test_a_broken_connection_is_not_used_again(server, session, path):
    with pytest.raises(SutroConnectionError) as failed:
        session.send(get(server, path))
    assert failed.value.sent
    assert number(session.send(get(server))) == 1


@pytest.mark.parametrize("path", ["/v1/cut", "/v1/drop"])
async def test_a_broken_asynchronous_connection_is_not_used_again(server, session, path):
    with pytest.raises(SutroConnectionError) as failed:
        await session.asend(get(server, path))
    assert failed.value.sent
    assert number(await session.asend(get(server))) == 1


def test_a_call_that_timed_out_does_not_answer_the_next(server, session):
    with pytest.raises(SutroTimeoutError):
        session.send(get(server, "/v1/hang", timeout=Timeout(read=0.05)))
    assert number(session.send(get(server))) == 1


async def test_a_call_that_was_cancelled_does_not_answer_the_next(server, session):
    task = asyncio.create_task(session.asend(get(server, "/v1/hang")))
    await asyncio.to_thread(server.wait_until, lambda server: server.requests)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert number(await session.asend(get(server))) == 1
    assert number(await session.asend(get(server))) == 1


async def test_a_call_that_is_cancelled_at_any_moment_spoils_no_connection(server):
    """httpcore keeps a connection that it has only just opened, and takes it for one in use."""
    timeout = {"timeout": {"connect": 5.0, "read": 5.0, "write": 5.0, "pool": 0.2}}
    request = httpx.Request("GET", server.url, extensions=timeout)

    async def call():
        answer = await transport.handle_async_request(request)
        await answer.aread()
        await answer.aclose()

    for moment in range(60):
        transport = AsyncStackTransport()
        task = asyncio.create_task(call())
        for _ in range(moment):
            await asyncio.sleep(0)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await call()
        await transport.aclose()
    await asyncio.to_thread(server.wait_until, lambda server: not server.open)


class Impatient:
    """A sink that has enough after the first piece."""

    blocks = False

    def start(self, status, headers):
        return True

    def write(self, piece):
        return False


async def test_a_body_that_was_left_does_not_answer_the_next(server, session):
    session.send(get(server, sink=Impatient()))
    await session.asend(get(server, sink=Impatient()))
    for turn in range(3):
        assert number(session.send(get(server, f"/v1/{turn}"))) == server.by_path[f"/v1/{turn}"]
        path = f"/v1/a{turn}"
        assert number(await session.asend(get(server, path))) == server.by_path[path]


def test_connections_that_were_idle_for_long_are_closed(server, monkeypatch):
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(_pool, "time", SimpleNamespace(monotonic=lambda: clock.now))
    transport = StackTransport()

    def use(count):
        answers = [transport.handle_request(httpx.Request("GET", server.url)) for _ in range(count)]
        for answer in answers:
            answer.read()
            answer.close()

    use(3)
    clock.now += 60
    use(1)
    server.wait_until(lambda server: len(server.open) == 1)
    assert server.opened == 3
    transport.close()


@pytest.mark.parametrize("gone", [False, True])
def test_idle_connections_of_origins_that_nobody_calls_any_more_are_closed(
    server, monkeypatch, gone
):
    """Those that were idle for long, and those that the other side has ended."""
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(_pool, "time", SimpleNamespace(monotonic=lambda: clock.now))
    session = Session(server.settings)
    with ExitStack() as stack:
        others = [stack.enter_context(wire()) for _ in range(5)]
        for other in others:
            Session(other.settings).send(get(other, "/v1/last" if gone else "/v1/x"))
        clock.now += 6 if gone else 60
        session.send(get(server))
        idle = _pool.sync_transport()._idle.by_origin
        held = [origin for origin, stack in idle.items() if stack]
        assert len(held) == 1, "only the origin that was just called"


async def test_a_call_that_fails_loses_no_connection_that_was_idle_for_long(
    server, session, monkeypatch
):
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(_pool, "time", SimpleNamespace(monotonic=lambda: clock.now))
    server.together = 3
    await asyncio.gather(*(session.asend(get(server, "/v1/held")) for _ in range(3)))
    clock.now += 60
    with pytest.raises(SutroConnectionError):
        await session.asend(get(server, "/v1/drop"))
    await session.asend(get(server))
    await asyncio.to_thread(server.wait_until, lambda server: len(server.open) == 1)


# Whose connections


def test_an_event_loop_closes_its_connections_when_it_ends(server, session):
    async def call():
        return number(await session.asend(get(server)))

    for turn in range(3):
        assert asyncio.run(call()) == turn, "a connection belongs to its loop"
        server.wait_until(lambda server: not server.open)
    gc.collect()
    assert len(_pool._by_loop) == 0


async def test_calls_of_one_loop_that_begin_at_once_share_its_connections(server, session):
    server.together = 4
    await asyncio.gather(*(session.asend(get(server, "/v1/held")) for _ in range(4)))
    assert await _pool.async_transport() is await _pool.async_transport()
    assert number(await session.asend(get(server))) < 4


def test_loops_in_threads_do_not_meet(server, session):
    server.together = 4
    numbers = []

    def own_loop():
        async def call():
            first = await session.asend(get(server, "/v1/held"))
            return {number(first), number(await session.asend(get(server)))}

        numbers.append(asyncio.run(call()))

    threads = [threading.Thread(target=own_loop) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(numbers, key=min) == [{0}, {1}, {2}, {3}]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_process_opens_its_own_connection(server):
    program = f"""
import os, sys
from pydantic import SecretStr
from langchain_sutro._core.service.driver import Request, Session
from langchain_sutro._core.service.settings import Settings
base = {server.url!r} + "/v1"
session = Session(Settings("deployment", base, base, SecretStr("k")))
call = lambda path: session.send(Request("GET", base + path)).status
call("/before")
child = os.fork()
if child == 0:
    os._exit(0 if call("/child") == 200 else 1)
assert os.waitpid(child, 0)[1] == 0
call("/after")
"""
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT)
    numbers = server.by_path
    assert numbers["/v1/before"] == numbers["/v1/after"] != numbers["/v1/child"]
    assert server.opened == 2


# Settings of the machine


def test_the_proxy_of_the_environment_is_used(server, monkeypatch):
    monkeypatch.setenv("http_proxy", server.url)
    transport = StackTransport()
    answer = transport.handle_request(httpx.Request("GET", "http://elsewhere.invalid/x"))
    answer.read()
    answer.close()
    transport.close()
    assert server.requests[0][1] == "http://elsewhere.invalid/x"


@pytest.mark.parametrize("proxy", ["{host}:{port}", "http://{host}:{port}"])
async def test_a_proxy_may_be_named_without_a_scheme(server, monkeypatch, proxy):
    host, port = server.server_address
    monkeypatch.setenv("http_proxy", proxy.format(host=host, port=port))
    request = httpx.Request("GET", "http://elsewhere.invalid/x")
    transport, async_transport = StackTransport(), AsyncStackTransport()
    answer = transport.handle_request(request)
    answer.read()
    answer.close()
    async_answer = await async_transport.handle_async_request(request)
    await async_answer.aread()
    await async_answer.aclose()
    transport.close()
    await async_transport.aclose()
    assert [path for _, path, _, _ in server.requests] == ["http://elsewhere.invalid/x"] * 2


@pytest.mark.parametrize("proxy", ["ftp://me:secret@127.0.0.1:9", "http://me:secret@127.0.0.1:x"])
async def test_a_proxy_that_cannot_be_used_is_a_matter_of_configuration(
    server, session, monkeypatch, proxy
):
    monkeypatch.setenv("http_proxy", proxy)
    monkeypatch.setenv("no_proxy", "")
    with pytest.raises(SutroConfigurationError, match="http_proxy") as failed:
        session.send(get(server))
    assert "secret" not in str(failed.value)
    with pytest.raises(SutroConfigurationError, match="http_proxy"):
        await session.asend(get(server))


def test_what_needs_no_proxy_gets_none(server, session, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert number(session.send(get(server))) == 0


def test_the_certificates_are_read_once():
    one, two = (_pool._options(httpx.URL(f"https://{host}.example"))[0] for host in "ab")
    assert one is two
    assert one.verify_mode.name == "CERT_REQUIRED"


# Races, one step at a time


def test_a_connection_may_be_taken_while_it_is_put_back():
    class Contended(deque):
        def append(self, value):
            super().append(value)
            self.pop()

    stacks = _pool._Stacks()
    origin = (b"http", b"d.example", None)
    stacks.by_origin[origin] = Contended()
    assert list(stacks.give(origin, "transport")) == []


async def test_loops_may_begin_at_once(monkeypatch):
    class Loop:
        def is_closed(self):
            _pool._by_loop[later] = None
            return False

    earlier, later = Loop(), Loop()
    monkeypatch.setitem(_pool._by_loop, earlier, None)
    try:
        await _pool.async_transport()
    finally:
        _pool._by_loop.pop(later, None)
