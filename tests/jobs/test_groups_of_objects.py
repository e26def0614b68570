"""Objects that are a job each: the service fetches them, from URLs that are signed here."""

import asyncio
import json
import logging
import pickle
from datetime import timedelta
from urllib.parse import quote

import pyarrow as pa
import pytest
from fsspec.config import conf
from fsspec.registry import _registry
from pyarrow import parquet
from s3fs import S3FileSystem

from langchain_sutro import (
    RemoteTable,
    SutroFunction,
    SutroJobGroup,
    errors,
    wait_for_job_traces,
)
from langchain_sutro._core.service.exchange import Policy
from langchain_sutro.local import LocalDeployment
from tests.support.calls import call, modes
from tests.support.numbered_rows import LABEL, SCHEMA, labels, rows
from tests.support.object_storage import BUCKET, SECRET


@pytest.fixture
def objects(store):
    """Three Parquet objects and a CSV object of ten rows each, in order."""
    addresses = []
    for index in range(4):
        name = f"{BUCKET}/in/part-{index}.{'csv' if index == 3 else 'parquet'}"
        part = rows(40)[10 * index : 10 * index + 10]
        with store.files.open(name, "wb") as file:
            if index == 3:
                file.write(b"n\n" + "".join(f"{row['n']}\n" for row in part).encode())
            else:
                parquet.write_table(pa.Table.from_pylist(part), file)
        addresses.append(f"s3://{name}")
    store.asked.clear()
    return addresses


@modes
async def test_each_object_is_a_job_whose_rows_do_not_pass_through_here(
    echo, deployment, store, objects, tmp_path, mode
):
    checkpoint = tmp_path / "parts.json"
    group = await call(mode, echo, "submit_in_parts", objects, checkpoint=checkpoint)
    assert [job.rows for job in group.jobs] == [10, 10, 10, None]
    assert (group.rows, repr(group)) == (
        None,
        "SutroJobGroup(4 jobs, function='echo', rows=unknown)",
    )
    results = await call(mode, group, "results")
    assert [one.answer for one in results] == labels(40)
    assert sorted(store.fetched()) == [address.removeprefix("s3:/") for address in objects]
    kept = json.loads(checkpoint.read_text())["parts"]
    for part, address in zip(kept, objects, strict=True):
        (file,) = part["files"]
        info = store.files.info(address)
        assert file == {
            "location": address,
            "size": info["size"],
            "version": info["ETag"].strip('"'),
            "first_row": 0,
            "rows": None,
        }


@pytest.mark.parametrize("data", [f"s3://{BUCKET}/in/", f"s3://{BUCKET}/in/part-*"])
def test_a_directory_or_a_pattern_of_objects_is_a_table(echo, store, objects, data):
    store.files.touch(f"{BUCKET}/in/_SUCCESS")
    group = echo.submit_in_parts(data)
    assert [one.answer for one in group.results()] == labels(40)


@pytest.mark.parametrize("name", ["a[1].parquet", "a*.parquet", "a b.parquet", "a#%2Fä.parquet"])
@pytest.mark.parametrize("kind", [str, lambda address: [address]])
def test_an_object_is_taken_by_its_name_whatever_characters_it_has(echo, store, name, kind):
    for key, number in ((name, 7), ("a1.parquet", 8)):
        with store.files.open(f"{BUCKET}/{key}", "wb") as file:
            parquet.write_table(pa.table({"n": [number]}), file)
    group = echo.submit_in_parts(kind(f"s3://{BUCKET}/{name}"))
    assert [one.answer for one in group.results()] == ["<7>"]


def test_an_object_whose_end_is_damaged_is_no_matter_of_credentials(echo, store, objects):
    good = store.files.cat(objects[0])
    store.files.pipe(objects[0], good[:-40] + b"\xff" * 32 + good[-8:])
    with pytest.raises(errors.SutroInputError, match=r"part-0\.parquet .*damaged"):
        echo.submit_in_parts(objects)


