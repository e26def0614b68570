"""Which rows of which files are one job: decided from sizes alone, without reading anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Sequence

__all__ = ["FileSize", "Limits", "Piece", "plan"]


class FileSize(NamedTuple):
    """How large a file is.

    Attributes:
        rows: How many it has; None if that is not known.
        size: In bytes; None if that is not known.
        kind: Files of one kind can be joined: their columns are the same.
    """

    rows: int | None
    size: int | None
    kind: Hashable = None


class Limits(NamedTuple):
    """How large a job may be; None for no limit.

    Attributes:
        rows: Of a job.
        size: In bytes. Rows of one file count as equally large.
        joined_rows: Files are joined up to so many rows; None if they are not joined.
    """

    rows: int | None = None
    size: int | None = None
    joined_rows: int | None = None


class Piece(NamedTuple):
    """Rows of a file.

    Attributes:
        file: Its position.
        first_row: The first of them.
        rows: How many; None for all of a file whose rows were not counted.
    """

    file: int
    first_row: int
    rows: int | None


def plan(files: Sequence[FileSize], limits: Limits) -> list[list[Piece]]:
    """The pieces of each job: every row of every file once, in order.

    A file that is too large is cut into pieces that differ by at most one row. Neighbours of one
    kind that are small enough are joined. A file whose rows are not known stays whole.

    Args:
        files: In order.
        limits: How large a job may be.
    """
    jobs: list[list[Piece]] = []
    open_rows = open_size = 0
    open_kind: Hashable = None
    for number, file in enumerate(files):
        cuts = list(_cut(number, file, limits))
        rows, size = file.rows or 0, file.size or 0
        joins = (
            bool(jobs)
            and open_rows > 0
            and file.rows is not None
            and len(cuts) == 1
            and open_kind == file.kind
            and open_rows + rows <= (limits.joined_rows or 0)
            and (limits.rows is None or open_rows + rows <= limits.rows)
            and (limits.size is None or open_size + size <= limits.size)
        )
        if joins:
            jobs[-1] += cuts
            open_rows, open_size = open_rows + rows, open_size + size
            continue
        jobs += [[cut] for cut in cuts]
        # Nothing is joined to a piece of a file, or to a file whose rows are not known.
        open_rows, open_size = (rows, size) if len(cuts) == 1 else (0, 0)
        open_kind = file.kind
    return jobs


def _cut(number: int, file: FileSize, limits: Limits) -> Iterator[Piece]:
    if file.rows is None:
        yield Piece(number, 0, None)
        return
    count = 1
    if limits.rows is not None:
        count = max(count, -(-file.rows // limits.rows))
    if limits.size is not None and file.size is not None:
        count = max(count, -(-file.size // limits.size))
    count = min(count, max(1, file.rows))
    least, more = divmod(file.rows, count)
    first = 0
    for index in range(count):
        rows = least + (index < more)
        yield Piece(number, first, rows)
        first += rows
