"""A deployment and its object storage on virtual time, as unreliable as a seed says.

It answers the requests that operations yield, in this process and without waiting: submissions that
are lost before or after they were carried out, answers that never come, lists that lag, statuses
read from a stale copy, progress streams that break off, downloads cut at any byte. Every choice is
drawn from the seed, so that a seed is one scenario which can be replayed.
"""

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from urllib.parse import parse_qs, urlsplit

import orjson
from pydantic import SecretStr

from langchain_sutro._core.service.driver import Response
from langchain_sutro._core.service.marker import Marker
from langchain_sutro._core.service.settings import Settings
from langchain_sutro.errors import SutroConnectionError, SutroTimeoutError
from tests.simulation.bodies import NO_HEADERS, Storage, deliver, progress, with_headers
from tests.simulation.jobs import STRANGERS, Job, confidences, outputs
from tests.support.invariants import check

API = "https://sutro.example/v1"
STORAGE = "https://storage.example"
KEY = SecretStr("sk_simulated")
DEPLOYMENT = Settings("deployment", API, API, KEY)
HOSTED = Settings("hosted", API, API, KEY)

START = datetime(2026, 1, 1, tzinfo=UTC)
MOST_REQUESTS = 3000

# What may become of a request, in twentieths of those that meet a network fault.
REFUSED, LOST, TURNED_AWAY, LATE, UNANSWERED, GAVE_UP, GARBLED, FINE = (
    "refused", "lost", "turned away", "late", "unanswered", "gave up", "garbled", "fine",
)  # fmt: skip
_FATES = (
    *[REFUSED] * 3, *[LOST] * 3, *[TURNED_AWAY] * 5, *[LATE] * 2, *[UNANSWERED] * 3, *[GAVE_UP] * 2,
    *[GARBLED] * 2,
)  # fmt: skip
_TURNED_AWAY = (408, 425, 429, 429, 429, 500, 502, 503, 504, 524, 401, 409)
_GAVE_UP = (408, 500, 502, 503, 504, 524, 524, 202)
_BODIES = (
    b"", b"<html>Bad Gateway</html>", b'{"detail":"try later"}', b'{"detail":[{"msg":"busy"}]}',
    b'{"detail":', b'{"code":"busy","request_id":"rt_1"}', b"[]", b'{"retry_after":2}',
)  # fmt: skip
_GARBAGE = (b"", b"<html></html>", b"[1]", b'{"results":', b"{}", b"null", b'{"jobs":[7]}')
_RETRY_AFTER = ("0", "1", "5", "300", "soon", "-3", "nan")
_QUEUED = ("QUEUED", "pending", "submitted", "STARTING", "starting", "PAUSED")
_RUNNING = ("RUNNING", "running", "UNKNOWN", "FINISHING")


@lru_cache(maxsize=256)
def _split(url: str) -> tuple[str, dict[str, list[str]]]:
    parts = urlsplit(url)
    return parts.path.removeprefix("/v1/").lstrip("/"), parse_qs(parts.query)


def _json(value: object) -> Response:
    return Response(200, NO_HEADERS, orjson.dumps(value))


def _error(status: int, detail: str = "") -> Response:
    return Response(status, NO_HEADERS, orjson.dumps({"detail": detail}))


