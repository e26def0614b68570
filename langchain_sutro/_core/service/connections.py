"""Connections of this process, shared by every client in it.

httpcore's pool examines all its connections at the begin and end of each request, which grows with
the square of the calls in flight. Here connections are kept on a stack per origin: a call takes the
one used last, or opens one, and puts it back. Only the one that is taken is examined, so many calls
at once cost what few do.
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
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import httpcore
import httpx

from langchain_sutro._core.service.deadlines import DeadlineBackend
from langchain_sutro._core.service.loop_streams import LoopBackend
from langchain_sutro._core.service.surroundings import proxy_for, tls
from langchain_sutro._core.service.threads import in_thread

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable, Iterator

__all__ = ["AsyncStackTransport", "StackTransport", "async_transport", "sync_transport"]

# Below the idle timeout of the usual load balancers (60 s), so that they do not close first.
_KEEPALIVE_SECONDS = 50.0
_SWEEP_SECONDS = 5.0
# Decoded, it may be a thousand times as large before anybody can refuse it.
_LARGEST_ENCODED = 2**14
_backend = DeadlineBackend()
_loop_backend = LoopBackend()
_T = TypeVar("_T", bound=httpcore.ConnectionInterface | httpcore.AsyncConnectionInterface)
_Origin = tuple[bytes, bytes, int | None]


class _Stacks(Generic[_T]):
    """Idle transports by origin. Safe to use from several threads: a deque's ends are atomic."""

    __slots__ = ("by_origin", "swept")

    def __init__(self) -> None:
        self.by_origin: dict[_Origin, deque[tuple[float, _T]]] = {}
        self.swept = 0.0

    def take(self, origin: _Origin) -> _T | None:
        try:
            return self.by_origin[origin].pop()[1]
        except (KeyError, IndexError):
            return None

    def give(self, origin: _Origin, transport: _T) -> Iterator[_T]:
        """Put one back; gives those that have been idle for too long, to be closed.

        Those of other origins are looked at now and then: nobody may ever call these again.
        """
        now = time.monotonic()
        stack = self.by_origin.setdefault(origin, deque())
        stack.append((now, transport))
        yield from _idle(stack, now)
        if now >= self.swept + _SWEEP_SECONDS:
            self.swept = now
            for other in list(self.by_origin.values()):
                yield from _idle(other, now)
                if other is not stack:
                    yield from _ended(other)

    def drain(self) -> Iterator[_T]:
        for stack in list(self.by_origin.values()):
            while stack:
                yield stack.pop()[1]


def _idle(stack: deque[tuple[float, _T]], now: float) -> Iterator[_T]:
    """Those at the bottom of a stack that have been idle for too long."""
    # Another thread may take what is looked at here.
    with suppress(IndexError):
        while stack[0][0] < now - _KEEPALIVE_SECONDS:
            yield stack.popleft()[1]


def _ended(stack: deque[tuple[float, _T]]) -> Iterator[_T]:
    """Those of a stack that the other side has closed."""
    for entry in stack.copy():
        if not entry[1].has_expired():
            continue
        # Another thread may have taken it meanwhile.
        with suppress(ValueError, IndexError):
            stack.remove(entry)
            yield entry[1]


def _origin(url: httpx.URL) -> _Origin:
    return url.raw_scheme, url.raw_host, url.port


@cache
def _no_tls() -> ssl.SSLContext:
    # For http:// origins; trusts nobody, should it ever be asked.
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def _options(url: httpx.URL) -> tuple[ssl.SSLContext, httpx.Proxy | None]:
    """TLS context and proxy of an origin, from the environment.

    Raises:
        SutroConfigurationError: The environment names what cannot be used.
    """
    proxy = proxy_for(url)
    needed = url.scheme == "https" or proxy is not None
    return (tls() if needed else _no_tls()), proxy


_HTTP = (httpcore.ConnectionPool, httpcore.HTTPProxy, httpcore.SOCKSProxy)
_ASYNC = (httpcore.AsyncConnectionPool, httpcore.AsyncHTTPProxy, httpcore.AsyncSOCKSProxy)


def _connection(url: httpx.URL, kinds: tuple[Any, Any, Any], **options: Any) -> Any:
    """A connection to an origin, made by a pool of these kinds: direct, HTTP proxy, SOCKS."""
    return _pool(url, kinds, **options).create_connection(_address(url).origin)


def _pool(url: httpx.URL, kinds: tuple[Any, Any, Any], **options: Any) -> Any:
    context, proxy = _options(url)
    options |= {"ssl_context": context, "keepalive_expiry": _KEEPALIVE_SECONDS}
    direct, over_http, over_socks = kinds
    if proxy is None:
        return direct(**options)
    place = proxy.url
    options |= {"proxy_url": _address(place), "proxy_auth": proxy.raw_auth}
    if place.scheme.startswith("socks"):
        return over_socks(**options)
    return over_http(proxy_headers=proxy.headers.raw, proxy_ssl_context=None, **options)


