"""The rows of files as Arrow tables: to be put beside their results, or written anew."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from langchain_sutro._core.rows.columns import Columns
from langchain_sutro._core.rows.object_store import file_system, store_errors
from langchain_sutro._core.rows.parquet_files import damage
from langchain_sutro._core.rows.table_files import file_reader, open_file_reader
from langchain_sutro.errors import SutroInputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from langchain_sutro._core.rows.file_set import TableFile

__all__ = ["FileRows", "InputRows", "count_rows", "schema_of_inputs"]

_ROWS = 16_384


class FileRows(NamedTuple):
    """Some rows of a file.

    Attributes:
        file: The file.
        first_row: The first of them.
        rows: How many; None for all from there on.
        is_whole: Whether these are all rows of the file.
    """

    file: TableFile
    first_row: int = 0
    rows: int | None = None
    is_whole: bool = True


def count_rows(file: TableFile) -> int:
    """How many rows a file has; a CSV file is read for it.

    Args:
        file: As for `schema_of_inputs`.

    Raises:
        SutroInputError: It cannot be read.
        SutroConfigurationError: The object storage cannot be reached.
    """
    with _source(file) as source:
        return source.count()


def schema_of_inputs(files: Sequence[TableFile]) -> Any:
    """The `pyarrow.Schema` that holds the rows of all files.

    Args:
        files: Parquet and CSV files; the cells of the latter are strings.

    Raises:
        SutroInputError: One cannot be read, or a column has types that have none in common.
        SutroConfigurationError: The object storage cannot be reached.
    """
    import pyarrow as pa  # noqa: PLC0415

    whole = pa.schema([])
    for file in files:
        with _source(file) as source:
            try:
                whole = _unified(whole, source.schema.remove_metadata())
            except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
                raise SutroInputError(
                    f"The columns of {file.name} cannot be joined with those of the files before: "
                    f"{str(error).partition(';')[0]}"
                ) from None
    return whole


def _unified(whole: Any, schema: Any) -> Any:
    import pyarrow as pa  # noqa: PLC0415

    try:
        return pa.unify_schemas([whole, schema], promote_options="permissive")
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
        # A category of one file may be a string of another.
        both = [pa.schema(map(_decoded, one)) for one in (whole, schema)]
        return pa.unify_schemas(both, promote_options="permissive")


def _decoded(field: Any) -> Any:
    import pyarrow as pa  # noqa: PLC0415

    is_encoded = pa.types.is_dictionary(field.type)
    return field.with_type(field.type.value_type) if is_encoded else field


class InputRows:
    """Rows of some files, one after the other, in pieces of any size.

    Args:
        pieces: The rows, of files as for `schema_of_inputs`.
        schema: From there.
    """

    def __init__(self, pieces: Sequence[FileRows], schema: Any) -> None:
        self._schema = schema
        self._batches = self._read(pieces)
        self._rest: list[Any] = []

    def take(self, rows: int) -> Any:
        """The next rows as a `pyarrow.Table`; fewer only at the end."""
        import pyarrow as pa  # noqa: PLC0415

        taken, missing = [], rows
        while missing:
            batch = self._rest.pop() if self._rest else next(self._batches, None)
            if batch is None:
                break
            taken.append(batch.slice(0, missing))
            if batch.num_rows > missing:
                self._rest.append(batch.slice(missing))
            missing -= taken[-1].num_rows
        return pa.Table.from_batches(taken, self._schema)

    def close(self) -> None:
        """Close the files."""
        self._batches.close()

    def _read(self, pieces: Sequence[FileRows]) -> Any:
        import pyarrow as pa  # noqa: PLC0415

        for piece in pieces:
            with _source(piece.file) as source:
                for batch in _part(source.batches(piece.first_row), piece.rows):
                    arrays = [
                        _as(batch.column(one.name), one, piece.file)
                        if one.name in batch.schema.names
                        else pa.nulls(batch.num_rows, one.type)
                        for one in self._schema
                    ]
                    yield pa.RecordBatch.from_arrays(arrays, schema=self._schema)


def _as(array: Any, field: Any, file: TableFile) -> Any:
    import pyarrow as pa  # noqa: PLC0415

    if array.type == field.type:
        return array
    try:
        return array.cast(field.type)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise SutroInputError(
            f"Column {field.name!r} of {file.name} has values that cannot be {field.type}, the "
            "type that it has in all files together: give it one type in all of them.",
            column=field.name,
        ) from None


def _part(batches: Iterator[Any], rows: int | None) -> Iterator[Any]:
    """The first rows."""
    for batch in batches:
        if rows is None:
            yield batch
            continue
        if rows:
            yield batch.slice(0, rows)
        rows -= min(rows, batch.num_rows)
        if not rows:
            return


class _Source(Protocol):
    """An open file."""

    schema: Any

    def count(self) -> int:
        """How many rows it has."""

    def batches(self, first: int) -> Iterator[Any]:
        """The record batches from a row on."""


@contextmanager
def _source(file: TableFile) -> Iterator[_Source]:
    if file.is_local:
        if file.is_parquet:
            with Path(file.location).open("rb") as opened:
                yield _Parquet(opened, file)
            return
        reader = file_reader(Path(file.location))
        if reader is None or not file.location.lower().endswith((".csv", ".tsv")):
            raise SutroInputError(f"{file.name} is neither a Parquet nor a CSV file.")
        yield _Text(reader)
        return
    if file.location.startswith(("http://", "https://")):
        raise SutroInputError(
            f"{file.location} was given as a URL, by which only the service reads it."
        )
    system, path = file_system(file.location)
    with store_errors(file.location, "read"), system.open(path, "rb") as opened:
        yield _Parquet(opened, file) if file.is_parquet else _Text(open_file_reader(opened))


class _Parquet:
    def __init__(self, opened: Any, file: TableFile) -> None:
        from pyarrow import parquet  # noqa: PLC0415

        self._name = file.name
        with damage(file.name):
            self._file = parquet.ParquetFile(opened, page_checksum_verification=True)
        self.schema = self._file.schema_arrow

    def count(self) -> int:
        return int(self._file.metadata.num_rows)

    def batches(self, first: int) -> Iterator[Any]:
        groups: list[int] = []
        skipped = 0
        for index in range(self._file.num_row_groups):
            rows = self._file.metadata.row_group(index).num_rows
            if not groups and skipped + rows <= first:
                skipped += rows
            else:
                groups.append(index)
        if groups:
            found = self._file.iter_batches(_ROWS, row_groups=groups, use_threads=False)
            with damage(self._name):
                yield from _from(found, first - skipped)


class _Text:
    def __init__(self, reader: Callable[[Columns], Any]) -> None:
        import pyarrow as pa  # noqa: PLC0415

        self._take = reader(Columns())
        self._head = self._take(_ROWS)
        names = self._head[0] if self._head else ()
        self.schema = pa.schema([(name, pa.string()) for name in names])

    def count(self) -> int:
        return sum(batch.num_rows for batch in self.batches(0))

    def batches(self, first: int) -> Iterator[Any]:
        return _from(self._all(), first)

    def _all(self) -> Iterator[Any]:
        import pyarrow as pa  # noqa: PLC0415

        rows = self._head
        while rows:
            yield pa.RecordBatch.from_pylist(rows, self.schema)
            rows = self._take(_ROWS)


def _from(batches: Iterator[Any], first: int) -> Iterator[Any]:
    """All rows but the first ones."""
    for batch in batches:
        if first < batch.num_rows:
            yield batch.slice(first)
        first -= min(first, batch.num_rows)
