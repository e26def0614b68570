"""The results of parts, read by workers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_sutro._core.jobs import SutroClient, SutroJob
from langchain_sutro.errors import SutroConfigurationError, SutroInputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from langchain_sutro._core.staging.joined import OutputColumns
    from langchain_sutro._core.staging.parts import CommittedParts
    from langchain_sutro._core.staging.stage import Stage

__all__ = ["PartReader"]

_KEY = (
    "The workers of a cluster read results themselves: set SUTRO_API_URL and SUTRO_API_KEY in the "
    "environment of its machines, or log in there. The key is sent to no worker."
)


class PartReader:
    """Reads the rows of a part beside the results of its job.

    It goes to the workers as a pickle, without a key: each worker reads its own environment.

    Args:
        stage: Where the parts are.
        parts: What was committed.
        jobs: The id of each part's job.
        columns: What results add to the rows.
        client: That the jobs were submitted through.
        function: The Function's name.
        timeout: Seconds to wait for a job that has not ended.

    Raises:
        SutroInputError: There is not one job for each part, or names clash.
    """

    def __init__(
        self,
        stage: Stage,
        parts: CommittedParts,
        jobs: Sequence[str],
        columns: OutputColumns,
        *,
        client: SutroClient,
        function: str | None = None,
        timeout: float | None = 7200.0,
    ) -> None:
        if len(jobs) != len(parts.parts):
            raise SutroInputError(
                f"The stage {stage.address} has {len(parts.parts)} parts, and {len(jobs)} jobs "
                "were given: one is needed for each."
            )
        self.parts = parts
        self.schema = columns.schema(parts.schema())
        self._stage = stage
        self._jobs = list(jobs)
        self._columns = columns
        self._client = _without_key(client)
        self._function = function
        self._timeout = timeout

    def read(self, number: int) -> Any:
        """The rows of a part and their results, as a `pyarrow.Table`.

        Args:
            number: Position of the part, from 0.

        Raises:
            SutroConfigurationError: There is no key here, or the part's file is not visible.
            SutroJobError: The job did not succeed, or has another number of results.
        """
        part = self.parts.parts[number]
        rows = self.parts.read(self._stage, part)
        job = SutroJob.from_id(
            self._jobs[number], client=self._client, function=self._function, rows=part.rows
        )
        try:
            # A missing key is noticed before anything is asked.
            self._client.settings  # noqa: B018
        except SutroConfigurationError as error:
            error.add_note(_KEY)
            raise
        return self._columns.join(rows, job.results(timeout=self._timeout))


def _without_key(client: SutroClient) -> SutroClient:
    """A client of the same deployment, whatever the environment of a worker says."""
    settings = client.settings
    state = client.__getstate__()
    return SutroClient(
        **{**state, "api_url": settings.batch_url, "generation": settings.generation}
    )
