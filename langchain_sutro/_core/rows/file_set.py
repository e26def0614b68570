"""Several files that are one table: listed, found in a directory, or matched by a pattern."""

from __future__ import annotations

import glob
import os
import re
from dataclasses import dataclass, field
from os import PathLike, fspath
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from langchain_sutro._core.rows.object_store import (
    describe,
    file_system,
    in_object_store,
    scheme_of,
    size_and_version,
    store_errors,
)
from langchain_sutro._core.rows.parquet_files import damage
from langchain_sutro._core.rows.remote import RemoteTable, remote_table
from langchain_sutro._core.rows.tables import LocalTable, check_no_fields, table_for
from langchain_sutro.errors import SutroInputError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from langchain_sutro._core.rows.columns import Fields
    from langchain_sutro._core.rows.schema import InputSchema

__all__ = ["FileSet", "TableFile", "file_rows", "files_of", "identify", "parts_of"]

_REMOTE_ENDINGS = (".csv", ".parquet")
_LOCAL = re.compile(r"\.(csv|tsv|jsonl|ndjson)(\.gz|\.zst)?$|\.parquet$", re.IGNORECASE)
_REMOTE = re.compile(r"\.(csv|parquet)$", re.IGNORECASE)
# What the presigned URLs of Amazon, Google, Azure and their like have.
_SIGNED = re.compile(r"[?&](X-Amz-Signature|X-Goog-Signature|Signature|sig)=", re.IGNORECASE)
_LOGS = {"_delta_log": "Delta Lake", ".hoodie": "Hudi"}
_PATTERN = re.compile(r"[*?\[]")


@dataclass(frozen=True)
class TableFile:
    """A file that is a table, or a part of one.

    Attributes:
        location: Absolute path, `s3://…`-like URL, or `https://…` without its query.
        size: In bytes, if known.
        version: What changes when the file does, if known: an ETag, or the time of modification.
        url: The whole of an `https://…` URL, which may be a credential; empty for others.
    """

    location: str
    size: int | None = None
    version: str | None = None
    url: str = field(default="", repr=False, compare=False)

    @property
    def is_local(self) -> bool:
        """Whether it is on this machine."""
        return not scheme_of(self.location)

    @property
    def is_parquet(self) -> bool:
        """Whether its name says that it is a Parquet file."""
        return self.location.lower().endswith(".parquet")

    @property
    def name(self) -> str:
        """What to call it in errors."""
        return Path(self.location).name if self.is_local else self.location


@dataclass(frozen=True)
class FileSet:
    """Files in the order of their rows.

    Attributes:
        files: At least one.
        fields: As for `table_for`; for files on this machine only.
        schema: As for `table_for`; for files on this machine only.
    """

    files: tuple[TableFile, ...]
    fields: Fields | None = field(default=None, repr=False)
    schema: InputSchema | None = field(default=None, repr=False)

    def table(self, file: TableFile) -> LocalTable | RemoteTable:
        """One of the files as a table; an object is signed now.

        Raises:
            SutroInputError: As for `table_for`.
            SutroConfigurationError: It cannot be signed.
        """
        if file.is_local:
            return table_for(file.location, self.fields, self.schema)
        return table_for(remote_table(file.url or file.location), self.fields)

    def check(self) -> None:
        """Raises SutroInputError if columns are chosen of files that the service fetches."""
        if not all(file.is_local for file in self.files):
            check_no_fields(self.fields)


def files_of(data: Any) -> FileSet | None:
    """The files that are meant, in the order of their rows; None if something else is.

    Args:
        data: One of these:

            - a list of files: `Path`s, `RemoteTable`s, URLs of object storage, presigned URLs, and
              other strings that end in `.parquet` or another ending of a table;
            - a `Path` or string with `*`, `?` or `[…]`, which is a pattern for files;
            - a directory on this machine or in object storage: its `.parquet` and `.csv` files, in
              order of their names, without those that start with `.` or `_`;
            - a single file.

    Raises:
        SutroInputError: There is no such file, or a directory cannot be one table.
        SutroConfigurationError: The object storage cannot be reached.
    """
    files: Iterable[TableFile] | None = None
    if isinstance(data, (list, tuple)):
        files = list(map(_listed, data)) if data and all(map(_names_file, data)) else None
    elif isinstance(data, RemoteTable):
        files = [_listed(data)]
    elif isinstance(data, (str, PathLike)):
        files = _addressed(fspath(data))
    return None if files is None else FileSet(tuple(files))


def _addressed(address: str) -> Iterable[TableFile] | None:
    if scheme_of(address) in ("http", "https"):
        return [_listed(address)]
    if in_object_store(address):
        return _objects(address)
    if not _is_there(address):
        return _matched(address) if _PATTERN.search(address) and _LOCAL.search(address) else None
    path = Path(address)
    if path.is_dir():
        return _found(path, (one for one in path.rglob("*") if one.is_file()))
    return [identify(str(path.absolute()))]


def _matched(pattern: str) -> Iterable[TableFile]:
    paths = [Path(one) for one in glob.glob(pattern, recursive=True)]  # noqa: PTH207 - any pattern
    if not paths:
        raise SutroInputError(f"No file matches {pattern!r}.")
    return _found(None, paths)


