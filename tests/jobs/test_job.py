"""SutroJob: submit once, wait, fetch, take up again."""

import asyncio
import csv
import json
import pickle
import threading
from datetime import timedelta

import httpx
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from langchain_sutro import (
    BatchResults,
    SutroClient,
    SutroFunction,
    SutroJob,
    errors,
)
from langchain_sutro._core.jobs.locks import FileLock
from tests.support.calls import auntil, call, modes, posts, until, waited_for
from tests.support.numbered_rows import labels, rows


def a_csv(tmp_path):
    path = tmp_path / "rows.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, ["n"])
        writer.writeheader()
        writer.writerows(rows(50))
    return path


def a_parquet(tmp_path):
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.Table.from_pylist(rows(50)), path)
    return path


def a_directory(tmp_path):
    folder = tmp_path / "parts"
    folder.mkdir()
    for part in range(5):
        pq.write_table(
            pa.Table.from_pylist(rows(50)[part * 10 : part * 10 + 10]), folder / f"{part}.parquet"
        )
    return folder


TABLES = {
    "list": lambda _: rows(50),
    "generator": lambda _: (row for row in rows(50)),
    "pandas": lambda _: pd.DataFrame(rows(50)),
    "polars": lambda _: pl.DataFrame(rows(50)),
    "arrow": lambda _: pa.Table.from_pylist(rows(50)),
    "csv": a_csv,
    "csv as text": lambda tmp_path: str(a_csv(tmp_path)),
    "parquet": a_parquet,
    "directory": a_directory,
}


@pytest.mark.parametrize("kind", TABLES)
@modes
async def test_every_kind_of_table_is_one_job_in_input_order(
    echo, deployment, tmp_path, kind, mode
):
    job = await call(mode, echo, "submit", TABLES[kind](tmp_path))
    results = await call(mode, job, "results")
    assert [result.answer for result in results] == labels(50)
    assert len(posts(deployment, "batch-inference")) == 1
    assert job.rows == 50


@modes
async def test_ten_thousand_rows_come_as_parquet_without_the_key(echo, deployment, mode):
    job = await call(mode, echo, "submit", rows(10_000))
    results = await call(mode, job, "results")
    assert list(results.answers) == labels(10_000)
    [storage] = [r for r in deployment.requests if "storage" in r.path]
    assert "authorization" not in {name.lower() for name in storage.headers}
    assert not posts(deployment, "job-results")


@modes
async def test_a_dry_run_estimates_the_cost(echo, mode):
    job = await call(mode, echo, "submit", rows(20), dry_run=True)
    assert await call(mode, job, "cost_estimate") > 0


@modes
async def test_a_failed_job_is_an_error_with_its_id_and_reason(echo, deployment, mode):
    deployment.faults.add_job("echo", fail="out of memory")
    job = await call(mode, echo, "submit", rows(5))
    with pytest.raises(errors.SutroJobFailedError, match="out of memory") as caught:
        await call(mode, job, "results")
    assert caught.value.job_id == job.job_id


@modes
async def test_a_failed_job_is_one_error_for_each_row_of_a_batch(echo, deployment, mode):
    deployment.faults.add_job("echo", fail=True, times=None)
    results = await call(mode, echo, "batch", rows(3), return_exceptions=True)
    assert [type(result) for result in results] == [errors.SutroJobFailedError] * 3
    with pytest.raises(errors.SutroJobFailedError):
        await call(mode, echo, "batch", rows(3))


@modes
async def test_a_wait_that_ends_early_leaves_the_job_going(echo, deployment, mode):
    deployment.faults.add_job("echo", rows_per_second=20)
    job = await call(mode, echo, "submit", rows(40))
    with pytest.raises(errors.SutroJobTimeoutError) as caught:
        await call(mode, job, "results", timeout=0.3)
    assert caught.value.job_id == job.job_id
    assert [r.answer for r in await call(mode, job, "results")] == labels(40)


@modes
async def test_a_cancelled_job_is_an_error(echo, deployment, mode):
    deployment.faults.add_job("echo", rows_per_second=5)
    job = await call(mode, echo, "submit", rows(100))
    assert await call(mode, job, "cancel") is True
    with pytest.raises(errors.SutroJobCancelledError):
        await call(mode, job, "results")


