"""Batch jobs from submission to their end."""

import re
from datetime import datetime

import pytest

from langchain_sutro.local import LocalDeployment, Quota
from langchain_sutro.local.jobs import worker
from tests.support.local_api import client, echo, end, results, submit

ROWS = [{"text": "a"}, {"text": "bb"}, {"text": "ccc"}]


@pytest.fixture(params=["/v1", ""], ids=["deployment", "hosted"])
def either(request, deployment):
    yield from client(deployment, request.param)


def test_a_job_runs_in_both_generations(either):
    job_id = submit(either, "length", ROWS)
    assert re.fullmatch(r"job-[0-9a-f-]{36}", job_id)
    assert end(either, job_id)["status"] == "SUCCEEDED"
    assert results(either, job_id) == {
        "outputs": ['{"label":"1"}', '{"label":"2"}', '{"label":"3"}'],
        "confidence_score": [0.75, 0.75, 0.75],
    }


def test_the_answer_to_a_submission_names_the_job_twice(api):
    body = api.post("/batch-inference", json={"model": "echo", "inputs": ROWS}).json()
    assert body["metadata"]["job_id"] == body["results"]
    assert body["metadata"]["message"]


def test_explicit_nulls_are_defaults(api):
    nothing = dict.fromkeys(
        [
            "column_name",
            "id_column_name",
            "job_priority",
            "json_schema",
            "system_prompt",
            "sampling_params",
            "cost_estimate",
            "random_seed_per_input",
            "truncate_rows",
            "name",
            "description",
        ]
    )
    job = end(api, submit(api, "echo", ROWS, **nothing))
    assert (job["status"], job["job_priority"], job["name"]) == ("SUCCEEDED", 0, None)


def test_a_job_tells_all_that_is_known_of_it(api):
    fields = {"name": "n", "description": "d", "job_priority": 1, "sampling_params": {"top_p": 1}}
    job = end(api, submit(api, "echo", ROWS, **fields))
    assert job.items() >= {**fields, "model": "echo", "num_rows": 3, "failure_reason": None}.items()
    assert job["input_tokens"] > job["output_tokens"] > 0
    assert job["job_cost"] > 0
    assert job["cost_estimate"] is None
    times = [datetime.fromisoformat(job[f"datetime_{at}"]) for at in _TIMES]
    assert times == sorted(times)


_TIMES = ("created", "started", "completed")


def test_rows_may_have_more_fields_and_lack_optional_ones(api, deployment):
    def greet(name: str, greeting: str = "Hello") -> str:
        return f"{greeting}, {name}"

    deployment.publish("greet", greet)
    job_id = submit(api, "greet", [{"name": "Ada"}, {"name": "Bo", "greeting": "Hi", "x": 1}])
    end(api, job_id)
    assert results(api, job_id)["outputs"] == ["Hello, Ada", "Hi, Bo"]


@pytest.mark.parametrize(
    ("rows", "named"),
    [
        ([{"text": "a"}] * 3 + [{"words": "b"}], 'Row 3: missing "text"'),
        ([{"text": "a"}, 7], "Row 1: The input is an object or a string, not integer"),
        ([None], "Row 0: The input is an object or a string, not null"),
    ],
)
def test_a_row_that_cannot_be_judged_refuses_the_submission(api, deployment, rows, named):
    before = len(deployment.jobs)
    answer = api.post("/batch-inference", json={"model": "length", "inputs": rows})
    assert answer.status_code == 422
    assert named in answer.json()["detail"]
    assert len(deployment.jobs) == before


def test_strings_are_prompts_that_were_rendered_already(api):
    job_id = submit(api, "length", ["a", "bb"])
    end(api, job_id)
    assert results(api, job_id, include_inputs=True)["inputs"] == ["a", "bb"]
    assert results(api, job_id)["outputs"] == ['{"label":"1"}', '{"label":"2"}']


def test_a_row_that_fails_is_null_and_the_job_succeeds(api):
    job_id = submit(api, "length", [{"text": "a"}, {"text": "bad"}, {"text": "ccc"}])
    assert end(api, job_id)["status"] == "SUCCEEDED"
    columns = results(api, job_id)
    assert columns["outputs"] == ['{"label":"1"}', None, '{"label":"3"}']
    assert columns["confidence_score"] == [0.75, None, 0.75]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"inputs": ROWS, "model": "no-such"}, 404),
        ({"inputs": ROWS}, 404),
        ({"inputs": ROWS, "model": "draft"}, 409),
        ({"model": "echo"}, 422),
        ({"model": "echo", "inputs": []}, 422),
        ({"model": "echo", "inputs": None}, 422),
        ({"model": "echo", "inputs": {"text": "a"}}, 422),
        ({"model": "echo", "inputs": "s3://bucket/table.csv"}, 422),
        ({"model": "echo", "inputs": "dataset-1"}, 422),
        ({"model": "echo", "inputs": ROWS, "job_priority": 2}, 422),
        ({"model": "echo", "inputs": ROWS, "job_priority": True}, 422),
        ({"model": "echo", "inputs": ROWS, "cost_estimate": 1}, 422),
        ({"model": "echo", "inputs": ROWS, "name": "x" * 46}, 422),
        ({"model": "echo", "inputs": ROWS, "description": "x" * 513}, 422),
        ({"model": "echo", "inputs": ROWS, "id_column_name": "id"}, 422),
        ({"model": "echo", "inputs": "http://h/t.csv", "id_column_name": "outputs"}, 422),
    ],
)
def test_a_submission_that_makes_no_sense_makes_no_job(api, deployment, body, status):
    before = len(deployment.jobs)
    answer = api.post("/batch-inference", json=body)
    assert answer.status_code == status
    assert answer.json()["detail"]
    assert len(deployment.jobs) == before
    assert len(list(deployment._running.service.folder.iterdir())) == before


