"""`DecisionBatch`: many requests, with one job for each Function."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from langchain_sutro._core.rows import encode_row, spool_rows
from langchain_sutro._core.service import in_thread
from langchain_sutro._core.tracing import job_usage, own_run, row_facts
from langchain_sutro.decisions.at_once import all_at_once_async
from langchain_sutro.errors import SutroDecisionError, SutroError, SutroInputError
from langchain_sutro.functions import RowOutcomes, untraced_job

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from langchain_core.callbacks import BaseRunManager
    from langchain_core.runnables import RunnableConfig

    from langchain_sutro._core.jobs import SutroJob
    from langchain_sutro._core.results import BatchResults
    from langchain_sutro._core.rows import SpooledRows
    from langchain_sutro.decisions.plan import Plan
    from langchain_sutro.functions import BatchJob, CallRuns, SutroFunction

__all__ = ["DecisionBatch"]

# The job of a row, and the row's payload or error.
_Result = tuple[str | None, Any]


@dataclass(frozen=True)
class _Group:
    """The rows of one Function.

    Attributes:
        function: The Function.
        rows: The rows, encoded.
        places: For each row, the index of its request, and of the call in the request's plan.
        spent: Tokens and cost of its job, as far as known.
    """

    function: SutroFunction
    rows: list[Any] = field(default_factory=list)
    places: list[tuple[int, int]] = field(default_factory=list)
    spent: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class DecisionBatch:
    """The requests of one `batch` call, each with its own run, and its response or error.

    Attributes:
        model: The name of the decision model.
        inputs: The requests.
        plan: Plans a request, with a callable that encodes rows.
        runs: Writes the facts of each request onto its run.
        managers: The run manager of each request.
        configs: The config of each request's children.
        return_exceptions: Whether a bad request keeps its error while the others are sent.
    """

    model: str
    inputs: Sequence[Any]
    plan: Callable[[Any, Callable[[Any], Any]], Plan]
    runs: CallRuns
    managers: Sequence[BaseRunManager]
    configs: Sequence[RunnableConfig]
    return_exceptions: bool

    def run(self) -> list[Any]:
        """Answer the requests.

        Returns:
            One response or error for each request, in input order.

        Raises:
            SutroError: A request is not valid or a job did not succeed, and the caller wants no
                partial answer.
        """
        requests, plans, groups = self._prepare()
        jobs = [self._job(group) for group, _ in groups]
        waiting: deque[SutroJob | SutroError] = deque()
        results: list[list[_Result]] = []
        try:
            for job, (_, rows) in zip(jobs, groups, strict=True):
                with rows:
                    waiting.append(self._kept(partial(job.submit, rows)))
            for job, (group, _) in zip(jobs, groups, strict=True):
                done: Any = waiting.popleft()
                if not isinstance(done, SutroError):
                    done = self._kept(partial(job.follow, done, _taken))
                results.append(_rows(group, done))
        except BaseException as error:
            # Whoever is interrupted learns of the other jobs as well.
            for one in waiting:
                if not isinstance(one, SutroError):
                    one.interrupted(error)
            raise
        return self._finish(requests, plans, [group for group, _ in groups], results)

    async def arun(self) -> list[Any]:
        """Asynchronous form of `run`; rows are encoded in a thread."""
        requests, plans, groups = await in_thread(self._prepare)

        async def one(group: _Group, rows: SpooledRows) -> list[_Result]:
            try:
                job = self._job(group)
                done: Any = await job.arun(rows, _taken)
            except SutroError as error:
                if not self.return_exceptions:
                    raise
                done = error
            return _rows(group, done)

        works = [partial(one, group, rows) for group, rows in groups]
        results = await all_at_once_async(works, max(len(works), 1))
        return self._finish(requests, plans, [group for group, _ in groups], results)

    def _job(self, group: _Group) -> BatchJob:
        priced = any(map(own_run, self.managers))
        return untraced_job(group.function, self.configs[0], priced=priced)

    def _kept(self, work: Callable[[], Any]) -> Any:
        """What a piece of work returns; its error if a request may keep it."""
        try:
            return work()
        except SutroError as error:
            if not self.return_exceptions:
                raise
            return error

    def _prepare(self) -> tuple[RowOutcomes, list[Plan], list[tuple[_Group, SpooledRows]]]:
        requests = RowOutcomes(len(self.inputs))
        keep = (SutroInputError, SutroDecisionError) if self.return_exceptions else ()
        plans = requests.prepare(lambda index: self.plan(self.inputs[index], encode_row), keep=keep)
        groups: dict[int, _Group] = {}
        for request, plan in enumerate(plans):
            for place, call in enumerate(plan.calls):
                group = groups.setdefault(id(call.function), _Group(call.function))
                group.rows.append(call.row)
                group.places.append((request, place))
        return requests, plans, [(group, spool_rows(group.rows)) for group in groups.values()]

    def _finish(
        self,
        requests: RowOutcomes,
        plans: list[Plan],
        groups: Sequence[_Group],
        results: Sequence[list[_Result]],
    ) -> list[Any]:
        found: list[list[_Result]] = [[(None, None)] * len(plan.calls) for plan in plans]
        for group, rows in zip(groups, results, strict=True):
            for (request, place), result in zip(group.places, rows, strict=True):
                found[request][place] = result
        outcomes = []
        usage = _usage(groups)
        for index, plan, calls in zip(requests.open, plans, found, strict=True):
            outcomes.append(self._outcome(plan, [result for _, result in calls]))
            if self._record(index, plan, calls, usage):
                # Once for all jobs.
                usage = {}
        requests.put(outcomes)
        return requests.outcomes

    def _outcome(self, plan: Plan, results: list[Any]) -> Any:
        try:
            return plan.response(self.model, results)
        except SutroError as error:
            return error

    def _record(
        self, index: int, plan: Plan, calls: list[_Result], usage: Mapping[str, Any]
    ) -> bool:
        jobs = [job_id for job_id, _ in calls if job_id is not None]
        facts = row_facts(", ".join(dict.fromkeys(jobs)) or None, index, None)
        facts |= plan.facts([result for _, result in calls])
        return self.runs.record(self.managers[index], {**facts, **usage})


def _taken(job_id: str, results: BatchResults) -> tuple[str, list[Any], dict[str, Any]]:
    return job_id, list(results), results.totals


def _usage(groups: Sequence[_Group]) -> dict[str, Any]:
    """Tokens and cost of all jobs, each only if it is known of all."""
    names = {name for group in groups for name in group.spent}
    each: dict[str, list[Any]] = {
        name: [group.spent.get(name) for group in groups] for name in names
    }
    known = {name: sum(found) for name, found in each.items() if None not in found}
    return job_usage(known, sum(len(group.rows) for group in groups))


def _rows(group: _Group, done: tuple[str, list[Any], dict[str, Any]] | SutroError) -> list[_Result]:
    """The results of a group; the error of its job for each row."""
    if isinstance(done, SutroError):
        return [(getattr(done, "job_id", None), done)] * len(group.rows)
    job_id, rows, spent = done
    group.spent.update(spent)
    return [(job_id, row) for row in rows]
