"""One exchange with the service, without I/O: retries, and the error for each kind of answer."""

from __future__ import annotations

import math
import random
import time
from dataclasses import dataclass, field, replace
from datetime import UTC
from email.utils import parsedate_to_datetime
from enum import Enum
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import orjson

from langchain_sutro._core.redaction import shown
from langchain_sutro._core.service.driver import Operation, Request, Response, Sleep, Timeout
from langchain_sutro._core.service.json_values import parse_json
from langchain_sutro._core.service.refused_rows import refused_rows
from langchain_sutro.errors import (
    SutroAPIError,
    SutroAuthenticationError,
    SutroConfigurationError,
    SutroConflictError,
    SutroConnectionError,
    SutroInputError,
    SutroNotFoundError,
    SutroPermissionError,
    SutroRateLimitError,
    SutroServerError,
    SutroValidationError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from langchain_sutro._core.service.settings import Settings

__all__ = [
    "LONGEST_RETRY_AFTER",
    "Pacer",
    "Policy",
    "Repeat",
    "Service",
    "api_error",
    "check_id",
    "check_seconds",
    "endpoint",
    "explanation",
    "is_id",
    "json_object",
    "malformed",
    "read",
    "seconds_asked",
    "send_request",
]

# Beyond this the caller gets the error rather than being kept waiting.
LONGEST_RETRY_AFTER = 120.0
_DETAIL_ITEMS = 20
_CODE_LENGTH = 100
_RETIRED = "Direct Sutro Batch API access is no longer supported"
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524})

_BY_STATUS: dict[int, type[SutroAPIError]] = {
    400: SutroValidationError,
    401: SutroAuthenticationError,
    403: SutroPermissionError,
    404: SutroNotFoundError,
    409: SutroConflictError,
    413: SutroValidationError,
    422: SutroValidationError,
    429: SutroRateLimitError,
}


class Pacer:
    """The moment before which no further call should start, shared by calls that run at once."""

    __slots__ = ("not_before",)

    def __init__(self) -> None:
        self.not_before = 0.0


def check_seconds(name: str, seconds: float | None) -> None:
    """Check a timeout before anything is sent.

    Args:
        name: Where it was given, for the message.
        seconds: None for a default.

    Raises:
        SutroConfigurationError: It is not a positive, finite number.
    """
    if seconds is None or (0 < seconds < math.inf):
        return
    raise SutroConfigurationError(f"{name} must be a positive, finite number of seconds.")


@dataclass(frozen=True, slots=True)
class Policy:
    """How patient an operation is.

    Attributes:
        max_retries: Repetitions after the first try.
        timeout: Seconds for a call as a whole, with its repetitions and pauses; None for each
            operation's own default, which holds for each try.
        repeat_runs: Also repeat a real-time run that may already have been carried out, and billed.
        lookup_seconds: How long a submission without an answer is looked for; its job may be late.
        outage_seconds: How long an unreachable service is borne while a job runs there.
        lag_seconds: How long results may lag behind success; the official SDK asks 20 times at 5 s.
        pacer: Shared by all calls with one key, so that a 429 slows every one of them.
        clock: Monotonic seconds.
        jitter: Random number in [0, 1).
    """

    max_retries: int = 3
    timeout: float | None = None
    repeat_runs: bool = False
    lookup_seconds: float = 60.0
    outage_seconds: float = 300.0
    lag_seconds: float = 100.0
    pacer: Pacer = field(default_factory=Pacer)
    clock: Callable[[], float] = time.monotonic
    jitter: Callable[[], float] = random.random

    def __post_init__(self) -> None:
        check_seconds("timeout", self.timeout)

    def limits(self, default: float = 60.0) -> Timeout:
        """The timeout of a call.

        Args:
            default: Seconds for each try, if `timeout` is None.
        """
        if self.timeout is None:
            return Timeout(read=default)
        return Timeout(read=self.timeout, whole=True)

    def backoff(self, attempt: int, *, first: float = 0.5, most: float = 8.0) -> float:
        """Seconds to wait after the attempt of this number, from 0."""
        return float(min(most, first * 2**attempt) * (0.5 + 0.5 * self.jitter()))


@dataclass(frozen=True, slots=True)
class Service:
    """What every operation is given.

    Attributes:
        settings: The deployment and the key.
        policy: How patiently it is called.
    """

    settings: Settings
    policy: Policy


class Repeat(Enum):
    """What may be done again."""

    READ = "no side effect: after anything that may pass"
    RUN = "costs money: only if it was certainly not carried out"