def test_an_object_that_is_damaged_inside_is_not_staged(echo, deployment, store, objects):
    good = store.files.cat(objects[0])
    store.files.pipe(objects[0], good[:4] + b"\xff" * 40 + good[44:])
    with pytest.raises(errors.SutroInputError, match=r"part-0\.parquet .*damaged"):
        echo.submit_in_parts(objects[:2], 5, stage=f"s3://{BUCKET}/stage")
    assert not deployment.jobs


@pytest.mark.parametrize("kind", [str, RemoteTable])
def test_presigned_urls_are_jobs_and_are_given_again_to_resume(
    echo, deployment, store, objects, tmp_path, kind
):
    def signed():
        return [kind(store.files.sign(one)) for one in objects]

    checkpoint = tmp_path / "parts.json"
    deployment.faults.add("batch-inference", status=422, json={"detail": "no"}, skip=2)
    with pytest.raises(errors.SutroValidationError):
        echo.submit_in_parts(signed(), checkpoint=checkpoint)
    with pytest.raises(errors.SutroInputError, match="pass the URLs again"):
        SutroJobGroup.resume(checkpoint, client=echo.client)
    group = SutroJobGroup.resume(checkpoint, signed(), client=echo.client)
    assert [one.answer for one in group.results()] == labels(40)
    assert len(deployment.jobs) == 4
    assert "Signature" not in checkpoint.read_text()


def test_an_object_that_was_changed_is_named_before_anything_is_submitted(
    echo, deployment, store, objects, tmp_path
):
    checkpoint = tmp_path / "parts.json"
    deployment.faults.add("batch-inference", status=422, json={"detail": "no"}, skip=1)
    with pytest.raises(errors.SutroValidationError):
        echo.submit_in_parts(objects, checkpoint=checkpoint)
    good = store.files.cat(objects[2])
    # As large as before.
    store.files.pipe(objects[2], good[:-1] + b"x")
    with pytest.raises(errors.SutroInputError, match=r"part-2\.parquet was changed"):
        SutroJobGroup.resume(checkpoint, client=echo.client)
    store.files.rm(objects[2])
    with pytest.raises(errors.SutroInputError, match=r"There is no s3://.*part-2\.parquet"):
        SutroJobGroup.resume(checkpoint, client=echo.client)
    assert len(deployment.jobs) == 1
    store.files.pipe(objects[2], good)
    group = SutroJobGroup.resume(checkpoint, client=echo.client)
    assert [one.answer for one in group.results()] == labels(40)


def test_a_url_that_expired_before_its_job_started_is_signed_anew_on_resume(
    echo, deployment, store, objects, tmp_path
):
    checkpoint = tmp_path / "parts.json"
    now = store.clock
    store.clock = lambda: now() + 7 * 3600
    group = echo.submit_in_parts(objects, checkpoint=checkpoint)
    with pytest.raises(errors.SutroJobFailedError, match="403"):
        group.wait()
    for job in group.jobs:
        with pytest.raises(errors.SutroJobFailedError):
            job.wait()
    store.clock = now
    again = SutroJobGroup.resume(checkpoint, client=echo.client)
    assert [one.answer for one in again.results()] == labels(40)
    assert len(deployment.jobs) == 8
    assert SutroJobGroup.resume(checkpoint, client=echo.client).jobs == again.jobs


def test_a_job_that_failed_after_it_had_read_its_object_is_not_paid_for_again(
    echo, deployment, objects, tmp_path
):
    checkpoint = tmp_path / "parts.json"
    deployment.faults.add_job("echo", fail=True)
    group = echo.submit_in_parts(objects[:1], checkpoint=checkpoint)
    with pytest.raises(errors.SutroJobFailedError):
        group.wait()
    assert SutroJobGroup.resume(checkpoint, client=echo.client).jobs == group.jobs
    assert len(deployment.jobs) == 1


