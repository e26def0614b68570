"""What a wait shows and says: one bar for a group, an unreachable service, a job that has ended."""

import logging

import pytest

from langchain_sutro import errors
from langchain_sutro._core.service.exchange import Policy
from langchain_sutro.local import LocalDeployment
from tests.support.calls import call, modes
from tests.support.numbered_rows import rows


@modes
async def test_a_group_has_one_bar_for_all_its_rows(echo, capsys, mode):
    group = await call(mode, echo, "submit_in_parts", rows(25), 10)
    await call(mode, group, "results", progress=True)
    shown = capsys.readouterr().err
    assert "25/25" in shown
    assert "/10" not in shown
    assert shown.count("\n") == 1


@modes
async def test_an_unreachable_service_is_shown_logged_once_and_named_at_the_end(
    echo, deployment, capsys, caplog, mode
):
    deployment.faults.add_job("echo", rows_per_second=1)
    job = await call(mode, echo, "submit", rows(20))
    echo.client.policy = Policy(max_retries=0)
    deployment.faults.add("job-status/*", reset="before", times=None)
    reported = []
    with caplog.at_level(logging.WARNING), pytest.raises(errors.SutroJobTimeoutError) as caught:
        await call(mode, job, "results", timeout=2.0, progress=True, on_progress=reported.append)
    assert "unreachable" in str(caught.value)
    assert isinstance(caught.value.__cause__, errors.SutroConnectionError)
    assert str(caught.value.__cause__) in str(caught.value)
    assert "unreachable" in capsys.readouterr().err
    assert reported[-1].unreachable == str(caught.value.__cause__)
    warned = [one for one in caplog.messages if "cannot be checked" in one]
    assert len(warned) == 1


@modes
async def test_a_service_that_answers_again_is_not_unreachable(echo, deployment, mode):
    deployment.faults.add_job("echo", rows_per_second=1)
    job = await call(mode, echo, "submit", rows(20))
    deployment.faults.add("job-status/*", status=503)
    with pytest.raises(errors.SutroJobTimeoutError, match="still running") as caught:
        await call(mode, job, "wait" if mode == "sync" else "wait_", 1.5)
    assert caught.value.__cause__ is None


@modes
async def test_a_job_that_has_ended_takes_no_cancellation(echo, deployment, mode):
    job = await call(mode, echo, "submit", rows(3))
    job.wait()
    assert await call(mode, job, "cancel") is False
    deployment.faults.add_job("echo", rows_per_second=1)
    running = await call(mode, echo, "submit", rows(20))
    assert await call(mode, running, "cancel") is True


@modes
async def test_a_connection_error_names_the_port(echo, mode):
    with LocalDeployment() as gone:
        url, port = gone.url, gone.url.rpartition(":")[2]
    function = echo.model_copy(update={"api_url": url})
    function.client.policy = Policy(max_retries=0)
    with pytest.raises(errors.SutroConnectionError, match=f"127.0.0.1:{port}"):
        await call(mode, function, "invoke", {"n": "1"})
