"""The results of a Batch job, row by row or as a table."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from html import escape
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

from langchain_sutro._core.exports import exported_from
from langchain_sutro._core.results import export, frames
from langchain_sutro._core.results.labels import LabelCounts
from langchain_sutro._core.results.model import AnsweringModel, model_warnings
from langchain_sutro._core.results.payload import FunctionResult, row_result
from langchain_sutro._core.results.result_columns import (
    CONFIDENCE,
    INPUTS,
    LOGPROBS,
    ConcatenatedColumns,
    ResultColumns,
    ResultRow,
)
from langchain_sutro._core.results.unpack import column_types, unpack_piece
from langchain_sutro._core.results.unpack import unpack as unpack_texts
from langchain_sutro._core.service import in_thread
from langchain_sutro.errors import SutroInputError, SutroJobError, SutroRowError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
    from os import PathLike

__all__ = ["BatchResults", "BatchSummary", "usd"]

_T = TypeVar("_T")

_PREVIEW = 5
_QUANTILES = {"min": 0.0, "5%": 0.05, "25%": 0.25, "50%": 0.5, "75%": 0.75, "95%": 0.95, "max": 1.0}


@dataclass(frozen=True)
class BatchSummary:
    """Figures for a whole job.

    Attributes:
        rows: The number of rows.
        errors: The number of rows without a usable answer.
        answers: The number of rows for each answer, the most frequent first; None if answers are
            not labels, which are at most 50 different strings or booleans.
        confidence: Quantiles by name (`min`, `5%`, `25%`, `50%`, `75%`, `95%`, `max`); None if
            nothing was scored.
        input_tokens: The job's total, if known.
        output_tokens: The job's total, if known.
        cost: The job's total in USD, if known.
        models: What answered, as far as the service says it of its jobs: the model, its source and
            the Function's revision.
        warnings: What to know before relying on the figures, such as that the jobs of one table
            were answered by different models.
    """

    rows: int
    errors: int
    answers: dict[str | bool, int] | None
    confidence: dict[str, float] | None
    input_tokens: int | None
    output_tokens: int | None
    cost: float | None
    models: tuple[AnsweringModel, ...] = ()
    warnings: tuple[str, ...] = ()


@exported_from("langchain_sutro")
class BatchResults:
    """The results of a job, in the order of its input.

    Iterating yields one item per input row: a `FunctionResult`, or the `SutroRowError` of a row
    without a usable output, as `batch(return_exceptions=True)` returns them. Rows are parsed when
    they are accessed, and a file is read in pieces. A pickle holds the whole table. Create it with
    `from_columns` or `from_parquet`.

    Attributes:
        job_id: The job; None if there are several.
        function: The Function's name, if known.
        generation: The generation of the service, which decides the shape of the results.
    """

    def __init__(
        self,
        parts: Sequence[ResultColumns],
        *,
        function: str | None,
        generation: Literal["deployment", "hosted"],
        jobs: Sequence[Mapping[str, Any] | None],
    ) -> None:
        self.job_id = parts[0].job_id if len(parts) == 1 else None
        self.function = function
        self.generation = generation
        self._columns = ConcatenatedColumns(parts)
        self._jobs = list(jobs)

    @classmethod
    def from_columns(
        cls,
        columns: Mapping[str, Sequence[Any]] | Sequence[Any],
        *,
        job_id: str | None = None,
        function: str | None = None,
        generation: Literal["deployment", "hosted"] = "deployment",
        expected_rows: int | None = None,
        job: Mapping[str, Any] | None = None,
    ) -> BatchResults:
        """Create results from the columns that the service sends as JSON.

        Args:
            columns: Lists of equal length by name, of which only `outputs` is required; or the
                list of outputs alone.
            job_id: The job.
            function: The Function.
            generation: The generation of the service.
            expected_rows: The number of input rows; by default that of the job object, if known.
            job: The job object, for tokens and cost.

        Raises:
            SutroJobError: Outputs are missing, or are not one for each row.
        """
        part = ResultColumns.from_columns(columns, job_id)
        _check_count(part, expected_rows, job)
        return cls([part], function=function, generation=generation, jobs=[job])

    @classmethod
    def from_parquet(
        cls,
        path: str | PathLike[str],
        *,
        job_id: str | None = None,
        function: str | None = None,
        generation: Literal["deployment", "hosted"] = "deployment",
        expected_rows: int | None = None,
        job: Mapping[str, Any] | None = None,
        delete: bool = False,
    ) -> BatchResults:
        """Create results from a downloaded file, which is read when rows are accessed.

        Args:
            path: The file.
            job_id: The job.
            function: The Function.
            generation: The generation of the service.
            expected_rows: The number of input rows; by default that of the job object, if known.
            job: The job object, for tokens and cost.
            delete: Whether the file is deleted once nothing refers to these results any more.

        Raises:
            SutroJobError: It is not a Parquet file, or does not have one output for each row.
        """
        part = ResultColumns.from_parquet(Path(path), job_id, delete=delete)
        _check_count(part, expected_rows, job)
        return cls([part], function=function, generation=generation, jobs=[job])

    @classmethod
    def concat(cls, results: Sequence[BatchResults]) -> BatchResults:
        """Concatenate the results of several jobs.

        Args:
            results: At least one, in the order of their input. Row indices count over all of them.
        """
        return cls(
            [part for result in results for part in result._columns.parts],  # noqa: SLF001 - ours
            function=results[0].function,
            generation=results[0].generation,
            jobs=[job for result in results for job in result._jobs],  # noqa: SLF001 - ours
        )

    def __copy__(self) -> BatchResults:
        # It does not change, and its file goes when nothing refers to it any more.
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> BatchResults:
        return self

    def __len__(self) -> int:
        return self._columns.count

    def __iter__(self) -> Iterator[FunctionResult | SutroRowError]:
        return map(self._result, self._columns.rows(0))

    @overload
    def __getitem__(self, index: int) -> FunctionResult | SutroRowError: ...

    @overload
    def __getitem__(self, index: slice) -> list[FunctionResult | SutroRowError]: ...

    def __getitem__(
        self, index: int | slice
    ) -> FunctionResult | SutroRowError | list[FunctionResult | SutroRowError]:
        if isinstance(index, slice):
            wanted = range(*index.indices(self._columns.count))
            if wanted.step == 1:
                rows = islice(self._columns.rows(wanted.start), len(wanted))
                return list(map(self._result, rows))
            return [self[one] for one in wanted]
        position = index + self._columns.count if index < 0 else index
        if not 0 <= position < self._columns.count:
            raise IndexError(index)
        return self._result(self._columns.row(position))

    async def __aiter__(self) -> AsyncIterator[FunctionResult | SutroRowError]:
        windows = self._columns.windows(0)
        while rows := await in_thread(self._parsed, windows):
            for row in rows:
                yield row

    @property
    def ok(self) -> Iterable[FunctionResult]:
        """The rows with a usable output; can be iterated any number of times."""
        return _Each(lambda: (one for one in self if isinstance(one, FunctionResult)))

    @property
    def answers(self) -> Iterable[Any]:
        """Each row's `answer`, or its `SutroRowError`; can be iterated any number of times."""
        return _Each(
            lambda: (one if isinstance(one, SutroRowError) else one.answer for one in self)
        )

    @property
    def errors(self) -> list[SutroRowError]:
        """The rows without a usable output. Reads all rows the first time."""
        return list(self._scan[0])

    def summary(self) -> BatchSummary:
        """Counts of rows, errors and labels, quantiles of confidence, tokens and cost."""
        import pyarrow.compute as pc  # noqa: PLC0415

        errors, labels = self._scan
        scores = self._columns.read([CONFIDENCE])
        confidence = None
        if scores.num_columns and scores[CONFIDENCE].null_count < scores.num_rows:
            values = pc.quantile(scores[CONFIDENCE], list(_QUANTILES.values())).to_pylist()
            confidence = dict(zip(_QUANTILES, values, strict=True))
        return BatchSummary(
            rows=self._columns.count,
            errors=len(errors),
            answers=labels.counts(),
            confidence=confidence,
            input_tokens=self._total("input_tokens"),
            output_tokens=self._total("output_tokens"),
            cost=self._total("job_cost"),
            models=self.models,
            warnings=model_warnings(self.models, "The table"),
        )

    @property
    def totals(self) -> dict[str, Any]:
        """`input_tokens`, `output_tokens` and `job_cost` in USD of all jobs, None if not known."""
        return {name: self._total(name) for name in ("input_tokens", "output_tokens", "job_cost")}

    @property
    def model(self) -> AnsweringModel | None:
        """The model that answered all rows; None if it is not known, or there were several."""
        return self.models[0] if len(self.models) == 1 else None

    @property
    def models(self) -> tuple[AnsweringModel, ...]:
        """The models that answered, as far as the service says it of its jobs."""
        found = (AnsweringModel.of((job or {}).get("function")) for job in self._jobs)
        return tuple(dict.fromkeys(one for one in found if one is not None))

    @property
    def carried(self) -> tuple[str, ...]:
        """Names of columns that the service copied from its input, such as an id column."""
        return self._columns.carried()

    def to_arrow(
        self,
        *,
        unpack: bool = True,
        output_column: str = "inference_result",
        unwrap_reasoning: bool = True,
    ) -> Any:
        """A `pyarrow.Table` with one row per input row.

        Args:
            unpack: Whether each field of the outputs' JSON objects becomes a column, null where a
                row lacks the field. A field with values of several types becomes a string column.
            output_column: Name of the column for outputs that are not unpacked: all of them
                without `unpack`, otherwise those that are not JSON objects, if there are any.
            unwrap_reasoning: Whether a reasoning model's envelope becomes its content's fields and
                `reasoning_content`.

        Returns:
            The table. Its columns are `inputs`, the carried columns, outputs,
            `cumulative_logprobs` and `confidence_score`, as far as they exist.

        Raises:
            SutroInputError: An output's field has the name of another column.
        """
        import pyarrow as pa  # noqa: PLC0415

        outputs: dict[str, Any] = {}
        if unpack:
            fields, rest = unpack_texts(self._columns.outputs, open_envelopes=unwrap_reasoning)
            outputs = dict(zip(fields.column_names, fields.columns, strict=True))
            if outputs and rest is not None:
                _add(outputs, {output_column: rest})
        if not outputs:
            texts = self._columns.outputs(keep=True)
            outputs[output_column] = pa.chunked_array(texts, pa.large_string())
        first, last = (INPUTS, *self.carried), (LOGPROBS, CONFIDENCE)
        others = self._columns.read([*first, *last])
        columns = {name: others[name] for name in first if name in others.column_names}
        _add(columns, outputs)
        _add(columns, {name: others[name] for name in last if name in others.column_names})
        return pa.table(columns)

    def to_pandas(self, *, unpack: bool = True, output_column: str = "inference_result") -> Any:
        """A `pandas.DataFrame`, as `to_arrow`; whole numbers with gaps become `Int64`.

        Args:
            unpack: As for `to_arrow`.
            output_column: As for `to_arrow`.

        Raises:
            SutroInputError: As for `to_arrow`.
        """
        return frames.to_pandas(self.to_arrow(unpack=unpack, output_column=output_column))

    def to_polars(self, *, unpack: bool = True, output_column: str = "inference_result") -> Any:
        """A `polars.DataFrame`, as `to_arrow`.

        Args:
            unpack: As for `to_arrow`.
            output_column: As for `to_arrow`.

        Raises:
            SutroInputError: As for `to_arrow`.
            SutroConfigurationError: polars is not installed.
        """
        return frames.to_polars(self.to_arrow(unpack=unpack, output_column=output_column))

    def to_parquet(
        self,
        target: str | PathLike[str],
        *,
        unpack: bool = True,
        output_column: str = "inference_result",
    ) -> None:
        """Write a Parquet file with the columns of `to_arrow`, piece by piece.

        The file is written under a temporary name and then renamed, so that it is complete
        whenever it is there.

        Args:
            target: A local path, or a URL of a file system that fsspec knows, such as `s3://`.
            unpack: As for `to_arrow`.
            output_column: As for `to_arrow`.

        Raises:
            SutroInputError: As for `to_arrow`.
            SutroConfigurationError: The package for a URL of this kind is not installed.
            OSError: The file cannot be written.
        """
        export.write_parquet(target, *self._pieces(unpack=unpack, output_column=output_column))

    def to_csv(
        self,
        target: str | PathLike[str],
        *,
        unpack: bool = True,
        output_column: str = "inference_result",
    ) -> None:
        """Write a CSV file in UTF-8; lists and objects are JSON. Otherwise as `to_parquet`.

        Args:
            target: As for `to_parquet`.
            unpack: As for `to_arrow`.
            output_column: As for `to_arrow`.

        Raises:
            SutroInputError: As for `to_arrow`.
            SutroConfigurationError: As for `to_parquet`.
            OSError: As for `to_parquet`.
        """
        export.write_csv(target, *self._pieces(unpack=unpack, output_column=output_column))

    def to_jsonl(
        self,
        target: str | PathLike[str],
        *,
        unpack: bool = True,
        output_column: str = "inference_result",
    ) -> None:
        """Write a file of JSON lines, an object for each row. Otherwise as `to_parquet`.

        Args:
            target: As for `to_parquet`.
            unpack: As for `to_arrow`.
            output_column: As for `to_arrow`.

        Raises:
            SutroInputError: As for `to_arrow`.
            SutroConfigurationError: As for `to_parquet`.
            OSError: As for `to_parquet`.
        """
        _, tables = self._pieces(unpack=unpack, output_column=output_column)
        export.write_jsonl(target, tables)

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """The table of `to_arrow` for other libraries, by the Arrow PyCapsule interface."""
        return self.to_arrow().__arrow_c_stream__(requested_schema)

    def join(
        self,
        original: Any,
        *,
        unpack: bool = True,
        suffix: str | None = None,
        output_column: str = "inference_result",
    ) -> Any:
        """Join the results to the rows that went in, by position.

        Args:
            original: What was submitted: anything that `SutroFunction.submit` takes, except URLs.
            unpack: As for `to_arrow`.
            suffix: Appended to the name of a result column that the original also has; None makes
                that an error. A carried column with equal values is not added again.
            output_column: As for `to_arrow`.

        Returns:
            For a DataFrame or a `pyarrow.Table` a new one of the same kind, with the index, columns
            and types of the original; for other iterables of rows a list of dicts, where a string
            is under `input`; for files and other Arrow objects a `pyarrow.Table`.

        Raises:
            SutroInputError: The numbers of rows differ, names clash, or the kind is not supported.
        """
        table = self.to_arrow(unpack=unpack, output_column=output_column)
        return frames.join(original, table, carried=self.carried, suffix=suffix)

    def __repr__(self) -> str:
        named = [part for part in (self.function, self.job_id) if part]
        return f"<BatchResults: {', '.join([*named, f'{self._columns.count:,} rows'])}>"

    def _repr_html_(self) -> str:
        """A few rows, and the facts that are known without reading all rows."""
        facts = [*filter(None, (self.function, self.job_id)), f"{self._columns.count:,} rows"]
        for kind in ("input", "output"):
            tokens = self._total(f"{kind}_tokens")
            if tokens is not None:
                facts.append(f"{tokens:,} {kind} tokens")
        cost = self._total("job_cost")
        if cost is not None:
            facts.append(usd(cost))
        rows = "".join(
            f"<tr><td>{index}</td><td>{escape(_short(one))}</td><td>{_confidence(one)}</td></tr>"
            for index, one in enumerate(self[:_PREVIEW])
        )
        return (
            f"<p>{escape(' · '.join(facts))}</p><table><thead><tr><th></th><th>answer</th>"
            f"<th>confidence</th></tr></thead><tbody>{rows}</tbody></table>"
        )

    @cached_property
    def _scan(self) -> tuple[list[SutroRowError], LabelCounts]:
        """The errors, and the counts of the other rows' answers."""
        errors: list[SutroRowError] = []
        labels = LabelCounts()
        for one in self:
            if isinstance(one, SutroRowError):
                errors.append(one)
            elif labels.countable:
                labels.add(one.answer)
        return errors, labels

    def _parsed(
        self, windows: Iterator[list[ResultRow]]
    ) -> list[FunctionResult | SutroRowError] | None:
        """The next few thousand rows; None at the end."""
        window = next(windows, None)
        return None if window is None else list(map(self._result, window))

    def _pieces(self, *, unpack: bool, output_column: str) -> tuple[Any, Iterator[Any]]:
        """The table of `to_arrow` a piece at a time: its schema, and its parts."""
        import pyarrow as pa  # noqa: PLC0415

        types: dict[str, Any] = {}
        others = True
        if unpack:
            types, others = column_types(self._columns.outputs, open_envelopes=True)
        outputs = dict(types)
        if others or not types:
            _add(outputs, {output_column: pa.large_string()})
        first, last = (INPUTS, *self.carried), (LOGPROBS, CONFIDENCE)
        known = self._columns.schema_of([*first, *last])
        columns = {name: known.field(name).type for name in first if name in known.names}
        _add(columns, outputs)
        _add(columns, {name: known.field(name).type for name in last if name in known.names})
        schema = pa.schema(list(columns.items()))

        def tables() -> Iterator[Any]:
            for texts, rest in self._columns.tables([*first, *last]):
                found, left = (
                    unpack_piece(texts, types, open_envelopes=True) if types else ({}, texts)
                )
                found[output_column] = left if types else texts
                found |= dict(zip(rest.column_names, rest.columns, strict=True))
                yield pa.table(
                    [_as(found.get(one.name), one, len(texts)) for one in schema], schema=schema
                )

        return schema, tables()

    def _total(self, name: str) -> Any:
        values = [job.get(name) for job in self._jobs if job is not None]
        known = [value for value in values if isinstance(value, (int, float))]
        return sum(known) if known and len(known) == len(self._jobs) else None

    def _result(self, row: ResultRow) -> FunctionResult | SutroRowError:
        return row_result(
            row.output,
            row.confidence,
            generation=self.generation,
            job_id=row.job_id,
            row_index=row.position,
        )


