"""Requests to LangSmith's API that its client has no lasting method for."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from uuid import UUID

import orjson
from langsmith.utils import LangSmithError, LangSmithRateLimitError

from langchain_sutro._core.service import seconds_asked

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from langsmith import Client
    from langsmith.schemas import TracerSession

__all__ = ["ask", "check_cursor", "read_project", "send_once"]

_ATTEMPTS = 8
_LONGEST_PAUSE = 60.0


def ask(
    client: Client,
    path: str,
    *,
    body: Mapping[str, Any] | None = None,
    params: Mapping[str, Any] | None = None,
) -> Any:
    """Read something, and wait where the server has too much to do.

    Args:
        client: LangSmith's client.
        path: The path below the API's address.
        body: The JSON body of a query; None for a GET.
        params: The query string.

    Returns:
        The JSON of the answer.

    Raises:
        LangSmithError: LangSmith cannot be asked, or refuses.
    """
    options: dict[str, Any] = {} if params is None else {"params": params}
    if body is not None:
        options["data"] = orjson.dumps(body)
    with _readable(path):
        return client.request_with_retries(
            "GET" if body is None else "POST",
            path,
            request_kwargs=options,
            stop_after_attempt=_ATTEMPTS,
            handle_response=_wait_if_limited,
        ).json()


def check_cursor(cursor: str, seen: set[str]) -> None:
    """Note where the next page begins, so that no query goes on for ever.

    Args:
        cursor: What the server says of the next page.
        seen: What it said of the earlier ones.

    Raises:
        LangSmithError: It said so before.
    """
    if cursor in seen:
        raise LangSmithError("LangSmith answers a query with the same pages over and over.")
    seen.add(cursor)


def read_project(client: Client, project: str | UUID) -> TracerSession:
    """A project by its name or id.

    Raises:
        LangSmithError: LangSmith has no such project, or cannot be asked.
    """
    try:
        wanted: Mapping[str, Any] = {"project_id": str(UUID(str(project)))}
    except ValueError:
        wanted = {"project_name": project}
    with _readable("/sessions"):
        found: TracerSession = client.read_project(**wanted)
    return found


def send_once(client: Client, path: str, body: Any) -> None:
    """Write something; repeated only where the server says that it has not taken it.

    Args:
        client: LangSmith's client.
        path: The path below the API's address.
        body: What is sent as JSON.

    Raises:
        LangSmithError: LangSmith cannot be reached, or refuses.
    """
    answers: list[Any] = []
    options = {
        "data": orjson.dumps(body),
        "hooks": {"response": lambda answer, **_: answers.append(answer)},
    }
    for attempt in range(1, _ATTEMPTS):
        try:
            client.request_with_retries("POST", path, request_kwargs=options)
        except LangSmithRateLimitError:
            time.sleep(_pause(answers[-1], attempt))
        else:
            return
    client.request_with_retries("POST", path, request_kwargs=options)


def _wait_if_limited(response: Any, attempt: int) -> bool:
    """Whether to ask again: after a pause, if the server has too much to do."""
    if response.status_code not in (429, 500, 502, 503, 504):
        return False
    time.sleep(_pause(response, attempt))
    return True


def _pause(response: Any, attempt: int) -> float:
    """How many seconds to wait, as the server asks within bounds, or longer with each attempt."""
    asked = seconds_asked(response.headers.get("retry-after"))
    return min(0.5 * 2**attempt if asked is None else asked, _LONGEST_PAUSE)


@contextmanager
def _readable(path: str) -> Iterator[None]:
    """LangSmith's client raises errors of other libraries for an answer that is not JSON."""
    try:
        yield
    except ValueError as error:
        raise LangSmithError(
            f"The answer to {path} is not LangSmith's: check LANGSMITH_ENDPOINT, and that no proxy "
            "answers instead."
        ) from error
