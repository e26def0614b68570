"""Several downloads to one path at the same time: the path has one of them, whole."""

import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import orjson
import pytest

from langchain_sutro import SutroClient
from langchain_sutro._core.jobs.locks import FileLock
from langchain_sutro.errors import SutroConnectionError
from tests.support.raw_server import http, raw_server

SECONDS = 90
HALF = 300_000
CONTENTS = {"job-1": b"1" * 2 * HALF, "job-2": b"2" * 2 * HALF}
SAVE = """
import sys
from langchain_sutro import SutroClient
url, job_id, place = sys.argv[1:]
SutroClient(api_url=url, api_key="sk_1", max_retries=0).download_job_results(job_id, place)
"""


class Storage:
    """A service whose objects come in halves, with something to wait for between them."""

    def __init__(self, between):
        self.between = between
        self.url = ""
        self.server = None

    def __call__(self, method, path, body):
        job_id = "job-2" if "job-2" in path else "job-1"
        if "results-url" in path:
            url = f"{self.url}/objects/{job_id}"
            return http(orjson.dumps({"urls": {"get": url, "head": url}}))
        return self._halves(http(CONTENTS[job_id], etag=f'"{job_id}"'))

    def _halves(self, answer):
        yield answer[:-HALF]
        self.between()
        yield answer[-HALF:]

    def ranges(self):
        """What each request for an object asked for, None for the whole."""
        asked = [head for head in self.server.heads if " /objects/" in head]
        return [
            next((one for one in head.split("\r\n") if one.startswith("range:")), None)
            for head in asked
        ]


@pytest.fixture
def stored():
    """Starts a service; what happens between the halves is to be given."""
    storage = Storage(lambda: None)
    with raw_server(storage) as server:
        storage.url, storage.server = server.url, server
        yield storage


def save_here(storage, job_id, place):
    client = SutroClient(api_url=storage.url, api_key="sk_1", max_retries=0)
    return client.download_job_results(job_id, place)


def save_there(storage, job_id, place):
    return subprocess.Popen([sys.executable, "-c", SAVE, storage.url, job_id, str(place)])


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_processes_and_threads_save_to_one_path_at_once(stored, tmp_path):
    place = tmp_path / "results.parquet"
    stored.between = threading.Barrier(4, timeout=SECONDS).wait
    processes = [save_there(stored, job_id, place) for job_id in CONTENTS]
    with ThreadPoolExecutor(2) as pool:
        saved = [pool.submit(save_here, stored, job_id, place) for job_id in CONTENTS]
        assert [one.result(SECONDS) for one in saved] == [str(place)] * 2
    assert [one.wait(SECONDS) for one in processes] == [0, 0]
    assert place.read_bytes() in CONTENTS.values()
    assert names(tmp_path) == ["results.parquet"]


def test_what_a_killed_process_leaves_is_continued(stored, tmp_path):
    place, part = tmp_path / "results.parquet", tmp_path / "results.parquet.part"
    killed = threading.Event()
    stored.between = lambda: killed.wait(SECONDS)
    process = save_there(stored, "job-1", place)
    end = time.monotonic() + SECONDS
    while not (part.exists() and part.stat().st_size) and time.monotonic() < end:
        time.sleep(0.01)
    process.kill()
    process.wait()
    killed.set()
    begun = part.stat().st_size
    save_here(stored, "job-1", place)
    assert stored.ranges() == [None, f"range: bytes={begun}-"]
    assert place.read_bytes() == CONTENTS["job-1"]
    assert names(tmp_path) == ["results.parquet"]


def test_files_of_another_download_are_not_continued_or_changed(stored, tmp_path):
    place = tmp_path / "results.parquet"
    owner = FileLock(tmp_path / "results.parquet.part.lock")
    assert owner.acquire()
    theirs = {"results.parquet.part": b"11", "results.parquet.part.etag": b'"job-1"'}
    for name, content in theirs.items():
        (tmp_path / name).write_bytes(content)

    def broken():
        raise OSError

    stored.between = broken
    with pytest.raises(SutroConnectionError):
        save_here(stored, "job-1", place)
    left = ["results.parquet.part", "results.parquet.part.etag", "results.parquet.part.lock"]
    assert names(tmp_path) == left
    stored.between = lambda: None
    save_here(stored, "job-1", place)
    owner.release()
    # It continues what it has itself.
    assert stored.ranges() == [None, f"range: bytes={HALF}-", None]
    assert place.read_bytes() == CONTENTS["job-1"]
    assert {name: (tmp_path / name).read_bytes() for name in theirs} == theirs
