"""Results as a file: resumed, restarted, checked, and never with the key."""

import io
import tempfile
from asyncio import CancelledError
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from langchain_sutro._core.service import private_files
from langchain_sutro._core.service import results as _results
from langchain_sutro._core.service.download import Download, download_results, results_url
from langchain_sutro._core.service.driver import Response
from langchain_sutro._core.service.exchange import Service
from langchain_sutro._core.service.private_files import remove_private
from langchain_sutro._core.service.results import PrivateFile
from langchain_sutro.errors import (
    SutroAPIError,
    SutroAuthenticationError,
    SutroConfigurationError,
    SutroConnectionError,
    SutroNotFoundError,
    SutroServerError,
)
from tests.support.script import DEPLOYMENT, HOSTED, LOST, Script, answer

STORED = "https://storage.example/results.parquet?X-Signature=secret"
URL = answer(200, {"urls": {"get": STORED}})
CUT = SutroConnectionError("cut", sent=True)
BODY = bytes(range(256)) * 4


class Storage:
    """An object; each request may be cut after so many of the bytes that it should give."""

    def __init__(self, *cuts, body=BODY, etag='"one"', ranges=True, length=True):
        self.cuts = list(cuts)
        self.body, self.etag, self.ranges, self.length = body, etag, ranges, length
        self.asked = []

    def __call__(self, request):
        assert not request.authorize, "a presigned URL gets no key"
        self.asked.append(request.headers.get("range"))
        status, headers, begin = 200, {}, 0
        if self.ranges and self.asked[-1] and request.headers["if-range"] == self.etag:
            begin = int(self.asked[-1].removeprefix("bytes=").removesuffix("-"))
            if begin >= len(self.body):
                return answer(416)
            status = 206
            headers["content-range"] = f"bytes {begin}-{len(self.body) - 1}/{len(self.body)}"
        if self.length:
            headers["content-length"] = str(len(self.body) - begin)
        if self.etag:
            headers["etag"] = self.etag
        return self.send(request.sink, status, headers, self.body[begin:])

    def send(self, sink, status, headers, body):
        cut = self.cuts.pop(0) if self.cuts else None
        assert sink.start(status, httpx.Headers(headers))
        for piece in (body[:cut][:7], body[:cut][7:]):
            if piece and not sink.write(piece):
                break
        return Response(status, httpx.Headers(headers)) if cut is None else CUT


def received(*answers, settings=DEPLOYMENT, **policy):
    script = Script(*answers, **policy)
    content = io.BytesIO()
    told = script.tell(
        download_results(Service(settings, script.policy), "job-1", Download(content))
    )
    return told, content.getvalue()


def test_a_file_is_asked_for_by_a_presigned_url_and_without_the_key():
    told, content = received(URL, Storage())
    assert told.error is None
    assert content == BODY
    first, second = told.requests
    assert first.authorize
    assert httpx.URL(first.url).path == "/v1/jobs/job-1/results-url"
    assert dict(httpx.URL(first.url).params)["format"] == "parquet"
    assert (second.url, second.authorize) == (STORED, False)
    assert second.headers == {"accept-encoding": "identity"}


@given(
    cuts=st.lists(st.integers(1, 200), max_size=10),
    etag=st.sampled_from(['"one"', 'W/"one"', None]),
    ranges=st.booleans(),
    length=st.booleans(),
    body=st.binary(max_size=300),
)
def test_a_broken_transfer_is_whole_in_the_end(cuts, etag, ranges, length, body):
    storage = Storage(*cuts, body=body, etag=etag, ranges=ranges, length=length)
    told, content = received(URL, storage, max_retries=20)
    assert told.error is None
    assert content == body


def test_a_transfer_goes_on_where_it_broke_off():
    storage = Storage(10, 20, 30)
    _, content = received(URL, storage)
    assert content == BODY
    assert storage.asked == [None, "bytes=10-", "bytes=30-", "bytes=60-"]


