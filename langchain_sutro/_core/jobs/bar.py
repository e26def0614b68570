"""The progress bar of a wait, on standard error or as a widget in a notebook."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from langchain_sutro._core.service import JobProgress, JobStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["GroupBar", "progress_bar"]


@contextmanager
def progress_bar(title: str, rows: int | None) -> Iterator[Callable[[JobProgress], None]]:
    """Show a bar while the block runs.

    Args:
        title: Before the bar.
        rows: Rows of the job, if known.

    Yields:
        What is to be told of the job's progress.
    """
    from tqdm.auto import tqdm  # noqa: PLC0415 - only for those who look

    with tqdm(total=rows, desc=title, unit="row") as bar:

        def show(known: JobProgress) -> None:
            bar.update(known.rows_done - bar.n)
            if known.status is JobStatus.SUCCEEDED and bar.total is not None:
                bar.update(bar.total - bar.n)
            bar.set_postfix_str("unreachable" if known.unreachable else known.status.lower())

        yield show


class GroupBar:
    """One bar for several jobs.

    Args:
        show: What `progress_bar` yields.
        jobs: How many jobs there are.
    """

    def __init__(self, show: Callable[[JobProgress], None], jobs: int) -> None:
        self._show = show
        self._jobs = jobs
        self._known: dict[str, JobProgress] = {}

    def __call__(self, known: JobProgress) -> None:
        """Take the progress of one of the jobs."""
        if known.status is JobStatus.SUCCEEDED and known.rows_total is not None:
            known = replace(known, rows_done=known.rows_total)
        self._known[known.job_id] = known
        each = self._known.values()
        succeeded = sum(one.status is JobStatus.SUCCEEDED for one in each)
        done = succeeded == self._jobs
        self._show(
            replace(
                known,
                status=JobStatus.SUCCEEDED if done else JobStatus.RUNNING,
                rows_done=sum(one.rows_done for one in each),
            )
        )
