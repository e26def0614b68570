"""A directory of results, on this machine or in object storage."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any

from langchain_sutro._core.results.target import disk_errors, written
from langchain_sutro._core.rows import file_system, store_errors

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Folder"]


class Folder:
    """A directory in which files appear whole or not at all.

    Args:
        target: A local path, or a URL of a file system that fsspec knows.

    Raises:
        SutroConfigurationError: The package for a URL of this kind is not installed, or the
            directory cannot be made.
    """

    def __init__(self, target: str | PathLike[str]) -> None:
        scheme, mark, path = fspath(target).rpartition("://")
        self.name = f"{scheme}{mark}{path.rstrip('/') or path}"
        self._system: Any = None
        if "://" in self.name:
            self._system, self._path = file_system(self.name)
        else:
            with disk_errors(self.name, "made"):
                Path(self.name).mkdir(parents=True, exist_ok=True)

    def names(self) -> set[str]:
        """The names of the files."""
        if self._system is None:
            with disk_errors(self.name, "listed"):
                return {path.name for path in Path(self.name).iterdir()}
        with store_errors(self.name, "listed"):
            with suppress(AttributeError):
                self._system.invalidate_cache()
            try:
                found = self._system.ls(self._path, detail=False)
            except FileNotFoundError:
                return set()
            return {str(one).rstrip("/").rpartition("/")[2] for one in found}

    @contextmanager
    def opened(self, name: str) -> Iterator[Any]:
        """A file of it, to be read."""
        address = f"{self.name}/{name}"
        if self._system is None:
            with disk_errors(address, "read"), Path(address).open("rb") as file:
                yield file
            return
        with (
            store_errors(address, "read"),
            self._system.open(f"{self._path}/{name}", "rb") as file,
        ):
            yield file

    @contextmanager
    def written(self, name: str) -> Iterator[Any]:
        """A file of it that is there once it is written completely."""
        address = f"{self.name}/{name}"
        if self._system is None:
            with disk_errors(address, "written"), written(Path(address)) as file:
                yield file
            return
        with written(address) as file:
            yield file
