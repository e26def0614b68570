"""A download to a place of the user's, which a later process can continue."""

from __future__ import annotations

from typing import TYPE_CHECKING

from langchain_sutro._core.service.download import Download

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["PartFile"]


class PartFile(Download):
    """A file that grows beside its place and is moved there when it is complete.

    Its entity tag is kept in a file of its own, since only with it the rest can be told to belong
    to what is here.

    Args:
        place: Where the file goes.
        resume: Whether to continue what an earlier download has left.

    Raises:
        OSError: It cannot be written there.
    """

    def __init__(self, place: Path, *, resume: bool) -> None:
        self._place = place
        self._path = place.with_name(f"{place.name}.part")
        self._tag = place.with_name(f"{place.name}.part.etag")
        self._saved_tag = self._read_tag() if resume else None
        self._open = self._path.open("r+b" if self._saved_tag and self._path.exists() else "w+b")
        super().__init__(self._open)
        self.size = self._open.seek(0, 2)
        self.etag = self._saved_tag

    def _read_tag(self) -> str | None:
        try:
            tag = self._tag.read_text("ascii")
        except (OSError, ValueError):
            return None
        return tag if tag.isprintable() and tag.startswith('"') else None

    def write(self, piece: bytes) -> bool:
        """Take a piece, and keep the tag of a new object before it."""
        if self.etag != self._saved_tag:
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
        if self._open.closed:
            return
        self._open.close()
        if not self.resumable:
            self._path.unlink(missing_ok=True)
            self._tag.unlink(missing_ok=True)
