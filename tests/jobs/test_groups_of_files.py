"""Files that are a job each: listed, found in a directory, or matched by a pattern."""

import json
import os

import pyarrow as pa
import pytest
from pyarrow import parquet

from langchain_sutro import SutroJobGroup, errors
from langchain_sutro._core.service.exchange import Policy
from tests.support.calls import call, modes
from tests.support.numbered_rows import labels, rows


@pytest.fixture
def files(tmp_path):
    """Three files of ten rows, of three kinds, whose order is not that of their names."""
    table = rows(30)
    paths = [tmp_path / name for name in ("c.parquet", "a.jsonl", "b.csv")]
    parquet.write_table(pa.Table.from_pylist(table[:10]), paths[0])
    paths[1].write_text("".join(f"{json.dumps(row)}\n" for row in table[10:20]))
    paths[2].write_text("n\n" + "".join(f"{row['n']}\n" for row in table[20:]))
    return paths


@modes
@pytest.mark.parametrize("kind", [str, lambda path: path])
async def test_each_file_of_a_list_is_one_job(echo, deployment, files, tmp_path, mode, kind):
    checkpoint = tmp_path / "parts.json"
    group = await call(mode, echo, "submit_in_parts", list(map(kind, files)), checkpoint=checkpoint)
    assert [job.rows for job in group.jobs] == [10, 10, 10]
    assert len(deployment.jobs) == 3
    assert [one.answer for one in await call(mode, group, "results")] == labels(30)
    kept = json.loads(checkpoint.read_text())["parts"]
    assert [part["files"][0]["location"] for part in kept] == list(map(str, files))


def test_a_list_of_files_is_resumed_from_its_checkpoint_alone(echo, deployment, files, tmp_path):
    checkpoint = tmp_path / "parts.json"
    deployment.faults.add("batch-inference", status=422, json={"detail": "no"}, skip=1)
    with pytest.raises(errors.SutroValidationError) as caught:
        echo.submit_in_parts(files, checkpoint=checkpoint)
    assert str(checkpoint) in "".join(caught.value.__notes__)
    group = SutroJobGroup.resume(checkpoint, client=echo.client)
    assert [one.answer for one in group.results()] == labels(30)
    assert len(deployment.jobs) == 3


def test_a_file_that_was_changed_is_named_before_anything_is_submitted(
    echo, deployment, files, tmp_path
):
    checkpoint = tmp_path / "parts.json"
    deployment.faults.add("batch-inference", status=422, json={"detail": "no"}, skip=1)
    with pytest.raises(errors.SutroValidationError):
        echo.submit_in_parts(files, checkpoint=checkpoint)
    good = files[2].read_text()
    for change in (good + "x\n", good.replace("00020", "99999")):
        files[2].write_text(change)
        with pytest.raises(errors.SutroInputError, match=r"b\.csv was changed"):
            SutroJobGroup.resume(checkpoint, client=echo.client)
    files[2].unlink()
    with pytest.raises(errors.SutroInputError, match=r"b\.csv cannot be read"):
        SutroJobGroup.resume(checkpoint, client=echo.client)
    assert len(deployment.jobs) == 1
    # The same rows, written again: as a task does that is tried a second time.
    files[2].write_text(good)
    os.utime(files[2], (1, 1))
    group = SutroJobGroup.resume(checkpoint, client=echo.client)
    assert [one.answer for one in group.results()] == labels(30)


def test_files_whose_jobs_were_all_made_are_not_needed_any_more(echo, files, tmp_path):
    checkpoint = tmp_path / "parts.json"
    echo.submit_in_parts(files, checkpoint=checkpoint)
    for path in files:
        path.unlink()
    group = SutroJobGroup.resume(checkpoint, client=echo.client)
    assert [one.answer for one in group.results()] == labels(30)


def test_other_files_than_those_of_the_checkpoint_are_refused(echo, files, tmp_path):
    checkpoint = tmp_path / "parts.json"
    echo.submit_in_parts(files, checkpoint=checkpoint)
    for other in (files[::-1], files[:2], rows(30)):
        with pytest.raises(errors.SutroInputError, match="pass the same"):
            SutroJobGroup.resume(checkpoint, other, client=echo.client)
    assert len(SutroJobGroup.resume(checkpoint, files, client=echo.client)) == 3


def test_every_row_of_every_file_is_checked_before_the_first_job(echo, deployment, files):
    files[1].write_text('{"n": "1"}\n{"n": \n')
    with pytest.raises(errors.SutroInputError) as caught:
        echo.submit_in_parts(files)
    assert any("a.jsonl" in note for note in caught.value.__notes__)
    assert not deployment.jobs


def test_a_file_without_rows_or_with_too_many_is_refused_by_name(echo, deployment, files):
    with pytest.raises(errors.SutroInputError, match=r"c\.parquet has 10 rows, and a job may"):
        echo.submit_in_parts(files, 9)
    files[2].write_text("n\n")
    with pytest.raises(errors.SutroInputError, match=r"b\.csv has no rows"):
        echo.submit_in_parts(files)
    assert not deployment.jobs


def test_a_part_of_files_whose_answer_was_lost_is_found(echo, deployment, files, tmp_path):
    checkpoint = tmp_path / "parts.json"
    echo.submit_in_parts(files, checkpoint=checkpoint)
    state = json.loads(checkpoint.read_text())
    state["parts"][1]["job_id"] = None
    checkpoint.write_text(json.dumps(state))
    echo.client.policy = Policy(lookup_seconds=0.2)
    group = SutroJobGroup.resume(checkpoint, client=echo.client)
    assert [one.answer for one in group.results()] == labels(30)
    assert len(deployment.jobs) == 3


def test_a_directory_or_a_pattern_is_a_job_for_each_file_in_order(echo, deployment, tmp_path):
    table = rows(6)
    for index in range(3):
        path = tmp_path / f"part-{index}.parquet"
        parquet.write_table(pa.Table.from_pylist(table[2 * index : 2 * index + 2]), path)
    (tmp_path / "_SUCCESS").touch()
    for data in (tmp_path, str(tmp_path / "part-*.parquet")):
        group = echo.submit_in_parts(data)
        assert [one.answer for one in group.results()] == labels(6)
        assert len(group) == 3
    # With a maximum of rows a directory is one table, as it was.
    assert len(echo.submit_in_parts(tmp_path, 4)) == 2
    with pytest.raises(errors.SutroInputError, match="No file matches"):
        echo.submit_in_parts(str(tmp_path / "none-*.parquet"))


def test_directories_of_other_kinds_are_refused(echo, deployment, tmp_path):
    (tmp_path / "day=1").mkdir()
    parquet.write_table(pa.Table.from_pylist(rows(2)), tmp_path / "day=1" / "a.parquet")
    with pytest.raises(errors.SutroInputError, match="key=value directories"):
        echo.submit_in_parts(tmp_path)
    (tmp_path / "_delta_log").mkdir()
    (tmp_path / "_delta_log" / "0.json").write_text("{}")
    with pytest.raises(errors.SutroInputError, match="Delta Lake"):
        echo.submit_in_parts(tmp_path)
    assert not deployment.jobs


def test_texts_are_still_a_table_of_texts(echo, deployment):
    texts = ["see https://example.com/leads.csv", "https://example.com/page", "a.parquet"]
    group = echo.submit_in_parts(texts, 2)
    assert [job.rows for job in group.jobs] == [2, 1]
    with pytest.raises(errors.SutroInputError, match="needs max_rows_per_job"):
        echo.submit_in_parts(texts)
