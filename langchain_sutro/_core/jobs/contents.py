"""What the parts of a table consist of: rows that are encoded already, or files."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol, TypeVar

from langchain_sutro._core.jobs.checkpoint import JobPart, PartFile
from langchain_sutro._core.jobs.plan import FileSize, Limits, plan
from langchain_sutro._core.jobs.staging import check_stage, stage_rows, staged_name
from langchain_sutro._core.rows import (
    FileRows,
    FileSet,
    RemoteTable,
    SpooledRows,
    TableFile,
    check_no_fields,
    count_rows,
    file_rows,
    identify,
    remote_table,
    schema_of_inputs,
    spool_rows,
)
from langchain_sutro._core.service import start_all
from langchain_sutro.errors import SutroInputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

__all__ = ["Contents", "FileContents", "RowContents", "kept_files", "pieces_of"]

_T = TypeVar("_T")
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
    """Files, of which each is a part unless it is too large, or small and joined with others.

    Those on this machine are read twice, so that all rows are checked before the first job is
    submitted and only those of one part are on disk in encoded form. Those in object storage are
    taken by the service, from URLs that are signed when they are needed. What is cut or joined, and
    with `stage` what is on this machine, is written to an object first.

    Args:
        files: In the order of their rows.
        limits: How large a part may be.
        stage: Directory in object storage for what must be written anew, if there is one.
    """

    def __init__(self, files: FileSet, limits: Limits, stage: str | None = None) -> None:
        self._files = files
        self._limits = limits
        self._stage = None if stage is None else check_stage(stage)
        self._given = {file.location: file for file in files.files}

    def parts(self) -> list[JobPart]:
        """See `Contents`."""
        if self._stage is not None:
            return self._staged_parts(self._stage)
        self._files.check()
        counts = _in_threads(file_rows, self._files.files)
        return list(map(self._part, self._files.files, counts))

    def _part(self, file: TableFile, rows: int | None) -> JobPart:
        kept = PartFile(file.location, file.size, file.version)
        if not file.is_local:
            self._check_size(file, rows)
            return JobPart(rows, None, files=[kept])
        with self._spool(file) as spooled:
            self._check_size(file, spooled.count)
            return JobPart(spooled.count, spooled.sha256, files=[kept])

    def _check_size(self, file: TableFile, rows: int | None) -> None:
        if rows == 0:
            raise SutroInputError(f"{file.name} has no rows.")
        most, largest = self._limits.rows, self._limits.size
        if rows is not None and most is not None and rows > most:
            raise SutroInputError(
                f"{file.name} has {rows:,} rows, and a job may have {most:,}: give a directory in "
                "object storage as stage, where it is cut."
            )
        if not file.is_local and largest is not None and (file.size or 0) > largest:
            raise SutroInputError(
                f"{file.name} has {file.size:,} bytes, and a job may have {largest:,}: give a "
                "directory in object storage as stage, where it is cut."
            )

    def _staged_parts(self, stage: str) -> list[JobPart]:
        check_no_fields(self._files.fields)
        files = self._files.files
        sizes = _in_threads(self._size, files)
        for file, size in zip(files, sizes, strict=True):
            if size.rows == 0:
                raise SutroInputError(f"{file.name} has no rows.")
        made = []
        for pieces in plan(sizes, self._limits):
            rows = [
                FileRows(files[one.file], one.first_row, one.rows, one.rows == sizes[one.file].rows)
                for one in pieces
            ]
            kept = [
                PartFile(
                    one.file.location,
                    one.file.size,
                    one.file.version,
                    one.first_row,
                    None if one.is_whole else one.rows,
                )
                for one in rows
            ]
            known = [one.rows for one in rows if one.rows is not None]
            as_it_is = len(rows) == 1 and rows[0].is_whole and not rows[0].file.is_local
            made.append(
                JobPart(
                    sum(known) if len(known) == len(rows) else None,
                    None,
                    files=kept,
                    staged=None if as_it_is else staged_name(stage, rows),
                )
            )
        return made

    def _size(self, file: TableFile) -> FileSize:
        """How large a file is. The rows of a CSV file are counted only if they matter."""
        largest = self._limits.size
        matters = self._limits.joined_rows is not None or (
            largest is not None and (file.size or 0) > largest
        )
        # Whatever else is on this machine is read, to find out whether it can be staged.
        matters = matters or (file.is_local and not file.location.lower().endswith(".csv"))
        if file.location.startswith(("http://", "https://")):
            return FileSize(None, file.size)
        if not (file.is_parquet or matters):
            return FileSize(None, file.size)
        kind = None if self._limits.joined_rows is None else str(schema_of_inputs([file]))
        return FileSize(count_rows(file), file.size, kind)

    def _spool(self, file: TableFile) -> SpooledRows:
        try:
            return spool_rows(self._files.table(file))
        except SutroInputError as error:
            error.add_note(f"In {file.name}.")
            raise

    def check_same(self, parts: Sequence[JobPart]) -> None:
        """See `Contents`."""
        kept = [file.location for part in parts for file in part.files if not file.first_row]
        if kept != [file.location for file in self._files.files]:
            raise SutroInputError(
                "The files differ from those in the checkpoint, which names them: pass the same, "
                "or none."
            )
        if any(part.job_id is None for part in parts):
            for part in parts:
                for file in part.files:
                    self._check_unchanged(part, file)

    def _check_unchanged(self, part: JobPart, kept: PartFile) -> None:
        try:
            now = identify(kept.location)
        except SutroInputError:
            if part.job_id is None:
                raise
            # Its rows have been taken, so that it is not needed any more.
            return
        if (now.size, now.version) == (kept.size, kept.version):
            return
        if now.is_local and part.sha256 is not None and self._has_same_rows(now, part):
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
        del number
        if part.staged is not None:
            stage_rows(part.staged, pieces_of(part), part.rows)
            yield remote_table(part.staged)
            return
        file = self._given[part.files[0].location]
        if not file.is_local:
            if _lacks_url(file):
                raise SutroInputError(
                    f"The presigned URL of {file.location} is not in the checkpoint, because it is "
                    "a credential: pass the URLs again, in the same order."
                )
            yield remote_table(file.url or file.location)
            return
        with self._spool(file) as spooled:
            if spooled.sha256 != part.sha256:
                raise SutroInputError(
                    f"{file.name} was changed while its table was submitted. Put it back, and "
                    "resume."
                )
            yield spooled


def _in_threads(work: Callable[[TableFile], _T], files: Sequence[TableFile]) -> list[_T]:
    with ThreadPoolExecutor(_AT_ONCE, "langchain-sutro-files") as pool:
        found = start_all(pool, work, files)
        return [one.result() for one in found]


def _lacks_url(file: TableFile) -> bool:
    """Whether a file can only be had by a URL that the checkpoint does not keep."""
    return file.location.startswith(("http://", "https://")) and not file.url


def kept_files(parts: Sequence[JobPart]) -> tuple[TableFile, ...]:
    """The files that a checkpoint names, each once."""
    return tuple(
        TableFile(file.location, file.size, file.version)
        for part in parts
        for file in part.files
        if not file.first_row
    )


def pieces_of(part: JobPart) -> list[FileRows]:
    """The rows of the files that are a part."""
    return [
        FileRows(
            TableFile(file.location, file.size, file.version),
            file.first_row,
            file.rows,
            file.rows is None,
        )
        for file in part.files
    ]
