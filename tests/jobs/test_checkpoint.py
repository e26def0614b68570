"""Checkpoints: one owner at a time, and files that somebody has made by hand."""

import json
import multiprocessing
import os
import threading
import time

import pytest

from langchain_sutro import SutroJobGroup, errors
from langchain_sutro._core.jobs import checkpoint as _checkpoint
from langchain_sutro._core.jobs import locks
from langchain_sutro._core.jobs.checkpoint import CheckpointFile
from langchain_sutro._core.jobs.locks import FileLock, exclusive
from tests.support.numbered_rows import rows

PART = {"rows": 10, "sha256": "a" * 64, "token": None, "job_id": None}
FILE = {"location": "/a.csv", "size": 1, "version": "1"}
GOOD = {
    "request": {"function": "echo"},
    "max_rows": 10,
    "reuse_seconds": None,
    "parts": [PART],
}


def but(**changes):
    return GOOD | changes


def part(**changes):
    return but(parts=[PART | changes])


def request(**changes):
    return but(request=GOOD["request"] | changes)


ODD = [
    b"", b"{", b"\xff\xfe{}", b"\x00" * 50, b"[" * 5000, b"null", b"[]", b"7", b'"text"', b"{}",
    b"\xef\xbb\xbf{}", b'{"request": NaN}', json.dumps(GOOD).encode()[:-9],
    *(
        {name: value for name, value in GOOD.items() if name != left_out}
        for left_out in ("request", "max_rows", "parts")
    ),
    but(request=None), but(request=[]), but(request="echo"), but(request={}),
    but(max_rows=0), but(max_rows=-1), but(max_rows="10"), but(max_rows=1.5), but(max_rows=None),
    but(max_rows=10**30), but(max_rows=True), but(parts=None), but(parts=[]), but(parts={}),
    but(parts=[None]), but(parts=[[]]), but(parts=[7]), but(parts=[{}]), but(reuse_seconds=-1),
    but(reuse_seconds="day"), but(reuse_seconds=1e300), but(reuse_seconds=[]),
    part(rows=0), part(rows=-3), part(rows="10"), part(rows=None), part(rows=1.5),
    part(sha256=""), part(sha256="A" * 64), part(sha256=None), part(sha256=7), part(sha256="a\n"),
    part(token=""), part(token="x" * 32), part(token=7), part(token="a" * 31), part(token=[]),
    part(job_id=""), part(job_id=7), part(job_id={}), part(job_id=False),
    part(files=None), part(files=[{}]), part(files=[{"location": ""}]), part(files=["a.csv"]),
    part(files=[{"location": "a.csv", "size": -1}]), part(files=[FILE], rows=0),
    part(files=[FILE], sha256="A" * 64), but(parts=[PART, PART | {"files": [FILE]}]),
    request(function=None), request(function=""), request(function="a\nb"), request(function=7),
    request(job_priority=2), request(job_priority="0"), request(job_priority=None),
    request(dry_run="yes"), request(dry_run=None), request(job_name=7), request(job_name="x" * 99),
    request(description="x" * 600), request(description=[]), request(id_column=7),
    request(scope=None),
]  # fmt: skip


@pytest.mark.parametrize("content", ODD, ids=range(len(ODD)))
def test_an_odd_file_is_an_error_of_ours_before_any_request(content, deployment, tmp_path, echo):
    path = tmp_path / "parts.json"
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    before = path.read_bytes()
    with pytest.raises(errors.SutroConfigurationError, match="is not a checkpoint"):
        SutroJobGroup.resume(path, rows(10), client=echo.client)
    assert deployment.requests == []
    assert [path.read_bytes()] == [before]
    assert list(tmp_path.iterdir()) == [path]


def test_what_the_odd_files_differ_from_is_a_checkpoint(tmp_path, echo):
    path = tmp_path / "parts.json"
    path.write_text(json.dumps(GOOD))
    with pytest.raises(errors.SutroInputError, match="differs"):
        SutroJobGroup.resume(path, rows(10), client=echo.client)


