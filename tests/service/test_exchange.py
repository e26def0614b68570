"""What is asked, what is repeated, and what an answer means; without a network."""

import json
import pickle
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from urllib.parse import quote, unquote

import httpx
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from langchain_sutro._core.service import download, jobs
from langchain_sutro._core.service import runs as _runs
from langchain_sutro._core.service import watch as _watch
from langchain_sutro._core.service.driver import Request
from langchain_sutro._core.service.exchange import (
    Pacer,
    Repeat,
    Service,
    api_error,
    endpoint,
    send_request,
)
from langchain_sutro.errors import (
    SutroAPIError,
    SutroAuthenticationError,
    SutroConfigurationError,
    SutroConflictError,
    SutroInputError,
    SutroNotFoundError,
    SutroPermissionError,
    SutroRateLimitError,
    SutroServerError,
    SutroTimeoutError,
    SutroValidationError,
)
from tests.support.answers import HTML, JSON
from tests.support.script import DEPLOYMENT, HOSTED, KEY, LOST, REFUSED, Script, answer
from tests.support.secrets import PRESIGNED

# Answers that hold the words which are looked for, with values of any kind.
FIELDS = st.sampled_from(
    ["detail", "code", "request_id", "error", "message", "retry_after", "jobs", "next_cursor",
     "job_status", "job", "quotas", "results", "outputs", "urls", "get", "output", "loc", "msg"]
)  # fmt: skip
ANSWERS = st.dictionaries(FIELDS, JSON | st.dictionaries(FIELDS, JSON, max_size=3), max_size=5)
BODIES = st.binary() | (JSON | ANSWERS).map(orjson.dumps)


def read():
    return Request("GET", "https://d.example/v1/x")


def asked(script, repeat=Repeat.READ):
    return script.tell(send_request(Service(DEPLOYMENT, script.policy), read(), repeat))


# Errors


@pytest.mark.parametrize(
    ("status", "cls"),
    [
        (400, SutroValidationError), (401, SutroAuthenticationError),
        (403, SutroPermissionError), (404, SutroNotFoundError), (409, SutroConflictError),
        (413, SutroValidationError), (422, SutroValidationError), (429, SutroRateLimitError),
        (500, SutroServerError), (502, SutroServerError), (524, SutroServerError),
        (599, SutroServerError), (302, SutroAPIError), (405, SutroAPIError), (410, SutroAPIError),
        (418, SutroAPIError), (204, SutroAPIError),
    ],
)  # fmt: skip
def test_each_status_is_its_error(status, cls):
    error = api_error(answer(status, {"detail": "why"}), DEPLOYMENT)
    assert type(error) is cls
    assert error.status_code == status
    assert str(status) in str(error)
    assert "why" in str(error)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"detail": "no region", "code": "invalid_input", "request_id": "rt_1"}, "no region"),
        ({"detail": [{"loc": ["body", "inputs", 0], "msg": "missing"}]}, "body.inputs.0: missing"),
        ({"detail": [{"msg": "missing"}, "odd", 7]}, "missing; odd; 7"),
        ({"detail": {"message": "no region", "input": "private"}}, "no region"),
        ({"detail": {"why": 1}}, '{"why":1}'),
        ({"error": "broken"}, "broken"),
        ({"message": "gone"}, "gone"),
        ({"error": "broken", "details": "no disk"}, "broken: no disk"),
        ({"detail": "broken", "details": [{"msg": "no disk"}]}, "broken: no disk"),
        ({"details": {"why": 1}}, '{"why":1}'),
        ({"error": "a\r\nb", "details": None}, "a\\r\\nb"),
        ({}, "no explanation"),
        ({"detail": None}, "no explanation"),
        ("text", "text"),
        (["a", "b"], "a; b"),
        (HTML, "HTML page"),
        (b"  <!DOCTYPE html>", "HTML page"),
        (b"", "empty body"),
        (b'{"detail":"trunc', "not the JSON object"),
        (b"\xff\xfe", "not the JSON object"),
    ],
)
def test_whatever_the_body_is_its_explanation_is_in_the_error(body, said):
    assert said in str(api_error(answer(422, body), DEPLOYMENT))


