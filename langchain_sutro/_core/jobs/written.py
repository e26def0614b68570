"""The results of a group as files: one for each part, all with one schema, each written once."""

from __future__ import annotations

import re
from contextlib import closing, nullcontext
from typing import TYPE_CHECKING, Any

from langchain_sutro._core.results import (
    Folder,
    PartsTable,
    WriteOptions,
    WrittenPart,
    parts_table,
    read_part,
    write_part,
)
from langchain_sutro._core.rows import FileRows, InputRows, identify, schema_of_inputs
from langchain_sutro._core.service import dump_json
from langchain_sutro.errors import SutroConfigurationError, SutroInputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from os import PathLike

    from langchain_sutro._core.jobs.job import SutroJob
    from langchain_sutro._core.results import BatchResults

__all__ = ["write_jobs"]

_PART = re.compile(r"part-\d+\.parquet")
# Results of fewer rows are in memory, and are quickly fetched again.
_FEW_ROWS = 5000


def write_jobs(
    jobs: Sequence[SutroJob],
    sources: Sequence[Sequence[FileRows]],
    target: str | PathLike[str],
    options: WriteOptions,
) -> dict[str, Any]:
    """Write the results of jobs that have succeeded.

    Args:
        jobs: In the order of their rows.
        sources: The rows of files that each job was made of.
        target: The directory.
        options: How results are written.

    Returns:
        What the file `_manifest.json` holds.

    Raises:
        SutroConfigurationError: The directory has other results, or cannot be written.
        SutroInputError: The files cannot be read, were changed, or two columns have one name.
    """
    folder = Folder(target)
    names = [f"part-{number:05}.parquet" for number in range(1, len(jobs) + 1)]
    written = _written(folder, names, jobs, options)
    facts = {name: part.facts for name, part in written.items()}
    missing = [number for number, name in enumerate(names) if name not in written]
    if missing:
        _check_files(sources, options)
        fetched = _Fetched(jobs)
        table = next((part.table for part in written.values()), None)
        table = table or _table(fetched, sources, options)
        for number in missing:
            facts[names[number]] = _write(
                folder, names[number], table, fetched.taken(number), sources[number]
            )
    manifest = _manifest(jobs, [{"name": name, **facts[name]} for name in names])
    with folder.written("_manifest.json") as file:
        file.write(dump_json(manifest).encode())
    return manifest


def _written(
    folder: Folder, names: Sequence[str], jobs: Sequence[SutroJob], options: WriteOptions
) -> dict[str, WrittenPart]:
    """The parts that an earlier call has written."""
    there = {name for name in folder.names() if _PART.fullmatch(name)}
    parts: dict[str, WrittenPart] = {}
    for name, job in zip(names, jobs, strict=True):
        if name not in there:
            continue
        with folder.opened(name) as file:
            part = read_part(file)
        if part is None or part.facts.get("job_id") != job.job_id or part.table.options != options:
            raise _other(folder, name)
        parts[name] = part
    if there - set(names):
        raise _other(folder, min(there - set(names)))
    return parts


def _other(folder: Folder, name: str) -> SutroConfigurationError:
    return SutroConfigurationError(
        f"{name} in {folder.name} is of other results, or was written with other options: choose "
        "an empty directory."
    )


def _table(
    fetched: _Fetched, sources: Sequence[Sequence[FileRows]], options: WriteOptions
) -> PartsTable:
    inputs = None
    if options.inputs:
        inputs = schema_of_inputs([one.file for pieces in sources for one in pieces])
    return parts_table(fetched.all, inputs, options)


def _write(
    folder: Folder,
    name: str,
    table: PartsTable,
    results: BatchResults,
    pieces: Sequence[FileRows],
) -> dict[str, Any]:
    inputs = None
    if table.options.inputs:
        own = table.schema.names[: len(table.schema.names) - len(table.names)]
        inputs = InputRows(pieces, _only(table.schema, own))
    with (
        nullcontext() if inputs is None else closing(inputs),
        folder.written(name) as file,
    ):
        return write_part(file, table, results, inputs)


def _only(schema: Any, names: Sequence[str]) -> Any:
    import pyarrow as pa  # noqa: PLC0415

    return pa.schema([schema.field(name) for name in names])


def _check_files(sources: Sequence[Sequence[FileRows]], options: WriteOptions) -> None:
    """Refuse to put rows beside results that are not of these rows."""
    if not options.inputs:
        return
    for pieces in sources:
        if not pieces:
            raise SutroInputError(
                "inputs=True needs parts that are files. Join other tables with "
                "group.results().join(table)."
            )
        for one in pieces:
            if identify(one.file.location) != one.file:
                raise SutroInputError(f"{one.file.name} was changed after its job was submitted.")


def _manifest(jobs: Sequence[SutroJob], files: list[dict[str, Any]]) -> dict[str, Any]:
    def total(name: str) -> Any:
        values = [file[name] for file in files]
        return None if None in values else sum(values)

    counts = ("rows", "errors", "input_tokens", "output_tokens", "cost")
    return {
        "function": jobs[0].function,
        **{name: total(name) for name in counts},
        "files": files,
    }


class _Fetched:
    """The results of jobs, of which the large ones are kept in files until they are taken."""

    def __init__(self, jobs: Sequence[SutroJob]) -> None:
        self._jobs = jobs
        self._kept: dict[int, BatchResults] = {}

    def all(self) -> Iterator[BatchResults]:
        """Those of each job."""
        for number in range(len(self._jobs)):
            results = self._get(number)
            if len(results) > _FEW_ROWS:
                self._kept[number] = results
            yield results

    def taken(self, number: int) -> BatchResults:
        """Those of one job, which are not needed any more."""
        results = self._get(number)
        self._kept.pop(number, None)
        return results

    def _get(self, number: int) -> BatchResults:
        return self._kept.get(number) or self._jobs[number].results()
