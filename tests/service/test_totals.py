"""A timeout is a total, and an answer has a size: whatever a server sends, and however slowly."""

import asyncio
import io
import socket
import threading
import time
import tracemalloc
import zlib
from functools import cache, partial
from itertools import chain

import httpx
import pytest

from langchain_sutro import SutroClient
from langchain_sutro._core.jobs import calls
from langchain_sutro._core.service.download import Download, download_results
from langchain_sutro._core.service.driver import Request, Session, Timeout, arun, run
from langchain_sutro._core.service.exchange import Policy, Service
from langchain_sutro._core.service.settings import resolve
from langchain_sutro.errors import (
    SutroAPIError,
    SutroConnectionError,
    SutroError,
    SutroJobTimeoutError,
    SutroRateLimitError,
    SutroTimeoutError,
)
from tests.support.calls import modes
from tests.support.raw_server import drip, http, raw_server

# Far above any timeout below, and below the test's own.
PATIENCE = 30.0
HEAD = b"HTTP/1.1 200 OK\r\nconnection: close\r\n"
DRIPS = {
    "the status line": (b"HTTP/1.1 2", b"0"),
    "a header": (HEAD + b"x-more: ", b"x"),
    "headers": (HEAD, b"x: y\r\n"),
    "informational answers": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "the body": (HEAD + b"content-length: 100000\r\n\r\n{", b" "),
    "a body without a length": (HEAD + b"\r\n{", b" "),
    "chunks": (HEAD + b"transfer-encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    "the size of a chunk": (HEAD + b"transfer-encoding: chunked\r\n\r\n", b"0"),
    "an error's body": (b"HTTP/1.1 500 No\r\ncontent-length: 100000\r\n\r\n", b" "),
    "nothing": (b"", b""),
}


def clients(kind):
    if kind == "own":
        return {}
    library = pytest.importorskip(kind)
    return {"http_client": library.Client(), "http_async_client": library.AsyncClient()}


async def call(mode, client, name, *args, **options):
    """A method of the client, or what jobs do through it."""

    def form(name):
        return getattr(client, name, None) or partial(getattr(calls, name), client)

    if mode == "sync":
        return await asyncio.to_thread(form(name), *args, **options)
    return await form(f"a{name}")(*args, **options)


CASES = [("own", what) for what in DRIPS] + [
    (kind, what) for kind in ("httpx", "httpx2") for what in ("a header", "the body", "nothing")
]


@pytest.mark.timeout(PATIENCE)
@modes
@pytest.mark.parametrize(("kind", "what"), CASES)
async def test_a_call_ends_at_its_timeout_however_slowly_the_answer_drips(mode, kind, what):
    start, piece = DRIPS[what]
    with raw_server(lambda *_: drip(start, tail=piece) if piece else [start, 300]) as server:
        client = SutroClient(api_url=server.url, api_key="sk_1", timeout=0.3, **clients(kind))
        with pytest.raises(SutroTimeoutError) as failed:
            await call(mode, client, "run_function", "f", {"a": 1})
        # On a slow machine the time may be over before anything is sent.
        assert failed.value.sent or not server.requests
        # A read may be repeated, but not beyond the timeout.
        with pytest.raises(SutroTimeoutError):
            await call(mode, client, "list_jobs")
    assert len(server.requests) <= 2


@pytest.mark.timeout(4 * PATIENCE)
@modes
async def test_a_call_ends_at_its_timeout_while_the_name_of_its_host_is_looked_up(
    mode, monkeypatch
):
    asked, known = threading.Event(), threading.Event()
    find = socket.getaddrinfo

    def look_up(host, port, *args, **options):
        if host not in ("slow.example", b"slow.example"):
            return find(host, port, *args, **options)
        asked.set()
        assert known.wait(3 * PATIENCE)
        return find("127.0.0.1", listening.getsockname()[1], *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(PATIENCE)
        client = SutroClient(api_url="https://slow.example", api_key="sk_1", timeout=1)
        try:
            with pytest.raises(SutroTimeoutError) as failed:
                await call(mode, client, "run_function", "f", {"a": 1})
        finally:
            known.set()
        if mode == "sync":
            assert not failed.value.sent
        # On a slow machine the time may be over before the name is asked for.
        if mode == "sync" and asked.is_set():
            # Nobody uses the connection that is there at last.
            connection, _ = await asyncio.to_thread(listening.accept)
            with connection:
                connection.settimeout(PATIENCE)
                assert await asyncio.to_thread(connection.recv, 1) == b""


@pytest.mark.timeout(PATIENCE)
@modes
async def test_a_wait_ends_at_its_timeout_however_slowly_the_answers_drip(mode):
    """Status and stream alike."""

    def slow(method, path, body):
        if "job-status" in path:
            return http(b'{"job_status":"RUNNING"}')
        return drip(b"HTTP/1.1 200 OK\r\n\r\n", tail=b'{"update_type":"tokens","result":{}}\n')

    for answer in (slow, lambda *_: drip(HEAD + b"content-length: 99999\r\n\r\n")):
        with raw_server(answer) as server:
            client = SutroClient(api_url=server.url, api_key="sk_1")
            options = {"timeout": 0.3, "on_progress": lambda _: None}
            with pytest.raises(SutroJobTimeoutError):
                await call(mode, client, "follow_job", "job-1", **options)


@pytest.mark.timeout(PATIENCE)
@modes
async def test_a_download_that_drips_ends(mode):
    def storage(method, path, body):
        if "results-url" in path:
            return http(f'{{"urls":{{"get":"{server.url}/file?sig=1"}}}}'.encode())
        return drip(b'HTTP/1.1 200 OK\r\ncontent-length: 999999\r\netag: "1"\r\n\r\n')

    with raw_server(storage) as server:
        settings = resolve("sk_1", server.url)
        service = Service(settings, Policy(timeout=0.3, max_retries=1, jitter=lambda: 0.0))
        operation = download_results(service, "job-1", Download(io.BytesIO()))
        working = (
            asyncio.to_thread(run, operation, Session(settings))
            if mode == "sync"
            else arun(operation, Session(settings))
        )
        with pytest.raises(SutroTimeoutError):
            await working
    files = [path for _, path in server.requests if path.startswith("/file")]
    assert len(files) == 2, "bytes that drip do not count as progress"


@pytest.mark.timeout(PATIENCE)
def test_a_long_answer_may_take_longer_than_its_timeout_while_it_comes_fast_enough():
    class Taker:
        blocks, size = False, 0

        def start(self, status, headers):
            return True

        def write(self, piece):
            self.size += len(piece)
            return True

    def answer(*_):
        yield HEAD + b"content-length: 600000\r\n\r\n"
        for _ in range(6):
            yield b"x" * 100_000
            yield 0.15

    with raw_server(answer) as server:
        session = Session(resolve("sk_1", server.url))
        url, timeout = server.url + "/v1/x", Timeout(read=0.5)
        session.send(Request("GET", url, timeout=timeout, sink=(taker := Taker()), pace=65536))
        assert taker.size == 600_000
        with pytest.raises(SutroTimeoutError):
            session.send(Request("GET", url, timeout=timeout, sink=Taker()))


def test_a_pause_longer_than_the_timeout_is_not_slept():
    busy = http(b"{}", "429 Too Many", retry_after="60")
    with raw_server(lambda *_: busy) as server:
        client = SutroClient(api_url=server.url, api_key="sk_1", timeout=5.0)
        with pytest.raises(SutroRateLimitError) as failed:
            client.run_function("f", {"a": 1})
        assert failed.value.retry_after == 60
    assert len(server.requests) == 1


# Sizes


MIB = 2**20
SIZE = 512 * MIB


@cache
def compressed(how):
    """Half a gigabyte of nothing."""
    work = zlib.compressobj(1, wbits={"gzip": 31, "deflate": 15}[how])
    return b"".join(work.compress(bytes(MIB)) for _ in range(SIZE // MIB)) + work.flush()


def too_much(how):
    if how == "plain":
        return lambda *_: chain([HEAD + b"\r\n"], (bytes(MIB) for _ in range(SIZE // MIB)))
    return lambda *_: http(compressed(how), content_encoding=how)


@modes
@pytest.mark.parametrize("how", ["gzip", "deflate", "plain"])
@pytest.mark.parametrize(
    ("kind", "name", "args"),
    [
        ("own", "run_function", ("f", {"a": 1})),
        ("own", "fetch_results", ("job-1",)),
        ("httpx", "list_jobs", ()),
        ("httpx2", "list_jobs", ()),
    ],
)
async def test_an_answer_that_is_too_large_is_refused_before_it_is_in_memory(
    mode, kind, how, name, args
):
    options = {"rows": 3} if name == "fetch_results" else {}
    answer = too_much(how)
    with raw_server(answer) as server:
        client = SutroClient(api_url=server.url, api_key="sk_1", **clients(kind))
        tracemalloc.start()
        with pytest.raises(SutroAPIError, match="MiB"):
            await call(mode, client, name, *args, **options)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    # Other clients decode larger pieces.
    assert most < (150 if kind == "own" else 350) * MIB


@modes
@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "compress", "x"])
@pytest.mark.parametrize("kind", ["own", "httpx"])
async def test_an_encoding_that_was_not_asked_for_is_refused(mode, kind, encoding):
    with raw_server(lambda *_: http(b"{}", content_encoding=encoding)) as server:
        client = SutroClient(api_url=server.url, api_key="sk_1", **clients(kind))
        with pytest.raises(SutroAPIError, match="encoding"):
            await call(mode, client, "list_jobs")
    assert "br" not in server.heads[0]
    assert "zstd" not in server.heads[0]


@modes
async def test_of_an_error_only_the_beginning_is_read(mode):
    def endless(*_):
        yield b"HTTP/1.1 500 No\r\n\r\n" + b"x" * 300_000
        while True:
            yield b"x" * 65536

    with raw_server(endless) as server:
        client = SutroClient(api_url=server.url, api_key="sk_1", max_retries=0)
        with pytest.raises(SutroAPIError) as failed:
            await call(mode, client, "list_jobs")
    assert failed.value.status_code == 500


def test_a_closed_client_is_said_to_be_closed():
    client = httpx.Client()
    client.close()
    with pytest.raises(SutroError, match="closed"):
        SutroClient(api_url="http://localhost:1", api_key="sk_1", http_client=client).list_jobs()


@pytest.mark.parametrize(
    ("name", "client"),
    [
        ("http_client", httpx.AsyncClient()),
        ("http_async_client", httpx.Client()),
        ("http_client", object()),
        ("http_client", "https://d.example"),
    ],
)
def test_a_client_of_another_kind_is_refused_by_name(name, client):
    with pytest.raises(SutroError, match=name):
        SutroClient(api_url="http://localhost:1", api_key="sk_1", **{name: client})


@modes
async def test_errors_of_httpx2_are_those_of_this_package(mode):
    client = SutroClient(
        api_url="http://127.0.0.1:9", api_key="sk_1", max_retries=0, **clients("httpx2")
    )
    with pytest.raises(SutroConnectionError) as failed:
        await call(mode, client, "run_function", "f", {"a": 1})
    assert not failed.value.sent


def test_the_time_is_that_of_the_clock_on_the_wall():
    before = time.monotonic()
    with raw_server(lambda *_: [300]) as server, pytest.raises(SutroTimeoutError):
        SutroClient(api_url=server.url, api_key="sk_1", timeout=0.2).list_jobs()
    assert time.monotonic() - before >= 0.2


@modes
@pytest.mark.parametrize("seconds", [1e9, 1e15, 1e300])
async def test_a_timeout_longer_than_any_socket_takes_is_a_long_one(mode, seconds):
    with raw_server(lambda *_: http(b'{"jobs":[]}')) as server:
        client = SutroClient(api_url=server.url, api_key="sk_1", timeout=seconds)
        assert await call(mode, client, "list_jobs") == []
