"""HTTP clients that the caller made, of httpx or of httpx2, which this package does not import.

What a client sends by default, such as headers, cookies and parameters, is meant for the
deployment. Object storage is therefore reached through the client's transports alone.
"""

from __future__ import annotations

import inspect
import sys
from typing import Any, Protocol, runtime_checkable
from urllib.parse import parse_qsl

from langchain_sutro.errors import SutroConfigurationError

__all__ = ["HTTPClient", "check_client", "library_of", "request_for", "transport_of"]


@runtime_checkable
class HTTPClient(Protocol):
    """What is used of an `httpx.Client`, an `httpx2.Client` and their asynchronous forms."""

    @property
    def is_closed(self) -> bool:
        """Whether it can send nothing any more."""

    @property
    def build_request(self) -> Any:
        """Makes a request with the client's defaults."""

    @property
    def send(self) -> Any:
        """Sends a request."""


def check_client(client: object, name: str, *, asynchronous: bool) -> None:
    """Check that a client is one, and of the right kind.

    Args:
        client: What the caller passed; None is fine.
        name: Of the parameter.
        asynchronous: Whether an asynchronous client belongs there.

    Raises:
        SutroConfigurationError: It cannot be used there.
    """
    if client is None:
        return
    wanted = "AsyncClient" if asynchronous else "Client"
    fits = isinstance(client, HTTPClient) and library_of(client) is not None
    if not fits or inspect.iscoroutinefunction(client.send) is not asynchronous:  # type: ignore[attr-defined]
        raise SutroConfigurationError(
            f"{name} must be an httpx.{wanted} or httpx2.{wanted}, not {type(client).__name__}."
        )


def library_of(client: object) -> Any:
    """The module `httpx` or `httpx2` that a client's class comes from, or None."""
    for kind in type(client).__mro__:
        root = kind.__module__.partition(".")[0]
        if root in ("httpx", "httpx2") and kind.__name__ in ("Client", "AsyncClient"):
            return sys.modules[root]
    return None


def request_for(client: HTTPClient, method: str, url: str, **options: Any) -> Any:
    """A request to the deployment, with what the client adds to each.

    Args:
        client: The caller's.
        method: HTTP method.
        url: Absolute URL, encoded.
        options: The content, the headers and the extensions.
    """
    url, _, query = url.partition("?")
    # Parameters of the client replace those in a URL, but not those that are passed beside it.
    params = parse_qsl(query, keep_blank_values=True)
    return client.build_request(method, url, params=params or None, **options)


def transport_of(client: HTTPClient, url: Any) -> Any:
    """The transport by which a client reaches a URL, or None where it does not say.

    There is no public way to send a request without the client's hooks and cookies, and without
    its log of the whole URL.
    """
    choose = getattr(client, "_transport_for_url", None)
    return choose(url) if callable(choose) else None
