"""A service that is away: refused connections, and a deployment that goes down and comes back."""

import asyncio
import random
import socket
import threading
import time
from typing import Self

import pytest

from langchain_sutro import SutroFunction, SutroJob, errors
from langchain_sutro._core.jobs import calls
from langchain_sutro.local import LocalDeployment
from tests.faults.functions import FUNCTIONS
from tests.faults.invariants import check_error, check_rows, told
from tests.faults.network_faults import Quick
from tests.faults.scenario import token
from tests.support.amounts import amount
from tests.support.calls import call, modes
from tests.support.invariants import check
from tests.support.numbered_rows import labels, rows

SEEDS = amount(8, 32, "SUTRO_FAULTS_OUTAGES")
KEY = "sk_of_these_tests"


@pytest.fixture
def nobody():
    """The URL of a port on which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


def function(url, **patience):
    made = SutroFunction("echo", api_url=url, api_key=KEY, poll_interval=0.02)
    made.client.policy = Quick(**patience)
    return made


@modes
async def test_where_nobody_listens_everything_is_a_typed_error_that_nothing_was_sent(
    nobody, mode, tmp_path
):
    echo = function(nobody, outage_seconds=0.1, lag_seconds=0.1)
    job = SutroJob.from_id("job-1", client=echo.client)
    for owner, verb, arguments in (
        (echo, "invoke", (rows(1)[0],)),
        (echo, "batch", (rows(2),)),
        (echo, "submit", (rows(2),)),
        (echo, "submit_in_parts", (rows(2), 1)),
        (job, "status", ()),
        (job, "results", ()),
        (job, "cancel", ()),
    ):
        with pytest.raises(errors.SutroConnectionError) as failed:
            await call(mode, owner, verb, *arguments)
        assert not failed.value.sent, verb
        check_error(failed.value, KEY)
        assert (verb == "results") == ("job-1" in told(failed.value)), verb


class Outage:
    """A deployment that goes down at a drawn moment, and comes back after a drawn time."""

    def __init__(self, deployment: LocalDeployment, rng: random.Random) -> None:
        self._deployment = deployment
        self._moments = (rng.random() * 0.25, rng.random() * 0.3)
        self._thread = threading.Thread(target=self._happen)

    def _happen(self) -> None:
        time.sleep(self._moments[0])
        self._deployment.stop()
        time.sleep(self._moments[1])
        self._deployment.start()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join()


@modes
async def test_an_outage_at_any_moment_loses_and_repeats_nothing(mode, tmp_path, monkeypatch):
    monkeypatch.setattr(calls, "_FEW_ROWS", 20)
    with LocalDeployment(FUNCTIONS, tmp_path, api_key=KEY, heartbeat_seconds=0.05) as deployment:
        for seed in range(SEEDS // 2):
            rng = random.Random(seed)
            before = len(deployment.jobs)
            count = rng.choice((3, 40))
            deployment.faults.add_job(rows_per_second=count * 8)
            echo = function(deployment.url, lookup_seconds=2.0, outage_seconds=20.0)
            try:
                with Outage(deployment, rng):
                    await asyncio.sleep(rng.choice((0.0, 0.1, 0.3)))
                    job = await call(mode, echo, "submit", rows(count))
                    results = await call(mode, job, "results")
            except Exception as error:  # noqa: BLE001 - whether it is typed is what is checked
                error.add_note(f"seed {seed} of {mode}")
                check_error(error, KEY)
                for job in deployment.jobs[before:]:
                    check(token(job) in told(error) or job["job_id"] in told(error), "it is named")
            else:
                check_rows(list(results), labels(count), set())
            jobs = deployment.jobs[before:]
            check(len(jobs) <= 1, f"seed {seed}: one submission is one job, not {len(jobs)}")
            for job in jobs:
                found = await call(mode, SutroJob, "find", token(job), client=echo.client)
                check_rows(list(await call(mode, found, "results")), labels(count), set())
