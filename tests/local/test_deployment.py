"""The deployment as an object: threads, event loops, what it leaves behind."""

import asyncio
import os
import re
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from blockbuster import blockbuster_ctx

from langchain_sutro._core.version import __version__ as version
from langchain_sutro.local import LocalDeployment
from tests.support.local_api import FUNCTIONS, TEXT, client, echo, end, results, submit

ROWS = [{"text": str(number)} for number in range(50)]


def test_it_leaves_nothing_behind():
    before = set(threading.enumerate())
    with LocalDeployment([echo]) as deployment:
        for api in client(deployment, "/v1"):
            end(api, submit(api, "echo", ROWS))
        folder = deployment._running.service.folder
        url = deployment.url
        assert folder.exists()
    assert set(threading.enumerate()) <= before
    assert not folder.parent.exists()
    with pytest.raises(httpx.ConnectError):
        httpx.get(url)


def test_it_must_run_to_have_a_url():
    deployment = LocalDeployment([echo])
    with pytest.raises(RuntimeError, match="not running"):
        _ = deployment.url
    with pytest.raises(RuntimeError, match="not running"):
        deployment.wait_until_ready()
    assert "stopped" in repr(deployment)
    deployment.stop()


def test_starting_twice_is_starting_once():
    with LocalDeployment([echo]) as deployment:
        url = deployment.url
        deployment.start()
        deployment.wait_until_ready()
        assert deployment.url == url
        assert deployment.environ == {"SUTRO_API_URL": url, "SUTRO_API_KEY": deployment.api_key}


def test_a_port_that_is_taken_is_an_error_and_leaves_nothing(tmp_path):
    with LocalDeployment([]) as deployment:
        port = int(deployment.url.rpartition(":")[2])
        other = LocalDeployment([], tmp_path, port)
        with pytest.raises(OSError, match="in use"):
            other.start()
    other.start()
    assert other.url.endswith(f":{port}")
    other.stop()


def test_port_key_and_functions_can_be_chosen():
    with LocalDeployment([], api_key="sk_mine") as deployment:
        assert deployment.api_key == "sk_mine"
        assert deployment.functions == []
        for api in client(deployment, "/v1"):
            assert api.get("/auth/check").status_code == 200
    names = [function["name"] for function in LocalDeployment().functions]
    assert names == ["lead-qualifier", "lead-extractor", "any-question"]


def test_deployments_side_by_side_have_nothing_in_common():
    with LocalDeployment([echo]) as first, LocalDeployment([], api_key="sk_mine") as second:

        @second.function("loud")
        def loud(text: str) -> str:
            return text.upper()

        for one in client(first, "/v1"):
            for two in client(second, "/v1"):
                for _ in range(3):
                    for api, name, said in ((one, "echo", "Hi"), (two, "loud", "HI")):
                        answer = api.post(f"/functions/{name}/run", json={"input": {"text": "Hi"}})
                        assert answer.json()["output"] == said
                assert two.post("/functions/echo/run", json={"input": "Hi"}).status_code == 404
                ended = end(one, submit(one, "echo", [{"text": "a"}]))
                assert two.get(f"/jobs/{ended['job_id']}").status_code == 404
                assert two.get("/list-jobs").json()["jobs"] == []
                headers = {"authorization": one.headers["authorization"]}
                assert two.get("/auth/check", headers=headers).status_code == 401
    assert len(second.requests) == 7


async def test_it_works_inside_of_a_running_event_loop():
    with LocalDeployment([echo]) as deployment:
        headers = {"authorization": f"Key {deployment.api_key}"}
        async with httpx.AsyncClient(base_url=deployment.url, headers=headers) as api:
            calls = [
                api.post("/v1/functions/echo/run", json={"input": str(number)})
                for number in range(100)
            ]
            answers = await asyncio.gather(*calls)
    assert [answer.json()["output"] for answer in answers] == [str(n) for n in range(100)]


def test_many_threads_submit_at_once():
    with LocalDeployment([echo]) as deployment:
        for api in client(deployment, "/v1"):

            def job(number, api=api):
                rows = [{"text": f"{number}-{row}"} for row in range(30)]
                job_id = submit(api, "echo", rows)
                end(api, job_id)
                return results(api, job_id)["outputs"] == [row["text"] for row in rows]

            with ThreadPoolExecutor(12) as pool:
                assert all(pool.map(job, range(24)))
        assert len(deployment.jobs) == 24


