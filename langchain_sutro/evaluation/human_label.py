"""What a person said of a judged run, beside what the judges said."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from langchain_sutro._core.exports import exported_from
from langchain_sutro.errors import SutroInputError
from langchain_sutro.functions import verdict_key

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from uuid import UUID

    from langchain_sutro.evaluation.judge_answers import JudgeAnswer

__all__ = ["HumanLabel", "Resolve", "resolved", "said"]

Resolve: TypeAlias = Literal["agreed", "majority", "latest"]


@exported_from("langchain_sutro")
@dataclass(frozen=True)
class HumanLabel:
    """What one person said of one run.

    Attributes:
        run_id: The run.
        label: What the person said: the feedback's value, or its score if there is none.
        score: The label as a number, such as 1 for a pass; None if it has none.
        answers: What each judge said of the run, by feedback key.
        inputs: The wanted input fields of the run; empty if they could not be made.
        reviewer: The person's name, or else id, as LangSmith has it; None if it has neither.
        time: When the label was given or last changed.
        comment: What the person wrote.
        correction: What the person says the run should have given.
        audit: Whether the run is in the random audit; None if that was not asked.
        conflict: Whether another person has labelled the run differently.
        error: Why the input fields could not be made.
    """

    run_id: UUID
    label: Any
    score: float | None
    answers: dict[str, JudgeAnswer] = field(default_factory=dict)
    inputs: dict[str, Any] = field(default_factory=dict)
    reviewer: str | None = None
    time: datetime | None = None
    comment: str | None = None
    correction: Any = None
    audit: bool | None = None
    conflict: bool = False
    error: str | None = None


def said(label: HumanLabel) -> Any:
    """What two labels are compared by: their scores, or else what they say, ignoring case."""
    return verdict_key(label.label) if label.score is None else label.score


def resolved(labels: Iterable[HumanLabel], how: Resolve) -> list[HumanLabel]:
    """One label for each run, in order of first appearance.

    Args:
        labels: Those of all people.
        how: `"agreed"` leaves out runs with a conflict, `"majority"` those without a label that
            more than half of the people gave, and `"latest"` takes the last label of any person.

    Raises:
        SutroInputError: It is none of these.
    """
    if how not in ("agreed", "majority", "latest"):
        raise SutroInputError(f"resolve must be 'agreed', 'majority' or 'latest', not {how!r}.")
    by_run: dict[UUID, list[HumanLabel]] = {}
    for one in labels:
        by_run.setdefault(one.run_id, []).append(one)
    found = (_one(of_run, how) for of_run in by_run.values())
    return [one for one in found if one is not None]


def _one(labels: list[HumanLabel], how: Resolve) -> HumanLabel | None:
    if how == "latest":
        return labels[-1]
    most, count = Counter(map(said, labels)).most_common(1)[0]
    enough = len(labels) if how == "agreed" else len(labels) // 2 + 1
    return next(one for one in labels if said(one) == most) if count >= enough else None
