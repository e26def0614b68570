"""Keeps what LangSmith's client would send, so that a trace can be shown without an account."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from io import BytesIO
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from langsmith import Client, tracing_context
from requests import PreparedRequest, Response, Session
from requests.adapters import BaseAdapter

if TYPE_CHECKING:
    from collections.abc import Iterator

_URL = "https://langsmith.invalid"


class RecordedRuns(BaseAdapter):
    """The runs that were traced; takes the place of the network below LangSmith's client."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self._runs: dict[str, dict[str, Any]] = {}

    def send(self, request: PreparedRequest, *_args: object, **_options: object) -> Response:
        """Take a run when it starts (POST /runs) and when it ends (PATCH /runs/{id})."""
        path = urlsplit(request.url or "").path
        if request.body and path.startswith("/runs"):
            run = json.loads(request.body)
            known = {key: value for key, value in run.items() if value is not None}
            with self._lock:
                run_id = run.get("id") or path.rpartition("/")[2]
                self._runs.setdefault(run_id, {"id": run_id}).update(known)
        response = Response()
        response.status_code = 200
        response.raw = BytesIO(b"{}")
        return response

    def close(self) -> None:
        """There is no connection to close."""

    def ordered(self) -> list[dict[str, Any]]:
        """All runs, parents before children."""
        with self._lock:
            return sorted(self._runs.values(), key=lambda run: run["dotted_order"])

    def children(self, run: dict[str, Any]) -> list[dict[str, Any]]:
        """The runs directly below a run."""
        return [other for other in self.ordered() if other.get("parent_run_id") == run["id"]]


@contextmanager
def recorded_runs(project: str) -> Iterator[RecordedRuns]:
    """Trace what is run inside, and keep it in memory."""
    runs = RecordedRuns()
    with Session() as session:
        # The longest prefix wins: the client mounts an adapter of its own on https://.
        session.mount(_URL, runs)
        client = Client(
            api_url=_URL,
            api_key="lsv2_demo",
            session=session,
            auto_batch_tracing=False,
        )
        with tracing_context(enabled=True, client=client, project_name=project):
            yield runs
