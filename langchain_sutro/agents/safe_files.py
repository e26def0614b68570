"""Files below one directory, opened by names that a model supplies."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from langchain_sutro._core.rows import PLAIN_ENDINGS
from langchain_sutro.errors import SutroConfigurationError, SutroInputError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["RootFiles"]

_PIECE = 1 << 20
# Errors that another name would fix. Others, such as a broken disk, are raised unchanged.
_CORRECTABLE = frozenset(
    {
        errno.EACCES,
        errno.EINVAL,
        errno.EISDIR,
        errno.ELOOP,
        errno.ENAMETOOLONG,
        errno.ENOENT,
        errno.ENOTDIR,
        errno.ENXIO,
        errno.EPERM,
    }
)


class RootFiles:
    """Provides copies of the tables below a directory, and of nothing else.

    Every part of a name is opened relative to the directory that was opened before it, and no
    symbolic link is followed, so that neither the name nor a concurrent change can lead out of it.

    Args:
        root: The directory.
        max_bytes: Maximum size of a file.

    Raises:
        SutroConfigurationError: `root` is not a directory, or the system lacks `openat`.
    """

    def __init__(self, root: str | os.PathLike[str], max_bytes: int) -> None:
        if os.open not in os.supports_dir_fd or not hasattr(os, "O_NOFOLLOW"):
            raise SutroConfigurationError(
                "root= needs a system with openat, such as Linux or macOS."
            )
        try:
            # The developer's own links are followed, once.
            self._root = Path(root).resolve(strict=True)
        except OSError:
            raise SutroConfigurationError(f"root={str(root)!r} does not exist.") from None
        if not self._root.is_dir():
            raise SutroConfigurationError(f"root={str(root)!r} is not a directory.")
        self._max_bytes = max_bytes

    @contextmanager
    def copied(self, name: str) -> Iterator[Path]:
        """A private copy of a file, deleted at the end.

        It is a copy because the file that is checked must be the file that is read.

        Args:
            name: Relative to the root, with `/` between its parts.

        Raises:
            SutroInputError: There is no such file, or it may not be read; the message reveals
                nothing about what is outside the root.
        """
        parts = _parts(name)
        with tempfile.TemporaryDirectory(prefix="langchain-sutro-") as folder:
            copy = Path(folder, parts[-1])
            try:
                with ExitStack() as stack:
                    self._copy(self._open(parts, stack), copy)
            except (OSError, UnicodeError) as error:
                if isinstance(error, OSError) and error.errno not in _CORRECTABLE:
                    raise
                raise SutroInputError(f"There is no file {name!r} that may be read.") from None
            yield copy

    def _open(self, parts: tuple[str, ...], stack: ExitStack) -> int:
        """A descriptor of the file; closed by the stack."""
        at = _opened(stack, str(self._root), os.O_DIRECTORY)
        for part in parts[:-1]:
            at = _opened(stack, part, os.O_DIRECTORY, at)
        # Checked before it is opened, since opening a device can have effects.
        _check_regular(os.stat(parts[-1], dir_fd=at, follow_symlinks=False))
        # And afterwards: the file may have been replaced, even by a pipe, which would block.
        file = _opened(stack, parts[-1], os.O_NONBLOCK, at)
        _check_regular(os.fstat(file))
        return file

    def _copy(self, file: int, copy: Path) -> None:
        size = 0
        with copy.open("xb") as target:
            while piece := os.read(file, _PIECE):
                size += len(piece)
                if size > self._max_bytes:
                    raise SutroInputError(
                        f"{copy.name!r} is larger than the {self._max_bytes:,} bytes that may be "
                        "read."
                    )
                target.write(piece)


def _opened(stack: ExitStack, name: str, flags: int, at: int | None = None) -> int:
    opened = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | flags, dir_fd=at)
    stack.callback(os.close, opened)
    return opened


def _check_regular(facts: os.stat_result) -> None:
    if not stat.S_ISREG(facts.st_mode):
        raise OSError(errno.EINVAL, "not a regular file")


def _parts(name: str) -> tuple[str, ...]:
    """The parts of a name that stays below the root.

    Raises:
        SutroInputError: The name is invalid; the message says what is expected.
    """
    path = PurePosixPath(name)
    relative = "\0" not in name and "://" not in name and not path.is_absolute()
    if not relative or ".." in path.parts or not path.parts:
        raise SutroInputError(
            f"{name!r} is not a valid file name: it must be relative, without '..', and not a URL."
        )
    if path.suffix.lower() not in PLAIN_ENDINGS:
        raise SutroInputError(f"{name!r} must end in one of {', '.join(PLAIN_ENDINGS)}.")
    return path.parts
