"""A stand-in for LangSmith on loopback that checks what the real client sends.

It takes runs (multipart with zstd, batches, single), sessions, data sets, examples, feedback and
queries, as far as tracing and evaluation use them, and notes every breach of LangSmith's rules for
ids, order keys, parents and times in `violations`.
"""

import json
import re
import threading
import time
import uuid
from collections import Counter
from contextlib import contextmanager
from datetime import UTC, datetime
from email.parser import BytesParser
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest
import zstandard

_SEGMENT = re.compile(r"\d{8}T\d{12}Z([0-9a-f-]{36})")
_RUNS_PER_TRACE = 25_000


class LangSmithRecorder:
    """The server; a context manager.

    Attributes:
        runs: Each run by id, its creation and update merged.
        requests: Method and path of what arrived.
        feedback: What was given, as sent.
        sessions: Projects by id.
        datasets: Data sets by id.
        examples: Examples by id.
        violations: Breaches of LangSmith's rules, as sentences.
        delay: Seconds that each answer is held back.
        status: If set, the answer to every request that sends runs or feedback.
    """

    def __init__(self, *, zstd=True):
        self._zstd = zstd
        self._lock = threading.RLock()
        self._server = None
        self.delay = 0.0
        self.status = None
        self.reset()

    def reset(self):
        """Forget everything."""
        with self._lock:
            self.runs, self.requests, self.feedback, self.violations = {}, [], [], []
            self.sessions, self.datasets, self.examples = {}, {}, {}
            self._created, self._updated, self._traces = set(), set(), Counter()
            self._session("default")

    def __enter__(self):
        recorder = self

        class Handler(_Handler):
            owner = recorder

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
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

    def wait(self):
        """Until the clients of this process have sent all they have."""
        from langchain_core.tracers.langchain import wait_for_all_tracers
        from langsmith import run_trees

        wait_for_all_tracers()
        if run_trees._CLIENT is not None:
            run_trees._CLIENT.flush()

    def by_name(self, name):
        """The runs of this name, in order."""
        return [run for run in self.ordered() if run["name"] == name]

    def ordered(self):
        """All runs, parents before children."""
        with self._lock:
            return sorted(self.runs.values(), key=lambda run: run["dotted_order"])

    def children(self, run):
        """The runs directly below a run."""
        return [other for other in self.ordered() if other.get("parent_run_id") == run["id"]]

    def check(self):
        """Every breach, with those that show only when all has arrived."""
        found = list(self.violations)
        for run in self.runs.values():
            if run["id"] not in self._created:
                found.append(f"{run['name']}: updated but never created")
            parent = run.get("parent_run_id")
            if parent and parent not in self.runs:
                found.append(f"{run['name']}: its parent never arrived")
            if not run.get("end_time"):
                found.append(f"{run['name']}: never ended")
        return found

    # What arrives.

    def take_run(self, run, *, update):
        with self._lock:
            self._check_run(run, update=update)
            run_id = run["id"]
            known = self.runs.setdefault(run_id, {"id": run_id, "name": run.get("name", "?")})
            for key, value in run.items():
                if value is not None and not (update and value == {} and known.get(key)):
                    known[key] = value
            if run.get("session_name"):
                run["session_id"] = self._session(run["session_name"])["id"]
                known["session_id"] = run["session_id"]

    def _check_run(self, run, *, update):
        name = run.get("name") or self.runs.get(run["id"], {}).get("name", "?")
        tell = self.violations.append
        done = self._updated if update else self._created
        if run["id"] in done:
            tell(f"{name}: {'updated' if update else 'created'} twice")
        done.add(run["id"])
        order = run.get("dotted_order")
        if not order:
            tell(f"{name}: no dotted_order")
            return
        segments = order.split(".")
        ids = [found[1] for found in map(_SEGMENT.fullmatch, segments) if found]
        if len(ids) != len(segments):
            tell(f"{name}: malformed dotted_order")
            return
        if segments != sorted(segments, key=lambda segment: segment[:22]):
            tell(f"{name}: starts before its parent")
        if ids[-1] != run["id"]:
            tell(f"{name}: its id is not the last of its dotted_order")
        if ids[0] != run.get("trace_id"):
            tell(f"{name}: its trace_id is not the first of its dotted_order")
        parent = run.get("parent_run_id")
        if (parent or None) != (ids[-2] if len(ids) > 1 else None):
            tell(f"{name}: its parent is not the last but one of its dotted_order")
        before = self.runs.get(run["id"], {}).get("dotted_order")
        if before and before != order:
            tell(f"{name}: another dotted_order than before")
        if run.get("start_time"):
            start = _time(run["start_time"])
            if segments[-1][:22] != start.strftime("%Y%m%dT%H%M%S%fZ"):
                tell(f"{name}: start_time disagrees with dotted_order")
            if run.get("end_time") and _time(run["end_time"]) < start:
                tell(f"{name}: ends before it starts")
        if not (run.get("session_name") or run.get("session_id")):
            tell(f"{name}: no project")
        if len(name) > 128:
            tell(f"{name[:20]}…: name too long")
        if uuid.UUID(run["id"]).version != 7:
            tell(f"{name}: id is not of version 7")
        if not update:
            self._traces[ids[0]] += 1
            if self._traces[ids[0]] > _RUNS_PER_TRACE:
                tell(f"{name}: more than {_RUNS_PER_TRACE:,} runs in its trace")

    def _session(self, name, **given):
        with self._lock:
            for session in self.sessions.values():
                if session["name"] == name:
                    return session
            session = {
                "id": str(uuid.uuid4()),
                "name": name,
                "start_time": datetime.now(UTC).isoformat(),
                "tenant_id": "11111111-1111-4111-8111-111111111111",
                "reference_dataset_id": None,
                "extra": {},
                **{key: value for key, value in given.items() if value is not None},
            }
            self.sessions[session["id"]] = session
            return session


