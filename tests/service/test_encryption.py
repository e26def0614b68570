"""Encrypted connections, direct and through proxies, from threads and two kinds of event loops."""

import asyncio
import socket
import ssl
import threading

import orjson
import pytest
import trustme

from langchain_sutro._core.service import connections, surroundings
from langchain_sutro._core.service.connections import StackTransport
from langchain_sutro._core.service.driver import Request, Session
from langchain_sutro.errors import SutroConnectionError
from tests.support.proxies import PASSWORD, USER, proxy
from tests.support.wire import wire

LARGE = 3 * 2**20
modes = pytest.mark.parametrize("mode", ["threads", "asyncio", "uvloop"])


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture(autouse=True)
def _trusted(authority, monkeypatch, tmp_path):
    """Only this authority, by the variable that its users set, and connections of this test."""
    path = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(path)
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    for name in ("http", "https", "all", "no"):
        for spelled in (f"{name}_proxy", f"{name}_proxy".upper()):
            monkeypatch.delenv(spelled, raising=False)
    surroundings.tls.cache_clear()
    pool = StackTransport()
    monkeypatch.setattr(connections, "_shared", pool)
    yield
    pool.close()
    surroundings.tls.cache_clear()


def context(authority, name="127.0.0.1"):
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(made)
    return made


@pytest.fixture
def server(authority):
    with wire(context(authority)) as running:
        yield running


async def three(session, request):
    return [await session.asend(request) for _ in range(3)]


def on_uvloop(session, request):
    uvloop = pytest.importorskip("uvloop")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(three(session, request))


async def sent(mode, session, request):
    """The connections on which three requests arrived, one after the other."""
    if mode == "asyncio":
        answers = await three(session, request)
    elif mode == "uvloop":
        answers = await asyncio.to_thread(on_uvloop, session, request)
    else:
        answers = [await asyncio.to_thread(session.send, request) for _ in range(3)]
    return [orjson.loads(answer.content)["connection"] for answer in answers]


@modes
async def test_a_plain_connection_is_used_again(mode):
    body = b"x" * LARGE
    with wire() as server:
        request = Request("POST", server.url + "/v1/x", body)
        assert await sent(mode, Session(server.settings), request) == [0, 0, 0]
        assert {arrived for *_, arrived in server.requests} == {body}


@modes
async def test_an_encrypted_connection_is_used_again(mode, server):
    body = b"x" * LARGE
    request = Request("POST", server.url + "/v1/x", body)
    assert await sent(mode, Session(server.settings), request) == [0, 0, 0]
    assert {arrived for *_, arrived in server.requests} == {body}


@modes
@pytest.mark.parametrize("encrypted", [False, True])
async def test_a_proxy_tunnels_an_encrypted_connection(
    mode, encrypted, server, authority, monkeypatch
):
    with proxy(encryption=context(authority) if encrypted else None) as (url, asked):
        monkeypatch.setenv("https_proxy", url)
        # This machine would not ask a proxy for itself.
        monkeypatch.setattr(surroundings, "proxy_bypass", lambda _: False)
        request = Request("POST", server.url + "/v1/x", b"x" * LARGE)
        assert await sent(mode, Session(server.settings), request) == [0, 0, 0]
        assert asked == [(f"127.0.0.1:{server.server_port}", "Basic bWU6aHVudGVyMg==")]
        headers = server.requests[0][2]
        assert "proxy-authorization" not in headers


@modes
@pytest.mark.parametrize("encrypted", [False, True])
async def test_a_socks_proxy_tunnels_any_connection(mode, encrypted, authority, monkeypatch):
    body = b"x" * LARGE
    with (
        proxy("socks5") as (url, asked),
        wire(context(authority) if encrypted else None) as server,
    ):
        monkeypatch.setenv("all_proxy", url)
        monkeypatch.setattr(surroundings, "proxy_bypass", lambda _: False)
        request = Request("POST", server.url + "/v1/x", body)
        assert await sent(mode, Session(server.settings), request) == [0, 0, 0]
        assert asked == [(f"127.0.0.1:{server.server_port}", f"{USER}:{PASSWORD}")]
        assert {arrived for *_, arrived in server.requests} == {body}


@modes
@pytest.mark.parametrize("wrong", ["authority", "name"])
async def test_a_server_that_nobody_vouches_for_is_sent_nothing(mode, wrong, authority):
    stranger = trustme.CA() if wrong == "authority" else authority
    name = "127.0.0.1" if wrong == "authority" else "elsewhere.example"
    with wire(context(stranger, name)) as server:
        request = Request("POST", server.url + "/v1/x", b"secret")
        with pytest.raises(SutroConnectionError, match="CERTIFICATE_VERIFY_FAILED") as raised:
            await sent(mode, Session(server.settings), request)
        assert raised.value.sent is False
        assert not server.requests


@modes
async def test_a_server_that_ends_in_the_handshake_was_sent_nothing(mode):
    with socket.create_server(("127.0.0.1", 0)) as listening, wire() as server:

        def end():
            with listening.accept()[0] as arrived:
                arrived.recv(100)

        ending = threading.Thread(target=end)
        ending.start()
        port = listening.getsockname()[1]
        request = Request("GET", f"https://127.0.0.1:{port}/", authorize=False)
        with pytest.raises(SutroConnectionError) as raised:
            await sent(mode, Session(server.settings), request)
        ending.join()
        assert raised.value.sent is False


@modes
async def test_an_encrypted_answer_that_ends_too_early_is_an_error(mode, server):
    request = Request("POST", server.url + "/v1/cut", b"{}")
    with pytest.raises(SutroConnectionError) as raised:
        await sent(mode, Session(server.settings), request)
    assert raised.value.sent is True
