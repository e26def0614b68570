"""The results of a job, as a private file or as JSON."""

from __future__ import annotations

import asyncio
import logging
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Self

from langchain_sutro._service.cleanup import when_gone
from langchain_sutro._service.download import Download, download_results, results_url
from langchain_sutro._service.jobs import job_results, when_ready
from langchain_sutro.errors import SutroAPIError, SutroConnectionError

if TYPE_CHECKING:
    from langchain_sutro._service.driver import Operation
    from langchain_sutro._service.exchange import Service

__all__ = ["PrivateFile", "results_file", "results_json", "results_link", "results_saved"]

_log = logging.getLogger(__name__)


class PrivateFile(Download):
    """A temporary file that only this user can read; it goes unless it is kept."""

    def __init__(self) -> None:
        handle, path = tempfile.mkstemp(prefix="langchain-sutro-", suffix=".parquet")
        self._path = Path(path)
        self._open = os.fdopen(handle, "wb")
        self._kept = False
        # A task may be cancelled while a thread makes the file for it.
        self._unused = when_gone(self, _remove, self._open, self._path)
        super().__init__(self._open)

    def keep(self) -> Path:
        """The finished file, which its new owner deletes."""
        self._open.close()
        self._kept = True
        return self._path

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object = None, error: object = None, trace: object = None) -> None:
        self._unused.detach()
        self._open.close()
        # After an error nobody has become its owner.
        if not self._kept or kind is not None:
            self._path.unlink(missing_ok=True)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: object, error: object, trace: object) -> None:
        await asyncio.to_thread(self.__exit__, kind)


def _remove(file: BinaryIO, path: Path) -> None:
    file.close()
    path.unlink(missing_ok=True)


def results_file(
    service: Service,
    job_id: str,
    target: Download,
    options: dict[str, bool],
) -> Operation[bool]:
    """Receive the results as a file; False where only JSON will do."""

    def attempt() -> Operation[None]:
        return download_results(service, job_id, target, **options)

    try:
        yield from when_ready(service.policy, attempt)
    except SutroConnectionError as error:
        # Object storage is another host, which this machine may not reach.
        _log.warning("Fetching the results of %s as JSON: %s", job_id, error)
        return False
    except BaseException as error:
        if isinstance(error, SutroAPIError) and error.status_code in (405, 501):
            return False
        error.add_note(_fetching(job_id))
        raise
    return True


def results_json(
    service: Service, job_id: str, options: dict[str, bool]
) -> Operation[dict[str, list[Any]]]:
    def attempt() -> Operation[dict[str, list[Any]]]:
        return job_results(service, job_id, **options)

    try:
        return (yield from when_ready(service.policy, attempt))
    except BaseException as error:
        error.add_note(_fetching(job_id))
        raise


def results_link(
    service: Service, job_id: str, options: dict[str, Any]
) -> Operation[dict[str, Any]]:
    """Presigned URLs, see `results_url`, of results that may lag behind the job's success."""
    return (yield from when_ready(service.policy, lambda: results_url(service, job_id, **options)))


def results_saved(
    service: Service, job_id: str, target: Download, options: dict[str, Any]
) -> Operation[None]:
    """Receive the results as a file, which may lag behind the job's success."""
    yield from when_ready(
        service.policy, lambda: download_results(service, job_id, target, **options)
    )


def _fetching(job_id: str) -> str:
    return f"While fetching the results of {job_id}."
