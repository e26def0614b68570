"""`evaluate_runs`: the runs of a tracing project, judged as one Batch job for each judge."""

from __future__ import annotations

import hashlib
import inspect
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from langsmith.run_trees import get_cached_client

from langchain_sutro._core.exports import exported_from
from langchain_sutro._core.service import Steps, arun_steps, blocking, run_steps
from langchain_sutro.errors import SutroInputError
from langchain_sutro.evaluation.asynchronous import asynchronous_form_of
from langchain_sutro.evaluation.evaluator import SutroEvaluator
from langchain_sutro.evaluation.jobs import JobOptions
from langchain_sutro.evaluation.judged_runs import JudgedRuns
from langchain_sutro.evaluation.langsmith_api import read_project
from langchain_sutro.evaluation.ledger import Ledger
from langchain_sutro.evaluation.threads import IDLE
from langchain_sutro.evaluation.traced_runs import RunSelection
from langchain_sutro.evaluation.window import JudgeTask, choose_runs, finish_task

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Mapping, Sequence
    from uuid import UUID

    from langsmith import Client
    from langsmith.schemas import TracerSession

__all__ = ["aevaluate_runs", "evaluate_runs"]

_STATE = Path("~/.sutro/evaluate_runs")
_SECONDS_TO_WAIT = 3600.0
_KINDS: Mapping[str, tuple[Any, str]] = {
    "since": (datetime, "a datetime"),
    "until": (datetime, "a datetime"),
    "idle": (timedelta, "a timedelta"),
    "sample": (float | int, "a share (a float) or a number (an int)"),
    "limit": (int, "an int"),
    "max_cost": (float | int, "a number"),
    "version": (str, "a string"),
}


@exported_from("langchain_sutro")
def evaluate_runs(
    judges: SutroEvaluator | Sequence[SutroEvaluator],
    project: str | UUID,
    *,
    filter: str | None = None,  # noqa: A002 - LangSmith's name
    trace_filter: str | None = None,
    tree_filter: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    run_type: str | None = None,
    name: str | None = None,
    threads: bool = False,
    idle: timedelta = IDLE,
    sample: float | None = None,
    limit: int | None = None,
    max_cost: float | None = None,
    rejudge: bool = False,
    version: str | None = None,
    job_priority: Literal[0, 1] | None = None,
    progress: bool = False,
    state: str | os.PathLike[str] | None = None,
    client: Client | None = None,
) -> JudgedRuns:
    """Judge what an application traced, as one Batch job for each judge.

    Verdicts become feedback of the judged runs, linked to the judge's own runs. A run that has the
    feedback already is left out, so the call can be repeated every hour. A call that was killed is
    completed by the next one with the same project and judges: its job is found and paid once. Two
    calls on one machine wait for each other if they have a judge in common. Calls on different
    machines may judge the same runs twice if they run at the same moment.

    With `threads`, each row is a conversation: all root runs of a thread, in the order of time, as
    one run. It is the last run of the thread, except that the `messages` of its inputs and outputs
    are those of the whole conversation in OpenAI's form, each once, and the `turns` of its inputs
    are the inputs and outputs of each run. The verdict becomes feedback of the last run, which
    LangSmith shows with the thread. A thread that goes on has a new last run and is judged anew.

    Args:
        judges: One or several evaluators, with different keys. Their `fields` say where the input
            comes from; only what they name is read from LangSmith.
        project: The tracing project, by name or id.
        filter: A condition on each run, in LangSmith's filter language, such as
            `'and(eq(status, "success"), gt(latency, 5))'`.
        trace_filter: A condition on the root run of the trace.
        tree_filter: A condition on any run of the trace.
        since: Only runs that started at this time or later.
        until: Only runs that started before this time.
        run_type: Only runs of this type.
        name: Judge the runs of this name, wherever they are in their trace; by default root runs.
        threads: Judge whole threads instead of single runs. A thread is selected with one of its
            root runs; the runs of a thread have the same `session_id`, `thread_id` or
            `conversation_id` in their metadata.
        idle: How long ago the last run of a thread must have ended. Until then a thread may go on,
            and is not judged.
        sample: A share (a float below 1) or a number (an int) of the selected runs or threads.
            Which of them are in the sample depends on their ids alone, so repeated calls judge the
            same.
        limit: The maximum number of runs or threads to judge in this call.
        max_cost: In USD, for each job by the service's estimate. It is checked before the job
            starts; if the estimate is higher, nothing is judged.
        rejudge: Judge runs again that have feedback, under keys that end with the `version`.
        version: What the keys end with; with `rejudge` it defaults to today's date (UTC).
        job_priority: Priority of each job; defaults to that of its Function.
        progress: Show a progress bar for each job.
        state: The folder for what a call that is under way remembers, with the inputs of the judges
            until their verdicts are written; by default `~/.sutro/evaluate_runs`. The files in it
            can be read by this user only.
        client: LangSmith's client; by default one made from the environment.

    Raises:
        SutroInputError: Two judges have the same key, or an argument is out of range.
        SutroConfigurationError: The folder `state` cannot be used, or another call has been using
            it for an hour.
        SutroJobError: A job failed, or is estimated to cost more than `max_cost`.
        LangSmithError: LangSmith cannot be asked. What was paid for is written by the next call.
    """
    plan = _Plan(
        judges=_judges(judges),
        project=project,
        filter=filter,
        trace_filter=trace_filter,
        tree_filter=tree_filter,
        since=since,
        until=until,
        run_type=run_type,
        name=name,
        threads=threads,
        idle=idle,
        sample=sample,
        limit=limit,
        max_cost=max_cost,
        version=_version(rejudge, version),
        job_priority=job_priority,
        progress=progress,
        state=state,
        client=client,
    )
    return run_steps(_evaluate(plan))


