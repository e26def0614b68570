"""A stand-in for LangSmith on loopback that checks what the real client sends.

It takes runs (multipart with zstd, batches, single), sessions, data sets, examples, feedback and
queries, as far as tracing and evaluation use them; `LangSmithStore` holds and judges them.
"""

import json
import re
import sys
import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest
import zstandard

from tests.support.langsmith_queues import QUEUE_ROUTES, AnnotationQueues
from tests.support.langsmith_store import LangSmithStore, page


class LangSmithRecorder(AnnotationQueues, LangSmithStore):
    """The server; a context manager.

    Attributes:
        requests: Method and path of what arrived.
        unknown: Those of them that it has no answer for.
        delay: Seconds that each answer is held back.
        answers: An event without which nothing is answered.
        status: If set, the answer to every request that sends runs or feedback.
        limited: How many of the next queries are answered with 429.
        limited_sends: How many of the next requests that send runs or feedback are.
        limited_adds: How many of the next requests that put runs into a queue are.
        retry_after: The header of such answers; None for none.
        page: If set, the bytes that a proxy answers every request with.
        selects: The fields that queries asked for.
        has_items: Whether it is a server whose annotation queues have items.
        on_request: Called before each request is carried out, if set.
        open_requests: How many requests are being carried out.
    """

    def __init__(self, *, zstd=True, smithdb=False, both=False, has_items=False):
        self._zstd = zstd
        self.has_items = has_items
        # Which generations of the query for runs are answered.
        self._smithdb = smithdb or both
        self._clickhouse = not smithdb or both
        self.on_request = None
        self.open_requests = 0
        self._server = None
        self.delay = 0.0
        self.answers = threading.Event()
        self.answers.set()
        self.status = None
        self.limited = 0
        self.limited_sends = 0
        self.limited_adds = 0
        self.retry_after = "0"
        self.page = None
        self.selects = []
        super().__init__()

    def reset(self):
        with self._lock:
            super().reset()
            self.requests, self.unknown = [], []

    def __enter__(self):
        recorder = self

        class Handler(_Handler):
            owner = recorder

        self._server = _Server(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self):
        return f"http://127.0.0.1:{self._server.server_port}"

    def client(self, **options):
        """A real LangSmith client that sends here."""
        from langsmith import Client

        return Client(api_url=self.url, api_key="lsv2_test", **options)

    def is_limited(self, kind="limited"):
        """Whether this request is one of those that are answered with 429."""
        with self._lock:
            left = getattr(self, kind)
            setattr(self, kind, max(0, left - 1))
        return left > 0

    def wait(self):
        """Until the clients of this process have sent all they have."""
        from langchain_core.tracers.langchain import wait_for_all_tracers
        from langsmith import run_trees

        wait_for_all_tracers()
        if run_trees._CLIENT is not None:
            run_trees._CLIENT.flush()

    def until(self, condition, seconds=10):
        """Until a condition holds: a client's flush may end before its last request does."""
        deadline = time.monotonic() + seconds
        while not condition() and time.monotonic() < deadline:
            time.sleep(0.02)


