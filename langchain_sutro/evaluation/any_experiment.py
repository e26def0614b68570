"""What comparisons and reports need of an experiment; `ExperimentResults` is one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from matplotlib.axes import Axes

    from langchain_sutro._core.results import AnsweringModel
    from langchain_sutro.evaluation.experiment_row import ExperimentRow
    from langchain_sutro.evaluation.summary import ExperimentSummary

__all__ = ["AnyExperiment"]


@runtime_checkable
class AnyExperiment(Protocol):
    """The rows of an experiment and its figures, as `ExperimentResults` has them."""

    experiment_name: str | None
    url: str | None

    def __len__(self) -> int:
        """The number of rows."""
        ...

    def __iter__(self) -> Iterator[ExperimentRow]:
        """The rows."""
        ...

    @property
    def feedback_keys(self) -> list[str]:
        """The keys of all feedback."""
        ...

    @property
    def models_by_job(self) -> dict[str, tuple[AnsweringModel, ...]]:
        """The models that answered."""
        ...

    def summary(
        self,
        labels: Mapping[str, Mapping[Any, Any]] | None = None,
        *,
        confidence_level: float = ...,
    ) -> ExperimentSummary:
        """The experiment at a glance."""
        ...

    def plot_confusion(self, *, ax: Axes | None = None) -> Axes:
        """Expected labels against answered labels."""
        ...

    def plot_reliability(self, *, ax: Axes | None = None) -> Axes:
        """Confidence against accuracy."""
        ...

    def plot_coverage(self, *, ax: Axes | None = None) -> Axes:
        """Coverage and accuracy by confidence threshold."""
        ...
