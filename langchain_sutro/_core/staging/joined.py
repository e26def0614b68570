"""The rows of a part beside what became of them."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import orjson

from langchain_sutro._core.service import dump_json
from langchain_sutro.errors import SutroInputError, SutroJobError, SutroRowError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from langchain_sutro._core.results import BatchResults, FunctionResult

__all__ = ["CONFIDENCE", "ERROR", "OUTPUT", "OutputColumns"]

OUTPUT, CONFIDENCE, ERROR = "inference_result", "confidence_score", "error"


class OutputColumns:
    """The columns that results add to the rows, the same for all parts of a table.

    Args:
        schema: A `pyarrow.Schema` of the outputs' fields. None puts each output, as the string that
            the service sent, into the column `inference_result`.
        suffix: Appended to the name of an added column that the rows also have; None makes that an
            error.

    Raises:
        SutroInputError: It is no schema, or has a name twice, or one of the other columns' names.
    """

    def __init__(self, schema: Any = None, suffix: str | None = None) -> None:
        import pyarrow as pa  # noqa: PLC0415

        text = pa.large_string()
        if schema is not None and not isinstance(schema, pa.Schema):
            raise SutroInputError(
                "output_schema must be a pyarrow.Schema, such as "
                'pyarrow.schema([("label", pyarrow.string())]).'
            )
        self._outputs: Any = schema
        outputs = [pa.field(OUTPUT, text)] if schema is None else list(schema)
        self._added = pa.schema([*outputs, (CONFIDENCE, pa.float64()), (ERROR, text)])
        self._suffix = suffix
        if len(set(self._added.names)) < len(self._added.names):
            raise SutroInputError(
                f"output_schema must not have a name twice, nor the names {CONFIDENCE!r} and "
                f"{ERROR!r}, which have columns of their own."
            )

    def schema(self, rows: Any) -> Any:
        """The `pyarrow.Schema` of the joined table.

        Args:
            rows: That of the rows.

        Raises:
            SutroInputError: Names clash.
        """
        import pyarrow as pa  # noqa: PLC0415

        names = self._names(rows.names)
        added = [one.with_name(name) for one, name in zip(self._added, names, strict=True)]
        return pa.schema([*rows, *added])

    def _names(self, taken: Sequence[str]) -> list[str]:
        clashes = [name for name in self._added.names if name in taken]
        if clashes and self._suffix is None:
            raise SutroInputError(
                f"The rows and the results both have {', '.join(map(repr, clashes))}: rename, or "
                "give the results' columns a suffix."
            )
        suffix = self._suffix or ""
        names = [f"{name}{suffix}" if name in clashes else name for name in self._added.names]
        if len({*taken, *names}) < len(taken) + len(names):
            raise SutroInputError(f"With the suffix {suffix!r} names still clash: choose another.")
        return names

    def join(self, rows: Any, results: BatchResults) -> Any:
        """The rows of a part with its results beside them, by position.

        Args:
            rows: A `pyarrow.Table`.
            results: One for each row.

        Raises:
            SutroJobError: The numbers of rows differ.
            SutroInputError: Names clash.
        """
        import pyarrow as pa  # noqa: PLC0415

        if len(results) != rows.num_rows:
            raise SutroJobError(
                f"The job has {len(results):,} results for {rows.num_rows:,} rows, so which "
                "belongs to which is unknown.",
                job_id=results.job_id,
            )
        schema = self.schema(rows.schema)
        return pa.table([*rows.columns, *self._columns(results)], schema=schema)

    def _columns(self, results: BatchResults) -> list[Any]:
        import pyarrow as pa  # noqa: PLC0415

        table = results.to_arrow(unpack=self._outputs is not None, output_column=OUTPUT)
        errors: list[str | None] = [None] * len(results)
        for error in results.errors:
            errors[int(error.row_index or 0)] = str(error)
        typed = self._outputs is not None
        outputs = self._typed(results, table, errors) if typed else [table[OUTPUT]]
        confidence = pa.nulls(len(results), pa.float64())
        if CONFIDENCE in table.column_names:
            confidence = table[CONFIDENCE]
        return [*outputs, confidence, pa.array(errors, pa.large_string())]

    def _typed(self, results: BatchResults, table: Any, errors: list[str | None]) -> list[Any]:
        import pyarrow as pa  # noqa: PLC0415

        if len(self._outputs) == 1 and OUTPUT in table.column_names:
            # Outputs that are not objects are values of the one field.
            [field] = self._outputs
            return [_typed_cells([_value(one, field.name) for one in results], field, errors)]
        return [
            _as_type(table[field.name], field, errors)
            if field.name in table.column_names
            else pa.nulls(table.num_rows, field.type)
            for field in self._outputs
        ]


def _value(result: FunctionResult | SutroRowError, name: str) -> Any:
    output = None if isinstance(result, SutroRowError) else result.output
    return output.get(name) if isinstance(output, dict) else output


def _as_type(column: Any, field: Any, errors: list[str | None]) -> Any:
    """A column in the type of the schema."""
    import pyarrow as pa  # noqa: PLC0415

    if column.type == field.type:
        return column
    if not _casts(column.type, field.type):
        return _typed_cells(column.to_pylist(), field, errors)
    try:
        return column.cast(field.type)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError):
        return _typed_cells(column.to_pylist(), field, errors)


def _casts(given: Any, kind: Any) -> bool:
    """Whether Arrow's cast takes a value for the same one: it would make 2 true, and true 1."""
    import pyarrow as pa  # noqa: PLC0415

    if pa.types.is_boolean(given) or pa.types.is_boolean(kind):
        return False
    texts = {pa.string(), pa.large_string()}
    return kind not in texts or given in texts


def _typed_cells(values: list[Any], field: Any, errors: list[str | None]) -> Any:
    """Values in the type of the schema; one that has no such form is an error of its row."""
    import pyarrow as pa  # noqa: PLC0415

    cells = [_cell(value, field.type) for value in values]
    for index, (value, cell) in enumerate(zip(values, cells, strict=True)):
        if value is not None and cell is None and errors[index] is None:
            errors[index] = f"Row {index} has an output whose {field.name!r} is not {field.type}."
    return pa.array(cells, field.type)


def _cell(value: Any, kind: Any) -> Any:
    import pyarrow as pa  # noqa: PLC0415

    if value is None:
        return None
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return value if isinstance(value, str) else dump_json(value)
    if isinstance(value, str) and not pa.types.is_boolean(kind):
        # A date, for example; and in a column of several types, numbers have become strings.
        found = _converted(value, kind)
        if found is not None:
            return found
    try:
        plain = orjson.loads(value) if isinstance(value, str) else value
    except ValueError:
        return None
    return _converted(plain, kind)


def _converted(value: Any, kind: Any) -> Any:
    import pyarrow as pa  # noqa: PLC0415

    if isinstance(value, bool) != pa.types.is_boolean(kind):
        return None
    wrong = (pa.ArrowException, TypeError, ValueError, OverflowError)
    with suppress(*wrong):
        if pa.types.is_map(kind):
            return pa.scalar(value, kind).as_py()
        # As whole columns are converted: 7.5 is refused as an integer, which it is not otherwise.
        return pa.array([value]).cast(kind)[0].as_py()
    return None
