"""What is sent says no more than it must, and every failure tells what may have happened."""

import ssl
import threading
from collections.abc import Iterator
from types import SimpleNamespace

import httpx
import pytest
from pydantic import SecretStr

from langchain_sutro._core.service.driver import Request, Session, Timeout
from langchain_sutro._core.service.settings import Settings
from langchain_sutro._core.version import __version__
from langchain_sutro.errors import (
    SutroConfigurationError,
    SutroConnectionError,
    SutroTimeoutError,
)
from tests.support.calls import modes
from tests.support.transport import SETTINGS, Recorder, get
from tests.support.wire import wire

HOSTED = Settings("hosted", "https://api.example", "https://serve.example", SecretStr("sk_1"))
PRESIGNED = "https://storage.example/a/b?X-Signature=secret"


@pytest.fixture
def server():
    with wire() as running:
        yield running


async def send(mode, session, request):
    return session.send(request) if mode == "sync" else await session.asend(request)


# What is said


@modes
async def test_a_request_to_the_service_carries_the_key_and_who_asks(mode, server):
    request = Request("POST", server.url + "/v1/x", b'{"a":1}', headers={"x-more": "1"})
    await send(mode, Session(server.settings), request)
    method, path, headers, body = server.requests[0]
    assert (method, path, body) == ("POST", "/v1/x", b'{"a":1}')
    assert headers["authorization"] == "Key sk_wire"
    assert headers["user-agent"] == f"langchain-sutro/{__version__}"
    assert headers["content-type"] == "application/json"
    assert headers["x-more"] == "1"
    assert "cookie" not in headers


@modes
@pytest.mark.parametrize("options", [{}, {"headers": {"Authorization": "Bearer mine"}}])
async def test_a_presigned_url_gets_no_authorization(mode, options):
    transport = Recorder()
    session = transport.session(**options, auth=("user", "password"))
    await send(mode, session, get(PRESIGNED, authorize=False))
    assert str(transport.seen[0].url) == PRESIGNED
    assert "authorization" not in transport.seen[0].headers


@modes
async def test_a_presigned_url_gets_no_authorization_on_our_own_connections(mode, server):
    await send(mode, Session(SETTINGS), get(server.url + "/x?sig=1", authorize=False))
    assert "authorization" not in server.requests[0][2]


@modes
@pytest.mark.parametrize(
    "url",
    ["https://evil.example/v1/x", "http://d.example/v1/x", "https://d.example:444/v1/x",
     "https://d.example.evil.example/v1", "https://serve.example/v1/x", PRESIGNED],
)  # fmt: skip
async def test_the_key_goes_to_no_other_origin(mode, url):
    transport = Recorder()
    with pytest.raises(SutroConfigurationError) as failed:
        await send(mode, transport.session(), get(url))
    assert transport.seen == []
    assert "secret" not in str(failed.value)


@modes
async def test_the_hosted_generation_has_two_origins(mode):
    transport = Recorder()
    for url in ("https://api.example/list-jobs", "https://serve.example/functions/run"):
        await send(mode, transport.session(HOSTED), get(url))
    assert all(r.headers["authorization"] == "Key sk_1" for r in transport.seen)


@modes
async def test_a_redirect_is_an_answer(mode, server):
    client, async_client = (
        kind(follow_redirects=True) for kind in (httpx.Client, httpx.AsyncClient)
    )
    for session in (Session(server.settings), Session(server.settings, client, async_client)):
        assert (await send(mode, session, get(server.url + "/v1/away"))).status == 302
    assert [path for _, path, _, _ in server.requests] == ["/v1/away"] * 2
    client.close()
    await async_client.aclose()


@modes
async def test_the_callers_client_is_used_as_it_is_and_left_open(mode):
    transport = Recorder()
    hooked = []

    def hook(request):
        hooked.append(request.url.path)

    async def ahook(request):
        hooked.append(request.url.path)

    client = httpx.Client(
        transport=transport, headers={"x-mine": "1"}, event_hooks={"request": [hook]}
    )
    async_client = httpx.AsyncClient(
        transport=transport, headers={"x-mine": "1"}, event_hooks={"request": [ahook]}
    )
    session = Session(SETTINGS, client, async_client)
    for _ in range(3):
        await send(mode, session, get())
    assert len(transport.seen) == 3
    assert hooked == ["/v1/x"] * 3
    for request in transport.seen:
        assert request.headers["x-mine"] == "1"
        assert request.headers["authorization"] == "Key sk_1"
    del session
    assert not client.is_closed
    assert not async_client.is_closed


