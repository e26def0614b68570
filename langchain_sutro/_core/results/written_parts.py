"""The results of several jobs as Parquet files that have one schema."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from langchain_sutro._core.results.pieces import Layout, error_texts, layout_of, output_columns
from langchain_sutro._core.results.result_columns import CONFIDENCE
from langchain_sutro._core.service import dump_json
from langchain_sutro.errors import SutroInputError, SutroJobError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from langchain_sutro._core.results.batch import BatchResults
    from langchain_sutro._core.rows import InputRows

__all__ = [
    "PartsTable",
    "WriteOptions",
    "WrittenPart",
    "parts_table",
    "read_part",
    "write_part",
]

_ROWS = 65_536
_FACTS = b"langchain_sutro"


class PartsTable(NamedTuple):
    """What all files of a table have in common.

    Attributes:
        schema: The `pyarrow.Schema` of each file.
        layout: The columns of outputs among them.
        names: Names of the columns of results in the files, by those without a suffix.
        options: What they were chosen with.
    """

    schema: Any
    layout: Layout
    names: Mapping[str, str]
    options: WriteOptions


class WriteOptions(NamedTuple):
    """How results are written.

    Attributes:
        inputs: Whether the rows that went in stand beside the results.
        output_column: Name of the column for outputs that are not objects.
        error_column: Name of the column of the reasons why rows have no output.
        suffix: Appended to the name of a result column that the input also has.
    """

    inputs: bool = False
    output_column: str = "inference_result"
    error_column: str = "error"
    suffix: str | None = None


def parts_table(
    parts: Callable[[], Iterator[BatchResults]], inputs: Any, options: WriteOptions
) -> PartsTable:
    """Decide on the columns, from the results of all jobs.

    Args:
        parts: The results, from the first job on at each call.
        inputs: The `pyarrow.Schema` of the input's columns, if these are written too.
        options: How results are written.

    Raises:
        SutroInputError: Two columns have the same name.
    """
    import pyarrow as pa  # noqa: PLC0415

    layout = layout_of(
        lambda: chain.from_iterable(one._columns.outputs() for one in parts())  # noqa: SLF001
    )
    suffix = options.suffix
    names = [*layout.types, CONFIDENCE, options.error_column]
    kinds = [*layout.types.values(), pa.float64(), pa.string()]
    if layout.others or not layout.types:
        names.insert(len(layout.types), options.output_column)
        kinds.insert(len(layout.types), pa.large_string())
    taken = [] if inputs is None else inputs.names
    named = [f"{name}{suffix}" if suffix and name in taken else name for name in names]
    whole = [*taken, *named]
    twice = sorted({name for name in whole if whole.count(name) > 1})
    if twice:
        raise SutroInputError(
            f"Two columns are named {', '.join(map(repr, twice))}: choose another output_column or "
            "error_column, or a suffix for the columns of results."
        )
    fields = list(zip(named, map(_held, kinds), strict=True))
    schema = pa.schema([*(inputs or ()), *fields])
    return PartsTable(schema, layout, dict(zip(names, named, strict=True)), options)


def _held(kind: Any) -> Any:
    """The type in a Parquet file, which cannot hold objects that are always empty."""
    import pyarrow as pa  # noqa: PLC0415

    inner = (kind.field(index).type for index in range(kind.num_fields))
    empty = pa.types.is_struct(kind) and not kind.num_fields
    return pa.large_string() if empty or any(one != _held(one) for one in inner) else kind


def write_part(
    file: Any, table: PartsTable, results: BatchResults, inputs: InputRows | None
) -> dict[str, Any]:
    """Write the results of one job.

    Args:
        file: Open for writing.
        table: What all files have in common.
        results: Of the job.
        inputs: Its rows, if they are written too.

    Returns:
        Its facts, which the file holds too: job, rows, errors, tokens and cost.

    Raises:
        SutroJobError: There are not as many rows as results.
    """
    from pyarrow import parquet  # noqa: PLC0415

    rows = errors = 0
    columns = {"names": dict(table.names), "options": table.options._asdict()}
    with parquet.ParquetWriter(file, table.schema) as writer:
        for piece, failed in _pieces(table, results, inputs):
            writer.write_table(piece)
            rows += piece.num_rows
            errors += failed
        totals = results.totals
        facts = {
            "job_id": results.job_id,
            "rows": rows,
            "errors": errors,
            "input_tokens": totals["input_tokens"],
            "output_tokens": totals["output_tokens"],
            "cost": totals["job_cost"],
        }
        writer.add_key_value_metadata({_FACTS.decode(): dump_json(facts | columns)})
    return facts


def _pieces(
    table: PartsTable, results: BatchResults, inputs: InputRows | None
) -> Iterator[tuple[Any, int]]:
    import pyarrow as pa  # noqa: PLC0415

    done = 0
    for texts, rest in results._columns.tables([CONFIDENCE], _ROWS):  # noqa: SLF001 - ours
        columns, others = output_columns(texts, table.layout)
        failed = error_texts(
            texts,
            others,
            generation=results.generation,
            job_id=results.job_id,
            first_row=done,
        )
        columns[table.options.output_column] = others if table.layout.types else texts
        columns[CONFIDENCE] = rest[CONFIDENCE] if rest.num_columns else None
        columns[table.options.error_column] = failed
        found = {name: columns[inner] for inner, name in table.names.items()}
        if inputs is not None:
            taken = inputs.take(len(texts))
            _check(taken.num_rows == len(texts), results)
            found |= dict(zip(taken.column_names, taken.columns, strict=True))
        arrays = [_as(found[one.name], one.type, len(texts)) for one in table.schema]
        yield pa.table(arrays, schema=table.schema), len(texts) - failed.null_count
        done += len(texts)
    _check(inputs is None or not inputs.take(1).num_rows, results)


def _check(is_equal: bool, results: BatchResults) -> None:
    if not is_equal:
        raise SutroJobError(
            "The files of this job do not have as many rows as it has results, so which belongs to "
            "which is unknown.",
            job_id=results.job_id,
        )


def _as(column: Any, kind: Any, rows: int) -> Any:
    import pyarrow as pa  # noqa: PLC0415

    if column is None:
        return pa.nulls(rows, kind)
    if column.type == kind:
        return column
    if _held(column.type) == column.type:
        return column.cast(kind)
    return pa.array([None if one is None else dump_json(one) for one in column.to_pylist()], kind)


class WrittenPart(NamedTuple):
    """A file that `write_part` has written.

    Attributes:
        facts: What it returned.
        table: What the file has in common with the others.
    """

    facts: dict[str, Any]
    table: PartsTable


def read_part(file: Any) -> WrittenPart | None:
    """What `write_part` has written; None of another file.

    Args:
        file: Open for reading.
    """
    import pyarrow as pa  # noqa: PLC0415
    from pyarrow import parquet  # noqa: PLC0415

    try:
        known = parquet.ParquetFile(file)
        facts = orjson.loads((known.metadata.metadata or {}).get(_FACTS, b"null"))
        names, options = facts.pop("names"), WriteOptions(**facts.pop("options"))
        schema = known.schema_arrow.remove_metadata()
        own = {CONFIDENCE, options.error_column, options.output_column}
        types = {name: schema.field(outer).type for name, outer in names.items() if name not in own}
        layout = Layout(types, options.output_column in names)
    except (pa.ArrowException, OSError, ValueError, TypeError, LookupError, AttributeError):
        # Damaged, somebody else's, or of another version.
        return None
    return WrittenPart(facts, PartsTable(schema, layout, names, options))
