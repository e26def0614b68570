"""What the parts of a table consist of: rows that are encoded already, or files."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from langchain_sutro._core.jobs.checkpoint import JobPart, PartFile
from langchain_sutro._core.rows import (
    FileSet,
    RemoteTable,
    SpooledRows,
    TableFile,
    file_rows,
    identify,
    spool_rows,
)
from langchain_sutro._core.service import start_all
from langchain_sutro.errors import SutroInputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager

__all__ = ["Contents", "FileContents", "RowContents", "kept_files"]

_AT_ONCE = 8


class Contents(Protocol):
    """What the parts of a table consist of."""

    def parts(self) -> list[JobPart]:
        """A part for each job; every row on this machine is checked.

        Raises:
            SutroInputError: The table cannot be sent.
        """

    def check_same(self, parts: Sequence[JobPart]) -> None:
        """Compare with the parts of a checkpoint.

        Raises:
            SutroInputError: It is another table, or has changed.
        """

    def opened(
        self, number: int, part: JobPart
    ) -> AbstractContextManager[SpooledRows | RemoteTable]:
        """One part, from 0, as it is submitted."""


class RowContents:
    """Rows that are encoded already.

    Args:
        spooled: Those of each part.
    """

    def __init__(self, spooled: Sequence[SpooledRows]) -> None:
        self._spooled = spooled

    def parts(self) -> list[JobPart]:
        """See `Contents`."""
        return [JobPart(rows.count, rows.sha256) for rows in self._spooled]

    def check_same(self, parts: Sequence[JobPart]) -> None:
        """See `Contents`."""
        if [part.sha256 for part in parts] != [rows.sha256 for rows in self._spooled]:
            raise SutroInputError(
                "The table differs from the one in the checkpoint, or was submitted with other "
                "fields or another args_schema: pass the same to resume."
            )

    @contextmanager
    def opened(self, number: int, part: JobPart) -> Iterator[SpooledRows | RemoteTable]:
        """See `Contents`."""
        del part
        yield self._spooled[number]


class FileContents:
    """Files, of which each is a part.

    Those on this machine are read twice, so that all rows are checked before the first job is
    submitted and only those of one part are on disk in encoded form. Those in object storage are
    taken by the service, from URLs that are signed when they are needed.

    Args:
        files: In the order of their rows.
        max_rows: What a file may have, if there is a limit.
    """

    def __init__(self, files: FileSet, max_rows: int | None) -> None:
        self._files = files
        self._max_rows = max_rows

    def parts(self) -> list[JobPart]:
        """See `Contents`."""
        self._files.check()
        with ThreadPoolExecutor(_AT_ONCE, "langchain-sutro-files") as pool:
            counts = start_all(pool, file_rows, self._files.files)
            found = [count.result() for count in counts]
        return list(map(self._part, self._files.files, found))

    def _part(self, file: TableFile, rows: int | None) -> JobPart:
        kept = PartFile(file.location, file.size, file.version)
        if not file.is_local:
            self._check_rows(file, rows)
            return JobPart(rows, None, files=[kept])
        with self._spool(file) as spooled:
            self._check_rows(file, spooled.count)
            return JobPart(spooled.count, spooled.sha256, files=[kept])

    def _check_rows(self, file: TableFile, rows: int | None) -> None:
        if rows == 0:
            raise SutroInputError(f"{file.name} has no rows.")
        if rows is not None and self._max_rows is not None and rows > self._max_rows:
            raise SutroInputError(
                f"{file.name} has {rows:,} rows, and a job may have {self._max_rows:,}."
            )

    def _spool(self, file: TableFile) -> SpooledRows:
        try:
            return spool_rows(self._files.table(file))
        except SutroInputError as error:
            error.add_note(f"In {file.name}.")
            raise

    def check_same(self, parts: Sequence[JobPart]) -> None:
        """See `Contents`."""
        kept = [part.files[0].location for part in parts if part.files]
        if kept != [file.location for file in self._files.files]:
            raise SutroInputError(
                "The files differ from those in the checkpoint, which names them: pass the same, "
                "or none."
            )
        if any(part.job_id is None for part in parts):
            for part in parts:
                self._check_unchanged(part)

    def _check_unchanged(self, part: JobPart) -> None:
        kept = part.files[0]
        try:
            now = identify(kept.location)
        except SutroInputError:
            if part.job_id is None:
                raise
            # Its rows have been taken, so that it is not needed any more.
            return
        if (now.size, now.version) == (kept.size, kept.version):
            return
        if now.is_local and self._has_same_rows(now, part):
            return
        raise SutroInputError(
            f"{now.name} was changed after the checkpoint was made: its jobs would be of different "
            "tables. Put the file back, or submit the table again with another checkpoint."
        )

    def _has_same_rows(self, file: TableFile, part: JobPart) -> bool:
        with self._spool(file) as spooled:
            return spooled.sha256 == part.sha256

    @contextmanager
    def opened(self, number: int, part: JobPart) -> Iterator[SpooledRows | RemoteTable]:
        """See `Contents`."""
        file = self._files.files[number]
        if not file.is_local:
            if _lacks_url(file):
                raise SutroInputError(
                    f"The presigned URL of {file.location} is not in the checkpoint, because it is "
                    "a credential: pass the URLs again, in the same order."
                )
            table = self._files.table(file)
            if isinstance(table, RemoteTable):
                yield table
            return
        with self._spool(file) as spooled:
            if spooled.sha256 != part.sha256:
                raise SutroInputError(
                    f"{file.name} was changed while its table was submitted. Put it back, and "
                    "resume."
                )
            yield spooled


def _lacks_url(file: TableFile) -> bool:
    """Whether a file can only be had by a URL that the checkpoint does not keep."""
    return file.location.startswith(("http://", "https://")) and not file.url


def kept_files(parts: Sequence[JobPart]) -> tuple[TableFile, ...]:
    """The files that a checkpoint names."""
    return tuple(
        TableFile(file.location, file.size, file.version) for part in parts for file in part.files
    )
