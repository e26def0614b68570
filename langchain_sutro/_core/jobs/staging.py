"""Rows of files written as an object of their own, which the service then fetches."""

from __future__ import annotations

import hashlib
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from langchain_sutro._core.results import written
from langchain_sutro._core.rows import InputRows, in_object_store, schema_of_inputs, store_errors
from langchain_sutro.errors import SutroInputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from langchain_sutro._core.rows import FileRows

__all__ = ["check_stage", "stage_rows", "staged_name"]

_ROWS = 65_536


def check_stage(stage: str) -> str:
    """The directory of staged objects, without a slash at its end.

    Raises:
        SutroInputError: The service could not fetch from there.
    """
    if not in_object_store(stage):
        raise SutroInputError(
            f"stage must be a directory in object storage, such as s3://bucket/staged, which the "
            f"service can fetch from, and not {stage!r}."
        )
    return stage.rstrip("/")


def staged_name(stage: str, pieces: Sequence[FileRows]) -> str:
    """The URL of the object for some rows: equal for equal rows of files that have not changed.

    Args:
        stage: The directory.
        pieces: The rows.
    """
    same = [
        [one.file.location, one.file.size, one.file.version, one.first_row, one.rows]
        for one in pieces
    ]
    name = hashlib.sha256(orjson.dumps(same)).hexdigest()[:32]
    kept = _as_it_is(pieces)
    return f"{stage}/{name}{kept.suffix.lower() if kept else '.parquet'}"


def stage_rows(address: str, pieces: Sequence[FileRows], count: int | None) -> None:
    """Write some rows as an object. Nobody sees it before it is complete.

    Args:
        address: From `staged_name`.
        pieces: The rows. A whole file of this machine is copied as it is.
        count: How many rows there should be, if known.

    Raises:
        SutroInputError: The files do not have so many rows, or cannot be read.
        SutroConfigurationError: The object cannot be written.
    """
    kept = _as_it_is(pieces)
    with store_errors(address, "written"), written(address) as file:
        if kept is not None:
            with kept.open("rb") as source:
                while part := source.read(1 << 20):
                    file.write(part)
            return
        done = _write(file, pieces)
        if count is not None and done != count:
            raise SutroInputError(
                f"{pieces[0].file.name} was changed while its table was submitted. Put it back, "
                "and resume."
            )


def _as_it_is(pieces: Sequence[FileRows]) -> Path | None:
    """The file of this machine, if all of it and nothing else is staged."""
    first = pieces[0]
    whole = len(pieces) == 1 and first.is_whole and first.file.is_local
    path = Path(first.file.location)
    return path if whole and path.suffix.lower() in (".csv", ".parquet") else None


def _write(file: object, pieces: Sequence[FileRows]) -> int:
    from pyarrow import parquet  # noqa: PLC0415

    schema = schema_of_inputs([one.file for one in pieces])
    done = 0
    with (
        closing(InputRows(pieces, schema)) as rows,
        parquet.ParquetWriter(file, schema) as writer,
    ):
        while (table := rows.take(_ROWS)).num_rows:
            writer.write_table(table)
            done += table.num_rows
    return done
