"""The columns of results as the service sent them, in memory or in Parquet files."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import contextmanager
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

from langchain_sutro._core.results.cells import cells, scores, strings, text_array
from langchain_sutro._core.service import remove_private, when_gone
from langchain_sutro.errors import SutroJobError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

__all__ = [
    "CONFIDENCE",
    "INPUTS",
    "LOGPROBS",
    "OUTPUTS",
    "ConcatenatedColumns",
    "ResultColumns",
    "ResultRow",
]

OUTPUTS, CONFIDENCE = "outputs", "confidence_score"
INPUTS, LOGPROBS = "inputs", "cumulative_logprobs"

_WINDOW_ROWS = 4_096
# Small pieces are looked at and dropped. A table is kept in large ones, between which less memory
# is lost.
_PIECE_ROWS = 16_384
_KEPT_ROWS = 131_072
_BATCH_BYTES = 1 << 24
_READ_BYTES = 1 << 18
# mimalloc, the pool of most versions of pyarrow, keeps what is freed, which may be as much as the
# table, until it is told to return it to the system.
_RETURNED_BYTES = 1 << 21
# Four times what the answer of one call may have.
_MOST_OF_A_ROW = 1 << 27


class ResultColumns:
    """Columns of equal length, in the order of the job's input.

    Attributes:
        job_id: The job.
        names: Names of the columns, as the service sent them.
        count: The number of rows.
        output: Name of the column of outputs.
    """

    def __init__(
        self,
        job_id: str | None,
        schema: Any,
        count: int,
        *,
        table: Any = None,
        path: Path | None = None,
    ) -> None:
        self.job_id = job_id
        self.names: list[str] = list(schema.names)
        self.count = count
        if len(set(self.names)) < len(self.names):
            raise SutroJobError("Two columns of the results have the same name.", job_id=job_id)
        self.output = _output_name(self.names, job_id)
        self._schema = schema
        self._table = table
        self._path = path

    @classmethod
    def from_columns(
        cls, columns: Mapping[str, Sequence[Any]] | Sequence[Any], job_id: str | None
    ) -> ResultColumns:
        """Create columns from lists by name, or from the list of outputs alone.

        Raises:
            SutroJobError: There are no outputs, or the lists differ in length.
        """
        import pyarrow as pa  # noqa: PLC0415

        given = columns if isinstance(columns, Mapping) else {OUTPUTS: columns}
        output = _output_name(list(given), job_id)
        if not all(isinstance(values, list) for values in given.values()):
            raise SutroJobError("The results' columns are not lists.", job_id=job_id)
        if len({len(values) for values in given.values()}) != 1:
            raise SutroJobError("The results' columns differ in length.", job_id=job_id)
        arrays = {
            name: text_array(values) if name == output else _array(name, values)
            for name, values in given.items()
        }
        table = pa.table(arrays)
        return cls(job_id, table.schema, table.num_rows, table=table)

    @classmethod
    def from_parquet(cls, path: Path, job_id: str | None, *, delete: bool) -> ResultColumns:
        """Read columns from a file; `delete` removes it once nothing refers to it any more.

        Raises:
            SutroJobError: It is not a Parquet file, has no outputs, or says of itself that its rows
                have more than 128 MiB each.
        """
        import pyarrow as pa  # noqa: PLC0415

        try:
            with _open(path) as file:
                columns = cls(job_id, file.schema_arrow, file.metadata.num_rows, path=path)
                _check_sizes(file.metadata, job_id)
        except (pa.ArrowException, OSError, UnicodeDecodeError):
            _remove(path, delete=delete)
            raise SutroJobError("The results are not a Parquet file.", job_id=job_id) from None
        except SutroJobError:
            _remove(path, delete=delete)
            raise
        when_gone(columns, partial(_remove, path, delete=delete))
        return columns

    def read(self, names: Sequence[str]) -> Any:
        """Some columns as a `pyarrow.Table`."""
        import pyarrow as pa  # noqa: PLC0415

        wanted = [name for name in names if name in self.names]
        if self._table is not None:
            table = self._table.select(wanted)
        else:
            # Reading in batches takes half the memory of reading the file at once.
            schema = pa.schema([self._schema.field(name) for name in wanted])
            table = pa.Table.from_batches(self._batches(wanted, 0, _KEPT_ROWS), schema)
        return _cleaned(table)

    def tables(self, names: Sequence[str], rows: int = _WINDOW_ROWS) -> Iterator[tuple[Any, Any]]:
        """Outputs as arrays of large strings, each with a table of some other columns."""
        import pyarrow as pa  # noqa: PLC0415

        wanted = [name for name in names if name in self.names]
        for batch in self._batches([self.output, *wanted], 0, rows):
            others = pa.Table.from_batches([batch.select(wanted)])
            yield strings(batch.column(0)), _cleaned(others)

    def schema_of(self, names: Sequence[str]) -> Any:
        """The schema of some columns, as `tables` has them."""
        import pyarrow as pa  # noqa: PLC0415

        fields = [self._schema.field(name) for name in names if name in self.names]
        score = pa.field(CONFIDENCE, pa.float64())
        return pa.schema([score if one.name == CONFIDENCE else one for one in fields])

    def outputs(self, *, keep: bool = False) -> Iterator[Any]:
        """Outputs as Arrow arrays of large strings.

        Args:
            keep: Whether they stay in memory, and are not only looked at one by one.
        """
        for batch in self._batches([self.output], 0, _KEPT_ROWS if keep else _PIECE_ROWS):
            yield strings(batch.column(0))

    def windows(self, start: int) -> Iterator[list[tuple[Any, Any]]]:
        """Outputs with their confidences, a few thousand rows at a time.

        Args:
            start: Index of the first row.
        """
        names = [self.output, *([CONFIDENCE] if CONFIDENCE in self.names else [])]
        for batch in self._batches(names, start, _WINDOW_ROWS):
            confidences = [None] * batch.num_rows
            if CONFIDENCE in names:
                confidences = scores(batch.column(names.index(CONFIDENCE))).to_pylist()
            yield list(zip(cells(batch.column(0)), confidences, strict=True))

    def _batches(self, names: list[str], start: int, size: int) -> Iterator[Any]:
        if self._path is None:
            yield from self._table.select(names).slice(start).to_batches(size)
            return
        import pyarrow as pa  # noqa: PLC0415

        try:
            yield from self._file_batches(self._path, names, start, size)
        except (pa.ArrowException, OSError, UnicodeDecodeError):
            raise self._damaged() from None

    def _file_batches(self, path: Path, names: list[str], start: int, size: int) -> Iterator[Any]:
        import pyarrow as pa  # noqa: PLC0415

        pool, unreturned = pa.default_memory_pool(), 0
        # Each reader opens the file itself, so that several can be at different positions.
        with _open(path) as file:
            for group in range(file.num_row_groups):
                meta = file.metadata.row_group(group)
                rows = meta.num_rows
                if start >= rows:
                    start -= rows
                    continue
                fitting = max(1, _BATCH_BYTES * rows // max(meta.total_byte_size, 1))
                for batch in file.iter_batches(
                    min(size, fitting), row_groups=[group], columns=names, use_threads=False
                ):
                    rows -= batch.num_rows
                    wanted = batch.slice(start)
                    start -= batch.num_rows - wanted.num_rows
                    if wanted.num_rows:
                        yield wanted.select(names)
                    unreturned += batch.nbytes
                    if unreturned >= _RETURNED_BYTES:
                        pool.release_unused()
                        unreturned = 0
                if rows:
                    raise self._damaged()

    def _damaged(self) -> SutroJobError:
        return SutroJobError(
            "The file of results is damaged, and cannot be read: fetch the results again.",
            job_id=self.job_id,
        )

    def __reduce__(self) -> tuple[Any, ...]:
        # A pickle may leave the machine that has the file.
        return _from_table, (self.job_id, self.read_all())

    def read_all(self) -> Any:
        """All columns as the service sent them, as a `pyarrow.Table`."""
        import pyarrow as pa  # noqa: PLC0415

        if self._table is not None:
            return self._table
        return pa.Table.from_batches(self._batches(self.names, 0, _KEPT_ROWS), self._schema)


class ResultRow(NamedTuple):
    """A row's output and confidence, its position over all jobs, and its job."""

    output: Any
    confidence: Any
    position: int
    job_id: str | None


