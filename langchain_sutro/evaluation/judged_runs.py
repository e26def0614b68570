"""What a call of `evaluate_runs` did, as it returns it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from langchain_sutro._core.exports import exported_from

__all__ = ["JudgedRuns"]


@exported_from("langchain_sutro")
@dataclass
class JudgedRuns:
    """What a call of `evaluate_runs` did.

    Attributes:
        project: The project's name.
        selected: Number of runs that were looked at.
        judged: For each feedback key, the number of runs that got feedback in this call.
        failed: For each feedback key, how many of them got feedback without a score because their
            row could not be made or judged.
        skipped: For each feedback key, the number of runs that had the feedback already.
        jobs: The id of the job for each feedback key; without one if no run had to be judged.
        cost: What the jobs cost in USD, as far as the service says it.
        refused: Number of runs and feedbacks that LangSmith did not accept.
        warnings: What is worth a look, for example several models that answered.
    """

    project: str
    selected: int = 0
    judged: dict[str, int] = field(default_factory=dict)
    failed: dict[str, int] = field(default_factory=dict)
    skipped: dict[str, int] = field(default_factory=dict)
    jobs: dict[str, list[str]] = field(default_factory=dict)
    cost: float = 0.0
    refused: int = 0
    warnings: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """The same as plain JSON values, for logs and schedulers."""
        return dict(vars(self))