@modes
async def test_results_that_lag_behind_success_are_waited_for(echo, deployment, mode):
    deployment.faults.add_job("echo", results_lag=0.5)
    job = await call(mode, echo, "submit", rows(5))
    assert [r.answer for r in await call(mode, job, "results")] == labels(5)


@modes
async def test_null_and_unparseable_rows_are_errors_in_their_places(echo, deployment, mode):
    deployment.faults.add_job("echo", null_rows=[2, 7], unparseable_rows=[4])
    job = await call(mode, echo, "submit", rows(10))
    results = await call(mode, job, "results")
    assert [error.row_index for error in results.errors] == [2, 4, 7]
    for index, result in enumerate(results):
        if index not in (2, 4, 7):
            assert result.answer == f"<{index:05}>"


@modes
async def test_progress_is_told_and_never_decreases(echo, deployment, mode):
    deployment.faults.add_job("echo", rows_per_second=200)
    deployment.faults.add_progress(garbage=True, duplicate=True, lose_final=True)
    job = await call(mode, echo, "submit", rows(100))
    seen = []
    await call(mode, job, "results", on_progress=seen.append)
    done = [known.rows_done for known in seen]
    assert done == sorted(done)
    assert seen[-1].status == "SUCCEEDED"
    assert all(known.rows_total == 100 for known in seen)


@modes
@pytest.mark.parametrize(
    "error",
    [RuntimeError("enough"), httpx.ConnectError("enough"), errors.SutroConnectionError("enough")],
    ids=repr,
)
async def test_what_a_listener_raises_ends_the_wait(echo, deployment, mode, error):
    """Also where it speaks to others, and fails as a stream does."""
    deployment.faults.add_job("echo", rows_per_second=20)

    def stop(known):
        if known.rows_done:
            raise error

    job = await call(mode, echo, "submit", rows(20))
    with pytest.raises(type(error), match="enough") as caught:
        await call(mode, job, "results", on_progress=stop)
    assert caught.value is error


async def test_a_batch_tells_its_progress_to_astream_events(echo):
    from langchain_core.runnables import RunnableLambda

    async def judge(_):
        return await echo.abatch(rows(5))

    events = [
        event
        async for event in RunnableLambda(judge).astream_events(0, version="v2")
        if event["event"] == "on_custom_event"
    ]
    assert events
    assert {event["name"] for event in events} == {"sutro_job_progress"}
    assert events[-1]["data"]["status"] == "SUCCEEDED"


async def test_a_cancelled_abatch_is_cancelled_and_says_which_job_goes_on(echo, deployment):
    deployment.faults.add_job("echo", rows_per_second=5)
    task = asyncio.create_task(echo.abatch(rows(50), return_exceptions=True))
    await auntil(lambda: waited_for(deployment))
    task.cancel()
    with pytest.raises(asyncio.CancelledError) as caught:
        await task
    [job] = deployment.jobs
    assert any(job["job_id"] in note for note in caught.value.__notes__)
    assert job["status"] in ("QUEUED", "STARTING", "RUNNING")


async def test_wait_for_ends_an_abatch_in_time(echo, deployment):
    deployment.faults.add_job("echo", rows_per_second=5)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(echo.abatch(rows(50), return_exceptions=True), 0.5)


@pytest.mark.parametrize("on_interrupt", ["detach", "cancel"])
@pytest.mark.parametrize("mode", ["sync", "async"])
def test_ctrl_c_gets_through_a_batch(echo, deployment, press_ctrl_c, mode, on_interrupt):
    deployment.faults.add_job("echo", rows_per_second=5)
    function = echo.model_copy(update={"on_interrupt": on_interrupt})

    def interrupt():
        until(lambda: waited_for(deployment))
        press_ctrl_c()

    batch = {
        "sync": function.batch,
        "async": lambda *args, **options: asyncio.run(function.abatch(*args, **options)),
    }
    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt) as caught:
        batch[mode](rows(50), return_exceptions=True)
    [job] = deployment.jobs
    # An event loop turns the interrupt into a cancellation, and raises it again at its end.
    noted = caught.value if mode == "sync" else caught.value.__context__
    assert any(job["job_id"] in note for note in noted.__notes__)
    cancelled = [r for r in deployment.requests if "job-cancel" in r.path]
    assert len(cancelled) == (1 if on_interrupt == "cancel" else 0)


