"""uvicorn in a thread of this process, with an event loop of its own."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import uvicorn

from langchain_sutro.local.http.wire import protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp

__all__ = ["ServerThread"]

logger = logging.getLogger(__name__)

_HOST = "127.0.0.1"
_SECONDS_FOR_OPEN_REQUESTS = 2
_SECONDS_TO_STOP = 10.0
# Turns of the event loop in which a closed connection leaves.
_TURNS_TO_CLOSE = 3


class ServerThread:
    """A server on loopback.

    Args:
        port: TCP port, or 0 for any that is free. It is bound at once.
        on_connection: Called for each connection, on the server's event loop.

    Attributes:
        port: The port that it has.

    Raises:
        OSError: The port is in use.
    """

    def __init__(self, port: int, on_connection: Callable[[], None]) -> None:
        # asyncio turns Nagle's delay off only where the protocol is named.
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            # A deployment that is started again needs its port while old connections linger.
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._socket.bind((_HOST, port))
        except OSError as error:
            self._socket.close()
            raise OSError(
                error.errno,
                f"Port {port} of {_HOST} cannot be used: {error.strerror}. Choose another port, or "
                "0 for any that is free.",
            ) from None
        self.port: int = self._socket.getsockname()[1]
        self._on_connection = on_connection

    @property
    def origin(self) -> str:
        """Its URL, without a trailing slash."""
        return f"http://{_HOST}:{self.port}"

    def start(self, app: ASGIApp) -> None:
        """Begin to start; `wait` for it."""
        config = uvicorn.Config(
            app,
            # Our own protocol gives the application its connection, see `wire`.
            http=protocol(self._on_connection),
            loop="asyncio",
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            backlog=2048,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=_SECONDS_FOR_OPEN_REQUESTS,
        )
        self._server = _Server(config)
        self._thread = threading.Thread(
            target=self._server.run,
            kwargs={"sockets": [self._socket]},
            name="sutro-local",
            daemon=True,
        )
        self._thread.start()

    def wait(self, timeout: float) -> None:
        """Wait until it answers.

        Raises:
            TimeoutError: It does not within `timeout` seconds.
        """
        deadline = time.monotonic() + timeout
        while not self._server.started:
            if time.monotonic() > deadline or not self._thread.is_alive():
                raise TimeoutError("The local deployment did not start.")
            time.sleep(0.005)

    def stop(self) -> None:
        """Stop, after the requests that are open."""
        self._server.end()
        self._thread.join(_SECONDS_TO_STOP)
        if self._thread.is_alive():
            logger.warning("The local deployment's server does not stop.")
        self._socket.close()


class _Server(uvicorn.Server):
    """Ends at once, where uvicorn looks ten times a second and then waits a tenth of a second.

    Tests start and stop thousands of deployments.
    """

    _wake: Callable[[], object] | None = None

    def end(self) -> None:
        """Begin to end; for any thread."""
        self.should_exit = True
        if self._wake is not None:
            # An event loop that is closed has nothing to end.
            with suppress(RuntimeError):
                self._wake()

    async def main_loop(self) -> None:
        """Serve until it is to end."""
        loop, ended = asyncio.get_running_loop(), asyncio.Event()
        self._wake = lambda: loop.call_soon_threadsafe(ended.set)
        # What was asked before is seen by the first tick.
        waits = {asyncio.ensure_future(super().main_loop()), asyncio.ensure_future(ended.wait())}
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waits:
                each.cancel()
            await asyncio.gather(*waits, return_exceptions=True)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close what is idle; only what is busy is waited for."""
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        for _ in range(_TURNS_TO_CLOSE):
            await asyncio.sleep(0)
        if self.server_state.connections or self.server_state.tasks:
            await super().shutdown(sockets)
        else:
            await self.lifespan.shutdown()
