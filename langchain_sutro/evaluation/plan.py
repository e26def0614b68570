"""The arguments of `evaluate_dataset`, checked."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from langsmith.evaluation import RunEvaluator, run_evaluator
from langsmith.run_trees import get_cached_client

from langchain_sutro.errors import SutroInputError
from langchain_sutro.evaluation.evaluator import SutroEvaluator
from langchain_sutro.evaluation.jobs import JobOptions
from langchain_sutro.functions import SutroFunction

if TYPE_CHECKING:
    import uuid
    from collections.abc import Callable, Mapping, Sequence
    from datetime import timedelta

    from langsmith import Client

    from langchain_sutro.evaluation.fields import FieldSpec

__all__ = ["Plan"]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The arguments of `evaluate_dataset`, by the same names.

    Raises:
        TypeError: `target`, `data` and `experiment` do not go together.
        SutroInputError: `num_repetitions` is below 1, or two judges have the same key.
    """

    target: SutroFunction | SutroEvaluator
    data: Any
    experiment: str | uuid.UUID | None
    evaluators: Sequence[RunEvaluator | Callable[..., Any]]
    summary_evaluators: Sequence[Callable[..., Any]]
    fields: FieldSpec
    experiment_name: str | None
    experiment_prefix: str | None
    description: str | None
    metadata: Mapping[str, Any] | None
    num_repetitions: int
    max_concurrency: int
    job_priority: Literal[0, 1] | None
    reuse_jobs: timedelta | None
    progress: bool
    upload_results: bool
    client: Client | None

    def __post_init__(self) -> None:
        if self.experiment is None:
            if not isinstance(self.target, SutroFunction) or self.data is None:
                raise TypeError("evaluate_dataset takes a SutroFunction and data to run it over.")
        elif not isinstance(self.target, SutroEvaluator) or self.data is not None:
            raise TypeError("evaluate_dataset takes a SutroEvaluator to judge an experiment.")
        if self.num_repetitions < 1:
            raise SutroInputError(
                f"num_repetitions must be at least 1, not {self.num_repetitions}."
            )
        keys = [judge.key for judge in self.judges]
        if len(set(keys)) < len(keys):
            raise SutroInputError(f"Judges need different keys; these have {', '.join(keys)}.")

    @cached_property
    def langsmith(self) -> Client:
        """LangSmith's client, made only where it is used."""
        return self.client if self.client is not None else get_cached_client()

    @property
    def jobs(self) -> JobOptions:
        """How the jobs are run."""
        return JobOptions(self.job_priority, self.reuse_jobs, self.progress)

    @property
    def judges(self) -> list[SutroEvaluator]:
        """The evaluators that judge all rows in one job."""
        own = [self.target] if isinstance(self.target, SutroEvaluator) else []
        return [*own, *(one for one in self.evaluators if isinstance(one, SutroEvaluator))]

    @cached_property
    def others(self) -> list[RunEvaluator]:
        """The evaluators that are called for each row."""
        return [
            one if isinstance(one, RunEvaluator) else run_evaluator(one)
            for one in self.evaluators
            if not isinstance(one, SutroEvaluator)
        ]

    @property
    def keys(self) -> list[str]:
        """The feedback keys that are known beforehand."""
        return [key for one in [*self.judges, *self.others] for key in one.feedback_keys]