class ConcatenatedColumns:
    """The columns of several jobs, one after the other.

    Attributes:
        parts: The jobs' columns.
        count: Number of rows.
    """

    def __init__(self, parts: Sequence[ResultColumns]) -> None:
        self.parts = list(parts)
        self.count = sum(part.count for part in parts)
        self._lock = threading.Lock()
        # The position of `row`: the windows ahead, and the current one.
        self._ahead: Iterator[list[ResultRow]] = iter(())
        self._window: list[ResultRow] = []

    def __reduce__(self) -> tuple[Any, ...]:
        return ConcatenatedColumns, (self.parts,)

    def carried(self) -> tuple[str, ...]:
        """Names of columns that the service copied from its input."""
        known = {OUTPUTS, CONFIDENCE, INPUTS, LOGPROBS, *(part.job_id for part in self.parts)}
        names = dict.fromkeys(name for part in self.parts for name in part.names)
        return tuple(name for name in names if name not in known)

    def read(self, names: Sequence[str]) -> Any:
        """Those of some columns that exist, as one `pyarrow.Table`."""
        import pyarrow as pa  # noqa: PLC0415

        tables = [part.read(names) for part in self.parts]
        with _joinable():
            return pa.concat_tables(tables, promote_options="permissive")

    def schema_of(self, names: Sequence[str]) -> Any:
        """The schema of those of some columns that exist, over all jobs."""
        import pyarrow as pa  # noqa: PLC0415

        with _joinable():
            schemas = [part.schema_of(names) for part in self.parts]
            return pa.unify_schemas(schemas, promote_options="permissive")

    def tables(self, names: Sequence[str], rows: int = _WINDOW_ROWS) -> Iterator[tuple[Any, Any]]:
        """Outputs as arrays of large strings, each with a table of some other columns.

        Args:
            names: Of the other columns.
            rows: How many at most at a time.
        """
        return chain.from_iterable(part.tables(names, rows) for part in self.parts)

    def outputs(self, *, keep: bool = False) -> Iterator[Any]:
        """Outputs as Arrow arrays of large strings; `keep` as for those of one job."""
        return chain.from_iterable(part.outputs(keep=keep) for part in self.parts)

    def rows(self, start: int) -> Iterator[ResultRow]:
        """All rows from an index on."""
        return chain.from_iterable(self.windows(start))

    def row(self, index: int) -> ResultRow:
        """One row. Rows that are accessed in order are read once."""
        with self._lock:
            if not self._window or not 0 <= index - self._window[0].position < len(self._window):
                following = next(self._ahead, None)
                if following is None or not 0 <= index - following[0].position < len(following):
                    self._ahead = self.windows(index)
                    following = next(self._ahead)
                self._window = following
            return self._window[index - self._window[0].position]

    def windows(self, start: int) -> Iterator[list[ResultRow]]:
        """All rows from an index on, a few thousand at a time."""
        first = 0
        for part in self.parts:
            index = max(first, start)
            for window in part.windows(index - first) if index < first + part.count else ():
                yield [
                    ResultRow(output, confidence, index + offset, part.job_id)
                    for offset, (output, confidence) in enumerate(window)
                ]
                index += len(window)
            first += part.count


