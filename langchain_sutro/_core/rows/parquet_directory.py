"""A directory of Parquet files that is one table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from langchain_sutro._core.rows.arrow_rows import TakeRows, check_types, take_batches
from langchain_sutro._core.rows.column_kinds import (
    DifferError,
    Kind,
    fill,
    kind_of_type,
    other_spelling,
    unite,
)
from langchain_sutro._core.rows.columns import check_names
from langchain_sutro._core.rows.parquet_files import BATCH_ROWS, open_parquet, parquet_batches
from langchain_sutro.errors import SutroInputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from langchain_sutro._core.rows.columns import Columns

__all__ = ["take_directory"]

_LOGS = {"_delta_log": "Delta Lake", ".hoodie": "Hudi"}
_NO_VALUE = "__HIVE_DEFAULT_PARTITION__"


@dataclass(frozen=True)
class _File:
    """A file of the directory.

    Attributes:
        path: Where it is.
        name: Its path within the directory, for errors.
        keys: The values of the `key=value` directories above it; None for a missing one.
    """

    path: Path
    name: str
    keys: Mapping[str, str | None]


def take_directory(folder: Path, columns: Columns) -> TakeRows:
    """Read a directory of Parquet files in the order of their names.

    The table has the columns of all files; a row has null where its file lacks one. The values of
    `key=value` directories are strings.

    Raises:
        SutroInputError: It has no Parquet files, or other files, or one column is not of one kind
            in all files; or, during reading, a file is damaged.
    """
    files = sorted(_files(folder, folder), key=lambda file: file.name)
    if not files:
        raise SutroInputError(f"{folder.name} has no Parquet files.")
    table = _Table()
    for file in files:
        table.add(file, open_parquet(file.path, file.name).schema_arrow)
    chosen = columns.chosen(table.names())
    for name, schema in table.schemas.items():
        _check_types(schema, chosen, name)
    take = take_batches(_batches(files, table, list(chosen.values())), chosen)
    uneven = {
        name: table.kinds[column] for name, column in chosen.items() if column in table.uneven
    }

    def take_filled(count: int) -> list[Any]:
        rows = list(take(count))
        for name, kind in uneven.items():
            for row in rows:
                row[name] = fill(row[name], kind)
        return rows

    return take_filled if uneven else take


def _files(folder: Path, root: Path, above: frozenset[Path] = frozenset()) -> Iterator[_File]:
    real = folder.resolve()
    if real in above:
        raise SutroInputError(f"{root.name} has a link to a directory above it.")
    for path in folder.iterdir():
        name = path.relative_to(root).as_posix()
        if path.name in _LOGS and path.is_dir():
            raise SutroInputError(
                f"{root.name} is a {_LOGS[path.name]} table, whose files are not all part of it: "
                "read it with its own library and pass the table."
            )
        if path.name.startswith((".", "_")):
            continue
        if path.is_dir():
            yield from _files(path, root, above | {real})
        else:
            yield _File(path, name, _keys(name))


def _keys(name: str) -> dict[str, str | None]:
    parts = (part.partition("=") for part in name.split("/")[:-1] if "=" in part)
    return {unquote(key): None if value == _NO_VALUE else unquote(value) for key, _, value in parts}


class _Table:
    """The columns of all files.

    Attributes:
        kinds: The kind of each column in the files.
        schemas: The schema of each file, by the file's name.
        uneven: Columns with objects whose fields are not the same in all files.
    """

    def __init__(self) -> None:
        self.kinds: dict[str, Kind] = {}
        self.schemas: dict[str, Any] = {}
        self.uneven: set[str] = set()
        self._first: dict[str, str] = {}
        self._keys: tuple[str, ...] | None = None

    def add(self, file: _File, schema: Any) -> None:
        """Add a file.

        Raises:
            SutroInputError: A column of it is of another kind than in the files before.
        """
        try:
            check_names(schema.names)
        except SutroInputError as error:
            raise SutroInputError(f"{file.name}: {error}", column=error.column) from None
        self._add_keys(file)
        for name in schema.names:
            spelt = other_spelling(name, self.kinds, schema.names)
            if spelt is not None:
                raise SutroInputError(
                    f"Column {name!r} of {file.name} is {spelt!r} in {self._first[spelt]}: give it "
                    "one name.",
                    column=name,
                )
            self._add_column(file, name, kind_of_type(schema.field(name).type))
        self.schemas[file.name] = schema

    def _add_column(self, file: _File, name: str, kind: Kind) -> None:
        known = self.kinds.get(name, kind)
        first = self._first.setdefault(name, file.name)
        try:
            self.kinds[name] = unite(known, kind)
        except DifferError as error:
            raise SutroInputError(
                f"Column {name!r} is not of one type: {error} in {first} and {file.name}.",
                column=name,
            ) from None
        if kind != known:
            self.uneven.add(name)

    def _add_keys(self, file: _File) -> None:
        keys = tuple(file.keys)
        if self._keys not in (None, keys):
            raise SutroInputError(
                f"{file.name} is not below the same key=value directories as the other files."
            )
        self._keys = keys

    def names(self) -> list[str]:
        """The names of all columns."""
        return list(dict.fromkeys([*self.kinds, *(self._keys or ())]))


def _check_types(schema: Any, chosen: Mapping[str, str], file: str) -> None:
    there = set(schema.names)
    try:
        check_types(schema, [name for name in chosen.values() if name in there])
    except SutroInputError as error:
        raise SutroInputError(f"{file}: {error}", column=error.column) from None


def _batches(files: Sequence[_File], table: _Table, columns: Sequence[str]) -> Iterator[Any]:
    for file in files:
        opened = open_parquet(file.path, file.name)
        if not opened.schema_arrow.equals(table.schemas[file.name]):
            raise SutroInputError(f"{file.name} was changed while the directory was read.")
        for batch in _own_batches(opened, file.name, columns):
            yield _whole(batch, file, columns)


def _own_batches(opened: Any, name: str, columns: Sequence[str]) -> Iterator[Any]:
    """The columns that the file has itself, as record batches of the right lengths."""
    import pyarrow as pa  # noqa: PLC0415

    own = [one for one in columns if one in opened.schema_arrow.names]
    if own or not columns:
        yield from parquet_batches(opened, name, own)
        return
    left = opened.metadata.num_rows
    while left:
        count = min(left, BATCH_ROWS)
        yield pa.RecordBatch.from_arrays([pa.nulls(count)], names=[columns[0]])
        left -= count


def _whole(batch: Any, file: _File, columns: Sequence[str]) -> Any:
    """The batch with all columns, of which some are the same for the whole file."""
    import pyarrow as pa  # noqa: PLC0415

    if not columns:
        return batch
    arrays = []
    for name in dict.fromkeys(columns):
        if name in batch.schema.names and not pa.types.is_null(batch.schema.field(name).type):
            arrays.append(batch.column(name))
        elif name in file.keys and name not in batch.schema.names:
            arrays.append(pa.array([file.keys[name]] * batch.num_rows, pa.string()))
        else:
            arrays.append(pa.nulls(batch.num_rows))
    return pa.RecordBatch.from_arrays(arrays, names=list(dict.fromkeys(columns)))