def test_the_facts_of_an_error_are_attributes():
    body = {"detail": "no region", "code": "invalid_input", "request_id": "rt_1"}
    error = api_error(answer(422, body, retry_after="3"), DEPLOYMENT)
    assert (error.code, error.detail, error.request_id) == ("invalid_input", "no region", "rt_1")
    assert error.retry_after == 3.0
    assert "invalid_input" in str(error)


def test_an_error_carries_neither_the_key_nor_a_signature():
    said = f"bad key {KEY} for https://storage.example/a/b?X-Signature=abc&t=1 and {KEY}"
    for body in ({"detail": said}, {"detail": [said]}, {"detail": {"x": said}}, said):
        error = api_error(answer(403, body), DEPLOYMENT)
        assert KEY not in str(error) + str(vars(error))
        assert "X-Signature" not in str(error) + str(vars(error))
        assert "https://storage.example/a/b" in str(error)


@pytest.mark.parametrize("name", ["detail", "details", "error", "message", "code", "request_id"])
@pytest.mark.parametrize("cloud", PRESIGNED)
def test_whatever_field_a_secret_is_in_the_error_does_not_have_it(name, cloud):
    url = PRESIGNED[cloud]("deadbeefcafe")
    for said in (f"{KEY} {url}", f"{KEY.upper()}\n{quote(url, safe='')}"):
        for value in (said, [said], [{"msg": said, "loc": [said]}], {"x": said}):
            error = api_error(answer(500, {name: value}), DEPLOYMENT)
            for shown in (str(error), repr(error), repr(vars(error)), repr(pickle.dumps(error))):
                assert "very_secret" not in shown.lower()
                assert "deadbeef" not in shown
                assert "\n" not in str(error)


@pytest.mark.parametrize("body", [b"x" * 10**7, b"<html>" * 10**6, {"detail": "x" * 10**7}])
def test_a_huge_body_makes_a_short_message(body):
    assert len(str(api_error(answer(500, body), DEPLOYMENT))) < 1000


def test_a_huge_code_makes_a_short_message():
    assert len(str(api_error(answer(500, {"code": "x" * 10**6}), DEPLOYMENT))) < 1000


def test_a_deep_body_is_an_error_of_the_tree():
    deep = b'{"detail":' + b'{"a":' * 300 + b"1" + b"}" * 301
    assert isinstance(api_error(answer(422, deep), DEPLOYMENT), SutroValidationError)


@given(status=st.integers(201, 999), body=BODIES, header=st.none() | st.text("0123456789.-e GMT"))
def test_any_answer_is_an_error_of_the_tree(status, body, header):
    headers = {} if header is None else {"retry_after": header}
    error = api_error(answer(status, body, **headers), DEPLOYMENT)
    assert isinstance(error, SutroAPIError)
    assert error.status_code == status
    assert error.retry_after is None or error.retry_after >= 0
    assert error.detail is None or len(error.detail) <= 501


def test_a_retired_address_is_a_matter_of_configuration():
    body = {"detail": "Direct Sutro Batch API access is no longer supported. Bye."}
    with pytest.raises(SutroConfigurationError, match="own deployment"):
        api_error(answer(410, body), DEPLOYMENT)


OPERATIONS = {
    "run": lambda service: _runs.run_function(service, "f", b"{}"),
    "job": lambda service: _runs.fetch_job(service, "job-1"),
    "quotas": _runs.get_quotas,
    "check": _runs.check_authentication,
    "cancel": lambda service: _runs.cancel_job(service, "job-1"),
    "list": jobs.list_jobs,
    "status": lambda service: jobs.job_status(service, "job-1"),
    "progress": lambda service: _watch.job_progress(service, "job-1"),
    "results": lambda service: jobs.job_results(service, "job-1"),
    "url": lambda service: download.results_url(service, "job-1"),
}
operations = pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)


