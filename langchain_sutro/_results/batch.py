"""The answers of a Batch job: row by row, or as a table."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from html import escape
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

from langchain_sutro._exports import exported_from
from langchain_sutro._results import frames
from langchain_sutro._results.payload import FunctionResult, row_result
from langchain_sutro._results.result_columns import (
    CONFIDENCE,
    INPUTS,
    LOGPROBS,
    StoredColumns,
    StoredParts,
    StoredRow,
)
from langchain_sutro._results.unpack import unpack as unpack_texts
from langchain_sutro.errors import SutroInputError, SutroJobError, SutroRowError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from os import PathLike

__all__ = ["BatchResults", "BatchSummary", "usd"]

_MOST_LABELS = 50
_PREVIEW = 5
_QUANTILES = {"min": 0.0, "5%": 0.05, "25%": 0.25, "50%": 0.5, "75%": 0.75, "95%": 0.95, "max": 1.0}


@dataclass(frozen=True)
class BatchSummary:
    """A job at a glance.

    Attributes:
        rows: Rows in all.
        errors: Rows without a usable answer.
        answers: How often each answer came, the most frequent first; None if answers are no
            labels: texts or booleans of at most 50 kinds.
        confidence: Quantiles by name (`min`, `5%`, `25%`, `50%`, `75%`, `95%`, `max`); None if
            nothing was scored.
        input_tokens: Of the whole job, if known.
        output_tokens: Of the whole job, if known.
        cost: Of the whole job in USD, if known.
    """

    rows: int
    errors: int
    answers: dict[str | bool, int] | None
    confidence: dict[str, float] | None
    input_tokens: int | None
    output_tokens: int | None
    cost: float | None


@exported_from("langchain_sutro")
class BatchResults:
    """A job's answers in the order of its input.

    Iteration gives one item per input row: a `FunctionResult`, or the `SutroRowError` of a row
    that has no usable output, as `batch(return_exceptions=True)` does. Rows are parsed when they
    are asked for, and a file is read piece by piece. Made by `from_columns` or `from_parquet`.

    Attributes:
        job_id: The job; None if there are several.
        function: The Function's name, if known.
        generation: Which shape the answers have, see `row_result`.
    """

    def __init__(
        self,
        parts: Sequence[StoredColumns],
        *,
        function: str | None,
        generation: Literal["deployment", "hosted"],
        jobs: Sequence[Mapping[str, Any] | None],
    ) -> None:
        self.job_id = parts[0].job_id if len(parts) == 1 else None
        self.function = function
        self.generation = generation
        self._stored = StoredParts(parts)
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
        """Take what the service sends as JSON.

        Args:
            columns: Lists of equal length by name, of which only `outputs` is certain; or that
                list alone.
            job_id: The job.
            function: The Function.
            generation: Which generation of the service answered.
            expected_rows: How many rows went in, if known.
            job: The job object, for tokens and cost.

        Raises:
            SutroJobError: There are no outputs, or not one for each row.
        """
        part = StoredColumns.from_columns(columns, job_id)
        _check_count(part, expected_rows)
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
        """Take a downloaded file, which is read when rows are asked for.

        Args:
            path: The file.
            job_id: The job.
            function: The Function.
            generation: Which generation of the service answered.
            expected_rows: How many rows went in, if known.
            job: The job object, for tokens and cost.
            delete: Whether the file goes when nothing refers to these results any more.

        Raises:
            SutroJobError: It is no Parquet file, has no outputs, or not one for each row.
        """
        part = StoredColumns.from_parquet(Path(path), job_id, delete=delete)
        _check_count(part, expected_rows)
        return cls([part], function=function, generation=generation, jobs=[job])

    @classmethod
    def concat(cls, results: Sequence[BatchResults]) -> BatchResults:
        """Put the results of several jobs one after the other.

        Args:
            results: At least one, in the order of their input. Row indices count on.
        """
        return cls(
            [part for result in results for part in result._stored.parts],  # noqa: SLF001 - ours
            function=results[0].function,
            generation=results[0].generation,
            jobs=[job for result in results for job in result._jobs],  # noqa: SLF001 - ours
        )

    def __len__(self) -> int:
        return self._stored.count

    def __iter__(self) -> Iterator[FunctionResult | SutroRowError]:
        return map(self._result, self._stored.rows(0))

    @overload
    def __getitem__(self, index: int) -> FunctionResult | SutroRowError: ...

    @overload
    def __getitem__(self, index: slice) -> list[FunctionResult | SutroRowError]: ...

    def __getitem__(
        self, index: int | slice
    ) -> FunctionResult | SutroRowError | list[FunctionResult | SutroRowError]:
        if isinstance(index, slice):
            wanted = range(*index.indices(self._stored.count))
            if wanted.step == 1:
                rows = islice(self._stored.rows(wanted.start), len(wanted))
                return list(map(self._result, rows))
            return [self[one] for one in wanted]
        position = index + self._stored.count if index < 0 else index
        if not 0 <= position < self._stored.count:
            raise IndexError(index)
        return self._result(self._stored.row(position))

    def answers(self) -> Iterator[Any]:
        """Each row's `answer`, or its `SutroRowError`."""
        return (one if isinstance(one, SutroRowError) else one.answer for one in self)

    @property
    def errors(self) -> list[SutroRowError]:
        """The rows that have no usable output; reads all rows the first time."""
        return list(self._scan[0])

    def summary(self) -> BatchSummary:
        """Rows, errors, how often each label came, confidences, tokens and cost."""
        import pyarrow.compute as pc  # noqa: PLC0415

        errors, labels = self._scan
        scores = self._stored.read([CONFIDENCE])
        confidence = None
        if scores.num_columns and scores[CONFIDENCE].null_count < scores.num_rows:
            values = pc.quantile(scores[CONFIDENCE], list(_QUANTILES.values())).to_pylist()
            confidence = dict(zip(_QUANTILES, values, strict=True))
        return BatchSummary(
            rows=self._stored.count,
            errors=len(errors),
            answers=None if labels is None else dict(labels.most_common()),
            confidence=confidence,
            input_tokens=self._total("input_tokens"),
            output_tokens=self._total("output_tokens"),
            cost=self._total("job_cost"),
        )

    @property
    def carried(self) -> tuple[str, ...]:
        """Columns that the service took over from its input, such as an id column."""
        return self._stored.carried()

    def to_arrow(
        self,
        *,
        unpack: bool = True,
        output_column: str = "inference_result",
        unwrap_reasoning: bool = True,
    ) -> Any:
        """A `pyarrow.Table` with one row per input row.

        Args:
            unpack: A column for each field of the outputs' JSON objects, null where a row has none;
                a field with values of several kinds becomes text.
            output_column: Name of the column of outputs that stay as they are: all of them without
                `unpack`, else those that are no JSON objects, if there are any.
            unwrap_reasoning: Whether a reasoning model's envelope becomes its content's fields and
                `reasoning_content`.

        Returns:
            `inputs` and carried columns, outputs, `cumulative_logprobs`, `confidence_score`, as far
            as there are.

        Raises:
            SutroInputError: An output's field has the name of another column.
        """
        import pyarrow as pa  # noqa: PLC0415

        outputs: dict[str, Any] = {}
        if unpack:
            fields, rest = unpack_texts(self._stored.texts, open_envelopes=unwrap_reasoning)
            outputs = dict(zip(fields.column_names, fields.columns, strict=True))
            if outputs and rest is not None:
                _add(outputs, {output_column: rest})
        if not outputs:
            outputs[output_column] = pa.chunked_array(self._stored.texts(), pa.large_string())
        first, last = (INPUTS, *self.carried), (LOGPROBS, CONFIDENCE)
        others = self._stored.read([*first, *last])
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

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """What other libraries read tables by: the same table as `to_arrow`."""
        return self.to_arrow().__arrow_c_stream__(requested_schema)

    def join(
        self,
        original: Any,
        *,
        unpack: bool = True,
        suffix: str | None = None,
        output_column: str = "inference_result",
    ) -> Any:
        """Put the answers beside the rows that they are for, by position.

        Args:
            original: A pandas or polars DataFrame, a `pyarrow.Table`, or a list of dicts.
            unpack: As for `to_arrow`.
            suffix: Added to the name of a result's column that the original has too; None makes
                that an error. A carried column that is the same is not added again.
            output_column: As for `to_arrow`.

        Returns:
            A new object of the same kind; index, columns and types of the original stay.

        Raises:
            SutroInputError: Another number of rows, names that clash, or another kind of object.
        """
        table = self.to_arrow(unpack=unpack, output_column=output_column)
        return frames.join(original, table, carried=self.carried, suffix=suffix)

    def __repr__(self) -> str:
        named = [part for part in (self.function, self.job_id) if part]
        return f"<BatchResults: {', '.join([*named, f'{self._stored.count:,} rows'])}>"

    def _repr_html_(self) -> str:
        """A few rows and what is known without reading all of them."""
        facts = [*filter(None, (self.function, self.job_id)), f"{self._stored.count:,} rows"]
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
    def _scan(self) -> tuple[list[SutroRowError], Counter[str | bool] | None]:
        """Errors, and how often each answer came if answers are labels."""
        errors: list[SutroRowError] = []
        labels: Counter[str | bool] | None = Counter()
        for one in self:
            if isinstance(one, SutroRowError):
                errors.append(one)
            elif labels is not None:
                answer = one.answer
                if isinstance(answer, (str, bool)):
                    labels[answer] += 1
                if not isinstance(answer, (str, bool)) or len(labels) > _MOST_LABELS:
                    labels = None
        return errors, labels

    def _total(self, name: str) -> Any:
        values = [job.get(name) for job in self._jobs if job is not None]
        known = [value for value in values if isinstance(value, (int, float))]
        return sum(known) if known and len(known) == len(self._jobs) else None

    def _result(self, row: StoredRow) -> FunctionResult | SutroRowError:
        return row_result(
            row.output,
            row.confidence,
            generation=self.generation,
            job_id=row.job_id,
            row_index=row.position,
        )


def usd(cost: float) -> str:
    """An amount as people write it; a fraction of a cent with what tells of it.

    Args:
        cost: In USD.
    """
    return f"{cost:,.2f} USD" if cost >= 0.01 or not cost else f"{cost:.2g} USD"


def _confidence(one: FunctionResult | SutroRowError) -> str:
    known = None if isinstance(one, SutroRowError) else one.confidence
    return "" if known is None else f"{known:.4g}"


def _check_count(part: StoredColumns, expected: int | None) -> None:
    if expected is not None and part.count != expected:
        raise SutroJobError(
            f"The job has {part.count:,} results for {expected:,} rows, so which belongs to which "
            "is unknown.",
            job_id=part.job_id,
        )


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
