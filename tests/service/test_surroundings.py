"""What the environment names wrongly is said with the variable's name and the remedy."""

import asyncio

import pytest

from langchain_sutro import SutroClient
from langchain_sutro._core.service import surroundings
from langchain_sutro.errors import SutroConfigurationError
from tests.support.calls import modes

URL = "https://sutro.invalid"


@pytest.fixture(autouse=True)
def _fresh(monkeypatch):
    surroundings.tls.cache_clear()
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("http", "https", "all", "no"):
        for spelled in (f"{name}_proxy", f"{name}_proxy".upper()):
            monkeypatch.delenv(spelled, raising=False)
    yield
    surroundings.tls.cache_clear()


async def refused(mode, url=URL):
    client = SutroClient(api_url=url, api_key="sk_1", max_retries=0)
    with pytest.raises(SutroConfigurationError) as failed:
        await (asyncio.to_thread(client.list_jobs) if mode == "sync" else client.alist_jobs())
    return str(failed.value)


@modes
@pytest.mark.parametrize("what", ["missing", "folder", "empty", "garbage"])
async def test_a_stale_certificate_file_is_named(mode, what, monkeypatch, tmp_path):
    place = tmp_path / "ca.pem"
    if what == "folder":
        place.mkdir()
    elif what != "missing":
        place.write_bytes(b"" if what == "empty" else b"\xff certificates")
    monkeypatch.setenv("SSL_CERT_FILE", str(place))
    said = await refused(mode)
    assert "SSL_CERT_FILE" in said
    assert str(place) in said
    assert "unset" in said


@modes
@pytest.mark.parametrize("what", ["missing", "empty", "file"])
async def test_a_stale_certificate_folder_is_named(mode, what, monkeypatch, tmp_path):
    place = tmp_path / "certs"
    if what == "empty":
        place.mkdir()
    elif what == "file":
        place.write_text("no folder")
    monkeypatch.setenv("SSL_CERT_DIR", str(place))
    said = await refused(mode)
    assert "SSL_CERT_DIR" in said
    assert "unset" in said


@modes
async def test_a_key_log_that_cannot_be_written_is_named(mode, monkeypatch, tmp_path):
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "none" / "keys"))
    assert "SSLKEYLOGFILE" in await refused(mode)


@modes
@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"])
@pytest.mark.parametrize("scheme", ["socks5", "socks5h"])
async def test_a_socks_proxy_without_its_library_says_what_to_install(
    mode, variable, scheme, monkeypatch
):
    monkeypatch.setattr(surroundings, "find_spec", lambda _: None)
    monkeypatch.setenv(variable, f"{scheme}://me:hunter2@127.0.0.1:1080")
    said = await refused(mode)
    assert variable in said
    assert "httpx[socks]" in said
    assert "hunter2" not in said


@modes
@pytest.mark.parametrize(
    "proxy",
    ["http://", "http://me:hunter2@", "http://h:99999", "http://h:x", "ftp://h:1", "socks4://h:1",
     "http://a..b:1", "http://[::1", "http://:8080", "://h", "http://h:0"],
)  # fmt: skip
async def test_a_malformed_proxy_is_named(mode, proxy, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    said = await refused(mode)
    assert "HTTPS_PROXY" in said
    assert "hunter2" not in said
    # What needs no proxy is not held up by it.
    monkeypatch.setenv("NO_PROXY", "sutro.invalid")
    with pytest.raises(Exception, match=r"sutro\.invalid"):
        SutroClient(api_url=URL, api_key="sk_1", max_retries=0).list_jobs()


@pytest.mark.parametrize("url", ["https://a..b", "https://.a", f"https://{'a' * 64}.b"])
def test_a_host_that_is_no_name_is_refused_when_the_client_is_made(url):
    with pytest.raises(SutroConfigurationError, match="host"):
        SutroClient(api_url=url, api_key="sk_1")
