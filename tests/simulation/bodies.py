"""Answers that do not come at once: progress streams, and objects of a storage."""

from functools import lru_cache

import httpx

from langchain_sutro._core.service.driver import Response
from langchain_sutro.errors import SutroConnectionError
from tests.simulation.jobs import file
from tests.support.invariants import check

NO_HEADERS = httpx.Headers()
_GARBAGE = (b"\n", b"garbage\n", b'{"update_type":', b"[]\n", b"\xff\n", b'{"update_type":7}\n')


@lru_cache(maxsize=256)
def with_headers(**values: str) -> httpx.Headers:
    """Headers by their names with underscores."""
    return httpx.Headers({name.replace("_", "-"): value for name, value in values.items()})


def deliver(rng, sink, response: Response, *, cut: bool) -> Response:
    """Hand a body over piece by piece, up to its end or to any byte before it."""
    status, headers, body = response.status, response.headers, response.content
    if not sink.start(status, headers):
        return response
    end = rng.randrange(len(body) + 1) if cut else len(body)
    middle = rng.randrange(end + 1)
    for piece in (body[:middle], body[middle:end]):
        if piece and not sink.write(piece):
            return Response(status, headers)
    if cut:
        raise SutroConnectionError("reset in the middle", sent=True)
    return Response(status, headers)


def progress(rng, job, now: float, stale: float) -> bytes:
    """A line of the stream: repeated, of a moment ago, in part, or garbage."""
    drawn = rng.random()
    done = job.rows_done(now - rng.random() * stale)
    if drawn < 0.5:
        line = b'{"update_type":"progress","result":%d}\n' % done
    elif drawn < 0.65:
        line = b'{"update_type":"tokens","result":{"input_tokens":%d}}\n' % done
    elif drawn < 0.75:
        line = b'{"update_type":"heartbeat"}\n'
    elif drawn < 0.85:
        # All rows, although the job may yet fail.
        line = b'{"update_type":"progress","result":%d}\n' % job.rows
    else:
        line = rng.choice(_GARBAGE)
    return line * 2 if rng.random() < 0.2 else line


class Storage:
    """Range and If-Range as well as this one knows them.

    Attributes:
        kind: `"strong"` and `"weak"` ETags, `"none"`, `"no range"`; a `"careless"` one goes on in
            the wrong object or at the wrong byte, and says so.
        change: How likely an object is built anew before it is read.
        version: Of the objects.
    """

    def __init__(self, rng) -> None:
        self._rng = rng
        self.kind = rng.choice(("strong", "strong", "weak", "none", "no range", "careless"))
        self.change = 0.0
        self.version = 1

    def whole(self, job) -> bytes:
        """The object with the results of a job, as it is now."""
        return file(self.version, job.rows)

    def get(self, asked: str | None, condition: str | None, job) -> Response:
        """Answer a GET with these values of `range` and `if-range`."""
        rng = self._rng
        if rng.random() < self.change:
            self.version += 1
        whole, etag = self.whole(job), f'"{self.version}"'
        facts = {"content_length": str(len(whole))}
        if self.kind in ("strong", "careless", "no range"):
            facts["etag"] = etag
        elif self.kind == "weak":
            facts["etag"] = f"W/{etag}"
        elif rng.random() < 0.5:
            facts.clear()
        check(not asked or condition, "a range is asked for with its ETag")
        careless = self.kind == "careless"
        if not asked or self.kind == "no range" or (condition != etag and not careless):
            return Response(200, with_headers(**facts), whole)
        begin = int(asked.removeprefix("bytes=").removesuffix("-"))
        if begin >= len(whole):
            return Response(416, NO_HEADERS)
        if careless and rng.random() < 0.2:
            begin = rng.randrange(len(whole))
        facts["content_range"] = f"bytes {begin}-{len(whole) - 1}/{len(whole)}"
        facts["content_length"] = str(len(whole) - begin)
        return Response(206, with_headers(**facts), whole[begin:])
