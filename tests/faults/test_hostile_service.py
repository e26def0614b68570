"""A service that answers wrongly in hundreds of ways: a right result, or an error of this package.

The server is not the local deployment, and writes raw bytes. A call that hangs fails its test.
"""

import asyncio
import traceback
from dataclasses import replace

import orjson
import pytest

from langchain_sutro import SutroClient, SutroJob
from langchain_sutro.errors import SutroError
from tests.support.amounts import amount
from tests.support.calls import modes
from tests.support.hostile_answers import ERRORS, GOOD, WIRE, mutants
from tests.support.raw_server import http, raw_server

ROWS = [{"q": "a"}, {"q": "b"}]
KEY = "sk_canary_0123456789"


def wait(job):
    return job.wait(0.05, on_progress=lambda _: None)


def results(job):
    found = job._client and SutroJob("job-1", client=job._client, rows=2)
    return [repr(each) for each in found.results(timeout=0.05)]


async def await_(job):
    return await job.await_(0.05, on_progress=lambda _: None)


async def aresults(job):
    return [repr(each) for each in await job.aresults(timeout=0.05)]


CALLS = {
    "run": (lambda c, j: c.run_function("f", ROWS[0]), lambda c, j: c.arun_function("f", ROWS[0])),
    "submit": (
        lambda c, j: c.batch_run_function("f", ROWS),
        lambda c, j: c.abatch_run_function("f", ROWS),
    ),
    "status": (lambda c, j: j.status(), lambda c, j: j.astatus()),
    "object": (lambda c, j: c.fetch_job("job-1"), lambda c, j: c.afetch_job("job-1")),
    "list": (lambda c, j: c.list_jobs(), lambda c, j: c.alist_jobs()),
    "cancel": (lambda c, j: j.cancel(), lambda c, j: j.acancel()),
    "quotas": (lambda c, j: c.get_quotas(), lambda c, j: c.aget_quotas()),
    "check": (lambda c, j: c.try_authentication(), lambda c, j: c.atry_authentication()),
    "find": (
        lambda c, j: SutroJob.find("0" * 32, client=c),
        lambda c, j: SutroJob.afind("0" * 32, client=c),
    ),
    "progress": (lambda c, j: j.progress(), lambda c, j: j.aprogress()),
    "estimate": (lambda c, j: j.cost_estimate(0.05), lambda c, j: j.acost_estimate(0.05)),
    "wait": (lambda c, j: wait(j), lambda c, j: await_(j)),
    "results": (lambda c, j: results(j), lambda c, j: aresults(j)),
}
# The calls that read what an endpoint answers.
READERS = {
    "functions/f/run": ["run"],
    "batch-inference": ["submit"],
    "job-status": ["status", "wait", "results"],
    "jobs/job-1": ["object", "progress", "estimate", "results"],
    "list-jobs": ["list", "find"],
    "job-cancel": ["cancel"],
    "job-results": ["results"],
    "results-url": ["results"],
    "get-quotas": ["quotas"],
    "auth/check": ["check"],
    "stream-job-progress": ["wait", "progress"],
}


# Each kind of answer meets so many of the calls once, unless all meet all: `make test-thorough`.
STEP = amount(4, 1)


def some(mode, number, kinds):
    """Every fourth, another quarter for each call; all in threads where all are asked for.

    On an event loop, which shares all but the socket, it is always every fourth.
    """
    step = STEP if mode == "sync" else 4
    return list(kinds)[number % step :: step]


class Attack:
    """A server whose answer is set, and a client that has little patience with it."""

    def __init__(self, server, mode):
        self.server, self.mode = server, mode
        client = SutroClient(api_url=server.url, api_key=KEY, timeout=2.0, max_retries=0)
        client.policy = replace(
            client.policy, lookup_seconds=0.01, outage_seconds=0.01, lag_seconds=0.01
        )
        self.client, self.job = client, SutroJob("job-1", client=client)
        self.wrong = []

    async def __call__(self, name, what):
        call = CALLS[name][self.mode != "sync"]
        try:
            if self.mode == "sync":
                await asyncio.to_thread(call, self.client, self.job)
            else:
                await call(self.client, self.job)
        except SutroError as error:
            told = "".join(traceback.format_exception(error))
            if KEY in told or len(str(error)) > 3000 or not str(error).isprintable():
                self.wrong.append((name, what, str(error)[:300]))
        except Exception as error:  # noqa: BLE001 - what this test is about
            self.wrong.append((name, what, repr(error)[:300]))


@pytest.fixture
def said():
    return {}


@pytest.fixture
def server(said):
    def answer(method, path, body):
        for part, given in said.items():
            if part in path:
                return given
        return http(orjson.dumps(next((g for p, g in GOOD.items() if p in path), {})))

    with raw_server(answer) as running:
        yield running


@modes
@pytest.mark.parametrize("name", CALLS)
async def test_any_answer_on_the_wire_is_a_result_or_an_error_of_this_package(
    mode, name, server, said
):
    attack = Attack(server, mode)
    for what, answer in some(mode, list(CALLS).index(name), (WIRE | ERRORS).items()):
        said[""] = answer
        await attack(name, what)
    assert attack.wrong == []


@modes
@pytest.mark.parametrize("endpoint", GOOD)
async def test_any_field_may_be_anything(mode, endpoint, server, said):
    attack = Attack(server, mode)
    for what, value in some(mode, list(GOOD).index(endpoint), mutants(GOOD[endpoint])):
        said[endpoint] = http(orjson.dumps(value))
        for name in READERS[endpoint]:
            await attack(name, what)
    assert attack.wrong == []


def test_these_are_hundreds_of_kinds():
    assert len(WIRE) + len(ERRORS) >= 150
    assert sum(len(list(mutants(answer))) for answer in GOOD.values()) >= 300


@modes
@pytest.mark.parametrize("estimate", [-1, -0.01, True, "1", None, [], {}])
async def test_an_estimate_that_no_cost_can_be_is_none(mode, estimate, server, said):
    said["jobs/job-1"] = http(
        orjson.dumps({"job": {"status": "SUCCEEDED", "cost_estimate": estimate}})
    )
    job = Attack(server, mode).job
    call = CALLS["estimate"][mode != "sync"]
    found = await asyncio.to_thread(call, None, job) if mode == "sync" else await call(None, job)
    assert found is None
