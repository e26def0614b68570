"""Connections of an event loop, for httpcore, straight on asyncio's transports.

httpcore's own go through anyio, which opens a scope for each read and write, lets the loop turn
once more for each, and stops and starts watching the socket around each read. With a thousand calls
in flight that is a large part of what a call costs.
"""

from __future__ import annotations

import asyncio
import select
import socket
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import httpcore
from aiohappyeyeballs import start_connection

from langchain_sutro._core.service.deadlines import is_address
from langchain_sutro._core.service.threads import in_thread

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterable, Iterator

__all__ = ["LoopBackend"]

# As RFC 8305 recommends.
_NEXT_ADDRESS_SECONDS = 0.25
# A request's head is held back this far, to leave with the body that follows it.
_MOST_HELD = 65536
# Beyond this the other side is slowed down until somebody reads.
_MOST_UNREAD = 2 * 65536
_FACTS = {"client_addr": "sockname", "server_addr": "peername"}


class LoopBackend(httpcore.AsyncNetworkBackend):
    """Opens connections of the event loop that runs."""

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's
        local_address: str | None = None,  # noqa: ARG002 - no pool here has one
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,  # noqa: ARG002 - nor any
    ) -> httpcore.AsyncNetworkStream:
        """Open a connection to the first address of a host that answers."""
        loop = asyncio.get_running_loop()
        look_up = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
        with _connecting():
            async with asyncio.timeout(timeout):
                found = look_up() if is_address(host) else await in_thread(look_up)
                opened = await start_connection(found, happy_eyeballs_delay=_NEXT_ADDRESS_SECONDS)
                _, connected = await loop.create_connection(_Socket, sock=opened)
        return _Stream(connected)


@contextmanager
def _connecting() -> Iterator[None]:
    """Raise what goes wrong as httpcore's errors, which say that nothing was sent."""
    try:
        yield
    except TimeoutError as error:
        raise httpcore.ConnectTimeout(error) from error
    except OSError as error:
        # The errors of encryption are of this kind too.
        raise httpcore.ConnectError(error) from error


class _Socket(asyncio.Protocol):
    """What has arrived, and whether the other side takes what is written.

    One task at a time reads or writes.
    """

    transport: asyncio.Transport

    def __init__(self) -> None:
        self._received = bytearray()
        self._ended = False
        self._error: Exception | None = None
        self._slowed = False
        self._full = False
        self._waiter: asyncio.Future[None] | None = None

    def is_readable(self) -> bool:
        """Whether something has arrived, if only the end."""
        return bool(self._received) or self._ended

    def is_writable(self) -> bool:
        """Whether the other side takes more."""
        return not self._full

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Transports of uvloop are of no class of asyncio's.
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        if len(self._received) > _MOST_UNREAD and not self._slowed:
            self._slowed = True
            self.transport.pause_reading()
        self._wake()

    def eof_received(self) -> None:
        self._ended = True
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended, self._full, self._error = True, False, exc
        self._wake()

    def pause_writing(self) -> None:
        self._full = True

    def resume_writing(self) -> None:
        self._full = False
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def until(
        self,
        so: Callable[[], bool],
        seconds: float | None,
        late: type[httpcore.TimeoutException],
    ) -> None:
        """Wait until this is so.

        Raises:
            httpcore.TimeoutException: `late`, after so many seconds.
        """
        if so():
            return
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(seconds):
                while not so():
                    self._waiter = loop.create_future()
                    await self._waiter
        except TimeoutError as error:
            raise late(error) from error
        finally:
            self._waiter = None

    def take(self) -> bytes:
        """All that has arrived; nothing at the end.

        Raises:
            httpcore.ReadError: The connection broke.
        """
        if not self._received and self._error is not None:
            raise httpcore.ReadError(self._error) from self._error
        piece = bytes(self._received)
        self._received.clear()
        if self._slowed:
            self._slowed = False
            self.transport.resume_reading()
        return piece


class _Stream(httpcore.AsyncNetworkStream):
    def __init__(self, connected: _Socket) -> None:
        self._socket = connected
        self._held = b""

    async def read(
        self,
        max_bytes: int,  # noqa: ARG002 - httpcore's parser takes more
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's
    ) -> bytes:
        self._send()
        connected = self._socket
        await connected.until(connected.is_readable, timeout, httpcore.ReadTimeout)
        return connected.take()

    async def write(
        self,
        buffer: bytes,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's
    ) -> None:
        self._held += buffer
        if len(self._held) < _MOST_HELD:
            return
        self._send()
        connected = self._socket
        await connected.until(connected.is_writable, timeout, httpcore.WriteTimeout)

    def _send(self) -> None:
        held, self._held = self._held, b""
        if held:
            # What a broken connection does not take, the next read reports.
            self._socket.transport.write(held)

    async def aclose(self) -> None:
        self._socket.transport.abort()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's
    ) -> httpcore.AsyncNetworkStream:
        self._send()
        connected = self._socket
        try:
            with _connecting():
                async with asyncio.timeout(timeout):
                    encrypted = await asyncio.get_running_loop().start_tls(
                        connected.transport,
                        connected,
                        ssl_context,
                        server_hostname=server_hostname,
                    )
        except BaseException:
            connected.transport.abort()
            raise
        if encrypted is None:
            raise httpcore.ConnectError("The connection was closed.")
        connected.transport = encrypted
        return _Stream(connected)

    def get_extra_info(self, info: str) -> Any:
        transport = self._socket.transport
        if info == "is_readable":
            return self._socket.is_readable() or _is_readable(transport.get_extra_info("socket"))
        return transport.get_extra_info(_FACTS.get(info, info))


def _is_readable(opened: Any) -> bool:
    """Whether something has arrived that the event loop has not looked at yet."""
    if opened is None or opened.fileno() < 0:
        return True
    if not hasattr(select, "poll"):
        return bool(select.select([opened], [], [], 0)[0])
    poll = select.poll()
    poll.register(opened, select.POLLIN)
    return bool(poll.poll(0))