@operations
@settings(max_examples=60)
@given(status=st.sampled_from([200, 200, 200, 404, 405, 500]), body=BODIES)
def test_an_operation_gives_a_value_or_an_error_of_the_tree(operation, status, body):
    script = Script(answer(status, body), max_retries=0)
    told = script.tell(operation(Service(DEPLOYMENT, script.policy)))
    assert told.error is None or isinstance(told.error, SutroAPIError)
    assert (told.error is None) == (told.result is not None)


@operations
@pytest.mark.parametrize("body", [b"", HTML, b'{"job', b"[]", b"null", b'"text"'])
def test_a_body_that_is_no_answer_is_an_error_that_says_so(operation, body):
    script = Script(answer(200, body))
    told = script.tell(operation(Service(DEPLOYMENT, script.policy)))
    assert type(told.error) is SutroAPIError
    assert told.error.status_code == 200
    assert len(told.requests) == 1


# Waiting


@pytest.mark.parametrize(
    ("value", "seconds"), [("7", 7), ("0", 0), ("1.5", 1.5), ("-3", 0), (" 2 ", 2)]
)
def test_retry_after_is_seconds(value, seconds):
    assert api_error(answer(429, retry_after=value), DEPLOYMENT).retry_after == seconds


@pytest.fixture
def far_east(monkeypatch):
    """A machine whose clock shows another time than GMT."""
    monkeypatch.setenv("TZ", "JST-9")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="the time zone cannot be set here")
@pytest.mark.usefixtures("far_east")
@pytest.mark.parametrize("ahead", [3600, -3600])
@pytest.mark.parametrize(
    "form",
    [
        "%a, %d %b %Y %H:%M:%S GMT",
        "%a, %d %b %Y %H:%M:%S +0000",
        "%a, %d %b %Y %H:%M:%S -0000",
        "%a %b %d %H:%M:%S %Y",
    ],
)
def test_retry_after_is_a_date(form, ahead):
    date = (datetime.now(UTC) + timedelta(seconds=ahead)).strftime(form)
    found = api_error(answer(429, retry_after=date), DEPLOYMENT).retry_after
    assert found is not None
    assert max(ahead - 100, 0) <= found <= max(ahead, 0)


@pytest.mark.parametrize("value", ["", "soon", "nan", "inf", "-inf5", "1;2", "Mon, 99 Foo", "[]"])
def test_a_retry_after_that_is_nonsense_is_none(value):
    assert api_error(answer(429, retry_after=value), DEPLOYMENT).retry_after is None


@given(value=st.text() | st.dates().map(str) | st.datetimes().map(format_datetime))
def test_any_retry_after_is_a_delay_or_none(value):
    for given_answer in (
        answer(503, {"retry_after": value}),
        answer(503, retry_after=value.encode("ascii", "ignore").decode()),
    ):
        found = api_error(given_answer, DEPLOYMENT).retry_after
        assert found is None or 0 <= found < float("inf")


def test_the_body_may_say_how_long_to_wait_and_the_header_wins():
    assert api_error(answer(429, {"retry_after": 4}), DEPLOYMENT).retry_after == 4.0
    both = answer(429, {"retry_after": 4}, retry_after="9")
    assert api_error(both, DEPLOYMENT).retry_after == 9.0
    assert api_error(answer(429, {"retry_after": True}), DEPLOYMENT).retry_after is None


PASSING = (408, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524)
LASTING = (201, 204, 301, 400, 401, 403, 404, 405, 409, 410, 413, 422, 501)


