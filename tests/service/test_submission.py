"""One submission, one job: what is sent, how it is found again, and what is refused before."""

from asyncio import CancelledError
from itertools import count

import httpx
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from langchain_sutro._core.service import job_search, submission
from langchain_sutro._core.service.exchange import Service, is_id
from langchain_sutro._core.service.job_search import find_job, look_for
from langchain_sutro._core.service.marker import Marker
from langchain_sutro._core.service.submission import JobRequest
from langchain_sutro.errors import (
    SubmissionUnknownError,
    SutroAPIError,
    SutroConfigurationError,
    SutroConnectionError,
    SutroInputError,
    SutroRateLimitError,
)
from tests.simulation.jobs import Table
from tests.support.script import DEPLOYMENT, KEY, LOST, REFUSED, Script, answer
from tests.support.submissions import ACCEPTED, TOKEN, listed, page, posts, submitted

TABLE = "https://tables.example/leads.csv?X-Signature=one"
TOKENS = st.from_regex(r"[0-9a-f]{32}", fullmatch=True)
FINGERPRINTS = st.just("") | st.from_regex(r"[0-9a-f]{1,64}", fullmatch=True)


def body(request):
    content = request.content
    return orjson.loads(content if isinstance(content, bytes) else b"".join(content.pieces()))


# Markers


@given(token=TOKENS, fingerprint=FINGERPRINTS, before=st.text())
def test_a_marker_at_the_end_of_any_description_is_found(token, fingerprint, before):
    marker = Marker(token, fingerprint)
    assert Marker.find(marker.at_the_end_of(before)) == marker
    assert Marker.find(f"{before}{marker}\n") == marker


@given(own=st.text(max_size=50), others=st.lists(st.text(max_size=9), max_size=3))
def test_a_description_copied_from_another_job_brings_no_marker_along(own, others):
    copied = own + "".join(f"{Marker.new('a' * 32)}{text}" for text in others)
    ours = Marker.new("b" * 32)
    described = ours.at_the_end_of(copied)
    assert Marker.find(described) == ours
    assert described.count("[langchain-sutro token=") == 1 + own.count("[langchain-sutro token=")


def test_a_marker_within_a_description_is_the_users_text():
    assert Marker.find(f"{Marker.new()} is the job of Monday") is None


@given(st.none() | st.integers() | st.text() | st.lists(st.text()))
def test_what_is_no_marker_is_none(description):
    assert Marker.find(description) is None


@pytest.mark.parametrize(
    "description",
    [f"[langchain-sutro token={TOKEN}", f"langchain-sutro token={TOKEN}]",
     f"[langchain-sutro token={TOKEN[1:]}]", f"[langchain-sutro token={TOKEN.upper()}]",
     f"[langchain-sutro token={TOKEN} same=]"],
)  # fmt: skip
def test_half_a_marker_is_none(description):
    assert Marker.find(description) is None


def test_each_marker_is_new():
    assert len({Marker.new().token for _ in range(100)}) == 100


@given(description=st.text(max_size=400))
def test_the_token_is_in_the_description_of_the_job(description):
    told = submitted(ACCEPTED, request=JobRequest("judge", description=description))
    if told.error is not None:
        assert isinstance(told.error, SutroInputError)
        assert len(description) > 380
        return
    sent = body(told.requests[0])["description"]
    assert sent.startswith(description)
    assert len(sent) <= 512
    assert Marker.find(sent.removeprefix(description)).token == TOKEN


# What is sent


def test_the_body_has_every_field_that_the_official_sdk_sends():
    told = submitted(ACCEPTED, request=JobRequest("judge", 1, dry_run=True, job_name="leads"))
    sent = body(told.requests[0])
    assert told.requests[0].url == "https://d.example/v1/batch-inference"
    assert {name: sent[name] for name in sent if name != "description"} == {
        "model": "judge", "inputs": [0, 1, 2], "job_priority": 1, "json_schema": None,
        "system_prompt": None, "cost_estimate": True, "sampling_params": None,
        "random_seed_per_input": False, "truncate_rows": False, "name": "leads",
    }  # fmt: skip


