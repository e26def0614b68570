"""A hundred million rows in objects, submitted by a driver that ends fifty times.

`make test-thorough` plays ten such scenarios, `make test` smaller ones. `SUTRO_OBJECT_SEEDS` sets
how many large ones are played, and `SUTRO_OBJECT_SEED` the first.
"""

import logging
import os

import pytest

from langchain_sutro._core.jobs import unread
from langchain_sutro._core.jobs.checkpoint import CheckpointFile
from langchain_sutro._core.jobs.parts import Parts
from langchain_sutro._core.service import JobStatus, job_status
from tests.simulation.group_scenario import GroupStory
from tests.support.amounts import amount
from tests.support.invariants import BrokenInvariantError

SEEDS = amount(0, 10, "SUTRO_OBJECT_SEEDS")
FIRST = int(os.environ.get("SUTRO_OBJECT_SEED", "0"))
SMALL = {"objects": 12, "rows": 1500, "restarts": 8}
LARGE = {"objects": 100, "rows": 1_000_000, "restarts": 50}


@pytest.fixture(autouse=True)
def _quiet():
    """Formatting what the package logs would take longer than the scenarios."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def play(seed, folder, size):
    """Play one seed, and tell it event by event if it fails."""
    trace = []
    place = folder / str(seed)
    place.mkdir()
    story = GroupStory(seed, place, trace=trace, **size)
    try:
        story.play()
    except Exception as error:
        error.add_note("\n".join([f"seed {seed}", *trace[-200:]]))
        raise
    return story


def play_all(seeds, folder):
    return [play(seed, folder, SMALL) for seed in seeds]


@pytest.mark.parametrize("seed", range(10))
def test_each_object_is_paid_once_and_no_row_is_lost(seed, tmp_path):
    play(seed, tmp_path, SMALL)


@pytest.mark.timeout(600)
def test_the_scenarios_have_what_they_are_for(tmp_path):
    stories = play_all(range(10, 30), tmp_path)
    services = [story.service for story in stories]
    assert sum(service.refused for service in services) > 20
    assert sum(service.expired for service in services) > 5
    assert sum(job.unread for service in services for job in service.jobs) > 20
    assert sum(len(story.died) for story in stories) > 3


@pytest.mark.skipif(not SEEDS, reason="make test-thorough plays them")
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", range(FIRST, FIRST + SEEDS))
def test_a_hundred_million_rows(seed, tmp_path):
    story = play(seed, tmp_path, LARGE)
    jobs = story.service.jobs
    print(
        f"seed {seed}: {story.lives} drivers, {len(jobs)} jobs, of which "
        f"{sum(job.unread for job in jobs)} read nothing, {len(story.died)} failed, "
        f"{story.service.refused} refusals, {story.service.now / 3600:.0f} h"
    )


def submits_what_was_lost_again(monkeypatch):
    def forgets(parts, **_):
        for part in parts._checkpoint.parts:
            if part.job_id is None:
                part.token = None

    monkeypatch.setattr(Parts, "find_lost", forgets)


def takes_an_unknown_submission_for_none(monkeypatch):
    find = Parts.find_lost
    monkeypatch.setattr(Parts, "find_lost", lambda parts, **_: find(parts, resubmit_unknown=True))


def submits_whatever_failed_again(monkeypatch):
    def failed(client, job_id):
        return unread.execute(client, job_status, job_id) is JobStatus.FAILED

    monkeypatch.setattr(unread, "_is_unread", failed)


def writes_only_what_has_a_job(monkeypatch):
    write = CheckpointFile.write

    def late(file, checkpoint):
        if all(part.job_id or not part.token for part in checkpoint.parts):
            write(file, checkpoint)

    monkeypatch.setattr(CheckpointFile, "write", late)


def submits_in_any_order(monkeypatch):
    check = Parts.check_quota

    def mixed(parts):
        parts._checkpoint.parts.reverse()
        check(parts)

    monkeypatch.setattr(Parts, "check_quota", mixed)


BREAKS = {
    "what was lost is submitted again": submits_what_was_lost_again,
    "an unknown submission counts as none": takes_an_unknown_submission_for_none,
    "whatever failed is submitted again": submits_whatever_failed_again,
    "only what has a job is written": writes_only_what_has_a_job,
    "parts have another order": submits_in_any_order,
}


@pytest.mark.timeout(600)
@pytest.mark.parametrize("broken", BREAKS.values(), ids=BREAKS)
def test_the_simulation_notices(broken, monkeypatch, tmp_path):
    broken(monkeypatch)
    with pytest.raises(BrokenInvariantError):
        # The rarest is noticed by the 37th seed.
        play_all(range(30, 130), tmp_path)
