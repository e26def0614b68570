"""Ids of runs that come out the same each time, so that writing a run again is harmless."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from uuid import UUID

__all__ = ["aware", "stable_id", "time_of"]


def aware(moment: datetime) -> datetime:
    """A time with its zone, which LangSmith's answers leave out: they are in UTC."""
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def stable_id(start: datetime, *parts: object) -> UUID:
    """The id of a run, always the same for the same start and parts.

    It is a UUID of version 7, as LangSmith requires. LangSmith answers a second creation with 409,
    so writing the run again does no harm.

    Args:
        start: When the run starts; in UTC if it has no zone. A time before 1970, such as that of a
            clock that was never set, counts as 1970.
        parts: What identifies the run.
    """
    digest = hashlib.sha256("\x00".join(map(str, parts)).encode()).digest()
    moment = max(0, int(aware(start).timestamp() * 1000))
    number = int.from_bytes(digest[:10], "big") | moment << 80
    number = number & ~(0xF << 76) | 7 << 76
    return UUID(int=number & ~(0x3 << 62) | 0x2 << 62)


def time_of(run_id: UUID) -> datetime:
    """When a UUID of version 7 was made, to the millisecond."""
    return datetime.fromtimestamp((run_id.int >> 80) / 1000, UTC)
