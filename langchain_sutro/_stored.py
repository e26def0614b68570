"""Result columns as they came: of one job or several, in memory or in files read in pieces."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from langchain_sutro.errors import SutroJobError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

__all__ = ["CONFIDENCE", "INPUTS", "LOGPROBS", "OUTPUTS", "StoredColumns", "StoredParts"]

OUTPUTS, CONFIDENCE = "outputs", "confidence_score"
INPUTS, LOGPROBS = "inputs", "cumulative_logprobs"

_BATCH_ROWS = 4_096
_READ_BYTES = 1 << 18


class StoredColumns:
    """Columns of equal length, in the order of the job's input.

    Attributes:
        job_id: The job.
        names: Of the columns, as they came.
        count: Number of rows.
    """

    def __init__(self, job_id: str | None, table: Any, file: Any) -> None:
        self.job_id = job_id
        self.names: list[str] = list(
            table.schema.names if file is None else file.schema_arrow.names
        )
        self.count: int = table.num_rows if file is None else file.metadata.num_rows
        self._table = table
        self._file = file
        self._output = _output_name(self.names, job_id)

    @classmethod
    def from_columns(
        cls, columns: Mapping[str, Sequence[Any]] | Sequence[Any], job_id: str | None
    ) -> StoredColumns:
        """Take lists by name, or the list of outputs alone.

        Raises:
            SutroJobError: There are no outputs, or lists differ in length.
        """
        import pyarrow as pa  # noqa: PLC0415

        given = columns if isinstance(columns, Mapping) else {OUTPUTS: columns}
        output = _output_name(list(given), job_id)
        if not all(isinstance(values, list) for values in given.values()):
            raise SutroJobError("The results' columns are not lists.", job_id=job_id)
        if len({len(values) for values in given.values()}) != 1:
            raise SutroJobError("The results' columns differ in length.", job_id=job_id)
        arrays = {
            name: pa.array(map(_text, values), pa.large_string())
            if name == output
            else _array(name, values)
            for name, values in given.items()
        }
        return cls(job_id, pa.table(arrays), None)

    @classmethod
    def from_parquet(cls, path: Path, job_id: str | None, *, delete: bool) -> StoredColumns:
        """Take a file; with `delete` it goes when nothing refers to it any more.

        Raises:
            SutroJobError: It is no Parquet file, or has no outputs.
        """
        import pyarrow as pa  # noqa: PLC0415
        from pyarrow import parquet  # noqa: PLC0415

        try:
            # A buffer instead of whole column chunks.
            file = parquet.ParquetFile(path, pre_buffer=False, buffer_size=_READ_BYTES)
            stored = cls(job_id, None, file)
        except (pa.ArrowException, OSError):
            _remove(path, delete=delete)
            raise SutroJobError("The results are not a Parquet file.", job_id=job_id) from None
        except SutroJobError:
            _remove(path, delete=delete)
            raise
        weakref.finalize(stored, _close, file, path, delete)
        return stored

    def read(self) -> Any:
        """All columns as a `pyarrow.Table`, with the names that the service documents."""
        import pyarrow as pa  # noqa: PLC0415

        table = self._table if self._file is None else self._file.read()
        arrays = {
            OUTPUTS if name == self._output else name: _cast(self._known(name), column)
            for name, column in zip(table.schema.names, table.columns, strict=True)
        }
        return pa.table(arrays)

    def scores(self) -> Any:
        """The confidences as a chunked array of floats; None if there are none."""
        if CONFIDENCE not in self.names:
            return None
        table = self._table if self._file is None else self._file.read([CONFIDENCE])
        return _cast(CONFIDENCE, table[CONFIDENCE])

    def windows(self, start: int) -> Iterator[list[tuple[Any, Any]]]:
        """Outputs with their confidences, some thousand rows at a time.

        Args:
            start: Index of the first row.
        """
        names = [self._output, *([CONFIDENCE] if CONFIDENCE in self.names else [])]
        for batch in self._batches(names, start):
            columns = [
                _cast(self._known(name), column).to_pylist()
                for name, column in zip(batch.schema.names, batch.columns, strict=True)
            ]
            by_name = dict(zip(batch.schema.names, columns, strict=True))
            scores = by_name.get(CONFIDENCE) or [None] * batch.num_rows
            yield list(zip(by_name[self._output], scores, strict=True))

    def _batches(self, names: list[str], start: int) -> Iterator[Any]:
        if self._file is None:
            yield from self._table.select(names).slice(start).to_batches(_BATCH_ROWS)
            return
        for group in range(self._file.num_row_groups):
            rows = self._file.metadata.row_group(group).num_rows
            if start >= rows:
                start -= rows
                continue
            for batch in self._file.iter_batches(
                _BATCH_ROWS, row_groups=[group], columns=names, use_threads=False
            ):
                wanted = batch.slice(start)
                start -= batch.num_rows - wanted.num_rows
                if wanted.num_rows:
                    yield wanted

    def _known(self, name: str) -> str:
        return OUTPUTS if name == self._output else name


class StoredRow(NamedTuple):
    """A row's output and confidence, its position over all parts, and the job it is of."""

    output: Any
    confidence: Any
    position: int
    job_id: str | None