def test_an_object_that_was_changed_is_another_table_for_reuse_jobs(echo, deployment, store):
    address = f"s3://{BUCKET}/one.csv"
    function = echo.model_copy(update={"reuse_jobs": timedelta(hours=1)})
    for number in ("1", "1", "2"):
        store.files.pipe(address, f"n\n{number}\n".encode())
        group = function.submit_in_parts([address])
        assert [one.answer for one in group.results()] == [f"<{number}>"]
    assert len(deployment.jobs) == 2


@modes
async def test_at_most_so_many_jobs_run_at_once(echo, deployment, objects, mode):
    running = []
    status = {"QUEUED", "STARTING", "RUNNING"}

    def watch(row):
        running.append(sum(job["status"] in status for job in deployment.jobs))
        return {"label": f"<{row['n']}>"}

    deployment.publish("watched", watch, input_schema=SCHEMA, output_schema=LABEL)
    function = echo.model_copy(update={"function": "watched", "poll_interval": 0.02})
    group = await call(mode, function, "submit_in_parts", objects, max_jobs=2)
    assert [one.answer for one in await call(mode, group, "results")] == labels(40)
    assert max(running) <= 2


def test_a_job_that_fails_keeps_the_next_ones_from_being_submitted(
    echo, deployment, objects, tmp_path
):
    checkpoint = tmp_path / "parts.json"
    deployment.faults.add_job("echo", fail=True)
    with pytest.raises(errors.SutroJobFailedError) as caught:
        echo.submit_in_parts(objects, max_jobs=1, checkpoint=checkpoint)
    assert "No further parts were submitted." in caught.value.__notes__
    assert len(deployment.jobs) == 1
    group = SutroJobGroup.resume(checkpoint, client=echo.client, poll_interval=0.05)
    assert len(group) == len(deployment.jobs) == 4
    with pytest.raises(errors.SutroInputError, match="max_jobs must be at least 1"):
        echo.submit_in_parts(objects, max_jobs=0)


async def test_a_cancelled_task_submits_nothing_more(echo, deployment, objects, tmp_path):
    checkpoint = tmp_path / "parts.json"
    blocked = asyncio.Event()
    loop = asyncio.get_running_loop()

    def begin(row):
        loop.call_soon_threadsafe(blocked.set)
        return {"label": row["n"]}

    deployment.publish("first", begin, input_schema=SCHEMA, output_schema=LABEL)
    deployment.faults.add_job("first", rows_per_second=5, times=None)
    function = echo.model_copy(update={"function": "first"})
    task = asyncio.create_task(
        function.asubmit_in_parts(objects, max_jobs=1, checkpoint=checkpoint)
    )
    await blocked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    # The checkpoint is free as soon as the thread has noticed.
    deployment.faults.clear()
    group = await SutroJobGroup.aresume(checkpoint, client=echo.client, poll_interval=0.05)
    assert len(group) == len(deployment.jobs) == 4


def test_objects_that_cannot_be_jobs_are_refused_before_anything_is_submitted(
    echo, deployment, store, objects
):
    store.files.pipe(f"{BUCKET}/bad.parquet", b"PAR1 not at all")
    store.files.pipe(f"{BUCKET}/one.json", b"{}")
    store.files.pipe(f"{BUCKET}/hive/day=1/a.csv", b"n\n1\n")
    refused = {
        f"s3://{BUCKET}/bad.parquet": "is not a Parquet file",
        f"s3://{BUCKET}/none.parquet": "There is no s3://",
        f"s3://{BUCKET}/one.json": "does not end in",
        f"s3://{BUCKET}/hive": "key=value directories",
        f"s3://{BUCKET}/nothing/": "has no .csv or .parquet files",
        "s3://key:secret@tables/a.csv": "must not hold credentials",
    }
    for address, message in refused.items():
        data = [address] if address.endswith(("n", "csv", "parquet")) else address
        with pytest.raises(errors.SutroInputError, match=message) as caught:
            echo.submit_in_parts(data)
        assert "secret" not in str(caught.value)
    with pytest.raises(errors.SutroInputError, match="has 10 rows, and a job may have 9"):
        echo.submit_in_parts(objects, 9)
    with pytest.raises(errors.SutroInputError, match="fields cannot choose"):
        echo.submit_in_parts(objects, fields=["n"])
    assert not deployment.jobs


