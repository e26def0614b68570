"""Getting results out: files, joins to what was submitted, and rows without narrowing."""

import csv
import json

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from langchain_sutro import BatchResults, FunctionResult
from langchain_sutro._core.results import result_columns, unpack
from langchain_sutro.errors import SutroConfigurationError, SutroInputError, SutroRowError

OUTPUTS = [
    '{"label":"a","n":1,"tags":["x"],"facts":{"k":1}}',
    None,
    '{"label":"line\\nbreak, \\"quoted\\"","n":2.5}',
    "plain",
    '{"n":null,"label":"é"}',
]
SCORES = [0.9, None, 0.8, 0.2, float("nan")]


@pytest.fixture
def results():
    return BatchResults.from_columns(
        {"outputs": OUTPUTS, "confidence_score": SCORES, "id": [1, 2, 3, 4, 5]}, job_id="job-1"
    )


def read_jsonl(path):
    return [json.loads(line) for line in path.read_text().split("\n")[:-1]]


def padded(rows):
    """Rows in which structs have null for NaN, as JSON has."""
    return json.loads(json.dumps(rows).replace("NaN", "null"))


@pytest.mark.parametrize("unpack", [True, False])
def test_files_have_the_columns_of_to_arrow(results, tmp_path, unpack):
    options = {"unpack": unpack, "output_column": "raw"}
    table = results.to_arrow(**options)
    results.to_parquet(tmp_path / "r.parquet", **options)
    saved = pq.read_table(tmp_path / "r.parquet")
    assert saved.column_names == table.column_names
    assert padded(saved.to_pylist()) == padded(table.to_pylist())
    results.to_jsonl(str(tmp_path / "r.jsonl"), **options)
    assert read_jsonl(tmp_path / "r.jsonl") == padded(table.to_pylist())
    results.to_csv(tmp_path / "r.csv", **options)
    with (tmp_path / "r.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == table.column_names
    assert len(rows) == 5
    if unpack:
        assert rows[2]["label"] == 'line\nbreak, "quoted"'
        assert json.loads(rows[0]["tags"]) == ["x"]
        assert json.loads(rows[0]["facts"]) == {"k": 1}
    assert names(tmp_path) == ["r.csv", "r.jsonl", "r.parquet"]


cells = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    cells | st.text(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("xy"), inner),
    max_leaves=4,
)
objects = st.dictionaries(st.sampled_from(["a", "b", "ü"]), values, max_size=3).map(json.dumps)


@settings(max_examples=60, deadline=None)
@example(["{}", "{}", "{}", '{"a": [null, null]}'])
@example(["{}", '{"a": {"x": [null]}}', '{"a": {"x": []}}', '{"a": {"x": [null, null]}}'])
@example(['{"a": [1]}', "{}", '{"a": [null, null]}', '{"a": []}'])
@given(st.lists(objects | st.text(max_size=4) | st.none(), max_size=12))
def test_pieces_say_what_the_whole_table_says(tmp_path_factory, outputs):
    folder = tmp_path_factory.mktemp("pieces")
    results = BatchResults.from_columns({"outputs": outputs})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(result_columns, "_WINDOW_ROWS", 3)
        patch.setattr(unpack, "_SLICE_ROWS", 5)
        table = results.to_arrow()
        results.to_jsonl(folder / "r.jsonl")
        results.to_parquet(folder / "r.parquet")
        results.to_csv(folder / "r.csv")
    assert read_jsonl(folder / "r.jsonl") == table.to_pylist()
    saved = pq.read_table(folder / "r.parquet")
    for name in table.column_names:
        again = saved[name].to_pylist()
        if saved[name].type != table[name].type and pa.types.is_nested(table[name].type):
            again = [None if one is None else json.loads(one) for one in again]
        assert again == table[name].to_pylist()
    assert sum(1 for _ in csv.reader((folder / "r.csv").open(newline=""))) == len(outputs) + 1


def test_several_jobs_and_no_rows_are_written_too(results, tmp_path):
    both = BatchResults.concat([results, BatchResults.from_columns({"outputs": ['{"n":"x"}']})])
    both.to_jsonl(tmp_path / "r.jsonl")
    assert [row["n"] for row in read_jsonl(tmp_path / "r.jsonl")][-1] == "x"
    assert len(read_jsonl(tmp_path / "r.jsonl")) == 6
    for write in ("to_csv", "to_parquet", "to_jsonl"):
        getattr(BatchResults.from_columns({"outputs": []}), write)(tmp_path / "none")
        assert (tmp_path / "none").exists()


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def full_disk(*_):
    raise OSError("the disk is full")
    yield