def test_a_dry_run_estimates_the_cost_and_has_no_rows(api):
    job_id = submit(api, "echo", ROWS * 100, cost_estimate=True)
    job = end(api, job_id)
    full = end(api, submit(api, "echo", ROWS * 100))
    assert job["status"] == "SUCCEEDED"
    assert job["cost_estimate"] == pytest.approx(full["job_cost"], rel=0.05)
    assert job["job_cost"] is None
    assert api.post("/job-results", json={"job_id": job_id}).status_code == 409


def test_status_is_a_map_by_job(api, deployment):
    job_id = submit(api, "echo", ROWS)
    end(api, job_id)
    body = api.get(f"/job-status/{job_id}").json()
    assert body["job_status"] == {job_id: "SUCCEEDED"}
    assert body["metadata"] is None
    deployment.faults.add_job(fail="out of memory")
    job_id = submit(api, "echo", ROWS)
    end(api, job_id)
    body = api.get(f"/job-status/{job_id}").json()
    assert body["metadata"] == {"failure_reason": {"message": "out of memory"}}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/job-status/job-1"),
        ("GET", "/jobs/job-1"),
        ("GET", "/job-cancel/job-1"),
        ("POST", "/job-cancel/job-1"),
        ("GET", "/stream-job-progress/job-1"),
        ("GET", "/jobs/job-1/results?format=json"),
        ("GET", "/jobs/job-1/results-url"),
        ("GET", "/jobs/%00'%2e/results-url"),
    ],
)
def test_an_unknown_job_is_404(api, method, path):
    answer = api.request(method, path)
    assert answer.status_code == 404
    assert answer.json()["detail"]


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_running_job_is_cancelled_by_get_and_by_post(api, deployment, method):
    deployment.faults.add_job(rows_per_second=50, cancelling_seconds=2)
    job_id = submit(api, "echo", ROWS * 1000)
    assert api.request(method, f"/job-cancel/{job_id}").json()["cancelled"] is True
    assert api.get(f"/job-status/{job_id}").json()["job_status"] == {job_id: "CANCELLING"}
    assert end(api, job_id)["status"] == "CANCELLED"
    assert api.post("/job-results", json={"job_id": job_id}).status_code == 409


def test_cancelling_a_job_that_has_ended_changes_nothing(api):
    job_id = submit(api, "echo", ROWS)
    end(api, job_id)
    assert api.get(f"/job-cancel/{job_id}").json()["cancelled"] is True
    assert end(api, job_id)["status"] == "SUCCEEDED"


def test_jobs_are_listed_newest_first_and_by_pages():
    with LocalDeployment([echo]) as deployment:
        for api in client(deployment, "/v1"):
            ids = [submit(api, "echo", ROWS, name=str(number)) for number in range(5)]
            assert [job["job_id"] for job in deployment.jobs] == ids
            whole = api.get("/list-jobs").json()
            assert set(whole) == {"message", "jobs"}
            assert [job["job_id"] for job in whole["jobs"]] == ids[::-1]
            found, cursor = [], None
            while True:
                page = api.get("/list-jobs", params={"limit": 2} | cursor_of(cursor)).json()
                found += [job["name"] for job in page["jobs"]]
                assert set(page) == {"jobs", "next_cursor"}
                cursor = page["next_cursor"]
                if cursor is None:
                    break
            assert found == ["4", "3", "2", "1", "0"]


def cursor_of(cursor):
    return {} if cursor is None else {"cursor": cursor}


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=x", "limit=5&cursor=;"])
def test_a_page_that_makes_no_sense_is_422(api, query):
    assert api.get(f"/list-jobs?{query}").status_code == 422


def test_quotas_are_listed_and_enforced():
    quotas = {0: 2, 1: Quota(rows=100, tokens=50)}
    with LocalDeployment([echo], quotas=quotas) as deployment:
        for api in client(deployment, "/v1"):
            listed = {one["priority"]: one for one in api.get("/get-quotas").json()["quotas"]}
            assert listed[0]["row_quota"] == 2
            assert (listed[1]["row_quota"], listed[1]["token_quota"]) == (100, 50)
            for priority, what in ((0, "3 rows"), (1, "tokens")):
                rows = ROWS if priority == 0 else [{"text": "x" * 100}] * 3
                body = {"model": "echo", "inputs": rows, "job_priority": priority}
                answer = api.post("/batch-inference", json=body)
                assert (answer.status_code, answer.json()["code"]) == (422, "quota_exceeded")
                assert what in answer.json()["detail"]
            end(api, submit(api, "echo", ROWS[:2]))
            assert len(deployment.jobs) == 1


def test_a_function_that_is_gone_when_the_job_runs_fails_it(tmp_path, monkeypatch):
    monkeypatch.setattr(worker, "_SECONDS_TO_PUBLISH", 0.1)
    with LocalDeployment([echo], tmp_path) as deployment:
        for api in client(deployment, "/v1"):
            deployment.faults.add_job(rows_per_second=1)
            job_id = submit(api, "echo", ROWS)
    with LocalDeployment([], tmp_path) as deployment:
        for api in client(deployment, "/v1"):
            job = end(api, job_id)
    assert job["status"] == "FAILED"
    assert "echo" in job["failure_reason"]["message"]
