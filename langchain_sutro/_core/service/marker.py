"""The marker in a job's description by which the job is found again."""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass

__all__ = ["Marker"]


@dataclass(frozen=True, slots=True)
class Marker:
    """What this package writes into a description of a job, in order to find the job again.

    Attributes:
        token: Unique to one submission.
        fingerprint: Equal for equal Function, data and options.
        run: The hexadecimal id of the job's LangSmith run, if the token is not that.
    """

    token: str
    fingerprint: str = ""
    run: str = ""

    @classmethod
    def new(cls, fingerprint: str = "", token: str | None = None, run: str | None = None) -> Marker:
        """A marker, by default with a fresh token."""
        return cls(token or uuid.uuid4().hex, fingerprint, run or "")

    @classmethod
    def find(cls, description: object) -> Marker | None:
        """The marker in a description, if there is one."""
        found = _MARKER.search(description) if isinstance(description, str) else None
        return cls(found[1], found[2] or "", found[3] or "") if found else None

    def at_the_end_of(self, description: str) -> str:
        """A description with this marker at its end; others, copied from a job, are left out."""
        own = _ANY_MARKER.sub("", description)
        own = own if own == description else own.rstrip()
        return f"{own} {self}" if own else str(self)

    def __str__(self) -> str:
        same = f" same={self.fingerprint}" if self.fingerprint else ""
        run = f" run={self.run}" if self.run else ""
        return f"[langchain-sutro token={self.token}{same}{run}]"


_ANY_MARKER = re.compile(
    r"\[langchain-sutro token=([0-9a-f]{32})(?: same=([0-9a-f]{1,64}))?(?: run=([0-9a-f]{32}))?\]"
)
# Ours is the last word of a description; what stands before it is the user's.
_MARKER = re.compile(_ANY_MARKER.pattern + r"\s*\Z")
