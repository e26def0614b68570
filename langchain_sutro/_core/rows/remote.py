"""Tables that the service downloads itself: https URLs, and signed URLs of object storage."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import NoReturn

from langchain_sutro._core.exports import exported_from
from langchain_sutro._core.rows.object_store import in_object_store, sign
from langchain_sutro._core.service import is_loopback, split_url
from langchain_sutro.errors import SutroInputError

__all__ = ["RemoteTable", "is_remote", "remote_table"]


@exported_from("langchain_sutro")
@dataclass(frozen=True, repr=False)
class RemoteTable:
    """An uncompressed CSV or Parquet file that the service downloads once, without credentials.

    Attributes:
        url: The full URL, for the request body only: its query may hold a signature, which is a
            credential.
        location: The URL without query and fragment, for messages, fingerprints and traces.
    """

    url: str
    location: str = field(init=False)

    def __post_init__(self) -> None:
        _check(self.url)
        object.__setattr__(self, "location", re.split(r"[?#]", self.url, maxsplit=1)[0])

    def __repr__(self) -> str:
        return f"RemoteTable({self.location!r})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("A RemoteTable is not pickled, because its URL may be a credential.")


def is_remote(address: str) -> bool:
    """Whether a string is the URL of a table that is not on this machine."""
    scheme, mark, _ = address.partition("://")
    return bool(mark) and (scheme.lower() in ("http", "https") or in_object_store(address))


def remote_table(address: str) -> RemoteTable:
    """Make a table of a URL, signing it if it is in object storage.

    Args:
        address: `https://…`, `http://` to loopback, `s3://…`, `gs://…`, `az://…`.

    Returns:
        The table. Signing uses this machine's credentials, and may use the network.

    Raises:
        SutroInputError: The URL cannot be used.
        SutroConfigurationError: The extra that signs is missing, or signing failed.
    """
    return RemoteTable(sign(address) if in_object_store(address) else address)


def _check(url: str) -> None:
    parts = split_url(url, "The table's URL", SutroInputError)
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        raise SutroInputError(
            "The table's URL must use https; http is allowed for localhost and loopback addresses "
            "only."
        )
