"""Results of several jobs as files of one schema, in a directory or in object storage."""

import json
import os
import sys

import pyarrow as pa
import pytest
from pyarrow import parquet

from langchain_sutro import SutroFunction, SutroJobGroup, errors
from langchain_sutro._core.jobs import written
from langchain_sutro._core.results import parts_table
from tests.support.calls import call, modes
from tests.support.numbered_rows import SCHEMA, rows
from tests.support.object_storage import BUCKET

ANY = {"type": "object"}


def answer(row):
    """Integers in the first part, floats in the second, a further field and errors in the third."""
    number = int(row["n"])
    found = {"label": f"<{row['n']}>", "score": number if number < 10 else number + 0.5}
    if number >= 20:
        found["more"] = {"tags": [str(number)]}
    return found


@pytest.fixture
def mixed(deployment):
    deployment.publish("mixed", answer, input_schema=SCHEMA, output_schema=ANY)
    return SutroFunction(
        "mixed", api_url=deployment.url, api_key=deployment.api_key, poll_interval=0.1
    )


def expected(count, failed=()):
    found = [answer(row) for row in rows(count)]
    whole = {"label": None, "score": None, "more": None}
    return [whole if index in failed else whole | one for index, one in enumerate(found)]


def read(folder, count):
    """The rows of the files, which must have one schema, without confidence and errors."""
    names = [f"{folder}/part-{number:05}.parquet" for number in range(1, count + 1)]
    tables = [parquet.read_table(name) for name in names]
    assert len({str(table.schema) for table in tables}) == 1
    return tables


@modes
async def test_each_part_is_a_file_with_the_schema_of_all(deployment, mixed, tmp_path, mode):
    for first in range(3):
        deployment.faults.add_job("mixed", null_rows=[1] if first == 2 else [])
    group = await call(mode, mixed, "submit_in_parts", rows(30), 10)
    target = tmp_path / "made" / "out"
    manifest = await call(mode, group, "write_results", target)
    tables = read(target, 3)
    whole = pa.concat_tables(tables)
    assert whole.column_names == ["label", "score", "more", "confidence_score", "error"]
    assert whole.select(["label", "score", "more"]).to_pylist() == expected(30, failed={21})
    same = group.results().to_arrow()
    assert whole.select(same.column_names).cast(same.schema) == same
    assert [one for one in whole["error"].to_pylist() if one] == [tables[2]["error"][1].as_py()]
    assert "no output" in whole["error"][21].as_py()
    assert json.loads((target / "_manifest.json").read_text()) == manifest
    assert (manifest["function"], manifest["rows"], manifest["errors"]) == ("mixed", 30, 1)
    assert [one["job_id"] for one in manifest["files"]] == [job.job_id for job in group.jobs]
    totals = group.results().totals
    assert manifest["cost"] == pytest.approx(totals["job_cost"])
    assert manifest["input_tokens"] == totals["input_tokens"]
    assert sorted(path.name for path in target.iterdir()) == [
        "_manifest.json",
        *(f"part-{number:05}.parquet" for number in (1, 2, 3)),
    ]


def test_values_of_several_types_lose_nothing(deployment, tmp_path):
    # A float holds no such integer, and a string holds anything.
    values = [2**53 + 1, 0.5, "text", None, [1], {"a": 1}]
    deployment.publish(
        "any",
        lambda row: {"value": values[int(row["n"])]},
        input_schema=SCHEMA,
        output_schema=ANY,
    )
    function = SutroFunction("any", api_url=deployment.url, api_key=deployment.api_key)
    for chosen, kind in ((values, "large_string"), (values[:2], "large_string")):
        target = tmp_path / str(len(chosen))
        group = function.submit_in_parts(rows(len(chosen)), 1)
        group.write_results(target)
        whole = pa.concat_tables(read(target, len(chosen)))
        assert str(whole.schema.field("value").type) == kind
        assert whole["value"].to_pylist() == [
            one if one is None or isinstance(one, str) else json.dumps(one, separators=(",", ":"))
            for one in chosen
        ]
        assert whole["value"].to_pylist() == group.results().to_arrow()["value"].to_pylist()


def test_outputs_that_are_not_objects_have_a_column_of_their_own(deployment, tmp_path):
    deployment.publish(
        "text",
        lambda row: f"text {row['n']}",
        input_schema=SCHEMA,
        output_schema={"type": "string"},
    )
    function = SutroFunction("text", api_url=deployment.url, api_key=deployment.api_key)
    deployment.faults.add_job("text", unparseable_rows=[1])
    group = function.submit_in_parts(rows(2), 2)
    group.write_results(tmp_path, output_column="answer", error_column="why")
    (table,) = read(tmp_path, 1)
    assert table.column_names == ["answer", "confidence_score", "why"]
    assert table["answer"].to_pylist()[0] == "text 00000"
    assert "not valid JSON" in table["why"].to_pylist()[1]


