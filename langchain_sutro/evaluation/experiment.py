"""An experiment in LangSmith: its jobs, runs and feedback, each written once.

Ids are derived from what they identify, and the experiment's own metadata names its jobs. So a
second process finds everything that the first one wrote, and writes only the rest.
"""

from __future__ import annotations

import warnings
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import count
from threading import main_thread
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from langsmith.evaluation import EvaluationResult
from langsmith.utils import LangSmithConflictError, LangSmithError

from langchain_sutro._core.tracing import attempt, stable_id
from langchain_sutro.errors import SutroConfigurationError, SutroInputError
from langchain_sutro.evaluation.runs_query import RunQuery, found_by_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from langsmith import Client
    from langsmith.schemas import Example, Feedback, RunBase, TracerSession

__all__ = ["EVALUATORS", "PORTION", "Experiment", "JobNote", "RunRef", "judged_ids"]

# Where `langsmith.evaluate` puts the runs of its evaluators.
EVALUATORS = "evaluators"
_FUNCTION, _JOBS = "sutro_function", "sutro_jobs"
# LangSmith's client queues 10,000 operations and drops the rest: it is flushed in between.
PORTION = 1000


@dataclass(frozen=True, slots=True)
class RunRef:
    """A judged run: what its feedback has to name.

    Attributes:
        id: The run.
        trace_id: Its trace.
        session_id: Its project.
        start_time: When it started.
    """

    id: UUID
    trace_id: UUID
    session_id: UUID
    start_time: datetime


@dataclass(frozen=True)
class JobNote:
    """What an experiment's metadata says about a job, written before the job is submitted.

    Attributes:
        token: The token of the submission.
        function: The Function's name.
        rows_sha256: The SHA-256 digest of its rows.
        started_at: When the job was started, in ISO format. The runs of its rows start then.
        reused: Whether it is the job of an earlier submission, which paid for it.
    """

    token: str
    function: str
    rows_sha256: str
    started_at: str
    reused: bool = False

    @property
    def started(self) -> datetime:
        """`started_at` as a time with its zone."""
        return datetime.fromisoformat(self.started_at)


