"""Thousands of scenarios of network faults, and proof that a breach would be noticed.

`make test-thorough` plays a hundred thousand; `SUTRO_SIMULATION_SEEDS` sets how many, and
`SUTRO_SIMULATION_SEED` tells one of them alone.
"""

import logging
import os
from types import SimpleNamespace

import pytest

from langchain_sutro._core.service import download, exchange, job_search, jobs, submission
from langchain_sutro._core.service import results as _results
from langchain_sutro._core.service import runs as _runs
from langchain_sutro._core.service import watch as _watch
from langchain_sutro.errors import SubmissionUnknownError, SutroServerError
from tests.simulation.scenario import play
from tests.support.amounts import amount
from tests.support.invariants import BrokenInvariantError

SEEDS = amount(4000, 100_000, "SUTRO_SIMULATION_SEEDS")
ONE = os.environ.get("SUTRO_SIMULATION_SEED")
# So many tests that both cores have work to the end.
SHARDS = amount(4, 40)
# Most breaks below are noticed within a hundred seeds, the rarest within a thousand or two.
SEEDS_OF_A_BREAK = 5000


@pytest.fixture(autouse=True)
def _quiet():
    """Formatting what the package logs would take longer than the scenarios."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def play_all(seeds):
    for seed in seeds:
        play(seed)


def tell(seeds):
    """Play the seeds, and tell the first that fails once more, event by event."""
    for seed in seeds:
        try:
            play(seed)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is this seed's
            trace: list[str] = []
            with pytest.raises(type(error)):
                play(seed, trace)
            pytest.fail(
                "\n".join(
                    (
                        f"seed {seed}: {type(error).__name__}: {error}",
                        f"replay: SUTRO_SIMULATION_SEED={seed} make test TEST=tests/simulation",
                        *trace,
                    )
                ),
                pytrace=not isinstance(error, BrokenInvariantError),
            )


@pytest.mark.skipif(ONE is not None, reason="one seed is replayed")
@pytest.mark.parametrize("shard", range(SHARDS))
def test_every_invariant_holds_under_network_faults(shard):
    tell(range(shard, SEEDS, SHARDS))


@pytest.mark.skipif(ONE is None, reason="SUTRO_SIMULATION_SEED is not set")
def test_every_invariant_holds_for_the_seed_that_is_replayed():
    tell([int(ONE)])


def test_a_seed_plays_the_same_scenario_each_time():
    for seed in range(200):
        first: list[str] = []
        second: list[str] = []
        play(seed, first)
        play(seed, second)
        assert first == second
        assert first, "a scenario has events"


def test_a_failing_seed_is_reported_with_the_command_that_replays_it(monkeypatch):
    BREAKS["a submission is sent again after anything"](monkeypatch)
    with pytest.raises(pytest.fail.Exception) as failed:
        tell(range(SEEDS_OF_A_BREAK))
    text = str(failed.value)
    assert "a submission is not sent twice" in text
    assert "SUTRO_SIMULATION_SEED=" in text
    assert "POST batch-inference" in text


def repeats_submissions(monkeypatch):
    monkeypatch.setattr(submission, "Repeat", SimpleNamespace(RUN=exchange.Repeat.READ))


def repeats_runs(monkeypatch):
    read = exchange.Repeat.READ
    monkeypatch.setattr(_runs, "Repeat", SimpleNamespace(RUN=read, READ=read))


def submits_again(monkeypatch):
    once = submission._post_once

    def twice(*args):
        try:
            return (yield from once(*args))
        except SubmissionUnknownError:
            return (yield from once(*args))

    monkeypatch.setattr(submission, "_post_once", twice)


def forgets_the_token(monkeypatch):
    once = submission._post_once

    def vague(*args):
        try:
            return (yield from once(*args))
        except SubmissionUnknownError:
            raise SutroServerError("it did not work", status_code=500) from None

    monkeypatch.setattr(submission, "_post_once", vague)


def says_nothing_of_the_interrupted(monkeypatch):
    monkeypatch.setattr(submission, "_may_exist", lambda _: "")


def takes_up_any_job(monkeypatch):
    fine = dict.fromkeys(("FAILED", "CANCELLED", "CANCELLING"))
    monkeypatch.setattr(
        submission, "JobStatus", SimpleNamespace(parse=jobs.JobStatus.parse, **fine)
    )


def reads_one_page(monkeypatch):
    first = job_search.first_job

    def one(*args, **options):
        return (yield from first(*args, **{**options, "pages": 1}))

    for module in (job_search, submission):
        monkeypatch.setattr(module, "first_job", one)


def believes_cancelling(monkeypatch):
    ends = property(lambda self: self.name in ("SUCCEEDED", "FAILED", "CANCELLED", "CANCELLING"))
    monkeypatch.setattr(jobs.JobStatus, "ended", ends)


def believes_the_stream(monkeypatch):
    ask = jobs.job_status
    line = _watch._Watch._line
    said = set()

    def believing(watch, event):
        known = watch.known
        more = line(watch, event)
        if watch.known.rows_total and watch.known.rows_done == watch.known.rows_total:
            said.add(known.job_id)
        return more

    def status(service, job_id):
        asked = yield from ask(service, job_id)
        if job_id in said:
            said.discard(job_id)
            return jobs.JobStatus.SUCCEEDED
        return asked

    monkeypatch.setattr(_watch._Watch, "_line", believing)
    monkeypatch.setattr(_watch, "job_status", status)


def gives_up_on_a_broken_wait(monkeypatch):
    monkeypatch.setattr(_watch, "_may_pass", lambda _: False)
    monkeypatch.setattr(_watch, "SutroAPIError", ZeroDivisionError)


def shows_progress_as_it_comes(monkeypatch):
    def update(watch, **changes):
        watch.known = _watch.replace(watch.known, **changes)
        if watch._tell is not None:
            watch._tell(watch.known)

    monkeypatch.setattr(_watch._Watch, "_update", update)


def waits_for_ever(monkeypatch):
    endless = _watch.wait_for_job

    def wait(*args, **options):
        return endless(*args, **{**options, "timeout": None})

    monkeypatch.setattr(_watch, "wait_for_job", wait)


def does_not_wait_for_results(monkeypatch):
    monkeypatch.setattr(_results, "when_ready", lambda _, attempt: attempt())


def takes_columns_of_any_length(monkeypatch):
    def columns(results):
        if not results:
            raise jobs.malformed("outputs")
        return {"outputs": results} if isinstance(results, list) else results

    monkeypatch.setattr(jobs, "_columns", columns)


def appends_whatever_comes(monkeypatch):
    start = download.Download.start

    def careless(download, status, headers):
        if status == 206:
            download._fits = True
            return True
        return start(download, status, headers)

    monkeypatch.setattr(download.Download, "start", careless)


def keeps_what_came_before(monkeypatch):
    def restart(download):
        download.etag = None

    monkeypatch.setattr(download.Download, "restart", restart)


def takes_a_part_for_the_whole(monkeypatch):
    receive = download._receive

    def hasty(*args):
        try:
            return (yield from receive(*args))
        except download.SutroConnectionError:
            return None

    monkeypatch.setattr(download, "_receive", hasty)


def sends_the_key_to_storage(monkeypatch):
    request = download.Request

    def authorized(*args, **options):
        return request(*args, **{**options, "authorize": True})

    monkeypatch.setattr(download, "Request", authorized)


BREAKS = {
    "a submission is sent again after anything": repeats_submissions,
    "a submission is sent again when its job is not found": submits_again,
    "a run is sent again after anything": repeats_runs,
    "an unknown submission has no token": forgets_the_token,
    "an interrupt has no token": says_nothing_of_the_interrupted,
    "a failed job is taken up": takes_up_any_job,
    "only one page of jobs is read": reads_one_page,
    "a job that is being cancelled has ended": believes_cancelling,
    "the progress stream decides": believes_the_stream,
    "an error of a wait has no job": gives_up_on_a_broken_wait,
    "progress is shown as it comes": shows_progress_as_it_comes,
    "a wait knows no end": waits_for_ever,
    "results must be there at once": does_not_wait_for_results,
    "columns may differ in length": takes_columns_of_any_length,
    "another object is appended": appends_whatever_comes,
    "what came before a restart is kept": keeps_what_came_before,
    "a part is taken for the whole": takes_a_part_for_the_whole,
    "the key goes to storage": sends_the_key_to_storage,
}


@pytest.mark.parametrize("broken", BREAKS.values(), ids=BREAKS)
def test_the_simulation_notices(broken, monkeypatch):
    broken(monkeypatch)
    with pytest.raises(BrokenInvariantError):
        play_all(range(SEEDS_OF_A_BREAK))
