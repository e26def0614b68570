"""Where results are written: a local file or an fsspec URL, which is there whole or not at all."""

from __future__ import annotations

import uuid
from contextlib import contextmanager, suppress
from os import PathLike, fspath
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from langchain_sutro._core.rows import in_object_store, store_errors
from langchain_sutro.errors import SutroConfigurationError, SutroError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["disk_errors", "written"]


@contextmanager
def disk_errors(path: str | PathLike[str], what: str) -> Iterator[None]:
    """Turn the errors of this machine's disk into this package's.

    Args:
        path: What is reached.
        what: What is done to it, such as "read".

    Raises:
        SutroConfigurationError: The disk refuses it.
    """
    try:
        yield
    except SutroError:
        raise
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise SutroConfigurationError(f"{fspath(path)} cannot be {what}: {reason}.") from error


@contextmanager
def written(target: str | PathLike[str]) -> Iterator[Any]:
    """A binary file that replaces the target once it is written completely.

    Args:
        target: A local path, or a URL of a file system that fsspec knows.

    Raises:
        SutroConfigurationError: It is a URL, and fsspec or the package for its kind is missing, or
            the storage refuses it.
        OSError: The local file cannot be written.
    """
    name = fspath(target)
    with _remote(name) if "://" in name else _local(Path(name)) as file:
        yield file


@contextmanager
def _local(path: Path) -> Iterator[Any]:
    part = path.with_name(f".{path.name[:100]}.{uuid.uuid4().hex[:8]}.part")
    try:
        with part.open("xb") as file:
            yield file
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def _remote(url: str) -> Iterator[Any]:
    scheme = url.partition("://")[0]
    try:
        from fsspec.core import url_to_fs  # noqa: PLC0415

        system, path = url_to_fs(url)
    except (ImportError, ValueError):
        raise SutroConfigurationError(
            f"Install fsspec, and its package for {scheme}://, to write there."
        ) from None
    # Written here first: what is open in a store when something goes wrong might be taken as whole.
    with TemporaryDirectory(prefix="langchain-sutro-") as folder:
        local = Path(folder) / "part"
        with local.open("xb") as file:
            yield file
        with store_errors(url, "written"):
            if in_object_store(url):
                # An object is there when all of it has arrived.
                system.put_file(str(local), path)
            else:
                _put_and_move(system, local, path)


def _put_and_move(system: Any, local: Path, path: str) -> None:
    part = f"{path}.{uuid.uuid4().hex[:8]}.part"
    try:
        system.makedirs(path.rpartition("/")[0], exist_ok=True)
        system.put_file(str(local), part)
        system.mv(part, path)
    except BaseException:
        with suppress(OSError):
            system.rm(part)
        raise
