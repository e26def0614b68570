"""A table of many objects, and a service that fetches them from presigned URLs, on virtual time."""

import io
from functools import lru_cache
from urllib.parse import parse_qs, urlsplit

import orjson
import pyarrow as pa
from fsspec import AbstractFileSystem
from pyarrow import parquet

from langchain_sutro._core.service.driver import Response
from langchain_sutro._core.service.marker import Marker
from tests.simulation.bodies import NO_HEADERS, Storage
from tests.simulation.jobs import Job
from tests.simulation.service import STORAGE, Service
from tests.support.invariants import check

SCHEME = "abfss"
FOLDER = "tables/leads"


@lru_cache(maxsize=4)
def _table(rows: int, value: str, column: str) -> bytes:
    """A Parquet file whose rows are all the same."""
    repeated = pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int8()), [value])
    written = io.BytesIO()
    parquet.write_table(pa.table({column: repeated.cast(pa.string())}), written)
    return written.getvalue()


def answer_of(path: str) -> str:
    """What the service answers to each row of an object."""
    return f"answer to {path}"


class Store(AbstractFileSystem):
    """The objects as fsspec reaches them, which signs on virtual time.

    Attributes:
        service: The scenario's.
    """

    protocol = SCHEME
    cachable = False
    service: "ObjectService"

    def info(self, path, **_):
        """An object, or a directory of some."""
        path = self._strip_protocol(path).rstrip("/")
        if path in self.service.objects:
            return {"name": path, "type": "file", "size": 1000, "etag": f'"{path}"'}
        if path == FOLDER:
            return {"name": path, "type": "directory", "size": 0}
        raise FileNotFoundError(path)

    def ls(self, path, detail=True, **_):
        """What is in a directory."""
        self.info(path)
        found = list(map(self.info, self.service.objects))
        return found if detail else [one["name"] for one in found]

    def open(self, path, *_, **__):
        """The bytes of an object."""
        self.info(path)
        return io.BytesIO(_table(self.service.rows, "a row", "text"))

    def sign(self, path, expiration=100, **_):
        """A URL that is good for so many seconds."""
        path = self._strip_protocol(path)
        self.info(path)
        return f"{STORAGE}/{path}?until={self.service.now + expiration}&sig=secret"


class Results(Storage):
    """Files of results, one for each object."""

    def whole(self, job) -> bytes:
        """See `Storage`."""
        return _table(job.rows, answer_of(job.path), "outputs")


class ObjectJob(Job):
    """A job on an object.

    Attributes:
        path: Of the object.
        unread: Whether it ends before it has read a row, which costs nothing.
    """

    path: str
    unread: bool


class ObjectService(Service):
    """A service whose jobs wait, are slow, die, and come too late for the URL of their object.

    Attributes:
        objects: The paths of the table, in order.
        rows: Of each object.
        most_active: More jobs at once are refused.
        expired: How many jobs found their URL expired.
        refused: How many submissions were over the quota.
    """

    objects: list[str]
    rows: int
    most_active: int
    expired: int
    refused: int

    @classmethod
    def of(cls, seed: int, objects: int, rows: int, trace: list[str] | None = None):
        """The service of a seed, for a table of so many objects of so many rows."""
        service = cls.drawn(seed, trace)
        rng = service.rng
        service.objects = [f"{FOLDER}/part-{number:05}.parquet" for number in range(objects)]
        service.rows = rows
        service.most_active = rng.choice((3, 8, 1000))
        service.expired = service.refused = 0
        service.storage = Results(rng)
        if service.storage.kind == "careless":
            service.storage.kind = "strong"
        service.hosted = service.no_files = False
        service.lists_lag = rng.choice((0.0, 10.0, 90.0, 400.0))
        service.quota = 1_000_000
        service.trouble = rng.choice((0.0, 0.02, 0.08))
        service.most_requests = 200_000
        return service

    def end_faults(self) -> None:
        """Only the jobs still die."""
        self.trouble, self.outage = 0.0, (0.0, 0.0)

    def _carry_out_late(self, path: str, body, at: float) -> None:
        if path == "batch-inference":
            self._make(body, at)

    def _submitted(self, body) -> Response:
        active = sum(job.ended > self.now for job in self.jobs)
        if active >= self.most_active:
            self.refused += 1
            # It certainly made no job.
            self.sent[Marker.find(body["description"]).token] = False
            body = orjson.dumps({"detail": "The row quota is used up."})
            return Response(self.rng.choice((422, 429)), NO_HEADERS, body)
        return Response(200, NO_HEADERS, orjson.dumps({"results": self._make(body, self.now)}))

    def _make(self, body, at: float) -> str:
        rng, url = self.rng, urlsplit(body["inputs"])
        path, until = url.path.lstrip("/"), float(parse_qs(url.query)["until"][0])
        check(path in self.objects, "a job is on an object of the table")
        check(not self.paid(path, at), f"{path} is not paid for twice")
        job = ObjectJob(f"job-{len(self.jobs)}", body["description"], self.rows, at)
        job.path = path
        job.listed = at + self.lists_lag * rng.random()
        job.started = at + rng.random() * rng.choice((5, 600, 3600, 10 * 3600))
        died = rng.random() < 0.05
        expired = job.started > until
        self.expired += expired
        job.unread = died or expired
        if job.unread or rng.random() < 0.03:
            job.ending = "FAILED"
        seconds = 5 if job.unread else rng.choice((60, 1800, 4 * 3600))
        job.ended = job.started + rng.random() * seconds
        job.ready = job.ended + self.results_lag
        self.jobs.append(job)
        self.tell("made", job.job_id, path, job.ending, "unread" if job.unread else "")
        return job.job_id

    def paid(self, path: str, now: float) -> list[ObjectJob]:
        """The jobs on an object that are paid for, or may yet be."""
        made = [job for job in self.jobs if job.path == path]
        return [job for job in made if not job.unread or job.ended > now]

    def _answers(self, job) -> dict[str, list]:
        return {"outputs": [answer_of(job.path)] * job.rows}

    def _listing(self, job) -> dict:
        read = self.now >= job.started and not job.unread
        counts = {"num_rows": job.rows, "input_tokens": 9, "job_cost": 0.1} if read else {}
        return {**super()._listing(job), "num_rows": None, **counts}
