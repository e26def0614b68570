"""A submission that takes up a job of before instead of paying again."""

from datetime import timedelta

import httpx
import pytest

from langchain_sutro._core.service.marker import Marker
from langchain_sutro._core.service.submission import JobRequest
from langchain_sutro.errors import SutroServerError
from tests.simulation.jobs import Table
from tests.support.script import answer
from tests.support.submissions import ACCEPTED, NOW, listed, page, posts, submitted


def earlier(age_hours=1, status="SUCCEEDED", rows=3, **facts):
    fingerprint = JobRequest("judge").fingerprint(Table(rows))
    return {
        "job_id": "job-0",
        "status": status,
        "description": f"weekly {Marker('e' * 32, fingerprint)}",
        "datetime_created": (NOW - timedelta(hours=age_hours)).isoformat(),
        **facts,
    }


DAY = timedelta(hours=24)


@pytest.mark.parametrize("status", ["SUCCEEDED", "running", "pending", "UNKNOWN"])
def test_an_equal_job_of_before_is_taken_up(status):
    told = submitted(page(listed(), earlier(status=status)), ACCEPTED, reuse=DAY)
    assert (told.result.job_id, told.result.token) == ("job-0", "e" * 32)
    assert told.result.reused
    assert posts(told) == []


@pytest.mark.parametrize(
    "other",
    [
        earlier(25), earlier(rows=4), earlier(num_rows=4),
        earlier(datetime_created=None), earlier(job_id=None),
        earlier(datetime_created="yesterday"), earlier(description=None),
        *(earlier(status=status) for status in ("FAILED", "cancelled", "CANCELLING")),
    ],
)  # fmt: skip
def test_a_job_that_is_old_or_another_or_failed_is_not(other):
    told = submitted(page(other), ACCEPTED, reuse=DAY)
    assert not told.result.reused
    assert len(posts(told)) == 1


@pytest.mark.parametrize("time", ["2026-05-01T11:00:00Z", "2026-05-01T11:00:00.123+00:00",
                                  "2026-05-01T11:00:00", "2026-05-01T13:00:00+02:00"])  # fmt: skip
def test_the_time_of_a_job_is_read_in_every_form(time):
    told = submitted(page(earlier(datetime_created=time)), reuse=timedelta(minutes=61))
    assert told.result.reused


def test_the_list_is_read_only_as_far_back_as_needed():
    def pages(request):
        number = int(httpx.URL(request.url).params.get("cursor", "0"))
        return page(earlier(10 * number, rows=4), cursor=str(number + 1))

    told = submitted(*[pages] * 4, ACCEPTED, reuse=DAY)
    assert told.error is None
    assert [request.method for request in told.requests] == ["GET"] * 4 + ["POST"]


def test_a_list_that_cannot_be_read_stops_before_anything_is_paid():
    told = submitted(answer(500), reuse=DAY)
    assert isinstance(told.error, SutroServerError)
    assert posts(told) == []


@pytest.mark.parametrize("rows", [3, None, "many"])
def test_how_many_rows_a_job_has_may_be_unknown(rows):
    assert submitted(page(earlier(num_rows=rows)), reuse=DAY).result.reused


def test_any_age_may_be_allowed():
    assert submitted(page(earlier()), reuse=timedelta.max).result.reused