def test_the_quota_is_asked_before_the_first_object_is_submitted(store):
    with LocalDeployment(quotas={0: 1500}) as small:
        small.publish(
            "echo", lambda row: {"label": row["n"]}, input_schema=SCHEMA, output_schema=LABEL
        )
        addresses = [f"s3://{BUCKET}/a.parquet", f"s3://{BUCKET}/b.parquet"]
        for address, count in zip(addresses, (10, 2000), strict=True):
            with store.files.open(address, "wb") as file:
                parquet.write_table(pa.Table.from_pylist(rows(count)), file)
        fn = SutroFunction("echo", api_url=small.url, api_key=small.api_key)
        with pytest.raises(errors.SutroInputError, match="takes 1,500 at most"):
            fn.submit_in_parts(addresses)
        assert not small.jobs


@pytest.mark.parametrize("version", ["s3", "s3v4"])
def test_signatures_and_keys_are_kept_nowhere(
    echo, deployment, store, objects, tmp_path, caplog, monkeypatch, version
):
    # Whoever signs, sends and fetches logs as much as it can.
    caplog.set_level(logging.DEBUG)
    monkeypatch.setitem(conf, "s3", {"config_kwargs": {"signature_version": version}})
    S3FileSystem.clear_instance_cache()
    store.signatures.clear()
    checkpoint = tmp_path / "parts.json"
    deployment.faults.add("batch-inference", status=500, skip=1)
    echo.client.policy = Policy(lookup_seconds=0.1)
    urls = [store.files.sign(one) for one in objects]
    shown = []
    for data in (objects, urls, list(map(RemoteTable, urls))):
        checkpoint.unlink(missing_ok=True)
        try:
            group = echo.submit_in_parts(data, checkpoint=checkpoint)
        except errors.SutroError as error:
            shown += [repr(error), str(error), *getattr(error, "__notes__", [])]
        else:
            shown += [repr(group), repr(group.jobs), pickle.dumps(group.jobs).decode("latin-1")]
        shown.append(checkpoint.read_text())
    ours = [one.getMessage() for one in caplog.records if one.name.startswith("langchain_sutro")]
    for text in (*shown, *ours):
        assert "Signature" not in text
        assert SECRET not in text
    S3FileSystem.clear_instance_cache()
    assert store.signatures
    logged = "\n".join(one.getMessage() for one in caplog.records)
    for signature in store.signatures:
        assert signature not in logged
        assert quote(signature, safe="") not in logged


def test_traces_name_objects_without_signatures(echo, store, objects, langsmith_recorder):
    echo.submit_in_parts(objects[:1]).results()
    wait_for_job_traces()
    langsmith_recorder.wait()
    shown = repr(langsmith_recorder.ordered())
    assert "Sutro batch echo" in shown
    assert "Signature" not in shown


@pytest.mark.parametrize("scheme", ["gs", "az"])
def test_other_stores_are_reached_by_their_schemes(
    echo, store, objects, tmp_path, monkeypatch, scheme
):
    class Other(S3FileSystem):
        protocol = scheme

    monkeypatch.setitem(_registry, scheme, Other)
    group = echo.submit_in_parts(
        f"{scheme}://{BUCKET}/in/", checkpoint=tmp_path / "parts.json", max_jobs=1
    )
    manifest = group.write_results(f"{scheme}://{BUCKET}/out/")
    assert (manifest["rows"], manifest["errors"]) == (40, 0)
    names = store.files.ls(f"{BUCKET}/out", refresh=True)
    assert len(names) == 5
    assert f"{scheme}://{BUCKET}/in/part-0.parquet" in (tmp_path / "parts.json").read_text()


def test_a_bar_is_shown_although_the_rows_are_not_known(echo, objects, capsys):
    group = echo.submit_in_parts(objects[3:])
    assert group.wait(progress=True) is group
    assert group.rows is None