def files_of(folder):
    """Three Parquet files, of which one has a further column."""
    table = rows(30)
    paths = []
    for index in range(3):
        part = [{"n": table[10 * index + at]["n"], "id": 10 * index + at} for at in range(10)]
        if index == 1:
            part = [row | {"note": f"note {row['id']}"} for row in part]
        path = folder / f"in-{index}.parquet"
        parquet.write_table(pa.Table.from_pylist(part), path)
        paths.append(path)
    return paths


def test_rows_stand_beside_their_results_by_position(mixed, tmp_path):
    paths = files_of(tmp_path)
    group = mixed.submit_in_parts(paths)
    group.write_results(tmp_path / "out", inputs=True)
    whole = pa.concat_tables(read(tmp_path / "out", 3))
    assert whole.column_names[:3] == ["n", "id", "note"]
    assert whole["id"].to_pylist() == list(range(30))
    assert [f"<{one}>" for one in whole["n"].to_pylist()] == whole["label"].to_pylist()
    assert whole["note"].to_pylist() == [
        f"note {one}" if 10 <= one < 20 else None for one in range(30)
    ]
    for options in ({}, {"inputs": True, "error_column": "why"}):
        with pytest.raises(errors.SutroConfigurationError, match="choose an empty directory"):
            group.write_results(tmp_path / "out", **options)
    os.utime(paths[1], (1, 1))
    with pytest.raises(errors.SutroInputError, match=r"in-1\.parquet was changed"):
        group.write_results(tmp_path / "other", inputs=True)


def test_rows_of_csv_files_stand_beside_their_results(mixed, tmp_path):
    path = tmp_path / "in.csv"
    path.write_text("n,label\n00001,mine\n\n00002,\n")
    group = mixed.submit_in_parts([path])
    with pytest.raises(errors.SutroInputError, match="Two columns are named 'label'"):
        group.write_results(tmp_path / "out", inputs=True)
    group.write_results(tmp_path / "out", inputs=True, suffix="_result")
    (table,) = read(tmp_path / "out", 1)
    assert table["label"].to_pylist() == ["mine", ""]
    assert table["label_result"].to_pylist() == ["<00001>", "<00002>"]


def test_rows_that_were_not_in_files_cannot_stand_beside_their_results(mixed, tmp_path):
    group = mixed.submit_in_parts(rows(2), 1)
    with pytest.raises(errors.SutroInputError, match="inputs=True needs parts that are files"):
        group.write_results(tmp_path, inputs=True)


@pytest.mark.parametrize("place", ["local", "objects"])
def test_what_was_written_is_not_written_again(
    deployment, mixed, store, tmp_path, monkeypatch, place
):
    group = mixed.submit_in_parts(rows(30), 10, checkpoint=tmp_path / "parts.json")
    target = str(tmp_path / "out") if place == "local" else f"s3://{BUCKET}/out/"
    real = written.write_part
    calls = []

    def broken(file, table, results, inputs):
        calls.append(results.job_id)
        if len(calls) == 2:
            file.write(b"half of it")
            raise KeyboardInterrupt
        return real(file, table, results, inputs)

    monkeypatch.setattr(written, "write_part", broken)
    with pytest.raises(KeyboardInterrupt):
        group.write_results(target)
    names = (
        sorted(path.name for path in (tmp_path / "out").iterdir())
        if place == "local"
        else [one.rpartition("/")[2] for one in store.files.ls(f"{BUCKET}/out")]
    )
    assert names == ["part-00001.parquet"]
    again = SutroJobGroup.resume(tmp_path / "parts.json", client=mixed.client)
    deployment.requests.clear()
    manifest = again.write_results(target)
    jobs = [job.job_id for job in group.jobs]
    assert calls == [jobs[0], jobs[1], jobs[1], jobs[2]]
    # The first part, whose file has the schema, is not even fetched.
    assert not [one for one in deployment.requests if f"{jobs[0]}/results" in one.path]
    assert [one["rows"] for one in manifest["files"]] == [10, 10, 10]
    if place == "objects":
        store.files.get(f"{BUCKET}/out", str(tmp_path / "out"), recursive=True)
    whole = pa.concat_tables(read(tmp_path / "out", 3))
    assert whole.select(["label", "score", "more"]).to_pylist() == expected(30)
    assert again.write_results(target) == manifest
    assert len(calls) == 4