@modes
async def test_reuse_jobs_takes_the_earlier_job_instead_of_paying_again(echo, deployment, mode):
    function = echo.model_copy(update={"reuse_jobs": timedelta(hours=1)})
    first = await call(mode, function, "submit", rows(5))
    await call(mode, first, "results")
    again = await call(mode, function, "submit", pd.DataFrame(rows(5)))
    assert again.job_id == first.job_id
    assert again.reused
    other = await call(mode, function, "submit", rows(6))
    assert other.job_id != first.job_id
    assert len(deployment.jobs) == 2


def test_reuse_jobs_does_not_take_a_failed_job(echo, deployment):
    function = echo.model_copy(update={"reuse_jobs": timedelta(hours=1)})
    deployment.faults.add_job("echo", fail=True)
    with pytest.raises(errors.SutroJobFailedError):
        function.submit(rows(5)).results()
    assert [r.answer for r in function.submit(rows(5)).results()] == labels(5)


@modes
async def test_a_submission_whose_answer_is_lost_is_found_and_not_repeated(echo, deployment, mode):
    deployment.faults.add("batch-inference", reset="after")
    job = await call(mode, echo, "submit", rows(5))
    assert [r.answer for r in await call(mode, job, "results")] == labels(5)
    assert len(deployment.jobs) == 1
    assert len(posts(deployment, "batch-inference")) == 1


@modes
async def test_a_submission_of_unknown_outcome_carries_its_token(echo, deployment, mode):
    client = echo.client
    client.policy = client.policy.__class__(lookup_seconds=0.3)
    deployment.faults.add("batch-inference", status=524, html="<h1>timeout</h1>")
    with pytest.raises(errors.SubmissionUnknownError) as caught:
        await call(mode, echo, "submit", rows(5))
    assert caught.value.token in str(caught.value)
    assert deployment.jobs == []
    assert len(posts(deployment, "batch-inference")) == 1
    found = SutroJob.find(caught.value.token, client=client)
    assert found is None


def test_a_job_is_found_by_its_token(echo):
    job = echo.submit(rows(3))
    found = SutroJob.find(job.token, client=echo.client)
    assert found == job
    assert found.rows == 3


def test_more_rows_than_the_quota_are_refused_with_advice_before_they_are_sent(monkeypatch):
    from langchain_sutro.local import LocalDeployment

    with LocalDeployment(quotas={0: 1500, 1: 100_000}) as deployment:
        function = SutroFunction(
            "lead-qualifier", api_url=deployment.url, api_key=deployment.api_key
        )
        with pytest.raises(errors.SutroInputError, match="job_priority=1 takes up to 100,000"):
            function.submit([{"query": "x", "region": "y"}] * 2000)
        assert not posts(deployment, "batch-inference")


def test_a_job_goes_into_json_and_comes_back(echo):
    job = echo.submit(rows(3))
    state = json.loads(json.dumps(job.to_dict()))
    again = SutroJob.from_dict(state, client=echo.client)
    assert again == job
    assert [r.answer for r in again.results()] == labels(3)


def test_a_pickled_job_leaves_the_key_behind(echo, deployment, monkeypatch):
    job = echo.submit(rows(3))
    data = pickle.dumps(job)
    assert deployment.api_key.encode() not in data
    for name, value in deployment.environ.items():
        monkeypatch.setenv(name, value)
    assert [r.answer for r in pickle.loads(data).results()] == labels(3)


def test_reprs_show_the_job_and_no_secret(echo, deployment):
    job = echo.submit(rows(3))
    assert job.job_id in repr(job)
    assert "3 rows" in job._repr_html_()
    assert deployment.api_key not in repr(job) + job._repr_html_() + repr(echo.client)


