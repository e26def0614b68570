"""What `evaluate_runs` keeps on this machine, so that a call that was killed is completed."""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import orjson

from langchain_sutro._core.jobs import exclusive
from langchain_sutro._core.results import AnsweringModel
from langchain_sutro.errors import SutroConfigurationError
from langchain_sutro.evaluation.experiment import JobNote, RunRef

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

__all__ = ["Chosen", "Ledger"]

# LangSmith shows new feedback in its queries after a while.
_REMEMBERED = timedelta(hours=24)
_VERSION = 1
_TABLES = """
    CREATE TABLE IF NOT EXISTS chosen (
        place INTEGER PRIMARY KEY, run BLOB, trace BLOB, session BLOB, start TEXT,
        input BLOB, error TEXT, written INTEGER
    );
    CREATE TABLE IF NOT EXISTS judged (run BLOB PRIMARY KEY, at REAL) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value BLOB);
"""
_INSERT = "INSERT INTO chosen VALUES (NULL, ?, ?, ?, ?, ?, ?, 0)"
_SELECT = (
    "SELECT run, trace, session, start, input, error FROM chosen"
    " WHERE place >= ? ORDER BY place LIMIT ?"
)


@dataclass(frozen=True, slots=True)
class Chosen:
    """A run that is to be judged.

    Attributes:
        run: The run.
        input: The input of the judge's Function, as JSON; None if it could not be made.
        error: Why it could not be made.
    """

    run: RunRef
    input: bytes | None
    error: str | None = None

    @property
    def row(self) -> Any:
        """The input; whole numbers of any size stay exact."""
        return None if self.input is None else json.loads(self.input)