def test_the_event_loop_is_never_blocked():
    with LocalDeployment(FUNCTIONS, heartbeat_seconds=0.1) as deployment:

        async def block(row):
            time.sleep(0.001)  # noqa: ASYNC251 - to see that it would be noticed

        deployment.publish("block", block, input_schema=TEXT, output_schema=TEXT)
        # Only now: starting a thread waits for a lock.
        with blockbuster_ctx():
            for api in client(deployment, "/v1"):
                blocked = api.post("/functions/block/run", json={"input": "x"})
                assert "BlockingError" in blocked.json()["detail"]
                large = [{"text": "x" * 1000}] * 3000
                job_id = submit(api, "length", large)
                assert end(api, job_id)["status"] == "SUCCEEDED"
                with api.stream("GET", f"/stream-job-progress/{job_id}") as answer:
                    assert list(answer.iter_lines())
                assert len(results(api, job_id, include_inputs=True)["inputs"]) == 3000
                assert api.get(f"/jobs/{job_id}/results?format=csv").status_code == 200
                url = api.get(f"/jobs/{job_id}/results-url").json()["urls"]["get"]
                assert httpx.get(url).status_code == 200
                assert api.get("/list-jobs?limit=1").status_code == 200
                assert api.get(f"/job-cancel/{job_id}").status_code == 200
                deployment.faults.add("functions/*", delay=0.01)
                for name in ("echo", "lead-extractor"):
                    body = {"input": {"text": "Acme Foods"}}
                    assert api.post(f"/functions/{name}/run", json=body).status_code == 200


def test_a_missing_extra_is_named(tmp_path):
    code = (
        "import sys, importlib.util as u\n"
        "find = u.find_spec\n"
        "u.find_spec = lambda name, *a: None if name == 'uvicorn' else find(name, *a)\n"
        "import langchain_sutro.local\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert (
        "ImportError: The local deployment needs more packages (uvicorn not found)" in done.stderr
    )
    assert 'pip install "langchain-sutro[local]"' in done.stderr


def test_the_command_says_in_one_line_that_the_extra_is_missing(tmp_path):
    site = (
        "import importlib.util as u\nfind = u.find_spec\n"
        "u.find_spec = lambda name, *a: None if name == 'fastapi' else find(name, *a)\n"
    )
    (tmp_path / "sitecustomize.py").write_text(site)
    path = os.pathsep.join([str(tmp_path), str(Path(__file__).parents[2])])
    done = subprocess.run(
        [sys.executable, "-m", "langchain_sutro.local"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: The local deployment needs more packages (fastapi not found)")


class TestCommand:
    def run(self, *arguments, **options):
        return subprocess.run(
            [sys.executable, "-m", "langchain_sutro.local", *map(str, arguments)],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            **options,
        )

    def test_it_says_its_version(self):
        assert self.run("--version").stdout.strip() == f"langchain-sutro {version}"

    def test_a_port_in_use_is_said_in_one_line(self, deployment):
        port = httpx.URL(deployment.url).port
        done = self.run("--port", port)
        assert done.returncode == 1
        (line,) = done.stderr.splitlines()
        assert f"Port {port} of 127.0.0.1 cannot be used" in line

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (("--port", 65536), "port must be between 0 and 65535, not 65536"),
            (("--port", -1), "port must be between 0 and 65535, not -1"),
            (("--functions", "json"), "--functions takes MODULE:ATTRIBUTE, not 'json'"),
            (("--functions", "no_such:x"), "No module named 'no_such'"),
            (("--functions", "json:nope"), "no attribute 'nope'"),
            (("--functions", "json:dumps"), "give"),
            (("--data-dir", __file__), "File exists"),
        ],
    )
    def test_a_wrong_option_is_said_in_one_line(self, arguments, said):
        done = self.run(*arguments)
        assert done.returncode == 1
        (line,) = done.stderr.splitlines()
        assert line.startswith("error: ")
        assert said in line


def test_scikit_learn_is_imported_when_it_is_needed():
    code = (
        "import sys\n"
        "from langchain_sutro.local import LocalDeployment\n"
        "with LocalDeployment(): print('sklearn' in sys.modules)\n"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_it_imports_no_room_above_it():
    for path in (Path(__file__).parents[2] / "langchain_sutro/local").rglob("*.py"):
        for line in path.read_text(encoding="utf-8").splitlines():
            if "langchain_sutro." in line and "import" in line:
                names = r"langchain_sutro\.(local|errors|_core\.(exports|version))\b"
                assert re.search(names, line), path
