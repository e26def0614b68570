"""`send_for_review`: the judged runs that people should look at, into an annotation queue."""

from __future__ import annotations

import hashlib
import inspect
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from langsmith.run_trees import get_cached_client

from langchain_sutro._core.exports import exported_from
from langchain_sutro._core.jobs import exclusive
from langchain_sutro._core.service import Steps, arun_steps, blocking, run_steps
from langchain_sutro.evaluation.asynchronous import asynchronous_form_of
from langchain_sutro.evaluation.candidates import candidates_of, run_ids
from langchain_sutro.evaluation.judged_runs import JudgedRuns
from langchain_sutro.evaluation.results import ExperimentResults
from langchain_sutro.evaluation.review_choice import ReviewPlan
from langchain_sutro.evaluation.review_queue import ReviewQueue
from langchain_sutro.evaluation.sent_for_review import ReviewedBecause, SentForReview

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence
    from uuid import UUID

    from langsmith import Client

    from langchain_sutro.evaluation.candidates import Candidate, Judges

__all__ = ["asend_for_review", "send_for_review"]

_STATE = Path("~/.sutro/send_for_review")
_SECONDS_TO_WAIT = 600.0


@exported_from("langchain_sutro")
def send_for_review(
    runs: ExperimentResults | JudgedRuns | Sequence[str | UUID],
    queue: str | UUID,
    *,
    judges: Judges = None,
    uncertain: float = 20,
    disagreement: float = 20,
    audit: float = 0.02,
    seed: int = 0,
    label: str | None = None,
    instructions: str | None = None,
    state: str | os.PathLike[str] | None = None,
    client: Client | None = None,
) -> SentForReview:
    """Put the runs that people should look at into an annotation queue of LangSmith.

    Chosen are the runs about which the judges are least sure, those on which they disagree, and a
    random audit. What is in the queue already is left out, so the call can be repeated, also after
    one that was killed. Calls on one machine wait for each other. LangSmith's API has no "add if
    absent": calls on different machines at the same moment make one queue, but may put a run into
    it twice, and so may LangSmith's client when it repeats a request whose answer was lost.

    Only labels of the audit may be used to correct a pass rate or to guarantee a threshold; the
    other runs were chosen by what the judges said of them. `reviewed(audit=…)` tells them apart.

    Args:
        runs: Results of an experiment, what `evaluate_runs` returned, or ids of runs, whose
            feedback is read then. A server with only the newer API of LangSmith finds runs by
            their ids if they have feedback.
        queue: The queue, by name or id. A queue of a new name is created.
        judges: The judges whose answers count: feedback keys, evaluators, or a dict of the feedback
            key of each verdict to that of its confidence. By default all judges. Those that answer
            different questions disagree about nothing: name those that answer the same one.
        uncertain: The runs with the least confidence of any judge: a number of them (an int), or a
            share of all runs (a float up to 1.0). Without a judge's confidence, the confidence of
            an experiment's own run counts. Runs without any confidence are not chosen.
        disagreement: The runs on which the verdicts of the judges are furthest apart, likewise.
        audit: The random audit, likewise. Which runs are in it depends on their ids alone, so a
            share has the same runs in each call.
        seed: Another seed chooses another audit.
        label: The feedback key that reviewers fill in, for a queue that is created. LangSmith must
            know the key.
        instructions: What reviewers read, for a queue that is created.
        state: The file that calls on this machine wait for each other with; by default one below
            `~/.sutro/send_for_review`.
        client: LangSmith's client; by default one made from the environment.

    Returns:
        What was chosen and why, and what of it was in the queue already.

    Raises:
        SutroInputError: An amount is out of range, the runs are not in LangSmith, a judge is
            unknown, or the queue is not clear.
        LangSmithError: LangSmith cannot be asked. The next call adds what is missing.
    """
    plan = ReviewPlan(uncertain, disagreement, audit, seed)
    sending = _Sending(runs, queue, judges, plan, label, instructions, state, client)
    return run_steps(sending.steps())


@exported_from("langchain_sutro")
@asynchronous_form_of(send_for_review)
async def asend_for_review(*args: Any, **kwargs: Any) -> SentForReview:
    """The asynchronous form of `send_for_review`, with the same parameters.

    LangSmith's client has no asynchronous form of what is needed here, so it is called in threads.
    """
    bound = inspect.signature(send_for_review).bind(*args, **kwargs)
    bound.apply_defaults()
    given = bound.arguments
    plan = ReviewPlan(*(given.pop(name) for name in ("uncertain", "disagreement", "audit", "seed")))
    return await arun_steps(_Sending(**given, plan=plan).steps())


@dataclass(frozen=True)
class _Sending:
    """The arguments of `send_for_review`."""

    runs: Any
    queue: str | UUID
    judges: Judges
    plan: ReviewPlan
    label: str | None
    instructions: str | None
    state: str | os.PathLike[str] | None
    client: Client | None

    @cached_property
    def langsmith(self) -> Client:
        """LangSmith's client, made only where it is used."""
        return self.client if self.client is not None else get_cached_client()

    def steps(self) -> Steps[SentForReview]:
        """Choose, and put the chosen runs into the queue while no other call does so."""
        found: list[Candidate] = yield blocking(
            candidates_of, self.runs, self.judges, self.langsmith
        )
        with ExitStack() as stack:
            held = exclusive((yield blocking(self._lock)), _SECONDS_TO_WAIT)
            yield blocking(stack.enter_context, held)
            sent: SentForReview = yield blocking(self._send, found)
        return sent

    def _send(self, candidates: list[Candidate]) -> SentForReview:
        chosen = self.plan.choose(candidates)
        known = {one.id: one for one in candidates}
        queue = ReviewQueue.find(self.langsmith, self.queue)
        present: set[UUID] = set()
        if queue is not None:
            present.update(queue.runs())
        elif chosen:
            queue = ReviewQueue.make(
                self.langsmith,
                str(self.queue),
                min(one.session_id for one in candidates),
                instructions=self.instructions,
                label=self.label,
            )
        if queue is not None:
            queue.add([known[run_id] for run_id in chosen if run_id not in present])
        return SentForReview(
            queue=str(self.queue) if queue is None else queue.name,
            queue_id=None if queue is None else queue.id,
            created=queue is not None and queue.created,
            runs=tuple(
                ReviewedBecause(run_id, why, known[run_id].least_confidence, run_id in present)
                for run_id, why in chosen.items()
            ),
            candidates=len(candidates),
            unknown=self._unknown(known),
            audit_share=self.plan.audit_share(known),
            seed=self.plan.seed,
        )

    def _unknown(self, known: dict[UUID, Candidate]) -> tuple[UUID, ...]:
        if isinstance(self.runs, ExperimentResults | JudgedRuns):
            return ()
        return tuple(one for one in run_ids(self.runs) if one not in known)

    def _lock(self) -> Path:
        if self.state is not None:
            path = Path(self.state).expanduser()
        else:
            # One lock for calls with its name and calls with its id.
            queue = ReviewQueue.find(self.langsmith, self.queue)
            name = str(self.queue) if queue is None else queue.name
            who = f"{self.langsmith.api_url}\n{name}"
            path = _STATE.expanduser() / hashlib.sha256(who.encode()).hexdigest()[:24]
        path.parent.mkdir(parents=True, exist_ok=True)
        return path