def _address(url: httpx.URL) -> httpcore.URL:
    return httpcore.URL(
        scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
    )


def _for_core(request: httpx.Request) -> httpcore.Request:
    return httpcore.Request(
        request.method,
        _address(request.url),
        headers=request.headers.raw,
        content=request.stream,
        extensions=request.extensions,
    )


def _is_encoded(answer: httpcore.Response) -> bool:
    return any(name.lower() == b"content-encoding" for name, _ in answer.headers)


def _sliced(pieces: Iterable[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        for start in range(0, len(piece), _LARGEST_ENCODED):
            yield piece[start : start + _LARGEST_ENCODED]


async def _asliced(pieces: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    async for piece in pieces:
        for part in _sliced([piece]):
            yield part


class StackTransport(httpx.BaseTransport):
    """Single-connection transports, taken last in, first out. Usable from any thread."""

    def __init__(self) -> None:
        self._idle = _Stacks[httpcore.ConnectionInterface]()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request; its connection returns to the stack when the response is closed."""
        origin = _origin(request.url)
        while (transport := self._idle.take(origin)) is not None and transport.has_expired():
            transport.close()
        if transport is None:
            transport = _connection(request.url, _HTTP, network_backend=_backend)
        try:
            answer = transport.handle_request(_for_core(request))
        except BaseException:
            transport.close()
            raise
        lease = _Lease(answer, transport, origin, self._idle)
        return httpx.Response(
            answer.status, headers=answer.headers, stream=lease, extensions=answer.extensions
        )

    def close(self) -> None:
        """Close the idle connections; those in use close with their response."""
        for transport in self._idle.drain():
            transport.close()


class _Lease(httpx.SyncByteStream):
    """A response body that gives its connection back, once."""

    def __init__(
        self,
        answer: httpcore.Response,
        transport: httpcore.ConnectionInterface,
        origin: _Origin,
        idle: _Stacks[httpcore.ConnectionInterface],
    ) -> None:
        self._stream: Any = answer.stream
        self._encoded = _is_encoded(answer)
        self._transport: httpcore.ConnectionInterface | None = transport
        self._origin = origin
        self._idle = idle

    def __iter__(self) -> Iterator[bytes]:
        pieces: Iterator[bytes] = iter(self._stream)
        return _sliced(pieces) if self._encoded else pieces

    def close(self) -> None:
        transport, self._transport = self._transport, None
        if transport is not None:
            try:
                if hasattr(self._stream, "close"):
                    self._stream.close()
            except BaseException:
                transport.close()
                raise
            if transport.is_closed():
                return
            for old in self._idle.give(self._origin, transport):
                old.close()


class AsyncStackTransport(httpx.AsyncBaseTransport):
    """The same for the tasks of one event loop."""

    def __init__(self) -> None:
        self._idle = _Stacks[httpcore.AsyncConnectionInterface]()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request; its connection returns to the stack when the response is closed."""
        origin = _origin(request.url)
        while (transport := self._idle.take(origin)) is not None and transport.has_expired():
            await transport.aclose()
        if transport is None:
            if origin not in self._idle.by_origin:
                # The first call of all reads the certificate bundle.
                await in_thread(_options, request.url)
            transport = _connection(request.url, _ASYNC, network_backend=_loop_backend)
        try:
            answer = await transport.handle_async_request(_for_core(request))
        except BaseException:
            # Not put back: where it was cancelled, httpcore may take its connection for one in use.
            await transport.aclose()
            raise
        lease = _AsyncLease(answer, transport, origin, self._idle)
        return httpx.Response(
            answer.status, headers=answer.headers, stream=lease, extensions=answer.extensions
        )

    async def aclose(self) -> None:
        """Close the idle connections; those in use close with their response."""
        for transport in self._idle.drain():
            await transport.aclose()


class _AsyncLease(httpx.AsyncByteStream):
    """A response body that gives its connection back, once."""

    def __init__(
        self,
        answer: httpcore.Response,
        transport: httpcore.AsyncConnectionInterface,
        origin: _Origin,
        idle: _Stacks[httpcore.AsyncConnectionInterface],
    ) -> None:
        self._stream: Any = answer.stream
        self._encoded = _is_encoded(answer)
        self._transport: httpcore.AsyncConnectionInterface | None = transport
        self._origin = origin
        self._idle = idle

    def __aiter__(self) -> AsyncIterator[bytes]:
        pieces: AsyncIterator[bytes] = aiter(self._stream)
        return _asliced(pieces) if self._encoded else pieces

    async def aclose(self) -> None:
        transport, self._transport = self._transport, None
        if transport is not None:
            try:
                if hasattr(self._stream, "aclose"):
                    await self._stream.aclose()
            except BaseException:
                await transport.aclose()
                raise
            if transport.is_closed():
                return
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
