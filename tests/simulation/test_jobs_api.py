"""A job from its first status to its results: waiting, the progress stream, columns."""

from itertools import pairwise

import httpx
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from langchain_sutro._core.service import jobs
from langchain_sutro._core.service import watch as _watch
from langchain_sutro._core.service.exchange import Service
from langchain_sutro._core.service.jobs import JobStatus
from langchain_sutro._core.service.watch import JobProgress
from langchain_sutro.errors import (
    SutroAPIError,
    SutroConflictError,
    SutroConnectionError,
    SutroJobCancelledError,
    SutroJobFailedError,
    SutroJobTimeoutError,
)
from tests.support.answers import HTML, JSON
from tests.support.script import DEPLOYMENT, LOST, Script, answer


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("RUNNING", JobStatus.RUNNING), ("running", JobStatus.RUNNING), (" Queued ", "QUEUED"),
        ("pending", JobStatus.QUEUED), ("SUBMITTED", JobStatus.QUEUED), ("PAUSED", "UNKNOWN"),
        ("", "UNKNOWN"), (None, "UNKNOWN"), (7, "UNKNOWN"), (["RUNNING"], "UNKNOWN"),
        ("COMPLETED", "UNKNOWN"), ("parse", "UNKNOWN"), ("__doc__", "UNKNOWN"),
    ],
)  # fmt: skip
def test_a_status_is_read_in_any_spelling(word, status):
    assert JobStatus.parse(word) == status


@given(JSON)
def test_an_unknown_status_is_no_end(word):
    status = JobStatus.parse(word)
    assert status.ended == (status in {"SUCCEEDED", "FAILED", "CANCELLED"})
    if status.ended:
        assert word.strip().upper() == status


@pytest.mark.parametrize("value", ["running", {"job-1": "RUNNING"}, {"job-1": "RUNNING", "x": 1}])
def test_the_status_answer_has_two_shapes(value):
    script = Script(answer(200, {"job_status": value}))
    told = script.tell(jobs.job_status(Service(DEPLOYMENT, script.policy), "job-1"))
    assert told.result is JobStatus.RUNNING


@pytest.mark.parametrize("value", [{}, {"job-2": "RUNNING"}, None, 7, {"job-1": None}])
def test_a_status_of_no_or_another_job_is_an_error(value):
    script = Script(answer(200, {"job_status": value}))
    told = script.tell(jobs.job_status(Service(DEPLOYMENT, script.policy), "job-1"))
    assert type(told.error) is SutroAPIError


def waited(*answers, **options):
    script = Script(*answers, **options.pop("policy", {}))
    operation = _watch.wait_for_job(Service(DEPLOYMENT, script.policy), "job-1", **options)
    return script.tell(operation)


def status(word):
    return answer(200, {"job_status": word})


def test_a_wait_looks_at_growing_distances_up_to_the_interval():
    told = waited(*[status("RUNNING")] * 20, status("SUCCEEDED"), poll_interval=5.0)
    assert told.error is None
    assert told.pauses[0] == pytest.approx(0.1)
    assert told.pauses == sorted(told.pauses)
    assert max(told.pauses) == pytest.approx(5.0)


def test_a_service_that_does_not_answer_does_not_prolong_a_wait():
    def late(request):
        script.now += request.timeout.read
        return LOST

    script = Script(late)
    operation = _watch.wait_for_job(Service(DEPLOYMENT, script.policy), "job-1", timeout=20.0)
    told = script.tell(operation)
    assert isinstance(told.error, SutroJobTimeoutError)
    assert script.now < 30.0


def test_a_wait_ends_in_time_and_says_how_to_go_on():
    told = waited(status("RUNNING"), timeout=30.0)
    assert isinstance(told.error, SutroJobTimeoutError)
    assert told.error.job_id == "job-1"
    assert "from_id('job-1')" in str(told.error)
    assert sum(told.pauses) == pytest.approx(30.0)


@pytest.mark.parametrize("reason", [{"message": "no credit"}, "no credit"])
def test_a_failed_job_says_why(reason):
    told = waited(status("FAILED"), answer(200, {"job": {"failure_reason": reason}}))
    assert isinstance(told.error, SutroJobFailedError)
    assert told.error.job_id == "job-1"
    assert "no credit" in str(told.error)


@pytest.mark.parametrize("given_answer", [answer(404), answer(200, HTML), LOST, answer(200, {})])
def test_a_job_has_failed_even_if_nobody_says_why(given_answer):
    told = waited(status("FAILED"), given_answer)
    assert isinstance(told.error, SutroJobFailedError)
    assert "no reason" in str(told.error)


def test_a_job_that_is_being_cancelled_is_waited_for():
    told = waited(status("CANCELLING"), status("CANCELLED"))
    assert isinstance(told.error, SutroJobCancelledError)
    assert told.error.job_id == "job-1"