class Experiment:
    """One experiment, in LangSmith or, without a project, in this process only.

    Args:
        client: LangSmith's client; None to write nothing.
        project: The experiment as LangSmith has it.
        resumed: Whether an earlier call may have written some of it.
    """

    def __init__(
        self, client: Client | None, project: TracerSession | None, *, resumed: bool = False
    ) -> None:
        self.client = client
        self.project = project
        self._seed = uuid4() if project is None else project.id
        self._metadata: dict[str, Any] = dict(project.metadata) if project is not None else {}
        self._operations = count(1)
        # What LangSmith did not accept; a call with the same experiment writes it.
        self.refused = 0
        self._written_runs: set[UUID] = set()
        self._written: dict[UUID, Feedback] = {}
        if resumed and client is not None and project is not None:
            found = client.list_feedback(session=project.id)
            self._written = {one.id: one for one in found}

    @classmethod
    def create(
        cls,
        client: Client,
        name: str,
        function: str,
        examples: Sequence[Example],
        *,
        description: str | None,
        metadata: Mapping[str, Any],
        num_repetitions: int,
        evaluator_keys: Sequence[str],
    ) -> Experiment:
        """Create an experiment, or continue the one that an earlier call created.

        Raises:
            SutroConfigurationError: The name belongs to another Function or data set.
        """
        dataset_id = examples[0].dataset_id
        facts = {**_dataset_facts(examples), "num_repetitions": num_repetitions}
        try:
            project = client.create_project(
                name,
                description=description,
                reference_dataset_id=dataset_id,
                num_examples=len(examples),
                num_repetitions=num_repetitions,
                evaluator_keys=list(evaluator_keys),
                metadata={**metadata, **facts, _FUNCTION: function},
            )
        except LangSmithConflictError:
            return cls._continued(client, name, function, dataset_id)
        return cls(client, project)

    @classmethod
    def _continued(
        cls, client: Client, name: str, function: str, dataset_id: UUID | None
    ) -> Experiment:
        project = client.read_project(project_name=name)
        same = (project.metadata.get(_FUNCTION), project.reference_dataset_id)
        if same != (function, dataset_id):
            raise SutroConfigurationError(
                f"LangSmith already has an experiment {name!r}, which is not of {function!r} over "
                "this data set: choose another experiment_name."
            )
        experiment = cls(client, project, resumed=True)
        experiment._written_runs.update(run.id for run in _root_runs(client, project))
        return experiment

    @classmethod
    def load(cls, client: Client, name: str | UUID, *, upload: bool) -> Experiment:
        """An existing experiment, by name or id.

        Raises:
            SutroInputError: It is no experiment, but a project that an application traces to.
        """
        try:
            project = client.read_project(project_id=str(UUID(str(name))))
        except ValueError:
            project = client.read_project(project_name=str(name))
        if project.reference_dataset_id is None:
            raise SutroInputError(
                f"{project.name!r} is a tracing project and not an experiment, since it belongs to "
                "no data set. evaluate_dataset judges all runs of an experiment; the runs of a "
                "tracing project, of which there may be any number, are what evaluate_runs is for."
            )
        return cls(client if upload else None, project, resumed=True)

    @property
    def name(self) -> str | None:
        """Its name in LangSmith."""
        return None if self.project is None else self.project.name

    @property
    def uploads(self) -> bool:
        """Whether anything is written to LangSmith."""
        return self.client is not None

    @property
    def id(self) -> str | None:
        """Its id in LangSmith."""
        return None if self.project is None else str(self.project.id)

    @property
    def url(self) -> str | None:
        """The page that shows it in LangSmith."""
        return None if self.project is None else self.project.url

    def stable_id(self, at: datetime, *parts: object) -> UUID:
        """The id of a run of this experiment; equal parts give equal ids."""
        return stable_id(at, self._seed, *parts)

    def runs(self, client: Client) -> list[RunBase]:
        """Its root runs, the oldest first."""
        if self.project is None:
            return []
        return sorted(_root_runs(client, self.project), key=lambda run: (run.start_time, run.id))

    def examples(self, client: Client) -> dict[UUID, Example]:
        """The examples of its data set, as they were when it was created."""
        if self.project is None or self.project.reference_dataset_id is None:
            return {}
        found = client.list_examples(
            dataset_id=self.project.reference_dataset_id,
            as_of=self.project.metadata.get("dataset_version"),
        )
        return {one.id: one for one in found}

    def note(self, job: str) -> JobNote | None:
        """The note about a job, `"target"` or `"judge:<key>"`, if there is one."""
        known = self._metadata.get(_JOBS, {}).get(job)
        return JobNote(**known) if known else None

    def keep_note(self, job: str, note: JobNote | None) -> None:
        """Record that a job is about to be submitted; None if the service refused it."""
        jobs = {**self._metadata.get(_JOBS, {}), job: None if note is None else asdict(note)}
        self._metadata[_JOBS] = jobs
        if self.client is not None and self.project is not None:
            self.client.update_project(self.project.id, metadata=self._metadata)

    def close(self, *, ended: bool) -> None:
        """Wait until everything has been sent.

        Args:
            ended: Whether to record that the experiment has ended.
        """
        if self.client is None or self.project is None:
            return
        self._flush()
        if ended:
            self._write(
                self.client.update_project,
                self.project.id,
                end_time=datetime.now(UTC),
                metadata=self._metadata,
            )

    def write_runs(self, runs: Sequence[Any]) -> None:
        """Send runs, each in one operation, except those that were sent before."""
        if self.client is None:
            return
        for run in runs:
            if run.id not in self._written_runs and self._write(run.post):
                self._written_runs.add(run.id)
                self._pace()
        self._flush()

    def _write(self, send: Callable[..., object], *args: Any, **kwargs: Any) -> bool:
        """Send something to LangSmith, whose failure does not take away results that are paid."""
        accepted = attempt(partial(send, *args, **kwargs))
        self.refused += not accepted
        return accepted

    def _pace(self) -> None:
        if next(self._operations) % PORTION == 0:
            self._flush()

    def _flush(self) -> None:
        if self.client is not None:
            # Once the main thread has ended, the client's own threads have too.
            attempt(partial(self.client.flush, timeout=None if main_thread().is_alive() else 0))

    def look_for_runs(self, project_name: str, runs: Sequence[RunBase]) -> None:
        """Find out which of these runs an earlier call sent to another project.

        If the project cannot be asked, only the runs that feedback names as its source are known.
        The others are sent again, and LangSmith rejects those that it already has.
        """
        if self.client is None:
            return
        try:
            query = RunQuery(project_id=self.client.read_project(project_name=project_name).id)
            ids = [str(run.id) for run in runs]
            found = found_by_id(self.client, query, ids, ["id"])
            self._written_runs.update(UUID(run["id"]) for run in found)
        except LangSmithError:
            self._written_runs.update(filter(None, map(_source, self._written.values())))

    def look_for_feedback(self, run_ids: Sequence[UUID]) -> None:
        """Find out which feedback an earlier call gave to these runs."""
        if self.client is None:
            return
        for start in range(0, len(run_ids), 100):
            found = self.client.list_feedback(run_ids=list(run_ids[start : start + 100]))
            self._written.update((one.id, one) for one in found)

    def given(self, run: RunBase, keys: Sequence[str]) -> list[EvaluationResult] | None:
        """The feedback for these keys from an earlier call; None unless the run has all of it."""
        found = [self._written.get(_feedback_id(run, key)) for key in keys]
        if not keys or None in found:
            return None
        return [
            EvaluationResult(key=one.key, score=one.score, value=one.value, comment=one.comment)
            for one in found
            if one is not None
        ]

    def write_feedback(self, run: RunBase | RunRef, results: Iterable[EvaluationResult]) -> None:
        """Attach feedback to a run, except what an earlier call attached."""
        if self.client is None or self.project is None:
            return
        for result, occurrence in _counted(results):
            target = result.target_run_id or run.id
            feedback_id = _feedback_id(run, result.key, occurrence)
            if feedback_id in self._written:
                continue
            self._write(
                self.client.create_feedback,
                run_id=target,
                trace_id=getattr(run, "trace_id", None) if target == run.id else None,
                session_id=self.project.id,
                start_time=run.start_time,
                feedback_id=feedback_id,
                source_run_id=result.source_run_id,
                feedback_source_type="model",
                error=(result.extra or {}).get("error"),
                **_said(result),
            )
            self._pace()

    def write_summary(self, results: Iterable[EvaluationResult]) -> None:
        """Attach feedback to the experiment as a whole."""
        if self.client is None or self.project is None:
            return
        for result, occurrence in _counted(results):
            feedback_id = stable_id(
                self.project.start_time, self.project.id, result.key, occurrence
            )
            if feedback_id not in self._written:
                self._write(
                    self.client.create_feedback,
                    project_id=self.project.id,
                    feedback_id=feedback_id,
                    source_run_id=result.source_run_id,
                    feedback_source_type="model",
                    **_said(result),
                )


