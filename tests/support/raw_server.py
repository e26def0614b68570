"""A server on loopback that writes whatever bytes a test gives it, as slowly as it says."""

import socket
import threading
import time
from contextlib import contextmanager, suppress

__all__ = ["RawServer", "drip", "http", "raw_server"]


def http(body=b"{}", status="200 OK", **headers):
    """A whole answer."""
    given = {
        "connection": "close",
        "content-type": "application/json",
        "content-length": str(len(body)),
    }
    given |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in given.items() if value)]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


class RawServer:
    """Answers each request with what `answer(method, path, body)` gives.

    That is bytes, or an iterable of bytes and of numbers, which are seconds to wait. The connection
    is closed after the answer unless `keep` is set. An OSError ends the answer: the client is gone.
    """

    def __init__(self, answer, *, keep=False):
        self.answer = answer
        self.keep = keep
        self.requests = []
        self.heads = []
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._ended = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self._ended.set()
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _accept(self):
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with connection, suppress(OSError):
            connection.settimeout(60)
            while (request := _read(connection)) and not self._ended.is_set():
                head, body = request
                method, path, _ = head.split(b"\r\n", 1)[0].decode().split(" ")
                self.requests.append((method, path))
                self.heads.append(head.decode("latin-1").lower())
                pieces = self.answer(method, path, body)
                for piece in [pieces] if isinstance(pieces, bytes) else pieces:
                    if isinstance(piece, bytes):
                        connection.sendall(piece)
                    elif self._ended.wait(piece):
                        return
                if not self.keep:
                    return


def _read(connection):
    """The head and the body of a request; None at the end of the connection."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65536)
        if not piece:
            return None
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    length = next(
        (
            int(line.split(b":")[1])
            for line in head.lower().split(b"\r\n")
            if b"content-length" in line
        ),
        0,
    )
    while len(body) < length:
        body += connection.recv(65536)
    return head, body


@contextmanager
def raw_server(answer, **options):
    server = RawServer(answer, **options)
    try:
        yield server
    finally:
        server.close()


def drip(data, pause=0.05, tail=b""):
    """An answer of which a byte comes now and then, and its end only after a very long time."""
    yield data
    end = time.monotonic() + 300
    while time.monotonic() < end:
        yield pause
        yield tail or b" "
