"""Submissions against answers that are written beforehand."""

from datetime import UTC, datetime

from langchain_sutro._core.service.exchange import Service
from langchain_sutro._core.service.marker import Marker
from langchain_sutro._core.service.submission import JobRequest, reusable_job, submit_job
from tests.simulation.jobs import Table
from tests.support.script import DEPLOYMENT, Script, answer

TOKEN = "0123456789abcdef" * 2
NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


def reused_or_submitted(service, request, rows, *, reuse, now, **options):
    """Take an equal job up, or submit, as the client does."""
    if reuse is not None:
        job = yield from reusable_job(service, request, rows, reuse, now)
        if job is not None:
            return job
    return (yield from submit_job(service, request, rows, **options))


def submitted(*answers, rows=None, request=None, policy=None, reuse=None, **options):
    script = Script(*answers, **(policy or {}))
    table = Table(3) if rows is None else rows
    operation = reused_or_submitted(
        Service(DEPLOYMENT, script.policy),
        request or JobRequest("judge"),
        table,
        reuse=reuse,
        now=lambda: NOW,
        **{"token": TOKEN, **options},
    )
    return script.tell(operation)


def posts(told):
    return [request for request in told.requests if request.method == "POST"]


def listed(job_id="job-1", token=TOKEN, **facts):
    return {"job_id": job_id, "description": str(Marker(token)), **facts}


def page(*jobs, cursor=None):
    return answer(200, {"jobs": list(jobs), "next_cursor": cursor})


ACCEPTED = answer(200, {"results": "job-1"})