@exported_from("langchain_sutro")
@asynchronous_form_of(evaluate_runs)
async def aevaluate_runs(*args: Any, **kwargs: Any) -> JudgedRuns:
    """The asynchronous form of `evaluate_runs`, with the same parameters.

    LangSmith's client has no asynchronous form of what is needed here, so it is called in threads.
    """
    bound = inspect.signature(evaluate_runs).bind(*args, **kwargs)
    bound.apply_defaults()
    given = bound.arguments
    judges, version = _judges(given.pop("judges")), _version(given.pop("rejudge"), given["version"])
    return await arun_steps(_evaluate(_Plan(**{**given, "judges": judges, "version": version})))


@dataclass(frozen=True, kw_only=True)
class _Plan:
    """The arguments of `evaluate_runs`, checked."""

    judges: list[SutroEvaluator]
    project: str | UUID
    filter: str | None
    trace_filter: str | None
    tree_filter: str | None
    since: datetime | None
    until: datetime | None
    run_type: str | None
    name: str | None
    threads: bool
    idle: timedelta
    sample: float | None
    limit: int | None
    max_cost: float | None
    version: str | None
    job_priority: Literal[0, 1] | None
    progress: bool
    state: str | os.PathLike[str] | None
    client: Client | None

    def __post_init__(self) -> None:
        self._check_kinds()
        keys = [key for judge in self.judges for key in judge.feedback_keys]
        if not keys or len(set(keys)) < len(keys):
            raise SutroInputError(f"Judges need different keys; these have {', '.join(keys)}.")
        if isinstance(self.sample, float) and not 0 < self.sample <= 1:
            raise SutroInputError(f"sample must be a share from 0 to 1, not {self.sample!r}.")
        for name in ("sample", "limit"):
            number = getattr(self, name)
            if isinstance(number, int) and number < 1:
                raise SutroInputError(f"{name} must be at least 1, not {number!r}.")
        for name in ("since", "until"):
            moment = getattr(self, name)
            if moment is not None and moment.tzinfo is None:
                raise SutroInputError(f"{name} needs a time zone, for example datetime.now(UTC).")
        if self.threads and self.name is not None:
            raise SutroInputError("threads consist of root runs, so they take no name.")
        if self.idle < timedelta(0):
            raise SutroInputError(f"idle must not be negative, not {self.idle}.")
        if self.max_cost is not None and not self.max_cost >= 0:
            raise SutroInputError(f"max_cost must not be negative, not {self.max_cost!r}.")

    def _check_kinds(self) -> None:
        for name, (kinds, what) in _KINDS.items():
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, kinds)):
                raise SutroInputError(f"{name} must be {what}, not {_kind(value)}.")
        if self.version is not None and not self.version.strip():
            raise SutroInputError("version must not be empty.")

    @cached_property
    def langsmith(self) -> Client:
        """LangSmith's client, made only where it is used."""
        return self.client if self.client is not None else get_cached_client()

    def selection(self, project_id: UUID) -> RunSelection:
        """Which runs are judged."""
        parts = set[str]().union(*(judge.parts for judge in self.judges))
        return RunSelection(
            project_id,
            self.filter,
            self.trace_filter,
            self.tree_filter,
            self.since,
            self.until,
            self.run_type,
            self.name,
            # A share of 1 is everything.
            None if isinstance(self.sample, float) and self.sample == 1 else self.sample,
            sorted(parts),
        )

    @property
    def options(self) -> JobOptions:
        """How the jobs are run."""
        return JobOptions(self.job_priority, None, self.progress)

    @contextmanager
    def tasks(self, project: TracerSession) -> Iterator[list[JudgeTask]]:
        """What each judge has to do, while no other call of this machine does it. Blocks."""
        folder = (_STATE if self.state is None else Path(self.state)).expanduser()
        paths = {self._file_name(project.id, judge): judge for judge in self.judges}
        with ExitStack() as stack:
            # In the same order for every call, so that no two wait for each other.
            held = {
                judge.key: stack.enter_context(Ledger.held(folder / name, _SECONDS_TO_WAIT))
                for name, judge in sorted(paths.items(), key=lambda one: one[0])
            }
            yield [
                JudgeTask(self.langsmith, project, judge, self.version, held[judge.key])
                for judge in self.judges
            ]

    def _file_name(self, project_id: UUID, judge: SutroEvaluator) -> str:
        who = "\n".join([str(project_id), self.version or "", judge.key])
        return f"{hashlib.sha256(who.encode()).hexdigest()[:24]}.sqlite"


