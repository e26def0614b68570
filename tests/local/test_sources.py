"""Jobs over tables behind a URL."""

import datetime as dt
import gzip
import io
import logging
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from langchain_sutro.local import LocalDeployment
from tests.support.local_api import FUNCTIONS, client, end, results, submit
from tests.support.raw_server import drip, http, raw_server


def damaged():
    """A Parquet file whose first page cannot be decompressed."""
    file = io.BytesIO()
    table = pa.table({"text": ["x" * 100] * 100})
    pq.write_table(table, file, use_dictionary=False, write_statistics=False)
    content = file.getvalue()
    return content[:40] + b"\xff" * 20 + content[60:]


DAMAGED = damaged()


class QuietFiles(SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("tables")


@pytest.fixture(scope="module")
def origin(folder):
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietFiles, directory=folder))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary", "308 Permanent"])
def test_redirects_are_not_followed_anywhere(api, status):
    with raw_server(lambda *_: http(b"text\nsecret\n")) as other:
        moved = http(b"", status, location=f"{other.url}/a.csv")
        with raw_server(lambda *_: moved) as origin:
            job = end(api, submit(api, "echo", f"{origin.url}/a.csv"))
    assert job["status"] == "FAILED"
    assert "redirect" in job["failure_reason"]["message"]
    assert other.requests == []


@pytest.mark.parametrize("encoding", ["", "gzip"])
def test_a_table_that_is_too_large_is_given_up(api, monkeypatch, encoding):
    monkeypatch.setattr("langchain_sutro.local.jobs.sources._LARGEST", 10**6)
    body = b"text\n" + b"a\n" * 10**6
    body = gzip.compress(body) if encoding else body
    with raw_server(lambda *_: http(body, content_encoding=encoding)) as origin:
        job = end(api, submit(api, "echo", f"{origin.url}/a.csv"))
    assert job["status"] == "FAILED"
    assert "1,000,000 bytes" in job["failure_reason"]["message"]


def test_a_table_that_never_ends_is_given_up(api, monkeypatch):
    monkeypatch.setattr("langchain_sutro.local.jobs.sources._SECONDS", 0.2)
    with raw_server(lambda *_: drip(b"HTTP/1.1 200 OK\r\n\r\ntext\n", tail=b"x" * 2**20)) as origin:
        job = end(api, submit(api, "echo", f"{origin.url}/a.csv"))
    assert job["status"] == "FAILED"
    assert "longer than" in job["failure_reason"]["message"]


def test_cells_of_a_csv_stay_text(api, folder, origin):
    (folder / "a.csv").write_text('id,text,more\n007,00123,x\n008,"line\nbreak, 1.50",\n009,,\n')
    job_id = submit(api, "echo", f"{origin}/a.csv", id_column_name="id")
    job = end(api, job_id)
    assert (job["status"], job["num_rows"]) == ("SUCCEEDED", 3)
    columns = results(api, job_id)
    assert columns == {"outputs": ["00123", "line\nbreak, 1.50", ""], "id": ["007", "008", "009"]}


def test_parquet_keeps_the_type_of_its_id_column_in_every_form(api, folder, origin):
    table = pa.table(
        {
            "record_id": [101, None, 103],
            "text": ["a", None, "c"],
            "when": [dt.date(2026, 1, 2)] * 3,
            "score": [1.0, float("nan"), None],
        }
    )
    pq.write_table(table, folder / "b.parquet")
    job_id = submit(api, "length", f"{origin}/b.parquet?token=secret", id_column_name="record_id")
    assert end(api, job_id)["status"] == "SUCCEEDED"
    columns = results(api, job_id, include_inputs=True)
    assert columns["record_id"] == [101, None, 103]
    assert columns["outputs"] == ['{"label":"1"}', '{"label":"0"}', '{"label":"1"}']
    row = '{"record_id":101,"text":"a","when":"2026-01-02","score":1.0}'
    assert columns["inputs"][0] == row
    assert '"score":null' in columns["inputs"][1]
    url = api.get(f"/jobs/{job_id}/results-url").json()["urls"]["get"]
    (folder / "back.parquet").write_bytes(httpx.get(url).content)
    back = pq.read_table(folder / "back.parquet")
    assert back.schema.field("record_id").type == pa.int64()
    assert back["record_id"].to_pylist() == [101, None, 103]


def test_a_carried_column_may_be_called_inputs(api, folder, origin):
    (folder / "c.csv").write_text("inputs,text\nx,a\n")
    job_id = submit(api, "echo", f"{origin}/c.csv", id_column_name="inputs")
    end(api, job_id)
    assert results(api, job_id) == {"outputs": ["a"], "inputs": ["x"]}
    assert results(api, job_id, include_inputs=True) == {"outputs": ["a"], "inputs": ["x"]}


@pytest.mark.parametrize(
    ("content", "fields", "why"),
    [
        (None, {}, "answered with 404"),
        ("words\nx\n", {}, "lacks columns"),
        ("text\nx\n", {"id_column_name": "id"}, 'no column "id"'),
        ("", {}, "cannot be read"),
        ("text\nx,y\n", {}, "cannot be read"),
        (b"PAR1 but not really", {}, "cannot be read"),
        (b"text\n\xff\xfe\n", {}, "cannot be read"),
        (DAMAGED, {}, "cannot be read: OSError"),
    ],
)
def test_a_table_that_cannot_be_used_fails_the_job(
    api, folder, origin, content, fields, why, caplog
):
    caplog.set_level(logging.DEBUG)
    path = folder / "wrong"
    path.unlink(missing_ok=True)
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    job = end(api, submit(api, "echo", f"{origin}/wrong?signature=secret", **fields))
    assert job["status"] == "FAILED"
    assert why in job["failure_reason"]["message"]
    assert "secret" not in str(job)
    assert "secret" not in caplog.text
    assert "Traceback" not in caplog.text


def test_a_host_that_is_not_there_fails_the_job(api):
    job = end(api, submit(api, "echo", "http://127.0.0.1:1/table.csv"))
    assert job["status"] == "FAILED"
    assert "ConnectError" in job["failure_reason"]["message"]


def test_a_url_that_is_none_fails_the_job(api):
    assert end(api, submit(api, "echo", "http://[/table.csv"))["status"] == "FAILED"


def test_the_quota_counts_for_tables_too(folder, origin):
    (folder / "d.csv").write_text("text\na\nb\nc\n")
    with LocalDeployment(FUNCTIONS, quotas={0: 2}) as deployment:
        for api in client(deployment, "/v1"):
            job = end(api, submit(api, "echo", f"{origin}/d.csv"))
    assert job["status"] == "FAILED"
    assert "quota" in job["failure_reason"]["message"]