def test_an_outage_is_borne_for_a_while_and_then_told_with_the_job():
    told = waited(*[LOST] * 20, status("SUCCEEDED"))
    assert told.error is None
    told = waited(LOST, timeout=None)
    assert isinstance(told.error, SutroConnectionError)
    assert "job-1" in told.error.__notes__[0]
    assert sum(told.pauses) > 300


@pytest.mark.parametrize("code", [401, 404, 422])
def test_what_does_not_pass_ends_a_wait_at_once(code):
    told = waited(answer(code))
    assert told.error.status_code == code
    assert "job-1" in told.error.__notes__[0]
    assert len(told.requests) == 1


class Watched:
    """A watch with a clock that stands still."""

    def __init__(self, total=None):
        self.told = []
        self.watch = _watch._Watch(
            JobProgress("job-1", rows_total=total), self.told.append, lambda: 0.0
        )
        self.watch.stop_after(1.0)
        assert self.watch.start(200, httpx.Headers())


def event(kind, result):
    return orjson.dumps({"update_type": kind, "result": result})


EVENTS = st.builds(event, st.sampled_from(["progress", "tokens", "heartbeat", "new"]), JSON)
COUNTS = st.builds(event, st.just("progress"), st.integers(-5, 200))
TOKENS = st.builds(
    event,
    st.just("tokens"),
    st.dictionaries(
        st.sampled_from(["input_tokens", "output_tokens", "total_tokens_processed_per_second"]),
        JSON | st.integers(0, 99),
    ),
)
LINES = st.lists(st.binary(max_size=20) | EVENTS | COUNTS | TOKENS | JSON.map(orjson.dumps))


@given(lines=LINES, cuts=st.lists(st.integers(0, 400)), total=st.none() | st.integers(0, 100))
def test_any_stream_in_any_pieces_tells_the_same_and_only_grows(lines, cuts, total):
    stream = b"\n".join(lines) + b"\n"
    whole, parts = Watched(total), Watched(total)
    whole.watch.write(stream)
    marks = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    for begin, end in pairwise(marks):
        parts.watch.write(stream[begin:end])
    assert parts.watch.known == whole.watch.known
    for name in ("rows_done", "input_tokens", "output_tokens"):
        values = [getattr(known, name) for known in whole.told]
        assert values == sorted(values)
    assert all(total is None or known.rows_done <= total for known in whole.told)


def test_a_line_without_an_end_takes_no_memory():
    watched = Watched()
    for _ in range(100):
        watched.watch.write(b"x" * 65536)
    assert len(watched.watch._rest) <= 65536
    watched.watch.write(b"\n" + event("progress", 3) + b"\n")
    assert watched.watch.known.rows_done == 3


def test_a_heartbeat_and_the_last_row_are_reasons_to_look():
    watched = Watched(10)
    assert watched.watch.write(event("progress", 9) + b"\n")
    assert not watched.watch.write(event("progress", 10) + b"\n")
    assert not watched.watch.write(event("heartbeat", None) + b"\n")


def test_a_stream_that_has_finished_all_rows_is_no_success():
    def stream(request):
        request.sink.start(200, httpx.Headers())
        request.sink.write(event("progress", 10) + b"\n")
        return answer(200)

    told = waited(
        status("RUNNING"), stream, status("FAILED"), LOST, rows_total=10, on_progress=[].append
    )
    assert isinstance(told.error, SutroJobFailedError)


def test_results_that_lag_are_asked_for_again_until_the_patience_is_over():
    columns = {"outputs": ["a", None], "confidence_score": [0.5, None]}
    for code in (404, 409, 425, 500, 503):
        script = Script(answer(code), answer(200, {"results": columns}), max_retries=0)
        operation = jobs.when_ready(
            script.policy,
            lambda s=script: jobs.job_results(Service(DEPLOYMENT, s.policy), "job-1"),
        )
        assert script.tell(operation).result == columns
    script = Script(answer(409))
    operation = jobs.when_ready(
        script.policy, lambda: jobs.job_results(Service(DEPLOYMENT, script.policy), "job-1")
    )
    told = script.tell(operation)
    assert isinstance(told.error, SutroConflictError)
    assert 100 <= sum(told.pauses) <= 110


@pytest.mark.parametrize(
    "results",
    [
        {"outputs": ["a", "b"], "confidence_score": [0.1]},
        {"outputs": "ab"},
        {"answers": []},
        None,
        "text",
    ],
)
def test_columns_that_do_not_fit_are_an_error_and_never_shifted(results):
    script = Script(answer(200, {"results": results}))
    told = script.tell(jobs.job_results(Service(DEPLOYMENT, script.policy), "job-1"))
    assert type(told.error) is SutroAPIError


def test_a_bare_list_of_results_is_the_outputs():
    script = Script(answer(200, {"results": ["a", None]}))
    told = script.tell(jobs.job_results(Service(DEPLOYMENT, script.policy), "job-1"))
    assert told.result == {"outputs": ["a", None]}