def parts_of(
    data: Any,
    fields: Fields | None = None,
    schema: InputSchema | None = None,
    *,
    split: bool,
) -> LocalTable | RemoteTable | FileSet:
    """What is to be submitted in parts: a table, or files that are a part each.

    Args:
        data: As for `open_table` and `files_of`.
        fields: As for `table_for`.
        schema: As for `table_for`.
        split: Whether a file or a directory on this machine is one table, which is split.

    Raises:
        SutroInputError: As for `table_for` and `files_of`.
        SutroConfigurationError: The object storage cannot be reached.
    """
    is_path = isinstance(data, (str, PathLike))
    whole = split and is_path and not in_object_store(fspath(data)) and _is_there(fspath(data))
    found = None if whole else files_of(data)
    if found is None or (split and is_path and scheme_of(fspath(data)) in ("http", "https")):
        return table_for(data, fields, schema)
    return FileSet(found.files, fields, schema)


def identify(location: str) -> TableFile:
    """A file as it is now.

    Args:
        location: As in a `TableFile`.

    Raises:
        SutroInputError: There is no such file.
        SutroConfigurationError: The object storage cannot be reached.
    """
    if in_object_store(location):
        return TableFile(location, *describe(location))
    if scheme_of(location):
        return TableFile(location)
    try:
        stat = os.stat(location)  # noqa: PTH116 - a path may have a name that Path changes
    except OSError as error:
        raise SutroInputError(f"{Path(location).name} cannot be read: {error.strerror}.") from None
    return TableFile(location, stat.st_size, str(stat.st_mtime_ns))


def file_rows(file: TableFile) -> int | None:
    """How many rows an object has, if its end says so; the rest of it is not read.

    Args:
        file: In object storage.

    Raises:
        SutroInputError: It is not a Parquet file, although it is called so, or is not there.
        SutroConfigurationError: It cannot be read.
    """
    if not file.is_parquet or file.url or file.is_local:
        return None
    from pyarrow import parquet  # noqa: PLC0415

    system, path = file_system(file.location)
    with (
        store_errors(file.location, "read"),
        system.open(path, "rb") as opened,
        damage(file.location),
    ):
        return int(parquet.read_metadata(opened).num_rows)


def _names_file(one: Any) -> bool:
    """Whether an item of a list can only be a file, and no text to be judged."""
    if isinstance(one, (PathLike, RemoteTable)):
        return True
    if not isinstance(one, str):
        return False
    if any(map(str.isspace, one)):
        if in_object_store(one):
            return bool(_REMOTE.search(one))
        return not scheme_of(one) and _is_file(one)
    if scheme_of(one) in ("http", "https"):
        return bool(_SIGNED.search(one) or _REMOTE.search(one.partition("?")[0]))
    return in_object_store(one) or bool(_LOCAL.search(one))


def _is_there(text: str) -> bool:
    try:
        return Path(text).exists()
    except (OSError, ValueError):
        return False


def _is_file(text: str) -> bool:
    """Whether text with white space is a path all the same: one with an ending, that is there."""
    try:
        return bool(_LOCAL.search(text)) and Path(text).is_file()
    except (OSError, ValueError):
        return False


def _listed(one: Any) -> TableFile:
    if isinstance(one, RemoteTable):
        return TableFile(one.location, url=one.url)
    address = fspath(one)
    if scheme_of(address) in ("http", "https"):
        table = remote_table(address)
        return TableFile(table.location, url=table.url)
    if in_object_store(address):
        return identify(_checked_ending(address))
    return identify(str(Path(address).absolute()))


def _checked_ending(name: str) -> str:
    if not _REMOTE.search(name):
        raise SutroInputError(
            f"{name} does not end in {' or '.join(_REMOTE_ENDINGS)}, which is what the service "
            "fetches."
        )
    return name


def _objects(address: str) -> Iterable[TableFile]:
    """An object, those that match a pattern, or those of a directory."""
    system, path = file_system(address)
    if _REMOTE.search(address) and (not _PATTERN.search(address) or system.isfile(path)):
        return [identify(address)]
    scheme = address.partition("://")[0]
    with store_errors(address, "listed"):
        system.invalidate_cache()
        pattern = bool(_PATTERN.search(path))
        infos = system.glob(path, detail=True) if pattern else system.find(path, detail=True)
    base = "" if pattern else f"{path.rstrip('/')}/"
    files = []
    for name, info in sorted(infos.items()):
        if _belongs(PurePosixPath(name.removeprefix(base)), address, pattern=pattern):
            location = _checked_ending(f"{scheme}://{name}")
            files.append(TableFile(location, *size_and_version(info)))
    if not files:
        raise SutroInputError(f"{address} has no {' or '.join(_REMOTE_ENDINGS)} files.")
    return files


def _found(folder: Path | None, paths: Iterable[Path]) -> Iterable[TableFile]:
    """The files of a local directory, or those that a pattern matched."""
    files = []
    for path in sorted(paths, key=Path.as_posix):
        inside = path if folder is None else path.relative_to(folder)
        if _belongs(PurePosixPath(inside.as_posix()), str(folder), pattern=folder is None):
            files.append(identify(str(path.absolute())))
    if not files:
        raise SutroInputError(f"{'The pattern' if folder is None else folder.name} has no files.")
    return files


def _belongs(inside: PurePosixPath, place: str, *, pattern: bool) -> bool:
    """Whether a file of a directory is one of the table's.

    Raises:
        SutroInputError: The directory is a table of another kind.
    """
    for part in inside.parts[:-1]:
        if part in _LOGS and not pattern:
            raise SutroInputError(
                f"{place} is a {_LOGS[part]} table, whose files are not all part of it: read it "
                "with its own library and pass the table."
            )
    if pattern:
        return not inside.name.startswith((".", "_"))
    if any(part.startswith((".", "_")) for part in inside.parts):
        return False
    if any("=" in part for part in inside.parts[:-1]):
        raise SutroInputError(
            f"{place} has key=value directories, whose values are not in its files. Write them "
            "into a column, or list the files if the Function does not need them."
        )
    return True
