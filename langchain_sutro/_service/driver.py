"""Carries out the operations of the service's API: one driver for threads, one for event loops.

An operation is a generator. It yields a `Request` or a `Sleep`, receives the answer, and returns a
value or raises; when there is no answer, the failure is raised inside it. Retries, polling and
paging are therefore written once, do no I/O of their own, and run on any clock.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Generator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NoReturn, Protocol, TypeVar

import httpx

from langchain_sutro._service.connections import async_transport, sync_transport
from langchain_sutro._service.steps import adrive, drive
from langchain_sutro._version import __version__
from langchain_sutro.errors import SutroConfigurationError, SutroConnectionError, SutroTimeoutError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from langchain_sutro._service.settings import Settings

__all__ = [
    "Body",
    "Operation",
    "Request",
    "Response",
    "Session",
    "Sink",
    "Sleep",
    "Timeout",
    "arun",
    "run",
]

_T = TypeVar("_T")
_USER_AGENT = f"langchain-sutro/{__version__}"


class Body(Protocol):
    """A request body that is too large for one piece, and can be read again."""

    @property
    def size(self) -> int:
        """Length in bytes."""

    def pieces(self) -> Iterator[bytes]:
        """The body from its start."""


class Sink(Protocol):
    """Takes a response body as it arrives.

    Attributes:
        blocks: Whether `write` may hold up an event loop.
    """

    blocks: bool

    def start(self, status: int, headers: httpx.Headers) -> bool:
        """Whether to stream this response here; otherwise it is read as a whole."""

    def write(self, piece: bytes) -> bool:
        """Take a piece; False ends the response early."""


@dataclass(frozen=True, slots=True)
class Timeout:
    """Seconds; None waits for ever."""

    read: float | None = 60.0
    connect: float | None = 10.0
    write: float | None = 60.0


@dataclass(slots=True)
class Request:
    """One HTTP request.

    Attributes:
        method: HTTP method.
        url: Absolute URL, encoded.
        content: JSON to send.
        headers: Beyond those that every request has.
        timeout: Per connect, read and write.
        authorize: Whether the key goes along; never to object storage.
        sink: Takes the body of the answer piece by piece.
    """

    method: str
    url: str
    content: bytes | Body | None = None
    headers: dict[str, str] = field(default_factory=dict)
    timeout: Timeout = Timeout()
    authorize: bool = True
    sink: Sink | None = None


@dataclass(slots=True)
class Response:
    """Status, headers and body; the body is empty where a sink took it."""

    status: int
    headers: httpx.Headers
    content: bytes = b""


@dataclass(frozen=True, slots=True)
class Sleep:
    """Wait without doing anything."""

    seconds: float


Operation = Generator[Request | Sleep, Any, _T]


def run(operation: Operation[_T], session: Session) -> _T:
    """Carry an operation out in this thread."""

    def carry_out(step: Request | Sleep) -> Any:
        if isinstance(step, Request):
            return session.send(step)
        return time.sleep(step.seconds)

    return drive(operation, carry_out)


async def arun(operation: Operation[_T], session: Session) -> _T:
    """Carry an operation out without blocking the event loop."""

    async def carry_out(step: Request | Sleep) -> Any:
        if isinstance(step, Request):
            return await session.asend(step)
        return await asyncio.sleep(step.seconds)

    return await adrive(operation, carry_out)


class Session:
    """Sends requests to one deployment with one key.

    Args:
        settings: Where to, and the key.
        client: Used as it is for synchronous requests, and never closed here.
        async_client: The same for asynchronous ones.
    """

    def __init__(
        self,
        settings: Settings,
        client: httpx.Client | None = None,
        async_client: httpx.AsyncClient | None = None,
    ) -> None:
        self.settings = settings
        self._client = client
        self._async_client = async_client
        key = settings.api_key.get_secret_value()
        self._authorization = f"Key {key}"
        self._origins = {_origin(settings.batch_url), _origin(settings.run_url)}

    def send(self, request: Request) -> Response:
        """Send one request from this thread.

        Raises:
            SutroConnectionError: There was no complete answer.
        """
        try:
            sent = self._build(request, _SyncBody, self._client)
            if self._client is None:
                response = sync_transport().handle_request(sent)
            else:
                response = self._client.send(sent, stream=True, auth=None, follow_redirects=False)
            try:
                sink = request.sink
                if sink is None or not sink.start(response.status_code, response.headers):
                    content = response.read()
                else:
                    content = b""
                    for piece in response.iter_raw():
                        if not sink.write(piece):
                            break
            finally:
                response.close()
        except Exception as error:
            if not _is_of_transport(error):
                raise
            _raise(error, request)
        return Response(response.status_code, response.headers, content)

    async def asend(self, request: Request) -> Response:
        """Asynchronous form of `send`.

        Raises:
            SutroConnectionError: There was no complete answer.
        """
        try:
            sent = self._build(request, _AsyncBody, self._async_client)
            if self._async_client is None:
                transport = await async_transport()
                response = await transport.handle_async_request(sent)
            else:
                response = await self._async_client.send(
                    sent, stream=True, auth=None, follow_redirects=False
                )
            try:
                sink = request.sink
                if sink is None or not sink.start(response.status_code, response.headers):
                    content = await response.aread()
                else:
                    content = b""
                    async for piece in response.aiter_raw():
                        if sink.blocks:
                            more = await asyncio.to_thread(sink.write, piece)
                        else:
                            more = sink.write(piece)
                        if not more:
                            break
            finally:
                await response.aclose()
        except Exception as error:
            if not _is_of_transport(error):
                raise
            _raise(error, request)
        return Response(response.status_code, response.headers, content)

    def _build(
        self,
        request: Request,
        wrap: type[_SyncBody | _AsyncBody],
        client: httpx.Client | httpx.AsyncClient | None,
    ) -> httpx.Request:
        headers = {"user-agent": _USER_AGENT, "accept": "*/*", **request.headers}
        if request.authorize:
            if _origin(request.url) not in self._origins:
                raise SutroConfigurationError("Refusing to send the API key to a different origin.")
            headers["authorization"] = self._authorization
        content: Any = request.content
        if content is not None:
            headers["content-type"] = "application/json"
            if not isinstance(content, bytes):
                headers["content-length"] = str(content.size)
                content = wrap(content)
        timeout = request.timeout
        limits = {
            "connect": timeout.connect,
            "read": timeout.read,
            "write": timeout.write,
            "pool": timeout.connect,
        }
        if client is None:
            return httpx.Request(
                request.method,
                _url(request.url),
                headers=headers,
                content=content,
                extensions={"timeout": limits},
            )
        sent = client.build_request(
            request.method,
            request.url,
            headers=headers,
            content=content,
            extensions={"timeout": limits},
        )
        if not request.authorize:
            # A default header of the caller's client would break the presigned URL, or leak.
            sent.headers.pop("authorization", None)
        return sent


class _SyncBody(httpx.SyncByteStream):
    def __init__(self, body: Body) -> None:
        self._body = body

    def __iter__(self) -> Iterator[bytes]:
        return self._body.pieces()


class _AsyncBody(httpx.AsyncByteStream):
    def __init__(self, body: Body) -> None:
        self._body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        pieces = self._body.pieces()
        # Pieces come from a file: read them where that holds nobody up.
        while piece := await asyncio.to_thread(next, pieces, b""):
            yield piece


@lru_cache(maxsize=1024)
def _url(url: str) -> httpx.URL:
    return httpx.URL(url)


@lru_cache(maxsize=64)
def _origin(url: str) -> tuple[str, str, int | None]:
    parsed = httpx.URL(url)
    return parsed.scheme, parsed.host, parsed.port


def _host(url: str) -> str:
    return _url(url).host


_NEVER_SENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
    httpx.InvalidURL,
    httpx.LocalProtocolError,
)


def _is_of_transport(error: Exception) -> bool:
    """Whether it comes from the connection, and not from a sink or a body."""
    # httpx lets errors of the encryption through where it is asynchronous, and httpx-aiohttp some
    # of aiohttp's own.
    known = isinstance(error, httpx.HTTPError | httpx.InvalidURL | ssl.SSLError)
    return known or type(error).__module__.partition(".")[0] == "aiohttp"


def _broke_later(error: Exception) -> bool:
    """Whether httpx-aiohttp calls it a failure to connect although the connection stood.

    It does so for a connection that was dropped or reset after the request was sent. What it was
    is the cause.
    """
    kinds = {kind.__name__ for kind in type(error.__cause__).__mro__}
    connecting = kinds & {"ClientConnectorError", "ConnectionTimeoutError"}
    return "ClientConnectionError" in kinds and not connecting


def _raise(error: Exception, request: Request) -> NoReturn:
    """Tell it in our terms; the URL may be a secret, so only its host is named."""
    host = "a URL that is not valid" if isinstance(error, httpx.InvalidURL) else _host(request.url)
    if isinstance(error, _NEVER_SENT) and _broke_later(error):
        cause = type(error.__cause__).__name__
        raise SutroConnectionError(f"No complete answer from {host}: {cause}.") from None
    sent = not isinstance(error, _NEVER_SENT)
    if isinstance(error, httpx.TimeoutException):
        raise SutroTimeoutError(
            f"{host} did not answer in time ({type(error).__name__}).", sent=sent
        ) from None
    reason = str(error) if isinstance(error, httpx.ConnectError) else ""
    raise SutroConnectionError(
        f"No complete answer from {host}: {type(error).__name__}{': ' if reason else ''}{reason}.",
        sent=sent,
    ) from None
