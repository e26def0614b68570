"""A LangSmith in memory, so that the loop of judging and reviewing can be shown without an account.

It takes the place of the network below LangSmith's client, and has of LangSmith's API what the
notebook about production traffic uses: runs, projects, feedback and annotation queues.
"""

from __future__ import annotations

import json
import threading
import uuid
from datetime import UTC, datetime
from io import BytesIO
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from langsmith import Client
from requests import PreparedRequest, Response, Session
from requests.adapters import BaseAdapter

if TYPE_CHECKING:
    from collections.abc import Callable

_URL = "https://langsmith.invalid"
_TENANT = str(uuid.UUID(int=1))


class RecordedLangSmith(BaseAdapter):
    """What was traced, said and queued. `client` gives clients of it."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.RLock()
        self._runs: dict[str, dict[str, Any]] = {}
        self._projects: dict[str, dict[str, Any]] = {}
        self._feedback: dict[str, dict[str, Any]] = {}
        self._queues: dict[str, dict[str, Any]] = {}
        self._queued: dict[str, list[str]] = {}

    def client(self) -> Client:
        """A client that sends here."""
        session = Session()
        # The longest prefix wins: the client mounts an adapter of its own on https://.
        session.mount(_URL, self)
        return Client(api_url=_URL, api_key="lsv2_demo", session=session, auto_batch_tracing=False)

    def send(self, request: PreparedRequest, *_args: object, **_options: object) -> Response:
        """Answer a request of LangSmith's client."""
        parts = urlsplit(request.url or "")
        path = parts.path.strip("/").split("/")
        body = json.loads(request.body) if request.body else {}
        with self._lock:
            content = self._answer(request.method or "", path, body, parse_qs(parts.query))
        response = Response()
        response.status_code = 404 if content is None else 200
        response.url = request.url or ""
        response.raw = BytesIO(json.dumps(content).encode())
        return response

    def close(self) -> None:
        """There is no connection to close."""

    def _answer(self, method: str, path: list[str], body: Any, query: dict[str, list[str]]) -> Any:
        answers: dict[tuple[str, ...], Callable[[], Any]] = {
            ("GET", "info"): dict,
            ("POST", "runs"): lambda: self._take_run(body),
            ("POST", "runs", "query"): lambda: self._find_runs(body),
            ("GET", "sessions"): lambda: _page(self._find(self._projects, query), query),
            ("POST", "feedback"): lambda: self._take_feedback(body),
            ("GET", "feedback"): lambda: _page(self._find(self._feedback, query), query),
            ("GET", "annotation-queues"): lambda: _page(self._find(self._queues, query), query),
            ("POST", "annotation-queues"): lambda: self._make_queue(body),
        }
        if (method, *path) in answers:
            return answers[method, *path]()
        match path:
            case ["runs", run_id]:
                return self._take_run({"id": run_id, **body})
            case ["sessions", project_id]:
                return self._projects.get(project_id)
            case ["annotation-queues", queue_id, "runs"]:
                return _page([self._runs[one] for one in self._queued[queue_id]], query)
            case ["annotation-queues", queue_id, "runs", "by-key"]:
                self._queued[queue_id] += [one["run_id"] for one in body]
                return []
        return None

    def _take_run(self, given: dict[str, Any]) -> Any:
        run = self._runs.setdefault(given["id"], {"id": given["id"]})
        run.update({key: value for key, value in given.items() if value is not None})
        if "session_name" in run:
            run["session_id"] = self._project(run["session_name"])
        return {}

    def _project(self, name: str) -> str:
        for project in self._projects.values():
            if project["name"] == name:
                return str(project["id"])
        project_id = str(uuid.uuid4())
        self._projects[project_id] = {
            "id": project_id,
            "name": name,
            "tenant_id": _TENANT,
            "reference_dataset_id": None,
        }
        return project_id

    def _find_runs(self, wanted: dict[str, Any]) -> Any:
        start = wanted.get("start_time")
        found = [
            {**run, "feedback_stats": self._stats(run["id"])}
            for run in sorted(self._runs.values(), key=lambda run: run["dotted_order"])
            if run["session_id"] in wanted.get("session", [run["session_id"]])
            and run["id"] in wanted.get("id", [run["id"]])
            and not (wanted.get("is_root") and run.get("parent_run_id"))
            and (start is None or _time(run["start_time"]) >= _time(start))
        ]
        begin = int(wanted.get("cursor") or 0)
        end = begin + wanted["limit"]
        following = str(end) if end < len(found) else None
        return {"runs": found[begin:end], "cursors": {"next": following}}

    def _stats(self, run_id: str) -> dict[str, Any]:
        given = [one for one in self._feedback.values() if one.get("run_id") == run_id]
        stats = {}
        for key in {one["key"] for one in given}:
            scores = [one.get("score") for one in given if one["key"] == key]
            known = [score for score in scores if score is not None]
            stats[key] = {"n": len(scores), "avg": sum(known) / len(known) if known else None}
        return stats

    def _take_feedback(self, given: dict[str, Any]) -> Any:
        self._feedback[given["id"]] = given
        return given

    def _make_queue(self, given: dict[str, Any]) -> Any:
        queue = {**given, "tenant_id": _TENANT}
        self._queues[given["id"]], self._queued[given["id"]] = queue, []
        return queue

    @staticmethod
    def _find(among: dict[str, dict[str, Any]], query: dict[str, list[str]]) -> list[Any]:
        """By the fields that LangSmith's lists are asked for."""
        fields = {
            "name": "name",
            "ids": "id",
            "run": "run_id",
            "key": "key",
            "session": "session_id",
        }
        asked = {field: query[name] for name, field in fields.items() if name in query}
        return [
            one
            for one in among.values()
            if all(one.get(field) in wanted for field, wanted in asked.items())
        ]


def _page(found: list[Any], query: dict[str, list[str]]) -> list[Any]:
    start = int(query.get("offset", ["0"])[0])
    return found[start : start + int(query.get("limit", ["100"])[0])]


def _time(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)