def _time(text):
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    owner: LangSmithRecorder

    def log_message(self, *_):
        pass

    def _handle(self):
        body = self._body()
        parts = urlsplit(self.path)
        path = re.sub(r"^/(?:api/)?v\d(?:/platform)?(?=/)", "", parts.path)
        if parts.path.startswith("/api/v2/"):
            path = "/v2" + path
        query = {key: values[-1] for key, values in parse_qs(parts.query).items()}
        owner = self.owner
        with owner._lock:
            owner.requests.append((self.command, parts.path))
        time.sleep(owner.delay)
        sends = self.command in ("POST", "PATCH") and path.startswith(("/runs", "/feedback"))
        if sends and owner.status is not None:
            self._answer(owner.status, {"detail": "as told"})
            return
        for method, pattern, route in _ROUTES:
            found = re.fullmatch(pattern, path)
            if method == self.command and found:
                answer = route(owner, self, body, query, *found.groups())
                status, content = answer if isinstance(answer, tuple) else (200, answer)
                self._answer(status, content)
                return
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
        head = f"Content-Type: {self.headers['content-type']}\r\n\r\n".encode()
        message = BytesParser(policy=HTTP).parsebytes(head + body)
        for part in message.iter_parts():
            name = part.get_param("name", header="content-disposition")
            yield name, part.get_payload(decode=True)

    def _answer(self, status, content):
        data = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def _info(owner, *_):
    return {
        "version": "0.13.0",
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
        },
    }


def _multipart(owner, handler, body, _query):
    runs, feedback = {}, []
    for name, content in handler.parts(body):
        kind, _, rest = name.partition(".")
        if kind in ("post", "patch"):
            run_id, _, part = rest.partition(".")
            entry = runs.setdefault((kind, run_id), {})
            entry.update({part: json.loads(content)} if part else json.loads(content))
        elif kind == "feedback":
            feedback.append(json.loads(content))
    for (kind, _), run in runs.items():
        owner.take_run(run, update=kind == "patch")
    with owner._lock:
        owner.feedback.extend(feedback)
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
    return owner.runs.get(run_id) or (404, {"detail": "no such run"})


def _query_runs(owner, _handler, body, _query):
    wanted = json.loads(body)
    sessions, ids = wanted.get("session") or [], wanted.get("id")
    found = [
        _shown(run)
        for run in owner.ordered()
        if (not sessions or run.get("session_id") in sessions)
        and (not ids or run["id"] in ids)
        and (not wanted.get("is_root") or not run.get("parent_run_id"))
        and (not wanted.get("trace") or run.get("trace_id") == wanted["trace"])
        and (not wanted.get("run_type") or run.get("run_type") == wanted["run_type"])
    ]
    start = int(wanted.get("cursor") or 0)
    limit = min(int(wanted.get("limit") or 100), 100)
    following = str(start + limit) if start + limit < len(found) else None
    return {"runs": found[start : start + limit], "cursors": {"next": following}}


def _shown(run):
    return {"inputs": {}, "outputs": None, "app_path": "/", "status": "success", **run}


