"""The runs that people may be asked to review, with what the judges said of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias
from uuid import UUID

from langchain_sutro.errors import SutroInputError
from langchain_sutro.evaluation.evaluator import SutroEvaluator
from langchain_sutro.evaluation.human_feedback import feedback_of_runs, is_of_judge, projects_of
from langchain_sutro.evaluation.judge_answers import JudgeAnswer, answer_of
from langchain_sutro.evaluation.judged_runs import JudgedRuns
from langchain_sutro.evaluation.results import ExperimentResults
from langchain_sutro.evaluation.traced_runs import runs_by_id

if TYPE_CHECKING:
    from datetime import datetime

    from langsmith import Client
    from langsmith.schemas import Feedback

__all__ = ["Candidate", "Judges", "answers_of", "candidates_of", "judge_keys", "paired", "run_ids"]

Judges: TypeAlias = (
    "str | SutroEvaluator | Iterable[str | SutroEvaluator] | Mapping[str, str | None] | None"
)
_CONFIDENCE = "_confidence"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A run that may be reviewed.

    Attributes:
        id: The run.
        session_id: Its project.
        start_time: When it started.
        answers: What each judge said of it, by feedback key.
        confidence: The run's own confidence, such as that of a Function that answered.
    """

    id: UUID
    session_id: UUID
    start_time: datetime
    answers: dict[str, JudgeAnswer] = field(default_factory=dict)
    confidence: float | None = None

    @property
    def least_confidence(self) -> float | None:
        """The least confidence of a judge, or else that of the run; None if there is none."""
        known = [one.confidence for one in self.answers.values() if one.confidence is not None]
        return min(known) if known else self.confidence

    @property
    def disagreement(self) -> float:
        """How far the judges' verdicts are apart; 0 if they agree or fewer than two gave one."""
        given = [one for one in self.answers.values() if one.verdict is not None]
        if len(given) < 2:
            return 0.0
        scores = [one.score for one in given if one.score is not None]
        if len(scores) == len(given):
            return max(scores) - min(scores)
        values = {one.value.casefold() for one in given if one.value is not None}
        return float(len(values) > 1)


def judge_keys(judges: Judges) -> dict[str, str | None] | None:
    """The feedback key of each judge's confidence, by that of its verdict.

    Args:
        judges: Keys, evaluators, or a dict as it is returned; None if they are not known.

    Raises:
        SutroInputError: It is none of these.
    """
    if judges is None:
        return None
    if isinstance(judges, Mapping):
        return dict(judges)
    found: dict[str, str | None] = {}
    for one in [judges] if isinstance(judges, str | SutroEvaluator) else judges:
        if isinstance(one, SutroEvaluator):
            key, *others = one.feedback_keys
            found[key] = others[0] if others else None
        elif isinstance(one, str):
            found[one] = f"{one}{_CONFIDENCE}"
        else:
            raise SutroInputError(
                f"judges takes feedback keys and evaluators, not {type(one).__name__}."
            )
    return found


def candidates_of(what: Any, judges: Judges, client: Client) -> list[Candidate]:
    """The runs of whatever `send_for_review` takes, each once.

    Args:
        what: Results of an experiment, what `evaluate_runs` returned, or ids of runs.
        judges: Whose answers count; None for all.
        client: LangSmith's client; it is asked about ids only.

    Raises:
        SutroInputError: It is none of these, or its runs are not in LangSmith.
        LangSmithError: LangSmith cannot be asked.
    """
    keys = judge_keys(judges)
    if isinstance(what, JudgedRuns):
        return _of_judged(what, keys)
    if isinstance(what, ExperimentResults):
        return _of_experiment(what, keys)
    return _of_ids(run_ids(what), keys, client)


def run_ids(what: Any) -> list[UUID]:
    """Ids of runs, each once.

    Raises:
        SutroInputError: It is nothing of the kind.
    """
    try:
        # A string would be a sequence of characters, and a dict one of keys.
        given = () if isinstance(what, str | bytes | Mapping) else what
        found = [one if isinstance(one, UUID) else UUID(one) for one in given]
    except (TypeError, ValueError, AttributeError):
        found = []
    if not found and not (isinstance(what, list | tuple) and not what):
        raise SutroInputError(
            "Pass the results of an experiment, what evaluate_runs returned, or a sequence of ids "
            f"of runs (UUIDs), not {type(what).__name__}."
        )
    return list(dict.fromkeys(found))


def _of_judged(judged: JudgedRuns, keys: dict[str, str | None] | None) -> list[Candidate]:
    unknown = set(keys or ()) - judged.answers.keys()
    if unknown and judged.selected:
        raise SutroInputError(
            f"No run was judged under {', '.join(sorted(unknown))}; the keys are: "
            f"{', '.join(judged.answers) or 'none'}."
        )
    found: dict[UUID, Candidate] = {}
    for key, answers in judged.answers.items():
        for run_id, start, answer in answers:
            if judged.project_id is None:
                raise SutroInputError("These JudgedRuns were not made by evaluate_runs.")
            if run_id not in found:
                found[run_id] = Candidate(run_id, judged.project_id, start)
            if keys is None or key in keys:
                found[run_id].answers[key] = answer
    return list(found.values())


def _of_experiment(
    results: ExperimentResults, keys: dict[str, str | None] | None
) -> list[Candidate]:
    if results.experiment_id is None:
        raise SutroInputError(
            "The runs of this evaluation are not in LangSmith, so nobody can review them there: "
            "call evaluate_dataset without upload_results=False."
        )
    if keys is None:
        keys = paired(results.feedback_keys)
    session = UUID(results.experiment_id)
    found = {}
    for row in results:
        given = {one.key: one for one in row.feedback}
        answers = {
            key: answer_of([given[key], *([given[other]] if other in given else [])])
            for key, other in keys.items()
            if key in given
        }
        run = row.run
        found[run.id] = Candidate(run.id, session, run.start_time, answers, row.confidence)
    return list(found.values())


def _of_ids(ids: list[UUID], keys: dict[str, str | None] | None, client: Client) -> list[Candidate]:
    found = {}
    given = feedback_of_runs(client, ids)
    for run in runs_by_id(client, projects_of(ids, given)):
        if run.session_id is None:
            continue
        said = {one.key: one for one in given.get(run.id, ()) if is_of_judge(one)}
        answers = answers_of(said, paired(said) if keys is None else keys)
        found[run.id] = Candidate(run.id, run.session_id, run.start_time, answers)
    return [found[one] for one in ids if one in found]


def answers_of(
    said: Mapping[str, Feedback], keys: Mapping[str, str | None]
) -> dict[str, JudgeAnswer]:
    """What each judge said of a run, from its feedback by key."""
    found = {}
    for key, confidence_key in keys.items():
        if key not in said:
            continue
        verdict, confidence = said[key], said.get(confidence_key or "")
        found[key] = JudgeAnswer(
            None if verdict.score is None else float(verdict.score),
            verdict.value if isinstance(verdict.value, str) else None,
            None if confidence is None or confidence.score is None else float(confidence.score),
        )
    return found


def paired(keys: Iterable[str]) -> dict[str, str | None]:
    """The verdict keys among feedback keys, each with that of its confidence."""
    known = set(keys)
    pairs: dict[str, str | None] = {
        key: f"{key}{_CONFIDENCE}" if f"{key}{_CONFIDENCE}" in known else None
        for key in sorted(known)
    }
    for confidence in [one for one in pairs.values() if one is not None]:
        pairs.pop(confidence, None)
    return pairs
