"""Locks between processes, which the kernel releases when their holder dies, however it dies."""

from __future__ import annotations

import os
import socket
import sys
import time
import weakref
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import orjson

from langchain_sutro.errors import SutroConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["FileLock", "exclusive"]

_PAUSE = 0.05

if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> bool:
        # Far behind what the file holds, which others read.
        os.lseek(descriptor, 1 << 30, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except PermissionError:
            return False
        return True

else:
    import fcntl

    def _lock(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


class FileLock:
    """A lock that one thread of one process holds at a time, in a file that says who it is.

    Args:
        path: The file; it is made.
        keep: Whether the file and its note stay after the release.
    """

    def __init__(self, path: Path, *, keep: bool = False) -> None:
        self._path = path
        self._keep = keep
        self._descriptor: int | None = None
        self._note: dict[str, Any] = {}

    @property
    def note(self) -> dict[str, Any]:
        """What a holder has noted in the file last, besides who it is."""
        return self._note

    def acquire(self) -> bool:
        """Take the lock if nobody holds it.

        Raises:
            OSError: The file cannot be made, or its file system has no locks.
        """
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            # The last holder may have removed the file that was just opened.
            if not _lock(descriptor) or not self._is_at_its_place(descriptor):
                os.close(descriptor)
                return False
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor
        _held.add(self)
        note = _read(self._path).get("note")
        self._note = note if isinstance(note, dict) else {}
        self._write()
        return True

    def _is_at_its_place(self, descriptor: int) -> bool:
        try:
            return os.path.samestat(os.fstat(descriptor), self._path.stat())
        except FileNotFoundError:
            return False

    def write(self, **note: Any) -> None:
        """Note something for the next holder, which is there even if this one is killed."""
        self._note = note
        self._write()

    def _write(self) -> None:
        if self._descriptor is None:
            return
        holder = {"pid": os.getpid(), "host": socket.gethostname(), "since": time.time()}
        content = orjson.dumps({"holder": holder, "note": self._note})
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        os.write(self._descriptor, content)
        os.ftruncate(self._descriptor, len(content))

    def release(self) -> None:
        """Let the next one have it."""
        descriptor, self._descriptor = self._descriptor, None
        _held.discard(self)
        if descriptor is None:
            return
        if not self._keep:
            with suppress(OSError):
                self._path.unlink()
        os.close(descriptor)

    def abandon(self) -> None:
        """In a forked child: the lock is the parent's, and must not outlive it."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def holder(self) -> str:
        """Who holds the lock, for a message."""
        holder = _read(self._path).get("holder")
        if not isinstance(holder, dict):
            return "another process"
        since = holder.get("since")
        seconds = time.time() - since if isinstance(since, int | float) else 0
        return f"process {holder.get('pid')} on {holder.get('host')}, for {max(0, seconds):.0f} s"


def _read(path: Path) -> dict[str, Any]:
    try:
        found = orjson.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


_held: weakref.WeakSet[FileLock] = weakref.WeakSet()


def _after_fork() -> None:
    for lock in list(_held):
        lock.abandon()
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


@contextmanager
def exclusive(path: Path, seconds: float) -> Iterator[None]:
    """Hold the lock of a file while the block runs. Blocks, so not for an event loop.

    Args:
        path: The file that is to have one owner; the lock is a file beside it.
        seconds: How long to wait for another owner.

    Raises:
        SutroConfigurationError: There is another owner, who is named, or there can be no lock.
    """
    lock = FileLock(path.with_name(f"{path.name}.lock"))
    end = time.monotonic() + seconds
    try:
        while not lock.acquire():
            if time.monotonic() >= end:
                raise SutroConfigurationError(
                    f"{path} is in use by {lock.holder()}. Wait until that process has ended, and "
                    "try again."
                )
            time.sleep(_PAUSE)
    except OSError as error:
        raise SutroConfigurationError(
            f"{path} cannot be locked ({error.strerror}). Choose a directory that exists, that can "
            "be written, and whose file system has locks."
        ) from error
    try:
        yield
    finally:
        lock.release()
