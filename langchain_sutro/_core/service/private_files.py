"""Files of this process alone: where the system can, they have no name, and end with it."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import BinaryIO, cast

__all__ = ["keep_private", "open_private", "remove_private"]

# Opens a file of this process again, although it has no name.
_OPEN_FILES = Path("/proc/self/fd")
# Each takes one of the files that a process may have open, of which there may be a thousand.
_MOST = 100

_kept: set[int] = set()


def open_private() -> tuple[BinaryIO, Path | None]:
    """A new file for writing that only this user can read, and its name if it has one.

    It has none where it can be kept without, so that nothing stays of a process that is killed.

    Raises:
        OSError: There is no room for it.
    """
    if len(_kept) < _MOST and _OPEN_FILES.is_dir():
        return cast("BinaryIO", tempfile.TemporaryFile(prefix="langchain-sutro-")), None
    handle, path = tempfile.mkstemp(prefix="langchain-sutro-", suffix=".parquet")
    return os.fdopen(handle, "wb"), Path(path)


def keep_private(file: BinaryIO) -> Path:
    """A path of a file without a name, by which this process can open it until it is removed."""
    handle = os.dup(file.fileno())
    _kept.add(handle)
    return _OPEN_FILES / str(handle)


def remove_private(path: Path) -> None:
    """Remove a file of this process, with or without a name."""
    if path.parent != _OPEN_FILES:
        path.unlink(missing_ok=True)
        return
    handle = int(path.name)
    # The number of a file that was removed may be another's by now.
    if handle in _kept:
        _kept.discard(handle)
        os.close(handle)
