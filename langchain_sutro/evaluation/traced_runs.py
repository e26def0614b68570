"""Which runs of a tracing project are judged, and what is read of them."""

from __future__ import annotations

import heapq
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from langsmith.schemas import Run

from langchain_sutro.errors import SutroInputError
from langchain_sutro.evaluation.places import place
from langchain_sutro.evaluation.runs_query import RunQuery, found_by_id, found_runs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from langsmith import Client

__all__ = ["RunSelection", "all_of", "runs_by_id", "select_runs", "until_condition"]

# What is always read: who a run is, and which feedback it has.
_IDENTITY = ("id", "trace_id", "session_id", "start_time", "name", "run_type", "feedback_stats")


@dataclass(frozen=True)
class RunSelection:
    """Which runs of a project are judged.

    Attributes:
        project_id: The project.
        filter: A condition on each run, in LangSmith's filter language.
        trace_filter: A condition on the root run of its trace.
        tree_filter: A condition on any run of its trace.
        since: Only runs that started at this time or later.
        until: Only runs that started before this time.
        run_type: Only runs of this type, such as `"llm"`.
        name: Only runs of this name, wherever they are in their trace; None for root runs.
        sample: A share of the runs, or a number of them; None for all.
        select: The fields to read besides those that identify a run.
    """

    project_id: UUID
    filter: str | None
    trace_filter: str | None
    tree_filter: str | None
    since: datetime | None
    until: datetime | None
    run_type: str | None
    name: str | None
    sample: float | int | None
    select: Sequence[str]

    @property
    def fields(self) -> list[str]:
        """All fields to read."""
        return [*_IDENTITY, *(name for name in self.select if name not in _IDENTITY)]

    @property
    def is_conditional(self) -> bool:
        """Whether some runs of a thread may be selected and later ones not."""
        return any((self.filter, self.trace_filter, self.tree_filter, self.run_type))

    def query(self) -> RunQuery:
        """The query for LangSmith's API."""
        conditions = [self.filter] if self.filter else []
        conditions += until_condition(self.until)
        if self.name is not None:
            conditions.append(f"eq(name, {_quoted(self.name)})")
        return RunQuery(
            project_id=self.project_id,
            filter=all_of(conditions),
            trace_filter=self.trace_filter,
            tree_filter=self.tree_filter,
            since=self.since,
            run_type=self.run_type,
            roots=self.name is None,
        )


def select_runs(client: Client, selection: RunSelection) -> Iterator[Run]:
    """The selected runs. Which are in the sample depends on their ids alone.

    Raises:
        LangSmithError: LangSmith cannot be asked, or refuses the query.
    """
    query, sample = selection.query(), selection.sample
    if sample is None:
        found = found_runs(client, query, selection.fields)
    elif isinstance(sample, float):
        everything = found_runs(client, query, selection.fields)
        found = (run for run in everything if place(run["id"]) < sample)
    else:
        light = (UUID(run["id"]) for run in found_runs(client, query, _IDENTITY))
        # Bytes, which sort as their numbers do, take a fraction of the memory.
        packed = (struct.pack(">d", place(one)) + one.bytes for one in light)
        chosen = heapq.nsmallest(sample, packed)
        ids = [str(UUID(bytes=one[8:])) for one in chosen]
        anywhere = RunQuery(project_id=selection.project_id)
        found = found_by_id(client, anywhere, ids, selection.fields)
    for run in found:
        yield Run(**run)


def runs_by_id(
    client: Client, projects: Mapping[UUID, UUID | None], select: Iterable[str] = ()
) -> Iterator[Run]:
    """Runs by their ids; those that are gone are left out.

    Args:
        client: LangSmith's client.
        projects: The project of each run; None where it is not known, so that only servers with the
            older API find the run.
        select: The fields to read besides those that identify a run.
    """
    by_project: dict[UUID | None, list[str]] = {}
    for run_id, project_id in projects.items():
        by_project.setdefault(project_id, []).append(str(run_id))
    fields = dict.fromkeys([*_IDENTITY, *select])
    for project_id, ids in by_project.items():
        for run in found_by_id(client, RunQuery(project_id=project_id), ids, list(fields)):
            yield Run(**run)


def all_of(conditions: Sequence[str]) -> str | None:
    """One condition of LangSmith's filter language for several; None for none."""
    if len(conditions) < 2:
        return conditions[0] if conditions else None
    return f"and({', '.join(conditions)})"


def until_condition(until: datetime | None) -> list[str]:
    """The condition on when a run started, if there is one."""
    return [] if until is None else [f'lt(start_time, "{until.isoformat()}")']


def _quoted(text: str) -> str:
    if '"' in text or "\\" in text:
        raise SutroInputError(f"A name in a filter cannot contain quotes or backslashes: {text!r}.")
    return f'"{text}"'
