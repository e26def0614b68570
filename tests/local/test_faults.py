"""What goes wrong on demand."""

import time

import httpx
import pytest

from tests.support.calls import until
from tests.support.local_api import end, results, submit

ROWS = [{"text": str(number)} for number in range(100)]


def call(api):
    return api.post("/functions/echo/run", json={"input": "hello"})


def test_a_status_replaces_the_answer_so_many_times(api, deployment):
    deployment.faults.add(
        "functions/*",
        status=429,
        json={"detail": "slow down", "code": "rate_limited"},
        headers={"Retry-After": "2"},
        times=2,
    )
    for _ in range(2):
        answer = call(api)
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "2")
        assert answer.json()["code"] == "rate_limited"
    assert call(api).json()["output"] == "hello"
    assert [one.status for one in deployment.requests] == [429, 429, 200]


def test_html_bytes_and_nothing_are_bodies_too(api, deployment):
    deployment.faults.add(status=524, html="<h1>A timeout occurred</h1>")
    deployment.faults.add(status=200, body=b"\xff\xfe")
    deployment.faults.add(status=503)
    answer = call(api)
    assert (answer.status_code, answer.headers["content-type"]) == (524, "text/html; charset=utf-8")
    assert "<h1>" in answer.text
    assert call(api).content == b"\xff\xfe"
    assert (call(api).status_code, call(api).status_code) == (503, 200)


def test_faults_match_by_method_and_path_in_both_generations(api, hosted, deployment):
    deployment.faults.add("list-jobs", method="POST", status=500, times=None)
    deployment.faults.add("get-quotas", status=500, times=None)
    assert api.get("/list-jobs").status_code == 200
    assert api.get("/get-quotas").status_code == 500
    assert hosted.get("/get-quotas").status_code == 500
    deployment.faults.clear()
    assert api.get("/get-quotas").status_code == 200


def test_some_requests_can_pass_first(api, deployment):
    deployment.faults.add("get-quotas", status=500, skip=2)
    statuses = [api.get("/get-quotas").status_code for _ in range(4)]
    assert statuses == [200, 200, 500, 200]


@pytest.mark.parametrize(("handled", "jobs"), [(False, 0), (True, 1)])
def test_a_request_can_be_handled_although_its_answer_is_replaced(api, deployment, handled, jobs):
    before = len(deployment.jobs)
    deployment.faults.add("batch-inference", status=524, html="<p>", handled=handled)
    answer = api.post("/batch-inference", json={"model": "echo", "inputs": ROWS})
    assert answer.status_code == 524
    assert len(deployment.jobs) == before + jobs


@pytest.mark.parametrize(("reset", "jobs"), [("before", 0), ("during", 0), ("after", 1)])
def test_a_connection_is_reset_before_during_or_after_its_request(api, deployment, reset, jobs):
    before = len(deployment.jobs)
    deployment.faults.add("batch-inference", reset=reset)
    with pytest.raises(httpx.TransportError):
        api.post("/batch-inference", json={"model": "echo", "inputs": ROWS})
    assert len(deployment.jobs) == before + jobs
    assert deployment.requests[-1].status is None or reset == "after"
    assert call(api).status_code == 200


@pytest.mark.parametrize("reset", ["before", "during"])
def test_a_large_upload_is_broken_off(api, deployment, reset):
    deployment.faults.add("batch-inference", reset=reset)
    pieces = (b"x" * 65536 for _ in range(1000))
    with pytest.raises(httpx.TransportError):
        api.post("/batch-inference", content=pieces)
    assert deployment.requests[-1].size < 65536 * 1000


def test_an_answer_is_held_back_but_its_request_handled(api, deployment):
    deployment.faults.add("batch-inference", delay=30)
    before = len(deployment.jobs)
    with pytest.raises(httpx.ReadTimeout):
        api.post("/batch-inference", json={"model": "echo", "inputs": ROWS}, timeout=1)
    until(lambda: len(deployment.jobs) == before + 1)


def test_a_short_delay_only_delays(api, deployment):
    deployment.faults.add("functions/*", delay=0.2)
    start = time.monotonic()
    assert call(api).json()["output"] == "hello"
    assert time.monotonic() - start >= 0.2


