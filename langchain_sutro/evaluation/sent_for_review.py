"""What `send_for_review` did, as it returns it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from langchain_sutro._core.exports import exported_from

if TYPE_CHECKING:
    from uuid import UUID

__all__ = ["ReviewedBecause", "SentForReview"]


@exported_from("langchain_sutro")
@dataclass(frozen=True)
class ReviewedBecause:
    """A run that was chosen for review.

    Attributes:
        run_id: The run.
        why: The reasons, of `"uncertain"`, `"disagreement"` and `"audit"`.
        confidence: The least confidence of a judge, or else that of the run; None if there is none.
        present: Whether it was in the queue already.
    """

    run_id: UUID
    why: tuple[str, ...]
    confidence: float | None
    present: bool


@exported_from("langchain_sutro")
@dataclass(frozen=True)
class SentForReview:
    """What a call of `send_for_review` did.

    Attributes:
        queue: The queue's name.
        queue_id: Its id; None if there is no such queue and nothing was chosen to go into it.
        created: Whether this call has created it.
        runs: The chosen runs, in the order in which they were added.
        candidates: Number of runs from which they were chosen.
        unknown: Those of the given ids of which LangSmith has no run.
        audit_share: The share of all runs that is in the audit, for `reviewed(audit=…)`. It is what
            was passed as `audit`, or for a number of runs the share that holds just these.
        seed: The seed of the audit.
    """

    queue: str
    queue_id: UUID | None
    created: bool
    runs: tuple[ReviewedBecause, ...]
    candidates: int
    unknown: tuple[UUID, ...]
    audit_share: float
    seed: int

    @property
    def sent(self) -> list[ReviewedBecause]:
        """The runs that this call has added."""
        return [one for one in self.runs if not one.present]

    @property
    def present(self) -> list[ReviewedBecause]:
        """The chosen runs that were in the queue already."""
        return [one for one in self.runs if one.present]

    def counts(self) -> dict[str, int]:
        """How many runs were chosen for each reason; a run may have several."""
        found: dict[str, int] = {}
        for reason in (reason for one in self.runs for reason in one.why):
            found[reason] = found.get(reason, 0) + 1
        return found

    def as_dict(self) -> dict[str, Any]:
        """The numbers as plain JSON values, for logs and schedulers."""
        return {
            "queue": self.queue,
            "queue_id": None if self.queue_id is None else str(self.queue_id),
            "created": self.created,
            "candidates": self.candidates,
            "sent": len(self.sent),
            "present": len(self.present),
            "unknown": len(self.unknown),
            "reasons": self.counts(),
            "audit_share": self.audit_share,
            "seed": self.seed,
        }

    def to_pandas(self) -> Any:
        """A `pandas.DataFrame` with columns `run_id`, `why`, `confidence` and `present`."""
        import pandas as pd  # noqa: PLC0415

        records = [
            (str(one.run_id), ", ".join(one.why), one.confidence, one.present) for one in self.runs
        ]
        return pd.DataFrame(records, columns=["run_id", "why", "confidence", "present"])
