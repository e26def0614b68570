"""Proxies on loopback that open tunnels: of HTTP, and of SOCKS 5."""

import socket
import socketserver
import threading
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

USER, PASSWORD = "me", "hunter2"


class _Tunnel(BaseHTTPRequestHandler):
    def do_CONNECT(self):
        self.server.asked.append((self.path, self.headers.get("proxy-authorization")))
        host, _, port = self.path.rpartition(":")
        with socket.create_connection((host, int(port))) as onward:
            self.send_response(200)
            self.end_headers()
            _both_ways(self.connection, onward)

    def log_message(self, *_):
        """Nothing is printed."""


class _Socks(socketserver.StreamRequestHandler):
    """RFC 1928, and RFC 1929 for the password, as far as a client that connects needs it."""

    def handle(self):
        _, methods = self.rfile.read(2)
        assert 2 in self.rfile.read(methods), "no password was offered"
        self.wfile.write(b"\x05\x02")
        self.rfile.read(1)
        user, password = self._text(), self._text()
        self.wfile.write(b"\x01\x00")
        _, command, _, kind = self.rfile.read(4)
        assert command == 1
        host = socket.inet_ntoa(self.rfile.read(4)) if kind == 1 else self._text()
        port = int.from_bytes(self.rfile.read(2))
        self.server.asked.append((f"{host}:{port}", f"{user}:{password}"))
        with socket.create_connection((host, port)) as onward:
            self.wfile.write(b"\x05\x00\x00\x01" + bytes(6))
            _both_ways(self.connection, onward)

    def _text(self):
        return self.rfile.read(self.rfile.read(1)[0]).decode()


class _SocksServer(socketserver.ThreadingTCPServer):
    @property
    def server_port(self):
        return self.server_address[1]


def _both_ways(arrived, onward):
    back = threading.Thread(target=_copy, args=(onward, arrived))
    back.start()
    _copy(arrived, onward)
    back.join()


def _copy(source, target):
    with suppress(OSError):
        while piece := source.recv(2**16):
            target.sendall(piece)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


@contextmanager
def proxy(kind="http", encryption=None):
    """A proxy; its URL with a password, and what it was asked for: targets, and by whom.

    Args:
        kind: `"http"` or `"socks5"`.
        encryption: Of the connection to an HTTP proxy.
    """
    made = _SocksServer if kind == "socks5" else ThreadingHTTPServer
    with made(("127.0.0.1", 0), _Socks if kind == "socks5" else _Tunnel) as running:
        running.daemon_threads = True
        running.asked = []
        if encryption is not None:
            running.socket = encryption.wrap_socket(running.socket, server_side=True)
        scheme = kind if encryption is None else "https"
        thread = threading.Thread(target=running.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield f"{scheme}://{USER}:{PASSWORD}@127.0.0.1:{running.server_port}", running.asked
        finally:
            running.shutdown()
            thread.join()
