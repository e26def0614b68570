"""The rows of files as Arrow tables, to be put beside their results."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from langchain_sutro._core.rows.columns import Columns
from langchain_sutro._core.rows.object_store import file_system, store_errors
from langchain_sutro._core.rows.table_files import file_reader, open_file_reader
from langchain_sutro.errors import SutroInputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from langchain_sutro._core.rows.file_set import TableFile

__all__ = ["InputRows", "schema_of_inputs"]

_ROWS = 16_384


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
        with _source(file) as (schema, _):
            try:
                plain = schema.remove_metadata()
                whole = pa.unify_schemas([whole, plain], promote_options="permissive")
            except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
                raise SutroInputError(
                    f"The columns of {file.name} cannot be joined with those of the files before: "
                    f"{str(error).partition(';')[0]}"
                ) from None
    return whole


class InputRows:
    """The rows of some files, one after the other, in pieces of any size.

    Args:
        files: As for `schema_of_inputs`.
        schema: From there.
    """

    def __init__(self, files: Sequence[TableFile], schema: Any) -> None:
        self._schema = schema
        self._batches = self._read(files)
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

    def _read(self, files: Sequence[TableFile]) -> Any:
        import pyarrow as pa  # noqa: PLC0415

        for file in files:
            with _source(file) as (_, batches):
                for batch in batches():
                    arrays = [
                        _as(batch.column(one.name), one.type)
                        if one.name in batch.schema.names
                        else pa.nulls(batch.num_rows, one.type)
                        for one in self._schema
                    ]
                    yield pa.RecordBatch.from_arrays(arrays, schema=self._schema)


def _as(array: Any, kind: Any) -> Any:
    return array if array.type == kind else array.cast(kind)


@contextmanager
def _source(file: TableFile) -> Iterator[tuple[Any, Callable[[], Iterator[Any]]]]:
    """The schema of a file, and what reads its record batches."""
    if file.is_local:
        if file.is_parquet:
            with Path(file.location).open("rb") as opened:
                yield _parquet(opened, file)
            return
        reader = file_reader(Path(file.location))
        if reader is None or not file.location.lower().endswith((".csv", ".tsv")):
            raise SutroInputError(f"{file.name}: inputs can be joined of Parquet and CSV files.")
        yield _text(reader)
        return
    if file.location.startswith(("http://", "https://")):
        raise SutroInputError(
            f"{file.location} was given as a URL, so that its rows cannot be read again: join the "
            "files that are written with it by position."
        )
    system, path = file_system(file.location)
    with store_errors(file.location, "read"), system.open(path, "rb") as opened:
        yield _parquet(opened, file) if file.is_parquet else _text(open_file_reader(opened))


def _parquet(opened: Any, file: TableFile) -> tuple[Any, Callable[[], Iterator[Any]]]:
    import pyarrow as pa  # noqa: PLC0415
    from pyarrow import parquet  # noqa: PLC0415

    try:
        source = parquet.ParquetFile(opened)
    except pa.ArrowInvalid:
        raise SutroInputError(f"{file.name} is not a Parquet file.") from None
    return source.schema_arrow, partial(source.iter_batches, _ROWS, use_threads=False)


def _text(reader: Callable[[Columns], Any]) -> tuple[Any, Callable[[], Iterator[Any]]]:
    import pyarrow as pa  # noqa: PLC0415

    take = reader(Columns())
    head = take(_ROWS)
    schema = pa.schema([(name, pa.string()) for name in (head[0] if head else ())])

    def batches() -> Iterator[Any]:
        rows = head
        while rows:
            yield pa.RecordBatch.from_pylist(rows, schema)
            rows = take(_ROWS)

    return schema, batches
