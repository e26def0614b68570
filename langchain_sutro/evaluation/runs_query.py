"""Asks LangSmith for runs, page by page, from either generation of its API."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from langchain_sutro.evaluation.langsmith_api import ask, check_cursor

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from langsmith import Client

__all__ = ["RunQuery", "found_by_id", "found_runs"]

_PAGE = 100
# Without a time, the newer API looks at the last day only.
_EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
# What the newer API calls differently.
_RENAMED = {"session_id": "project_id"}


@dataclass(frozen=True, kw_only=True)
class RunQuery:
    """Which runs of a project are asked for.

    Attributes:
        project_id: The project; None for all, which only the older API can be asked about.
        filter: A condition on each run, in LangSmith's filter language.
        trace_filter: A condition on the root run of its trace.
        tree_filter: A condition on any run of its trace.
        since: Only runs that started at this time or later.
        run_type: Only runs of this type, such as `"llm"`.
        roots: Whether only root runs are asked for.
        ids: Only these runs, at most 100; None for any.
    """

    project_id: UUID | None
    filter: str | None = None
    trace_filter: str | None = None
    tree_filter: str | None = None
    since: datetime | None = None
    run_type: str | None = None
    roots: bool = False
    ids: Sequence[str] | None = None

    def _conditions(self) -> dict[str, Any]:
        return {
            "filter": self.filter,
            "trace_filter": self.trace_filter,
            "tree_filter": self.tree_filter,
            "is_root": self.roots or None,
        }

    def older(self, select: Sequence[str]) -> dict[str, Any]:
        """The body of `POST /runs/query`."""
        return _given(
            **self._conditions(),
            session=None if self.project_id is None else [str(self.project_id)],
            start_time=None if self.since is None else self.since.isoformat(),
            run_type=self.run_type,
            id=self.ids,
            select=list(select),
            limit=_PAGE,
        )

    def newer(self, select: Sequence[str]) -> dict[str, Any]:
        """The body of `POST /api/v2/runs/query`."""
        return _given(
            **self._conditions(),
            project_ids=[str(self.project_id)],
            min_start_time=(self.since or _EARLIEST).isoformat(),
            run_type=None if self.run_type is None else self.run_type.upper(),
            ids=self.ids,
            selects=[_RENAMED.get(name, name).upper() for name in select],
            page_size=_PAGE,
        )


def found_runs(client: Client, query: RunQuery, select: Sequence[str]) -> Iterator[dict[str, Any]]:
    """The runs that a query finds, each once, with the fields of `langsmith.schemas.Run`.

    Runs that arrive meanwhile may move others to the next page, where they come again.

    Args:
        client: LangSmith's client. Its server decides which API is used.
        query: Which runs.
        select: The fields to read, as `Client.list_runs` names them.

    Raises:
        LangSmithError: LangSmith cannot be asked, or refuses the query.
    """
    flags = client.info.instance_flags or {}
    newer = bool(flags.get("sdb_query_enabled", False)) and query.project_id is not None
    body = query.newer(select) if newer else query.older(select)
    seen, cursors_seen = set[bytes](), set[str]()
    while True:
        content = ask(client, "/api/v2/runs/query" if newer else "/runs/query", body=body)
        runs = content["items"] if newer else content["runs"]
        for run in runs:
            if (raw := UUID(run["id"]).bytes) not in seen:
                seen.add(raw)
                yield _as_older(run) if newer else run
        cursors = content.get("cursors") or {}
        following = content.get("next_cursor") if newer else cursors.get("next")
        if not following or not runs:
            return
        check_cursor(following, cursors_seen)
        body["cursor"] = following


def found_by_id(
    client: Client, query: RunQuery, ids: Sequence[str], select: Sequence[str]
) -> Iterator[dict[str, Any]]:
    """Runs by their ids; those that LangSmith does not have are left out.

    Args:
        client: LangSmith's client.
        query: Where to look.
        ids: The ids, of which there may be many.
        select: As for `found_runs`.
    """
    for start in range(0, len(ids), _PAGE):
        page = replace(query, ids=list(ids[start : start + _PAGE]))
        yield from found_runs(client, page, select)


def _as_older(run: dict[str, Any]) -> dict[str, Any]:
    """A run of the newer API with the names and values of the older one."""
    known = _given(**run)
    for older, newer in _RENAMED.items():
        if newer in known:
            known[older] = known.pop(newer)
    for name in ("run_type", "status"):
        if name in known:
            known[name] = known[name].lower()
    return known


def _given(**values: Any) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}