@modes
async def test_results_whose_job_cannot_be_read_say_which_it_is(echo, deployment, mode):
    job = await call(mode, echo, "submit", rows(3))
    deployment.faults.add(f"jobs/{job.job_id}", status=404, json={"detail": "no"}, times=None)
    with pytest.raises(errors.SutroNotFoundError) as caught:
        await call(mode, job, "results")
    assert job.job_id in "".join(caught.value.__notes__)


@modes
async def test_an_interrupt_while_results_are_fetched_says_which_they_are(echo, monkeypatch, mode):
    interrupt = asyncio.CancelledError() if mode == "async" else KeyboardInterrupt()
    job = await call(mode, echo, "submit", rows(3))

    def interrupted(*_, **__):
        raise interrupt

    monkeypatch.setattr(BatchResults, "from_columns", interrupted)
    with pytest.raises(type(interrupt)) as caught:
        await call(mode, job, "results")
    assert any(job.job_id in note for note in caught.value.__notes__)


@modes
async def test_an_interrupt_just_after_the_submission_says_which_job_was_made(
    echo, monkeypatch, mode
):
    """While the job is noted for other processes."""
    interrupt = asyncio.CancelledError() if mode == "async" else KeyboardInterrupt()
    reusing = echo.model_copy(update={"reuse_jobs": timedelta(minutes=5)})
    write = FileLock.write

    def interrupted(lock, **note):
        if note.get("job_id"):
            raise interrupt
        write(lock, **note)

    with monkeypatch.context() as patch:
        patch.setattr(FileLock, "write", interrupted)
        with pytest.raises(type(interrupt)) as caught:
            await call(mode, reusing, "submit", rows(3))
    [job] = [one for one in echo.client.list_jobs() if one["job_id"] in str(caught.value.__notes__)]
    again = await call(mode, reusing, "submit", rows(3))
    assert again.job_id == job["job_id"]


def test_a_signals_exit_says_which_job_goes_on(echo, deployment):
    """What the handler of SIGTERM raises, usually."""
    deployment.faults.add_job("echo", rows_per_second=5)
    job = echo.submit(rows(30))

    def leave(_):
        raise SystemExit

    with pytest.raises(SystemExit) as caught:
        job.wait(on_progress=leave)
    assert job.job_id in caught.value.__notes__[0]


def test_a_client_made_anew_reads_the_job_of_another(echo, deployment):
    job = echo.submit(rows(4))
    client = SutroClient(api_url=deployment.url, api_key=deployment.api_key)
    taken = SutroJob.from_id(job.job_id, client=client)
    assert [r.answer for r in taken.results()] == labels(4)


NO_IDS = [None, 5, True, b"job-1", ["job-1"], {"job_id": "job-1"}, "", " ", "job-1\n", "\ud800"]


@modes
@pytest.mark.parametrize("job_id", NO_IDS, ids=repr)
async def test_what_is_no_id_is_refused_before_anything_is_sent(echo, deployment, job_id, mode):
    client, before = echo.client, len(deployment.requests)
    for make in (
        lambda: SutroJob.from_id(job_id, client=client),
        lambda: SutroJob.from_dict({"job_id": job_id}, client=client),
    ):
        with pytest.raises(errors.SutroInputError, match="A job's id must be"):
            make()
    for verb in (
        "get_job_status",
        "fetch_job",
        "cancel_job",
        "attach",
        "await_job_completion",
        "get_job_results",
        "results_download_url",
        "download_job_results",
    ):
        with pytest.raises(errors.SutroInputError, match="A job's id must be"):
            await call(mode, client, verb, job_id)
    assert len(deployment.requests) == before


@pytest.mark.parametrize("state", [None, [], {}, {"function": "f"}, {"job_id": "j", "key": "k"}])
def test_what_to_dict_does_not_give_is_refused(echo, state):
    with pytest.raises(errors.SutroInputError, match="from_dict takes what to_dict"):
        SutroJob.from_dict(state, client=echo.client)


@pytest.mark.parametrize("fields", [5, None.__class__, object(), [None], {"n": 1}, {1: "n"}, []])
def test_fields_that_name_no_columns_are_refused(echo, deployment, fields):
    with pytest.raises(errors.SutroInputError, match="fields must be names of columns"):
        echo.submit(rows(2), fields=fields)
    assert not deployment.jobs
