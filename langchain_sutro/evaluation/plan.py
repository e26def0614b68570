"""What a call of `evaluate_dataset` asks for, checked."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from langsmith.evaluation import RunEvaluator, run_evaluator
from langsmith.run_trees import get_cached_client

from langchain_sutro.errors import SutroInputError
from langchain_sutro.evaluation.evaluator import SutroEvaluator
from langchain_sutro.functions import SutroFunction

if TYPE_CHECKING:
    import uuid
    from collections.abc import Callable, Mapping, Sequence
    from datetime import timedelta

    from langsmith import Client

    from langchain_sutro.evaluation.fields import FieldSpec

__all__ = ["Plan"]


@dataclass(frozen=True)
class Plan:
    """The parameters of `evaluate_dataset`.

    Raises:
        TypeError: `target`, `data` and `experiment` do not go together.
        SutroInputError: Too few repetitions, or two judges of one key.
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
    upload: bool
    given_client: Client | None

    def __post_init__(self) -> None:
        if self.experiment is None:
            if not isinstance(self.target, SutroFunction) or self.data is None:
                raise TypeError("evaluate_dataset takes a SutroFunction and data to run it over.")
        elif not isinstance(self.target, SutroEvaluator) or self.data is not None:
            raise TypeError("evaluate_dataset takes a SutroEvaluator to judge an experiment.")
        if self.num_repetitions < 1:
            raise SutroInputError(f"{self.num_repetitions} repetitions: at least one is needed.")
        keys = [judge.key for judge in self.judges]
        if len(set(keys)) < len(keys):
            raise SutroInputError(f"Judges need different keys, these have {', '.join(keys)}.")

    @cached_property
    def client(self) -> Client:
        """LangSmith's client; made only where it is used."""
        return self.given_client if self.given_client is not None else get_cached_client()

    def prioritized(self, function: SutroFunction) -> SutroFunction:
        """A Function with the priority that was asked for."""
        if self.job_priority is None:
            return function
        return function.model_copy(update={"job_priority": self.job_priority})

    @property
    def judges(self) -> list[SutroEvaluator]:
        """Those that judge all rows in one job."""
        own = [self.target] if isinstance(self.target, SutroEvaluator) else []
        return [*own, *(one for one in self.evaluators if isinstance(one, SutroEvaluator))]

    @cached_property
    def others(self) -> list[RunEvaluator]:
        """Those that are called for each row."""
        return [
            one if isinstance(one, RunEvaluator) else run_evaluator(one)
            for one in self.evaluators
            if not isinstance(one, SutroEvaluator)
        ]

    @property
    def keys(self) -> list[str]:
        """Every feedback key that is known beforehand."""
        return [key for one in [*self.judges, *self.others] for key in one.feedback_keys]