def check_id(job_id: object) -> None:
    """Check a job's id before it goes anywhere.

    Raises:
        SutroInputError: It is empty, unprintable or not a string.
    """
    if not isinstance(job_id, str) or not job_id.strip() or not job_id.isprintable():
        shown = "" if isinstance(job_id, str) else f", not a value of type {type(job_id).__name__}"
        raise SutroInputError(f"A job's id must be a non-empty printable string{shown}.")


def endpoint(base: str, *path: str, **query: Any) -> str:
    """Join path parts and a query to a base, each encoded so that none can change the route.

    Raises:
        SutroInputError: A part, which callers give as a job's id, is no name.
    """
    parts = [base]
    for part in path:
        check_id(part)
        encoded = quote(part, safe="")
        # "." and ".." would be resolved away.
        parts.append(encoded.replace(".", "%2E") if encoded in (".", "..") else encoded)
    given = {name: value for name, value in query.items() if value is not None}
    return "/".join(parts) + (f"?{urlencode(given)}" if given else "")


def send_request(
    service: Service, request: Request, repeat: Repeat = Repeat.READ
) -> Operation[Response]:
    """Send a request, repeat it where that is safe, and return the answer if its status is 200.

    Raises:
        SutroAPIError: The subclass that fits the status.
        SutroConnectionError: There was no complete answer.
    """
    policy = service.policy
    end = _end(request.timeout, policy)
    attempt = 0
    while True:
        yield from _pause(policy, end)
        failure: SutroConnectionError | SutroAPIError
        try:
            response: Response = yield _until(end, request, policy)
        except SutroConnectionError as error:
            failure = error
            delay = policy.backoff(attempt)
        else:
            if response.status == 200:
                return response
            failure = api_error(response, service.settings)
            delay = policy.backoff(attempt) if failure.retry_after is None else failure.retry_after
        late = delay > LONGEST_RETRY_AFTER or policy.clock() + delay >= end
        if late or attempt >= policy.max_retries or not _may_repeat(failure, repeat, policy):
            raise failure
        if isinstance(failure, SutroRateLimitError):
            policy.pacer.not_before = max(policy.pacer.not_before, policy.clock() + delay)
        else:
            yield Sleep(delay)
        attempt += 1


def _may_repeat(
    failure: SutroConnectionError | SutroAPIError, repeat: Repeat, policy: Policy
) -> bool:
    harmless = repeat is Repeat.READ or policy.repeat_runs
    if isinstance(failure, SutroConnectionError):
        return harmless or not failure.sent
    return failure.status_code == 429 or (harmless and failure.status_code in _PASSING)


def _pause(policy: Policy, end: float) -> Operation[None]:
    """Wait as long as the service asked of this key."""
    pause = policy.pacer.not_before - policy.clock()
    if pause <= 0:
        return
    if policy.clock() + pause >= end:
        raise SutroRateLimitError(
            f"Nothing was sent: the service asked this key to wait for another {pause:.1f} s, "
            "which is longer than the timeout.",
            status_code=429,
            retry_after=pause,
        )
    yield Sleep(pause + pause * 0.1 * policy.jitter())


def _until(end: float, request: Request, policy: Policy) -> Request:
    """The request with no more time than is left."""
    if end == float("inf"):
        return request
    seconds = max(end - policy.clock(), 0.001)
    return replace(request, timeout=replace(request.timeout, read=seconds))


def _end(timeout: Timeout, policy: Policy) -> float:
    """When a call has to be over, on the policy's clock."""
    if not timeout.whole or timeout.read is None:
        return float("inf")
    return policy.clock() + timeout.read


def json_object(response: Response, *, deepest: int = 200) -> dict[str, Any]:
    """The answer's JSON object.

    Args:
        response: The answer.
        deepest: How many levels of lists and objects it may have.

    Raises:
        SutroAPIError: The body is something else.
    """
    try:
        value = parse_json(response.content, deepest=deepest)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise SutroAPIError(
            f"The service answered {response.status} with {_kind(response)}.",
            status_code=response.status,
        )
    return value


def malformed(expected: str) -> SutroAPIError:
    """An error for an answer that was fine but for lacking what it must have."""
    return SutroAPIError(f"The service answered 200, but without {expected}.", status_code=200)


def _kind(response: Response) -> str:
    start = response.content[:64].lstrip().lower()
    if not start:
        return "an empty body"
    if start.startswith((b"<!doctype", b"<html", b"<")):
        return "an HTML page, probably of something between here and the service"
    return "a body that is not the JSON object expected"


