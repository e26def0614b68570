"""`RowBatch`: the rows of a `batch` call, between LangChain's runs and the Batch job."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from langchain_sutro._core.rows import spool_rows
from langchain_sutro._core.service import in_thread
from langchain_sutro._core.tracing import job_usage, row_facts
from langchain_sutro.errors import SutroError, SutroInputError, SutroValidationError
from langchain_sutro.functions.row_outcomes import RowOutcomes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from langchain_core.callbacks import BaseRunManager

    from langchain_sutro._core.jobs import SutroJob
    from langchain_sutro._core.results import BatchResults
    from langchain_sutro._core.rows import SpooledRows
    from langchain_sutro.functions.answers import AnswerForm
    from langchain_sutro.functions.batch_job import BatchJob
    from langchain_sutro.functions.checked_rows import CheckedRow
    from langchain_sutro.functions.runs import CallRuns

__all__ = ["RowBatch"]

# How often the service may refuse some rows before the rest counts as refused too.
_MOST_REFUSALS = 20


@dataclass(frozen=True)
class RowBatch:
    """The rows of one `batch` call, each with its own run and its own value or error.

    Attributes:
        checked: The rows, of which some may have errors already.
        form: The form of the outcomes.
        runs: Writes the facts of each row onto its run.
        managers: The run manager of each row.
        job: Runs the rows that can be sent.
        return_exceptions: Whether a bad row keeps its error while the others are sent.
    """

    checked: Sequence[CheckedRow]
    form: AnswerForm
    runs: CallRuns
    managers: Sequence[BaseRunManager]
    job: BatchJob
    return_exceptions: bool

    def run(self) -> list[Any]:
        """Run the rows as one job.

        A job that the service refuses, naming rows, was not run. With `return_exceptions` these
        rows keep that error, and the others are submitted again.

        Returns:
            One value or error for each row, in input order.

        Raises:
            SutroInputError: A row cannot be sent, and the caller wants no partial answer.
            SutroValidationError: The service refused the job.
            SutroJobError: The job did not succeed.
        """
        rows, refusals = self._prepared(), 0
        job: SutroJob | None = None
        while job is None and rows.open:
            try:
                with self._encoded(rows) as encoded:
                    job = self.job.submit(encoded)
            except SutroValidationError as error:
                refusals += 1
                self._note_refused(rows, error, refusals)
        return rows.outcomes if job is None else self.job.follow(job, partial(self._finish, rows))

    async def arun(self) -> list[Any]:
        """Asynchronous form of `run`; rows are encoded in a thread."""
        rows, refusals = self._prepared(), 0
        job: SutroJob | None = None
        while job is None and rows.open:
            try:
                with await in_thread(self._encoded, rows) as encoded:
                    job = await self.job.asubmit(encoded)
            except SutroValidationError as error:
                refusals += 1
                self._note_refused(rows, error, refusals)
        if job is None:
            return rows.outcomes
        return await self.job.afollow(job, partial(self._finish, rows))

    def _prepared(self) -> RowOutcomes:
        """The rows, of which those that can be sent are open."""
        rows = RowOutcomes(len(self.checked))
        keep = SutroInputError if self.return_exceptions else ()
        rows.prepare(lambda index: self.checked[index].sent(), keep=keep)
        return rows

    def _encoded(self, rows: RowOutcomes) -> SpooledRows:
        return spool_rows([self.checked[index].sent() for index in rows.open])

    def _note_refused(self, rows: RowOutcomes, error: SutroValidationError, refusals: int) -> None:
        """Give the rows that an error names that error, unless it concerns the whole batch."""
        refused = {place: why for place, why in error.rows.items() if place < len(rows.open)}
        if not refused or refusals > _MOST_REFUSALS:
            raise error
        errors = {rows.open[place]: why for place, why in refused.items()}
        outcomes = [_of_row(error, index, why) for index, why in errors.items()]
        if not self.return_exceptions:
            raise outcomes[0] from error
        rows.put(outcomes, list(errors))

    def _finish(self, rows: RowOutcomes, job_id: str, results: BatchResults) -> list[Any]:
        outcomes = []
        usage = job_usage(results.totals, len(results))
        for place, (index, result) in enumerate(zip(rows.open, results, strict=True)):
            outcomes.append(self._outcome(result, job_id, place))
            facts = row_facts(job_id, index, result, results.model)
            if self.runs.record(self.managers[index], {**facts, **usage}):
                # Once for the whole job.
                usage = {}
        rows.put(outcomes)
        return rows.outcomes

    def _outcome(self, result: Any, job_id: str, row_index: int) -> Any:
        if isinstance(result, SutroError):
            return result
        try:
            return self.form.of(result, job_id=job_id, row_index=row_index)
        except SutroError as error:
            return error


def _of_row(error: SutroValidationError, row_index: int, why: str) -> SutroValidationError:
    """The error of one of the rows for which a job was refused."""
    return SutroValidationError(
        f"HTTP {error.status_code}: row {row_index}: {why}",
        status_code=error.status_code,
        code=error.code,
        detail=why,
        request_id=error.request_id,
    )
