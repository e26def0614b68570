"""An ASGI application on loopback, in a thread of this process."""

from contextlib import contextmanager

from langchain_sutro.local.http import ServerThread


@contextmanager
def served(app):
    """Serve an application; gives its URL."""
    server = ServerThread(0, lambda: None)
    server.start(app)
    try:
        server.wait(30)
        yield server.origin
    finally:
        server.stop()
