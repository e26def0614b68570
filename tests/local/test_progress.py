"""The progress stream, and how it may mislead."""

import json

import httpx

from tests.support.local_api import echo, end, submit

ROWS = [{"text": str(number)} for number in range(20)]


def follow(api, job_id, lines=None):
    """The lines of a stream: all, or so many."""
    found = []
    with api.stream("GET", f"/stream-job-progress/{job_id}") as answer:
        assert answer.status_code == 200
        for line in answer.iter_lines():
            found.append(line)
            if len(found) == lines:
                break
    return found


def events(lines):
    found = []
    for line in lines:
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict):
            found.append(event)
    return found


def test_a_stream_tells_progress_and_tokens_until_the_job_ends(api, deployment):
    deployment.faults.add_job(rows_per_second=100)
    job_id = submit(api, "echo", ROWS)
    told = events(follow(api, job_id))
    rows = [event["result"] for event in told if event["update_type"] == "progress"]
    assert rows == sorted(rows)
    assert rows[-1] == 20
    assert len(rows) > 1
    tokens = [event["result"] for event in told if event["update_type"] == "tokens"]
    job = end(api, job_id)
    merged = {name: count for one in tokens for name, count in one.items()}
    assert merged.pop("total_tokens_processed_per_second") > 0
    assert merged == {"input_tokens": job["input_tokens"], "output_tokens": job["output_tokens"]}
    assert api.get(f"/job-status/{job_id}").json()["job_status"][job_id] == "SUCCEEDED"


def test_a_silent_job_has_heartbeats(api, deployment):
    deployment.faults.add_job(rows_per_second=0.5)
    job_id = submit(api, "echo", ROWS)
    told = events(follow(api, job_id, lines=5))
    assert {"update_type": "heartbeat", "result": None} in told
    api.get(f"/job-cancel/{job_id}")


def test_the_stream_of_a_job_that_has_ended_ends_at_once(api):
    job_id = submit(api, "echo", ROWS)
    end(api, job_id)
    assert events(follow(api, job_id))[0] == {"update_type": "progress", "result": 20}


def test_the_final_notification_can_be_lost(api, deployment):
    job_id = submit(api, "echo", ROWS)
    end(api, job_id)
    deployment.faults.add_progress(lose_final=True)
    told = events(follow(api, job_id, lines=3))
    assert {event["update_type"] for event in told} == {"heartbeat"}


def test_garbage_and_repetitions_can_be_in_between(api, deployment):
    job_id = submit(api, "echo", ROWS)
    end(api, job_id)
    deployment.faults.add_progress(garbage=True, duplicate=True)
    lines = follow(api, job_id)
    assert "" in lines
    assert any(line.startswith("<html>") for line in lines)
    told = events(lines)
    assert told[0] == told[1] == {"update_type": "progress", "result": 20}
    assert told[2] == {"update_type": "progress", "result": 0}


def test_a_stream_can_close_early(api, deployment):
    deployment.faults.add_job(rows_per_second=5)
    deployment.faults.add_progress(close_after=1)
    job_id = submit(api, "echo", ROWS)
    assert len(follow(api, job_id)) == 1
    assert api.get(f"/job-status/{job_id}").json()["job_status"][job_id] == "RUNNING"
    api.get(f"/job-cancel/{job_id}")


def test_streams_end_with_the_deployment(deployment):
    from langchain_sutro.local import LocalDeployment

    with LocalDeployment([echo]) as other:
        other.faults.add_job(rows_per_second=0.1)
        headers = {"authorization": f"Key {other.api_key}"}
        with httpx.Client(base_url=other.url + "/v1", headers=headers) as api:
            job_id = submit(api, "echo", ROWS)
            with api.stream("GET", f"/stream-job-progress/{job_id}") as answer:
                other.stop()
                assert list(answer.iter_lines()) is not None
