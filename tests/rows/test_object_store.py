"""Tables behind `s3://`: signed here, fetched by the service, from an object store on loopback."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from s3fs import S3FileSystem

from langchain_sutro import SutroFunction

CSV = b"query,region\n" + b"We need 200 seats by Friday,APAC\nplease unsubscribe me,EMEA\n" * 5


class Store(BaseHTTPRequestHandler):
    """One object, for those who come with a signature."""

    asked: list = []

    def do_GET(self):
        path, _, query = self.path.partition("?")
        found = path == "/leads/2026/leads.csv" and "Signature=" in query
        self.asked.append((path, found))
        self.send_response(200 if found else 403)
        self.send_header("content-type", "text/csv")
        self.send_header("content-length", str(len(CSV) if found else 0))
        self.end_headers()
        if found:
            self.wfile.write(CSV)

    def log_message(self, *_):
        pass


@pytest.fixture
def store(monkeypatch):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Store)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setattr(Store, "asked", [])
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIATESTTESTTEST")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "very-secret-key")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    # fsspec keeps what it connected to before.
    S3FileSystem.clear_instance_cache()
    yield Store
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize("sync", [True, False])
async def test_a_table_in_an_object_store_is_judged_without_passing_through_here(
    deployment, store, sync
):
    qualify = SutroFunction("lead-qualifier", api_url=deployment.url, api_key=deployment.api_key)
    address = "s3://leads/2026/leads.csv"
    if sync:
        results = qualify.submit(address).results()
    else:
        results = await (await qualify.asubmit(address)).aresults()
    assert [one.answer for one in results] == ["qualified", "not_qualified"] * 5
    assert ("/leads/2026/leads.csv", True) in store.asked
    told = repr(deployment.jobs)
    assert "very-secret-key" not in told
