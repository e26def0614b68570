"""The console: its page, its own data, and who may ask for them."""

import re
import time
from pathlib import Path

import httpx
import pytest

from langchain_sutro.local.http import console_routes
from langchain_sutro.local.jobs.artifacts import CHUNK
from tests.support.local_api import end, submit

FILES = ("/", "/console/console.css", "/console/console.js")
DATA = ("/v1/local/functions", "/v1/local/requests", "/v1/local/jobs/x/rows")


@pytest.mark.parametrize("path", FILES)
def test_the_page_needs_no_key_and_loads_nothing_from_elsewhere(deployment, path):
    answer = httpx.get(deployment.url + path)
    assert answer.status_code == 200
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert re.findall(r"(?:https?:)?//[a-z]", answer.text.replace("// ", "")) == []
    assert deployment.api_key not in answer.text


@pytest.mark.parametrize("path", DATA)
def test_the_data_needs_the_key(deployment, path):
    assert httpx.get(deployment.url + path).status_code == 401


@pytest.mark.parametrize("path", [*FILES, *DATA[1:]])
def test_another_host_name_is_refused(api, deployment, path):
    for host in ("evil.example", f"evil.example:{api.base_url.port}", "127.0.0.1.evil.example"):
        answer = api.get(deployment.url + path, headers={"host": host})
        assert answer.status_code == 421, host
    port = api.base_url.port
    assert api.get(deployment.url + path, headers={"host": f"localhost:{port}"}).status_code != 421


@pytest.mark.parametrize("path", [*FILES, *DATA])
def test_no_page_of_another_origin_gets_an_answer_that_it_may_read(api, deployment, path):
    answer = api.get(deployment.url + path, headers={"origin": "https://evil.example"})
    assert "access-control-allow-origin" not in answer.headers
    if path != "/v1/local/functions":
        assert answer.status_code == 403


def test_rows_are_shown_page_by_page_with_their_outputs(api):
    job_id = submit(api, "length", [{"text": "x" * (i % 7)} for i in range(CHUNK + 5)])
    end(api, job_id)
    page = api.get(f"/local/jobs/{job_id}/rows", params={"offset": CHUNK - 2, "limit": 4}).json()
    assert page["total"] == CHUNK + 5
    assert [row["input"] for row in page["rows"]] == [
        f'{{"text":"{"x" * (i % 7)}"}}' for i in range(CHUNK - 2, CHUNK + 2)
    ]
    assert [row["output"] for row in page["rows"]] == [
        f'{{"label":"{i % 7}"}}' for i in range(CHUNK - 2, CHUNK + 2)
    ]
    assert {row["confidence"] for row in page["rows"]} == {0.75}
    last = api.get(f"/local/jobs/{job_id}/rows", params={"offset": CHUNK + 3}).json()
    assert len(last["rows"]) == 2
    assert api.get(f"/local/jobs/{job_id}/rows", params={"offset": 10**9}).json()["rows"] == []


def test_rows_that_failed_or_are_not_finished_are_shown_as_that(api, deployment):
    job_id = submit(api, "length", [{"text": "bad"}, {"text": "good"}])
    end(api, job_id)
    failed, fine = api.get(f"/local/jobs/{job_id}/rows").json()["rows"]
    assert (failed["output"], failed["done"]) == (None, True)
    assert fine["output"] == '{"label":"4"}'
    deployment.faults.add_job("length", rows_per_second=0.1)
    job_id = submit(api, "length", [{"text": "slow"}])
    (row,) = api.get(f"/local/jobs/{job_id}/rows").json()["rows"]
    assert row == {"input": '{"text":"slow"}', "output": None, "confidence": None, "done": False}
    api.get(f"/job-cancel/{job_id}")


def test_rows_of_no_job_are_404_and_odd_pages_422(api):
    assert api.get("/local/jobs/none/rows").status_code == 404
    job_id = submit(api, "echo", [{"text": "x"}])
    for wrong in ({"offset": -1}, {"limit": 0}, {"limit": 101}, {"offset": "x"}):
        assert api.get(f"/local/jobs/{job_id}/rows", params=wrong).status_code == 422


def test_the_latest_requests_are_shown_without_contents_secrets_or_the_console_itself(api):
    run = api.post("/functions/echo/run", json={"input": "a private text"})
    api.get("/storage/x", params={"signature": "secret", "expires": 1})
    api.get("/list-jobs", headers={"x-sutro-console": "1"})
    for path in FILES:
        httpx.get(f"{api.base_url.copy_with(path=path)}")
    answer = api.get("/local/requests")
    newest = answer.json()["requests"]
    assert [one["path"] for one in newest[:2]] == ["/v1/local/requests", "/v1/storage/x"]
    assert newest[2]["path"] == "/v1/functions/echo/run"
    # Versions of httpx write JSON with and without spaces.
    assert (newest[2]["status"], newest[2]["size"]) == (200, len(run.request.content))
    assert abs(time.time() - time_of(newest[2])) < 60
    assert "private" not in answer.text
    assert "secret" not in answer.text
    for _ in range(60):
        api.get("/auth/check")
    assert len(api.get("/local/requests").json()["requests"]) == 50


def time_of(request):
    from datetime import datetime

    return datetime.fromisoformat(request["time"]).timestamp()


def test_the_files_of_the_page_are_there_and_no_others():
    folder = Path(console_routes.__file__).parent / "console"
    assert sorted(p.name for p in folder.iterdir()) == ["console.css", "console.js", "index.html"]
