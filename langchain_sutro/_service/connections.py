"""Connections of this process, shared by every client in it.

httpcore's pool examines all its connections at the begin and end of each request, which grows with
the square of the calls in flight. Here each connection is an httpx transport of its own, kept on a
stack per origin: a call takes the one used last, or opens one, and puts it back. Nothing is counted
or polled, so many calls at once cost what few do.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import time
import weakref
from collections import deque
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Generic, TypeVar, cast
from urllib.request import getproxies, proxy_bypass

import httpx

from langchain_sutro.errors import SutroConfigurationError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Iterator

__all__ = ["AsyncStackTransport", "StackTransport", "async_transport", "sync_transport"]

# Below the idle timeout of the usual load balancers (60 s), so that they do not close first.
_KEEPALIVE_SECONDS = 50.0
_ONE = httpx.Limits(
    max_connections=1, max_keepalive_connections=1, keepalive_expiry=_KEEPALIVE_SECONDS
)

_T = TypeVar("_T")
_Origin = tuple[bytes, bytes, int | None]


class _Stacks(Generic[_T]):
    """Idle transports by origin. Safe to use from several threads: a deque's ends are atomic."""

    __slots__ = ("by_origin",)

    def __init__(self) -> None:
        self.by_origin: dict[_Origin, deque[tuple[float, _T]]] = {}

    def take(self, origin: _Origin) -> _T | None:
        try:
            return self.by_origin[origin].pop()[1]
        except (KeyError, IndexError):
            return None

    def give(self, origin: _Origin, transport: _T) -> Iterator[_T]:
        """Put one back; gives those that have been idle for too long, to be closed."""
        now = time.monotonic()
        stack = self.by_origin.setdefault(origin, deque())
        stack.append((now, transport))
        # Another thread may take what is looked at here.
        with suppress(IndexError):
            while stack[0][0] < now - _KEEPALIVE_SECONDS:
                yield stack.popleft()[1]

    def drain(self) -> Iterator[_T]:
        for stack in list(self.by_origin.values()):
            while stack:
                yield stack.pop()[1]


def _origin(url: httpx.URL) -> _Origin:
    return url.raw_scheme, url.raw_host, url.port


@cache
def _tls() -> ssl.SSLContext:
    # Loading the certificate bundle takes 20-70 ms: once per process.
    return httpx.create_ssl_context()


@cache
def _no_tls() -> ssl.SSLContext:
    # For http:// origins; trusts nobody, should it ever be asked.
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def _options(url: httpx.URL) -> tuple[ssl.SSLContext, httpx.Proxy | None]:
    """TLS context and proxy of an origin, from the usual environment variables.

    Raises:
        SutroConfigurationError: The proxy is none; it may hold a password, so it is not shown.
    """
    proxies = getproxies()
    named = proxies.get(url.scheme) or proxies.get("all")
    if not named or proxy_bypass(url.host):
        return (_tls() if url.scheme == "https" else _no_tls()), None
    try:
        # Without a scheme it is spoken to in HTTP, as by httpx and curl.
        proxy = httpx.Proxy(named if "://" in named else f"http://{named}")
    except (ValueError, httpx.InvalidURL):
        raise SutroConfigurationError(
            f"{url.scheme}_proxy or all_proxy names no proxy that can be used."
        ) from None
    return _tls(), proxy