@pytest.mark.parametrize("storage", [Storage(10, etag=None), Storage(10, etag='W/"one"')])
def test_without_a_strong_etag_it_starts_over(storage):
    _, content = received(URL, storage)
    assert content == BODY
    assert storage.asked == [None, None]


def test_another_object_is_taken_from_its_start():
    storage = Storage(10)

    def other(request):
        storage.body, storage.etag = b"other" * 9, '"two"'
        return storage(request)

    told, content = received(URL, storage, other)
    assert told.error is None
    assert content == b"other" * 9


def part(begin, total, etag='"one"', name="content-range", unit="bytes"):
    """A continuation that says which part it is, truly or not."""

    def send(request):
        headers = {name: f"{unit} {begin}-{total - 1}/{total}", "etag": etag}
        return Storage().send(request.sink, 206, headers, b"?" * (total - begin))

    return send


@pytest.mark.parametrize(
    "wrong",
    [part(9, 1024), part(11, 1024), part(10, 1024, '"two"'), part(10, 1024, 'W/"one"'),
     part(10, 1024, ""), part(10, 1024, name="x-range"), part(10, 1024, unit="rows")],
)  # fmt: skip
def test_a_continuation_that_does_not_continue_is_thrown_away(wrong):
    told, content = received(URL, Storage(10), wrong, Storage())
    assert told.error is None
    assert content == BODY


def test_a_continuation_that_nobody_asked_for_is_thrown_away():
    told, content = received(URL, part(0, 1024), Storage())
    assert told.error is None
    assert content == BODY


def test_less_than_was_announced_is_not_the_file():
    def short(request):
        headers = {"content-length": "1024", "etag": '"one"'}
        Storage().send(request.sink, 200, headers, BODY[:100])
        return answer(200)

    told, content = received(URL, short, Storage())
    assert content == BODY
    assert told.requests[-1].headers["range"] == "bytes=100-"
    told, _ = received(URL, *[short] * 3, max_retries=2)
    assert isinstance(told.error, SutroConnectionError)


def test_a_part_of_the_rest_is_not_the_file():
    def middle(request):
        headers = {"content-range": "bytes 10-19/1024", "etag": '"one"'}
        return Storage().send(request.sink, 206, headers, BODY[10:20])

    told, content = received(URL, Storage(10, length=False), middle, Storage())
    assert told.error is None
    assert content == BODY


def test_transfers_that_do_not_move_on_end():
    told, _ = received(URL, Storage(*[0] * 99), max_retries=3)
    assert isinstance(told.error, SutroConnectionError)
    assert len(told.requests) == 1 + 4
    told, _ = received(URL, LOST, max_retries=2)
    assert len(told.requests) == 1 + 3


@pytest.mark.parametrize("storage", [Storage(*[300, 400] * 200, etag=None)])
def test_transfers_that_start_over_again_and_again_end(storage):
    told, _ = received(URL, storage, max_retries=3)
    assert isinstance(told.error, SutroConnectionError)
    assert len(told.requests) < 20


def test_transfers_that_move_on_are_not_counted():
    storage = Storage(*[10] * 50)
    told, content = received(URL, storage, max_retries=1)
    assert told.error is None
    assert content == BODY
    assert len(storage.asked) == 51


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_a_storage_that_is_busy_is_asked_again(status):
    told, content = received(URL, answer(status), Storage())
    assert told.error is None
    assert content == BODY


def test_a_storage_is_waited_for_as_long_as_it_says():
    storage = Storage()
    told, _ = received(URL, answer(503, retry_after="7"), storage)
    assert told.error is None
    assert told.pauses == [7.0]


def test_a_transfer_gives_up_reading_when_the_policy_says():
    told, _ = received(URL, Storage(), timeout=3.0)
    assert [request.timeout.read for request in told.requests] == [3.0, 3.0]


def test_a_file_that_is_all_there_already_starts_over_at_416():
    told, content = received(URL, Storage(len(BODY)), Storage())
    assert told.error is None
    assert content == BODY


