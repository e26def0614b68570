"""A Function over a Ray dataset: staged by workers, submitted by the driver, read by workers."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import ray.data

from langchain_sutro._core.exports import exported_from
from langchain_sutro._core.staging import judged_parts
from langchain_sutro.errors import SutroError
from langchain_sutro.functions import SutroFunction
from langchain_sutro.ray.datasink import PartsDatasink
from langchain_sutro.ray.datasource import PartsDatasource

if TYPE_CHECKING:
    import os

    from langchain_sutro._core.rows import Fields
    from langchain_sutro._core.staging import PartWriter

__all__ = ["run_function"]


@exported_from("langchain_sutro.ray")
def run_function(
    dataset: ray.data.Dataset,
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
) -> ray.data.Dataset:
    """Run a Function over a dataset, as one job for each part of it; waits for the jobs.

    Workers write the rows to the stage, the driver submits each part once, and workers read the
    results. No row passes through the driver if the stage is in object storage, from which the
    service fetches the parts itself. A driver that died is followed by another with the same
    arguments: once the parts are committed, the dataset is not computed again, and no part is
    submitted twice.

    Args:
        dataset: Of any size; its rows may come in any order.
        function: The Function, or its name.
        stage: A directory that the driver and all workers share, or a URL such as
            `s3://bucket/folder`. It holds one dataset: choose another for other rows.
        fields: Names of the columns to send, or a mapping of the names of the Function's fields to
            the dataset's columns. Defaults to those of `args_schema`, or all columns without one.
        output_schema: A `pyarrow.Schema` of the fields of the outputs that become columns. A value
            that does not have the type is an error of its row. None puts each output, as the
            string that the service sent, into the column `inference_result`.
        manifest: A file for the jobs' ids; by default in the stage. It must be given for a URL, and
            lie where a driver that is started again finds it.
        max_rows_per_part: Maximum number of rows of a part, and so of a job.
        suffix: Appended to the name of an added column that the dataset also has; None makes that
            an error.
        timeout: Maximum number of seconds to wait for each job; None for ever.
        resubmit_unknown: As for `SutroJobGroup.resume`.
        job_name: As for `SutroFunction.submit`.
        description: As for `SutroFunction.submit`.

    Returns:
        The rows with the columns of the outputs, `confidence_score` and `error`, which says why a
        row has no output. It is lazy: results are read when it is used, by workers that have
        `SUTRO_API_URL` and `SUTRO_API_KEY` in their own environment. Parts keep the order of their
        rows; Ray decides which part comes first unless `preserve_order` is set.

    Raises:
        SutroInputError: A row cannot be sent, or names clash; nothing was submitted.
        SutroConfigurationError: The stage is not shared, holds another table, or is in use by
            another driver.
        SubmissionUnknownError: A part may have been submitted before, and its job was not found.
        SutroJobError: A job did not succeed.
    """
    function = SutroFunction(function) if isinstance(function, str) else function
    reader = judged_parts(
        function,
        partial(_write, dataset),
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
    if not reader.parts.parts:
        return ray.data.from_arrow(reader.schema.empty_table())
    return ray.data.read_datasource(PartsDatasource(reader))


def _write(dataset: ray.data.Dataset, writer: PartWriter) -> None:
    try:
        dataset.write_datasink(PartsDatasink(writer))
    except Exception as error:
        if (own := _own_error(error)) is not None:
            raise own from error
        raise


def _own_error(error: BaseException | None) -> SutroError | None:
    """The error of this package that a worker raised, inside those of Ray."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        cause = getattr(error, "cause", None)
        for one in (cause, error):
            # Ray makes a class of both, whose message is a traceback.
            if type(one).__module__ == SutroError.__module__ and isinstance(one, SutroError):
                return one
        error = cause if isinstance(cause, BaseException) else error.__cause__
    return None
