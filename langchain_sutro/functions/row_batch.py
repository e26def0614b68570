"""`RowBatch`: the rows of a `batch` call, between LangChain's runs and the Batch job."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from langchain_sutro._rows import encode_row, spool_rows
from langchain_sutro._tracing import row_facts
from langchain_sutro.errors import SutroError, SutroInputError
from langchain_sutro.functions.row_outcomes import RowOutcomes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from langchain_core.callbacks import BaseRunManager
    from langchain_core.runnables import RunnableConfig

    from langchain_sutro._results import BatchResults
    from langchain_sutro._rows import InputSchema, SpooledRows
    from langchain_sutro.functions.answers import AnswerForm
    from langchain_sutro.functions.batch_job import BatchJob
    from langchain_sutro.functions.runs import CallRuns

__all__ = ["RowBatch"]


@dataclass(frozen=True)
class RowBatch:
    """The rows of one `batch` call, each with its own run and its own value or error.

    Attributes:
        inputs: The rows as the caller gave them.
        schema: Checks each row; None sends them as they are.
        form: The form of the outcomes.
        runs: Writes the facts of each row onto its run.
        managers: The run manager of each row.
        configs: The config of each row's children.
        job: Runs the rows that can be sent.
        return_exceptions: Whether a bad row keeps its error while the others are sent.
    """

    inputs: Sequence[Any]
    schema: InputSchema | None
    form: AnswerForm
    runs: CallRuns
    managers: Sequence[BaseRunManager]
    configs: Sequence[RunnableConfig]
    job: BatchJob
    return_exceptions: bool

    def run(self) -> list[Any]:
        """Run the rows as one job.

        Returns:
            One value or error for each row, in input order.

        Raises:
            SutroInputError: A row cannot be sent, and the caller wants no partial answer.
            SutroJobError: The job did not succeed.
        """
        rows, encoded = self._encode()
        return (
            rows.outcomes if encoded is None else self.job.run(encoded, partial(self._finish, rows))
        )

    async def arun(self) -> list[Any]:
        """Asynchronous form of `run`."""
        rows, encoded = await asyncio.to_thread(self._encode)
        if encoded is None:
            return rows.outcomes
        return await self.job.arun(encoded, partial(self._finish, rows))

    def _encode(self) -> tuple[RowOutcomes, SpooledRows | None]:
        """The rows, of which those that can be sent are open, and these encoded."""
        rows = RowOutcomes(len(self.inputs))

        def encoded(index: int) -> Any:
            row = self.inputs[index]
            if self.schema is not None:
                row = self.schema.check(row, row_index=index)
            return encode_row(row, row_index=index)

        good = rows.prepare(encoded, keep=SutroInputError if self.return_exceptions else ())
        return rows, spool_rows(good) if good else None

    def _finish(self, rows: RowOutcomes, job_id: str, results: BatchResults) -> list[Any]:
        outcomes = []
        for place, (index, result) in enumerate(zip(rows.open, results, strict=True)):
            outcomes.append(self._outcome(result, job_id, place))
            self.runs.record(
                self.managers[index],
                self.configs[index],
                facts=row_facts(job_id, index, result),
            )
        rows.put(outcomes)
        return rows.outcomes

    def _outcome(self, result: Any, job_id: str, row_index: int) -> Any:
        if isinstance(result, SutroError):
            return result
        try:
            return self.form.of(result, job_id=job_id, row_index=row_index)
        except SutroError as error:
            return error
