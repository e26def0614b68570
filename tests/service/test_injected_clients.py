"""What a caller's HTTP client adds to requests is for the deployment, and never for a storage."""

import asyncio
import io
import logging

import pytest

from langchain_sutro import SutroClient, SutroJob
from langchain_sutro._core.service.download import Download, download_results
from langchain_sutro._core.service.driver import Session, arun, run
from langchain_sutro._core.service.exchange import Policy, Service
from langchain_sutro._core.service.settings import resolve
from tests.support.calls import modes
from tests.support.raw_server import http, raw_server
from tests.support.secrets import PRESIGNED

MINE = {
    "headers": {"x-mine": "mine-header"},
    "cookies": {"mine": "mine-cookie"},
    "params": {"mine": "mine-param", "X-Amz-Signature": "mine", "cursor": "mine"},
    "auth": ("mine-user", "mine-password"),
    "base_url": "https://mine.example/base",
}


def clients(library, hooked):
    module = pytest.importorskip(library)

    async def ahook(request):
        hooked.append(str(request.url))

    return (
        module.Client(**MINE, event_hooks={"request": [lambda r: hooked.append(str(r.url))]}),
        module.AsyncClient(**MINE, event_hooks={"request": [ahook]}),
    )


@modes
@pytest.mark.parametrize("library", ["httpx", "httpx2"])
async def test_a_storage_gets_nothing_of_the_callers_client(mode, library, caplog):
    caplog.set_level(logging.DEBUG)
    hooked = []

    def answer(method, path, body):
        if "results-url" in path:
            query = PRESIGNED["aws"]("deadbeefcafe").partition("?")[2]
            return http(f'{{"urls":{{"get":"{server.url}/file?{query}"}}}}'.encode())
        return http(b"PAR1", set_cookie="mine=other", x_amz_meta="deadbeefcafe")

    with raw_server(answer) as server:
        settings = resolve("sk_very_secret", server.url)
        session = Session(settings, *clients(library, hooked))
        target = Download(io.BytesIO())
        operation = download_results(Service(settings, Policy()), "job-1", target)
        await (
            asyncio.to_thread(run, operation, session)
            if mode == "sync"
            else arun(operation, session)
        )
    asked, file = server.heads
    assert "x-mine: mine-header" in asked
    assert "mine-cookie" in asked
    assert "mine=mine-param" in asked
    assert "include_inputs=false" in asked
    assert "authorization: key sk_very_secret" in asked
    assert "mine" not in file
    assert "authorization" not in file
    assert "cookie" not in file
    assert server.requests[1][1].endswith("X-Amz-Signature=deadbeefcafe")
    assert len(hooked) == 1
    assert "deadbeef" not in caplog.text
    assert "very_secret" not in caplog.text
    assert f"{library}" in {record.name for record in caplog.records}


@modes
@pytest.mark.parametrize("library", ["httpx", "httpx2"])
async def test_default_parameters_do_not_replace_the_cursor(mode, library):
    pages = iter([b'{"jobs":[],"next_cursor":"a&b=c"}', b'{"jobs":[]}'])
    with raw_server(lambda *_: http(next(pages))) as server:
        client, async_client = clients(library, [])
        sutro = SutroClient(
            api_url=server.url,
            api_key="sk_1",
            http_client=client,
            http_async_client=async_client,
        )
        if mode == "sync":
            await asyncio.to_thread(SutroJob.find, "0" * 32, client=sutro)
        else:
            await SutroJob.afind("0" * 32, client=sutro)
    second = server.requests[1][1]
    assert "cursor=a%26b%3Dc" in second
    assert "cursor=mine" not in second
    assert "mine=mine-param" in second


@modes
@pytest.mark.parametrize("kind", ["own", "httpx", "httpx2"])
async def test_what_libraries_log_has_no_secrets_of_answers(mode, kind, caplog):
    caplog.set_level(logging.DEBUG)
    url = PRESIGNED["google"]("deadbeefcafe")
    moved = http(b"{}", "302 Found", location=url, x_echo="Key sk_very_secret")
    given = (
        {}
        if kind == "own"
        else dict(zip(("http_client", "http_async_client"), clients(kind, []), strict=True))
    )
    with raw_server(lambda *_: moved) as server:
        client = SutroClient(api_url=server.url, api_key="sk_very_secret", **given)
        with pytest.raises(Exception, match="302"):
            await (asyncio.to_thread(client.list_jobs) if mode == "sync" else client.alist_jobs())
    assert "receive_response_headers.complete" in caplog.text
    assert "deadbeef" not in caplog.text
    assert "very_secret" not in caplog.text


def test_other_requests_of_the_same_library_are_logged_as_ever(caplog):
    import httpx

    caplog.set_level(logging.INFO)
    with raw_server(lambda *_: http()) as server, httpx.Client() as client:
        client.get(f"{server.url}/x?token=mine")
    assert "?token=mine" in caplog.text
