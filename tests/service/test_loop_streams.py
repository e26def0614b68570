"""The connections of an event loop: what they cost, and what they do when the network is bad."""

import asyncio
import os
import socket
import struct
from contextlib import suppress

import httpcore
import pytest

from langchain_sutro._core.service.driver import Request, Session
from langchain_sutro._core.service.loop_streams import LoopBackend
from langchain_sutro.errors import SutroConnectionError
from tests.support.tasks import tasks_made
from tests.support.wire import wire

LOOPBACK = "127.0.0.1"
PATIENCE = 30.0
LARGE = 2**25


@pytest.fixture
def listening():
    with socket.create_server((LOOPBACK, 0)) as server:
        server.settimeout(PATIENCE)
        yield server


@pytest.fixture
async def ends(listening):
    """Both ends of a connection: the stream of this package, and the socket of its peer."""
    stream = await LoopBackend().connect_tcp(LOOPBACK, listening.getsockname()[1], PATIENCE)
    peer, _ = await asyncio.to_thread(listening.accept)
    peer.settimeout(PATIENCE)
    with peer:
        yield stream, peer
    await stream.aclose()


@pytest.fixture
def opened(listening):
    """Connections that arrived; at the end of the test, the other side has closed them all."""
    arrived = []
    yield arrived
    listening.settimeout(0.2)
    with suppress(TimeoutError):
        while True:
            arrived.append(listening.accept()[0])
    for each in arrived:
        each.settimeout(PATIENCE)
        with each, suppress(ConnectionResetError):
            assert each.recv(1) == b""


@pytest.fixture
def resolved(monkeypatch):
    """Has every name mean these addresses."""

    def to(*places):
        found = [
            (socket.AF_INET6 if ":" in place[0] else socket.AF_INET, 1, 6, "", place)
            for place in places
        ]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)

    return to


@pytest.fixture
async def connects(monkeypatch):
    """Has the running loop connect in another way, which is given its own way too."""

    def so(connect):
        loop = asyncio.get_running_loop()
        own = loop.sock_connect
        monkeypatch.setattr(
            loop, "sock_connect", lambda each, place: connect(each, place, own), raising=False
        )

    return so


# What a call costs


async def test_a_call_over_a_kept_connection_makes_no_task_and_no_connection():
    with wire() as server:
        session = Session(server.settings)
        request = Request("POST", server.url + "/v1/x", b"{}")
        await session.asend(request)
        with tasks_made() as made:
            for _ in range(20):
                await session.asend(request)
        assert not made
        assert server.opened == 1


async def test_a_head_leaves_together_with_its_body(ends):
    stream, peer = ends
    sent = []
    write = stream._socket.transport.write
    stream._socket.transport.write = lambda data: (sent.append(data), write(data))
    await stream.write(b"head ")
    await stream.write(b"body")
    peer.sendall(b"answer")
    assert await stream.read(100) == b"answer"
    assert sent == [b"head body"]
    assert await asyncio.to_thread(peer.recv, 100) == b"head body"


# Large and slow


async def test_what_nobody_reads_is_not_taken_from_the_other_side(ends):
    stream, peer = ends
    sending = asyncio.create_task(asyncio.to_thread(peer.sendall, bytes(LARGE)))
    whole = 0
    while whole < LARGE:
        whole += len(await stream.read(1000 if whole < 10**6 else 2**16, PATIENCE))
        # A mark, and what one look at the socket may bring beyond it.
        assert len(stream._socket._received) <= 2**17 + 2**18
    await sending
    assert whole == LARGE


async def test_a_large_body_arrives_as_it_was_written(ends):
    stream, peer = ends
    body = os.urandom(2**22)

    def receive():
        arrived = bytearray()
        while len(arrived) < len(body):
            arrived += peer.recv(2**16)
        peer.sendall(b"thanks")
        return arrived

    receiving = asyncio.create_task(asyncio.to_thread(receive))
    for start in range(0, len(body), 50_000):
        await stream.write(body[start : start + 50_000], PATIENCE)
    assert await stream.read(100, PATIENCE) == b"thanks"
    assert await receiving == body


async def test_a_peer_that_takes_nothing_is_given_up(ends):
    stream, _ = ends
    with pytest.raises(httpcore.WriteTimeout):
        await stream.write(bytes(LARGE * 2), 0.01)