def test_a_body_can_end_before_its_announced_length(api, deployment):
    deployment.faults.add("functions/*", truncate="connection")
    with pytest.raises(httpx.RemoteProtocolError):
        call(api)
    assert call(api).status_code == 200


def test_a_body_can_be_cut_as_if_it_were_whole(api, deployment):
    deployment.faults.add("functions/*", truncate="body")
    answer = call(api)
    assert answer.status_code == 200
    assert len(answer.content) == int(answer.headers["content-length"])
    with pytest.raises(ValueError, match=r"."):
        answer.json()
    deployment.faults.add("functions/*", truncate="body", truncate_at=1_000_000)
    assert call(api).json()["output"] == "hello"


def test_a_download_breaks_off_where_it_is_told_to(api, deployment):
    job_id = submit(api, "echo", [{"text": "x" * 50 + str(number)} for number in range(3000)])
    end(api, job_id)
    url = api.get(f"/jobs/{job_id}/results-url").json()["urls"]["get"]
    whole = httpx.get(url).content
    for at in (0, 1, 1000, 5000):
        deployment.faults.add("storage/*", truncate="connection", truncate_at=at)
        got = bytearray()
        with pytest.raises(httpx.RemoteProtocolError):
            fetch(url, got)
        assert bytes(got) == whole[:at]


def fetch(url, into):
    with httpx.stream("GET", url) as answer:
        for piece in answer.iter_raw():
            into += piece


def test_a_job_fails_with_and_without_a_reason(api, deployment):
    deployment.faults.add_job("echo", fail="out of memory")
    deployment.faults.add_job("echo", fail=True)
    reasons = [end(api, submit(api, "echo", ROWS)) for _ in range(3)]
    assert [job["status"] for job in reasons] == ["FAILED", "FAILED", "SUCCEEDED"]
    assert [job["failure_reason"] for job in reasons] == [{"message": "out of memory"}, None, None]


def test_a_fault_waits_for_a_job_of_its_function(api, deployment):
    deployment.faults.add_job("lead-*", fail=True)
    assert end(api, submit(api, "echo", ROWS))["status"] == "SUCCEEDED"
    assert end(api, submit(api, "lead-extractor", ROWS))["status"] == "FAILED"


def test_rows_can_be_null_or_no_json_and_confidences_null(api, deployment):
    deployment.faults.add_job(null_rows=[3, 7], unparseable_rows=0.1, null_confidences=0.5)
    job_id = submit(api, "length", ROWS)
    assert end(api, job_id)["status"] == "SUCCEEDED"
    columns = results(api, job_id)
    outputs = columns["outputs"]
    assert [index for index, output in enumerate(outputs) if output is None] == [3, 7]
    broken = [index for index, output in enumerate(outputs) if output and "qual" in output]
    assert broken == list(range(9, 100, 10))
    missing = sum(score is None for score in columns["confidence_score"])
    # Rows 3 and 7 are among those of the even half.
    assert missing == 50
    assert len(outputs) == len(columns["confidence_score"]) == 100


def test_confidences_stay_a_column_when_all_of_them_are_null(api, deployment):
    deployment.faults.add_job(null_confidences=1.0)
    job_id = submit(api, "length", ROWS)
    end(api, job_id)
    assert results(api, job_id)["confidence_score"] == [None] * 100


def test_results_can_lag_behind_success(api, deployment):
    deployment.faults.add_job(results_lag=2)
    job_id = submit(api, "echo", ROWS)
    assert end(api, job_id)["status"] == "SUCCEEDED"
    statuses = [api.post("/job-results", json={"job_id": job_id}).status_code for _ in range(3)]
    assert statuses == [409, 409, 200]
    assert api.get(f"/jobs/{job_id}/results-url").status_code == 200


def test_a_slow_job_is_seen_running(api, deployment):
    deployment.faults.add_job(rows_per_second=20)
    job_id = submit(api, "echo", ROWS)
    seen = set()
    for _ in range(200):
        seen.add(api.get(f"/job-status/{job_id}").json()["job_status"][job_id])
        if "RUNNING" in seen:
            break
    assert "RUNNING" in seen
    api.get(f"/job-cancel/{job_id}")
    assert end(api, job_id)["status"] == "CANCELLED"