def judged_ids(run: RunBase | RunRef, example: Example | None) -> dict[str, str]:
    """What a judge judges, as metadata of the judge's run.

    Args:
        run: The judged run.
        example: Its example, if it has one.
    """
    ids = {"reference_run_id": str(run.id), "target_run_id": str(run.id)}
    if example is not None:
        ids["reference_example_id"] = str(example.id)
    return ids


def _root_runs(client: Client, project: TracerSession) -> list[RunBase]:
    """The root runs of an experiment, from either API generation of the server."""
    try:
        # Private, because each public method works with one generation of the server only.
        from langsmith.evaluation._runner import _load_traces_for_experiment  # noqa: PLC0415
    except ImportError:
        return _list_runs(client, project.id, is_root=True)
    return list(_load_traces_for_experiment(project, client))


def _list_runs(client: Client, project_id: UUID, **wanted: Any) -> list[RunBase]:
    with warnings.catch_warnings():
        # Deprecated in favour of an API that current servers do not have.
        warnings.simplefilter("ignore", DeprecationWarning)
        return list(client.list_runs(project_id=project_id, **wanted))


def _source(feedback: Feedback) -> UUID | None:
    """The run that feedback names as its source."""
    source = feedback.feedback_source
    run = ((source.metadata if source is not None else None) or {}).get("__run") or {}
    return UUID(run["run_id"]) if "run_id" in run else None


def _feedback_id(run: RunBase | RunRef, key: str, occurrence: int = 0) -> UUID:
    return stable_id(run.start_time, run.id, key, occurrence)


def _counted(results: Iterable[EvaluationResult]) -> Iterator[tuple[EvaluationResult, int]]:
    """Each result, with the number of earlier results of the same key."""
    seen: dict[str, int] = {}
    for result in results:
        yield result, seen.setdefault(result.key, 0)
        seen[result.key] += 1


def _said(result: EvaluationResult) -> dict[str, Any]:
    return {
        "key": result.key,
        "score": result.score,
        "value": result.value,
        "comment": result.comment,
        "correction": result.correction,
        "source_info": result.evaluator_info,
        "feedback_config": result.feedback_config,
        "extra": result.extra,
    }


def _dataset_facts(examples: Sequence[Example]) -> dict[str, Any]:
    """What `langsmith.evaluate` records about a data set, for LangSmith's comparisons."""
    times = [one.modified_at for one in examples if one.modified_at is not None]
    splits = {
        split
        for one in examples
        for split in (one.metadata or {}).get("dataset_split") or ["base"]
        if isinstance(split, str)
    }
    return {
        "dataset_version": max(times).isoformat() if times else None,
        "dataset_splits": sorted(splits),
    }