def test_a_body_of_pieces_knows_its_size_and_can_be_read_again():
    content = submitted(ACCEPTED).requests[0].content
    first, second = b"".join(content.pieces()), b"".join(content.pieces())
    assert first == second
    assert len(first) == content.size


def test_a_tables_url_goes_along_with_its_id_column():
    told = submitted(ACCEPTED, rows=TABLE, request=JobRequest("judge", id_column="id"))
    sent = body(told.requests[0])
    assert (sent["inputs"], sent["id_column_name"]) == (TABLE, "id")
    assert len(told.requests) == 1, "how many rows there are is not known, so no quota is asked for"


@pytest.mark.parametrize(
    "request_",
    [
        JobRequest(""), JobRequest("a\nb"), JobRequest("judge", 2), JobRequest("judge", -1),
        JobRequest("judge", job_name="x" * 46), JobRequest("judge", description="x" * 500),
    ],
)  # fmt: skip
def test_what_the_service_would_refuse_is_not_sent(request_):
    told = submitted(ACCEPTED, request=request_)
    assert isinstance(told.error, SutroInputError)
    assert told.requests == []


def test_a_fingerprint_is_of_what_makes_the_results():
    same = JobRequest("judge", job_name="a", description="b").fingerprint("rows")
    assert same == JobRequest("judge").fingerprint("rows")
    others = {
        JobRequest("other").fingerprint("rows"),
        JobRequest("judge", 1).fingerprint("rows"),
        JobRequest("judge", dry_run=True).fingerprint("rows"),
        JobRequest("judge", id_column="id").fingerprint("rows"),
        JobRequest("judge", scope="anna").fingerprint("rows"),
        JobRequest("judge").fingerprint("other rows"),
    }
    assert len({same, *others}) == 7


def test_a_new_signature_is_the_same_table():
    def fingerprint(url):
        return Marker.find(
            body(submitted(ACCEPTED, rows=url).requests[0])["description"]
        ).fingerprint

    assert fingerprint(TABLE) == fingerprint(TABLE.replace("one", "two"))
    assert fingerprint(TABLE) != fingerprint(TABLE.replace("leads", "others"))


# Exactly once


@pytest.mark.parametrize(
    "payload",
    [{"results": "job-1"}, {"job_id": "job-1"}, {"results": None, "metadata": {"job_id": "job-1"}}],
)
def test_the_id_is_read_from_each_shape_of_the_answer(payload):
    told = submitted(answer(200, payload))
    assert (told.result.job_id, told.result.token, told.result.reused) == ("job-1", TOKEN, False)
    assert len(told.requests) == 1


UNKNOWN = [
    LOST, *(answer(status) for status in (500, 502, 503, 504, 524, 408, 425, 201, 204)),
    answer(200), answer(200, b"<html>"), answer(200, {"results": ""}), answer(200, {"metadata": 1}),
    answer(200, b'{"results":"job'),
]  # fmt: skip


@pytest.mark.parametrize("outcome", UNKNOWN, ids=str)
@pytest.mark.parametrize("repeat_runs", [False, True])
def test_a_submission_of_unknown_outcome_is_looked_for_and_never_sent_again(outcome, repeat_runs):
    policy = {"repeat_runs": repeat_runs}
    told = submitted(outcome, page(), page(listed("job-2", "f" * 32), listed()), policy=policy)
    assert told.result.job_id == "job-1"
    assert len(posts(told)) == 1
    told = submitted(outcome, page(), policy=policy)
    assert isinstance(told.error, SubmissionUnknownError)
    assert told.error.token == TOKEN
    assert f"SutroJob.find({TOKEN!r})" in str(told.error)
    assert len(posts(told)) == 1
    assert 5 <= sum(told.pauses) < 15


@pytest.mark.parametrize("trouble", [LOST, answer(500), answer(401), answer(200, b"<html>")])
def test_a_lookup_that_fails_is_tried_again(trouble):
    told = submitted(LOST, trouble, page(listed()), policy={"max_retries": 0})
    assert told.result.job_id == "job-1"
    told = submitted(LOST, trouble)
    assert isinstance(told.error, SubmissionUnknownError)
    assert isinstance(told.error.__cause__, SutroConnectionError)


