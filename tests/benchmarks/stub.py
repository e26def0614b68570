"""A service with canned answers that costs its clients little: a process of its own.

It listens on four ports, plain and TLS, answering at once and after a delay, and prints them as one
line of JSON. Jobs are named after their rows, so a submission's answer tells how many arrived.
"""

import asyncio
import hashlib
import json
import re
import ssl
import sys
from functools import partial
from pathlib import Path

DELAY = 0.05
ROW_MARK = b'"region"'
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
RANGE = re.compile(rb"\r\nrange: *bytes=(\d+)-", re.IGNORECASE)
JOB = re.compile(r"job-\d+")
KINDS = {200: b"OK", 206: b"Partial Content", 404: b"Not Found", 411: b"Length Required"}


def response(content, status=200, kind=b"application/json", more=b""):
    return (
        b"HTTP/1.1 %d %s\r\ncontent-type: %s\r\ncontent-length: %d\r\n%s\r\n"
        % (status, KINDS[status], kind, len(content), more)
    ) + content


ANSWER = response(
    json.dumps(
        {
            "request_id": "rt-1",
            "function": {"name": "lead-qualifier", "revision": 3},
            "output": {"label": "qualified"},
            "confidence": 0.91,
            "usage": {"input_tokens": 120, "output_tokens": 6, "cost_usd": 0.0001},
        }
    ).encode()
)
QUOTAS = [{"priority": p, "row_quota": 10**8, "token_quota": 10**12} for p in (0, 1)]
CANNED = {
    path: response(json.dumps(value).encode())
    for path, value in {
        "/v1/get-quotas": {"quotas": QUOTAS},
        "/v1/list-jobs": {"jobs": [], "next_cursor": None},
        "/v1/auth/check": {"authenticated": True},
    }.items()
}


class Stub:
    """What all connections share."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.connections = self.requests = 0
        self.origin = ""

    def data(self, job_id, name):
        """A file of the job's results, written beforehand."""
        return self.folder / job_id.removeprefix("job-") / name


class Connection(asyncio.Protocol):
    def __init__(self, stub, delay):
        self.stub, self.delay = stub, delay
        self.head = b""
        self.left = self.rows = 0
        self.tail = b""

    def connection_made(self, transport):
        self.transport = transport
        self.stub.connections += 1

    def data_received(self, data):
        while data:
            if self.left:
                piece, data = data[: self.left], data[self.left :]
                self._count(piece)
                self.left -= len(piece)
                if not self.left:
                    self._answer()
                continue
            self.head += data
            end = self.head.find(b"\r\n\r\n")
            if end < 0:
                return
            data, self.head = self.head[end + 4 :], self.head[: end + 2]
            found = LENGTH.search(self.head)
            self.left, self.rows, self.tail = int(found[1]) if found else 0, 0, b""
            if not self.left:
                self._answer()

    def _count(self, piece):
        """Count the rows of a submission; nothing else of it is kept."""
        searched = self.tail + piece
        self.rows += searched.count(ROW_MARK)
        large = self.head.startswith(b"POST /v1/batch-inference")
        self.tail = searched[-len(ROW_MARK) + 1 :] if large else searched

    def _answer(self):
        head, self.head = self.head, b""
        self.stub.requests += 1
        method, target, _ = head.split(b" ", 2)
        if target.endswith(b"/run"):
            content = ANSWER
        else:
            content = self._route(method.decode(), target.decode().partition("?")[0], head)
        if content is None:
            return
        if self.delay:
            asyncio.get_running_loop().call_later(self.delay, self._write, content)
        else:
            self._write(content)

    def _write(self, content):
        if not self.transport.is_closing():
            self.transport.write(content)

    def _route(self, method, path, head):
        """The content to write, or None where it is written here."""
        if path in CANNED:
            return CANNED[path]
        stub = self.stub
        found = JOB.search(path)
        job_id = found[0] if found else "job-0"
        if path == "/v1/job-results":
            job_id = json.loads(self.tail)["job_id"]
            return self._file(stub.data(job_id, "results.json"), method, head)
        if path.startswith("/objects/"):
            return self._file(stub.data(job_id, "results.parquet"), method, head)
        return self._fields(path, job_id)

    def _fields(self, path, job_id):
        stub = self.stub
        if path == "/v1/batch-inference":
            made = f"job-{self.rows}"
            return _json({"results": made, "metadata": {"job_id": made, "message": "created"}})
        if path.startswith("/v1/job-status/"):
            return _json({"message": "", "job_status": {job_id: "SUCCEEDED"}, "metadata": None})
        if path.endswith("/results-url"):
            url = f"{stub.origin}/objects/{job_id}/results.parquet?X-Amz-Signature=0"
            artifact = {
                "filename": f"{job_id}.parquet",
                "size_bytes": stub.data(job_id, "results.parquet").stat().st_size,
            }
            return _json({"artifact": artifact, "urls": {"get": url, "head": url}})
        if path.startswith("/v1/jobs/"):
            rows = int(job_id.removeprefix("job-"))
            job = {"job_id": job_id, "status": "SUCCEEDED", "model": "f", "num_rows": rows}
            return _json({"job": job | {"input_tokens": rows, "output_tokens": rows}})
        if path == "/stub":
            return _json({"connections": stub.connections, "requests": stub.requests})
        return response(b'{"detail": "not here"}', 404)

    def _file(self, path, method, head):
        size = path.stat().st_size
        found = RANGE.search(head)
        start = int(found[1]) if found else 0
        etag = hashlib.sha256(str(path).encode()).hexdigest()[:16]
        fields = [
            b"HTTP/1.1 %d %s" % ((206, KINDS[206]) if found else (200, KINDS[200])),
            b"content-length: %d" % (size - start),
            b"etag: " + f'"{etag}"'.encode(),
            b"content-type: "
            + (b"application/json" if path.suffix == ".json" else b"application/octet-stream"),
        ]
        if found:
            fields.append(b"content-range: bytes %d-%d/%d" % (start, size - 1, size))
        self._write(b"\r\n".join(fields) + b"\r\n\r\n")
        if method != "HEAD":
            self.sending = asyncio.ensure_future(self._send(path, start))

    async def _send(self, path, start):
        with path.open("rb") as file:
            await asyncio.get_running_loop().sendfile(self.transport, file, start)


def _json(value):
    return response(json.dumps(value).encode())


async def main(folder, certificate, key):
    loop = asyncio.get_running_loop()
    stub = Stub(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    ports = {}
    for name, tls, delay in (
        ("plain", None, 0),
        ("tls", context, 0),
        ("slow", None, DELAY),
        ("slow_tls", context, DELAY),
    ):
        server = await loop.create_server(
            partial(Connection, stub, delay), "127.0.0.1", 0, ssl=tls, backlog=4096
        )
        ports[name] = server.sockets[0].getsockname()[1]
    stub.origin = f"http://127.0.0.1:{ports['plain']}"
    print(json.dumps(ports), flush=True)
    # The parent closes standard input when it is done, or when it dies.
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