@pytest.mark.parametrize("write", ["to_csv", "to_parquet", "to_jsonl"])
def test_a_file_is_there_whole_or_as_it_was(tmp_path, write):
    infinite = BatchResults.from_columns({"outputs": ["a", "b"], "id": ["x", "y"]})
    path = tmp_path / "r"
    path.write_text("before")
    clashing = BatchResults.from_columns({"outputs": ['{"id":1}'], "id": ["x"]})
    with pytest.raises(SutroInputError, match="both named 'id'"):
        getattr(clashing, write)(path)
    assert path.read_text() == "before"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(result_columns.ResultColumns, "tables", full_disk)
        with pytest.raises(OSError, match="disk is full"):
            getattr(infinite, write)(path)
    assert path.read_text() == "before"
    assert names(tmp_path) == ["r"]
    getattr(infinite, write)(path)
    assert path.read_bytes() != b"before"
    with pytest.raises(OSError, match="missing"):
        getattr(infinite, write)(tmp_path / "missing" / "r")


@pytest.mark.parametrize("write", ["to_csv", "to_parquet", "to_jsonl"])
def test_urls_are_written_with_fsspec(results, write, monkeypatch):
    fsspec = pytest.importorskip("fsspec")
    url = f"memory://exports/{write}"
    getattr(results, write)(url)
    getattr(results, write)(url)
    files = fsspec.filesystem("memory").find("exports")
    assert [name for name in files if write in name] == [f"/exports/{write}"]
    with pytest.raises(SutroConfigurationError, match="nowhere://"):
        getattr(results, write)("nowhere://x/y")
    monkeypatch.setitem(__import__("sys").modules, "fsspec.core", None)
    with pytest.raises(SutroConfigurationError, match="Install fsspec"):
        getattr(results, write)(url)


class Lead(BaseModel):
    text: str = Field(serialization_alias="Text")


ROWS = [{"text": "one"}, {"text": "two"}]


def sources(folder):
    table = pa.table({"text": ["one", "two"]})
    pq.write_table(table, folder / "t.parquet")
    (folder / "t.csv").write_text("text\none\ntwo\n")
    (folder / "parts").mkdir()
    pq.write_table(table, folder / "parts" / "a.parquet")
    return {
        "list": ROWS,
        "tuple": tuple(ROWS),
        "generator": (row for row in ROWS),
        "pandas": pd.DataFrame(ROWS),
        "polars": pl.DataFrame(ROWS),
        "arrow": table,
        "stream": pa.RecordBatchReader.from_batches(table.schema, table.to_batches()),
        "parquet": folder / "t.parquet",
        "csv": str(folder / "t.csv"),
        "directory": folder / "parts",
    }


def plain(joined):
    if isinstance(joined, pd.DataFrame):
        return joined.to_dict("records")
    if isinstance(joined, pl.DataFrame):
        return joined.to_dicts()
    return joined.to_pylist() if isinstance(joined, pa.Table) else joined


@pytest.mark.parametrize(
    "name",
    [
        "list",
        "tuple",
        "generator",
        "pandas",
        "polars",
        "arrow",
        "stream",
        "parquet",
        "csv",
        "directory",
    ],
)
def test_results_join_what_submit_takes(tmp_path, name):
    results = BatchResults.from_columns({"outputs": ['{"label":"a"}', '{"label":"b"}']})
    joined = results.join(sources(tmp_path)[name])
    expected = [{"text": "one", "label": "a"}, {"text": "two", "label": "b"}]
    assert plain(joined) == expected
    kinds = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "list": list, "tuple": list}
    assert isinstance(joined, kinds.get(name, list if name == "generator" else pa.Table))


def test_models_and_strings_are_joined_as_they_were_sent():
    results = BatchResults.from_columns({"outputs": ['{"label":"a"}']})
    assert results.join([Lead(text="x")]) == [{"Text": "x", "label": "a"}]
    assert results.join(["x"]) == [{"input": "x", "label": "a"}]


@pytest.mark.parametrize("original", ["https://b.example/t.csv", "no table", 7, {"a": 1}])
def test_what_submit_does_not_read_here_is_not_joined(original):
    results = BatchResults.from_columns({"outputs": ["a"]})
    with pytest.raises(SutroInputError) as caught:
        results.join(original)
    assert "no table" not in str(caught.value)


def test_ok_and_answers_can_be_read_again_and_again(results):
    ok, answers = results.ok, results.answers
    for _ in range(2):
        assert [type(one) for one in ok] == [FunctionResult] * 4
        assert [isinstance(one, SutroRowError) for one in answers] == [
            False,
            True,
            False,
            False,
            False,
        ]
    assert [one.row_index for one in results.errors] == [1]
    assert [str(one) for one in answers][3] == "plain"


async def test_results_are_iterated_on_an_event_loop(results):
    assert [str(one) async for one in results] == [str(one) for one in results]