def test_an_expired_url_is_replaced_and_the_file_goes_on():
    denied = answer(403, b"<Error><Code>AccessDenied</Code></Error>")
    storage = Storage(10)
    told, content = received(URL, storage, denied, URL, storage)
    assert content == BODY
    assert storage.asked == [None, "bytes=10-"]
    told, _ = received(*[URL, denied] * 4)
    assert type(told.error) is SutroAPIError, "nothing is wrong with the key"
    assert told.error.status_code == 403
    assert "key is not concerned" in str(told.error)
    assert len(told.requests) == 8


def test_a_key_that_is_refused_is_not_taken_for_an_expired_url():
    told, _ = received(answer(401))
    assert isinstance(told.error, SutroAuthenticationError)
    assert len(told.requests) == 1


def test_an_object_that_is_gone_is_an_error_without_its_url():
    told, _ = received(URL, answer(404, {"detail": f"no such object {STORED}"}))
    assert isinstance(told.error, SutroNotFoundError)
    assert "secret" not in f"{told.error!r} {vars(told.error)}"


@pytest.mark.parametrize(
    "url",
    ["http://storage.example/x", "ftp://storage.example/x", "/x", "", "file:///etc/passwd",
     "https://user@storage.example/x"],
)  # fmt: skip
def test_a_download_url_that_is_not_safe_is_refused(url):
    told, _ = received(answer(200, {"urls": {"get": url}}))
    assert type(told.error) is SutroAPIError
    assert len(told.requests) == 1
    assert not url or url not in str(told.error)


def test_a_download_url_that_is_none_is_refused():
    told, _ = received(answer(200, {"urls": {"get": "https://[storage/x"}}))
    assert type(told.error) is SutroAPIError


def test_a_storage_on_loopback_may_be_plain():
    script = Script(answer(200, {"urls": {"get": "http://127.0.0.1:9/x"}}))
    assert script.tell(results_url(Service(DEPLOYMENT, script.policy), "job-1")).error is None


@pytest.mark.parametrize("urls", [None, [], {}, {"head": STORED}, {"get": None}, {"get": 7}])
def test_an_answer_without_a_url_is_an_error(urls):
    told, _ = received(answer(200, {"urls": urls}))
    assert type(told.error) is SutroAPIError


class Hosted(Storage):
    """The hosted generation's own endpoint, which wants the key."""

    def __call__(self, request):
        assert request.authorize
        return self.send(request.sink, 200, {"content-length": str(len(self.body))}, self.body)


def test_the_hosted_generation_is_asked_directly_and_started_over():
    told, content = received(Hosted(10, 20), settings=HOSTED)
    assert told.error is None
    assert content == BODY
    assert len(told.requests) == 3
    url = httpx.URL(told.urls[0])
    assert (url.path, url.params["result_format"]) == ("/jobs/job-1/results", "parquet")
    told, _ = received(answer(500), settings=HOSTED)
    assert isinstance(told.error, SutroServerError)


@pytest.mark.parametrize("as_file", [True, False])
@pytest.mark.parametrize(
    "trouble",
    [answer(401), KeyboardInterrupt(), CancelledError(), SystemExit(), OSError(28, "disk full")],
    ids=repr,
)
def test_results_that_cannot_be_fetched_say_their_job(as_file, trouble):
    script = Script(trouble, lag_seconds=0.0)
    options = {"include_inputs": False, "include_cumulative_logprobs": False}
    target = Download(io.BytesIO()) if as_file else None
    service = Service(DEPLOYMENT, script.policy)
    told = script.tell(_results.fetch_results(service, "job-1", target, options))
    assert "job-1" in f"{told.error} {getattr(told.error, '__notes__', '')}"