@pytest.mark.parametrize("first", [*PASSING, LOST, REFUSED])
def test_a_read_is_repeated_after_what_may_pass(first):
    script = Script(answer(first) if isinstance(first, int) else first, answer(200, {}))
    told = asked(script)
    assert told.result.status == 200
    assert len(told.requests) == 2


@pytest.mark.parametrize("status", LASTING)
@pytest.mark.parametrize("repeat", Repeat)
def test_nothing_is_repeated_after_what_stays(status, repeat):
    told = asked(Script(answer(status)), repeat)
    assert isinstance(told.error, SutroAPIError)
    assert (len(told.requests), told.pauses) == (1, [])


@pytest.mark.parametrize("first", [*PASSING, LOST, REFUSED])
@pytest.mark.parametrize("opted_in", [False, True])
def test_what_costs_money_is_repeated_only_if_it_was_not_carried_out(first, opted_in):
    given_answer = answer(first) if isinstance(first, int) else first
    script = Script(given_answer, answer(200, {}), repeat_runs=opted_in)
    told = asked(script, Repeat.RUN)
    again = opted_in or first in (429, REFUSED)
    assert len(told.requests) == (2 if again else 1)
    assert (told.error is None) == again


def test_repetitions_end_and_the_last_error_is_raised():
    told = asked(Script(answer(500), answer(503), LOST, answer(502), max_retries=3))
    assert len(told.requests) == 4
    assert told.error.status_code == 502
    told = asked(Script(LOST, max_retries=0))
    assert (len(told.requests), told.pauses) == (1, [])
    assert isinstance(told.error, SutroTimeoutError)


def test_pauses_grow_to_a_limit_with_jitter():
    for jitter, factor in ((0.0, 0.5), (0.999, 1.0)):
        pauses = asked(Script(LOST, max_retries=7, jitter=lambda at=jitter: at)).pauses
        full = [0.5, 1, 2, 4, 8, 8, 8]
        assert pauses == pytest.approx([pause * factor for pause in full], rel=0.01)


def test_the_service_is_waited_for_as_long_as_it_says():
    for status in (429, 503):
        script = Script(answer(status, retry_after="11"), answer(200, {}))
        told = asked(script)
        assert 11 <= sum(told.pauses) <= 11 * 1.1
    told = asked(Script(answer(503, retry_after="300"), answer(200, {})))
    assert told.error.retry_after == 300.0
    assert (len(told.requests), told.pauses) == (1, [])


def test_a_429_slows_every_call_with_the_same_pacer():
    pacer = Pacer()
    first = Script(answer(429, retry_after="10"), answer(200, {}), pacer=pacer, max_retries=1)
    operation = send_request(Service(DEPLOYMENT, first.policy), read())
    operation.send(None)
    operation.send(answer(429, retry_after="10"))
    second = Script(answer(200, {}), pacer=pacer)
    assert 10 <= sum(asked(second).pauses) <= 11
    assert len(asked(second).pauses) == 0, "later calls start at once"


# Requests


PRINTABLE = st.characters(exclude_categories=["C", "Z"], include_characters=" ")


@given(
    path=st.lists(st.text(PRINTABLE, min_size=1).filter(str.strip), min_size=1),
    query=st.dictionaries(st.sampled_from(["limit", "cursor"]), st.none() | st.text("a&=?#/ é")),
)
def test_no_name_changes_the_route(path, query):
    url = httpx.URL(endpoint("https://d.example/v1", *path, **query))
    raw, _, _ = url.raw_path.partition(b"?")
    assert url.host == "d.example"
    parts = raw.decode().split("/")
    assert parts[:2] == ["", "v1"]
    assert [unquote(part) for part in parts[2:]] == path
    given_query = {name: value for name, value in query.items() if value is not None}
    assert dict(url.params) == given_query
    assert url.fragment == ""


