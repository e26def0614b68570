"""SutroJobGroup: one table as several jobs, finished after a crash too."""

import asyncio
import json
import threading
import uuid
from datetime import timedelta

import pytest

from langchain_sutro import SutroJob, SutroJobGroup, errors
from langchain_sutro._core.service import job_search
from langchain_sutro._core.service.exchange import Policy
from langchain_sutro._core.service.submission import JobRequest
from tests.support.calls import call, modes
from tests.support.numbered_rows import labels, rows


def test_a_table_in_parts_is_one_handle_with_results_in_input_order(echo, deployment, tmp_path):
    checkpoint = tmp_path / "job.json"
    group = echo.submit_in_parts(rows(25), 10, checkpoint=checkpoint)
    assert len(group) == len(deployment.jobs) == 3
    assert [r.answer for r in group.results()] == labels(25)
    assert sum(group.status().values()) == 3
    assert [one.rows_total for one in group.progress()] == [10, 10, 5]
    assert deployment.api_key not in checkpoint.read_text()
    with pytest.raises(errors.SutroConfigurationError, match="resume"):
        echo.submit_in_parts(rows(25), 10, checkpoint=checkpoint)


async def test_a_table_in_parts_works_on_an_event_loop(echo, deployment, tmp_path):
    checkpoint = tmp_path / "job.json"
    group = await echo.asubmit_in_parts(rows(25), 10, checkpoint=checkpoint)
    results = await group.aresults()
    assert [r.answer for r in results] == labels(25)
    again = await SutroJobGroup.aresume(checkpoint, client=echo.client)
    assert [one.rows_done for one in await again.aprogress()] == [10, 10, 5]
    assert len(deployment.jobs) == 3


def test_a_group_is_finished_from_its_checkpoint_after_a_crash(echo, deployment, tmp_path):
    checkpoint = tmp_path / "job.json"
    # The third POST never leaves this process.
    deployment.faults.add("batch-inference", status=422, json={"detail": "no"}, skip=2)
    with pytest.raises(errors.SutroValidationError):
        echo.submit_in_parts(rows(40), 10, checkpoint=checkpoint)
    echo.client.policy = echo.client.policy.__class__(lookup_seconds=0.2)
    with pytest.raises(errors.SutroInputError, match="give the table again"):
        SutroJobGroup.resume(checkpoint, client=echo.client)
    with pytest.raises(errors.SutroInputError, match="differs from the one"):
        SutroJobGroup.resume(checkpoint, rows(41), client=echo.client)
    group = SutroJobGroup.resume(checkpoint, rows(40), client=echo.client)
    assert [r.answer for r in group.results()] == labels(40)
    assert len(deployment.jobs) == 4


def test_a_part_whose_answer_was_lost_in_the_crash_is_found(echo, deployment, tmp_path):
    checkpoint = tmp_path / "job.json"
    echo.submit_in_parts(rows(20), 10, checkpoint=checkpoint)
    state = json.loads(checkpoint.read_text())
    # As if the process had been killed between the submission and the note of its answer.
    state["parts"][1]["job_id"] = None
    checkpoint.write_text(json.dumps(state))
    group = SutroJobGroup.resume(checkpoint, client=echo.client)
    assert [r.answer for r in group.results()] == labels(20)
    assert len(deployment.jobs) == 2


def forget(checkpoint, number):
    """As if the process had been killed between a submission and the note of its answer."""
    state = json.loads(checkpoint.read_text())
    state["parts"][number]["job_id"] = None
    checkpoint.write_text(json.dumps(state))


def test_a_part_that_cannot_be_looked_for_is_not_submitted_again(echo, deployment, tmp_path):
    checkpoint = tmp_path / "job.json"
    echo.submit_in_parts(rows(20), 10, checkpoint=checkpoint)
    forget(checkpoint, 1)
    echo.client.policy = Policy(max_retries=0, lookup_seconds=0.2)
    deployment.faults.add("list-jobs", status=503, times=None)
    with pytest.raises(errors.SubmissionUnknownError, match="Part 2 of 2") as caught:
        SutroJobGroup.resume(checkpoint, rows(20), client=echo.client)
    assert isinstance(caught.value.__cause__, errors.SutroServerError)
    deployment.faults.clear()
    group = SutroJobGroup.resume(checkpoint, rows(20), client=echo.client)
    assert [r.answer for r in group.results()] == labels(20)
    assert len(deployment.jobs) == 2


