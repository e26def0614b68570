"""The moment by which an exchange has to end, however slowly its bytes arrive.

The timeouts of HTTP libraries hold for one read each, so a server that sends a byte now and then
could keep a call for ever. Here a thread's sockets look at the deadline before each read, and an
event loop's exchange is cancelled at it.
"""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar, copy_context
from functools import partial
from ipaddress import ip_address
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, TypeVar

import httpcore

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterable, Iterator

__all__ = ["Beside", "Deadline", "DeadlineBackend", "is_address"]

_T = TypeVar("_T")
_SLICE = 65536
# httpcore asks for 64 KiB, so that a large answer comes in many pieces; its parser takes more.
_LARGE_READ = 2**18


class Deadline:
    """When an exchange has to be over.

    Args:
        seconds: From now; None for never.
    """

    def __init__(self, seconds: float | None) -> None:
        self._at = _at(seconds)
        self._scope: asyncio.Timeout | None = None
        self._received = 0

    @property
    def passed(self) -> bool:
        """Whether it is over."""
        return time.monotonic() >= self._at

    def left(self, most: float | None = None) -> float | None:
        """Seconds until then, at most as many as are given; None for ever."""
        if self._at == float("inf"):
            return most
        left = self._at - time.monotonic()
        return left if most is None else min(left, most)

    def extend(self, seconds: float | None) -> None:
        """Set it anew, from now."""
        self._at = _at(seconds)
        if self._scope is not None:
            self.bind(self._scope)

    def received(self, size: int, pace: int | None, seconds: float | None) -> None:
        """Note that bytes have arrived; at a fair pace the exchange may go on.

        Args:
            size: How many bytes.
            pace: As many bytes extend the deadline; None if nothing does.
            seconds: By as much.
        """
        if pace is None:
            return
        self._received += size
        if self._received >= pace:
            self._received = 0
            self.extend(seconds)

    def bind(self, scope: asyncio.Timeout) -> None:
        """Have a task cancelled when it passes."""
        self._scope = scope
        left = self.left()
        if left is None:
            scope.reschedule(None)
        elif not scope.expired():
            scope.reschedule(asyncio.get_running_loop().time() + left)

    @contextmanager
    def of_thread(self) -> Iterator[None]:
        """Have the sockets that this thread uses look at it."""
        token = _current.set(self)
        try:
            yield
        finally:
            _current.reset(token)


def _at(seconds: float | None) -> float:
    return float("inf") if seconds is None else time.monotonic() + seconds


_current: ContextVar[Deadline | None] = ContextVar("langchain_sutro_deadline", default=None)


def _left(timeout: float | None, late: type[httpcore.TimeoutException]) -> float | None:
    deadline = _current.get()
    left = timeout if deadline is None else deadline.left(timeout)
    if left is not None and left <= 0:
        raise late
    return left


class Beside:
    """Does the steps of one exchange in a thread, which is left behind when the deadline passes.

    For HTTP clients that the caller made: nobody but they know their sockets. And for the lookup of
    names, which cannot be interrupted.

    Args:
        deadline: May be extended meanwhile.
    """

    def __init__(self, deadline: Deadline) -> None:
        self._deadline = deadline
        self._steps: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread = threading.Thread(
            target=copy_context().run, args=(self._work,), name="sutro-request", daemon=True
        )
        try:
            self._thread.start()
            self._started = True
        except RuntimeError:
            # The interpreter is shutting down.
            self._started = False

    def do(self, work: Callable[..., _T], *args: Any) -> _T:
        """Do a step there, and wait for it.

        Raises:
            TimeoutError: The deadline has passed.
        """
        if not self._started:
            return work(*args)
        outcome: Future[_T] = Future()
        self._steps.put(partial(_settle, outcome, work, args))
        while True:
            left = self._deadline.left()
            try:
                return outcome.result(None if left is None else max(0.0, left))
            except FutureTimeoutError:
                if outcome.done():
                    return outcome.result()
                if self._deadline.passed:
                    raise TimeoutError from None

    def end(self, last: Callable[[], None]) -> None:
        """Do a last step there, without waiting, and let the thread end.

        Args:
            last: Closes what is open. It raises nothing.
        """
        if not self._started:
            last()
            return
        self._steps.put(last)
        self._steps.put(None)

    def _work(self) -> None:
        while (step := self._steps.get()) is not None:
            step()


def _settle(outcome: Future[_T], work: Callable[..., _T], args: tuple[Any, ...]) -> None:
    try:
        outcome.set_result(work(*args))
    except BaseException as error:  # noqa: BLE001 - raised where it is waited for
        outcome.set_exception(error)


class DeadlineBackend(httpcore.NetworkBackend):
    """Opens sockets that look at the deadline of the thread that uses them."""

    def __init__(self) -> None:
        self._inner = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        """Open a connection. Neither looking a name up nor its many addresses take longer."""
        left = _left(timeout, httpcore.ConnectTimeout)
        connect = partial(self._inner.connect_tcp, host, port, left, local_address, socket_options)
        return _Stream(connect() if left is None or is_address(host) else _within(left, connect))


def is_address(host: str) -> bool:
    """Whether a host is an address, which nobody has to look up."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _within(
    seconds: float, connect: Callable[[], httpcore.NetworkStream]
) -> httpcore.NetworkStream:
    """Connect in a thread, which is left behind after so many seconds.

    Raises:
        httpcore.ConnectTimeout: They are over.
    """
    beside, late = Beside(Deadline(seconds)), ExitStack()

    def open_stream() -> httpcore.NetworkStream:
        stream = connect()
        late.callback(stream.close)
        return stream

    try:
        stream = beside.do(open_stream)
        late.pop_all()
    except TimeoutError:
        raise httpcore.ConnectTimeout from None
    finally:
        # Nobody uses a connection that is there too late.
        beside.end(late.close)
    return stream


class _Stream(httpcore.NetworkStream):
    def __init__(self, inner: httpcore.NetworkStream) -> None:
        self._inner = inner
        self._was_full = False

    def close(self) -> None:
        self._inner.close()

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        most = max(max_bytes, _LARGE_READ) if self._was_full else max_bytes
        piece = self._inner.read(most, _left(timeout, httpcore.ReadTimeout))
        self._was_full = len(piece) >= max_bytes
        return piece

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        for start in range(0, len(buffer), _SLICE):
            left = _left(timeout, httpcore.WriteTimeout)
            self._inner.write(buffer[start : start + _SLICE], left)

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        left = _left(timeout, httpcore.ConnectTimeout)
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, left))
