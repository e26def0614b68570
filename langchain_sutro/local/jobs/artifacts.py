"""The files of a job: its inputs, its finished parts, and the results made of them.

```
<folder>/inputs.parquet      one JSON text per row, a row group per chunk
<folder>/parts/000000.parquet    outputs and confidences of a chunk; there once it is finished
<folder>/…~inputs=0~logprobs=0.parquet, ….csv.zip    results, made when they are first asked for
```

A part is renamed into place when it is whole, so a job that was interrupted resumes after the
last one.
"""

from __future__ import annotations

import math
import shutil
import threading
import zipfile
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Self

import orjson
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from langchain_sutro.local.jobs.tokens import count_tokens

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

__all__ = ["CHUNK", "InputWriter", "JobFiles", "Part", "Variant"]

CHUNK = 2000
"""Rows that are worked on and stored together."""

# A name that no carried column has.
_ROW = "sutro:row"
_CHUNKS_PER_ROW_GROUP = 50
_PART = pa.schema([("outputs", pa.string()), ("confidence_score", pa.float64())])
_META = b"sutro"


@dataclass(frozen=True, slots=True)
class Variant:
    """Which optional columns results have."""

    inputs: bool = False
    logprobs: bool = False


@dataclass(frozen=True, slots=True)
class Part:
    """A finished chunk.

    Attributes:
        outputs: Text per row, or None for a row that failed.
        confidences: 0 to 1 per row, or None.
        input_tokens, output_tokens: Used by the whole chunk.
        scored: Whether the Function gave any confidence.
    """

    outputs: Sequence[str | None]
    confidences: Sequence[float | None]
    input_tokens: int
    output_tokens: int
    scored: bool