class Ledger:
    """The state of one judge of one project, in an SQLite file. One call holds it at a time.

    The input of each chosen run is kept until its verdict is written: a call that is completed
    later sends what the first one sent, whatever has changed in LangSmith.

    Args:
        path: The file.
        database: Its content.
    """

    def __init__(self, path: Path, database: sqlite3.Connection) -> None:
        self._path = path
        self._database = database

    @classmethod
    @contextmanager
    def held(cls, path: Path, seconds: float) -> Iterator[Ledger]:
        """The ledger in a file, while no other process has it. Blocks.

        Args:
            path: The file; it is made, with its folder, for this user alone.
            seconds: How long to wait for another holder.

        Raises:
            SutroConfigurationError: Another process holds it, or it cannot be used.
        """
        with _explained(path):
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with exclusive(path, seconds):
            with _explained(path):
                os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
                # Used by one thread at a time, though by several if called on an event loop.
                database = sqlite3.connect(path, check_same_thread=False)
            with closing(database):
                with _explained(path):
                    _prepare(database)
                yield cls(path, database)

    def __len__(self) -> int:
        """The number of chosen runs."""
        return int(self._one("SELECT COUNT(*) FROM chosen"))

    def knows(self, run_id: UUID) -> bool:
        """Whether the judge has judged a run within the last day."""
        return bool(self._one("SELECT 1 FROM judged WHERE run = ?", run_id.bytes))

    def choose(self, chosen: Chosen) -> None:
        """Add a run, which is remembered from the next `save` on."""
        run = chosen.run
        ids = (run.id.bytes, run.trace_id.bytes, run.session_id.bytes)
        self._change(_INSERT, *ids, run.start_time.isoformat(), chosen.input, chosen.error)

    def chosen(self, start: int, count: int) -> list[Chosen]:
        """Chosen runs in their order.

        Args:
            start: The index of the first, from 0.
            count: How many at most.
        """
        with _explained(self._path):
            rows = self._database.execute(_SELECT, (start + 1, count)).fetchall()
        return [Chosen(_ref(*row[:4]), *row[4:]) for row in rows]

    def inputs(self) -> Iterator[Any]:
        """The inputs that can be sent, in their order."""
        query = "SELECT input FROM chosen WHERE input IS NOT NULL ORDER BY place"
        with _explained(self._path):
            for (line,) in self._database.execute(query):
                yield json.loads(line)

    @property
    def sendable(self) -> int:
        """The number of chosen runs that have an input."""
        return int(self._one("SELECT COUNT(input) FROM chosen"))

    def refuse(self, rows: Mapping[int, str]) -> bool:
        """Leave out inputs that the service refuses.

        Args:
            rows: Why each of them is refused, by its index among those that can be sent.

        Returns:
            Whether others are left; if not, or if there are no refused ones, nothing is changed.
        """
        with _explained(self._path):
            query = "SELECT place FROM chosen WHERE input IS NOT NULL ORDER BY place"
            places = [place for (place,) in self._database.execute(query)]
        known = {places[index]: why for index, why in rows.items() if index < len(places)}
        if not 0 < len(known) < len(places):
            return False
        for place, why in known.items():
            change = "UPDATE chosen SET input = NULL, error = ? WHERE place = ?"
            self._change(change, f"SutroValidationError({why!r})", place)
        self.save()
        return True

    @property
    def written(self) -> int:
        """The number of chosen runs whose verdicts were written, which are the first ones."""
        return int(self._one("SELECT COUNT(*) FROM chosen WHERE written"))

    def mark_written(self, stop: int) -> None:
        """Record that verdicts are written.

        Args:
            stop: The number of chosen runs that have theirs.
        """
        self._change("UPDATE chosen SET written = 1 WHERE NOT written AND place <= ?", stop)
        self.save()

    @property
    def note(self) -> JobNote | None:
        """The note about the job, if there is one."""
        known = self._fact("note")
        return None if known is None else JobNote(**known)

    def keep_note(self, _job: str, note: JobNote | None) -> None:
        """Record that the job is about to be submitted; None if the service refused it."""
        self._keep("note", None if note is None else asdict(note))
        self.save()

    @property
    def model(self) -> AnsweringModel | None:
        """The model that answered the judge's last job, if it is known."""
        known = self._fact("model")
        return None if known is None else AnsweringModel(**known)

    def done(self, model: AnsweringModel | None) -> None:
        """Record that all verdicts are written.

        Args:
            model: What answered.
        """
        now = datetime.now(UTC).timestamp()
        self._change("DELETE FROM judged WHERE at < ?", now - _REMEMBERED.total_seconds())
        self._change("INSERT OR REPLACE INTO judged SELECT run, ? FROM chosen", now)
        if model is not None:
            self._keep("model", asdict(model))
        self.drop()

    def drop(self) -> None:
        """Forget the chosen runs and their job."""
        self._change("DELETE FROM chosen")
        self._change("DELETE FROM facts WHERE name = 'note'")
        self.save()

    def save(self) -> None:
        """Write what has changed, whole or not at all."""
        with _explained(self._path):
            self._database.commit()

    def _fact(self, name: str) -> Any:
        found = self._one("SELECT value FROM facts WHERE name = ?", name)
        return None if found is None else orjson.loads(found)

    def _keep(self, name: str, value: Any) -> None:
        self._change("INSERT OR REPLACE INTO facts VALUES (?, ?)", name, orjson.dumps(value))

    def _one(self, query: str, *values: object) -> Any:
        with _explained(self._path):
            found = self._database.execute(query, values).fetchone()
        return None if found is None else found[0]

    def _change(self, statement: str, *values: object) -> None:
        with _explained(self._path):
            self._database.execute(statement, values)


def _prepare(database: sqlite3.Connection) -> None:
    (version,) = database.execute("PRAGMA user_version").fetchone()
    if version not in (0, _VERSION):
        raise sqlite3.DatabaseError("it is from another version of langchain-sutro")
    if version == 0:
        # What is deleted leaves the file.
        database.execute("PRAGMA auto_vacuum = FULL")
        database.executescript(_TABLES)
        database.execute(f"PRAGMA user_version = {_VERSION}")


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise SutroConfigurationError(
            f"{path} cannot be used ({error}). It remembers what evaluate_runs has judged. Check "
            "its folder, or pass another one as state=. Without the file, a call that was killed "
            "is not completed but made anew."
        ) from error


def _ref(run: bytes, trace: bytes, session: bytes, start: str) -> RunRef:
    ids = (UUID(bytes=run), UUID(bytes=trace), UUID(bytes=session))
    return RunRef(*ids, datetime.fromisoformat(start))
