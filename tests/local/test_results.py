"""Results as JSON, as files and over presigned URLs."""

import csv
import io
import json
import math
import time
import zipfile
from urllib.parse import parse_qs, urlsplit

import httpx
import pyarrow.parquet as pq
import pytest

from tests.support.local_api import end, results, submit

ROWS = [{"text": "a"}, {"text": "bad"}, {"text": "ccc"}]
LABELS = ['{"label":"1"}', None, '{"label":"3"}']
INPUTS = ['{"text":"a"}', '{"text":"bad"}', '{"text":"ccc"}']


@pytest.fixture
def job_id(api):
    job_id = submit(api, "length", ROWS)
    end(api, job_id)
    return job_id


def parquet(content):
    return pq.read_table(io.BytesIO(content)).to_pydict()


def test_columns_are_given_when_they_are_asked_for(api, job_id):
    assert set(results(api, job_id)) == {"outputs", "confidence_score"}
    columns = results(api, job_id, include_inputs=True, include_cumulative_logprobs=True)
    assert columns["inputs"] == INPUTS
    logarithm = math.log(0.75)
    assert columns["cumulative_logprobs"] == [logarithm, None, logarithm]


def test_without_any_confidence_there_is_no_such_column(api):
    job_id = submit(api, "echo", ROWS)
    end(api, job_id)
    assert results(api, job_id) == {"outputs": ["a", "bad", "ccc"]}


@pytest.mark.parametrize("parameter", ["format", "result_format"])
def test_json_has_its_columns_at_the_top(api, job_id, parameter):
    body = api.get(f"/jobs/{job_id}/results?{parameter}=json&include_inputs=True").json()
    assert body == {"outputs": LABELS, "confidence_score": [0.75, None, 0.75], "inputs": INPUTS}


def test_csv_is_an_archive_and_its_output_column_is_named_after_the_job(api, job_id):
    answer = api.get(f"/jobs/{job_id}/results?format=csv&include_inputs=true")
    assert answer.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        (name,) = archive.namelist()
        rows = list(csv.DictReader(io.StringIO(archive.read(name).decode())))
    assert name.endswith(".csv")
    assert [row[job_id] for row in rows] == ['{"label":"1"}', "", '{"label":"3"}']
    assert [row["inputs"] for row in rows] == INPUTS


def test_parquet_keeps_nulls_and_types(api, job_id):
    table = parquet(api.get(f"/jobs/{job_id}/results?format=parquet").content)
    assert table == {"outputs": LABELS, "confidence_score": [0.75, None, 0.75]}


@pytest.mark.parametrize("query", ["", "?format=xml", "?format="])
def test_a_format_that_does_not_exist_is_400(api, job_id, query):
    assert api.get(f"/jobs/{job_id}/results{query}").status_code == 400


@pytest.mark.parametrize(
    "path", ["results?format=json", "results?format=csv", "results?format=parquet", "results-url"]
)
def test_results_before_success_are_409(api, deployment, path):
    deployment.faults.add_job(rows_per_second=2)
    job_id = submit(api, "echo", ROWS)
    assert api.get(f"/jobs/{job_id}/{path}").status_code == 409
    assert api.post("/job-results", json={"job_id": job_id}).status_code == 409
    api.get(f"/job-cancel/{job_id}")


def test_many_chunks_stay_in_order(api):
    rows = [{"text": str(number)} for number in range(4321)]
    job_id = submit(api, "echo", rows)
    end(api, job_id)
    texts = [row["text"] for row in rows]
    assert results(api, job_id)["outputs"] == texts
    assert parquet(api.get(f"/jobs/{job_id}/results?format=parquet").content)["outputs"] == texts


def test_urls_describe_their_artifact(api, job_id):
    query = "format=parquet&include_inputs=True&expires_in_seconds=60"
    body = api.get(f"/jobs/{job_id}/results-url?{query}").json()
    assert body.items() >= {"job_id": job_id, "format": "parquet", "include_inputs": True}.items()
    assert body["include_cumulative_logprobs"] is False
    assert body["expires_in_seconds"] == 60
    artifact = body["artifact"]
    assert artifact["filename"] == f"sutro-results~{job_id}~inputs=1~logprobs=0.parquet"
    assert artifact["key"].endswith(artifact["filename"])
    content = httpx.get(body["urls"]["get"]).content
    assert len(content) == artifact["size_bytes"]
    assert parquet(content)["inputs"] == INPUTS