async def test_a_peer_that_says_nothing_is_given_up(ends):
    stream, _ = ends
    with pytest.raises(httpcore.ReadTimeout):
        await stream.read(100, 0.01)


# Ends


async def test_the_end_is_read_after_all_that_was_sent(ends):
    stream, peer = ends
    peer.sendall(b"last")
    peer.shutdown(socket.SHUT_WR)
    assert await stream.read(10, PATIENCE) == b"last"
    assert await stream.read(10, PATIENCE) == b""


async def test_a_connection_that_is_reset_is_an_error(ends):
    stream, peer = ends
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()
    with pytest.raises(httpcore.ReadError):
        await stream.read(100, PATIENCE)


@pytest.mark.parametrize("looked", [False, True])
@pytest.mark.parametrize("what", [b"", b"HTTP/1.1 408 Request Timeout"])
async def test_an_idle_connection_with_news_is_readable(ends, looked, what):
    """Whether the event loop has looked at the socket yet or not."""
    stream, peer = ends
    assert stream.get_extra_info("is_readable") is False
    if what:
        peer.sendall(what)
    else:
        peer.shutdown(socket.SHUT_WR)
    if looked:
        async with asyncio.timeout(PATIENCE):
            while not stream._socket.is_readable():  # noqa: ASYNC110 - it does not say so
                await asyncio.sleep(0)
    else:
        # Blocks the loop, so that it cannot look.
        waited = socket.socket(fileno=os.dup(stream.get_extra_info("socket").fileno()))
        with waited:
            waited.settimeout(PATIENCE)
            waited.recv(1, socket.MSG_PEEK)
    assert stream.get_extra_info("is_readable") is True


# Addresses


async def test_an_address_that_refuses_is_followed_by_the_next(resolved, listening):
    with socket.create_server((LOOPBACK, 0)) as closed:
        refuses = closed.getsockname()
    resolved(refuses, listening.getsockname())
    stream = await LoopBackend().connect_tcp("name.example", 443, PATIENCE)
    assert stream.get_extra_info("server_addr") == listening.getsockname()
    await stream.aclose()


async def test_an_address_that_keeps_silent_is_followed_by_the_next(resolved, listening, connects):
    silent = (LOOPBACK, 9)
    resolved(silent, listening.getsockname())

    async def selective(each, place, connect):
        await (asyncio.Event().wait() if place == silent else connect(each, place))

    connects(selective)
    stream = await LoopBackend().connect_tcp("name.example", 443, PATIENCE)
    assert stream.get_extra_info("server_addr") == listening.getsockname()
    await stream.aclose()


async def test_families_of_addresses_are_tried_by_turns(resolved, connects):
    resolved(("::1", 1), ("::2", 1), ("192.0.2.1", 1), ("192.0.2.2", 1))
    tried = []

    async def refused(each, place, connect):
        tried.append(place[0])
        raise OSError(f"refused {place[0]}")

    connects(refused)
    with pytest.raises(httpcore.ConnectError, match=r"refused ::1.*refused 192"):
        await LoopBackend().connect_tcp("name.example", 443, PATIENCE)
    assert tried == ["::1", "192.0.2.1", "::2", "192.0.2.2"]


async def test_a_service_that_cannot_be_reached_was_sent_nothing():
    with socket.create_server((LOOPBACK, 0)) as closed:
        port = closed.getsockname()[1]
    with wire() as server:
        session = Session(server.settings)
    request = Request("GET", f"http://{LOOPBACK}:{port}/", authorize=False)
    with pytest.raises(SutroConnectionError) as raised:
        await session.asend(request)
    assert raised.value.sent is False


async def test_a_silent_address_takes_no_more_than_the_timeout(connects):
    async def never(*_):
        await asyncio.Event().wait()

    connects(never)
    with pytest.raises(httpcore.ConnectTimeout):
        await LoopBackend().connect_tcp(LOOPBACK, 9, 0.01)


@pytest.mark.usefixtures("opened")
async def test_a_call_that_is_cancelled_while_it_connects_leaves_no_socket(resolved, listening):
    resolved(listening.getsockname(), listening.getsockname())
    for moment in range(20):
        connecting = asyncio.create_task(LoopBackend().connect_tcp("name.example", 443, PATIENCE))
        for _ in range(moment):
            await asyncio.sleep(0)
        connecting.cancel()
        with suppress(asyncio.CancelledError):
            await (await connecting).aclose()