class _Server(ThreadingHTTPServer):
    def handle_error(self, request, client_address):
        # A client that was killed is no fault of the server.
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    owner: LangSmithRecorder

    def log_message(self, *_):
        pass

    def _handle(self):
        body = self._body()
        owner = self.owner
        with owner._lock:
            owner.open_requests += 1
        try:
            self._carry_out(body)
        finally:
            with owner._lock:
                owner.open_requests -= 1

    def _carry_out(self, body):
        parts = urlsplit(self.path)
        path = re.sub(r"^/(?:api/)?v\d(?:/platform)?(?=/)", "", parts.path)
        if parts.path.startswith("/api/v2/"):
            path = "/v2" + path
        self.query = parse_qs(parts.query)
        query = {key: values[-1] for key, values in self.query.items()}
        owner = self.owner
        with owner._lock:
            owner.requests.append((self.command, parts.path))
        if owner.on_request is not None:
            owner.on_request()
        time.sleep(owner.delay)
        owner.answers.wait(60)
        if owner.page is not None:
            self._answer(200, owner.page)
            return
        sends = self.command in ("POST", "PATCH") and path.startswith(("/runs", "/feedback"))
        if sends and owner.status is not None:
            self._answer(owner.status, {"detail": "as told"})
            return
        if sends and not path.endswith("/query") and owner.is_limited("limited_sends"):
            self._answer(429, {"detail": "too many requests"})
            return
        adds = self.command == "POST" and re.fullmatch(_ADDS, path)
        if adds and owner.is_limited("limited_adds"):
            self._answer(429, {"detail": "too many requests"})
            return
        for method, pattern, route in _ROUTES:
            found = re.fullmatch(pattern, path)
            if method == self.command and found:
                answer = route(owner, self, body, query, *found.groups())
                status, content = answer if isinstance(answer, tuple) else (200, answer)
                self._answer(status, content)
                return
        with owner._lock:
            owner.unknown.append((self.command, path))
        self._answer(404, {"detail": f"no {self.command} {path}"})

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = _handle

    def _body(self):
        if self.headers.get("transfer-encoding") == "chunked":
            pieces = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                pieces.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            raw = b"".join(pieces)
        else:
            raw = self.rfile.read(int(self.headers.get("content-length") or 0))
        if self.headers.get("content-encoding") == "zstd":
            raw = zstandard.ZstdDecompressor().decompressobj().decompress(raw)
        return raw

    def parts(self, body):
        """The parts of a multipart body: name and content."""
        boundary = re.search(r'boundary="?([^";]+)', self.headers["content-type"])[1].encode()
        # A parser of e-mails is a hundred times slower.
        for part in (b"\r\n" + body).split(b"\r\n--" + boundary)[1:-1]:
            head, _, content = part.partition(b"\r\n\r\n")
            yield re.search(rb'[; ]name="([^"]*)"', head)[1].decode(), content

    def _answer(self, status, content):
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        if status == 429 and self.owner.retry_after is not None:
            self.send_header("retry-after", self.owner.retry_after)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def _info(owner, *_):
    return {
        "version": "0.16.14" if owner.has_items else "0.13.0",
        "batch_ingest_config": {
            "use_multipart_endpoint": True,
            "scale_up_qsize_trigger": 1000,
            "scale_up_nthreads_limit": 16,
            "scale_down_nempty_trigger": 4,
            "size_limit": 100,
            "size_limit_bytes": 20_971_520,
        },
        "instance_flags": {
            "zstd_compression_enabled": owner._zstd,
            "dataset_examples_multipart_enabled": True,
            "ch_query_enabled": owner._clickhouse,
            "sdb_query_enabled": owner._smithdb,
        },
    }


def _multipart(owner, handler, body, _query):
    runs = {}
    for name, content in handler.parts(body):
        kind, _, rest = name.partition(".")
        if kind in ("post", "patch"):
            run_id, _, part = rest.partition(".")
            entry = runs.setdefault((kind, run_id), {})
            entry.update({part: json.loads(content)} if part else json.loads(content))
        elif kind == "feedback":
            owner.take_feedback(json.loads(content))
    for (kind, _), run in runs.items():
        owner.take_run(run, update=kind == "patch")
    return 202, {}


def _batch(owner, _handler, body, _query):
    content = json.loads(body)
    for run in content.get("post") or []:
        owner.take_run(run, update=False)
    for run in content.get("patch") or []:
        owner.take_run(run, update=True)
    return 202, {}


def _one_run(owner, _handler, body, _query):
    owner.take_run(json.loads(body), update=False)
    return 202, {}


def _patch_run(owner, _handler, body, _query, run_id):
    owner.take_run({"id": run_id, **json.loads(body)}, update=True)
    return 202, {}


