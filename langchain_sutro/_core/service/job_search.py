"""Finding the job of a submission in the list of jobs, without I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_sutro._core.service.driver import Operation, Sleep
from langchain_sutro._core.service.exchange import Service, is_id
from langchain_sutro._core.service.jobs import list_jobs
from langchain_sutro._core.service.marker import Marker
from langchain_sutro.errors import SutroAPIError, SutroConnectionError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["find_job", "first_job", "look_for"]

_PAGE = 100
# No account has as many jobs; a service whose cursors have no end must not hold a caller for ever.
_MOST_PAGES = 1000


def look_for(
    service: Service, token: str, *, pages: int | None = 3
) -> Operation[dict[str, Any] | None]:
    """`find_job` for a submission that may be under way: for a while, through any trouble.

    Raises:
        SutroAPIError, SutroConnectionError: The last look failed, so the job may well be there.
    """
    policy = service.policy
    end = policy.clock() + policy.lookup_seconds
    attempt = 0
    while True:
        try:
            job = yield from find_job(service, token, pages=pages)
        except (SutroConnectionError, SutroAPIError):
            if policy.clock() >= end:
                raise
        else:
            if job is not None or policy.clock() >= end:
                return job
        yield Sleep(policy.backoff(attempt, first=0.25))
        attempt += 1


def find_job(
    service: Service, token: str, *, pages: int | None = None
) -> Operation[dict[str, Any] | None]:
    """The newest job whose description carries this token.

    Args:
        service: The deployment, and how patiently it is called.
        token: Of a marker.
        pages: How many pages of 100 jobs to look through, newest first; None for all.
    """

    def wanted(job: Mapping[str, Any]) -> bool:
        marker = Marker.find(job.get("description"))
        return marker is not None and marker.token == token

    return (yield from first_job(service, wanted, pages=pages))


def first_job(
    service: Service,
    wanted: Callable[[Mapping[str, Any]], bool],
    *,
    until: Callable[[Mapping[str, Any]], bool] = lambda _: False,
    pages: int | None = None,
) -> Operation[dict[str, Any] | None]:
    """The first job, newest first, that is wanted and has an id."""
    cursor: str | None = None
    seen: set[str] = set()
    most = _MOST_PAGES if pages is None else min(pages, _MOST_PAGES)
    while len(seen) < most:
        jobs, cursor = yield from list_jobs(service, limit=_PAGE, cursor=cursor)
        for job in jobs:
            if until(job):
                return None
            if is_id(job.get("job_id"), service.settings) and wanted(job):
                return job
        if not cursor or cursor in seen:
            return None
        seen.add(cursor)
    if pages is None:
        raise SutroAPIError(
            f"The list of jobs has more than {_MOST_PAGES:,} pages, which were not all looked "
            "through.",
            status_code=200,
        )
    return None