@dataclass(slots=True)
class Service:
    """Answers requests; `now` is the only clock.

    Attributes:
        trouble: The share of requests that meet a network fault.
        outage: From when to when nothing gets through.
        sent: Whether a token's submission may have been carried out.
        posts: How many submissions came.
        runs: How often a real-time run was carried out.
    """

    rng: random.Random
    storage: Storage
    hosted: bool = False
    trace: list[str] | None = None
    now: float = 0.0
    trouble: float = 0.0
    outage: tuple[float, float] = (0.0, 0.0)
    lists_lag: float = 0.0
    results_lag: float = 0.0
    page: int = 100
    stale: float = 0.0
    no_files: bool = False
    quota: int = 1_000_000
    strangers: int = 3
    newer: int = 0
    jobs: list[Job] = field(default_factory=list)
    sent: dict[str, bool] = field(default_factory=dict)
    posts: int = 0
    runs: int = 0
    requests: int = 0
    most_requests: int = MOST_REQUESTS

    @classmethod
    def drawn(cls, seed: int, trace: list[str] | None = None) -> "Service":
        """A service as bad as this seed has it."""
        rng = random.Random(seed)
        pick = rng.choice
        service = cls(rng, Storage(rng), hosted=rng.random() < 0.15, trace=trace)
        service.trouble = pick((0.0, 0.0, 0.05, 0.15, 0.3, 0.6))
        if service.trouble:
            service.storage.change = pick((0.0, 0.1, 0.5))
            if rng.random() < 0.2:
                begin = rng.random() * 60
                service.outage = begin, begin + rng.random() * pick((10, 100, 500))
        service.lists_lag = pick((0.0, 0.0, 1.0, 10.0, 50.0, 90.0))
        service.results_lag = pick((0.0, 0.0, 3.0, 40.0, 150.0 if service.trouble else 40.0))
        service.page = pick((100, 100, 40, 9))
        service.stale = pick((0.0, 0.0, 1.0, 8.0))
        service.no_files = rng.random() < 0.1
        service.quota = pick((1_000_000, 1_000_000, 1000))
        service.strangers = pick((0, 3, 3, 3, 3, 3, 110, 250))
        return service

    def end_faults(self) -> None:
        """Wait until all that was under way has arrived; there are no faults from now on."""
        self.trouble, self.outage, self.storage.change = 0.0, (0.0, 0.0), 0.0
        self.newer = self.rng.choice((0, 0, 5, 130))
        self.requests = 0
        self.now += 10_000.0

    def clock(self) -> float:
        return self.now

    def tell(self, what: str, *more: object) -> None:
        if self.trace is not None:
            self.trace.append(f"{self.now:9.2f} s  {what} {' '.join(map(str, more))}".rstrip())

    def find(self, job_id: str) -> Job | None:
        return next((job for job in self.jobs if job.job_id == job_id), None)

    def make_job(self, description: str, rows: int, at: float) -> Job:
        """A job that exists from then on."""
        job = Job.drawn(self.rng, f"job-{len(self.jobs)}", description, rows, at)
        job.listed += self.lists_lag * self.rng.random()
        job.ready += self.results_lag
        self.jobs.append(job)
        self.tell("made", job)
        return job

    def answer(self, request) -> Response:
        """What comes back for a request, or the error for nothing coming back."""
        self.requests += 1
        check(self.requests <= self.most_requests, f"it ends ({self.most_requests} requests)")
        stored = request.url.startswith(STORAGE)
        check(stored or request.url.startswith(API), "requests go to the service and its storage")
        check(stored != request.authorize, "the key goes to the service, never to storage")
        fate, status = self._fate(0.4 if stored else 0.0)
        path, query = _split(request.url)
        self.tell(fate, request.method, path, status or "")
        body = self._body(request.content)
        if path == "batch-inference":
            self._count(body, certain=fate == REFUSED or status == 429)
        limit = request.timeout.read or 3600.0
        if fate == REFUSED:
            self.now += self.rng.random()
            raise SutroConnectionError("refused", sent=False)
        if fate == LOST:
            self._lose(limit)
        if fate == TURNED_AWAY:
            self.now += 0.05
            return self._turn_away(status)
        if fate == LATE:
            # It is carried out when the client has long gone.
            self._carry_out_late(path, body, self.now + limit + self.rng.random() * 200)
            self.now += limit
            raise SutroTimeoutError("timed out", sent=True)
        self.now += self.rng.random() * 0.3
        if path.startswith("stream-job-progress/"):
            return self._stream(request, path, broken=fate != FINE)
        response = self._carry_out(request, path, query, body)
        if request.sink is not None:
            return deliver(self.rng, request.sink, response, cut=fate != FINE)
        if fate == UNANSWERED:
            self._lose(limit)
        if fate == GAVE_UP:
            return self._turn_away(status)
        if fate == GARBLED and response.status == 200:
            whole = response.content
            cut = whole[: self.rng.randrange(len(whole))]
            return Response(200, NO_HEADERS, self.rng.choice((cut, *_GARBAGE)))
        return response

    def _fate(self, at_least: float) -> tuple[str, int]:
        begin, end = self.outage
        if begin < self.now < end:
            return (REFUSED if self.rng.random() < 0.5 else LOST), 0
        trouble = self.trouble and max(self.trouble, at_least)
        drawn = self.rng.random()
        if drawn >= trouble:
            return FINE, 0
        fate = _FATES[int(drawn / trouble * len(_FATES))]
        if fate == TURNED_AWAY:
            return fate, self.rng.choice(_TURNED_AWAY)
        return fate, self.rng.choice(_GAVE_UP) if fate == GAVE_UP else 0

    def _lose(self, limit: float) -> None:
        if self.rng.random() < 0.5:
            self.now += limit
            raise SutroTimeoutError("timed out", sent=True)
        self.now += self.rng.random()
        raise SutroConnectionError("reset", sent=True)

    def _turn_away(self, status: int) -> Response:
        headers = NO_HEADERS
        if status in (429, 503) and self.rng.random() < 0.7:
            headers = with_headers(retry_after=self.rng.choice(_RETRY_AFTER))
        return Response(status, headers, self.rng.choice(_BODIES))

    def _body(self, content):
        if content is None:
            return None
        if not isinstance(content, bytes):
            size, content = content.size, b"".join(content.pieces())
            check(len(content) == size, "a body is as long as it says")
        return orjson.loads(content)

    def _count(self, body, *, certain: bool) -> None:
        """A second POST may follow only where the first certainly made no job."""
        self.posts += 1
        marker = Marker.find(body["description"])
        check(marker, "a submission carries its token")
        check(not self.sent.get(marker.token), "a submission is not sent twice")
        self.sent[marker.token] = not certain

    def _carry_out_late(self, path: str, body, at: float) -> None:
        if path == "batch-inference":
            self.make_job(body["description"], len(body["inputs"]), at)
        elif path.startswith("functions/"):
            self.runs += 1

    def _carry_out(self, request, path: str, query, body) -> Response:  # noqa: PLR0911
        """What the service does if it gets the request."""
        name, _, rest = path.partition("/")
        if name == "batch-inference":
            return self._submitted(body)
        if name == "list-jobs":
            return _json(self._page(query))
        if name == "get-quotas":
            return _json({"quotas": [{"priority": 0, "row_quota": self.quota}, {"priority": None}]})
        if name == "functions":
            self.runs += 1
            return _json({"output": "yes", "response": "yes"})
        job_id = body["job_id"] if name == "job-results" else rest.partition("/")[0]
        job = self.find(job_id)
        if job is None or self.now < job.created:
            return _error(404, "no such job")
        if name == "objects":
            if self.now > float(query["until"][0]):
                return Response(403, NO_HEADERS, b"<Error><Code>AccessDenied</Code></Error>")
            wants = request.headers
            return self.storage.get(wants.get("range"), wants.get("if-range"), job)
        return self._of_job(job, path)

    def _of_job(self, job: Job, path: str) -> Response:  # noqa: PLR0911
        if path.startswith("job-status"):
            word = self._word(job)
            value = {job.job_id: word} if self.rng.random() < 0.8 else word
            return _json({"job_status": value})
        if path == f"jobs/{job.job_id}":
            reason = self.rng.choice((None, {"message": "no credit"}, "out of memory"))
            return _json({"job": {**self._listing(job), "failure_reason": reason}})
        if self.now < job.ready or job.ending != "SUCCEEDED":
            return _error(self.rng.choice((404, 409, 500)), "not yet")
        if path == "job-results":
            return self._columns(job)
        if self.no_files:
            return Response(405, NO_HEADERS)
        if path.endswith("/results-url"):
            until = self.now + self.rng.choice((3600, 3600, 2))
            return _json({"urls": {"get": f"{STORAGE}/objects/{job.job_id}?until={until}"}})
        return self.storage.get(None, None, job)

    def _submitted(self, body) -> Response:
        rows = len(body["inputs"])
        check(body["inputs"] == list(range(rows)), "all rows are sent, in order")
        if rows > self.quota:
            return _error(422, "over quota")
        job_id = self.make_job(body["description"], rows, self.now).job_id
        # The oldest pages have only the second form.
        return _json({"results": job_id} if self.rng.random() < 0.8 else {"job_id": job_id})

    def _listing(self, job: Job) -> dict:
        return {
            "job_id": job.job_id,
            "status": self._word(job),
            "description": job.description,
            "num_rows": job.rows,
            "datetime_created": (START + timedelta(seconds=job.created)).isoformat(),
        }

    def _page(self, query) -> dict:
        """Newest first, once they are listed; a page may repeat the end of the one before."""
        listed = [job for job in self.jobs if job.listed <= self.now]
        listed.sort(key=lambda job: -job.created)
        jobs = [*STRANGERS[: self.newer], *map(self._listing, listed), *STRANGERS[: self.strangers]]
        begin = int(query["cursor"][0]) if "cursor" in query else 0
        end = begin + min(self.page, int(query["limit"][0]))
        if self.rng.random() < 0.2:
            begin = max(0, begin - 1)
        return {"jobs": jobs[begin:end], "next_cursor": str(end) if end < len(jobs) else None}

    def _word(self, job: Job) -> str:
        """The status, perhaps of a moment ago, in some spelling."""
        word = job.status(self.now - self.rng.random() * self.stale)
        if word == "QUEUED":
            return self.rng.choice(_QUEUED)
        if word == "RUNNING":
            return self.rng.choice(_RUNNING)
        return word.lower() if self.rng.random() < 0.3 else word

    def _answers(self, job: Job) -> dict[str, list]:
        return {"outputs": outputs(job.rows), "confidence_score": confidences(job.rows)}

    def _columns(self, job: Job) -> Response:
        columns = self._answers(job)
        drawn = self.rng.random()
        if drawn < 0.1:
            return _json({"results": columns["outputs"]})
        if drawn < 0.1 + self.trouble * 0.2:
            # One column has lost a row on the way.
            columns["outputs"] = columns["outputs"][1:]
        return _json({"results": columns})

    def _stream(self, request, path: str, *, broken: bool) -> Response:
        """Progress, which may break off or end at any moment."""
        rng, sink = self.rng, request.sink
        job = self.find(path.partition("/")[2])
        sink.start(200, NO_HEADERS)
        while True:
            gap = rng.random() * 12
            if gap > request.timeout.read:
                self._lose(request.timeout.read)
            self.now += gap
            line = progress(rng, job, self.now, self.stale)
            middle = rng.randrange(len(line))
            wants_more = sink.write(line[:middle]) and sink.write(line[middle:])
            if broken:
                raise SutroConnectionError("the stream broke", sent=True)
            if not wants_more or self.now >= job.ended or rng.random() < 0.05:
                return Response(200, NO_HEADERS)
