"""What every URL must be before anything is sent to it."""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

if TYPE_CHECKING:
    from langchain_sutro.errors import SutroError

__all__ = ["is_loopback", "split_url"]


def split_url(url: object, subject: str, error: type[SutroError]) -> SplitResult:
    """Split an absolute `http` or `https` URL.

    Args:
        url: The URL as the user passed it. It may hold a secret, so no message quotes it.
        subject: What the messages call it, such as "The deployment's URL".
        error: The class of the error.

    Raises:
        SutroError: It is no such URL, or it contains user information.
    """
    if not isinstance(url, str) or re.search(r"[\s\\\x00-\x1f\x7f]", url):
        raise error(f"{subject} must be a string without white space or backslashes.")
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise error(f"{subject} is not a URL.") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise error(f"{subject} must be absolute, such as https://sutro.example.com.")
    if "@" in parts.netloc:
        raise error(f"{subject} must not contain user information.")
    if not _is_host(parts.hostname):
        raise error(f"The host of {subject[:1].lower()}{subject[1:]} is not a name.")
    return parts


def _is_host(host: str) -> bool:
    """Whether it is an address, or a name whose labels are neither empty nor too long."""
    name = host.removesuffix(".")
    try:
        return ":" in host or bool(name and name.encode("idna"))
    except UnicodeError:
        return False


def is_loopback(host: str) -> bool:
    """Whether a host is this machine, so that `http` shows nothing to anybody.

    Args:
        host: `localhost`, or an address without brackets.
    """
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
