"""Reads the runs of a tracing project, page by page, with only what the judges need of them."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from langsmith.schemas import Run

from langchain_sutro.errors import SutroInputError
from langchain_sutro.evaluation.langsmith_api import ask
from langchain_sutro.evaluation.places import place

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from langsmith import Client

__all__ = ["PAGE", "RunSelection", "read_runs", "runs_by_id", "select_runs"]

PAGE = 100
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

    def body(self) -> dict[str, Any]:
        """The query of LangSmith's API."""
        conditions = [self.filter] if self.filter else []
        if self.until is not None:
            conditions.append(f"lt(start_time, {_quoted(self.until.isoformat())})")
        if self.name is not None:
            conditions.append(f"eq(name, {_quoted(self.name)})")
        joined = conditions[0] if len(conditions) == 1 else f"and({', '.join(conditions)})"
        body = {
            "session": [str(self.project_id)],
            "filter": joined if conditions else None,
            "trace_filter": self.trace_filter,
            "tree_filter": self.tree_filter,
            "start_time": None if self.since is None else self.since.isoformat(),
            "run_type": self.run_type,
            "is_root": True if self.name is None else None,
        }
        return {key: value for key, value in body.items() if value is not None}


def select_runs(client: Client, selection: RunSelection) -> Iterator[Run]:
    """The selected runs. Which are in the sample depends on their ids alone.

    Raises:
        LangSmithError: LangSmith cannot be asked, or refuses the query.
    """
    sample = selection.sample
    everything = [*_IDENTITY, *selection.select]
    if sample is None:
        yield from _query(client, selection.body(), everything)
    elif isinstance(sample, float):
        for run in _query(client, selection.body(), everything):
            if place(run.id) < sample:
                yield run
    else:
        light = _query(client, selection.body(), _IDENTITY)
        chosen = heapq.nsmallest(sample, ((place(run.id), str(run.id)) for run in light))
        yield from read_runs(client, selection, [run_id for _, run_id in chosen])


def read_runs(client: Client, selection: RunSelection, ids: Sequence[str]) -> Iterator[Run]:
    """Runs of the selection's project by their ids; those that are gone are left out."""
    project = {"session": [str(selection.project_id)]}
    yield from runs_by_id(client, ids, selection.select, project)


def runs_by_id(
    client: Client,
    ids: Sequence[str],
    select: Iterable[str] = (),
    wanted: Mapping[str, Any] | None = None,
) -> Iterator[Run]:
    """Runs by their ids, of any project; those that are gone are left out.

    Args:
        client: LangSmith's client.
        ids: The runs.
        select: The fields to read besides those that identify a run.
        wanted: Further conditions of LangSmith's query.
    """
    for start in range(0, len(ids), PAGE):
        body = {**(wanted or {}), "id": list(ids[start : start + PAGE])}
        yield from _query(client, body, [*_IDENTITY, *select])


def _query(client: Client, body: Mapping[str, Any], select: Sequence[str]) -> Iterator[Run]:
    query = {**body, "select": list(select), "limit": PAGE}
    while True:
        content = ask(client, "/runs/query", body=query)
        for run in content["runs"]:
            yield Run(**run)
        following = (content.get("cursors") or {}).get("next")
        if not following or not content["runs"]:
            return
        query["cursor"] = following


def _quoted(text: str) -> str:
    if '"' in text or "\\" in text:
        raise SutroInputError(f"A name in a filter cannot contain quotes or backslashes: {text!r}.")
    return f'"{text}"'
