"""What goes wrong on the way to an answer, as errors of this package.

Errors are known by the names of their classes: httpx, httpx2 and the libraries below them use the
same names, and none of them has to be imported for the others.
"""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, NoReturn

from langchain_sutro.errors import SutroConnectionError, SutroTimeoutError

if TYPE_CHECKING:
    from langchain_sutro.errors import SutroError

__all__ = ["broken", "is_of_transport", "late", "was_sent"]

_LIBRARIES = frozenset(
    {"httpx", "httpx2", "httpcore", "httpcore2", "aiohttp", "h11", "h2", "anyio", "socksio"}
)
_NEVER_SENT = frozenset(
    {
        "ConnectError",
        "ConnectTimeout",
        "PoolTimeout",
        "ProxyError",
        "UnsupportedProtocol",
        "InvalidURL",
        "LocalProtocolError",
    }
)


def is_of_transport(error: Exception) -> bool:
    """Whether an error comes from the connection, and not from a sink, a body or a hook."""
    # Some libraries let errors of the encryption and of the system through.
    if isinstance(error, ssl.SSLError | ConnectionError):
        return True
    modules = (kind.__module__.partition(".")[0] for kind in type(error).__mro__)
    return not _LIBRARIES.isdisjoint(modules)


def was_sent(error: Exception) -> bool:
    """Whether the service may have acted on the request."""
    return _NEVER_SENT.isdisjoint(kind.__name__ for kind in type(error).__mro__)


def late(host: str, *, sent: bool = True) -> SutroTimeoutError:
    """The answer had not ended when the time was over."""
    return SutroTimeoutError(f"{host} did not answer in time.", sent=sent)


def broken(error: Exception, host: str) -> NoReturn:
    """Raise an error of the connection as one of this package.

    Args:
        error: What the HTTP library raised.
        host: All that is shown of the URL, which may be a secret.

    Raises:
        SutroConnectionError: Always; or SutroTimeoutError, which is one.
    """
    raise _broken(error, host) from None


def _broken(error: Exception, host: str) -> SutroError:
    names = {kind.__name__ for kind in type(error).__mro__}
    kind = type(error).__name__
    if "InvalidURL" in names:
        host = "a URL that is not valid"
    if names & _NEVER_SENT and _broke_later(error):
        return SutroConnectionError(
            f"No complete answer from {host}: {type(error.__cause__).__name__}."
        )
    sent = not names & _NEVER_SENT
    if "TimeoutException" in names:
        return SutroTimeoutError(f"{host} did not answer in time ({kind}).", sent=sent)
    reason = str(error) if "ConnectError" in names else ""
    return SutroConnectionError(
        f"No complete answer from {host}: {kind}{': ' if reason else ''}{reason}.", sent=sent
    )


def _broke_later(error: Exception) -> bool:
    """Whether httpx-aiohttp calls it a failure to connect although the connection stood.

    It does so for a connection that was dropped or reset after the request was sent. What it was
    is the cause.
    """
    kinds = {kind.__name__ for kind in type(error.__cause__).__mro__}
    connecting = kinds & {"ClientConnectorError", "ConnectionTimeoutError"}
    return "ClientConnectionError" in kinds and not connecting
