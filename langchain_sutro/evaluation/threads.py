"""The threads of a tracing project, each as one run that holds the whole conversation."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import orjson
from langsmith.schemas import Run

from langchain_sutro._core.tracing import aware
from langchain_sutro.evaluation.conversation import conversation
from langchain_sutro.evaluation.places import place
from langchain_sutro.evaluation.runs_query import RunQuery, found_runs
from langchain_sutro.evaluation.traced_runs import all_of, until_condition

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from langsmith import Client

    from langchain_sutro.evaluation.traced_runs import RunSelection

__all__ = ["IDLE", "Threads", "read_threads"]

# As long as LangSmith's own evaluators of threads wait by default.
IDLE = timedelta(minutes=10)
# Threads that one query asks for.
_GROUP = 20
_FIELDS = ("thread_id", "inputs", "outputs", "end_time")
_TABLES = """
    CREATE TABLE turns (
        thread TEXT, start INTEGER, run TEXT, active INTEGER, body BLOB,
        PRIMARY KEY (thread, start, run)
    );
    CREATE TABLE picked (thread TEXT PRIMARY KEY, place REAL);
"""
_PICK = """
    CREATE TABLE queue AS SELECT picked.thread AS thread FROM picked JOIN turns USING (thread)
    GROUP BY picked.thread ORDER BY MAX(turns.start) DESC, picked.thread
"""
_MICROSECOND = timedelta(microseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Threads:
    """The threads of which at least one root run was selected.

    Attributes:
        client: LangSmith's client.
        selection: Which runs were selected.
        idle: How long ago the last run of a thread must have ended.
        store: What was read, in a temporary file.
    """

    client: Client
    selection: RunSelection
    idle: timedelta
    store: sqlite3.Connection

    def finished(self) -> Iterator[list[tuple[str, Run]]]:
        """The threads to which nothing was added lately, with their last runs, some at a time.

        Threads with the latest selected runs come first.
        """
        offset = 0
        while group := self._queued(offset):
            offset += len(group)
            if self.selection.is_conditional:
                # The last run of a thread need not be a selected one.
                self._complete(group)
            idle = [thread for thread in group if self._is_idle(thread)]
            yield [(thread, _run(self._turns(thread)[-1])) for thread in idle]

    def conversations(self, threads: Sequence[str]) -> list[Run]:
        """Threads as one run each, which is as `conversation` makes it.

        Args:
            threads: Some of one group of `finished`.
        """
        if threads and self.selection.since is not None and not self.selection.is_conditional:
            # Earlier runs of these threads were not selected.
            self._complete(threads)
        return [_run(conversation(self._turns(thread))) for thread in threads]

    def read(self, query: RunQuery) -> None:
        """Read root runs of threads."""
        for run in found_runs(self.client, query, self.selection.fields):
            thread = run.get("thread_id")
            if not thread:
                continue
            start = _microseconds(run["start_time"])
            active = _microseconds(run.get("end_time") or run["start_time"])
            values = (str(thread), start, run["id"], active, orjson.dumps(run))
            self.store.execute("INSERT OR IGNORE INTO turns VALUES (?, ?, ?, ?, ?)", values)

    def pick(self) -> None:
        """Choose among the threads that were read. What is chosen depends on their ids alone."""
        for (thread,) in self.store.execute("SELECT DISTINCT thread FROM turns").fetchall():
            self.store.execute("INSERT INTO picked VALUES (?, ?)", (thread, place(thread)))
        sample = self.selection.sample
        if isinstance(sample, float):
            self.store.execute("DELETE FROM picked WHERE place >= ?", (sample,))
        elif sample is not None:
            kept = "SELECT thread FROM picked ORDER BY place LIMIT ?"
            self.store.execute(f"DELETE FROM picked WHERE thread NOT IN ({kept})", (sample,))  # noqa: S608
        self.store.execute(_PICK)

    def _queued(self, offset: int) -> list[str]:
        query = "SELECT thread FROM queue ORDER BY rowid LIMIT ? OFFSET ?"
        return [thread for (thread,) in self.store.execute(query, (_GROUP, offset))]

    def _is_idle(self, thread: str) -> bool:
        query = "SELECT MAX(active) FROM turns WHERE thread = ?"
        (active,) = self.store.execute(query, (thread,)).fetchone()
        return bool(active <= _microseconds(datetime.now(UTC) - self.idle))

    def _turns(self, thread: str) -> list[Any]:
        query = "SELECT body FROM turns WHERE thread = ? ORDER BY start, run"
        return [orjson.loads(body) for (body,) in self.store.execute(query, (thread,))]

    def _complete(self, threads: Sequence[str]) -> None:
        """Read all runs of some threads."""
        # As langsmith's `read_thread` asks for one.
        each = [f"eq(thread_id, {json.dumps(thread)})" for thread in threads]
        any_ = each[0] if len(each) == 1 else f"or({', '.join(each)})"
        condition = all_of([any_, *until_condition(self.selection.until)])
        project = self.selection.project_id
        self.read(RunQuery(project_id=project, filter=condition, roots=True))


@contextmanager
def read_threads(client: Client, selection: RunSelection, idle: timedelta) -> Iterator[Threads]:
    """The threads of a project.

    Args:
        client: LangSmith's client.
        selection: Which root runs are looked at. A thread is selected with one of its runs.
        idle: How long ago the last run of a thread must have ended.
    """
    fields = [*selection.select, *(name for name in _FIELDS if name not in selection.select)]
    # Without a name, the database is a file of its own that is deleted when it is closed.
    with closing(sqlite3.connect("", check_same_thread=False)) as store:
        store.executescript(_TABLES)
        threads = Threads(client, replace(selection, select=fields), idle, store)
        threads.read(threads.selection.query())
        threads.pick()
        yield threads


def _run(fields: Any) -> Run:
    return Run(**{name: value for name, value in fields.items() if name != "thread_id"})


def _microseconds(moment: str | datetime) -> int:
    if isinstance(moment, str):
        moment = datetime.fromisoformat(moment)
    return (aware(moment) - _EPOCH) // _MICROSECOND