@pytest.mark.parametrize(
    ("query", "status"),
    [("format=csv", 400), ("expires_in_seconds=0", 422), ("expires_in_seconds=604801", 422)],
)
def test_urls_that_cannot_be_are_refused(api, job_id, query, status):
    assert api.get(f"/jobs/{job_id}/results-url?{query}").status_code == status


@pytest.fixture
def urls(api, job_id):
    return api.get(f"/jobs/{job_id}/results-url").json()["urls"]


def test_each_url_is_good_for_its_own_method_only(urls):
    head = httpx.head(urls["head"])
    assert (head.status_code, head.content) == (200, b"")
    assert int(head.headers["content-length"]) == len(httpx.get(urls["get"]).content)
    assert head.headers["etag"] == httpx.get(urls["get"]).headers["etag"]
    assert httpx.get(urls["head"]).status_code == 403
    assert httpx.head(urls["get"]).status_code == 403


def test_storage_refuses_a_request_that_carries_a_key(urls, deployment):
    headers = {"authorization": f"Key {deployment.api_key}"}
    answer = httpx.get(urls["get"], headers=headers)
    assert answer.status_code == 400
    assert deployment.api_key not in answer.text


@pytest.mark.parametrize(
    ("old", "new"),
    [("signature=", "signature=0"), ("expires=", "expires=1"), ("~inputs", "inputs")],
)
def test_an_altered_url_is_403(urls, old, new):
    assert httpx.get(urls["get"].replace(old, new)).status_code == 403


def test_a_url_without_a_signature_is_403(urls):
    assert httpx.get(urls["get"].partition("?")[0]).status_code == 403


def test_a_url_expires(api, job_id):
    url = api.get(f"/jobs/{job_id}/results-url?expires_in_seconds=1").json()["urls"]["get"]
    expires = int(parse_qs(urlsplit(url).query)["expires"][0])
    while time.time() < expires:
        time.sleep(0.02)
    assert httpx.get(url).status_code == 403


def test_a_range_continues_the_same_object(urls):
    whole = httpx.get(urls["get"])
    etag = whole.headers["etag"]
    rest = httpx.get(urls["get"], headers={"range": "bytes=10-", "if-range": etag})
    assert rest.status_code == 206
    assert rest.content == whole.content[10:]
    assert (
        rest.headers["content-range"] == f"bytes 10-{len(whole.content) - 1}/{len(whole.content)}"
    )
    assert rest.headers["etag"] == etag
    restarted = httpx.get(urls["get"], headers={"range": "bytes=10-", "if-range": '"other"'})
    assert (restarted.status_code, restarted.content) == (200, whole.content)
    beyond = httpx.get(urls["get"], headers={"range": f"bytes={len(whole.content)}-"})
    assert beyond.status_code == 416


def test_storage_can_do_without_etag(urls, deployment):
    deployment.faults.add_storage(etag="missing", times=3)
    whole = httpx.get(urls["get"])
    assert "etag" not in whole.headers
    again = httpx.get(urls["get"], headers={"range": "bytes=10-", "if-range": '"x"'})
    assert (again.status_code, again.content) == (200, whole.content)
    assert httpx.get(urls["get"], headers={"range": "bytes=10-"}).status_code == 206


def test_an_object_can_change_between_two_requests(urls, deployment):
    etag = httpx.get(urls["get"]).headers["etag"]
    deployment.faults.add_storage(etag="changed")
    answer = httpx.get(urls["get"], headers={"range": "bytes=10-", "if-range": etag})
    assert answer.status_code == 200
    assert answer.headers["etag"] != etag
    assert httpx.get(urls["get"]).headers["etag"] == etag


def test_results_that_are_expanded_by_clients_are_valid_json(api, job_id):
    parsed = [json.loads(output) if output else None for output in results(api, job_id)["outputs"]]
    assert parsed == [{"label": "1"}, None, {"label": "3"}]