def _get_run(owner, _handler, _body, _query, run_id):
    run = owner.runs.get(run_id)
    return owner.shown_run(run) if run else (404, {"detail": "no such run"})


def _query_runs(owner, _handler, body, _query):
    if not owner._clickhouse:
        return 501, {"detail": "this deployment answers /api/v2/runs/query"}
    wanted = json.loads(body)
    if owner.is_limited():
        return 429, {"detail": "too many requests"}
    found, following = owner.find_runs(wanted)
    runs = [owner.shown_run(run) for run in found]
    if select := wanted.get("select"):
        owner.selects.append(select)
        runs = [{key: run[key] for key in select if key in run} for run in runs]
    return {"runs": runs, "cursors": {"next": following}}


def _query_runs_v2(owner, _handler, body, _query):
    if not owner._smithdb:
        return 501, {"detail": "this deployment answers /runs/query"}
    wanted = json.loads(body)
    if owner.is_limited():
        return 429, {"detail": "too many requests"}
    owner.selects.append([name.lower() for name in wanted.get("selects") or ()])
    wanted.setdefault("min_start_time", (datetime.now(UTC) - timedelta(days=1)).isoformat())
    found, following = owner.find_runs(wanted)
    names = {"id", *(name.lower() for name in wanted.get("selects") or ())}
    items = [owner.shown_run_v2(run) for run in found]
    return {
        "items": [{key: one[key] for key in names & one.keys()} for one in items],
        "next_cursor": following,
    }


def _make_session(owner, _handler, body, _query):
    given = json.loads(body)
    taken = any(session["name"] == given["name"] for session in owner.sessions.values())
    if taken and "upsert=true" not in _handler.path:
        return 409, {"detail": "name taken"}
    return owner._session(given.pop("name"), **given)


def _list_sessions(owner, handler, _body, query):
    return page(owner.find_sessions(handler.query), query)


def _get_session(owner, _handler, _body, _query, session_id):
    return owner.sessions.get(session_id) or (404, {"detail": "no such session"})


def _patch_session(owner, _handler, body, _query, session_id):
    owner.sessions[session_id].update(
        {key: value for key, value in json.loads(body).items() if value is not None}
    )
    return owner.sessions[session_id]


def _make_dataset(owner, _handler, body, _query):
    return owner.add_dataset(json.loads(body))


def _list_datasets(owner, _handler, _body, query):
    wanted = query.get("name")
    found = [d for d in owner.datasets.values() if wanted is None or d["name"] == wanted]
    return [owner.shown_dataset(one) for one in page(found, query)]


def _get_dataset(owner, _handler, _body, _query, dataset_id):
    dataset = owner.datasets.get(dataset_id)
    return owner.shown_dataset(dataset) if dataset else (404, {"detail": "no such data set"})


def _multipart_examples(owner, handler, body, _query, dataset_id):
    given = {}
    for name, content in handler.parts(body):
        example_id, _, part = name.partition(".")
        entry = given.setdefault(example_id, {"id": example_id})
        entry.update({part: json.loads(content)} if part else json.loads(content))
    made = [owner.add_example(dataset_id, one) for one in given.values()]
    now = datetime.now(UTC).isoformat()
    return 201, {"example_ids": [one["id"] for one in made], "count": len(made), "as_of": now}


def _change_examples(owner, handler, body, _query, dataset_id):
    changed = {}
    for name, content in handler.parts(body):
        example_id, _, part = name.partition(".")
        entry = changed.setdefault(example_id, {})
        entry.update({part: json.loads(content)} if part else json.loads(content))
    for example_id, changes in changed.items():
        example = owner.examples.get(example_id)
        if example is None or example["dataset_id"] != dataset_id:
            return 404, {"detail": "no such example"}
        example.update({key: value for key, value in changes.items() if value is not None})
    return {"example_ids": list(changed), "count": len(changed)}


def _bulk_examples(owner, _handler, body, _query):
    return [owner.add_example(one["dataset_id"], one) for one in json.loads(body)]