@modes
@pytest.mark.parametrize("injected", [True, False])
async def test_the_keys_header_is_not_the_users_own(mode, injected, server, monkeypatch, tmp_path):
    """A netrc entry for the host replaces the key in clients that look there."""
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password mine")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    clients = (httpx.Client(), httpx.AsyncClient()) if injected else ()
    await send(mode, Session(server.settings, *clients), get(server.url + "/v1/x"))
    assert server.requests[0][2]["authorization"] == "Key sk_wire"


@modes
async def test_every_request_has_its_timeouts(mode):
    transport = Recorder()
    session = transport.session(timeout=None)
    for timeout in (Timeout(), Timeout(read=None, connect=1.0, write=2.0)):
        await send(mode, session, get(timeout=timeout))
    assert [request.extensions["timeout"] for request in transport.seen] == [
        {"connect": 10.0, "read": 60.0, "write": 60.0, "pool": 10.0},
        {"connect": 1.0, "read": None, "write": 2.0, "pool": 1.0},
    ]


# Bodies


class Pieces:
    """A body of pieces that can be read again."""

    size = 30

    def __init__(self) -> None:
        self.reads = 0

    def pieces(self) -> Iterator[bytes]:
        self.reads += 1
        yield from (b"0123456789",) * 3


@modes
async def test_a_body_of_pieces_is_sent_with_its_length_and_again(mode, server):
    body = Pieces()
    session = Session(server.settings)
    for _ in range(2):
        await send(mode, session, Request("POST", server.url + "/v1/x", body))
    assert [body for _, _, _, body in server.requests] == [b"0123456789" * 3] * 2
    assert {headers["content-length"] for _, _, headers, _ in server.requests} == {"30"}
    assert all("transfer-encoding" not in headers for _, _, headers, _ in server.requests)
    assert body.reads == 2


class Taker:
    """A sink that remembers."""

    def __init__(self, *, takes=True, most=99, blocks=False):
        self.takes, self.most, self.blocks = takes, most, blocks
        self.started = []
        self.pieces = []
        self.threads = set()

    def start(self, status, headers):
        self.started.append((status, headers.get("content-length")))
        return self.takes

    def write(self, piece):
        self.pieces.append(piece)
        self.threads.add(threading.get_ident())
        return len(self.pieces) < self.most


class Drops(httpx.SyncByteStream, httpx.AsyncByteStream):
    def __iter__(self):
        yield from (b"one", b"two", b"three")

    async def __aiter__(self):
        for piece in self:
            yield piece


def drops(_):
    return httpx.Response(200, stream=Drops())


@modes
@pytest.mark.parametrize("blocks", [False, True])
async def test_a_sink_takes_the_body_piece_by_piece(mode, blocks):
    sink = Taker(blocks=blocks)
    answer = await send(mode, Recorder(drops).session(), get(sink=sink))
    assert sink.pieces == [b"one", b"two", b"three"]
    assert answer.content == b""
    assert sink.started == [(200, None)]
    beside = mode == "async" and blocks
    assert (sink.threads == {threading.get_ident()}) != beside


@modes
async def test_a_sink_may_end_the_body_or_not_want_it(mode):
    sink = Taker(most=2)
    await send(mode, Recorder(drops).session(), get(sink=sink))
    assert sink.pieces == [b"one", b"two"]
    sink = Taker(takes=False)
    answer = await send(mode, Recorder(drops).session(), get(sink=sink))
    assert (sink.pieces, answer.content) == ([], b"onetwothree")


@modes
async def test_what_a_sink_raises_reaches_the_operation(mode):
    class Offended(Taker):
        def write(self, piece):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await send(mode, Recorder(drops).session(), get(sink=Offended()))


# Failures


