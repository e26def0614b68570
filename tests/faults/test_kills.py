"""Processes that are killed in the middle: what they began is finished, and nothing paid twice."""

import asyncio
import json
import os
import random
import threading
import time
from functools import partial

import pytest

from langchain_sutro import SutroFunction, SutroJob
from langchain_sutro.local import LocalDeployment
from tests.faults.functions import FUNCTIONS
from tests.faults.network_faults import patient
from tests.faults.processes import Server, output, start, wait_until
from tests.faults.scenario import token
from tests.support.numbered_rows import labels, rows

FEW, MANY = 12, 18_003
# How long the server keeps what the killed process waits for.
LONG = 5.0
# Of the moments at which the server is killed.
SEED = int(os.environ.get("SUTRO_FAULTS_SEED", "1"))


@pytest.fixture(scope="module")
def deployment():
    with LocalDeployment(FUNCTIONS) as running:
        yield running


@pytest.fixture(autouse=True)
def _anew(deployment):
    """Each test begins without faults and requests, and counts its own jobs."""
    deployment.faults.clear()
    deployment.requests.clear()
    yield
    deployment.faults.clear()


def asked(deployment, ending):
    return sum(ending in request.path for request in deployment.requests)


def posts_held(number, *, handled):
    """The POST of this number gets no answer; whether its job is made nevertheless."""

    def arm(deployment):
        replaced = {} if handled else {"status": 500}
        deployment.faults.add("batch-inference", skip=number - 1, delay=LONG, **replaced)

    jobs = number if handled else number - 1

    def so(deployment, made):
        return made() == jobs and asked(deployment, "batch-inference") == number

    return arm, so, FEW


def while_waiting():
    def arm(deployment):
        deployment.faults.add_job(rows_per_second=FEW / 2, times=3)

    return arm, lambda deployment, made: made() == 3 and asked(deployment, "job-status"), FEW


def while_fetching():
    def arm(deployment):
        deployment.faults.add("storage/*", skip=1, truncate="connection", truncate_at=1000)
        deployment.faults.add("storage/*", skip=1, delay=LONG)

    return arm, lambda deployment, _: asked(deployment, "storage") == 3, MANY


@pytest.mark.parametrize(
    "moment",
    [
        posts_held(2, handled=False),
        posts_held(2, handled=True),
        posts_held(3, handled=False),
        while_waiting(),
        while_fetching(),
    ],
    ids=[
        "after the first submission", "during the second", "after the second", "waiting", "fetching"
    ],
)  # fmt: skip
def test_a_group_whose_process_is_killed_is_finished_by_another(deployment, tmp_path, moment):
    arm, so, count = moment
    arm(deployment)
    before = len(deployment.jobs)
    manifest = tmp_path / "parts.json"
    process = start("worker", "submit", manifest, count, **deployment.environ)
    wait_until(lambda: so(deployment, lambda: len(deployment.jobs) - before))
    process.kill()
    assert process.communicate()[0] == "", "it was not done"
    deployment.faults.clear()
    resume = partial(start, "worker", **deployment.environ)
    answers = json.loads(output(resume("resume", manifest, count)))
    if isinstance(answers, dict):
        # Nobody can tell a submission that made no job from one whose job is listed late.
        assert len(deployment.jobs) - before < 3
        assert answers["unknown"] in manifest.read_text()
        answers = json.loads(output(resume("resubmit", manifest, count)))
    assert answers == labels(count)
    jobs = deployment.jobs[before:]
    assert len(jobs) == len({job["description"] for job in jobs}) == 3


@pytest.mark.slow
def test_a_checkpoint_has_one_owner_at_a_time(deployment, tmp_path):
    before = len(deployment.jobs)
    manifest = tmp_path / "parts.json"
    deployment.faults.add("batch-inference", status=422, json={"detail": "no"}, skip=1)
    first = start("worker", "submit", manifest, FEW, **deployment.environ)
    assert first.wait() != 0
    deployment.faults.clear()
    deployment.faults.add("batch-inference", delay=0.5, times=None)
    together = [start("worker", "resume", manifest, FEW, **deployment.environ) for _ in range(4)]
    assert [json.loads(output(process)) for process in together] == [labels(FEW)] * 4
    assert len(deployment.jobs) - before == 3
    assert {path.name for path in tmp_path.iterdir()} == {"parts.json"}


