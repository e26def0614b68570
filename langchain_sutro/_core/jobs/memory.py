"""What this process remembers of its submissions, so that rows are not paid for twice."""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from langchain_sutro._core.service import Settings, Submitted

__all__ = ["Memory", "Pending", "key_of", "memory"]

_MOST = 1000
# Others' retries come within minutes; later, equal rows are meant to be run again.
_UNDELIVERED_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class Pending:
    """A submission that stands for the next one of equal content.

    Attributes:
        token: In the description of its job.
        job_id: The job, whose results were not delivered; None if it is not known whether there is
            one.
        since: Monotonic seconds.
    """

    token: str
    job_id: str | None = None
    since: float = field(default_factory=time.monotonic)


class Memory:
    """Submissions by their key, for all threads and event loops."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._pending: OrderedDict[str, Pending] = OrderedDict()
        self._made: OrderedDict[str, tuple[str, str]] = OrderedDict()
        self._forgotten: OrderedDict[str, None] = OrderedDict()

    def pending(self, key: str) -> Pending | None:
        """What is to be looked at before content with this key is submitted."""
        with self._lock:
            found = self._pending.get(key)
            late = time.monotonic() - _UNDELIVERED_SECONDS
            if found is not None and found.job_id is not None and found.since < late:
                del self._pending[key]
                return None
            return found

    def unknown(self, key: str, token: str) -> None:
        """A submission may have made a job."""
        with self._lock:
            if token not in self._forgotten:
                _put(self._pending, key, Pending(token))

    def made(self, key: str, submitted: Submitted) -> None:
        """A submission has made a job, or taken one up."""
        with self._lock:
            self._pending.pop(key, None)
            _put(self._made, submitted.job_id, (key, submitted.token))

    def undelivered(self, job_id: str) -> None:
        """The wait for a job of this process, or the fetch of its results, broke off."""
        with self._lock:
            if job_id in self._made:
                key, token = self._made[job_id]
                _put(self._pending, key, Pending(token, job_id))

    def delivered(self, job_id: str) -> None:
        """The results of a job are here, or there will be none."""
        with self._lock:
            key, _ = self._made.get(job_id, ("", ""))
            pending = self._pending.get(key)
            if pending is not None and pending.job_id == job_id:
                del self._pending[key]

    def settled(self, key: str) -> None:
        """Nothing is left to be looked at."""
        with self._lock:
            self._pending.pop(key, None)

    def forget(self, token: str) -> None:
        """A submission counts as one that made no job."""
        with self._lock:
            _put(self._forgotten, token, None)
            for key in [key for key, one in self._pending.items() if one.token == token]:
                del self._pending[key]

    def is_forgotten(self, token: str) -> bool:
        """Whether `forget` was called for a submission."""
        return token in self._forgotten


_V = TypeVar("_V")


def _put(entries: OrderedDict[str, _V], key: str, value: _V) -> None:
    entries[key] = value
    entries.move_to_end(key)
    if len(entries) > _MOST:
        entries.popitem(last=False)


def key_of(settings: Settings, fingerprint: str) -> str:
    """Equal for equal content at one deployment with one key; tells nothing about them."""
    parts = (settings.batch_url, settings.api_key.get_secret_value(), fingerprint)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


memory = Memory()
"""That of this process."""
