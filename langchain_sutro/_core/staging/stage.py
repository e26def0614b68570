"""The directory in which a cluster's workers leave files for each other: local, or behind a URL."""

from __future__ import annotations

import inspect
import os
import uuid
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from langchain_sutro.errors import SutroConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Stage", "open_stage"]


class Stage(Protocol):
    """A directory that the driver and all workers see under the same name.

    Files appear whole or not at all. Names are relative, with `/` between folders.
    """

    address: str

    def path(self, name: str) -> str:
        """The path or URL of a file, for whoever reads it by other means."""

    def write(self, name: str, content: Any) -> None:
        """Write a file, or replace it."""

    def create(self, name: str, content: bytes) -> bool:
        """Write a file unless it exists already; whether it was written."""

    def open(self, name: str) -> Any:
        """Open a file for reading, in binary mode."""

    def size(self, name: str) -> int | None:
        """The size of a file in bytes; None if it does not exist."""

    def names(self, folder: str) -> list[str]:
        """The names of the files of a folder, in order."""

    def remove(self, name: str) -> None:
        """Remove a file, if it exists."""


def open_stage(address: str | os.PathLike[str]) -> Stage:
    """The stage of a path or URL, which nothing is asked of yet.

    Args:
        address: A directory on a disk that the driver and all workers share, or the URL of a file
            system that fsspec knows, such as `s3://bucket/folder`, with the credentials of each
            machine's environment.

    Raises:
        SutroConfigurationError: The URL holds credentials, or fsspec or the package for its kind is
            missing.
    """
    name = os.fspath(address)
    if "://" not in name:
        return _Directory(name)
    place = name.partition("://")[2].partition("/")[0]
    if "@" in place or "?" in name or name.startswith(("http://", "https://")):
        raise SutroConfigurationError(
            "The URL of a stage must not hold credentials, because it is sent to the workers: pass "
            "one such as s3://bucket/folder, and give the machines their credentials."
        )
    return _Remote(name.rstrip("/"))


@contextmanager
def _errors(address: str, what: str, *expected: type[Exception]) -> Iterator[None]:
    """Turn the errors of a disk or a store, which may hold keys, into this package's.

    Args:
        address: What is reached.
        what: What is done to it.
        expected: Errors that the caller knows what to do with.
    """
    try:
        yield
    except expected:
        raise
    except Exception as error:  # noqa: BLE001 - each store has errors of its own
        reason = error.strerror if isinstance(error, OSError) else None
        raise SutroConfigurationError(
            f"{address} could not be {what} ({reason or type(error).__name__}). The driver and all "
            "workers must be able to read and write in the stage."
        ) from None


class _Directory:
    """A directory on a disk."""

    def __init__(self, address: str) -> None:
        self.address = os.path.abspath(address)  # noqa: PTH100 - a string, as for URLs
        self._folder = Path(self.address)

    def path(self, name: str) -> str:
        return str(self._folder / name)

    def write(self, name: str, content: Any) -> None:
        with _errors(self.path(name), "written"), self._beside(name, content) as beside:
            beside.replace(self._folder / name)

    def create(self, name: str, content: bytes) -> bool:
        with _errors(self.path(name), "written"), self._beside(name, content) as beside:
            try:
                os.link(beside, self._folder / name)
            except FileExistsError:
                return False
        return True

    @contextmanager
    def _beside(self, name: str, content: Any) -> Iterator[Path]:
        """A file with the content, under a name that nobody else uses."""
        path = self._folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.part")
        try:
            with beside.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            yield beside
        finally:
            beside.unlink(missing_ok=True)

    def open(self, name: str) -> Any:
        with _errors(self.path(name), "read", FileNotFoundError):
            return (self._folder / name).open("rb")

    def size(self, name: str) -> int | None:
        with suppress(FileNotFoundError), _errors(self.path(name), "read", FileNotFoundError):
            return (self._folder / name).stat().st_size
        return None

    def names(self, folder: str) -> list[str]:
        with suppress(FileNotFoundError), _errors(self.path(folder), "listed", FileNotFoundError):
            return sorted(os.listdir(self._folder / folder))  # noqa: PTH208 - names
        return []

    def remove(self, name: str) -> None:
        with _errors(self.path(name), "removed"):
            (self._folder / name).unlink(missing_ok=True)


class _Remote:
    """A prefix in object storage, by fsspec. What is put there appears whole."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._system, self._prefix = _filesystem(address)

    def __reduce__(self) -> tuple[Any, ...]:
        # Each machine connects with credentials of its own.
        return _Remote, (self.address,)

    def path(self, name: str) -> str:
        return f"{self.address}/{name}"

    def write(self, name: str, content: Any) -> None:
        with _errors(self.path(name), "written"):
            self._system.pipe_file(self._inner(name), bytes(content))

    def create(self, name: str, content: bytes) -> bool:
        if self.size(name) is not None:
            return False
        # Older versions of fsspec cannot leave the decision to the store.
        knows = "mode" in inspect.signature(self._system.pipe_file).parameters
        how = {"mode": "create"} if knows else {}
        with _errors(self.path(name), "written"):
            try:
                self._system.pipe_file(self._inner(name), content, **how)
            except FileExistsError:
                return False
        return True

    def open(self, name: str) -> Any:
        with _errors(self.path(name), "read", FileNotFoundError):
            return self._system.open(self._inner(name), "rb")

    def size(self, name: str) -> int | None:
        self._system.invalidate_cache()
        with suppress(FileNotFoundError), _errors(self.path(name), "read", FileNotFoundError):
            return int(self._system.size(self._inner(name)))
        return None

    def names(self, folder: str) -> list[str]:
        self._system.invalidate_cache()
        with suppress(FileNotFoundError), _errors(self.path(folder), "listed", FileNotFoundError):
            found = self._system.ls(self._inner(folder), detail=False)
            return sorted(str(path).rpartition("/")[2] for path in found)
        return []

    def remove(self, name: str) -> None:
        with suppress(FileNotFoundError), _errors(self.path(name), "removed", FileNotFoundError):
            self._system.rm_file(self._inner(name))

    def _inner(self, name: str) -> str:
        return f"{self._prefix}/{name}"


def _filesystem(address: str) -> tuple[Any, str]:
    try:
        from fsspec.core import url_to_fs  # noqa: PLC0415

        system, prefix = url_to_fs(address)
    except (ImportError, ValueError):
        scheme = address.partition("://")[0]
        raise SutroConfigurationError(
            f"Install fsspec, and its package for {scheme}://, on all machines of the cluster."
        ) from None
    return system, str(prefix)
