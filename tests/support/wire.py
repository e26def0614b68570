"""An HTTP server on loopback that knows its connections, for what must run on real sockets."""

import ssl
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import orjson
from pydantic import SecretStr

from langchain_sutro._core.service.settings import Settings

# Long enough for a machine that is busy with other things; nothing waits for as long.
PATIENCE = 30.0


class Wire(ThreadingHTTPServer):
    """What arrived, and on which connection.

    Every answer is `{"connection": number}`, but for these paths: `/held` waits until `together`
    such requests are here at once; `/hang` waits until the server ends; `/last` ends the connection
    after the answer without saying so; `/cut` ends it in the middle of the body, `/drop` before the
    answer; `/away` redirects.
    """

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, encryption: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        if encryption is not None:
            self.socket = encryption.wrap_socket(self.socket, server_side=True)
        scheme = "http" if encryption is None else "https"
        self.url = f"{scheme}://127.0.0.1:{self.server_port}"
        self.opened = 0
        self.open: set[int] = set()
        self.requests: list[tuple[str, str, dict[str, str], bytes]] = []
        self.by_path: dict[str, int] = {}
        self.changed = threading.Condition()
        self.together = 1
        self._held = 0
        self._wave = 0
        self.ending = threading.Event()

    @property
    def settings(self) -> Settings:
        return Settings("deployment", self.url + "/v1", self.url + "/v1", SecretStr("sk_wire"))

    def wait_until(self, so) -> None:
        """Until a condition on this server holds; fails if it never does."""
        with self.changed:
            assert self.changed.wait_for(lambda: so(self), PATIENCE), "it never came to that"

    def hold(self) -> None:
        """Wait for `together` callers, and let them go at once."""
        with self.changed:
            wave = self._wave
            self._held += 1
            if self._held == self.together:
                self._held, self._wave = 0, wave + 1
                self.changed.notify_all()
            assert self.changed.wait_for(lambda: self._wave != wave, PATIENCE)

    def handle_error(self, request, client_address) -> None:
        """A client that went away is part of many tests."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Wire

    def setup(self) -> None:
        super().setup()
        with self.server.changed:
            self.number = self.server.opened
            self.server.opened += 1
            self.server.open.add(self.number)
            self.server.changed.notify_all()

    def finish(self) -> None:
        super().finish()
        self.request.close()
        with self.server.changed:
            self.server.open.discard(self.number)
            self.server.changed.notify_all()

    def log_message(self, *_: object) -> None:
        """Nothing is printed."""

    def do_GET(self) -> None:
        length = int(self.headers.get("content-length", "0"))
        body = self.rfile.read(length)
        headers = {name.lower(): value for name, value in self.headers.items()}
        path = self.path
        with self.server.changed:
            self.server.requests.append((self.command, path, headers, body))
            self.server.by_path[path] = self.number
            self.server.changed.notify_all()
        end = path.rpartition("/")[2]
        if end == "held":
            self.server.hold()
        if end == "hang":
            self.server.ending.wait(PATIENCE)
        self.close_connection = end in ("last", "cut", "drop")
        if end == "drop":
            return
        answer = orjson.dumps({"connection": self.number})
        self.send_response(302 if end == "away" else 200)
        if end == "away":
            self.send_header("location", f"{self.server.url}/v1/secret")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer[:5] if end == "cut" else answer)

    do_POST = do_GET


@contextmanager
def wire(encryption=None):
    """A server that runs, encrypted where a context is given."""
    server = Wire(encryption)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.ending.set()
        server.shutdown()
        server.server_close()
        thread.join()