class InputWriter:
    """Stores the rows of a job. A context manager; the file appears when it ends well.

    Args:
        path: Where to.
        ids: Name and type of the column that results are to carry, if any.
    """

    def __init__(self, path: Path, ids: pa.Field | None = None) -> None:
        self._path = path
        self._unfinished = path.with_suffix(".unfinished")
        self._schema = pa.schema([(_ROW, pa.string())] + ([ids] if ids is not None else []))
        self._rows: list[str] = []
        self._ids: list[Any] = []
        self.count = 0
        self.tokens = 0

    def __enter__(self) -> Self:
        self._writer = pq.ParquetWriter(self._unfinished, self._schema, compression="zstd")
        return self

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        if error is None:
            self._flush(1)
        self._writer.close()
        if error is None:
            self._unfinished.replace(self._path)

    def add(self, row: Any, id_: Any = None) -> None:
        """Store a row."""
        text = orjson.dumps(row, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
        self._rows.append(text)
        if len(self._schema) > 1:
            self._ids.append(id_)
        self.count += 1
        self.tokens += count_tokens(text)
        self._flush(CHUNK)

    def _flush(self, at_least: int) -> None:
        if len(self._rows) < at_least:
            return
        columns = [self._rows, self._ids][: len(self._schema)]
        arrays = [pa.array(c, f.type) for c, f in zip(columns, self._schema, strict=True)]
        self._writer.write_batch(pa.record_batch(arrays, schema=self._schema))
        self._rows, self._ids = [], []


class JobFiles:
    """The files of one job.

    Args:
        folder: Its own folder; made if missing.
        job_id: The job.
    """

    # Results are made once; a lock for all jobs is enough on one machine.
    _making = threading.Lock()

    def __init__(self, folder: Path, job_id: str) -> None:
        self.folder = folder
        self.job_id = job_id
        self.inputs = folder / "inputs.parquet"

    def make(self) -> None:
        """Make the folders."""
        (self.folder / "parts").mkdir(parents=True, exist_ok=True)

    def remove(self) -> None:
        """Remove everything."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def chunks(self) -> int:
        """How many chunks the inputs have."""
        return int(pq.ParquetFile(self.inputs).metadata.num_row_groups)

    def rows(self, chunk: int) -> list[Any]:
        """The rows of a chunk."""
        group = pq.ParquetFile(self.inputs).read_row_group(chunk, columns=[_ROW])
        return [orjson.loads(text) for text in group[_ROW].to_pylist()]

    def page(self, offset: int, limit: int) -> list[dict[str, Any]]:
        """Some rows, as far as they are there: `input` and `output` as text, and `confidence`.

        `done` says whether a row was worked on; if its `output` is None then, it failed.
        """
        found: list[dict[str, Any]] = []
        if not self.inputs.exists():
            return found
        inputs = pq.ParquetFile(self.inputs)
        first, start = divmod(offset, CHUNK)
        for chunk in range(first, inputs.metadata.num_row_groups):
            texts = inputs.read_row_group(chunk, columns=[_ROW])[_ROW]
            path = self._part(chunk)
            part = pq.read_table(path) if path.exists() else None
            end = min(len(texts), start + limit - len(found))
            found += [_row(texts[index].as_py(), part, index) for index in range(start, end)]
            if len(found) == limit:
                break
            start = 0
        return found

    def part(self, chunk: int) -> dict[str, Any] | None:
        """What is noted about a finished chunk: its `rows`, tokens and whether it is `scored`."""
        path = self._part(chunk)
        if not path.exists():
            return None
        found: dict[str, Any] = orjson.loads(pq.read_schema(path).metadata[_META])
        return found

    def finish(self, chunk: int, part: Part) -> None:
        """Store a finished chunk."""
        facts = {
            "rows": len(part.outputs),
            "input_tokens": part.input_tokens,
            "output_tokens": part.output_tokens,
            "scored": part.scored,
        }
        table = pa.table(
            [pa.array(part.outputs, pa.string()), pa.array(part.confidences, pa.float64())],
            schema=_PART.with_metadata({_META: orjson.dumps(facts)}),
        )
        _atomically(self._part(chunk), lambda path: pq.write_table(table, path))

    def schema(self, variant: Variant) -> pa.Schema:
        """The columns of the results."""
        fields = [pa.field("outputs", pa.string())]
        if any((self.part(chunk) or {})["scored"] for chunk in self._finished()):
            fields.append(pa.field("confidence_score", pa.float64()))
        if variant.logprobs:
            fields.append(pa.field("cumulative_logprobs", pa.float64()))
        carried = [f for f in pq.read_schema(self.inputs) if f.name != _ROW]
        if variant.inputs and not any(f.name == "inputs" for f in carried):
            fields.append(pa.field("inputs", pa.string()))
        return pa.schema(fields + carried)

    def batches(self, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        """The results, chunk by chunk, in the order of the rows."""
        inputs = pq.ParquetFile(self.inputs)
        for chunk in self._finished():
            part = pq.read_table(self._part(chunk))
            columns = [self._column(field, part, inputs, chunk) for field in schema]
            yield pa.record_batch(columns, schema=schema)

    def column(self, name: str, schema: pa.Schema) -> Iterator[list[Any]]:
        """One column of the results, chunk by chunk."""
        field = schema.field(name)
        for batch in self.batches(pa.schema([field])):
            yield batch.column(0).to_pylist()

    def parquet(self, variant: Variant) -> Path:
        """The results as a Parquet file."""
        path = self.folder / self._filename(variant, "parquet")
        schema = self.schema(variant)

        def write(to: Path) -> None:
            with pq.ParquetWriter(to, schema, compression="snappy") as writer:
                batches = self.batches(schema)
                while group := list(islice(batches, _CHUNKS_PER_ROW_GROUP)):
                    writer.write_table(pa.Table.from_batches(group))

        return self._made(path, write)

    def csv(self, variant: Variant) -> Path:
        """The results as a ZIP archive with one CSV; its output column is named after the job."""
        path = self.folder / self._filename(variant, "csv.zip")
        schema = self.schema(variant)
        names = [self.job_id if f.name == "outputs" else f.name for f in schema]
        renamed = pa.schema([f.with_name(n) for f, n in zip(schema, names, strict=True)])

        def write(to: Path) -> None:
            inside = self._filename(variant, "csv")
            with (
                zipfile.ZipFile(to, "w", zipfile.ZIP_DEFLATED) as archive,
                archive.open(inside, "w", force_zip64=True) as file,
                pyarrow.csv.CSVWriter(file, renamed) as writer,
            ):
                for batch in self.batches(schema):
                    writer.write_batch(pa.record_batch(batch.columns, schema=renamed))

        return self._made(path, write)

    def _column(
        self, field: pa.Field, part: pa.Table, inputs: pq.ParquetFile, chunk: int
    ) -> pa.Array:
        if field.name in part.column_names:
            return part[field.name].combine_chunks()
        if field.name == "cumulative_logprobs":
            # Nothing here has tokens with probabilities; the confidence's logarithm stands in.
            scores = part["confidence_score"].to_pylist()
            return pa.array([math.log(s) if s else None for s in scores], pa.float64())
        carried = field.name in inputs.schema_arrow.names
        name = field.name if carried else _ROW
        column = inputs.read_row_group(chunk, columns=[name])[name].combine_chunks()
        return column if carried else pa.array(map(_shown, column.to_pylist()), pa.string())

    def _finished(self) -> Iterator[int]:
        chunk = 0
        while self._part(chunk).exists():
            yield chunk
            chunk += 1

    def _part(self, chunk: int) -> Path:
        return self.folder / "parts" / f"{chunk:06}.parquet"

    def _filename(self, variant: Variant, extension: str) -> str:
        flags = f"inputs={variant.inputs:d}~logprobs={variant.logprobs:d}"
        return f"sutro-results~{self.job_id}~{flags}.{extension}"

    def _made(self, path: Path, write: Callable[[Path], None]) -> Path:
        with self._making:
            if not path.exists():
                _atomically(path, write)
        return path


def _atomically(path: Path, write: Callable[[Path], None]) -> None:
    unfinished = path.with_name(path.name + ".unfinished")
    write(unfinished)
    unfinished.replace(path)


def _row(text: str, part: pa.Table | None, index: int) -> dict[str, Any]:
    output = None if part is None else part["outputs"][index].as_py()
    confidence = None if part is None else part["confidence_score"][index].as_py()
    return {
        "input": _shown(text),
        "output": output,
        "confidence": confidence,
        "done": part is not None,
    }


def _shown(text: str) -> str:
    """A row as results show it: a string as it is, an object as JSON."""
    return str(orjson.loads(text)) if text.startswith('"') else text
