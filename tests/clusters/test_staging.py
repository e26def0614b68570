"""What workers and drivers of any engine do with a stage; without a cluster."""

import datetime as dt
import decimal
import pickle
import threading

import pyarrow as pa
import pytest
from pyarrow import parquet
from pydantic import BaseModel, Field

from langchain_sutro import BatchResults, SutroClient, SutroFunction, errors
from langchain_sutro._core.staging import (
    OutputColumns,
    PartReader,
    PartWriter,
    committed,
    manifest_path,
    open_stage,
    staged_parts,
    submit_parts,
)
from tests.clusters.rows import judged, row
from tests.support.object_storage import BUCKET, SECRET, object_storage

SCHEMA = pa.schema([("label", pa.string())])


@pytest.fixture(scope="module")
def _object_storage():
    with object_storage() as running:
        yield running


@pytest.fixture
def store(_object_storage):
    """Object storage with an empty bucket."""
    _object_storage.clear()
    return _object_storage


@pytest.fixture(params=["directory", "memory", "objects"])
def address(request, tmp_path):
    """A stage on a disk, and some behind a URL."""
    if request.param == "directory":
        return str(tmp_path / "stage")
    if request.param == "objects":
        request.getfixturevalue("store")
        return f"s3://{BUCKET}/stage"
    fsspec = pytest.importorskip("fsspec")
    system = fsspec.filesystem("memory")
    system.store.clear()
    return "memory://bucket/stage"


def table(*indexes):
    return pa.Table.from_pylist([row(index) for index in indexes])


def written(writer, *tasks):
    """What several tasks wrote, committed."""
    returned = [writer.write(tables, number) for number, tables in enumerate(tasks)]
    return writer.commit(
        [part for parts, _ in returned for part in parts], [schema for _, schema in returned]
    )


def read(address, found):
    stage = open_stage(address)
    return [found.read(stage, part)["id"].to_pylist() for part in found.parts]


def test_parts_are_of_about_equal_size_and_in_order(address):
    writer = PartWriter(address, max_rows_per_part=10)
    found = written(
        writer,
        [table(*range(14)), table(*range(14, 40)), table(*range(40, 41))],
        [table(), table(41), table(*range(42, 55))],
    )
    ids = read(address, found)
    assert [index for part in ids for index in part] == list(range(55))
    assert list(map(len, ids)) == [10, 10, 10, 5, 6, 7, 7]
    assert found == committed(open_stage(address))
    assert (found.rows, found.schema()) == (55, table(1).schema)


def test_a_task_that_runs_twice_writes_the_same_files(address):
    writer = PartWriter(address, fields=["n"], max_rows_per_part=3)
    first = writer.write([table(*range(7))], 4)
    second = pickle.loads(pickle.dumps(writer)).write([table(*range(7))], 4)
    assert first == second
    # A task of a driver that chose other columns must not change what is committed.
    others, _ = PartWriter(address, fields=["id"], max_rows_per_part=3).write([table(*range(7))], 4)
    assert {part.name for part in others}.isdisjoint(part.name for part in first[0])
    other, _ = writer.write([table(*range(1, 7))], 4)
    assert {part.name for part in other}.isdisjoint(part.name for part in first[0])
    found = writer.commit(*[first[0], [first[1]]])
    # What the other attempt left is gone.
    assert open_stage(address).names("rows") == [part.name for part in found.parts]
    assert open_stage(address).names("sent") == [part.name for part in found.parts]


def test_equal_rows_of_different_tasks_are_parts_of_their_own(address):
    found = written(PartWriter(address), [table(1, 2)], [table(1, 2)])
    assert len({part.name for part in found.parts}) == 2


def test_only_the_first_commit_counts(address):
    first, second = PartWriter(address), PartWriter(address)
    mine, theirs = first.write([table(1)], 0), second.write([table(2)], 1)
    first.commit(mine[0], [mine[1]])
    with pytest.raises(errors.SutroConfigurationError, match="holds the parts of a table already"):
        second.commit(theirs[0], [theirs[1]])
    with pytest.raises(errors.SutroConfigurationError, match="choose another directory"):
        second.check_new()
    assert read(address, committed(open_stage(address))) == [[1]]


def test_a_part_that_the_driver_does_not_see_is_no_commit(address):
    writer = PartWriter(address)
    parts, schema = writer.write([table(1)], 0)
    open_stage(address).remove(f"rows/{parts[0].name}")
    with pytest.raises(errors.SutroConfigurationError, match="all workers share"):
        writer.commit(parts, [schema])
    assert committed(open_stage(address)) is None