@pytest.mark.parametrize("name", ["a/b", "..", ".", "a?x=1", "a#b", "a%2Fb", "ä ö", "a;b", "//"])
def test_a_run_is_sent_to_its_function(name):
    script = Script(answer(200, {"output": 1}))
    told = script.tell(_runs.run_function(Service(DEPLOYMENT, script.policy), name, b'{"a":1}'))
    raw = httpx.URL(told.urls[0]).raw_path.decode().split("/")
    assert [unquote(part) for part in raw] == ["", "v1", "functions", name, "run"]


def test_the_body_of_a_run_is_that_of_its_generation():
    for generation, off, url, body in (
        (DEPLOYMENT, True, "https://d.example/v1/functions/f/run", {"input": {"a": 1}}),
        (
            DEPLOYMENT,
            False,
            "https://d.example/v1/functions/f/run",
            {"input": {"a": 1}, "confidence_scoring": False},
        ),
        (
            HOSTED,
            False,
            "https://serve.example/functions/run",
            {"name": "f", "input_data": {"a": 1}},
        ),
    ):
        script = Script(answer(200, {"output": 1}))
        told = script.tell(
            _runs.run_function(
                Service(generation, script.policy), "f", b'{"a":1}', confidence_scoring=off
            )
        )
        request = told.requests[0]
        assert (request.method, request.url) == ("POST", url)
        assert json.loads(request.content) == body
        assert told.result == {"output": 1}


@pytest.mark.parametrize("name", ["", " ", "a\nb", "\x00", 7, None, "\ud800"])
def test_an_impossible_name_is_refused_before_anything_is_sent(name):
    script = Script(answer(200, {"output": 1}))
    told = script.tell(_runs.run_function(Service(DEPLOYMENT, script.policy), name, b"{}"))
    assert isinstance(told.error, SutroInputError)
    assert told.requests == []


def test_the_timeout_of_a_run_is_the_calls_then_the_policys_then_the_services():
    for policy, call, expected in ((None, None, 100.0), (5.0, None, 5.0), (5.0, 2.0, 2.0)):
        script = Script(answer(200, {"output": 1}), timeout=policy)
        told = script.tell(
            _runs.run_function(Service(DEPLOYMENT, script.policy), "f", b"{}", timeout=call)
        )
        assert told.requests[0].timeout.read == expected
        assert told.requests[0].timeout.connect


def test_a_404_without_a_code_says_that_runs_may_be_unknown_here():
    for body, noted in (({"detail": "Not Found"}, True), ({"code": "function_not_found"}, False)):
        script = Script(answer(404, body))
        error = script.tell(
            _runs.run_function(Service(DEPLOYMENT, script.policy), "f", b"{}")
        ).error
        assert isinstance(error, SutroNotFoundError)
        assert bool(getattr(error, "__notes__", [])) == noted


def test_cancel_asks_with_get_and_with_post_where_that_is_refused():
    script = Script(answer(405), answer(200, {"cancelled": True}))
    told = script.tell(_runs.cancel_job(Service(DEPLOYMENT, script.policy), "job/1"))
    assert told.result == {"cancelled": True}
    assert [request.method for request in told.requests] == ["GET", "POST"]
    assert set(told.urls) == {"https://d.example/v1/job-cancel/job%2F1"}


def test_each_generation_checks_its_key_at_its_own_place():
    for generation, path in ((DEPLOYMENT, "/v1/auth/check"), (HOSTED, "/try-authentication")):
        script = Script(answer(200, {"authenticated": True}))
        told = script.tell(_runs.check_authentication(Service(generation, script.policy)))
        assert httpx.URL(told.urls[0]).path == path


@operations
def test_every_request_carries_the_key_to_the_service_with_a_timeout(operation):
    script = Script(answer(404))
    for generation in (DEPLOYMENT, HOSTED):
        for request in script.tell(operation(Service(generation, script.policy))).requests:
            assert request.authorize
            assert request.timeout.read
            assert "authorization" not in {name.lower() for name in request.headers}
            assert KEY not in request.url
