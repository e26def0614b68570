"""A download to a place of the user's, which a later process can continue."""

from __future__ import annotations

import uuid
from contextlib import suppress
from typing import TYPE_CHECKING

from langchain_sutro._core.jobs.locks import FileLock
from langchain_sutro._core.service import Download, when_gone

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["SavedFile"]


class SavedFile(Download):
    """A file that grows beside its place and is moved there when it is complete.

    Its entity tag is kept in a file of its own, since only with it the rest can be told to belong
    to what is here. One download at a time owns these two files; another one to the same place
    meanwhile has a file of its own, which cannot be continued.

    Args:
        place: Where the file goes.
        resume: Whether to continue what an earlier download has left.

    Raises:
        OSError: It cannot be written there.
    """

    def __init__(self, place: Path, *, resume: bool) -> None:
        self._place = place
        self._lock = FileLock(place.with_name(f"{place.name}.part.lock"))
        # A task may be cancelled while a thread makes the file for it.
        when_gone(self, self._lock.release)
        self._is_owner = self._owned()
        whose = "part" if self._is_owner else f"{uuid.uuid4().hex[:8]}.part"
        self._path = place.with_name(f"{place.name}.{whose}")
        self._tag = place.with_name(f"{place.name}.{whose}.etag")
        self._saved_tag = self._read_tag() if resume and self._is_owner else None
        try:
            self._open = self._path.open("r+b" if self._continues() else "w+b")
        except BaseException:
            self._lock.release()
            raise
        super().__init__(self._open)
        self.size = self._open.seek(0, 2)
        self.etag = self._saved_tag

    def _owned(self) -> bool:
        """Whether this download owns the files that can be continued."""
        # Where there are no locks, nobody does; a place that cannot be written is seen next.
        with suppress(OSError):
            return self._lock.acquire()
        return False

    def _continues(self) -> bool:
        return self._saved_tag is not None and self._path.exists()

    def _read_tag(self) -> str | None:
        try:
            tag = self._tag.read_text("ascii")
        except (OSError, ValueError):
            return None
        return tag if tag.isprintable() and tag.startswith('"') else None

    def write(self, piece: bytes) -> bool:
        """Take a piece, and keep the tag of a new object before it."""
        if self._is_owner and self.etag != self._saved_tag:
            # Nothing is told to belong to another tag, should this process end in between.
            self._tag.unlink(missing_ok=True)
            if self.etag is not None:
                self._tag.write_text(self.etag, "ascii")
            self._saved_tag = self.etag
        more = super().write(piece)
        # A forked child must not write what is left in its copy of the buffer.
        self._open.flush()
        return more

    def finish(self) -> Path:
        """Move the complete file to its place."""
        self._open.close()
        self._path.replace(self._place)
        self._tag.unlink(missing_ok=True)
        return self._place

    def close(self) -> None:
        """Leave what is here for the next download, unless nothing can continue it."""
        stays = self._is_owner and (self._open.closed or self.resumable)
        try:
            self._open.close()
            if not stays:
                self._path.unlink(missing_ok=True)
                self._tag.unlink(missing_ok=True)
        finally:
            self._lock.release()