def test_a_directory_of_other_results_is_refused(mixed, tmp_path):
    mixed.submit_in_parts(rows(3), 1).write_results(tmp_path)
    for other in (rows(2), rows(4)):
        with pytest.raises(errors.SutroConfigurationError, match="choose an empty directory"):
            mixed.submit_in_parts(other, 1).write_results(tmp_path)
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "part-00001.parquet").write_bytes(b"something else")
    with pytest.raises(errors.SutroConfigurationError, match="choose an empty directory"):
        mixed.submit_in_parts(rows(1), 1).write_results(tmp_path / "x")


@pytest.mark.parametrize("target", ["file", "file/below", "/proc/none/below"])
def test_a_directory_that_cannot_be_made_is_named(mixed, tmp_path, target):
    (tmp_path / "file").write_text("x")
    with pytest.raises(errors.SutroConfigurationError, match="cannot be made"):
        mixed.submit_in_parts(rows(1), 1).write_results(tmp_path / target)


def damaged_footer(content):
    return content[:-40] + b"\xff" * 32 + content[-8:]


@pytest.mark.parametrize(
    "change",
    [
        lambda content: b"",
        lambda content: content[:-5],
        damaged_footer,
        lambda content: content.replace(b'"names"', b'"namez"'),
        lambda content: content.replace(b'"suffix"', b'"suffiX"'),
        lambda content: content.replace(b'"names":{', b'"names":[{').replace(b'"}', b'"]'),
    ],
)
def test_a_file_that_no_call_of_this_version_has_written_is_refused(mixed, tmp_path, change):
    group = mixed.submit_in_parts(rows(2), 1)
    group.write_results(tmp_path)
    path = tmp_path / "part-00001.parquet"
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(errors.SutroConfigurationError, match=r"part-00001.*choose an empty"):
        group.write_results(tmp_path)


def test_a_file_that_cannot_be_written_is_named(mixed, tmp_path):
    (tmp_path / "_manifest.json").mkdir()
    with pytest.raises(errors.SutroConfigurationError, match=r"_manifest\.json cannot be written"):
        mixed.submit_in_parts(rows(1), 1).write_results(tmp_path)


def of_columns(mixed, folder, *columns):
    """A job for each column, from a file of its own."""
    paths = [folder / f"in-{number}.parquet" for number in range(len(columns))]
    for path, column in zip(paths, columns, strict=True):
        parquet.write_table(pa.table({"n": column}), path)
    return mixed.submit_in_parts(paths)


@pytest.mark.parametrize(
    "columns",
    [
        [pa.array([2**53 + 1]), pa.array([1.0])],
        [pa.array([2**64 - 1], pa.uint64()), pa.array([-1])],
    ],
)
def test_rows_that_have_no_type_together_are_refused_by_name(mixed, tmp_path, columns):
    group = of_columns(mixed, tmp_path, *columns)
    with pytest.raises(errors.SutroInputError, match=r"'n' of in-0\.parquet") as caught:
        group.write_results(tmp_path / "out", inputs=True)
    assert str(columns[0][0]) not in str(caught.value)


def test_categories_of_one_file_stand_beside_strings_of_another(mixed, tmp_path):
    group = of_columns(mixed, tmp_path, pa.array(["1"]).dictionary_encode(), pa.array(["2"]))
    group.write_results(tmp_path / "out", inputs=True)
    assert pa.concat_tables(read(tmp_path / "out", 2))["n"].to_pylist() == ["1", "2"]


def test_objects_go_in_and_out_in_pieces(mixed, store, tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules[parts_table.__module__], "_ROWS", 7)
    monkeypatch.setattr(written, "_FEW_ROWS", 0)
    for path in files_of(tmp_path):
        store.files.put_file(str(path), f"{BUCKET}/in/{path.name}")
    group = mixed.submit_in_parts(f"s3://{BUCKET}/in/")
    group.write_results(f"s3://{BUCKET}/out", inputs=True)
    store.files.get(f"{BUCKET}/out", str(tmp_path / "out"), recursive=True)
    whole = pa.concat_tables(read(tmp_path / "out", 3))
    assert whole["id"].to_pylist() == list(range(30))
    assert [f"<{one}>" for one in whole["n"].to_pylist()] == whole["label"].to_pylist()
    assert parquet.ParquetFile(tmp_path / "out" / "part-00001.parquet").num_row_groups == 2
