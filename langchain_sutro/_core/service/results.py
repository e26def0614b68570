"""The results of a job, as a private file or as JSON."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any, BinaryIO, Self

from langchain_sutro._core.service.cleanup import when_gone
from langchain_sutro._core.service.download import Download, download_results, results_url
from langchain_sutro._core.service.jobs import job_results, when_ready
from langchain_sutro._core.service.private_files import keep_private, open_private, remove_private
from langchain_sutro._core.service.threads import in_thread
from langchain_sutro.errors import (
    SutroAPIError,
    SutroAuthenticationError,
    SutroConfigurationError,
    SutroConnectionError,
    SutroRateLimitError,
)

if TYPE_CHECKING:
    from pathlib import Path

    from langchain_sutro._core.service.driver import Operation
    from langchain_sutro._core.service.exchange import Service

__all__ = ["PrivateFile", "fetch_results", "results_link", "results_saved"]

_log = logging.getLogger(__name__)
# Answers that say nothing about the results themselves, but that they cannot be had this way.
_NOT_HERE = frozenset({404, 405, 410, 501})
# There are no results yet, in any form.
_NOT_YET = frozenset({409, 425})
# What the service would answer to another call too.
_OF_EVERYTHING = (SutroAuthenticationError, SutroRateLimitError)


class PrivateFile(Download):
    """A temporary file that only this user can read; it goes unless it is kept."""

    def __init__(self) -> None:
        try:
            self._open, self._path = open_private()
        except OSError as error:
            raise _not_stored(error) from None
        self._kept = False
        # A task may be cancelled while a thread makes the file for it.
        self._unused = when_gone(self, _remove, self._open, self._path)
        super().__init__(self._open)

    def write(self, piece: bytes) -> bool:
        """As for every download.

        Raises:
            SutroConfigurationError: The disk is full, for example.
        """
        try:
            more = super().write(piece)
            # A forked child must not write what is left in its copy of the buffer.
            self._open.flush()
        except OSError as error:
            raise _not_stored(error) from None
        return more

    def keep(self) -> Path:
        """The finished file, which its new owner removes with `remove_private`."""
        try:
            if self._path is None:
                self._path = keep_private(self._open)
            self._open.close()
        except OSError as error:
            raise _not_stored(error) from None
        self._kept = True
        return self._path

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object = None, error: object = None, trace: object = None) -> None:
        self._unused.detach()
        # What a full disk has not taken is not needed any more.
        with suppress(OSError):
            self._open.close()
        # After an error nobody has become its owner.
        if self._path is not None and (not self._kept or kind is not None):
            remove_private(self._path)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: object, error: object, trace: object) -> None:
        await in_thread(self.__exit__, kind)


def _not_stored(error: OSError) -> SutroConfigurationError:
    """The error for results that find no room on this machine."""
    return SutroConfigurationError(
        f"The results cannot be stored on this machine: {error.strerror or error}. Free some space "
        "for temporary files, or set TMPDIR to another folder."
    )


def _remove(file: BinaryIO, path: Path | None) -> None:
    with suppress(OSError):
        file.close()
    if path is not None:
        remove_private(path)


def fetch_results(
    service: Service,
    job_id: str,
    target: Download | None,
    options: dict[str, bool],
) -> Operation[dict[str, list[Any]] | None]:
    """The results of a job, which may lag behind its success.

    Args:
        service: The deployment, and how patiently it is called.
        job_id: The job.
        target: Takes them as a Parquet file; None to get them as JSON.
        options: `include_inputs` and `include_cumulative_logprobs`.

    Returns:
        Columns, or None if the results are in the file. JSON, which every version of the official
        SDK uses, is what is left where the service has no file, or its storage cannot be reached.

    Raises:
        SutroAPIError: There are no results.
        SutroConnectionError: The service gave no complete answer.
        SutroConfigurationError: This machine cannot store the file.
    """

    def attempt() -> Operation[dict[str, list[Any]] | None]:
        failure: SutroAPIError | SutroConnectionError | None = None
        if target is not None:
            failure = yield from _file(service, job_id, target, options)
            if failure is None:
                return None
            _log.warning("Fetching the results of %s as JSON: %s", job_id, failure)
        try:
            return (yield from job_results(service, job_id, **options))
        except SutroAPIError as error:
            if failure is not None and error.status_code in _NOT_HERE:
                raise failure from None
            raise

    try:
        return (yield from when_ready(service.policy, attempt))
    except BaseException as error:
        error.add_note(_fetching(job_id))
        raise


def _fetching(job_id: str) -> str:
    return f"While fetching the results of {job_id}."


def _file(
    service: Service, job_id: str, target: Download, options: dict[str, bool]
) -> Operation[SutroAPIError | SutroConnectionError | None]:
    """Receive the file; what went wrong if JSON may do."""
    try:
        yield from download_results(service, job_id, target, **options)
    except SutroConnectionError as error:
        # Object storage is another host, which this machine may not reach.
        return error
    except SutroAPIError as error:
        if isinstance(error, _OF_EVERYTHING) or error.status_code in _NOT_YET:
            raise
        return error
    return None


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
