"""The annotation queues of the tests' LangSmith, in both forms of its API.

`/annotation-queues/{id}/runs` is the older one; `/annotation-queues/{id}/items` takes its place
from version 0.16.14 of the server on.
"""

import json
import uuid
from datetime import UTC, datetime

_MOST = 100
_SECTIONS = ("needs_my_review", "needs_others_review", "archived")


class AnnotationQueues:
    """The state; a part of the tests' LangSmith.

    Attributes:
        queues: Queues by id. `runs` holds the ids of the runs in one, in order; `done` of those
            that are reviewed.
        reviewer: If set, a person who is called with each run that is added to a queue.
    """

    def reset(self):
        self.queues, self.reviewer = {}, None
        super().reset()

    def queue(self, name):
        """The only queue of this name."""
        (found,) = [one for one in self.queues.values() if one["name"] == name]
        return found

    def review(self, run_id, key, *, user="Ada", queue=None, **said):
        """What LangSmith's page does when a person gives feedback, and submits it in a queue."""
        now = datetime.now(UTC).isoformat()
        user_id = str(uuid.uuid5(uuid.NAMESPACE_DNS, user))
        run = self.runs[str(run_id)]
        given = {
            "id": str(uuid.uuid4()), "run_id": run["id"], "trace_id": run["trace_id"],
            "session_id": run["session_id"], "key": key, "score": None, "value": None,
            "created_at": now, "modified_at": now, **said,
            "feedback_source": {
                "type": "app", "metadata": {}, "user_id": user_id, "user_name": user,
            },
        }  # fmt: skip
        self.take_feedback(given)
        if queue is not None:
            self.queue(queue)["done"].append(run["id"])
        return given

    def add_queue(self, given):
        """Make a queue, or say why not: a status and an answer."""
        name, queue_id = given.get("name"), given.get("id", str(uuid.uuid4()))
        known = {"id", "name", "description", "rubric_instructions", "rubric_items"}
        if not isinstance(name, str) or not name or not _is_id(queue_id) or given.keys() - known:
            return 422, {"detail": "not a queue"}
        with self._lock:
            if queue_id in self.queues:
                return 409, {"detail": "the id is taken"}
            now = datetime.now(UTC).isoformat()
            self.queues[queue_id] = {
                **given, "id": queue_id, "created_at": now, "updated_at": now, "runs": [],
                "done": [], "tenant_id": "11111111-1111-4111-8111-111111111111",
            }  # fmt: skip
            return 200, shown_queue(self.queues[queue_id])

    def add_to_queue(self, queue_id, keys):
        """Put runs into a queue by their keys, or say why not: a status and an answer."""
        with self._lock:
            if (refused := self._why_not(queue_id, keys)) is not None:
                return refused
            queue = self.queues[queue_id]
            for key in keys:
                if key["run_id"] in queue["runs"]:
                    self.violations.append(f"run {key['run_id']}: twice in {queue['name']}")
                queue["runs"].append(key["run_id"])
                if self.reviewer is not None:
                    self.reviewer(key["run_id"])
            return 200, [{"run_id": key["run_id"], "queue_id": queue_id} for key in keys]

    def _why_not(self, queue_id, keys):
        if queue_id not in self.queues:
            return 404, {"detail": "no such queue"}
        if self.limited:
            self.limited -= 1
            return 429, {"detail": "too many requests"}
        if not isinstance(keys, list) or not 0 < len(keys) <= _MOST:
            return 422, {"detail": f"between 1 and {_MOST} runs"}
        if not all(isinstance(key, dict) and _is_id(key.get("run_id")) for key in keys):
            return 422, {"detail": "a run needs its id"}
        unknown = [key["run_id"] for key in keys if not self._knows(key)]
        return (404, {"detail": f"unknown runs: {unknown}"}) if unknown else None

    def _knows(self, key):
        run = self.runs.get(key["run_id"])
        return (
            run is not None
            and key.get("session_id") == run.get("session_id")
            and _same_time(key.get("start_time"), run["start_time"])
        )

    def find_queues(self, wanted):
        """By lists of id and name."""
        with self._lock:
            return [
                shown_queue(one)
                for one in self.queues.values()
                if ("ids" not in wanted or one["id"] in wanted["ids"])
                and ("name" not in wanted or one["name"] in wanted["name"])
            ]

    def section(self, queue, status):
        """The runs of a queue that are in one state of review."""
        done = {"archived": True, "needs_my_review": False}.get(status)
        with self._lock:
            return [
                one for one in queue["runs"] if done is not None and (one in queue["done"]) == done
            ]


def shown_queue(queue):
    return {key: value for key, value in queue.items() if key not in ("runs", "done")}


def _make_queue(owner, _handler, body, _query):
    return owner.add_queue(json.loads(body))


def _list_queues(owner, handler, _body, query):
    return _window(owner.find_queues(handler.query), query)


def _add_runs(owner, _handler, body, _query, queue_id):
    return owner.add_to_queue(queue_id, json.loads(body))


def _list_runs(owner, _handler, _body, query, queue_id):
    if queue_id not in owner.queues:
        return 404, {"detail": "no such queue"}
    if owner.has_items:
        return 410, {"detail": "this server has items"}
    now = datetime.now(UTC).isoformat()
    page = _window(owner.queues[queue_id]["runs"], query)
    return [{**owner.shown_run(owner.runs[one]), "added_at": now} for one in page]


def _add_items(owner, _handler, body, _query, queue_id):
    items = json.loads(body).get("items")
    if not owner.has_items:
        return 404, {"detail": "Not Found"}
    if not items or any(one.get("item_type") != "RUN" for one in items):
        return 422, {"detail": "items need a type"}
    status, content = owner.add_to_queue(queue_id, items)
    return status, {"items": content} if status == 200 else content


def _list_items(owner, _handler, _body, query, queue_id):
    if not owner.has_items or queue_id not in owner.queues:
        return 404, {"detail": "Not Found"}
    if query.get("status") not in _SECTIONS or not 0 < int(query.get("page_size", 1)) <= _MOST:
        return 422, {"detail": "status or page_size"}
    found = owner.section(owner.queues[queue_id], query["status"])
    start = int(query.get("cursor") or 0)
    end = start + int(query.get("page_size", 20))
    items = [{"item_type": "RUN", "run_id": one, "queue_id": queue_id} for one in found[start:end]]
    return {"items": items, "next_cursor": str(end) if end < len(found) else None}


def _window(found, query):
    start = int(query.get("offset", 0))
    return found[start : start + int(query.get("limit", _MOST))]


def _is_id(value):
    try:
        return bool(uuid.UUID(value))
    except (TypeError, ValueError, AttributeError):
        return False


def _same_time(given, known):
    if not isinstance(given, str):
        return False
    times = [datetime.fromisoformat(one) for one in (given, known)]
    first, second = (one if one.tzinfo else one.replace(tzinfo=UTC) for one in times)
    return first == second


_ID = r"([0-9a-f-]{36})"
QUEUE_ROUTES = [
    ("POST", "/annotation-queues", _make_queue),
    ("GET", "/annotation-queues", _list_queues),
    ("POST", f"/annotation-queues/{_ID}/runs/by-key", _add_runs),
    ("GET", f"/annotation-queues/{_ID}/runs", _list_runs),
    ("POST", f"/annotation-queues/{_ID}/items", _add_items),
    ("GET", f"/annotation-queues/{_ID}/items", _list_items),
]
