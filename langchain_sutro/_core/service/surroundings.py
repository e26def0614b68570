"""What the environment of this machine says about connections: certificates and proxies."""

from __future__ import annotations

import os
import ssl
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.request import getproxies, proxy_bypass

import httpx

from langchain_sutro.errors import SutroConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["proxy_for", "tls"]


@cache
def tls() -> ssl.SSLContext:
    """The certificates that are trusted: of `SSL_CERT_FILE`, `SSL_CERT_DIR`, or certifi's.

    Raises:
        SutroConfigurationError: A variable names what cannot be used; the message says which.
    """
    for problem in _problems():
        raise SutroConfigurationError(problem)
    try:
        # Loading the certificates takes 20-70 ms: once per process.
        return httpx.create_ssl_context()
    except (OSError, ssl.SSLError) as error:
        raise SutroConfigurationError(
            f"The certificates of this machine cannot be loaded ({type(error).__name__}). Check "
            "SSL_CERT_FILE and SSL_CERT_DIR, or unset them."
        ) from None


def _problems() -> Iterator[str]:
    file, folder = os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")
    unset = "Correct the variable, or unset it to use the certificates of the package certifi."
    if file:
        try:
            ssl.create_default_context(cafile=file)
        except (OSError, ssl.SSLError) as error:
            why = "cannot be read" if isinstance(error, ssl.SSLError) else _why(error)
            if Path(file).is_file() and isinstance(error, ssl.SSLError):
                why = "has no certificates in PEM format"
            yield f"SSL_CERT_FILE names a file that {why}: {file!r}. {unset}"
    elif folder:
        # OpenSSL takes a folder that is missing, and then trusts nobody.
        folders = [part for part in folder.split(os.pathsep) if part]
        if not any(_has_entries(part) for part in folders):
            yield f"SSL_CERT_DIR names no folder that has certificates: {folder!r}. {unset}"
    log = os.environ.get("SSLKEYLOGFILE")
    if log and not _can_append(log):
        yield f"SSLKEYLOGFILE names a file that cannot be written: {log!r}. Correct or unset it."


def _why(error: OSError) -> str:
    return "does not exist" if isinstance(error, FileNotFoundError) else "cannot be read"


def _has_entries(folder: str) -> bool:
    try:
        return any(Path(folder).iterdir())
    except OSError:
        return False


def _can_append(path: str) -> bool:
    try:
        with Path(path).open("ab"):
            return True
    except OSError:
        return False


def proxy_for(url: httpx.URL) -> httpx.Proxy | None:
    """The proxy for an origin, from `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`.

    Raises:
        SutroConfigurationError: The proxy cannot be used. It may hold a password, so only the
            variable is named.
    """
    proxies = getproxies()
    kind = url.scheme if proxies.get(url.scheme) else "all"
    named = proxies.get(kind)
    if not named or proxy_bypass(url.host):
        return None
    variable = _variable(f"{kind}_proxy")
    scheme, _, rest = named.partition("://")
    if scheme.lower() in ("socks5", "socks5h"):
        if find_spec("socksio") is None:
            raise SutroConfigurationError(
                f"{variable} names a SOCKS proxy, for which the package socksio is missing. "
                'Install it with `pip install "httpx[socks]"`, or unset the variable.'
            )
        # The proxy resolves names in either case, and not every httpx knows the second.
        named = f"socks5://{rest}"
    try:
        # Without a scheme it is spoken to in HTTP, as by httpx and curl.
        proxy = httpx.Proxy(named if "://" in named else f"http://{named}")
        port = proxy.url.port
        usable = bool(proxy.url.host) and (port is None or 0 < port < 2**16)
        # Finds labels that are empty or too long; addresses with colons have none.
        _ = ":" in proxy.url.host or proxy.url.host.encode("idna")
    except (ValueError, httpx.InvalidURL):
        usable = False
    if not usable:
        raise SutroConfigurationError(
            f"{variable} does not name a proxy that can be used. It must be a URL such as "
            "http://proxy.example.com:8080. Correct the variable, or unset it; NO_PROXY lists the "
            "hosts that need no proxy."
        )
    return proxy


def _variable(name: str) -> str:
    """The spelling of a variable that is set; the system's settings may stand in for it."""
    return next((each for each in (name, name.upper()) if os.environ.get(each)), name)
