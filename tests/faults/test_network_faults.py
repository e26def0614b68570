"""Scenarios over real sockets, and proof that a broken invariant would be noticed.

`make test-thorough` plays a thousand; `SUTRO_FAULTS_SEEDS` sets how many, and `SUTRO_FAULTS_SEED`
replays one of them alone.
"""

import os
import tempfile
from contextlib import nullcontext
from types import SimpleNamespace

import pytest

from langchain_sutro import SutroJob, errors
from langchain_sutro._core.jobs import calls, memory, parts
from langchain_sutro._core.results import batch as batch_results
from langchain_sutro._core.service import driver as _http
from langchain_sutro._core.service import exchange, jobs, submission
from langchain_sutro._core.service import results as _results
from langchain_sutro._core.service import runs as _runs
from tests.faults.scenario import Environment, Scenario
from tests.support.amounts import amount
from tests.support.invariants import BrokenInvariantError

SEEDS = amount(100, 1000, "SUTRO_FAULTS_SEEDS")
ONE = os.environ.get("SUTRO_FAULTS_SEED")
# So many tests that both cores have work to the end.
SHARDS = amount(4, 20)
# Most breaks below are noticed within ten seeds, the rarest within a hundred.
SEEDS_OF_A_BREAK = 1000


@pytest.fixture(autouse=True)
def _quick(monkeypatch, tmp_path):
    """Small tables take the ways of large ones, and a lost answer is not waited for."""
    monkeypatch.setattr(calls, "_FEW_ROWS", 4)
    for name in ("_SUBMIT_SECONDS", "_SHORTEST_SUBMIT", "_WRITE_SECONDS"):
        monkeypatch.setattr(submission, name, getattr(submission, name))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def tell(seeds):
    """Play the seeds at one place; the first that fails is reported, with the way to replay it."""
    with Environment() as environment:
        for seed in seeds:
            scenario = Scenario(environment, seed)
            try:
                scenario.play()
            except Exception as error:
                error.add_note(
                    f"seed {seed}: {scenario}\n"
                    f"replay: SUTRO_FAULTS_SEED={seed} make test "
                    "TEST=tests/faults/test_network_faults.py"
                )
                raise
        environment.audit()


@pytest.mark.skipif(ONE is not None, reason="one seed is replayed")
@pytest.mark.parametrize("shard", range(SHARDS))
def test_every_invariant_holds_under_network_faults(shard):
    tell(range(shard, SEEDS, SHARDS))


@pytest.mark.skipif(ONE is None, reason="SUTRO_FAULTS_SEED is not set")
def test_every_invariant_holds_for_the_seed_that_is_replayed():
    for _ in range(20):
        tell([int(ONE)])


def test_a_failing_seed_is_reported_with_the_command_that_replays_it(monkeypatch):
    shifts_rows(monkeypatch)
    with pytest.raises(BrokenInvariantError, match="is answered with its own") as failed:
        tell(range(SEEDS_OF_A_BREAK))
    [note] = failed.value.__notes__
    assert "SUTRO_FAULTS_SEED=" in note


def repeats_submissions(monkeypatch):
    monkeypatch.setattr(submission, "Repeat", SimpleNamespace(RUN=exchange.Repeat.READ))


def repeats_runs(monkeypatch):
    read = exchange.Repeat.READ
    monkeypatch.setattr(_runs, "Repeat", SimpleNamespace(RUN=read, READ=read))


def submits_lost_parts_again(monkeypatch):
    def forgotten(self, **_):
        for part in self._checkpoint.parts:
            if part.job_id is None:
                part.token = None

    monkeypatch.setattr(parts.Parts, "find_lost", forgotten)
    monkeypatch.setattr(memory.Memory, "pending", lambda *_: None)


def change_columns(monkeypatch, change):
    columns = jobs._columns
    monkeypatch.setattr(
        jobs,
        "_columns",
        lambda results: {name: change(column) for name, column in columns(results).items()},
    )


def shifts_rows(monkeypatch):
    change_columns(monkeypatch, lambda column: [*column[1:], *column[:1]])


def loses_rows(monkeypatch):
    change_columns(monkeypatch, lambda column: column[:-1] or column)
    monkeypatch.setattr(batch_results, "_check_count", lambda *_: None)


def lets_errors_through(monkeypatch):
    monkeypatch.setattr(_http, "is_of_transport", lambda _: False)


def shows_urls(monkeypatch):
    monkeypatch.setattr(_http.Request, "host", property(lambda request: request.url))


def names_no_job(monkeypatch):
    monkeypatch.setattr(SutroJob, "fetching", lambda _: nullcontext())
    monkeypatch.setattr(_results, "_fetching", lambda _: "")


def names_no_token(monkeypatch):
    once = submission._post_once

    def vague(*args):
        try:
            return (yield from once(*args))
        except errors.SubmissionUnknownError:
            raise errors.SutroServerError("it did not work", status_code=500) from None

    monkeypatch.setattr(submission, "_post_once", vague)


@pytest.mark.parametrize(
    ("broken", "invariant"),
    [
        (repeats_submissions, "one job|is not lost|parts are"),
        (repeats_runs, "not billed twice"),
        (submits_lost_parts_again, "parts are|is not lost"),
        (shifts_rows, "answered with its own"),
        (loses_rows, "results for"),
        (lets_errors_through, "every failure is typed"),
        (shows_urls, "no presigned URL"),
        (names_no_job, "tells job or token"),
        (names_no_token, "tells job or token"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_a_scenario_notices_what_is_broken(broken, invariant, monkeypatch):
    broken(monkeypatch)
    with pytest.raises(BrokenInvariantError, match=invariant):
        tell(range(SEEDS_OF_A_BREAK))
