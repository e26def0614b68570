"""Between the socket and the application: records what arrives, and lets faults strike.

An ASGI application cannot break its connection, so the HTTP protocol hands its transport down in
the request's state.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import orjson
from uvicorn.protocols.http.h11_impl import H11Protocol

from langchain_sutro._core.exports import exported_from

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from langchain_sutro.local.faults import Faults, HttpFault

__all__ = ["Connection", "Received", "Wire", "protocol"]

_LARGEST_KEPT = 64 * 1024
_MOST_KEPT = 10_000
_SECRET_HEADERS = ("authorization", "proxy-authorization", "cookie")
_HIDDEN = "[hidden]"


@exported_from("langchain_sutro.local")
@dataclass(slots=True)
class Received:
    """A request that arrived.

    Attributes:
        method: In capitals.
        path: Decoded, without the query.
        query: Parameters by name; signatures are hidden.
        headers: By name in lower case; secrets are hidden, but for the scheme (`Key [hidden]`).
        size: Length of the body in bytes, as far as it was read.
        status: Of the answer, or None if none was sent (yet).
        time: When it arrived, in UTC.
    """

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    size: int = 0
    status: int | None = None
    time: datetime = field(default_factory=lambda: datetime.now(UTC))
    _content: bytearray = field(init=False, default_factory=bytearray, repr=False)

    @property
    def body(self) -> Any:
        """The body as JSON; None if it is empty, larger than 64 KiB or not JSON."""
        if not self.size or self.size > _LARGEST_KEPT:
            return None
        try:
            return orjson.loads(self._content)
        except ValueError:
            return None

    def take(self, piece: bytes) -> None:
        """Note a piece of the body."""
        self.size += len(piece)
        if self.size <= _LARGEST_KEPT:
            self._content += piece
        else:
            self._content.clear()


class Connection:
    """The TCP connection of a request."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport

    def reset(self) -> None:
        """Break it off, so that the client sees a reset and not an orderly end."""
        connection: socket.socket | None = self._transport.get_extra_info("socket")
        if connection is not None:
            # Closing without lingering is what sends RST.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()

    def close(self) -> None:
        """Close it when everything that was written is sent."""
        self._transport.close()


def protocol(on_connection: Callable[[], None]) -> type[H11Protocol]:
    """The HTTP protocol for uvicorn: reports each connection, and passes it to its requests."""

    class _ObservedProtocol(H11Protocol):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            # Copied into the state of each request.
            self.app_state = {**self.app_state, "connection": Connection(transport)}
            on_connection()

    return _ObservedProtocol


class Wire:
    """ASGI middleware around the application.

    Args:
        app: The application.
        faults: Where faults wait.
        requests: Where requests are recorded; the oldest are dropped beyond 10,000.
    """

    def __init__(self, app: ASGIApp, faults: Faults, requests: list[Received]) -> None:
        self._app = app
        self._faults = faults
        self._requests = requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        received = _received(scope)
        if len(self._requests) >= _MOST_KEPT:
            del self._requests[: _MOST_KEPT // 10]
        self._requests.append(received)

        async def noting_receive() -> Message:
            message = await receive()
            received.take(message.get("body", b""))
            return message

        async def noting_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                received.status = message["status"]
            await send(message)

        fault = self._faults.take_http(scope["method"], scope["path"])
        if fault is None:
            await self._app(scope, noting_receive, noting_send)
        else:
            await _FaultyExchange(fault, self._app, scope, noting_receive, noting_send).happen()


class _FaultyExchange:
    """One request that a fault strikes."""

    def __init__(
        self, fault: HttpFault, app: ASGIApp, scope: Scope, receive: Receive, send: Send
    ) -> None:
        self._fault = fault
        self._app = app
        self._scope = scope
        self._receive = receive
        self._send = send
        self._connection: Connection = scope["state"]["connection"]
        self._silent = False
        self._left: int | None = None
        self._start: Message = {}
        self._whole = bytearray()

    async def happen(self) -> None:
        if self._fault.reset == "before":
            await self._reset()
        elif self._fault.reset == "during":
            await self._receive()
            await self._reset()
        elif self._fault.status is None or self._fault.handled:
            await self._app(self._scope, self._receive, self._answer)
        else:
            while (await self._receive()).get("more_body"):
                pass
            await asyncio.sleep(self._fault.delay)
            await self._replace()

    async def _answer(self, message: Message) -> None:
        """What the application answers, on its way to the client."""
        if self._silent:
            return
        if message["type"] == "http.response.start":
            await asyncio.sleep(self._fault.delay)
            if self._fault.reset == "after":
                await self._reset()
            elif self._fault.status is not None:
                await self._replace()
            elif self._fault.truncate == "body":
                self._start = message
            else:
                await self._send(message)
        else:
            await self._body(message)

    async def _body(self, message: Message) -> None:
        if self._fault.truncate is None:
            await self._send(message)
        elif self._fault.truncate == "body":
            self._whole += message.get("body", b"")
            if not message.get("more_body"):
                await self._send_part()
        else:
            await self._break_off(message)

    async def _send_part(self) -> None:
        """Send the first part of the body as if it were all."""
        at = self._fault.truncate_at
        part = bytes(self._whole[: len(self._whole) // 2 if at is None else at])
        headers = [pair for pair in self._start["headers"] if pair[0].lower() != b"content-length"]
        headers.append((b"content-length", str(len(part)).encode()))
        await self._send({**self._start, "headers": headers})
        await self._send({"type": "http.response.body", "body": part})

    async def _break_off(self, message: Message) -> None:
        """Pass the body on up to where the connection is to be closed."""
        piece: bytes = message.get("body", b"")
        if self._left is None:
            at = self._fault.truncate_at
            self._left = len(piece) // 2 if at is None else at
        if len(piece) <= self._left:
            self._left -= len(piece)
            await self._send(message)
            return
        part = piece[: self._left]
        await self._send({"type": "http.response.body", "body": part, "more_body": True})
        self._connection.close()
        await self._gone()

    async def _replace(self) -> None:
        self._silent = True
        content = self._fault.content()
        headers = {**self._fault.answer_headers(), "content-length": str(len(content))}
        raw = [(name.encode(), value.encode()) for name, value in headers.items()]
        await self._send(
            {"type": "http.response.start", "status": self._fault.status, "headers": raw}
        )
        await self._send({"type": "http.response.body", "body": content})

    async def _reset(self) -> None:
        self._connection.reset()
        await self._gone()

    async def _gone(self) -> None:
        """Wait until the server has noticed, which else would take this for our own failure."""
        self._silent = True
        while (await self._receive())["type"] != "http.disconnect":
            pass


def _received(scope: Scope) -> Received:
    headers = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        if name in _SECRET_HEADERS:
            scheme, _, rest = value.partition(" ")
            value = f"{scheme} {_HIDDEN}" if rest and name == "authorization" else _HIDDEN
        headers[name] = value
    query = dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True))
    if "signature" in query:
        query["signature"] = _HIDDEN
    return Received(scope["method"], scope["path"], query, headers)
