"""The progress bar of a wait, on standard error or as a widget in a notebook."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from langchain_sutro._service import JobProgress, JobStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["progress_bar"]


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
            bar.set_postfix_str(known.status.lower())

        yield show