def never_made(checkpoint, number, token):
    """As if the process had been killed between the note of a token and its submission."""
    state = json.loads(checkpoint.read_text())
    state["parts"][number] |= {"job_id": None, "token": token}
    checkpoint.write_text(json.dumps(state))


@pytest.mark.parametrize("way", ["option", "forgotten"])
def test_a_part_that_is_not_found_is_submitted_again_only_on_request(
    echo, deployment, tmp_path, way
):
    checkpoint = tmp_path / "job.json"
    echo.submit_in_parts(rows(30), 10, checkpoint=checkpoint)
    token = uuid.uuid4().hex
    never_made(checkpoint, 1, token)
    echo.client.policy = Policy(lookup_seconds=0.1)
    for _ in range(2):
        with pytest.raises(errors.SubmissionUnknownError, match="Part 2 of 3") as caught:
            SutroJobGroup.resume(checkpoint, rows(30), client=echo.client)
        assert (caught.value.token, len(deployment.jobs)) == (token, 3)
    if way == "forgotten":
        SutroJob.forget(token)
    group = SutroJobGroup.resume(
        checkpoint, rows(30), client=echo.client, resubmit_unknown=way == "option"
    )
    assert [r.answer for r in group.results()] == labels(30)
    assert len(deployment.jobs) == 4


def test_a_part_that_was_refused_is_not_looked_for(echo, deployment, tmp_path):
    checkpoint = tmp_path / "job.json"
    for fault in ({"status": 422, "json": {"detail": "no"}}, {"status": 401}):
        deployment.faults.add("batch-inference", **fault, skip=1)
        checkpoint.unlink(missing_ok=True)
        with pytest.raises(errors.SutroAPIError):
            echo.submit_in_parts(rows(30), 10, checkpoint=checkpoint)
        state = json.loads(checkpoint.read_text())
        assert [part["token"] is None for part in state["parts"]] == [False, True, True]
        deployment.requests.clear()
        SutroJobGroup.resume(checkpoint, rows(30), client=echo.client)
        assert not [one for one in deployment.requests if "list-jobs" in one.path]


def test_another_table_is_refused_although_every_part_has_its_job(echo, tmp_path):
    checkpoint = tmp_path / "job.json"
    echo.submit_in_parts(rows(20), 10, checkpoint=checkpoint)
    for other in (rows(19), rows(21), list(reversed(rows(20))), []):
        with pytest.raises(errors.SutroInputError):
            SutroJobGroup.resume(checkpoint, other, client=echo.client)
    assert len(SutroJobGroup.resume(checkpoint, rows(20), client=echo.client)) == 2


def test_a_lost_part_is_found_behind_any_number_of_newer_jobs(
    echo, deployment, tmp_path, monkeypatch
):
    monkeypatch.setattr(job_search, "_PAGE", 2)
    checkpoint = tmp_path / "job.json"
    echo.submit_in_parts(rows(20), 10, checkpoint=checkpoint)
    for _ in range(8):
        echo.submit(rows(1))
    forget(checkpoint, 0)
    echo.client.policy = Policy(lookup_seconds=0.2)
    group = SutroJobGroup.resume(checkpoint, rows(20), client=echo.client)
    assert [r.answer for r in group.results()] == labels(20)
    assert len(deployment.jobs) == 10


@pytest.mark.parametrize("with_checkpoint", [True, False])
def test_a_group_that_is_broken_off_says_which_jobs_it_has_made(
    echo, deployment, tmp_path, with_checkpoint
):
    checkpoint = tmp_path / "job.json" if with_checkpoint else None
    deployment.faults.add("batch-inference", status=422, json={"detail": "no"}, skip=2)
    with pytest.raises(errors.SutroValidationError) as caught:
        echo.submit_in_parts(rows(40), 10, checkpoint=checkpoint)
    notes = "".join(caught.value.__notes__)
    assert all(job["job_id"] in notes for job in deployment.jobs)
    assert len(deployment.jobs) == 2
    assert (str(checkpoint) in notes) == with_checkpoint


