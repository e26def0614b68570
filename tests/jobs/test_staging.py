"""Files that are cut, joined or on this machine: written to objects which the service fetches."""

import pyarrow as pa
import pytest
from pyarrow import parquet

from langchain_sutro import SutroFunction, SutroJobGroup, errors
from langchain_sutro._core.jobs import contents
from langchain_sutro.local import LocalDeployment
from tests.support.calls import call, modes
from tests.support.numbered_rows import LABEL, SCHEMA, labels, rows
from tests.support.object_storage import BUCKET

STAGE = f"s3://{BUCKET}/staged"


@pytest.fixture
def objects(store):
    """Objects of 25, 3, 4, 3 and 5 rows; the last ones are CSV, and have row groups of 7 rows."""
    first, addresses = 0, []
    for index, count in enumerate((25, 3, 4, 3, 5)):
        name = f"{BUCKET}/in/part-{index}.{'csv' if index > 2 else 'parquet'}"
        part = rows(40)[first : first + count]
        first += count
        with store.files.open(name, "wb") as file:
            if index > 2:
                file.write(b"n\n" + "".join(f"{row['n']}\n" for row in part).encode())
            else:
                parquet.write_table(pa.Table.from_pylist(part), file, row_group_size=7)
        addresses.append(f"s3://{name}")
    store.asked.clear()
    return addresses


@modes
async def test_large_objects_are_cut_and_small_ones_are_joined(
    echo, deployment, store, objects, tmp_path, mode
):
    checkpoint = tmp_path / "parts.json"
    group = await call(
        mode, echo, "submit_in_parts", objects, 10, stage=STAGE, checkpoint=checkpoint
    )
    # Parquet and CSV are joined where both have the same columns, all of them strings.
    assert [job.rows for job in group.jobs] == [9, 8, 8, 10, 5]
    assert [one.answer for one in await call(mode, group, "results")] == labels(40)
    assert len(store.files.ls(STAGE, refresh=True)) == 4
    # The last one is whole.
    others = [path for path in store.fetched() if not path.startswith("/tables/staged/")]
    assert others == ["/tables/in/part-4.csv"]
    again = SutroJobGroup.resume(checkpoint, client=echo.client)
    assert again.jobs == group.jobs
    await call(mode, again, "write_results", tmp_path / "out", inputs=True, suffix="_")
    tables = [
        parquet.read_table(tmp_path / "out" / f"part-{number:05}.parquet") for number in range(1, 6)
    ]
    whole = pa.concat_tables(tables)
    assert whole["n"].to_pylist() == [row["n"] for row in rows(40)]
    assert whole["label"].to_pylist() == labels(40)


def test_an_object_that_fits_is_fetched_as_it_is(echo, store, objects):
    group = echo.submit_in_parts(objects, stage=STAGE)
    assert [one.answer for one in group.results()] == labels(40)
    assert sorted(store.fetched()) == [one.removeprefix("s3:/") for one in objects]


def test_the_quota_and_the_maximum_of_bytes_cut_as_well(store):
    with LocalDeployment(quotas={0: 15}) as small:
        small.publish(
            "echo",
            lambda row: {"label": f"<{row['n']}>"},
            input_schema=SCHEMA,
            output_schema=LABEL,
        )
        function = SutroFunction("echo", api_url=small.url, api_key=small.api_key)
        address = f"s3://{BUCKET}/in.csv"
        store.files.pipe(address, b"n\n" + "".join(f"{one['n']}\n" for one in rows(20)).encode())
        size = store.files.info(address)["size"]
        group = function.submit_in_parts([address], stage=STAGE, max_bytes=size // 3 + 1)
        assert [job.rows for job in group.jobs] == [7, 7, 6]
        assert [one.answer for one in group.results()] == labels(20)
        with store.files.open(f"{BUCKET}/in.parquet", "wb") as file:
            parquet.write_table(pa.Table.from_pylist(rows(20)), file)
        group = function.submit_in_parts([f"s3://{BUCKET}/in.parquet"], stage=STAGE)
        assert [job.rows for job in group.jobs] == [10, 10]
        with pytest.raises(errors.SutroInputError, match="give a directory in object storage"):
            function.submit_in_parts([address], max_bytes=10)


def test_files_on_this_machine_are_uploaded(echo, store, tmp_path):
    parquet.write_table(pa.Table.from_pylist(rows(10)), tmp_path / "a.parquet")
    (tmp_path / "b.csv").write_text("n\n" + "".join(f"{one['n']}\n" for one in rows(20)[10:]))
    group = echo.submit_in_parts(tmp_path, stage=STAGE)
    assert [one.answer for one in group.results()] == labels(20)
    staged = sorted(store.files.ls(STAGE, refresh=True))
    assert {one.rpartition(".")[2] for one in staged} == {"csv", "parquet"}
    assert (
        store.files.cat(next(one for one in staged if one.endswith("csv")))
        == (tmp_path / "b.csv").read_bytes()
    )
    (tmp_path / "c.jsonl").write_text('{"n": "1"}\n')
    with pytest.raises(errors.SutroInputError, match=r"c\.jsonl is neither a Parquet nor a CSV"):
        echo.submit_in_parts([tmp_path / "c.jsonl"], stage=STAGE)


@pytest.mark.parametrize("moment", ["staging", "after staging"])
def test_a_part_that_was_staged_and_not_submitted_is_staged_again(
    echo, deployment, store, objects, tmp_path, monkeypatch, moment
):
    checkpoint = tmp_path / "parts.json"
    real, calls = contents.stage_rows, []

    def broken(*args):
        calls.append(args)
        if moment == "after staging" or len(calls) != 3:
            real(*args)
        if len(calls) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(contents, "stage_rows", broken)
    with pytest.raises(KeyboardInterrupt):
        echo.submit_in_parts(objects, 10, stage=STAGE, checkpoint=checkpoint)
    assert len(deployment.jobs) == 2
    group = SutroJobGroup.resume(checkpoint, client=echo.client)
    assert [one.answer for one in group.results()] == labels(40)
    assert len(deployment.jobs) == 5
    assert len(store.files.ls(STAGE, refresh=True)) == 4


def test_a_source_of_a_staged_part_that_was_changed_is_named(
    echo, deployment, store, objects, tmp_path
):
    checkpoint = tmp_path / "parts.json"
    deployment.faults.add("batch-inference", status=422, json={"detail": "no"}, skip=1)
    with pytest.raises(errors.SutroValidationError):
        echo.submit_in_parts(objects, 10, stage=STAGE, checkpoint=checkpoint)
    store.files.pipe(objects[4], b"n\n1\n2\n3\n4\n5\n")
    with pytest.raises(errors.SutroInputError, match=r"part-4\.csv was changed"):
        SutroJobGroup.resume(checkpoint, client=echo.client)
    assert len(deployment.jobs) == 1


def test_a_stage_that_the_service_cannot_read_is_refused(echo, objects, tmp_path):
    for stage in (str(tmp_path), "https://example.com/staged"):
        with pytest.raises(errors.SutroInputError, match="stage must be a directory in object"):
            echo.submit_in_parts(objects, stage=stage)
    with pytest.raises(errors.SutroInputError, match="fields cannot choose"):
        echo.submit_in_parts(objects, stage=STAGE, fields=["n"])
    with pytest.raises(errors.SutroInputError, match="takes neither max_bytes"):
        echo.submit_in_parts(rows(3), 2, stage=STAGE)