@pytest.mark.parametrize("place", ["missing.json", "missing/parts.json", ".", "file/parts.json"])
def test_a_place_without_a_checkpoint_is_named(tmp_path, echo, place):
    (tmp_path / "file").write_text("")
    with pytest.raises(errors.SutroConfigurationError, match="cannot be read"):
        SutroJobGroup.resume(tmp_path / place, rows(10), client=echo.client)


@pytest.mark.parametrize("place", ["missing/parts.json", "file/parts.json"])
def test_a_place_that_cannot_be_written_costs_nothing(tmp_path, echo, deployment, place):
    (tmp_path / "file").write_text("")
    with pytest.raises(errors.SutroConfigurationError, match="cannot be locked"):
        echo.submit_in_parts(rows(10), 5, checkpoint=tmp_path / place)
    assert deployment.requests == []


def test_a_file_system_without_locks_is_said(tmp_path, echo, deployment, monkeypatch):
    def unsupported(_):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(locks, "_lock", unsupported)
    with pytest.raises(errors.SutroConfigurationError, match="file system has locks"):
        echo.submit_in_parts(rows(10), 5, checkpoint=tmp_path / "parts.json")
    assert deployment.requests == []


def test_another_owner_is_waited_for_and_then_named(tmp_path, echo, monkeypatch):
    path = tmp_path / "parts.json"
    echo.submit_in_parts(rows(10), 5, checkpoint=path)
    with exclusive(path, 0):
        monkeypatch.setattr(_checkpoint, "_OWNER_SECONDS", 0.2)
        with pytest.raises(errors.SutroConfigurationError, match=f"process {os.getpid()} on "):
            SutroJobGroup.resume(path, rows(10), client=echo.client)
        monkeypatch.setattr(_checkpoint, "_OWNER_SECONDS", 60.0)
        resumed = []
        thread = threading.Thread(
            target=lambda: resumed.append(SutroJobGroup.resume(path, client=echo.client))
        )
        thread.start()
        time.sleep(0.2)
        assert resumed == []
    thread.join()
    assert len(resumed[0]) == 2
    assert list(tmp_path.iterdir()) == [path]


def test_what_something_else_wrote_meanwhile_is_not_written_over(tmp_path):
    path = tmp_path / "parts.json"
    path.write_text(json.dumps(GOOD))
    file = CheckpointFile(path)
    kept = file.read()
    file.write(kept)
    path.write_text(json.dumps(GOOD) + "\n")
    with pytest.raises(errors.SutroConfigurationError, match="changed by something else"):
        file.write(kept)
    assert path.read_text() == json.dumps(GOOD) + "\n"


def hold(path, holding, done):
    with exclusive(path, 5):
        holding.set()
        done.wait(30)


def test_a_lock_ends_with_its_process_and_not_with_a_child(tmp_path):
    path = tmp_path / "parts.json"
    spawn = multiprocessing.get_context("spawn")
    holding, done = spawn.Event(), spawn.Event()
    process = spawn.Process(target=hold, args=(path, holding, done))
    process.start()
    assert holding.wait(30)
    with pytest.raises(errors.SutroConfigurationError, match=f"process {process.pid} on "):
        exclusive(path, 0).__enter__()
    process.kill()
    process.join()
    with exclusive(path, 5):
        child = os.fork()
        if child == 0:
            time.sleep(30)
            os._exit(0)
    # The child is alive, and was forked from the holder.
    with exclusive(path, 0):
        pass
    os.kill(child, 9)
    os.waitpid(child, 0)


def test_a_lock_whose_file_was_removed_is_none(tmp_path):
    first, second = FileLock(tmp_path / "x"), FileLock(tmp_path / "x")
    assert first.acquire()
    assert not second.acquire()
    (tmp_path / "x").unlink()
    assert second.acquire()
    first.release()
    second.release()