def _evaluate(plan: _Plan) -> Steps[JudgedRuns]:
    project = yield blocking(read_project, plan.langsmith, plan.project)
    found = JudgedRuns(project.name, project_id=project.id)
    with ExitStack() as stack:
        tasks: list[JudgeTask] = yield blocking(stack.enter_context, plan.tasks(project))
        for task in tasks:
            # What an earlier call began, with the runs that it had chosen.
            yield from finish_task(task, found, plan.options, plan.max_cost, resumed=True)
        selection, idle = plan.selection(project.id), plan.idle if plan.threads else None
        yield blocking(choose_runs, tasks, selection, idle, plan.limit, found)
        for task in tasks:
            yield from finish_task(task, found, plan.options, plan.max_cost, resumed=False)
    return found


def _judges(judges: SutroEvaluator | Sequence[SutroEvaluator]) -> list[SutroEvaluator]:
    given: list[Any] = list(judges) if isinstance(judges, list | tuple) else [judges]
    for one in given:
        if not isinstance(one, SutroEvaluator):
            raise SutroInputError(f"A judge must be a SutroEvaluator, not {_kind(one)}.")
    return given


def _version(rejudge: bool, version: str | None) -> str | None:
    if version is None and rejudge:
        return datetime.now(UTC).date().isoformat()
    return version


def _kind(value: Any) -> str:
    return type(value).__name__