# The file


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where temporary files are made."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture(params=["without a name", "with a name"])
def named(request, monkeypatch):
    """Whether files have a name: where they can, they have none."""
    if request.param == "with a name":
        monkeypatch.setattr(private_files, "_MOST", 0)
    elif not private_files._OPEN_FILES.is_dir():
        pytest.skip("this system opens no files without a name")
    return request.param == "with a name"


def test_a_file_that_is_kept_stays_until_it_is_removed(folder, named):
    with PrivateFile() as target:
        target.start(200, {"etag": '"x"'})
        target.write(b"rows")
        path = target.keep()
    assert list(folder.iterdir()) == ([path] if named else [])
    with PrivateFile():
        assert len(list(folder.iterdir())) == (2 if named else 0)
    assert path.read_bytes() == path.read_bytes() == b"rows"
    remove_private(path)
    assert not path.exists()
    with (folder / "another").open("wb"):
        # It may have the number of the one that was removed.
        remove_private(path)


async def test_a_file_whose_new_owner_never_came_goes(folder, named):
    def interrupted():
        with PrivateFile() as target:
            target.keep()
            raise KeyboardInterrupt

    async def cancelled():
        async with PrivateFile() as target:
            target.keep()
            raise CancelledError

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    with pytest.raises(CancelledError):
        await cancelled()
    assert list(folder.iterdir()) == []


def test_a_file_that_is_lost_before_it_is_used_goes(folder, named):
    PrivateFile()
    assert list(folder.iterdir()) == []


# Where JSON is what is left

RESULTS = answer(200, {"results": {"outputs": ["a"]}})
OPTIONS = {"include_inputs": False, "include_cumulative_logprobs": False}


def fetched(*answers, **policy):
    """The results by a file, from a service that has none."""
    target = Download(io.BytesIO())
    script = Script(*answers, **{"max_retries": 0, "lag_seconds": 5.0, **policy})
    service = Service(DEPLOYMENT, script.policy)
    return script.tell(_results.fetch_results(service, "job-1", target, OPTIONS))


@pytest.mark.parametrize("status", [400, 404, 405, 410, 422, 500, 501, 503])
def test_results_without_a_file_come_as_json(status, caplog):
    told = fetched(answer(status), RESULTS)
    assert told.result == {"outputs": ["a"]}
    assert [request.method for request in told.requests] == ["GET", "POST"]
    assert told.requests[1].url.endswith("/job-results")
    assert "job-1" in caplog.text


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
def test_results_whose_storage_refuses_come_as_json(status):
    told = fetched(*[URL, answer(status)] * 4, RESULTS)
    assert told.result == {"outputs": ["a"]}


@pytest.mark.parametrize("status", [401, 403, 429])
def test_what_holds_for_every_call_is_not_asked_again_another_way(status):
    told = fetched(answer(status))
    assert told.error.status_code == status
    assert len(told.requests) == 1


def test_results_that_lag_are_waited_for_in_both_forms():
    told = fetched(answer(409), answer(404), answer(404), answer(404), RESULTS)
    assert told.result == {"outputs": ["a"]}
    assert len(told.requests) == 5


def test_a_service_that_knows_no_json_says_why_there_is_no_file():
    told = fetched(answer(500, {"detail": "no disk"}), answer(405), lag_seconds=0.0)
    assert told.error.status_code == 500
    assert "no disk" in str(told.error)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no disk that is always full")
@pytest.mark.parametrize("buffering", [0, -1])
def test_a_full_disk_is_an_error_that_says_what_to_do(monkeypatch, buffering):
    with Path("/dev/full").open("wb", buffering=buffering) as full:
        monkeypatch.setattr(_results, "open_private", lambda: (full, None))
        with PrivateFile() as target:
            target._fits = True
            with pytest.raises(SutroConfigurationError, match="TMPDIR"):
                # A buffered file notices where it is closed.
                target.write(b"piece") and target.keep()


def test_no_folder_for_temporary_files_is_an_error_that_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    with pytest.raises(SutroConfigurationError, match="TMPDIR"):
        PrivateFile()