@pytest.mark.parametrize("first", [REFUSED, answer(429, retry_after="2")])
def test_what_certainly_made_no_job_is_sent_again(first):
    told = submitted(first, ACCEPTED)
    assert told.result.job_id == "job-1"
    assert len(posts(told)) == 2
    assert body(told.requests[0]) == body(told.requests[1])


@pytest.mark.parametrize(
    ("outcome", "error"),
    [(REFUSED, SutroConnectionError), (answer(429), SutroRateLimitError),
     *((answer(status), SutroAPIError) for status in (302, 400, 401, 404, 405, 409, 413, 422))],
)  # fmt: skip
def test_what_is_certainly_refused_is_raised_without_a_lookup(outcome, error):
    told = submitted(outcome)
    assert isinstance(told.error, error)
    assert told.requests == posts(told)


def test_a_second_try_of_unknown_outcome_is_the_last():
    told = submitted(answer(429), REFUSED, answer(502), page(listed()))
    assert told.result.job_id == "job-1"
    assert len(posts(told)) == 3


class Alarm(Exception):  # noqa: N818 - of a signal's handler, as schedulers raise them
    """The time of a task is over."""


@pytest.mark.parametrize(
    "interrupt", [KeyboardInterrupt(), CancelledError(), SystemExit(), Alarm()]
)
def test_an_interrupted_submission_says_where_to_look(interrupt):
    told = submitted(interrupt)
    assert told.error is interrupt
    assert TOKEN in interrupt.__notes__[0]


@pytest.mark.parametrize(
    "interrupt", [KeyboardInterrupt(), CancelledError(), SystemExit(), Alarm()]
)
def test_an_interrupted_lookup_says_where_to_look(interrupt):
    told = submitted(LOST, interrupt)
    assert told.error is interrupt
    assert TOKEN in interrupt.__notes__[0]


def test_a_lookup_at_a_retired_address_still_says_the_token():
    retired = answer(410, {"detail": "Direct Sutro Batch API access is no longer supported."})
    told = submitted(LOST, retired)
    assert TOKEN in f"{told.error} {getattr(told.error, '__notes__', '')}"


def test_a_submission_that_never_left_is_not_said_to_be_somewhere():
    wrong = SutroConfigurationError("Refusing to send the API key to a different origin.")
    told = submitted(wrong)
    assert told.error is wrong
    assert not hasattr(wrong, "__notes__")


# Looking for a job


def cursors(told):
    return [httpx.URL(url).params.get("cursor") for url in told.urls]


def numbered(request):
    """A list without an end: each page names the next."""
    number = int(httpx.URL(request.url).params.get("cursor", "0"))
    return page(listed(f"job-{number}", f"{number:032x}"), cursor=str(number + 1))


def test_a_token_is_looked_for_on_every_page():
    script = Script(numbered)
    told = script.tell(find_job(Service(DEPLOYMENT, script.policy), f"{7:032x}"))
    assert told.result["job_id"] == "job-7"
    assert cursors(told) == [None, *map(str, range(1, 8))]
    assert {httpx.URL(url).params["limit"] for url in told.urls} == {"100"}


@pytest.mark.parametrize("pages", [1, 2, 3])
def test_no_more_pages_are_read_than_asked_for(pages):
    script = Script(numbered)
    told = script.tell(find_job(Service(DEPLOYMENT, script.policy), "f" * 32, pages=pages))
    assert told.result is None
    assert len(told.requests) == pages


@pytest.mark.parametrize("cursor", [None, "", 7, ["a"], "same"])
def test_a_list_ends_where_its_cursor_does(cursor):
    script = Script(page(listed(), cursor=cursor))
    told = script.tell(find_job(Service(DEPLOYMENT, script.policy), "f" * 32))
    assert (told.result, told.error) == (None, None)
    assert len(told.requests) <= 2


@given(
    st.lists(
        st.fixed_dictionaries(
            {"description": st.none() | st.text() | st.just(str(Marker(TOKEN)))},
            optional={"job_id": st.none() | st.integers(0, 9) | st.text()},
        )
    )
)
def test_the_newest_job_with_the_token_and_an_id_is_found(jobs):
    script = Script(page(*jobs))
    told = script.tell(find_job(Service(DEPLOYMENT, script.policy), TOKEN))
    wanted = [
        job for job in jobs
        if job["description"] == str(Marker(TOKEN)) and is_id(job.get("job_id"), DEPLOYMENT)
    ]  # fmt: skip
    assert told.error is None
    assert told.result == (wanted[0] if wanted else None)