@pytest.mark.slow
def test_owners_that_are_killed_one_after_the_other_leave_jobs_for_each_part_once(
    deployment, tmp_path
):
    rng = random.Random(SEED)
    before = len(deployment.jobs)
    manifest = tmp_path / "parts.json"
    deployment.faults.add("batch-inference", delay=0.2, times=None)
    start("worker", "submit", manifest, FEW, **deployment.environ).kill()
    verbs = ["submit"] * 2
    for _ in range(4):
        verbs = ["resume"] * 3 if manifest.exists() else verbs
        together = [start("worker", verb, manifest, FEW, **deployment.environ) for verb in verbs]
        time.sleep(1 + rng.random())
        for process in together:
            process.kill()
            process.communicate()
    deployment.faults.clear()
    wait_until(lambda: all(request.status is not None for request in deployment.requests))
    verb = "resubmit" if manifest.exists() else "submit"
    answers = output(start("worker", verb, manifest, FEW, **deployment.environ))
    assert json.loads(answers) == labels(FEW)
    assert len(deployment.jobs) - before == 3


@pytest.mark.slow
def test_equal_submissions_of_several_processes_are_one_job(deployment, tmp_path):
    count = FEW + 2
    before = len(deployment.jobs)
    deployment.faults.add("batch-inference", delay=1.0, times=None)
    environ = {**deployment.environ, "TMPDIR": str(tmp_path)}
    killed = start("worker", "one", tmp_path, count, **environ)
    wait_until(lambda: asked(deployment, "batch-inference"))
    together = [start("worker", "one", tmp_path, count, **environ) for _ in range(3)]
    killed.kill()
    killed.communicate()
    answers = [json.loads(output(process)) for process in together]
    assert answers == [labels(count)] * 3
    assert len(deployment.jobs) - before == 1


def test_a_job_whose_client_was_killed_before_the_answer_is_found(deployment, tmp_path):
    count = FEW + 1
    deployment.faults.add("batch-inference", delay=LONG)
    before = len(deployment.jobs)
    process = start("worker", "one", tmp_path, count, **deployment.environ)
    wait_until(lambda: len(deployment.jobs) > before)
    process.kill()
    process.communicate()
    answers = output(start("worker", "one", tmp_path, count, **deployment.environ))
    assert json.loads(answers) == labels(count)
    [job] = deployment.jobs[before:]
    client = SutroFunction("echo", api_url=deployment.url, api_key=deployment.api_key).client
    found = SutroJob.find(token(job), client=client)
    assert (found.job_id, found.rows) == (job["job_id"], count)
    assert [result.answer for result in found.results()] == labels(count)


def test_a_wait_outlives_a_server_that_is_killed_and_started_again(tmp_path):
    rng = random.Random(SEED)
    count = 6000
    got = {}
    with Server(tmp_path / "data", "tests.faults.functions:FUNCTIONS") as server:
        function = SutroFunction(
            "slowly",
            api_url=server.environ["SUTRO_API_URL"],
            api_key=server.environ["SUTRO_API_KEY"],
            poll_interval=0.1,
        )
        function.client.policy = patient()
        reported = []

        async def awaited():
            results = await (await function.asubmit(rows(count))).aresults()
            got["async"] = [result.answer for result in results]

        def waited():
            results = function.submit(rows(count)).results(
                on_progress=lambda known: reported.append(known.rows_done)
            )
            got["sync"] = [result.answer for result in results]

        threads = [
            threading.Thread(target=waited),
            threading.Thread(target=lambda: asyncio.run(awaited())),
        ]
        for thread in threads:
            thread.start()
        wait_until(lambda: len(function.client.list_jobs()) == 2)
        for _ in range(2):
            time.sleep(rng.random())
            server.kill()
            server.start()
        for thread in threads:
            thread.join()
        assert len(function.client.list_jobs()) == 2
    assert got == {"sync": labels(count), "async": labels(count)}
    assert reported == sorted(reported)