def _make_session(owner, _handler, body, _query):
    given = json.loads(body)
    taken = any(session["name"] == given["name"] for session in owner.sessions.values())
    if taken and "upsert=true" not in _handler.path:
        return 409, {"detail": "name taken"}
    return owner._session(given.pop("name"), **given)


def _list_sessions(owner, _handler, _body, query):
    wanted = query.get("name")
    found = [s for s in owner.sessions.values() if wanted is None or s["name"] == wanted]
    return found[: int(query.get("limit", 100))]


def _get_session(owner, _handler, _body, _query, session_id):
    return owner.sessions.get(session_id) or (404, {"detail": "no such session"})


def _patch_session(owner, _handler, body, _query, session_id):
    owner.sessions[session_id].update(
        {key: value for key, value in json.loads(body).items() if value is not None}
    )
    return owner.sessions[session_id]


def _make_dataset(owner, _handler, body, _query):
    given = json.loads(body)
    now = datetime.now(UTC).isoformat()
    dataset = {"id": str(uuid.uuid4()), "created_at": now, "modified_at": now, "example_count": 0}
    dataset |= {key: value for key, value in given.items() if value is not None}
    owner.datasets[dataset["id"]] = dataset
    return dataset


def _list_datasets(owner, _handler, _body, query):
    wanted = query.get("name")
    return [d for d in owner.datasets.values() if wanted is None or d["name"] == wanted]


def _get_dataset(owner, _handler, _body, _query, dataset_id):
    return owner.datasets.get(dataset_id) or (404, {"detail": "no such data set"})


def _add_example(owner, dataset_id, given):
    now = datetime.now(UTC).isoformat()
    example = {
        "id": given.get("id") or str(uuid.uuid4()),
        "dataset_id": dataset_id,
        "inputs": given.get("inputs") or {},
        "outputs": given.get("outputs"),
        "metadata": {"dataset_split": ["base"], **(given.get("metadata") or {})},
        "created_at": given.get("created_at") or now,
        "modified_at": now,
    }
    owner.examples[example["id"]] = example
    return example


def _multipart_examples(owner, handler, body, _query, dataset_id):
    given = {}
    for name, content in handler.parts(body):
        example_id, _, part = name.partition(".")
        entry = given.setdefault(example_id, {"id": example_id})
        entry.update({part: json.loads(content)} if part else json.loads(content))
    made = [_add_example(owner, dataset_id, one) for one in given.values()]
    now = datetime.now(UTC).isoformat()
    return 201, {"example_ids": [one["id"] for one in made], "count": len(made), "as_of": now}


def _bulk_examples(owner, _handler, body, _query):
    content = json.loads(body)
    return [_add_example(owner, one["dataset_id"], one) for one in content]


def _one_example(owner, _handler, body, _query):
    given = json.loads(body)
    return _add_example(owner, given["dataset_id"], given)


def _list_examples(owner, _handler, _body, query):
    wanted = query.get("dataset")
    found = [e for e in owner.examples.values() if wanted in (None, e["dataset_id"])]
    start = int(query.get("offset", 0))
    return found[start : start + int(query.get("limit", 100))]


def _get_example(owner, _handler, _body, _query, example_id):
    return owner.examples.get(example_id) or (404, {"detail": "no such example"})


def _give_feedback(owner, _handler, body, _query):
    given = json.loads(body)
    with owner._lock:
        owner.feedback.append(given)
    return given


def _list_feedback(owner, _handler, _body, query):
    wanted = query.get("run")
    return [f for f in owner.feedback if wanted is None or f.get("run_id") == wanted]


_ID = r"([0-9a-f-]{36})"
_ROUTES = [
    ("GET", "/info", _info),
    ("POST", "/runs/multipart", _multipart),
    ("POST", "/runs/batch", _batch),
    ("POST", "/runs/query", _query_runs),
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
    ("POST", "/examples/bulk", _bulk_examples),
    ("POST", "/examples", _one_example),
    ("GET", "/examples", _list_examples),
    ("GET", f"/examples/{_ID}", _get_example),
    ("POST", "/feedback", _give_feedback),
    ("GET", "/feedback", _list_feedback),
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
def tracing_to(recorder, monkeypatch, project="tests"):
    """LangSmith tracing switched on in the environment, with the recorder as LangSmith."""
    monkeypatch.setenv("LANGSMITH_TRACING", "true")
    monkeypatch.setenv("LANGSMITH_ENDPOINT", recorder.url)
    monkeypatch.setenv("LANGSMITH_API_KEY", "lsv2_test")
    monkeypatch.setenv("LANGSMITH_PROJECT", project)
    forget_settings()
    try:
        yield
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
