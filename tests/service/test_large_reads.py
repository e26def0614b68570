"""A large answer is read in large pieces."""

import socket
from contextlib import closing

import pytest

from langchain_sutro._core.service.deadlines import DeadlineBackend
from langchain_sutro._core.service.loop_streams import LoopBackend

LOOPBACK = "127.0.0.1"


@pytest.fixture
def listening():
    with socket.create_server((LOOPBACK, 0)) as server:
        yield server


def test_a_thread_takes_more_than_was_asked_for_after_a_full_read(listening):
    port = listening.getsockname()[1]
    stream = DeadlineBackend().connect_tcp(LOOPBACK, port, 30)
    with closing(stream), listening.accept()[0] as peer:
        peer.sendall(b"x" * 1000)
        assert [len(stream.read(10, 30)) for _ in range(2)] == [10, 990]
        peer.sendall(b"x" * 5)
        assert len(stream.read(10, 30)) == 5
        peer.sendall(b"x" * 1000)
        assert len(stream.read(10, 30)) == 10


async def test_an_event_loop_takes_all_that_has_arrived(listening):
    stream = await LoopBackend().connect_tcp(LOOPBACK, listening.getsockname()[1], 30)
    with listening.accept()[0] as peer:
        peer.sendall(b"x" * 1000)
        assert len(await stream.read(10, 30)) == 1000
    await stream.aclose()
