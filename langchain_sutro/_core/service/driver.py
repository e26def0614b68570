"""Carries out the operations of the service's API: one driver for threads, one for event loops.

An operation is a generator. It yields a `Request` or a `Sleep`, receives the answer, and returns a
value or raises; when there is no answer, the failure is raised inside it. Retries, polling and
paging are therefore written once, do no I/O of their own, and run on any clock.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Generator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

import httpx

from langchain_sutro._core.redaction import shown
from langchain_sutro._core.service.clients import library_of, request_for, transport_of
from langchain_sutro._core.service.connections import async_transport, sync_transport
from langchain_sutro._core.service.deadlines import Beside, Deadline
from langchain_sutro._core.service.failures import broken, is_of_transport, late, was_sent
from langchain_sutro._core.service.library_logs import quiet_logs
from langchain_sutro._core.service.steps import adrive, drive
from langchain_sutro._core.service.threads import in_thread
from langchain_sutro._core.version import __version__
from langchain_sutro.errors import SutroAPIError, SutroConfigurationError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from langchain_sutro._core.service.clients import HTTPClient
    from langchain_sutro._core.service.settings import Settings

__all__ = [
    "LARGEST_ANSWER",
    "PACE",
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
LARGEST_ANSWER = 32 * 2**20
# Bytes that a long answer must bring within its timeout, to be given as much time again.
PACE = 2**16
# What the system's sockets take.
_LONGEST_WAIT = 10.0**7
# Of an answer that is an error, no more is looked at.
_LARGEST_ERROR = 2**18
_ENCODINGS = frozenset({"", "identity", "gzip", "x-gzip", "deflate"})
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
    """Seconds; None waits for ever.

    Attributes:
        read: From the moment when the request begins to leave, or for a body of pieces when it has
            left, until the answer has arrived as a whole.
        connect: Until there is a connection.
        write: Until a piece of the body has left.
        whole: Whether `read` also covers all repetitions of the request and the pauses between.
    """

    read: float | None = 60.0
    connect: float | None = 10.0
    write: float | None = 60.0
    whole: bool = False


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
        most: The length in bytes, decoded, from which an answer without a sink is refused.
        pace: As many bytes of the answer earn it another `timeout.read`; None if none do.
    """

    method: str
    url: str
    content: bytes | Body | None = None
    headers: dict[str, str] = field(default_factory=dict)
    timeout: Timeout = Timeout()
    authorize: bool = True
    sink: Sink | None = None
    most: int = LARGEST_ANSWER
    pace: int | None = None

    @property
    def seconds(self) -> float | None:
        """Until the exchange has to be over; a body of pieces extends it as it leaves."""
        timeout = self.timeout
        return _bounded(timeout.read if isinstance(self.content, bytes | None) else timeout.write)

    @property
    def host(self) -> str:
        """What messages show of the URL, which may be a secret."""
        try:
            return shown(_url(self.url).netloc.decode())
        except (httpx.InvalidURL, ValueError):
            return "a URL that is not valid"


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
        client: Used for synchronous requests, and never closed here.
        async_client: The same for asynchronous ones.
    """

    def __init__(
        self,
        settings: Settings,
        client: HTTPClient | None = None,
        async_client: HTTPClient | None = None,
    ) -> None:
        self.settings = settings
        self._client = client
        self._async_client = async_client
        self._origins = {_origin(settings.batch_url), _origin(settings.run_url)}

    def send(self, request: Request) -> Response:
        """Send one request from this thread.

        Raises:
            SutroConnectionError: There was no complete answer in time.
            SutroAPIError: The answer is too large, or encoded in a way that was not asked for.
        """
        deadline = Deadline(request.seconds)
        with quiet_logs(self.settings.api_key.get_secret_value()), deadline.of_thread():
            try:
                return self._exchange(request, deadline)
            except Exception as error:
                if deadline.passed and (isinstance(error, TimeoutError) or is_of_transport(error)):
                    raise late(request.host, sent=was_sent(error)) from None
                if is_of_transport(error):
                    broken(error, request.host)
                raise

    async def asend(self, request: Request) -> Response:
        """Asynchronous form of `send`.

        Raises:
            SutroConnectionError: There was no complete answer in time.
            SutroAPIError: The answer is too large, or encoded in a way that was not asked for.
        """
        deadline = Deadline(request.seconds)
        with quiet_logs(self.settings.api_key.get_secret_value()):
            try:
                async with asyncio.timeout(None) as scope:
                    deadline.bind(scope)
                    return await self._aexchange(request, deadline)
            except Exception as error:
                if scope.expired() and isinstance(error, TimeoutError):
                    raise late(request.host) from None
                if is_of_transport(error):
                    broken(error, request.host)
                raise

    def _exchange(self, request: Request, deadline: Deadline) -> Response:
        beside = None if self._client is None else Beside(deadline)
        do = beside.do if beside else _do
        opened: list[httpx.Response] = []
        try:
            response = do(self._answer, request, deadline, opened)
            sink = _sink(request, response)
            pieces = _pieces(response, sink)
            while (piece := do(next, pieces, None)) is not None:
                if not sink.write(piece):
                    break
                deadline.received(len(piece), request.pace, request.timeout.read)
                if deadline.passed:
                    raise TimeoutError
        finally:
            if beside:
                beside.end(partial(_close, opened))
            else:
                for each in opened:
                    each.close()
        return Response(response.status_code, response.headers, _content(sink))

    async def _aexchange(self, request: Request, deadline: Deadline) -> Response:
        response = await self._aanswer(request, deadline)
        try:
            sink = _sink(request, response)
            async for piece in _apieces(response, sink):
                if not (await _to_thread(sink.write, piece) if sink.blocks else sink.write(piece)):
                    break
                deadline.received(len(piece), request.pace, request.timeout.read)
        finally:
            await response.aclose()
        return Response(response.status_code, response.headers, _content(sink))

    def _answer(
        self, request: Request, deadline: Deadline, opened: list[httpx.Response]
    ) -> httpx.Response:
        client = self._client
        sent = self._build(request, _SyncBody(request, deadline), client)
        if client is None:
            response = sync_transport().handle_request(sent)
        elif request.authorize:
            response = client.send(sent, stream=True, auth=None, follow_redirects=False)
        else:
            transport = transport_of(client, sent.url) or sync_transport()
            response = transport.handle_request(sent)
        opened.append(response)
        return response

    async def _aanswer(self, request: Request, deadline: Deadline) -> httpx.Response:
        client = self._async_client
        sent = self._build(request, _AsyncBody(request, deadline), client)
        if client is None:
            return await (await async_transport()).handle_async_request(sent)
        if not request.authorize:
            transport = transport_of(client, sent.url) or await async_transport()
            sending = transport.handle_async_request(sent)
        else:
            sending = client.send(sent, stream=True, auth=None, follow_redirects=False)
        response: httpx.Response = await sending
        return response

    def _build(
        self, request: Request, pieces: _SyncBody | _AsyncBody, client: HTTPClient | None
    ) -> Any:
        headers = {"user-agent": _USER_AGENT, "accept": "*/*", **request.headers}
        if request.authorize:
            if _origin(request.url) not in self._origins:
                raise SutroConfigurationError("The key is not sent to an origin it is not for.")
            headers["authorization"] = f"Key {self.settings.api_key.get_secret_value()}"
        content: Any = request.content
        if content is not None:
            headers["content-type"] = "application/json"
            if not isinstance(content, bytes):
                headers["content-length"] = str(content.size)
                content = pieces
        timeout = request.timeout
        connect = timeout.connect
        if timeout.read is not None and (connect is None or connect >= timeout.read):
            # Before the deadline, which would not say that nothing was sent.
            connect = 0.9 * timeout.read
        limits = {
            "connect": connect,
            "read": _bounded(timeout.read),
            "write": _bounded(timeout.write),
            "pool": connect,
        }
        options: dict[str, Any] = {"content": content, "extensions": {"timeout": limits}}
        if client is None:
            return httpx.Request(request.method, _url(request.url), headers=headers, **options)
        if client.is_closed:
            raise SutroConfigurationError(
                "The HTTP client that was passed as http_client or http_async_client is closed."
            )
        # The client may know encodings whose expansion nobody bounds.
        headers.setdefault("accept-encoding", "gzip, deflate")
        if not request.authorize:
            # What the client adds to each request is for the deployment only.
            kind = (library_of(client) or httpx).Request
            return kind(request.method, request.url, headers=headers, **options)
        return request_for(client, request.method, request.url, headers=headers, **options)


def _do(work: Callable[..., _T], *args: Any) -> _T:
    return work(*args)


def _close(opened: list[httpx.Response]) -> None:
    for response in opened:
        # Whoever waited for the answer has it, or the reason why there is none.
        with suppress(Exception):
            response.close()


def _bounded(seconds: float | None) -> float | None:
    return None if seconds is None else min(seconds, _LONGEST_WAIT)


class _Whole:
    """Collects an answer."""

    blocks = False

    def __init__(self, request: Request, status: int) -> None:
        self._status = status
        self._most = request.most if status == 200 else _LARGEST_ERROR
        self._pieces: list[bytes] = []
        self._size = 0

    def start(self, status: int, headers: httpx.Headers) -> bool:
        """Take anything, if it is encoded as it may be."""
        encoding = headers.get("content-encoding", "").strip().lower()
        if encoding not in _ENCODINGS:
            raise SutroAPIError(
                f"The service answered {status} in an encoding that was not asked for.",
                status_code=status,
            )
        return True

    def write(self, piece: bytes) -> bool:
        self._size += len(piece)
        if self._size <= self._most:
            self._pieces.append(piece)
            return True
        if self._status == 200:
            raise SutroAPIError(
                f"The service's answer has more than {self._most / 2**20:g} MiB.", status_code=200
            )
        self._pieces.append(piece[: self._most - self._size])
        return False

    @property
    def content(self) -> bytes:
        return b"".join(self._pieces)


def _sink(request: Request, response: httpx.Response) -> Sink:
    """What takes the answer."""
    sink = request.sink
    if sink is None or not sink.start(response.status_code, response.headers):
        sink = _Whole(request, response.status_code)
        sink.start(response.status_code, response.headers)
    return sink


def _content(sink: Sink) -> bytes:
    return sink.content if isinstance(sink, _Whole) else b""


def _is_to_be_decoded(response: httpx.Response, sink: Sink) -> bool:
    # A transport in memory has read its answer already.
    return response.is_stream_consumed or (
        isinstance(sink, _Whole) and "content-encoding" in response.headers
    )


def _pieces(response: httpx.Response, sink: Sink) -> Iterator[bytes]:
    if _is_to_be_decoded(response, sink):
        return response.iter_bytes()
    return iter(cast("httpx.SyncByteStream", response.stream))


def _apieces(response: httpx.Response, sink: Sink) -> AsyncIterator[bytes]:
    if _is_to_be_decoded(response, sink):
        return response.aiter_bytes()
    return aiter(cast("httpx.AsyncByteStream", response.stream))


async def _to_thread(take: Callable[[bytes], bool], piece: bytes) -> bool:
    """Have a piece taken in a thread, and finished even if this task is cancelled meanwhile."""
    taking = asyncio.ensure_future(in_thread(take, piece))
    try:
        return await asyncio.shield(taking)
    except asyncio.CancelledError:
        await asyncio.wait([taking])
        raise


class _SyncBody(httpx.SyncByteStream):
    """The body of a request whose deadline moves as long as the body does."""

    def __init__(self, request: Request, deadline: Deadline) -> None:
        self._request = request
        self._deadline = deadline

    def __iter__(self) -> Iterator[bytes]:
        for piece in _body(self._request).pieces():
            yield piece
            self._deadline.extend(self._request.timeout.write)
        self._deadline.extend(self._request.timeout.read)


class _AsyncBody(httpx.AsyncByteStream):
    """The same for an event loop."""

    def __init__(self, request: Request, deadline: Deadline) -> None:
        self._request = request
        self._deadline = deadline

    async def __aiter__(self) -> AsyncIterator[bytes]:
        pieces = _body(self._request).pieces()
        # Pieces come from a file: read them where that holds nobody up.
        while piece := await in_thread(next, pieces, b""):
            yield piece
            self._deadline.extend(self._request.timeout.write)
        self._deadline.extend(self._request.timeout.read)


def _body(request: Request) -> Body:
    content = request.content
    assert not isinstance(content, bytes | None)  # noqa: S101 - for the type checker
    return content


@lru_cache(maxsize=1024)
def _url(url: str) -> httpx.URL:
    return httpx.URL(url)


@lru_cache(maxsize=64)
def _origin(url: str) -> tuple[str, str, int | None]:
    parsed = httpx.URL(url)
    return parsed.scheme, parsed.host, parsed.port