def test_a_list_without_an_end_is_given_up(monkeypatch):
    monkeypatch.setattr(job_search, "_MOST_PAGES", 50)
    numbers = count()
    script = Script(lambda _: answer(200, {"jobs": [], "next_cursor": str(next(numbers))}))
    told = script.tell(find_job(Service(DEPLOYMENT, script.policy), TOKEN))
    assert isinstance(told.error, SutroAPIError)
    assert "50 pages" in str(told.error)
    assert len(told.requests) == 50


@pytest.mark.parametrize("job_id", ["", "a\nb", KEY, "x" * 1000, "https://s.example/?sig=deadbeef"])
def test_what_cannot_be_an_id_is_none(job_id):
    script = Script(page(listed(job_id=job_id)))
    assert script.tell(find_job(Service(DEPLOYMENT, script.policy), TOKEN)).result is None


def test_a_job_that_is_listed_late_is_waited_for():
    script = Script(*[page()] * 4, page(listed()))
    told = script.tell(look_for(Service(DEPLOYMENT, script.policy), TOKEN))
    assert told.result["job_id"] == "job-1"
    assert told.pauses == sorted(told.pauses)


@pytest.mark.parametrize("trouble", [LOST, answer(500), answer(401), answer(200, b"<html>")])
def test_a_job_that_could_not_be_looked_for_is_not_said_to_be_missing(trouble):
    script = Script(page(), trouble, max_retries=0)
    told = script.tell(look_for(Service(DEPLOYMENT, script.policy), TOKEN))
    assert isinstance(told.error, (SutroAPIError, SutroConnectionError))
    assert sum(told.pauses) >= 5
    script = Script(trouble, page(), max_retries=0)
    told = script.tell(look_for(Service(DEPLOYMENT, script.policy), TOKEN))
    assert (told.result, told.error) == (None, None)


def test_a_job_may_be_looked_for_on_every_page():
    script = Script(numbered)
    told = script.tell(look_for(Service(DEPLOYMENT, script.policy), f"{7:032x}", pages=None))
    assert told.result["job_id"] == "job-7"


# Quotas


def quotas(*limits):
    return answer(200, {"quotas": [{"priority": p, "row_quota": n} for p, n in enumerate(limits)]})


def test_a_small_table_is_sent_without_asking_for_quotas():
    assert len(submitted(ACCEPTED, rows=Table(1000)).requests) == 1


@pytest.mark.parametrize(
    ("limits", "priority", "advice"),
    [
        ((1000, 50_000), 0, "job_priority=1 takes up to 50,000"),
        ((50_000, 1000), 1, "job_priority=0 takes up to 50,000"),
        ((1000, 1000), 0, "submit_in_parts"),
    ],
)
def test_more_rows_than_the_quota_are_refused_with_advice(limits, priority, advice):
    told = submitted(quotas(*limits), rows=Table(1001), request=JobRequest("judge", priority))
    assert isinstance(told.error, SutroInputError)
    assert advice in str(told.error)
    assert "1,001" in str(told.error)
    assert posts(told) == []


@pytest.mark.parametrize(
    "given_answer",
    [
        quotas(1001, 0), quotas(), LOST, answer(500), answer(404), answer(200, b"<html>"),
        answer(200, {"quotas": [{}]}), answer(200, {"quotas": [{"priority": "0"}]}),
        answer(200, {"quotas": [{"priority": 0, "row_quota": None}]}),
        answer(200, {"quotas": {"0": 5}}),
    ],
)  # fmt: skip
def test_a_quota_that_fits_or_cannot_be_read_refuses_nothing(given_answer):
    told = submitted(given_answer, ACCEPTED, rows=Table(1001), policy={"max_retries": 0})
    assert told.result.job_id == "job-1"


def test_what_the_tests_break_is_there_to_be_broken():
    """The simulation replaces these by broken ones; a rename would disarm it."""
    assert callable(submission._post_once)
    assert callable(submission.first_job)
