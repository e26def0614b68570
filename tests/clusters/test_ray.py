"""Functions over Ray datasets, on a real cluster: drivers, workers and tasks die, rows do not."""

import json
import os
import random
import time

import pytest

from tests.clusters.processes import output, running, wait_until
from tests.clusters.rows import judged

pytestmark = [pytest.mark.sdk, pytest.mark.slow, pytest.mark.timeout(900)]

COUNT, PARTS = 60, 3
LONG = 60.0
# Tables whose drivers are killed at any time: `SUTRO_CLUSTER_KILLS=10` for a proof.
KILLED_TABLES = int(os.environ.get("SUTRO_CLUSTER_KILLS", "0"))


@pytest.fixture(autouse=True)
def _anew(deployment):
    deployment.faults.clear()
    deployment.requests.clear()
    yield
    deployment.faults.clear()


@pytest.fixture(scope="module")
def found(cluster, ray_python, start, tmp_path_factory):
    """What one driver found about many datasets."""
    return output(
        start(ray_python, "ray_driver", cluster, tmp_path_factory.mktemp("datasets"), "all")
    )


def test_tasks_that_fail_or_are_killed_are_repeated_without_a_trace(found):
    told = found["repeated"]
    assert len(told["files"]) == len(set(told["jobs"])) == PARTS
    assert told["rows"] == told["halves"] == judged(COUNT)
    assert told["taken"][0] == "SutroInputError"
    assert "3 parts, and 1 jobs" in told["taken"][1]


def test_outputs_are_strings_without_a_schema(found):
    rows = [
        {"n": str(n), "inference_result": f'{{"label":"<{n}>"}}', "confidence_score": None,
         "error": None}
        for n in range(8)
    ]  # fmt: skip
    assert found["as_text"] == [json.dumps(one) for one in rows]


def test_a_dataset_without_rows_makes_no_job_and_keeps_its_columns(found):
    added = ["label", "confidence_score", "error"]
    assert found["empty"] == [[[], ["n", *added]], [[], added]]


def test_a_row_without_an_output_says_why_and_keeps_its_place(found):
    wanted = judged(COUNT)
    told = found["errors"]
    for one in wanted[::13]:
        one["label"] = None
        said = told[one["id"]].pop("error")
        assert "has no output" in said
        del one["error"]
    assert told == wanted


def test_columns_that_clash_are_refused_or_get_a_suffix(found):
    (kind, said), row = found["clashes"]
    assert kind == "SutroInputError"
    assert "'label'" in said
    assert (row["label"], row["label_sutro"]) == ("mine", "<3>")


def test_the_blocks_of_the_page_run(found):
    assert found["page"] == 2


def test_what_cannot_work_is_refused_before_a_job_is_made(found):
    told = found["refusals"]
    assert {name: kind for name, (kind, _) in told.items()} == {
        "schema": "SutroInputError", "column": "SutroInputError",
        "twice": "SutroConfigurationError", "other": "SutroConfigurationError",
        "fields": "SutroConfigurationError", "url": "SutroConfigurationError",
    }  # fmt: skip
    assert "user:hush" not in told["url"][1]


def test_a_driver_that_is_killed_anywhere_is_followed_by_one_that_pays_nothing_twice(
    cluster, ray_python, start, deployment, tmp_path
):
    before = len(deployment.jobs)
    stage = tmp_path / "stage"

    def drive():
        return start(ray_python, "ray_driver", cluster, tmp_path, "whole")

    def made():
        return len(deployment.jobs) - before

    def asked(ending):
        return sum(ending in request.path for request in deployment.requests)

    def killed_when(so):
        with running(drive()) as process:
            wait_until(lambda: so() or process.poll() is not None)
            assert process.poll() is None
            process.kill()
        deployment.faults.clear()
        deployment.requests.clear()

    killed_when(lambda: any(stage.glob("rows/*.parquet")))
    assert made() == 0
    assert not (stage / "_parts.json").exists()
    (tmp_path / "go").touch()
    deployment.faults.add("batch-inference", skip=1, delay=LONG)
    killed_when(lambda: made() == 2)
    deployment.faults.add("job-results", delay=LONG, times=None)
    killed_when(lambda: asked("job-results"))
    assert output(drive()) == judged(COUNT)
    jobs = deployment.jobs[before:]
    assert len(jobs) == len({job["description"] for job in jobs}) == PARTS


@pytest.mark.timeout(7200)
@pytest.mark.skipif(not KILLED_TABLES, reason="A proof that takes long: set SUTRO_CLUSTER_KILLS.")
@pytest.mark.parametrize("seed", range(max(1, KILLED_TABLES)))
def test_drivers_that_are_killed_at_any_time_leave_one_job_for_each_part(
    cluster, ray_python, start, deployment, tmp_path, seed
):
    rng = random.Random(seed)
    before = len(deployment.jobs)
    (tmp_path / "go").touch()
    deployment.faults.add("batch-inference", delay=0.5, times=None)
    deployment.faults.add_job(rows_per_second=20.0, times=None)
    for _ in range(4):
        with running(start(ray_python, "ray_driver", cluster, tmp_path, "whole")) as process:
            # Most of this is a driver's start.
            wait_until(lambda: (tmp_path / "started").exists() or process.poll() is not None)
            time.sleep(rng.random() * 8)
            process.kill()
        (tmp_path / "started").unlink(missing_ok=True)
    deployment.faults.clear()
    # What was on its way when a driver died has arrived, so that no job is listed late.
    wait_until(lambda: all(request.status is not None for request in deployment.requests))
    found = output(start(ray_python, "ray_driver", cluster, tmp_path, "surely"))
    assert found == judged(COUNT)
    jobs = deployment.jobs[before:]
    assert len(jobs) == len({job["description"] for job in jobs}) == PARTS
