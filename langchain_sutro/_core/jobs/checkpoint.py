"""The checkpoint of a job group: a small JSON file with one owner at a time."""

from __future__ import annotations

import os
import uuid
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import orjson
from pydantic import Field, TypeAdapter, ValidationError

from langchain_sutro._core.jobs.locks import exclusive
from langchain_sutro._core.results import disk_errors
from langchain_sutro._core.service import JobRequest  # noqa: TC001 - pydantic resolves it
from langchain_sutro.errors import SutroConfigurationError, SutroInputError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["MOST_ROWS", "Checkpoint", "CheckpointFile", "JobPart", "PartFile"]

# How long another owner is waited for.
_OWNER_SECONDS = 60.0

_Seconds = Annotated[float, Field(ge=0, le=timedelta.max.total_seconds())]
# What JSON numbers hold exactly.
MOST_ROWS = 2**53
_Count = Annotated[int, Field(ge=1, le=MOST_ROWS)]
_Token = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]


@dataclass(slots=True)
class PartFile:
    """A file that a part is of.

    Attributes:
        location: Absolute path, or URL without credentials.
        size: In bytes, if known.
        version: What changes when the file does, if known.
        first_row: The first row that is of the part.
        rows: How many are, if it is not the whole file.
    """

    location: Annotated[str, Field(min_length=1)]
    size: Annotated[int, Field(ge=0)] | None = None
    version: str | None = None
    first_row: Annotated[int, Field(ge=0, le=MOST_ROWS)] = 0
    rows: _Count | None = None


@dataclass(slots=True)
class JobPart:
    """One job's share of the table; `token` is set while it may have been submitted.

    Attributes:
        rows: How many, if known.
        sha256: Of the rows as JSON, if they pass through this machine.
        token: Of the submission.
        job_id: The job, once it is known.
        files: That the rows are in; none if they were given as something else.
        staged: URL of the object that is written of the files for the service.
    """

    rows: _Count | None
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None
    token: _Token | None = None
    job_id: Annotated[str, Field(min_length=1)] | None = None
    files: list[PartFile] = field(default_factory=list)
    staged: Annotated[str, Field(min_length=1)] | None = None


@dataclass(slots=True)
class Checkpoint:
    """What a group is, but for the client.

    Attributes:
        request: What each job is to do.
        max_rows: Maximum rows per job; None if each file is a job.
        parts: In the order of the rows.
        reuse_seconds: How old an earlier job may be that is taken for a part.
        max_jobs: How many of the jobs may run at once.
    """

    request: JobRequest
    max_rows: _Count | None
    parts: Annotated[list[JobPart], Field(min_length=1)]
    reuse_seconds: _Seconds | None = field(default=None)
    max_jobs: _Count | None = None

    def check(self) -> None:
        """Refuse what no submission writes.

        Raises:
            SutroInputError: It names the option, or the part.
        """
        self.request.check()
        of_files = bool(self.parts[0].files)
        for index, part in enumerate(self.parts):
            unknown = part.rows is None or part.sha256 is None
            if bool(part.files) != of_files or (unknown and not of_files):
                raise SutroInputError(f"parts.{index}: neither rows nor files.")
        if self.max_rows is None and not of_files:
            raise SutroInputError("max_rows: missing.")


@cache
def _checkpoints() -> TypeAdapter[Checkpoint]:
    return TypeAdapter(Checkpoint)


class CheckpointFile:
    """The file. Its methods block, so they are not for an event loop.

    Args:
        path: Where it is.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        # What was last read or written here.
        self._content: bytes | None = None

    @contextmanager
    def owned(self) -> Iterator[None]:
        """Be its one owner while the block runs; others wait, or are told who it is."""
        with exclusive(self.path, _OWNER_SECONDS):
            yield

    def check_new(self) -> None:
        """Raises SutroConfigurationError if it exists."""
        if self.path.exists():
            raise SutroConfigurationError(
                f"{self.path} exists: continue with SutroJobGroup.resume, or choose another "
                "checkpoint."
            )

    def read(self) -> Checkpoint:
        """What the file holds.

        Raises:
            SutroConfigurationError: There is no such file, or it is not a checkpoint.
        """
        with disk_errors(self.path, "read"):
            self._content = self.path.read_bytes()
        try:
            found = _checkpoints().validate_json(self._content, strict=True)
            found.check()
        except (ValueError, SutroInputError) as error:
            what = _first(error)
            raise SutroConfigurationError(
                f"{self.path} is not a checkpoint of a job group{what}."
            ) from None
        return found

    def write(self, checkpoint: Checkpoint) -> None:
        """Replace what the file holds, so that a crash leaves the old or the new one.

        Raises:
            SutroConfigurationError: It cannot be written, or somebody else has changed it.
        """
        content = orjson.dumps(asdict(checkpoint), option=orjson.OPT_INDENT_2)
        beside = self.path.with_name(f"{self.path.name}.{uuid.uuid4().hex}.new")
        with disk_errors(self.path, "written"):
            now = self.path.read_bytes() if self.path.exists() else None
            if now != self._content:
                raise SutroConfigurationError(
                    f"{self.path} was changed by something else meanwhile. Continue with "
                    "SutroJobGroup.resume."
                )
            try:
                with beside.open("xb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
                beside.replace(self.path)
            finally:
                beside.unlink(missing_ok=True)
        self._content = content


def _first(error: Exception) -> str:
    """Which of its entries is wrong; values are not shown."""
    if isinstance(error, SutroInputError):
        return f": {str(error).rstrip('.')}"
    if not isinstance(error, ValidationError):
        return ""
    wrong = error.errors(include_url=False, include_context=False, include_input=False)[0]
    place = ".".join(str(part) for part in wrong["loc"])
    return f": {place}: {wrong['msg']}" if place else ""