def api_error(response: Response, settings: Settings) -> SutroAPIError:
    """The error for an answer that is not 200.

    Raises:
        SutroConfigurationError: The service says that this address is retired.
    """
    status = response.status
    try:
        body = orjson.loads(response.content)
    except ValueError:
        body = None
    fields = body if isinstance(body, dict) else {"detail": body}
    key = settings.api_key.get_secret_value()
    detail = _detail(fields, key)
    code, request_id = (_short(fields.get(name), key) for name in ("code", "request_id"))
    if status == 410 and detail and detail.startswith(_RETIRED):
        raise SutroConfigurationError(f"{detail} Use the URL of your own deployment.")
    kind = _BY_STATUS.get(status) or (SutroServerError if status >= 500 else SutroAPIError)
    said = detail or (_kind(response) if body is None else "no explanation")
    named = f" {code}" if code else ""
    error = kind(
        f"HTTP {status}{named}: {said}{_advice(status, response)}",
        status_code=status,
        code=code,
        detail=detail,
        request_id=request_id,
        retry_after=_retry_after(response, fields),
    )
    if isinstance(error, SutroValidationError):
        error.rows = refused_rows(fields.get("detail"), key)
    return error


def _advice(status: int, response: Response) -> str:
    if 300 <= status < 400:
        return " (redirects are not followed, since the key would go along: check the URL)"
    if status in (401, 403):
        return " (check the key, and that it belongs to this deployment)"
    if status == 524 and response.content[:1] == b"<":
        return " (the edge stopped waiting; what became of the request is unknown)"
    return ""


def _short(value: object, key: str) -> str | None:
    return shown(value, key=key, most=_CODE_LENGTH) if isinstance(value, str) else None


def _detail(fields: Mapping[str, Any], key: str) -> str | None:
    """The explanation, with what some answers add to it under `details`."""
    value = fields.get("detail") or fields.get("error") or fields.get("message")
    said = [_said(part) for part in (value, fields.get("details")) if part is not None]
    return shown(": ".join(said), key=key) if said else None


def explanation(value: Any, settings: Settings) -> str | None:
    """What the service says in an answer of another kind, such as why a job failed."""
    said = _said(value) if value else ""
    return shown(said, key=settings.api_key.get_secret_value()) or None


def is_id(value: object, settings: Settings) -> bool:
    """Whether a value can be an id of the service's, which goes into messages and traces."""
    return isinstance(value, str) and bool(value.strip()) and explanation(value, settings) == value


def _said(value: Any) -> str:
    if isinstance(value, list):
        # No more of them than can be shown.
        return "; ".join(_detail_item(item) for item in value[:_DETAIL_ITEMS])
    if isinstance(value, dict):
        message = value.get("message")
        return message if isinstance(message, str) and message else _short_json(value)
    return str(value)


def _short_json(value: Any) -> str:
    try:
        return orjson.dumps(value).decode()
    except (TypeError, ValueError):
        # orjson reads deeper values than it writes.
        return "an object that is nested too deeply"


def _detail_item(item: Any) -> str:
    if isinstance(item, dict) and "msg" in item:
        place = item.get("loc")
        where = ".".join(_said(part) for part in place[:9]) if isinstance(place, list) else ""
        said = item["msg"] if isinstance(item["msg"], str) else _short_json(item["msg"])
        return f"{where}: {said}" if where else said
    return item if isinstance(item, str) else _short_json(item)


def _retry_after(response: Response, fields: Mapping[str, Any]) -> float | None:
    """Seconds to wait, from the header (number or date) or from the body."""
    return seconds_asked(response.headers.get("retry-after", fields.get("retry_after")))


def seconds_asked(value: Any) -> float | None:
    """The seconds that a `Retry-After` asks to wait, which is a number or a date.

    Args:
        value: The header's value; None if it is not there.

    Returns:
        None if it asks for nothing, or cannot be read.
    """
    if value is None or isinstance(value, bool):
        return None
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        try:
            date = parsedate_to_datetime(str(value))
            # Without a zone it is GMT (RFC 9110, section 5.6.7).
            aware = date if date.tzinfo is not None else date.replace(tzinfo=UTC)
            seconds = aware.timestamp() - time.time()
        except (TypeError, ValueError, OverflowError):
            return None
    return max(0.0, seconds) if seconds < float("inf") else None


def read(service: Service, url: str) -> Operation[dict[str, Any]]:
    """GET a JSON object, repeating what may pass."""
    request = Request("GET", url, timeout=service.policy.limits())
    response = yield from send_request(service, request)
    return json_object(response)
