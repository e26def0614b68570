"""What writes the rows of a dataset to a stage, as the parts of jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ray.data import Datasink
from ray.data.block import BlockAccessor

from langchain_sutro._core.exports import exported_from
from langchain_sutro._core.staging import PartWriter

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable

    from pydantic import BaseModel

    from langchain_sutro._core.rows import ExtraFields, Fields

__all__ = ["PartsDatasink", "StageDatasink"]


class PartsDatasink(Datasink):  # type: ignore[misc]
    """Has the workers write the parts of a stage, and the driver commit them.

    Args:
        writer: Writes and commits.
    """

    def __init__(self, writer: PartWriter) -> None:
        self._writer = writer

    def on_write_start(self, schema: Any = None) -> None:  # noqa: ARG002 - Ray's signature
        """Refuse a stage that holds a table already."""
        self._writer.check_new()

    def write(self, blocks: Iterable[Any], ctx: Any) -> Any:
        """Write the blocks of one task as parts; returns what the commit needs of them."""
        tables = (BlockAccessor.for_block(block).to_arrow() for block in blocks)
        return self._writer.write(tables, ctx.task_idx)

    def on_write_complete(self, write_result: Any) -> None:
        """Commit the parts that the tasks returned."""
        returned = write_result.write_returns
        parts = [part for parts, _ in returned for part in parts]
        self._writer.commit(parts, [schema for _, schema in returned])

    @property
    def min_rows_per_write(self) -> int:
        """Up to so many rows Ray combines blocks for one task."""
        return self._writer.max_rows_per_part


@exported_from("langchain_sutro.ray")
class StageDatasink(PartsDatasink):
    """Writes a dataset to a stage, for `Dataset.write_datasink`; submits nothing.

    Each worker checks the rows of its blocks and writes them as Parquet files. Tasks that Ray
    repeats are harmless: the stage holds no table until the driver has committed the list of
    its parts, at the end, once.

    Args:
        stage: A directory that the driver and all workers share, or a URL such as
            `s3://bucket/folder`. It holds one table.
        fields: Names of the columns to send, or a mapping of the names of the Function's fields to
            the dataset's columns. Defaults to those of `args_schema`, or all columns without one.
        max_rows_per_part: Maximum number of rows of a part, and so of a job. Ray combines blocks up
            to it, so that a part fits into the memory of a worker.
        args_schema: Checks every row before anything is committed.
        function: The Function's name. `run_function` takes the parts for no other one.
        extra_fields: As for `SutroFunction`.

    Raises:
        SutroInputError: `max_rows_per_part` is less than 1, or `fields` do not fit `args_schema`.
        SutroConfigurationError: The URL of the stage cannot be used.
    """

    def __init__(
        self,
        stage: str | os.PathLike[str],
        *,
        fields: Fields | None = None,
        max_rows_per_part: int = 50_000,
        args_schema: type[BaseModel] | dict[str, Any] | None = None,
        function: str | None = None,
        extra_fields: ExtraFields = "forbid",
    ) -> None:
        writer = PartWriter(
            stage,
            fields=fields,
            max_rows_per_part=max_rows_per_part,
            args_schema=args_schema,
            function=function,
            extra_fields=extra_fields,
        )
        super().__init__(writer)