def _one_example(owner, _handler, body, _query):
    given = json.loads(body)
    return owner.add_example(given["dataset_id"], given)


def _list_examples(owner, handler, _body, query):
    return page(owner.find_examples(handler.query), query)


def _get_example(owner, _handler, _body, _query, example_id):
    return owner.examples.get(example_id) or (404, {"detail": "no such example"})


def _give_feedback(owner, _handler, body, _query):
    given = json.loads(body)
    owner.take_feedback(given)
    return given


def _list_feedback(owner, handler, _body, query):
    return page(owner.find_feedback(handler.query), query)


def _change_feedback(owner, _handler, body, _query, feedback_id):
    return owner.change_feedback(feedback_id, json.loads(body)) or (404, {"detail": "no feedback"})


_ID = r"([0-9a-f-]{36})"
_ADDS = f"/annotation-queues/{_ID}/(items|runs/by-key)"
_ROUTES = [
    ("GET", "/info", _info),
    ("POST", "/runs/multipart", _multipart),
    ("POST", "/runs/batch", _batch),
    ("POST", "/runs/query", _query_runs),
    ("POST", "/v2/runs/query", _query_runs_v2),
    ("POST", "/runs", _one_run),
    ("PATCH", f"/runs/{_ID}", _patch_run),
    ("GET", f"/runs/{_ID}", _get_run),
    ("POST", "/sessions", _make_session),
    ("GET", "/sessions", _list_sessions),
    ("GET", f"/sessions/{_ID}", _get_session),
    ("PATCH", f"/sessions/{_ID}", _patch_session),
    ("POST", "/datasets", _make_dataset),
    ("GET", "/datasets", _list_datasets),
    ("GET", f"/datasets/{_ID}", _get_dataset),
    ("PUT", f"/datasets/{_ID}/tags", lambda *_: {}),
    ("POST", f"/datasets/{_ID}/examples", _multipart_examples),
    ("PATCH", f"/datasets/{_ID}/examples", _change_examples),
    ("POST", "/examples/bulk", _bulk_examples),
    ("POST", "/examples", _one_example),
    ("GET", "/examples", _list_examples),
    ("GET", f"/examples/{_ID}", _get_example),
    ("POST", "/feedback", _give_feedback),
    ("GET", "/feedback", _list_feedback),
    ("PATCH", f"/feedback/{_ID}", _change_feedback),
    *QUEUE_ROUTES,
    ("GET", "/settings", lambda *_: {"id": "1", "display_name": "t", "created_at": "2026-01-01"}),
]


def forget_settings():
    """LangSmith caches what it read from the environment."""
    from langsmith import run_trees, utils

    utils.get_env_var.cache_clear()
    utils.get_tracer_project.cache_clear()
    run_trees._CLIENT = None
    # LangChain keeps the client of its tracer too.
    from langchain_core.tracers import langchain as tracer

    tracer._CLIENT = None


@contextmanager
def tracing_to(recorder, monkeypatch, project="tests", *, wait=True):
    """LangSmith tracing switched on in the environment, with the recorder as LangSmith.

    Args:
        recorder: The server.
        monkeypatch: Pytest's.
        project: Where runs go.
        wait: Until all has arrived; False where it never does.
    """
    monkeypatch.setenv("LANGSMITH_TRACING", "true")
    monkeypatch.setenv("LANGSMITH_ENDPOINT", recorder.url)
    monkeypatch.setenv("LANGSMITH_API_KEY", "lsv2_test")
    monkeypatch.setenv("LANGSMITH_PROJECT", project)
    forget_settings()
    try:
        yield
        if wait:
            recorder.wait()
    finally:
        forget_settings()


@pytest.fixture
def langsmith_recorder(monkeypatch):
    """LangSmith on loopback, with tracing on; the test fails if LangSmith's rules were broken."""
    with LangSmithRecorder() as recorder:
        with tracing_to(recorder, monkeypatch):
            yield recorder
        assert recorder.check() == []