def test_a_part_that_was_changed_is_not_read(tmp_path):
    found = written(PartWriter(tmp_path), [table(1, 2)])
    parquet.write_table(table(1), tmp_path / "rows" / found.parts[0].name)
    with pytest.raises(errors.SutroConfigurationError, match="was changed"):
        found.read(open_stage(tmp_path), found.parts[0])


@pytest.mark.parametrize(
    "change",
    [
        lambda content: b"",
        lambda content: content[:-5],
        lambda content: content[:-40] + b"\xff" * 32 + content[-8:],
        lambda content: content[:4] + b"\xff" * 40 + content[44:],
    ],
)
def test_a_part_that_is_damaged_is_said_to_be(tmp_path, change):
    found = written(PartWriter(tmp_path), [table(1)])
    path = tmp_path / "rows" / found.parts[0].name
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(errors.SutroConfigurationError, match="it is damaged"):
        found.read(open_stage(tmp_path), found.parts[0])


def test_a_stage_that_cannot_be_reached_is_named(tmp_path, store):
    (tmp_path / "file").write_text("x")
    (tmp_path / "stage" / "_parts.json").mkdir(parents=True)
    for address in (tmp_path / "file", f"s3://none-{BUCKET}/stage"):
        with pytest.raises(errors.SutroConfigurationError, match="could not be written"):
            PartWriter(address).write([table(1)], 0)
    with pytest.raises(errors.SutroConfigurationError, match="could not be read"):
        committed(open_stage(tmp_path / "stage"))
    for manifest in (tmp_path / "file" / "jobs.json", tmp_path / "file" / "below" / "jobs.json"):
        with pytest.raises(errors.SutroConfigurationError, match="cannot be locked"):
            staged_parts(PartWriter(tmp_path / "other"), manifest, lambda: None)


@pytest.mark.parametrize("content", [b'{"parts":[],"version":2}', b'{"parts":[],"columns":"AAAA"}'])
def test_a_list_of_parts_of_another_version_is_refused(tmp_path, content):
    (tmp_path / "_parts.json").write_bytes(content)
    with pytest.raises(errors.SutroConfigurationError, match="this version"):
        committed(open_stage(tmp_path))


def test_a_list_of_parts_that_is_none_is_refused(tmp_path):
    (tmp_path / "_parts.json").write_text('{"parts": 3}')
    with pytest.raises(errors.SutroConfigurationError, match=r"_parts\.json is not a list"):
        committed(open_stage(tmp_path))


def test_what_is_sent_stands_beside_the_rows(address):
    found = written(PartWriter(address, fields={"text": "n"}), [table(3, 4)])
    stage = open_stage(address)
    with stage.open(f"sent/{found.parts[0].name}") as file:
        assert parquet.read_table(file).to_pylist() == [{"text": "3"}, {"text": "4"}]
    assert found.inputs(stage) == [stage.path(f"sent/{found.parts[0].name}")]
    assert read(address, found) == [[3, 4]]


class Row(BaseModel):
    n: int = Field(lt=3)


def test_rows_are_checked_by_the_worker_that_has_them(address):
    writer = PartWriter(address, args_schema=Row, function="echo")
    writer.write([table(1, 2)], 0)
    with pytest.raises(errors.SutroInputError, match="row 2 for") as caught:
        writer.write([table(1, 2, 3)], 1)
    assert caught.value.row_index == 2
    with pytest.raises(errors.SutroInputError, match="no column 'm'"):
        PartWriter(address, fields=["m"]).write([table(1)], 0)


def test_blocks_of_one_task_may_forget_types_but_not_change_them(address):
    writer = PartWriter(address)
    forgotten = pa.table({"n": pa.nulls(1), "id": [5], "note": ["x"]})
    parts, _ = writer.write([forgotten, table(1)], 0)
    assert parts[0].rows == 2
    changed = pa.table({"n": [[1]], "id": [5], "note": ["x"]})
    with pytest.raises(errors.SutroInputError, match="cannot be joined"):
        writer.write([table(1), changed], 0)


@pytest.mark.parametrize("url", ["s3://me:secret@bucket/x", "https://x.test/y?sig=secret"])
def test_a_stage_with_credentials_in_its_url_is_refused_without_them(url):
    with pytest.raises(errors.SutroConfigurationError, match="credentials") as caught:
        open_stage(url)
    assert "secret" not in str(caught.value)


def test_a_stage_behind_a_url_needs_a_manifest_elsewhere(tmp_path):
    with pytest.raises(errors.SutroConfigurationError, match="manifest="):
        manifest_path(open_stage("memory://bucket/stage"), None)
    assert manifest_path(open_stage(tmp_path), None) == tmp_path / "_jobs.json"


