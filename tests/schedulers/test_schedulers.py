"""The page's tasks in real schedulers: submitted in one process, repeated, collected in another."""

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.amounts import amount
from tests.support.environments import PROJECT, ROOT, environment, interpreter_of
from tests.support.pages import blocks

pytestmark = [pytest.mark.sdk, pytest.mark.slow, pytest.mark.timeout(900)]

HERE = Path(__file__).parent
PAGE = (ROOT / "docs" / "schedulers.md").read_text()
SCHEDULERS = {
    "dagster": "dagster==1.13.29",
    "prefect": "prefect==3.9.1",
    "airflow": "apache-airflow==3.3.2",
}
ANSWERS = ["qualified", "not_qualified"]
# Their environments are large, and they start slowly.
heavy = pytest.mark.skipif(
    not amount(0, 1, "SUTRO_SCHEDULERS"), reason="make test-thorough runs it"
)


class Scheduler:
    """A scheduler in an environment of its own, and one deployment for all its processes."""

    def __init__(self, name, deployment, folder):
        self.name = name
        self.deployment = deployment
        self.folder = folder
        requirements = [SCHEDULERS[name], *PROJECT["project"]["dependencies"]]
        self.python = environment(name, requirements, python=supported())
        for _, block in blocks("python", PAGE):
            file, _, _ = block.removeprefix("# ").partition("\n")
            if file in ("leads.py", f"leads_{name}.py"):
                (folder / file).write_text(block)
        (folder / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")

    def process(self, *command, ends_with=0):
        """Run a process of the scheduler that reaches nothing but loopback; gives its last line."""
        out, errors = self.folder / "stdout", self.folder / "stderr"
        with out.open("w") as output, errors.open("w") as stderr:
            # A process that dies leaves the scheduler's server behind, with its streams open.
            process = subprocess.Popen(
                [str(self.python), *command],
                env=self.environ(),
                cwd=self.folder,
                stdout=output,
                stderr=stderr,
                start_new_session=True,
            )
            try:
                status = process.wait(timeout=600)
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        assert status == ends_with, (out.read_text() + errors.read_text())[-3000:]
        return out.read_text().strip().rpartition("\n")[2]

    def driver(self, task, trouble="", ends_with=0):
        """What a process of the driver says."""
        driver = HERE / f"{self.name}_driver.py"
        said = self.process(str(driver), task, trouble, ends_with=ends_with)
        return None if ends_with else json.loads(said)

    def environ(self):
        home = str(self.folder)
        return {
            "PATH": os.environ["PATH"],
            "HOME": home,
            "PYTHONPATH": os.pathsep.join((str(ROOT), home)),
            "HTTP_PROXY": "http://127.0.0.1:9",
            "HTTPS_PROXY": "http://127.0.0.1:9",
            "NO_PROXY": "127.0.0.1,localhost",
            "DO_NOT_TRACK": "1",
            "DAGSTER_HOME": home,
            "DAGSTER_DISABLE_TELEMETRY": "1",
            "PREFECT_HOME": f"{home}/prefect",
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "300",
            "AIRFLOW_HOME": f"{home}/airflow",
            "AIRFLOW__CORE__DAGS_FOLDER": home,
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
            **self.deployment.environ,
        }

    def one_job(self):
        """The only job that there is."""
        (job,) = self.deployment.jobs
        return job["job_id"]


def supported():
    """An interpreter that the schedulers support."""
    if sys.version_info < (3, 14):
        return sys.executable
    found = next(filter(None, map(interpreter_of, ("3.13", "3.12", "3.11"))), None)
    if found is None:
        pytest.skip("Schedulers need Python 3.13 or older, and there is none.")
    return found


def test_dagster_collects_the_one_job_of_a_repeated_asset(deployment, tmp_path):
    dagster = Scheduler("dagster", deployment, tmp_path)
    dagster.driver("submit", "dies", ends_with=9)
    made = dagster.one_job()
    told = dagster.driver("submit", "fails once")
    assert told["before"] == []
    assert told["value"]["job_id"] == made == dagster.one_job()
    told = dagster.driver("collect")
    assert told == {"before": ["2026-11-25"], "value": ANSWERS, "after": []}
    assert dagster.one_job() == made


@heavy
def test_prefect_collects_the_one_job_of_a_repeated_task(deployment, tmp_path):
    prefect = Scheduler("prefect", deployment, tmp_path)
    prefect.driver("submit", "dies", ends_with=9)
    made = prefect.one_job()
    told = prefect.driver("submit", "fails once")
    assert told["value"]["job_id"] == made == prefect.one_job()
    assert prefect.driver("collect") == {"value": ANSWERS}
    assert prefect.one_job() == made


@heavy
def test_airflow_collects_the_one_job_of_a_repeated_task(deployment, tmp_path):
    airflow = Scheduler("airflow", deployment, tmp_path)
    airflow.process("-m", "airflow", "db", "migrate")
    airflow.driver("run", "dies", ends_with=9)
    made = airflow.one_job()
    told = airflow.driver("run")
    assert told["state"] == "success"
    assert told["value"] == ANSWERS
    assert airflow.one_job() == made