@modes
@pytest.mark.parametrize(
    ("failure", "error", "sent"),
    [
        (httpx.ConnectError, SutroConnectionError, False),
        (httpx.ConnectTimeout, SutroTimeoutError, False),
        (httpx.PoolTimeout, SutroTimeoutError, False),
        (httpx.ProxyError, SutroConnectionError, False),
        (httpx.UnsupportedProtocol, SutroConnectionError, False),
        (httpx.ReadTimeout, SutroTimeoutError, True),
        (httpx.WriteTimeout, SutroTimeoutError, True),
        (httpx.ReadError, SutroConnectionError, True),
        (httpx.WriteError, SutroConnectionError, True),
        (httpx.CloseError, SutroConnectionError, True),
        (httpx.RemoteProtocolError, SutroConnectionError, True),
        (httpx.DecodingError, SutroConnectionError, True),
        (httpx.TooManyRedirects, SutroConnectionError, True),
    ],
)
async def test_each_failure_tells_whether_the_service_may_have_acted(mode, failure, error, sent):
    def fail(_):
        raise failure("why")

    with pytest.raises(error) as failed:
        await send(mode, Recorder(fail).session(), get(PRESIGNED, authorize=False))
    assert type(failed.value) is error
    assert failed.value.sent is sent
    assert "storage.example" in str(failed.value)
    assert "secret" not in f"{failed.value}{vars(failed.value)}"
    assert failed.value.__cause__ is None
    assert failed.value.__suppress_context__


def by_aiohttp(name):
    """A failure as httpx-aiohttp raises it: what it was stands behind it."""
    aiohttp = pytest.importorskip("aiohttp")
    key = SimpleNamespace(host="d.example", port=443, is_ssl=True, ssl=True)
    failure, cause = {
        "dropped": (httpx.ConnectTimeout, aiohttp.ServerDisconnectedError()),
        "reset": (httpx.ConnectTimeout, aiohttp.ClientOSError(104, "Connection reset by peer")),
        "refused": (httpx.ConnectError, aiohttp.ClientConnectorError(key, OSError(111, "refused"))),
        "too late": (httpx.ConnectTimeout, aiohttp.ConnectionTimeoutError()),
    }[name]

    def fail(_):
        raise failure(str(cause)) from cause

    return fail


@modes
@pytest.mark.parametrize(
    ("name", "error", "sent"),
    [
        ("dropped", SutroConnectionError, True),
        ("reset", SutroConnectionError, True),
        ("refused", SutroConnectionError, False),
        ("too late", SutroTimeoutError, False),
    ],
)
async def test_a_break_that_aiohttps_transport_calls_a_failure_to_connect_was_sent(
    mode, name, error, sent
):
    with pytest.raises(SutroConnectionError) as failed:
        await send(mode, Recorder(by_aiohttp(name)).session(), get())
    assert type(failed.value) is error
    assert failed.value.sent is sent


@modes
async def test_what_aiohttps_transport_lets_through_is_an_error_of_the_tree(mode):
    aiohttp = pytest.importorskip("aiohttp")

    def fail(_):
        raise aiohttp.ClientPayloadError(f"400, url={PRESIGNED!r}")

    with pytest.raises(SutroConnectionError) as failed:
        await send(mode, Recorder(fail).session(), get(PRESIGNED, authorize=False))
    assert failed.value.sent
    assert "secret" not in f"{failed.value}{vars(failed.value)}"


@modes
async def test_a_broken_encryption_is_an_error_of_the_tree(mode):
    """The asynchronous transport of httpx lets it through as it is."""

    def fail(_):
        raise ssl.SSLError("decryption failed or bad record mac")

    with pytest.raises(SutroConnectionError) as failed:
        await send(mode, Recorder(fail).session(), get())
    assert failed.value.sent


@modes
async def test_a_refused_connection_was_never_sent(mode):
    with wire() as gone:
        pass
    with pytest.raises(SutroConnectionError) as failed:
        await send(mode, Session(gone.settings), get(gone.url + "/v1/x"))
    assert not failed.value.sent


@modes
@pytest.mark.parametrize("path", ["cut", "drop", "hang"])
async def test_what_breaks_after_the_request_may_have_been_carried_out(mode, path, server):
    request = get(f"{server.url}/v1/{path}", timeout=Timeout(read=0.2 if path == "hang" else 20))
    with pytest.raises(SutroConnectionError) as failed:
        await send(mode, Session(server.settings), request)
    assert failed.value.sent
    assert isinstance(failed.value, SutroTimeoutError) == (path == "hang")
    assert len(server.requests) == 1, "nothing is repeated behind the operation's back"


@modes
async def test_a_url_that_cannot_be_sent_is_an_error_of_the_tree(mode):
    for session in (Session(SETTINGS), Recorder().session()):
        with pytest.raises(SutroConnectionError) as failed:
            await send(mode, session, get("https://storage.example/\x00?secret", authorize=False))
        assert not failed.value.sent
        assert "secret" not in str(failed.value)