def test_other_fields_or_another_function_are_refused(tmp_path):
    how = {"fields": ["n"], "function": "echo"}
    manifest = tmp_path / "_jobs.json"
    writer = PartWriter(tmp_path, **how)
    found = staged_parts(writer, manifest, lambda: written(writer, [table(1)]))
    assert staged_parts(PartWriter(tmp_path, **how), manifest, lambda: 1 / 0) == found
    for other in ({"fields": ["id"]}, {"fields": None}, {"function": "sometimes"}):
        with pytest.raises(errors.SutroConfigurationError, match="choose another directory"):
            staged_parts(PartWriter(tmp_path, **{**how, **other}), manifest, lambda: 1 / 0)


def test_drivers_at_the_same_time_stage_once(tmp_path):
    wrote = []

    def drive():
        writer = PartWriter(tmp_path)

        def write():
            wrote.append(1)
            return written(writer, [table(1)])

        staged_parts(writer, tmp_path / "_jobs.json", write)

    threads = [threading.Thread(target=drive) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrote == [1]


@pytest.fixture
def staged(tmp_path, deployment):
    """Rows in three parts, and their jobs."""
    before = len(deployment.jobs)
    stage = open_stage(tmp_path)
    manifest = manifest_path(stage, None)
    function = SutroFunction(
        "echo", api_url=deployment.url, api_key=deployment.api_key, poll_interval=0.05
    )
    parts = written(PartWriter(tmp_path, fields=["n"], max_rows_per_part=4), [table(*range(10))])
    for _ in range(2):
        group = submit_parts(function, stage, parts, manifest, job_name="mine")
    assert len(deployment.jobs) - before == 3
    jobs = [job.job_id for job in group.wait().jobs]
    return PartReader(stage, parts, jobs, OutputColumns(SCHEMA), client=function.client), jobs


def test_results_stand_beside_the_rows_that_they_are_of(staged, deployment, monkeypatch):
    reader, _ = staged
    sent = pickle.dumps(reader)
    assert deployment.api_key.encode() not in sent
    monkeypatch.setenv("SUTRO_API_URL", deployment.url)
    monkeypatch.setenv("SUTRO_API_KEY", deployment.api_key)
    worker = pickle.loads(sent)
    rows = [one for number in range(3) for one in worker.read(number).to_pylist()]
    assert [one.pop("confidence_score") for one in rows] == [None] * 10
    assert rows == judged(10)


def test_the_service_fetches_parts_in_object_storage_itself(
    store, deployment, tmp_path, monkeypatch
):
    monkeypatch.setenv("SUTRO_API_URL", deployment.url)
    monkeypatch.setenv("SUTRO_API_KEY", deployment.api_key)
    writer = PartWriter(f"s3://{BUCKET}/leads", fields=["n"], max_rows_per_part=4)
    function = SutroFunction("echo", poll_interval=0.05)
    parts = written(pickle.loads(pickle.dumps(writer)), [table(*range(10))])
    group = submit_parts(function, writer.stage, parts, tmp_path / "jobs.json").wait()
    jobs = [job.job_id for job in group.jobs]
    assert [path.split("/")[:4] for path in store.fetched()] == [["", BUCKET, "leads", "sent"]] * 3
    reader = PartReader(writer.stage, parts, jobs, OutputColumns(SCHEMA), client=function.client)
    sent = pickle.dumps(reader)
    assert SECRET.encode() not in sent
    worker = pickle.loads(sent)
    rows = [one for number in range(3) for one in worker.read(number).to_pylist()]
    assert [one.pop("confidence_score") for one in rows] == [None] * 10
    assert rows == judged(10)


def test_a_worker_without_a_key_says_what_it_needs(staged):
    worker = pickle.loads(pickle.dumps(staged[0]))
    with pytest.raises(errors.SutroConfigurationError, match="No API key") as caught:
        worker.read(0)
    assert "workers of a cluster" in "".join(caught.value.__notes__)


def test_results_of_another_number_are_never_shifted(staged, deployment):
    reader, jobs = staged
    swapped = PartReader(
        reader._stage, reader.parts, [jobs[1], jobs[0], *jobs[2:]], OutputColumns(SCHEMA),
        client=SutroClient(api_url=deployment.url, api_key=deployment.api_key),
    )  # fmt: skip
    assert [part.rows for part in reader.parts.parts] == [4, 3, 3]
    swapped._client = SutroClient(api_url=deployment.url, api_key=deployment.api_key)
    with pytest.raises(errors.SutroJobError, match="rows"):
        swapped.read(0)
    with pytest.raises(errors.SutroInputError, match="3 parts, and 2 jobs"):
        PartReader(reader._stage, reader.parts, jobs[:2], OutputColumns(), client=swapped._client)


def results(*outputs, **columns):
    return BatchResults.from_columns({"outputs": list(outputs), **columns}, job_id="job-1")


def test_outputs_have_the_types_of_the_schema_or_are_errors_of_their_rows():
    kinds = {"label": pa.string(), "score": pa.int64(), "tags": pa.list_(pa.string())}
    found = OutputColumns(pa.schema(list(kinds.items()))).join(
        pa.table({"id": range(5)}),
        results(
            '{"label": "a", "score": 1, "tags": ["x"]}',
            '{"label": {"b": 1}, "score": "many", "more": 1}',
            '{"label": 3, "score": 2.0}',
            None,
            '{"label": null, "score": null}',
            confidence_score=[0.5, 0.25, None, None, 1.0],
        ),
    )
    assert found.schema.names == ["id", *kinds, "confidence_score", "error"]
    assert found["label"].to_pylist() == ["a", '{"b":1}', "3", None, None]
    assert found["score"].to_pylist() == [1, None, 2, None, None]
    assert found["tags"].to_pylist() == [["x"], None, None, None, None]
    assert found["confidence_score"].to_pylist() == [0.5, 0.25, None, None, 1.0]
    said = found["error"].to_pylist()
    assert [one is None for one in said] == [True, False, True, False, True]
    assert "'score' is not int64" in said[1]
    assert "no output" in said[3]


BESIDE = {"none": [], "text": ['{"v": "other"}'], "object": ['{"v": {"a": 1}}']}


@pytest.mark.parametrize("beside", BESIDE)
@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        (pa.bool_(), "true", True),
        (pa.bool_(), "2", None),
        (pa.bool_(), '"1"', None),
        (pa.int64(), "true", None),
        (pa.int64(), "7.0", 7),
        (pa.int64(), "7.5", None),
        (pa.int64(), '"7"', 7),
        (pa.float64(), "true", None),
        (pa.float64(), "7", 7.0),
        (pa.string(), "2.0", "2.0"),
        (pa.string(), "true", "true"),
        (pa.date32(), '"2026-11-27"', dt.date(2026, 11, 27)),
        (pa.decimal128(6, 2), "1.5", decimal.Decimal("1.50")),
        (pa.list_(pa.int64()), "[1]", [1]),
    ],
)
def test_a_value_has_the_type_or_not_whatever_other_rows_have(kind, value, expected, beside):
    outputs = [f'{{"v": {value}}}', *BESIDE[beside]]
    found = OutputColumns(pa.schema([("v", kind)])).join(
        pa.table({"id": range(len(outputs))}), results(*outputs)
    )
    assert found["v"][0].as_py() == expected
    assert (found["error"][0].as_py() is None) == (expected is not None)


