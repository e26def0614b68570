"""What a call of `evaluate_runs` did, as it returns it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from langchain_sutro._core.exports import exported_from
from langchain_sutro.errors import SutroInputError

if TYPE_CHECKING:
    from uuid import UUID

    from langchain_sutro.evaluation.judge_answers import JudgeAnswers

__all__ = ["JudgedRuns"]

# What is for further calls, and would be a line for each run in a log.
_NOT_SHOWN = ("project_id", "answers")


@exported_from("langchain_sutro")
@dataclass
class JudgedRuns:
    """What a call of `evaluate_runs` did.

    `send_for_review` takes it, and chooses which of its runs people should look at.

    Attributes:
        project: The project's name.
        selected: Number of runs, or finished threads, that were looked at.
        judged: For each feedback key, the number of runs or threads that got feedback in this call.
        failed: For each feedback key, how many of them got feedback without a score because their
            row could not be made or judged.
        skipped: For each feedback key, the number of runs that had the feedback already.
        jobs: The id of the job for each feedback key; without one if no run had to be judged.
        cost: What the jobs cost in USD, as far as the service says it.
        refused: Number of runs and feedbacks that LangSmith did not accept.
        warnings: What is worth a look, for example several models that answered.
        project_id: The project's id.
        answers: For each feedback key, what the judge said of each run, in this call or, as far as
            LangSmith's statistics show it, in an earlier one.
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
    project_id: UUID | None = field(default=None, repr=False)
    answers: dict[str, JudgeAnswers] = field(default_factory=dict, repr=False, compare=False)

    def as_dict(self) -> dict[str, Any]:
        """The numbers as plain JSON values, for logs and schedulers."""
        return {name: value for name, value in vars(self).items() if name not in _NOT_SHOWN}

    def scores(self, key: str) -> list[float]:
        """The scores that a judge gave, in the order of the runs, such as for `pass_rate`.

        Runs without a score are left out.

        Args:
            key: The judge's feedback key.

        Raises:
            SutroInputError: No judge has this key.
        """
        if key not in self.answers:
            keys = ", ".join(self.answers) or "none"
            raise SutroInputError(f"No run was judged under {key!r}; the keys are: {keys}.")
        found = (answer.score for _, _, answer in self.answers[key])
        return [score for score in found if score is not None]
