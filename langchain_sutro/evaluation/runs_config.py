"""Which runs are judged by which Functions, in a JSON or YAML file, for schedulers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from langchain_sutro._core.config_files import Place, Problem, load_config
from langchain_sutro.errors import SutroConfigurationError
from langchain_sutro.evaluation.evaluator import SutroEvaluator
from langchain_sutro.evaluation.production import evaluate_runs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from os import PathLike

    from langchain_sutro.evaluation.judged_runs import JudgedRuns

__all__ = ["evaluate_configured_runs"]


# A century, so that no time is before all calendars.
_MOST_HOURS = 876_000


class _JudgeConfig(BaseModel):
    """One judge, with the arguments of `SutroEvaluator`."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True, strict=True)

    function: str = Field(min_length=1)
    key: str | None = None
    fields: dict[str, str] | None = None
    score: dict[str, float | int | bool | None] | None = None
    min_confidence: float | None = Field(default=None, ge=0, le=1)

    def evaluator(self) -> SutroEvaluator:
        return SutroEvaluator(
            self.function,
            key=self.key,
            fields=self.fields,
            score=self.score,
            min_confidence=self.min_confidence,
        )


class _RunsConfig(BaseModel):
    """The arguments of `evaluate_runs` that have a form in a file."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True, strict=True)

    project: str = Field(min_length=1)
    judges: list[_JudgeConfig] = Field(min_length=1)
    filter: str | None = None
    trace_filter: str | None = None
    tree_filter: str | None = None
    since_hours: float | None = Field(default=None, gt=0, le=_MOST_HOURS)
    run_type: str | None = None
    name: str | None = None
    threads: bool = False
    idle_minutes: float | None = Field(default=None, ge=0, le=60 * _MOST_HOURS)
    sample: float | int | None = None
    limit: int | None = None
    max_cost: float | None = None
    version: str | None = None
    job_priority: Literal[0, 1] | None = None


def evaluate_configured_runs(path: str | PathLike[str]) -> JudgedRuns:
    """Judge runs as a file says.

    Args:
        path: A `.json`, `.yaml` or `.yml` file with the arguments of `evaluate_runs`; each of the
            `judges` has those of `SutroEvaluator`, `since_hours` stands for `since`, and
            `idle_minutes` for `idle`.

    Raises:
        SutroConfigurationError: The file is not valid; the message gives the line of each problem.
        SutroError: As `evaluate_runs` does.
    """
    config = load_config(path, _RunsConfig, "configuration of judges", _wrong)
    options = config.model_dump(exclude={"project", "judges", "since_hours", "idle_minutes"})
    if config.since_hours is not None:
        options["since"] = datetime.now(UTC) - timedelta(hours=config.since_hours)
    if config.idle_minutes is not None:
        options["idle"] = timedelta(minutes=config.idle_minutes)
    return evaluate_runs([one.evaluator() for one in config.judges], config.project, **options)


def _wrong(data: Any, known: set[Place]) -> Iterator[Problem]:
    """Judges that cannot be made, for example because a path is not one."""
    judges = data.get("judges") if isinstance(data, dict) else None
    for index, one in enumerate(judges if isinstance(judges, list) else []):
        place: Place = ("judges", index)
        if any(known_place[:2] == place for known_place in known):
            continue
        try:
            _JudgeConfig.model_validate(one).evaluator()
        except SutroConfigurationError as error:
            yield place, str(error)
