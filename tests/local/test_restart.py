"""Jobs outlive the process that took them."""

import os
import re
import signal
import stat
import subprocess
import sys

import httpx
import pytest

from langchain_sutro.local import LocalDeployment
from tests.support.local_api import client, echo, end, results, submit

MODULE = """
import time
from pathlib import Path

def slow(text: str) -> str:
    with Path("calls").open("a") as file:
        file.write(text + "\\n")
    time.sleep(0.0001)
    return text

slow_functions = [slow]
"""
ROWS = [{"text": str(number)} for number in range(5000)]


def command(folder, *arguments):
    """Start the command, and wait for its two variables."""
    process = subprocess.Popen(
        [sys.executable, "-m", "langchain_sutro.local", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    variables = {}
    for line in process.stdout:
        if found := re.match(r"export (\w+)=(.*)", line):
            variables[found[1]] = found[2]
        if "Ctrl-C" in line:
            return process, variables
    pytest.fail(process.stderr.read())


def http(variables):
    headers = {"authorization": f"Key {variables['SUTRO_API_KEY']}"}
    return httpx.Client(base_url=variables["SUTRO_API_URL"] + "/v1", headers=headers, timeout=30)


def test_a_killed_server_goes_on_with_its_jobs(tmp_path):
    (tmp_path / "mine.py").write_text(MODULE)
    arguments = ["--functions", "mine:slow_functions", "--data-dir", "data"]
    process, before = command(tmp_path, *arguments)
    with http(before) as api:
        job_id = submit(api, "slow", ROWS)
        while not list((tmp_path / "data/jobs").glob("*/parts/*.parquet")):
            assert end_state(api, job_id) not in ("SUCCEEDED", "FAILED")
        process.send_signal(signal.SIGKILL)
        process.communicate()
    process, after = command(tmp_path, *arguments)
    with http(after) as api:
        assert end(api, job_id)["status"] == "SUCCEEDED"
        assert results(api, job_id)["outputs"] == [row["text"] for row in ROWS]
        assert len(api.get("/list-jobs").json()["jobs"]) == 1
    process.terminate()
    process.communicate()
    assert after["SUTRO_API_KEY"] == before["SUTRO_API_KEY"]
    # Chunks that were finished before were not paid for twice.
    calls = (tmp_path / "calls").read_text().split()
    assert len(ROWS) <= len(calls) < 2 * len(ROWS)
    assert calls.count("0") == 1


def end_state(api, job_id):
    return api.get(f"/job-status/{job_id}").json()["job_status"][job_id]


def test_a_stopped_deployment_goes_on_with_its_jobs(tmp_path):
    deployment = LocalDeployment([echo], tmp_path)
    deployment.start()
    port = deployment.url
    deployment.faults.add_job(rows_per_second=200)
    for api in client(deployment, "/v1"):
        job_id = submit(api, "echo", ROWS[:100])
        cancelled = submit(api, "echo", ROWS[:10])
        api.get(f"/job-cancel/{cancelled}")
    deployment.stop()
    deployment.start()
    assert deployment.url == port
    for api in client(deployment, "/v1"):
        assert end(api, job_id)["status"] == "SUCCEEDED"
        assert end(api, cancelled)["status"] in ("CANCELLED", "SUCCEEDED")
        assert results(api, job_id)["outputs"] == [row["text"] for row in ROWS[:100]]
    deployment.stop()


def test_a_function_may_be_published_right_after_the_restart(tmp_path):
    with LocalDeployment([echo], tmp_path) as deployment:
        deployment.faults.add_job(rows_per_second=4)
        for api in client(deployment, "/v1"):
            job_id = submit(api, "echo", ROWS[:3])
    with LocalDeployment([], tmp_path) as deployment:
        deployment.publish("echo", echo)
        for api in client(deployment, "/v1"):
            assert end(api, job_id)["status"] == "SUCCEEDED"


def test_what_is_left_of_a_submission_that_was_cut_off_is_removed(tmp_path):
    with LocalDeployment([echo], tmp_path) as deployment:
        for api in client(deployment, "/v1"):
            job_id = submit(api, "echo", ROWS[:3])
            end(api, job_id)
    (tmp_path / "jobs/job-half/parts").mkdir(parents=True)
    with LocalDeployment([echo], tmp_path) as deployment:
        assert [path.name for path in (tmp_path / "jobs").iterdir()] == [job_id]
        assert [job["job_id"] for job in deployment.jobs] == [job_id]


def test_presigned_urls_and_results_outlive_a_restart(tmp_path):
    deployment = LocalDeployment([echo], tmp_path)
    deployment.start()
    for api in client(deployment, "/v1"):
        job_id = submit(api, "echo", ROWS[:3])
        end(api, job_id)
        url = api.get(f"/jobs/{job_id}/results-url").json()["urls"]["get"]
    deployment.stop()
    deployment.start()
    assert httpx.get(url).status_code == 200
    deployment.stop()


def test_two_deployments_do_not_share_a_folder(tmp_path):
    with LocalDeployment([], tmp_path), pytest.raises(RuntimeError, match="in use"):
        LocalDeployment([], tmp_path).start()
    with LocalDeployment([], tmp_path):
        pass


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
def test_secrets_are_for_their_owner_only(tmp_path):
    folder = tmp_path / "new"
    with LocalDeployment([], folder) as deployment:
        assert deployment.api_key.startswith("sk_local_")
        modes = {
            path.name: stat.S_IMODE(path.stat().st_mode) for path in [folder, *folder.iterdir()]
        }
    assert modes["new"] == 0o700
    assert modes["keys.json"] == 0o600


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_the_command_cleanly(tmp_path, number):
    process, variables = command(tmp_path, "--port", "0")
    with http(variables) as api:
        names = {one["name"] for one in api.get("/local/functions").json()["functions"]}
    assert names == {"lead-qualifier", "lead-extractor", "any-question"}
    process.send_signal(number)
    output, errors = process.communicate(timeout=100)
    assert (process.returncode, errors) == (0, "")
    assert output == ""


def test_the_command_says_what_is_wrong(tmp_path):
    def run(*arguments):
        return subprocess.run(
            [sys.executable, "-m", "langchain_sutro.local", *arguments],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    done = run("--functions", "no_such_module:x")
    assert done.returncode == 1
    assert "no_such_module" in done.stderr
    assert "Traceback" not in done.stderr
    with LocalDeployment([]) as deployment:
        done = run("--port", deployment.url.rpartition(":")[2])
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    done = run("--help")
    assert done.returncode == 0
    for word in ("--data-dir", "--functions", "--port", "lead-qualifier", "Ctrl-C"):
        assert word in done.stdout
