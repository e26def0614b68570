"""Saving the results of a job as a file of the user's."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from langchain_sutro._core.jobs.connection import Connection, asking
from langchain_sutro._core.jobs.saved_file import SavedFile
from langchain_sutro._core.results import disk_errors
from langchain_sutro._core.service import blocking, results_link, results_saved

if TYPE_CHECKING:
    from langchain_sutro._core.service import Steps

__all__ = ["save_results"]


def save_results(
    client: Connection,
    job_id: str,
    output_path: str | os.PathLike[str] | None,
    options: dict[str, Any],
    *,
    resume: bool,
) -> Steps[str]:
    """Download the results of a job; `SutroClient.download_job_results` has the arguments."""
    settings = yield blocking(lambda: client.settings)
    folder = yield blocking(_folder, output_path)
    if folder is None:
        place = Path(os.fspath(output_path or ""))
    elif settings.generation == "hosted":
        # It has no presigned URLs, which come with the name.
        place = folder / _file_name(None, job_id)
    else:
        answer = yield from asking(client, results_link, job_id, options)
        artifact = answer.get("artifact")
        name = artifact.get("filename") if isinstance(artifact, dict) else None
        place = folder / _file_name(name, job_id)
    with disk_errors(place, "written"):
        part: SavedFile = yield blocking(SavedFile, place, resume=resume)
        try:
            yield from asking(client, results_saved, job_id, part, options)
            yield blocking(part.finish)
        finally:
            yield blocking(part.close)
    return str(place)


def _folder(output_path: str | os.PathLike[str] | None) -> Path | None:
    """The directory that a path means; None if it means a file."""
    if output_path is None:
        return Path()
    said = os.fspath(output_path)
    folder = Path(said)
    if not said.endswith(("/", os.sep)) and not folder.is_dir():
        return None
    with disk_errors(folder, "written"):
        folder.mkdir(parents=True, exist_ok=True)
    return folder


def _file_name(name: object, job_id: str) -> str:
    """The service's name for the file, from which no other directory can be reached."""
    last = re.split(r"[/\\]", name)[-1] if isinstance(name, str) else ""
    safe = last if last.isprintable() and last.strip(". ") else ""
    return safe or re.sub(r"[^\w-]", "_", job_id) + ".parquet"