class StackTransport(httpx.BaseTransport):
    """Single-connection transports, taken last in, first out. Usable from any thread."""

    def __init__(self) -> None:
        self._idle = _Stacks[httpx.HTTPTransport]()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request; its connection returns to the stack when the response is closed."""
        origin = _origin(request.url)
        transport = self._idle.take(origin)
        if transport is None:
            context, proxy = _options(request.url)
            transport = httpx.HTTPTransport(verify=context, limits=_ONE, proxy=proxy)
        try:
            response = transport.handle_request(request)
        except BaseException:
            transport.close()
            raise
        response.stream = _Lease(response.stream, transport, origin, self._idle)
        return response

    def close(self) -> None:
        """Close the idle connections; those in use close with their response."""
        for transport in self._idle.drain():
            transport.close()


class _Lease(httpx.SyncByteStream):
    """A response body that gives its connection back, once."""

    def __init__(
        self,
        stream: httpx.SyncByteStream | httpx.AsyncByteStream,
        transport: httpx.HTTPTransport,
        origin: _Origin,
        idle: _Stacks[httpx.HTTPTransport],
    ) -> None:
        self._stream = cast("httpx.SyncByteStream", stream)
        self._transport: httpx.HTTPTransport | None = transport
        self._origin = origin
        self._idle = idle

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._stream)

    def close(self) -> None:
        transport, self._transport = self._transport, None
        if transport is not None:
            try:
                self._stream.close()
            except BaseException:
                transport.close()
                raise
            for old in self._idle.give(self._origin, transport):
                old.close()


class AsyncStackTransport(httpx.AsyncBaseTransport):
    """The same for the tasks of one event loop."""

    def __init__(self) -> None:
        self._idle = _Stacks[httpx.AsyncHTTPTransport]()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request; its connection returns to the stack when the response is closed."""
        origin = _origin(request.url)
        transport = self._idle.take(origin)
        if transport is None:
            if origin not in self._idle.by_origin:
                # The first call of all reads the certificate bundle.
                await asyncio.to_thread(_options, request.url)
            context, proxy = _options(request.url)
            transport = httpx.AsyncHTTPTransport(verify=context, limits=_ONE, proxy=proxy)
        try:
            response = await transport.handle_async_request(request)
        except BaseException:
            # Not put back: where it was cancelled, httpcore may take its connection for one in use.
            await transport.aclose()
            raise
        response.stream = _AsyncLease(response.stream, transport, origin, self._idle)
        return response

    async def aclose(self) -> None:
        """Close the idle connections; those in use close with their response."""
        for transport in self._idle.drain():
            await transport.aclose()


class _AsyncLease(httpx.AsyncByteStream):
    """A response body that gives its connection back, once."""

    def __init__(
        self,
        stream: httpx.SyncByteStream | httpx.AsyncByteStream,
        transport: httpx.AsyncHTTPTransport,
        origin: _Origin,
        idle: _Stacks[httpx.AsyncHTTPTransport],
    ) -> None:
        self._stream = cast("httpx.AsyncByteStream", stream)
        self._transport: httpx.AsyncHTTPTransport | None = transport
        self._origin = origin
        self._idle = idle

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._stream.__aiter__()

    async def aclose(self) -> None:
        transport, self._transport = self._transport, None
        if transport is not None:
            try:
                await self._stream.aclose()
            except BaseException:
                await transport.aclose()
                raise
            for old in self._idle.give(self._origin, transport):
                await old.aclose()


_shared = StackTransport()
_by_loop: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _LoopTransport] = (
    weakref.WeakKeyDictionary()
)


class _LoopTransport:
    """A loop's transport, closed when that loop shuts its asynchronous generators down."""

    def __init__(self) -> None:
        self.transport = AsyncStackTransport()
        self.end = self._close_with_loop()

    async def _close_with_loop(self) -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            _by_loop.pop(asyncio.get_running_loop(), None)
            await self.transport.aclose()


def sync_transport() -> StackTransport:
    """The transport that every synchronous call of this process shares."""
    return _shared


async def async_transport() -> AsyncStackTransport:
    """The transport of the running event loop: a connection belongs to the loop that opened it."""
    loop = asyncio.get_running_loop()
    entry = _by_loop.get(loop)
    if entry is None:
        for other in _by_loop.keyrefs():
            ended = other()
            if ended is not None and ended.is_closed():
                _by_loop.pop(ended, None)
        entry = _by_loop[loop] = _LoopTransport()
        # Its first step registers the generator with the loop.
        await anext(entry.end)
    return entry.transport


def _after_fork() -> None:
    # A child must not write into its parent's connections, nor close them.
    global _shared  # noqa: PLW0603
    _inherited.append(_shared)
    _shared = StackTransport()
    _by_loop.clear()


_inherited: list[StackTransport] = []
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