def test_every_part_has_the_same_columns():
    columns = OutputColumns(SCHEMA)
    rows = pa.table({"id": [1]})
    schemas = {
        columns.join(rows, results(output)).schema
        for output in ('{"label": "a"}', '{"label": 1}', '{"other": 1}', None, "text", "[1]")
    }
    assert schemas == {columns.schema(rows.schema)}


def test_a_single_field_takes_outputs_that_are_no_objects():
    found = OutputColumns(SCHEMA).join(
        pa.table({"id": range(4)}), results("qualified", '"quoted"', None, '{"label": "a"}')
    )
    assert found["label"].to_pylist() == ["qualified", "quoted", None, "a"]


def test_names_that_clash_are_refused_or_get_a_suffix():
    rows = pa.table({"label": ["mine"], "error": [1]})
    with pytest.raises(errors.SutroInputError, match="'label', 'error'"):
        OutputColumns(SCHEMA).schema(rows.schema)
    found = OutputColumns(SCHEMA, "_sutro").join(rows, results('{"label": "a"}'))
    assert found["label_sutro"].to_pylist() == ["a"]
    assert found.schema.names == [
        "label", "error", "label_sutro", "confidence_score", "error_sutro"
    ]  # fmt: skip
    with pytest.raises(errors.SutroInputError, match="still clash"):
        OutputColumns(SCHEMA, "").schema(rows.schema)


@pytest.mark.parametrize("schema", [{"label": str}, pa.schema([("error", pa.string())])])
def test_a_schema_that_cannot_be_is_refused(schema):
    with pytest.raises(errors.SutroInputError, match="output_schema must"):
        OutputColumns(schema)
