"""Submitting a Batch job exactly once, without I/O."""

from __future__ import annotations

import hashlib
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

import orjson

from langchain_sutro._core.service.driver import Body, Operation, Request, Response, Timeout
from langchain_sutro._core.service.exchange import (
    Repeat,
    Service,
    endpoint,
    is_id,
    json_object,
    malformed,
    send_request,
)
from langchain_sutro._core.service.job_search import first_job, look_for
from langchain_sutro._core.service.jobs import JobStatus
from langchain_sutro._core.service.marker import Marker
from langchain_sutro._core.service.runs import check_name, get_quotas
from langchain_sutro.errors import (
    SubmissionUnknownError,
    SutroAPIError,
    SutroConnectionError,
    SutroError,
    SutroInputError,
    SutroServerError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from langchain_sutro._core.service.settings import Settings

__all__ = [
    "JobRequest",
    "Rows",
    "Submitted",
    "check_quota",
    "made_no_job",
    "reusable_job",
    "submit_job",
]

# Reading a large submission takes the service a while, and whoever stops waiting for the answer
# does not know whether there is a job.
_SUBMIT_SECONDS, _SHORTEST_SUBMIT, _WRITE_SECONDS = 300.0, 10.0, 120.0
_NAME_LENGTH = 45
_DESCRIPTION_LENGTH = 512
# The smallest quota of rows that is documented.
_SMALL = 1000


class Rows(Protocol):
    """Rows that are encoded and counted already."""

    @property
    def count(self) -> int: ...
    @property
    def size(self) -> int: ...
    @property
    def sha256(self) -> str: ...
    def pieces(self, prefix: bytes = b"", suffix: bytes = b"") -> Iterator[bytes]: ...


@dataclass(frozen=True, slots=True)
class JobRequest:
    """What a job is to do, but for its rows.

    Attributes:
        function: The published Function, without namespace and revision.
        job_priority: 0 for prototyping, 1 for production; there are no others.
        dry_run: Estimate the cost instead.
        job_name: At most 45 characters, as in the official SDK.
        description: At most 512 characters, the marker included.
        id_column: Column that a table behind a URL carries into its results.
        scope: Whose job it is; a job of another scope is never taken for it.
        version: Of the object behind the URL of its table, where that is known: the URL stays the
            same when the object changes.
    """

    function: str
    job_priority: int = 0
    dry_run: bool = False
    job_name: str | None = None
    description: str | None = None
    id_column: str | None = None
    scope: str = ""
    version: str = ""

    def check(self) -> None:
        """Refuse what the service would.

        Raises:
            SutroInputError: It names the option.
        """
        check_name(self.function)
        if self.job_priority not in (0, 1):
            raise SutroInputError(f"job_priority is 0 or 1, not {self.job_priority!r}.")
        if self.job_name is not None and len(self.job_name) > _NAME_LENGTH:
            raise SutroInputError(f"job_name is longer than {_NAME_LENGTH} characters.")
        longest = _DESCRIPTION_LENGTH - len(str(Marker.new("0" * 32))) - 1
        if self.description is not None and len(self.description) > longest:
            raise SutroInputError(f"description is longer than {longest} characters.")

    def fingerprint(self, rows: Rows | str) -> str:
        """Equal for submissions that would give the same results to the same user.

        Args:
            rows: The rows, or the download URL of a table. The signature of a presigned URL
                differs each time, its object does not.
        """
        sha256 = (
            hashlib.sha256(rows.partition("?")[0].encode()).hexdigest()
            if isinstance(rows, str)
            else rows.sha256
        )
        same = (self.function, self.job_priority, self.dry_run, self.id_column, sha256)
        scoped = (*same, self.scope) if self.scope or self.version else same
        if self.version:
            scoped = (*scoped, self.version)
        return hashlib.sha256(orjson.dumps(scoped)).hexdigest()[:32]

    def prefix(self, marker: Marker) -> bytes:
        """The request's JSON up to its inputs; every optional field is sent, as the SDK does."""
        own = self.description or ""
        description = marker.at_the_end_of(own)
        if len(description) > _DESCRIPTION_LENGTH:
            # There is room for a marker without a run.
            description = replace(marker, run="").at_the_end_of(own)
        fields: dict[str, Any] = {
            "model": self.function,
            "job_priority": self.job_priority,
            "json_schema": None,
            "system_prompt": None,
            "cost_estimate": self.dry_run,
            "sampling_params": None,
            "random_seed_per_input": False,
            "truncate_rows": False,
            "name": self.job_name,
            "description": description,
        }
        if self.id_column is not None:
            fields["id_column_name"] = self.id_column
        return orjson.dumps(fields)[:-1] + b',"inputs":'


@dataclass(frozen=True, slots=True)
class _RowsBody:
    prefix: bytes
    rows: Rows

    @property
    def size(self) -> int:
        return len(self.prefix) + self.rows.size + 1

    def pieces(self) -> Iterator[bytes]:
        return self.rows.pieces(self.prefix, b"}")


@dataclass(frozen=True, slots=True)
class Submitted:
    """A job that stands for a submission.

    Attributes:
        job_id: The job.
        token: In its description.
        reused: Whether an earlier job with the same content is taken instead of a new one.
    """

    job_id: str
    token: str
    reused: bool = False


def submit_job(
    service: Service,
    request: JobRequest,
    rows: Rows | str,
    *,
    token: str | None = None,
    run: str | None = None,
    on_post: Callable[[], None] = lambda: None,
) -> Operation[Submitted]:
    """Submit a job.

    Args:
        service: The deployment, and how patiently it is called.
        request: What the job is to do.
        rows: Its rows, or the download URL of a table.
        token: For the job's description, where it must be known beforehand.
        run: For the job's description, the hexadecimal id of its LangSmith run.
        on_post: Called before the request is sent; until then no job can have been made.

    Raises:
        SutroInputError: An option is wrong, or there are more rows than the priority's quota.
        SubmissionUnknownError: No usable answer, and no such job found in time.
        SutroAPIError: The service refused the job.
        SutroConnectionError: The request never left.
    """
    request.check()
    marker = Marker.new(request.fingerprint(rows), token, run)
    prefix = request.prefix(marker)
    content: Body | bytes
    if isinstance(rows, str):
        content = prefix + orjson.dumps(rows) + b"}"
    else:
        content = _RowsBody(prefix, rows)
        if rows.count > _SMALL:
            yield from check_quota(service, request.job_priority, rows.count)
    on_post()
    job_id = yield from _post_once(service, content, marker)
    return Submitted(job_id, marker.token)


def made_no_job(error: BaseException) -> bool:
    """Whether a submission that ended with this error certainly made no job."""
    return isinstance(error, SutroError) and not isinstance(error, SubmissionUnknownError)


def reusable_job(
    service: Service,
    request: JobRequest,
    rows: Rows | str,
    age: timedelta,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Operation[Submitted | None]:
    """The newest job that stands for a submission, unless it failed or was cancelled.

    Args:
        service: The deployment, and how patiently it is called.
        request: What the job is to do.
        rows: Its rows, or the download URL of a table.
        age: How old the job may be.
        now: The time, with a zone.
    """
    request.check()
    fingerprint = request.fingerprint(rows)
    count = None if isinstance(rows, str) else rows.count
    try:
        since = now() - age
    except OverflowError:
        since = datetime.min.replace(tzinfo=UTC)

    def differs(given: object) -> bool:
        # A description may have been copied to another job.
        return isinstance(given, int) and count is not None and given != count

    def wanted(job: Mapping[str, Any]) -> bool:
        marker = Marker.find(job.get("description"))
        status = JobStatus.parse(job.get("status"))
        return (
            marker is not None
            and marker.fingerprint == fingerprint
            and not differs(job.get("num_rows"))
            and status not in (JobStatus.FAILED, JobStatus.CANCELLED, JobStatus.CANCELLING)
            and (created := _time(job.get("datetime_created"))) is not None
            and created >= since
        )

    def older(job: Mapping[str, Any]) -> bool:
        created = _time(job.get("datetime_created"))
        return created is not None and created + timedelta(hours=1) < since

    job = yield from first_job(service, wanted, until=older)
    if job is None:
        return None
    found = Marker.find(job.get("description"))
    return Submitted(job["job_id"], found.token if found else "", reused=True)


def _time(value: object) -> datetime | None:
    try:
        time = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return time.replace(tzinfo=UTC) if time is not None and time.tzinfo is None else time


def check_quota(service: Service, priority: int, rows: int) -> Operation[None]:
    """Refuse a table that the priority cannot take; quotas that cannot be read refuse nothing.

    Raises:
        SutroInputError: There are more rows than the priority's quota.
    """
    try:
        quotas = yield from get_quotas(service)
    except (SutroAPIError, SutroConnectionError):
        return
    limits = {
        quota["priority"]: quota["row_quota"]
        for quota in quotas
        if isinstance(quota.get("priority"), int) and isinstance(quota.get("row_quota"), int)
    }
    if rows <= limits.get(priority, rows):
        return
    fitting = sorted(other for other, limit in limits.items() if limit >= rows)
    advice = (
        f"job_priority={fitting[0]} takes up to {limits[fitting[0]]:,}"
        if fitting
        else "no priority takes as many: split it with submit_in_parts"
    )
    raise SutroInputError(
        f"The table has {rows:,} rows, and job_priority={priority} takes {limits[priority]:,} "
        f"at most; {advice}."
    )


def _post_once(service: Service, content: Body | bytes, marker: Marker) -> Operation[str]:
    """POST the job; if the outcome is unknown, look for its marker.

    A second POST follows only where the first certainly made no job: it never left, or was refused
    with 429.
    """
    url = endpoint(service.settings.batch_url, "batch-inference")
    seconds = max(service.policy.timeout or _SUBMIT_SECONDS, _SHORTEST_SUBMIT)
    timeout = Timeout(read=seconds, write=_WRITE_SECONDS)
    request = Request("POST", url, content, timeout=timeout)
    cause: SutroError
    try:
        with _noting(marker, but=SutroError):
            response = yield from send_request(
                replace(service, policy=replace(service.policy, repeat_runs=False)),
                request,
                Repeat.RUN,
            )
        job_id = _submitted_id(response, service.settings)
        if job_id is not None:
            return job_id
        cause = malformed("the job's id")
    except (SutroServerError, SutroConnectionError) as error:
        if isinstance(error, SutroConnectionError) and not error.sent:
            raise
        cause = error
    except SutroAPIError as error:
        if error.status_code not in (408, 425) and error.status_code >= 300:
            raise
        cause = error
    job = None
    with _noting(marker), suppress(SutroConnectionError, SutroAPIError):
        job = yield from look_for(service, marker.token)
    if job is not None:
        return str(job["job_id"])
    raise SubmissionUnknownError(
        f"The submission got no usable answer ({cause}), and no job with its token "
        f"{marker.token} was found. It may still appear: check with "
        f"SutroJob.find({marker.token!r}) before submitting again, or you may pay twice.",
        token=marker.token,
    ) from cause


@contextmanager
def _noting(marker: Marker, *, but: type[Exception] | tuple[()] = ()) -> Iterator[None]:
    """Interrupts say where to look for the job: Ctrl-C, a cancelled task, a signal handler."""
    try:
        yield
    except but:
        raise
    except BaseException as error:
        error.add_note(_may_exist(marker))
        raise


def _may_exist(marker: Marker) -> str:
    return f"A job may have been submitted: check with SutroJob.find({marker.token!r})."


def _submitted_id(response: Response, settings: Settings) -> str | None:
    try:
        answer = json_object(response)
    except SutroAPIError:
        return None
    metadata = answer.get("metadata")
    nested = metadata.get("job_id") if isinstance(metadata, dict) else None
    for value in (answer.get("results"), answer.get("job_id"), nested):
        if is_id(value, settings):
            return str(value)
    return None
