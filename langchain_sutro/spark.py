"""Spark: a Function over a data frame of any size, whose rows stay in the cluster.

Spark itself comes with the cluster; it must be 4.0 or newer.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from langchain_sutro._core.staging import StagedPart, judged_parts
from langchain_sutro.functions import SutroFunction

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator

    from pyspark.sql import DataFrame

    from langchain_sutro._core.rows import Fields
    from langchain_sutro._core.staging import CommittedParts, PartReader, PartWriter

__all__ = ["run_function"]

_PARTS = "name string, rows long, size long, columns binary"


def run_function(
    frame: DataFrame,
    function: SutroFunction | str,
    *,
    stage: str | os.PathLike[str],
    fields: Fields | None = None,
    output_schema: Any = None,
    manifest: str | os.PathLike[str] | None = None,
    max_rows_per_part: int = 50_000,
    suffix: str | None = None,
    timeout: float | None = 7200.0,
    resubmit_unknown: bool = False,
    job_name: str | None = None,
    description: str | None = None,
) -> DataFrame:
    """Run a Function over a data frame, as one job for each part of it; waits for the jobs.

    Executors write the rows to the stage, the driver submits each part once, and executors read the
    results. What holds for the stage, the jobs and a driver that is started again is the same as
    for `langchain_sutro.ray.run_function`.

    Args:
        frame: Of any size. Each of its partitions becomes at least one part.
        function: The Function, or its name.
        stage: A directory that the driver and all executors share, or a URL that fsspec knows, such
            as `s3://bucket/folder`. It holds one data frame: choose another for other rows.
        fields: Names of the columns to send, or a mapping of the names of the Function's fields to
            the frame's columns. Defaults to those of `args_schema`, or all columns without one.
        output_schema: A `pyarrow.Schema` of the fields of the outputs that become columns. A value
            that does not have the type is an error of its row. None puts each output, as the
            string that the service sent, into the column `inference_result`.
        manifest: A file for the jobs' ids; by default in the stage. It must be given for a URL, and
            lie where a driver that is started again finds it.
        max_rows_per_part: Maximum number of rows of a part, and so of a job.
        suffix: Appended to the name of an added column that the frame also has; None makes that an
            error.
        timeout: Maximum number of seconds to wait for each job; None for ever.
        resubmit_unknown: As for `SutroJobGroup.resume`.
        job_name: As for `SutroFunction.submit`.
        description: As for `SutroFunction.submit`.

    Returns:
        The rows with the columns of the outputs, `confidence_score` and `error`, which says why a
        row has no output. It is lazy: results are read whenever it is used, by executors that have
        `SUTRO_API_URL` and `SUTRO_API_KEY` in their own environment.

    Raises:
        SutroInputError: Names clash, or `fields` do not fit; nothing was submitted.
        SutroConfigurationError: The stage is not shared, holds another table, or is in use by
            another driver.
        SubmissionUnknownError: A part may have been submitted before, and its job was not found.
        SutroJobError: A job did not succeed.
        pyspark.errors.PythonException: An executor found a row that cannot be sent; its message has
            the `SutroInputError`.
    """
    function = SutroFunction(function) if isinstance(function, str) else function
    reader = judged_parts(
        function,
        partial(_write, frame),
        stage,
        fields=fields,
        output_schema=output_schema,
        manifest=manifest,
        max_rows_per_part=max_rows_per_part,
        suffix=suffix,
        timeout=timeout,
        resubmit_unknown=resubmit_unknown,
        job_name=job_name,
        description=description,
    )
    count = len(reader.parts.parts)
    session = frame.sparkSession
    schema = session.createDataFrame(reader.schema.empty_table()).schema
    numbers = session.range(0, count, 1, max(1, count))
    return numbers.mapInArrow(partial(_read, reader), schema)


def _write(frame: DataFrame, writer: PartWriter) -> CommittedParts:
    written = frame.mapInArrow(partial(_stage, writer), _PARTS).collect()
    parts = [StagedPart(one.name, one.rows, one.size) for one in written]
    schemas = [bytes(one.columns) for one in written]
    if not parts:
        schemas = [frame.limit(0).toArrow().schema.serialize().to_pybytes()]
    return writer.commit(parts, schemas)


def _stage(writer: PartWriter, batches: Iterable[Any]) -> Iterator[Any]:
    """In an executor: write the rows of a partition, and say which parts they are."""
    import pyarrow as pa  # noqa: PLC0415
    from pyspark import TaskContext  # noqa: PLC0415

    context = TaskContext.get()
    task = 0 if context is None else context.partitionId()
    parts, schema = writer.write((pa.Table.from_batches([one]) for one in batches), task)
    yield pa.RecordBatch.from_pydict(
        {
            "name": [part.name for part in parts],
            "rows": [part.rows for part in parts],
            "size": [part.size for part in parts],
            "columns": [schema for _ in parts],
        },
        pa.schema(
            [
                ("name", pa.string()),
                ("rows", pa.int64()),
                ("size", pa.int64()),
                ("columns", pa.binary()),
            ]
        ),
    )


def _read(reader: PartReader, batches: Iterable[Any]) -> Iterator[Any]:
    """In an executor: the rows of the parts whose numbers are given, with their results."""
    for batch in batches:
        for number in batch.column(0).to_pylist():
            yield from reader.read(number).to_batches()