class StoredParts:
    """The columns of several jobs, one after the other.

    Attributes:
        parts: The jobs' columns.
        count: Number of rows.
    """

    def __init__(self, parts: Sequence[StoredColumns]) -> None:
        self.parts = list(parts)
        self.count = sum(part.count for part in parts)
        self._lock = threading.Lock()
        # Where `row` is: the windows to come, and the current one.
        self._ahead: Iterator[list[StoredRow]] = iter(())
        self._window: list[StoredRow] = []

    def carried(self) -> tuple[str, ...]:
        """Names of columns that the service took over from its input."""
        known = {OUTPUTS, CONFIDENCE, INPUTS, LOGPROBS, *(part.job_id for part in self.parts)}
        names = dict.fromkeys(name for part in self.parts for name in part.names)
        return tuple(name for name in names if name not in known)

    def read(self) -> Any:
        """All columns as one `pyarrow.Table`."""
        import pyarrow as pa  # noqa: PLC0415

        tables = [part.read() for part in self.parts]
        return pa.concat_tables(tables, promote_options="permissive")

    def scores(self) -> Any:
        """The confidences as a chunked array of floats, null where there are none."""
        import pyarrow as pa  # noqa: PLC0415

        parts = [part.scores() for part in self.parts]
        chunks = [chunk for part in parts if part is not None for chunk in part.chunks]
        return pa.chunked_array(chunks, pa.float64())

    def rows(self, start: int) -> Iterator[StoredRow]:
        """Rows from an index on."""
        for window in self._windows(start):
            yield from window

    def row(self, index: int) -> StoredRow:
        """One row. Rows that are asked for in order are read once."""
        with self._lock:
            if not self._window or not 0 <= index - self._window[0].position < len(self._window):
                following = next(self._ahead, None)
                if following is None or not 0 <= index - following[0].position < len(following):
                    self._ahead = self._windows(index)
                    following = next(self._ahead)
                self._window = following
            return self._window[index - self._window[0].position]

    def _windows(self, start: int) -> Iterator[list[StoredRow]]:
        first = 0
        for part in self.parts:
            index = max(first, start)
            for window in part.windows(index - first) if index < first + part.count else ():
                yield [
                    StoredRow(output, confidence, index + offset, part.job_id)
                    for offset, (output, confidence) in enumerate(window)
                ]
                index += len(window)
            first += part.count


def _output_name(names: Sequence[str], job_id: str | None) -> str:
    """The column of outputs: in some formats it is named after the job (results as a file)."""
    if OUTPUTS in names:
        return OUTPUTS
    if job_id is not None and job_id in names:
        return job_id
    raise SutroJobError(f"The results have no column {OUTPUTS!r}.", job_id=job_id)


def _cast(name: str, column: Any) -> Any:
    """Texts for outputs and floats for confidences, whatever the file has."""
    import pyarrow as pa  # noqa: PLC0415

    if name == OUTPUTS and not pa.types.is_large_string(column.type):
        return column.cast(pa.large_string())
    if name == CONFIDENCE and column.type != pa.float64():
        return column.cast(pa.float64())
    return column


def _array(name: str, values: Sequence[Any]) -> Any:
    import pyarrow as pa  # noqa: PLC0415

    try:
        return pa.array(values, pa.float64() if name == CONFIDENCE else None)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        return pa.array(map(_text, values), pa.large_string())


def _text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else orjson.dumps(value).decode()


def _close(file: Any, path: Path, delete: bool) -> None:
    file.close()
    _remove(path, delete=delete)


def _remove(path: Path, *, delete: bool) -> None:
    if delete:
        path.unlink(missing_ok=True)
