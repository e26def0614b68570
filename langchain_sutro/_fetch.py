"""The results of a job, as a private file or as JSON."""

from __future__ import annotations

import asyncio
import logging
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from langchain_sutro._download_api import Download, download_results
from langchain_sutro._jobs_api import job_results, when_ready
from langchain_sutro.errors import SutroAPIError, SutroConnectionError

if TYPE_CHECKING:
    from langchain_sutro._api import Policy
    from langchain_sutro._http import Operation
    from langchain_sutro.settings import Settings

__all__ = ["PrivateFile", "results_file", "results_json"]

_log = logging.getLogger(__name__)


class PrivateFile(Download):
    """A temporary file that only this user can read; it goes unless it is kept."""

    def __init__(self) -> None:
        handle, path = tempfile.mkstemp(prefix="langchain-sutro-", suffix=".parquet")
        self._path = Path(path)
        self._open = os.fdopen(handle, "wb")
        self._kept = False
        super().__init__(self._open)

    def keep(self) -> Path:
        """The finished file, which its new owner deletes."""
        self._open.close()
        self._kept = True
        return self._path

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()
        if not self._kept:
            self._path.unlink(missing_ok=True)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self.__exit__)


def results_file(
    settings: Settings,
    policy: Policy,
    job_id: str,
    target: Download,
    options: dict[str, bool],
) -> Operation[bool]:
    """Receive the results as a file; False where only JSON will do."""

    def attempt() -> Operation[None]:
        return download_results(settings, policy, job_id, target, **options)

    try:
        yield from when_ready(policy, attempt)
    except SutroConnectionError as error:
        # Object storage is another host, which this machine may not reach.
        _log.warning("Fetching the results of %s as JSON: %s", job_id, error)
        return False
    except SutroAPIError as error:
        if error.status_code not in (405, 501):
            error.add_note(f"While fetching the results of {job_id}.")
            raise
        return False
    return True


def results_json(
    settings: Settings, policy: Policy, job_id: str, options: dict[str, bool]
) -> Operation[dict[str, list[Any]]]:
    def attempt() -> Operation[dict[str, list[Any]]]:
        return job_results(settings, policy, job_id, **options)

    try:
        return (yield from when_ready(policy, attempt))
    except (SutroConnectionError, SutroAPIError) as error:
        error.add_note(f"While fetching the results of {job_id}.")
        raise
