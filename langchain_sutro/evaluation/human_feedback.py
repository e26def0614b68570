"""Feedback of runs, and whether a person or a judge gave it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
    from uuid import UUID

    from langsmith import Client
    from langsmith.schemas import Feedback

__all__ = ["HUMAN_SOURCES", "feedback_of_runs", "is_of_judge", "is_of_people", "projects_of"]

# LangSmith's pages send "app"; other programs that pass on what people say send "api".
HUMAN_SOURCES = ("app", "api")
_RUNS_PER_REQUEST = 100


def feedback_of_runs(client: Client, run_ids: Sequence[UUID]) -> dict[UUID, list[Feedback]]:
    """All feedback of runs, the oldest first."""
    found: dict[UUID, list[Feedback]] = {}
    for start in range(0, len(run_ids), _RUNS_PER_REQUEST):
        portion = list(run_ids[start : start + _RUNS_PER_REQUEST])
        for one in _by_time(client.list_feedback(run_ids=portion)):
            if one.run_id is not None:
                found.setdefault(one.run_id, []).append(one)
    return found


def projects_of(
    run_ids: Iterable[UUID], given: Mapping[UUID, Sequence[Feedback]]
) -> dict[UUID, UUID | None]:
    """The project of each run, as its feedback names it; None where none does."""
    return {
        run_id: next((one.session_id for one in given.get(run_id, ()) if one.session_id), None)
        for run_id in run_ids
    }


def is_of_people(feedback: Feedback, sources: Collection[str] = HUMAN_SOURCES) -> bool:
    """Whether a person gave it: it has such a source and names no evaluator's run."""
    return _source(feedback) in sources and not _evaluator_run(feedback)


def is_of_judge(feedback: Feedback) -> bool:
    """Whether an evaluator gave it."""
    return _source(feedback) not in HUMAN_SOURCES or _evaluator_run(feedback)


def _source(feedback: Feedback) -> str | None:
    return None if feedback.feedback_source is None else feedback.feedback_source.type


def _evaluator_run(feedback: Feedback) -> bool:
    metadata: Any = feedback.feedback_source and feedback.feedback_source.metadata
    return bool((metadata or {}).get("__run"))


def _by_time(feedback: Iterable[Feedback]) -> Iterator[Feedback]:
    yield from sorted(feedback, key=lambda one: (one.modified_at, one.id))
