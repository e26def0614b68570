"""Requests to LangSmith's API that its client has no lasting method for."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any
from uuid import UUID

import orjson
from langsmith.utils import LangSmithRateLimitError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from langsmith import Client
    from langsmith.schemas import TracerSession

__all__ = ["ask", "read_project", "send_once"]

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
    return client.request_with_retries(
        "GET" if body is None else "POST",
        path,
        request_kwargs=options,
        stop_after_attempt=_ATTEMPTS,
        handle_response=_wait_if_limited,
    ).json()


def read_project(client: Client, project: str | UUID) -> TracerSession:
    """A project by its name or id.

    Raises:
        LangSmithError: LangSmith has no such project, or cannot be asked.
    """
    try:
        wanted: Mapping[str, Any] = {"project_id": str(UUID(str(project)))}
    except ValueError:
        wanted = {"project_name": project}
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
    options = {"data": orjson.dumps(body)}
    for attempt in range(1, _ATTEMPTS):
        try:
            client.request_with_retries("POST", path, request_kwargs=options)
        except LangSmithRateLimitError:
            time.sleep(min(0.5 * 2**attempt, _LONGEST_PAUSE))
        else:
            return
    client.request_with_retries("POST", path, request_kwargs=options)


def _wait_if_limited(response: Any, attempt: int) -> bool:
    """Whether to ask again: after a pause, if the server has too much to do."""
    if response.status_code not in (429, 500, 502, 503, 504):
        return False
    try:
        pause = float(response.headers.get("retry-after", ""))
    except ValueError:
        pause = 0.5 * 2**attempt
    time.sleep(min(max(pause, 0), _LONGEST_PAUSE))
    return True