def test_a_group_goes_on_taking_earlier_jobs_after_a_crash(echo, deployment, tmp_path):
    checkpoint = tmp_path / "job.json"
    echo.submit(rows(30)[20:]).results()
    function = echo.model_copy(update={"reuse_jobs": timedelta(hours=1)})
    deployment.faults.add("batch-inference", status=422, json={"detail": "no"}, skip=1)
    with pytest.raises(errors.SutroValidationError):
        function.submit_in_parts(rows(30), 10, checkpoint=checkpoint)
    echo.client.policy = Policy(lookup_seconds=0.2)
    group = SutroJobGroup.resume(checkpoint, rows(30), client=echo.client)
    assert [r.answer for r in group.results()] == labels(30)
    assert len(deployment.jobs) == 3
    assert SutroJob.find(group.jobs[2].token, client=echo.client) == group.jobs[2]


def test_an_empty_table_makes_no_group(echo, deployment, tmp_path):
    with pytest.raises(errors.SutroInputError, match="no rows"):
        echo.submit_in_parts([], 10, checkpoint=tmp_path / "job.json")
    assert list(tmp_path.iterdir()) == []


@modes
async def test_every_job_of_a_group_is_asked_to_cancel_though_one_cannot_be(echo, deployment, mode):
    deployment.faults.add_job("echo", rows_per_second=5, times=None)
    group = await call(mode, echo, "submit_in_parts", rows(30), 10)
    deployment.faults.add("job-cancel/*", status=422, json={"detail": "no"})
    with pytest.raises(errors.SutroValidationError) as caught:
        await call(mode, group, "cancel")
    asked = {r.path.rpartition("/")[2] for r in deployment.requests if "job-cancel" in r.path}
    assert asked == {job.job_id for job in group.jobs}
    assert any(job.job_id in "".join(caught.value.__notes__) for job in group.jobs)


async def test_a_group_that_failed_is_not_asked_after_any_more(echo, deployment):
    deployment.faults.add_job("echo", fail=True)
    deployment.faults.add_job("echo", rows_per_second=2, times=None)
    group = await echo.asubmit_in_parts(rows(30), 10)
    before = asyncio.all_tasks()
    with pytest.raises(errors.SutroJobFailedError):
        await group.await_()
    assert asyncio.all_tasks() == before


@pytest.mark.parametrize("on_interrupt", ["detach", "cancel"])
async def test_a_group_whose_wait_is_cancelled_says_which_jobs_go_on(
    echo, deployment, on_interrupt
):
    deployment.faults.add_job("echo", rows_per_second=5, times=None)
    group = SutroJobGroup.submit(
        JobRequest("echo"), rows(30), 10, client=echo.client, on_interrupt=on_interrupt
    )
    task = asyncio.create_task(group.await_())
    await asyncio.sleep(0.2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError) as caught:
        await task
    notes = "".join(caught.value.__notes__)
    assert all(job.job_id in notes for job in group.jobs)
    asked = [r for r in deployment.requests if "job-cancel" in r.path]
    assert len(asked) == (3 if on_interrupt == "cancel" else 0)


@pytest.mark.parametrize("on_interrupt", ["detach", "cancel"])
def test_ctrl_c_during_the_wait_for_a_group_says_which_jobs_go_on(
    echo, deployment, press_ctrl_c, on_interrupt
):
    deployment.faults.add_job("echo", rows_per_second=5, times=None)
    group = SutroJobGroup.submit(
        JobRequest("echo"), rows(30), 10, client=echo.client, on_interrupt=on_interrupt
    )
    timer = threading.Timer(0.3, press_ctrl_c)
    timer.start()
    with pytest.raises(KeyboardInterrupt) as caught:
        group.wait()
    timer.join()
    notes = "".join(caught.value.__notes__)
    assert all(job.job_id in notes for job in group.jobs)
    asked = [r for r in deployment.requests if "job-cancel" in r.path]
    assert len(asked) == (3 if on_interrupt == "cancel" else 0)


def test_a_group_asks_as_often_as_it_is_told(echo):
    request = JobRequest("echo")
    group = SutroJobGroup.submit(request, rows(4), 2, client=echo.client, poll_interval=0.5)
    assert [job.poll_interval for job in group.jobs] == [0.5, 0.5]
