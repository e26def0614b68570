"""Object storage, reached with fsspec and this machine's credentials."""

from __future__ import annotations

import re
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from langchain_sutro._core.service import quiet_logs
from langchain_sutro.errors import SutroConfigurationError, SutroError, SutroInputError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "SIGNED_SECONDS",
    "describe",
    "file_system",
    "in_object_store",
    "scheme_of",
    "sign",
    "size_and_version",
    "store_errors",
]

_EXTRAS = {
    "s3": "s3",
    "s3a": "s3",
    "gs": "gcs",
    "gcs": "gcs",
    "az": "azure",
    "abfs": "azure",
    "abfss": "azure",
}
SIGNED_SECONDS = 6 * 3600
"""How long a URL is valid: the service downloads when the job starts, which may wait for long."""

# Names of what changes when an object does, in the answers of the stores, the surest first.
_VERSIONS = ("etag", "generation", "versionid", "md5hash", "content_md5", "last_modified", "mtime")
_CREDENTIALS = re.compile(r"\A[a-z0-9+]+://[^/]*:[^/]*@", re.IGNORECASE)


def scheme_of(address: str) -> str:
    """The scheme of a URL in lower case; empty for a path."""
    scheme, mark, _ = address.partition("://")
    return scheme.lower() if mark else ""


def in_object_store(address: str) -> bool:
    """Whether it is the URL of an object that can be signed here."""
    return scheme_of(address) in _EXTRAS


def file_system(address: str) -> tuple[Any, str]:
    """The file system of an address, and the path there.

    Args:
        address: A URL that fsspec knows, or a local path.

    Raises:
        SutroConfigurationError: fsspec, or its package for the scheme, is missing.
        SutroInputError: The URL holds credentials, which would be stored with it.
    """
    if _CREDENTIALS.match(address):
        raise SutroInputError(
            f"A {scheme_of(address)}:// URL must not hold credentials: give them to this machine "
            "in the way that the object store documents."
        )
    scheme = scheme_of(address)
    try:
        from fsspec.core import url_to_fs  # noqa: PLC0415

        system, path = url_to_fs(address)
    except (ImportError, ValueError):
        extra = _EXTRAS.get(scheme)
        what = f'"langchain-sutro[{extra}]"' if extra else f"fsspec and its package for {scheme}://"
        raise SutroConfigurationError(f"To reach {scheme}:// here, install {what}.") from None
    return system, str(path)


@contextmanager
def store_errors(address: str, what: str) -> Iterator[None]:
    """Turn the errors of a store, which may hold keys and signatures, into this package's.

    Args:
        address: What is reached.
        what: What is done to it, such as "read".

    Raises:
        SutroInputError: It is not there.
        SutroConfigurationError: Anything else went wrong.
    """
    try:
        yield
    except FileNotFoundError:
        raise SutroInputError(f"There is no {address}.") from None
    except SutroError:
        raise
    except Exception as error:  # noqa: BLE001 - each store has errors of its own
        raise SutroConfigurationError(
            f"{address} could not be {what} ({type(error).__name__}): check this machine's "
            "credentials for it."
        ) from None


def sign(address: str) -> str:
    """A URL by which anybody can read an object for some hours: a credential.

    Args:
        address: Of the object, such as `s3://bucket/key`.

    Raises:
        SutroConfigurationError: The extra that signs is missing, or signing failed.
    """
    scheme = scheme_of(address)
    try:
        system, path = file_system(address)
    except SutroConfigurationError:
        raise SutroConfigurationError(
            f"To sign {scheme}:// tables here, install "
            f'"langchain-sutro[{_EXTRAS.get(scheme, "s3")}]"; or pass a presigned https:// URL.'
        ) from None
    try:
        with quiet_logs(""):
            url = system.sign(path, expiration=SIGNED_SECONDS)
    except Exception as error:  # noqa: BLE001 - each store has errors of its own, which may hold keys
        raise SutroConfigurationError(
            f"The table in {scheme}:// could not be signed ({type(error).__name__}): check this "
            "machine's credentials for it."
        ) from None
    return str(url)


def describe(address: str) -> tuple[int | None, str | None]:
    """The size of an object in bytes, and what changes when the object does.

    Args:
        address: Of the object.

    Raises:
        SutroInputError: There is no such object.
        SutroConfigurationError: It cannot be looked at.
    """
    system, path = file_system(address)
    with store_errors(address, "read"):
        with suppress(AttributeError):
            # What was listed before may be out of date.
            system.invalidate_cache()
        return size_and_version(system.info(path))


def size_and_version(info: dict[str, Any]) -> tuple[int | None, str | None]:
    """The same from what fsspec says of a file."""
    size = info.get("size")
    found = {name.lower().replace("-", "_"): value for name, value in info.items()}
    version = next((found[name] for name in _VERSIONS if found.get(name) is not None), None)
    return (
        size if isinstance(size, int) else None,
        None if version is None else str(version).strip('"'),
    )