@contextmanager
def _joinable() -> Iterator[None]:
    """The error for columns of several jobs that differ in their types."""
    import pyarrow as pa  # noqa: PLC0415

    try:
        yield
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
        raise SutroJobError(
            "The jobs' columns have types that cannot be joined: read their results one by one."
        ) from None


def _output_name(names: Sequence[str], job_id: str | None) -> str:
    """The column of outputs, which a file may name after the job."""
    if OUTPUTS in names:
        return OUTPUTS
    if job_id is not None and job_id in names:
        return job_id
    raise SutroJobError(f"The results have no column {OUTPUTS!r}.", job_id=job_id)


def _check_sizes(metadata: Any, job_id: str | None) -> None:
    """Refuse a file whose rows would take all memory, before any of them is read."""
    for index in range(metadata.num_row_groups):
        group = metadata.row_group(index)
        if group.total_byte_size > _MOST_OF_A_ROW * max(group.num_rows, 1):
            raise SutroJobError(
                f"The file of results has {group.total_byte_size:,} bytes in {group.num_rows:,} "
                "rows, which is too much to be read safely: fetch the results again, or save the "
                "file with download_job_results and look at it.",
                job_id=job_id,
            )


def _array(name: str, values: Sequence[Any]) -> Any:
    import pyarrow as pa  # noqa: PLC0415

    try:
        return pa.array(values, pa.float64() if name == CONFIDENCE else None)
    except (pa.ArrowException, OverflowError, UnicodeError, RecursionError):
        return text_array(list(values))


def _cleaned(table: Any) -> Any:
    """A table with confidences as floats, and strings that are valid UTF-8."""
    import pyarrow as pa  # noqa: PLC0415

    for position, name in enumerate(table.column_names):
        chunks = table[name].chunks
        if name == CONFIDENCE:
            column = pa.chunked_array(map(scores, chunks), pa.float64())
        elif all(map(_is_valid, chunks)):
            continue
        else:
            column = pa.chunked_array([text_array(_replaced(one)) for one in chunks])
        table = table.set_column(position, name, column)
    return table


def _is_valid(array: Any) -> bool:
    """Whether an array holds what its type says, such as valid UTF-8."""
    import pyarrow as pa  # noqa: PLC0415

    try:
        array.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _replaced(array: Any) -> list[Any]:
    """The values of an array, with U+FFFD for bytes that are not UTF-8."""
    return [one.decode(errors="replace") if isinstance(one, bytes) else one for one in cells(array)]


def _from_table(job_id: str | None, table: Any) -> ResultColumns:
    return ResultColumns(job_id, table.schema, table.num_rows, table=table)


def _open(path: Path) -> Any:
    from pyarrow import parquet  # noqa: PLC0415

    # A buffer instead of whole column chunks.
    return parquet.ParquetFile(path, pre_buffer=False, buffer_size=_READ_BYTES)


def _remove(path: Path, *, delete: bool) -> None:
    if delete:
        remove_private(path)
