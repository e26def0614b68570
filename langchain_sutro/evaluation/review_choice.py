"""Which of the judged runs people should look at, and why."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from langchain_sutro.errors import SutroInputError
from langchain_sutro.evaluation.places import place

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from uuid import UUID

    from langchain_sutro.evaluation.candidates import Candidate

__all__ = ["ReviewPlan", "in_audit"]

UNCERTAIN, DISAGREEMENT, AUDIT = "uncertain", "disagreement", "audit"


@dataclass(frozen=True)
class ReviewPlan:
    """How many runs are chosen, for which reason: a share (a float) or a number (an int).

    Attributes:
        uncertain: Of the runs with a confidence, those with the least.
        disagreement: Of the runs on which judges disagree, those on which they do so most.
        audit: Of all runs, chosen by their ids alone.
        seed: Another seed chooses other runs for the audit.

    Raises:
        SutroInputError: One of them is negative, or a share above 1.
    """

    uncertain: float | int
    disagreement: float | int
    audit: float | int
    seed: int

    def __post_init__(self) -> None:
        for name in ("uncertain", "disagreement", "audit"):
            amount = getattr(self, name)
            odd = isinstance(amount, bool) or not isinstance(amount, int | float)
            if odd or not amount >= 0 or (isinstance(amount, float) and amount > 1):
                raise SutroInputError(
                    f"{name} must be a number of runs (an int) or a share of them (a float from 0 "
                    f"to 1), not {amount!r}."
                )

    def choose(self, candidates: Sequence[Candidate]) -> dict[UUID, tuple[str, ...]]:
        """The chosen runs, each with its reasons, in the order in which to review them.

        Neither depends on the order of the candidates. The order of the result is random by the
        runs' ids, so that those who stop half-way have reviewed runs of every kind.
        """
        total = len(candidates)
        reasons: dict[UUID, list[str]] = {}
        unsure = (
            (one.least_confidence, *self._order(one))
            for one in candidates
            if one.least_confidence is not None
        )
        apart = (
            (-one.disagreement, *self._order(one)) for one in candidates if one.disagreement > 0
        )
        for reason, ranked, amount in (
            (UNCERTAIN, unsure, self.uncertain),
            (DISAGREEMENT, apart, self.disagreement),
        ):
            for _, _, run_id in sorted(ranked)[: _number(amount, total)]:
                reasons.setdefault(run_id, []).append(reason)
        share = self.audit_share(one.id for one in candidates)
        for one in candidates:
            if in_audit(one.id, share, self.seed):
                reasons.setdefault(one.id, []).append(AUDIT)
        return {run_id: tuple(reasons[run_id]) for run_id in sorted(reasons, key=_shuffled)}

    def audit_share(self, run_ids: Iterable[UUID]) -> float:
        """The share for which `in_audit` holds for the runs of the audit, and for no others."""
        if isinstance(self.audit, float):
            return self.audit
        places = sorted(_audit_place(one, self.seed) for one in run_ids)
        if not self.audit:
            return 0.0
        return places[self.audit] if self.audit < len(places) else 1.0

    def _order(self, one: Candidate) -> tuple[float, UUID]:
        """The order of runs that are equal otherwise."""
        return place(one.id, "review"), one.id


def in_audit(run_id: UUID, share: float, seed: int) -> bool:
    """Whether a run belongs to the random audit, which depends on its id alone."""
    return share >= 1 or _audit_place(run_id, seed) < share


def _audit_place(run_id: UUID, seed: int) -> float:
    # Not the places of evaluate_runs(sample=…): the audit would be all of the sample, or nothing.
    return place(run_id, f"audit {seed} ")


def _shuffled(run_id: UUID) -> tuple[float, UUID]:
    return place(run_id, "order"), run_id


def _number(amount: float, total: int) -> int:
    return amount if isinstance(amount, int) else math.ceil(amount * total)
