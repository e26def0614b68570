"""What `evaluate_runs` keeps on this machine, so that a call that was killed is completed."""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import orjson

from langchain_sutro._core.jobs import exclusive
from langchain_sutro.errors import SutroConfigurationError
from langchain_sutro.evaluation.experiment import JobNote, RunRef

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["Ledger"]

# LangSmith shows new feedback in its queries after a while.
_REMEMBERED = timedelta(hours=24)


@dataclass
class Ledger:
    """The state of one project and one set of judges. One call holds it at a time.

    Attributes:
        path: The file.
        pending: For each judge whose verdicts are not all written, the runs that it judges.
        judged: For each judge the runs of the last day, with when they were judged.
        notes: For each judge the note about its job.
    """

    path: Path
    pending: dict[str, list[RunRef]] = field(default_factory=dict)
    judged: dict[str, dict[str, float]] = field(default_factory=dict)
    notes: dict[str, dict[str, Any] | None] = field(default_factory=dict)

    @classmethod
    @contextmanager
    def held(cls, path: Path, seconds: float) -> Iterator[Ledger]:
        """The ledger in a file, while no other process has it. Blocks.

        Args:
            path: The file; it is made, with its folder.
            seconds: How long to wait for another holder.

        Raises:
            SutroConfigurationError: Another process holds it, or it cannot be read.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        with exclusive(path, seconds):
            yield cls._read(path)

    @classmethod
    def _read(cls, path: Path) -> Ledger:
        try:
            content = orjson.loads(path.read_bytes())
        except FileNotFoundError:
            return cls(path)
        except (OSError, ValueError):
            raise SutroConfigurationError(f"{path} cannot be read: fix or delete it.") from None
        return cls(
            path,
            {key: [_ref(one) for one in refs] for key, refs in content["pending"].items()},
            content["judged"],
            content["notes"],
        )

    def known(self, key: str) -> Mapping[str, float]:
        """The runs that a judge has judged within the last day."""
        return self.judged.get(key, {})

    def note(self, name: str) -> JobNote | None:
        """The note about a judge's job, if there is one."""
        known = self.notes.get(name)
        return JobNote(**known) if known else None

    def keep_note(self, name: str, note: JobNote | None) -> None:
        """Record that a job is about to be submitted; None if the service refused it."""
        self.notes[name] = None if note is None else asdict(note)
        self.save()

    def done(self, key: str) -> None:
        """Record that all verdicts of a judge are written."""
        now = datetime.now(UTC).timestamp()
        recent = {
            run: at
            for run, at in self.judged.get(key, {}).items()
            if now - at < _REMEMBERED.total_seconds()
        }
        recent.update({str(ref.id): now for ref in self.pending.pop(key, [])})
        self.judged[key] = recent
        self.notes.pop(key, None)
        self.save()

    def drop(self, key: str) -> None:
        """Forget the runs that a judge was to judge, before anything was paid."""
        self.pending.pop(key, None)
        self.save()

    def save(self) -> None:
        """Write the file, whole or not at all."""
        content = {
            "pending": {
                key: [[one.id, one.trace_id, one.session_id, one.start_time] for one in refs]
                for key, refs in self.pending.items()
            },
            "judged": self.judged,
            "notes": self.notes,
        }
        descriptor, name = tempfile.mkstemp(dir=self.path.parent, prefix=f".{self.path.name}.")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(orjson.dumps(content))
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(self.path)
        except BaseException:
            with suppress(OSError):
                Path(name).unlink()
            raise


def _ref(one: list[str]) -> RunRef:
    run, trace, session, start = one
    return RunRef(UUID(run), UUID(trace), UUID(session), datetime.fromisoformat(start))
