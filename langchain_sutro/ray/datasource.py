"""What reads the results of jobs beside the rows of a stage."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from ray.data import Datasource, ReadTask
from ray.data.block import BlockMetadata

from langchain_sutro._core.exports import exported_from
from langchain_sutro._core.jobs import SutroClient
from langchain_sutro._core.staging import OutputColumns, PartReader, committed, open_stage
from langchain_sutro.errors import SutroConfigurationError

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

__all__ = ["PartsDatasource", "ResultsDatasource"]


class PartsDatasource(Datasource):  # type: ignore[misc]
    """Has the workers read the rows of parts with their results.

    Args:
        reader: Reads one part.
    """

    def __init__(self, reader: PartReader) -> None:
        super().__init__()
        self._reader = reader

    def estimate_inmemory_data_size(self) -> int | None:
        """Twice the size of the files, which are compressed; results are not counted."""
        return 2 * sum(part.size for part in self._reader.parts.parts)

    def get_read_tasks(
        self, parallelism: int, per_task_row_limit: int | None = None, data_context: Any = None
    ) -> list[Any]:
        """One task for each part, in order."""
        del parallelism, data_context
        return [
            ReadTask(
                partial(_read, self._reader, number),
                BlockMetadata(
                    num_rows=part.rows, size_bytes=2 * part.size, exec_stats=None, input_files=None
                ),
                schema=self._reader.schema,
                per_task_row_limit=per_task_row_limit,
            )
            for number, part in enumerate(self._reader.parts.parts)
        ]


@exported_from("langchain_sutro.ray")
class ResultsDatasource(PartsDatasource):
    """Reads the rows of a stage and their results, for `ray.data.read_datasource`.

    One task reads one part: the rows from the stage, and the results of its job from the service,
    by its id. They are joined by position, and their numbers compared. The key goes into no task:
    the workers need `SUTRO_API_URL` and `SUTRO_API_KEY` in their own environment.

    Args:
        stage: Where `StageDatasink` wrote the rows.
        jobs: The ids of the jobs of its parts, in their order.
        output_schema: A `pyarrow.Schema` of the fields of the outputs that become columns. A value
            that does not have the type is an error of its row. None puts each output, as the
            string that the service sent, into the column `inference_result`.
        suffix: Appended to the name of an added column that the rows also have; None makes that an
            error.
        client: How to reach the deployment; by default from the environment.
        function: The Function's name, for messages.
        timeout: Maximum number of seconds that a task waits for its job to end; None for ever.

    Raises:
        SutroConfigurationError: The stage holds no table.
        SutroInputError: There is not one job for each part, or names clash.
    """

    def __init__(
        self,
        stage: str | os.PathLike[str],
        jobs: Sequence[str],
        *,
        output_schema: Any = None,
        suffix: str | None = None,
        client: SutroClient | None = None,
        function: str | None = None,
        timeout: float | None = 7200.0,
    ) -> None:
        place = open_stage(stage)
        parts = committed(place)
        if parts is None:
            raise SutroConfigurationError(f"The stage {place.address} holds no table yet.")
        reader = PartReader(
            place,
            parts,
            jobs,
            OutputColumns(output_schema, suffix),
            client=SutroClient() if client is None else client,
            function=function,
            timeout=timeout,
        )
        super().__init__(reader)


def _read(reader: PartReader, number: int) -> list[Any]:
    return [reader.read(number)]