def usd(cost: float) -> str:
    """An amount to show: with two decimals, or two significant digits below a cent.

    Args:
        cost: In USD.
    """
    return f"{cost:,.2f} USD" if cost >= 0.01 or not cost else f"{cost:.2g} USD"


def _confidence(one: FunctionResult | SutroRowError) -> str:
    known = None if isinstance(one, SutroRowError) else one.confidence
    return "" if known is None else f"{known:.4g}"


def _check_count(part: ResultColumns, expected: int | None, job: Mapping[str, Any] | None) -> None:
    if expected is None and job is not None:
        known = job.get("num_rows")
        expected = known if isinstance(known, int) and not isinstance(known, bool) else None
    if expected is not None and part.count != expected:
        raise SutroJobError(
            f"The job has {part.count:,} results for {expected:,} rows, so which belongs to which "
            "is unknown.",
            job_id=part.job_id,
        )


class _Each(Iterable[_T]):
    """Something to iterate over any number of times."""

    def __init__(self, iterate: Callable[[], Iterator[_T]]) -> None:
        self._iterate = iterate

    def __iter__(self) -> Iterator[_T]:
        return self._iterate()


def _as(column: Any, field: Any, rows: int) -> Any:
    """A column in the type that it has over all pieces; nulls if a piece lacks it."""
    import pyarrow as pa  # noqa: PLC0415

    if column is None:
        return pa.nulls(rows, field.type)
    # Arrow's cast of a list of nulls to its own type makes an invalid array.
    return column if column.type == field.type else column.cast(field.type)


def _add(columns: dict[str, Any], more: Mapping[str, Any]) -> None:
    clashes = [name for name in more if name in columns]
    if clashes:
        raise SutroInputError(
            f"Outputs and other columns are both named {', '.join(map(repr, clashes))}: choose "
            "another output column, or keep outputs as they are instead of unpacking them."
        )
    columns.update(more)


def _short(one: FunctionResult | SutroRowError) -> str:
    text = str(one) if isinstance(one, SutroRowError) else str(one.answer)
    return text if len(text) <= 200 else f"{text[:200]}…"
