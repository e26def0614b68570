"""`reviewed`: what people said of judged runs, beside what the judges said."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from langsmith.run_trees import get_cached_client

from langchain_sutro._core.exports import exported_from
from langchain_sutro._core.service import Steps, arun_steps, blocking, run_steps
from langchain_sutro.errors import SutroError, SutroInputError
from langchain_sutro.evaluation.asynchronous import asynchronous_form_of
from langchain_sutro.evaluation.candidates import answers_of, judge_keys, paired
from langchain_sutro.evaluation.evaluator import SutroEvaluator
from langchain_sutro.evaluation.fields import FieldMapping
from langchain_sutro.evaluation.human_feedback import (
    HUMAN_SOURCES,
    feedback_of_runs,
    is_of_judge,
    is_of_people,
    projects_of,
)
from langchain_sutro.evaluation.human_label import HumanLabel, said
from langchain_sutro.evaluation.human_labels import HumanLabels
from langchain_sutro.evaluation.langsmith_api import read_project
from langchain_sutro.evaluation.review_choice import in_audit
from langchain_sutro.evaluation.review_queue import ReviewQueue
from langchain_sutro.evaluation.traced_runs import runs_by_id
from langchain_sutro.functions import by_verdict, verdict_key

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from uuid import UUID

    from langsmith import Client
    from langsmith.schemas import Feedback, Run

    from langchain_sutro.evaluation.candidates import Judges
    from langchain_sutro.evaluation.fields import FieldSpec

__all__ = ["areviewed", "reviewed"]


@exported_from("langchain_sutro")
def reviewed(
    queue: str | UUID | None = None,
    *,
    label: str,
    project: str | UUID | None = None,
    judges: Judges = None,
    fields: FieldSpec = None,
    score: Mapping[Any, float | None] | None = None,
    audit: float | None = None,
    seed: int = 0,
    sources: Collection[str] = HUMAN_SOURCES,
    client: Client | None = None,
) -> HumanLabels:
    """The labels that people gave to the runs of an annotation queue, or of a project.

    A label is feedback that a person gave: its source is LangSmith's page (`"app"`) or a program
    that passes on what people say (`"api"`), and not an evaluator. So it may have the judge's own
    key. If a person labelled a run several times, the last label counts.

    Args:
        queue: The annotation queue, by name or id.
        label: The feedback key of the labels.
        project: Instead of a queue: the project or experiment, by name or id, all of whose labels
            are wanted.
        judges: The judges that are shown beside the labels, as for `send_for_review`. By default
            all.
        fields: The input fields that are wanted, as for `SutroEvaluator`. By default those of the
            first evaluator in `judges`; without one, no fields are read.
        score: The score of each label, ignoring case, such as `{"good": 1, "bad": 0}`; None for a
            label that has none. By default the feedback's own score.
        audit: The share of the audit: what was passed to `send_for_review`, or the `audit_share`
            of what it returned. Labels of the audit are marked.
        seed: The seed that was passed to `send_for_review`.
        sources: The sources of feedback that are people. Leave out `"api"` where programs give
            feedback of the same key.
        client: LangSmith's client; by default one made from the environment.

    Raises:
        SutroInputError: There is no such queue, a label is not in `score`, or an argument is not
            what it should be.
        LangSmithError: LangSmith cannot be asked.
    """
    reading = _Reading(queue, label, project, judges, fields, score, audit, seed, sources, client)
    return run_steps(reading.steps())


@exported_from("langchain_sutro")
@asynchronous_form_of(reviewed)
async def areviewed(*args: Any, **kwargs: Any) -> HumanLabels:
    """The asynchronous form of `reviewed`, with the same parameters.

    LangSmith's client has no asynchronous form of what is needed here, so it is called in threads.
    """
    bound = inspect.signature(reviewed).bind(*args, **kwargs)
    bound.apply_defaults()
    return await arun_steps(_Reading(**bound.arguments).steps())


@dataclass(frozen=True)
class _Reading:
    """The arguments of `reviewed`, checked."""

    queue: str | UUID | None
    label: str
    project: str | UUID | None
    judges: Judges
    fields: FieldSpec
    score: Mapping[Any, float | None] | None
    audit: float | None
    seed: int
    sources: Collection[str]
    client: Client | None

    def __post_init__(self) -> None:
        if (self.queue is None) == (self.project is None):
            raise SutroInputError("reviewed takes a queue or a project.")
        if self.audit is not None and not 0 <= self.audit <= 1:
            raise SutroInputError(
                f"audit must be a share from 0 to 1, not {self.audit!r}: for an audit of a number "
                "of runs, it is the audit_share of what send_for_review returned."
            )

    @cached_property
    def langsmith(self) -> Client:
        """LangSmith's client, made only where it is used."""
        return self.client if self.client is not None else get_cached_client()

    @cached_property
    def _scores(self) -> dict[str, float | None] | None:
        return None if self.score is None else by_verdict(self.score, "score")

    @cached_property
    def _keys(self) -> dict[str, str | None] | None:
        return judge_keys(self._all_judges)

    @cached_property
    def _all_judges(self) -> Judges:
        """The judges as something that can be iterated several times."""
        several = isinstance(self.judges, list | tuple | set | frozenset)
        return list(self.judges) if several else self.judges  # type: ignore[arg-type]

    @cached_property
    def _mapping(self) -> SutroEvaluator | FieldMapping | None:
        """What makes the input fields of a run."""
        if self.fields is not None:
            return FieldMapping.of(self.fields)
        judges = self._all_judges if isinstance(self._all_judges, list) else [self._all_judges]
        return next((one for one in judges if isinstance(one, SutroEvaluator)), None)

    def steps(self) -> Steps[HumanLabels]:
        """Read the labels, then the runs that have any."""
        ids: list[UUID] = yield blocking(self._runs)
        given: dict[UUID, list[Feedback]] = yield blocking(feedback_of_runs, self.langsmith, ids)
        labels = [one for run_id in ids for one in self._labels(run_id, given.get(run_id, []))]
        if self._mapping is not None:
            projects = projects_of(dict.fromkeys(one.run_id for one in labels), given)
            labels = yield blocking(self._with_inputs, self._mapping, labels, projects)
        judges = dict.fromkeys(key for one in labels for key in one.answers)
        return HumanLabels(
            labels,
            list(judges if self._keys is None else self._keys),
            client=self.langsmith,
            has_inputs=self._mapping is not None,
        )

    def _runs(self) -> list[UUID]:
        """The runs that may have labels."""
        client = self.langsmith
        if self.queue is not None:
            found = ReviewQueue.find(client, self.queue)
            if found is None:
                raise SutroInputError(f"LangSmith has no annotation queue called {self.queue!r}.")
            return list(dict.fromkeys(found.runs()))
        project = read_project(client, str(self.project))
        listed = client.list_feedback(feedback_key=[self.label], session=[project.id])
        people = (one.run_id for one in listed if is_of_people(one, self.sources))
        return list(dict.fromkeys(one for one in people if one is not None))

    def _labels(self, run_id: UUID, given: list[Feedback]) -> Iterator[HumanLabel]:
        """The labels of one run, the last one of each person."""
        judges = {one.key: one for one in given if is_of_judge(one)}
        answers = answers_of(judges, paired(judges) if self._keys is None else self._keys)
        latest: dict[Any, Feedback] = {}
        for one in given:
            if one.key == self.label and is_of_people(one, self.sources):
                who = _identity(one)
                latest.pop(who, None)
                latest[who] = one
        labels = [
            HumanLabel(
                run_id=run_id,
                label=one.score if one.value is None else one.value,
                score=self._score(one),
                answers=answers,
                reviewer=_reviewer(one),
                time=one.modified_at,
                comment=one.comment,
                correction=one.correction,
                audit=None if self.audit is None else in_audit(run_id, self.audit, self.seed),
            )
            for one in latest.values()
        ]
        conflict = len(set(map(said, labels))) > 1
        yield from (replace(one, conflict=conflict) for one in labels)

    def _score(self, feedback: Feedback) -> float | None:
        label = feedback.score if feedback.value is None else feedback.value
        if self._scores is None:
            return None if feedback.score is None else float(feedback.score)
        key = verdict_key(label)
        if key not in self._scores:
            raise SutroInputError(
                f"The label {key[:60]!r} has no score: add it to score=, with None for a label "
                "that is no verdict."
            )
        return self._scores[key]

    def _with_inputs(
        self,
        mapping: SutroEvaluator | FieldMapping,
        labels: list[HumanLabel],
        projects: dict[UUID, UUID | None],
    ) -> list[HumanLabel]:
        """The labels with the input fields of their runs."""
        runs = runs_by_id(self.langsmith, projects, sorted(mapping.parts))
        made = {run.id: _inputs(mapping, run) for run in runs}
        gone: dict[str, Any] = {"error": "The run is no longer in LangSmith."}
        return [replace(one, **made.get(one.run_id, gone)) for one in labels]


def _inputs(mapping: SutroEvaluator | FieldMapping, run: Run) -> dict[str, Any]:
    try:
        if isinstance(mapping, SutroEvaluator):
            return {"inputs": mapping.row(run)}
        return {"inputs": mapping.row(run.inputs, run.outputs, None, run=run)}
    except SutroError as error:
        return {"error": str(error)}
    except Exception as error:  # noqa: BLE001 - a callable of the user's may raise anything
        # Its message may hold what the run says.
        return {"error": f"The callable for the fields raised {type(error).__name__}."}


def _identity(feedback: Feedback) -> Any:
    """Who gave it: two people may have one name, and programs may name nobody."""
    source = feedback.feedback_source
    known = None if source is None else source.user_id or source.user_name
    return known or feedback.id


def _reviewer(feedback: Feedback) -> str | None:
    source = feedback.feedback_source
    if source is None:
        return None
    return source.user_name or (None if source.user_id is None else str(source.user_id))
