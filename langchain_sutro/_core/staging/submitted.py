"""The driver's side: parts are staged once, and each becomes one job, by whichever driver."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from langchain_sutro._core.jobs import SutroJobGroup, exclusive
from langchain_sutro._core.staging.joined import OutputColumns
from langchain_sutro._core.staging.parts import PartWriter, committed
from langchain_sutro._core.staging.reader import PartReader
from langchain_sutro._core.staging.stage import open_stage
from langchain_sutro.errors import SutroConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from langchain_sutro._core.rows import Fields
    from langchain_sutro._core.staging.parts import CommittedParts
    from langchain_sutro._core.staging.stage import Stage

__all__ = ["judged_parts", "manifest_path", "staged_parts", "submit_parts"]

_MANIFEST = "_jobs.json"
# How long another driver of the same stage is waited for.
_DRIVER_SECONDS = 60.0


def judged_parts(
    function: Any,
    write: Callable[[PartWriter], CommittedParts | None],
    stage: str | os.PathLike[str],
    *,
    output_schema: Any,
    manifest: str | os.PathLike[str] | None,
    suffix: str | None,
    timeout: float | None,
    fields: Fields | None,
    max_rows_per_part: int,
    **options: Any,
) -> PartReader:
    """Stage the rows of a table, submit a job for each part, and wait for the jobs.

    Args:
        function: The `SutroFunction`.
        write: Lets the workers write the parts, and commits them.
        stage: See `open_stage`.
        output_schema: See `OutputColumns`.
        manifest: See `manifest_path`.
        suffix: See `OutputColumns`.
        timeout: Maximum number of seconds to wait for each job.
        fields: See `PartWriter`.
        max_rows_per_part: See `PartWriter`.
        **options: See `submit_parts`.

    Returns:
        What reads the results.
    """
    columns = OutputColumns(output_schema, suffix)
    place = open_stage(stage)
    path = manifest_path(place, manifest)
    writer = PartWriter(
        place.address,
        fields=fields,
        max_rows_per_part=max_rows_per_part,
        args_schema=function.args_schema,
        function=function.function,
        extra_fields=function.extra_fields,
    )
    parts = staged_parts(writer, path, lambda: write(writer))
    jobs: list[str] = []
    # Names that clash cost nothing.
    columns.schema(parts.schema())
    if parts.parts:
        group = submit_parts(function, place, parts, path, **options).wait(timeout)
        jobs = [job.job_id for job in group.jobs]
    return PartReader(
        place,
        parts,
        jobs,
        columns,
        client=function.client,
        function=function.function,
        timeout=timeout,
    )


def manifest_path(stage: Stage, manifest: str | os.PathLike[str] | None) -> Path:
    """Where the jobs of a stage are listed.

    Args:
        stage: The stage.
        manifest: The file, if the caller chose it.

    Raises:
        SutroConfigurationError: The stage is behind a URL, and no file is given.
    """
    if manifest is not None:
        return Path(os.fspath(manifest))
    if "://" in stage.address:
        raise SutroConfigurationError(
            "Pass manifest= for a stage behind a URL: the path of a file on a disk that a driver "
            "which is started again finds there."
        )
    return Path(stage.path(_MANIFEST))


def staged_parts(
    writer: PartWriter, manifest: Path, write: Callable[[], CommittedParts | None]
) -> CommittedParts:
    """The parts of a stage, which are written unless they were before; by one driver at a time.

    Args:
        writer: Knows the stage.
        manifest: Of the stage's jobs. The lock is a file beside it.
        write: Lets the workers write the parts, and commits them.

    Raises:
        SutroConfigurationError: The stage holds another table, or another driver is at work.
    """
    beside = manifest.with_name(f"{manifest.name}.stage")
    with suppress(OSError):
        # If it cannot be made, there is no lock either.
        beside.parent.mkdir(parents=True, exist_ok=True)
    with exclusive(beside, _DRIVER_SECONDS):
        found = committed(writer.stage)
        if found is None:
            found = write() or committed(writer.stage) or writer.commit([])
        else:
            writer.check_same(found)
        return found


def submit_parts(
    function: Any,
    stage: Stage,
    parts: CommittedParts,
    manifest: Path,
    *,
    resubmit_unknown: bool = False,
    **options: Any,
) -> SutroJobGroup:
    """Submit a job for each part that has none yet.

    Args:
        function: The `SutroFunction`.
        stage: Where the parts are.
        parts: What was committed; at least one.
        manifest: Lists the jobs, see `SutroJobGroup`.
        resubmit_unknown: As for `SutroJobGroup.resume`.
        **options: As for `SutroFunction.submit_in_parts`, such as `job_name`.

    Raises:
        SubmissionUnknownError: A part may have been submitted, and its job was not found.
        SutroError: As `SutroFunction.submit_in_parts` does.
    """
    files = parts.inputs(stage)
    if not manifest.exists():
        group: SutroJobGroup = function.submit_in_parts(files, checkpoint=manifest, **options)
        return group
    return SutroJobGroup.resume(
        manifest,
        files,
        client=function.client,
        poll_interval=function.poll_interval,
        on_interrupt=function.on_interrupt,
        resubmit_unknown=resubmit_unknown,
        args_schema=function.args_schema,
    )
