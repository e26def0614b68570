"""Kinds of tables: frames, Arrow streams, files, URLs."""

import datetime as dt
import decimal
import json
import pickle
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import BaseModel, RootModel

from langchain_sutro import RemoteTable
from langchain_sutro._core.rows import encode_row, open_table, split_rows, spool, spool_rows
from langchain_sutro._core.rows.tables import LocalTable
from langchain_sutro.errors import SutroConfigurationError, SutroInputError

DAY = dt.date(2026, 1, 2)
MOMENT = dt.datetime(2026, 1, 2, 3, 4, 5)  # noqa: DTZ001


def rows_of(data, **options) -> list:
    spooled = spool_rows(data, **options)
    rows = json.loads(b"".join(spooled.pieces()))
    assert len(rows) == spooled.count
    return rows


@pytest.fixture
def table() -> pa.Table:
    return pa.table(
        {
            "text": ["00123", None],
            "day": pa.array([DAY, None]),
            "moment": pa.array([MOMENT, None], pa.timestamp("ns")),
            "zoned": pa.array([MOMENT, None], pa.timestamp("us", "UTC")),
            "price": pa.array([decimal.Decimal("1.10"), None]),
            "kind": pa.array(["u", None]).dictionary_encode(),
            "list": [["a", None], None],
            "struct": [{"x": 1.5}, None],
            "whole": [2**62, None],
            "number": [float("nan"), 0.5],
            "flag": [True, None],
        }
    )


ROWS = [
    {
        "text": "00123",
        "day": "2026-01-02",
        "moment": "2026-01-02T03:04:05",
        "zoned": "2026-01-02T03:04:05+00:00",
        "price": "1.10",
        "kind": "u",
        "list": ["a", None],
        "struct": {"x": 1.5},
        "whole": 2**62,
        "number": None,
        "flag": True,
    },
    {
        "text": None,
        "day": None,
        "moment": None,
        "zoned": None,
        "price": None,
        "kind": None,
        "list": None,
        "struct": None,
        "whole": None,
        "number": 0.5,
        "flag": None,
    },
]


@pytest.mark.parametrize(
    "convert",
    [
        lambda table: table,
        lambda table: pa.RecordBatchReader.from_batches(table.schema, table.to_batches()),
        pl.from_arrow,
        lambda table: table.to_pandas(types_mapper=pd.ArrowDtype),
        lambda table: table.to_pandas().assign(whole=pd.array([2**62, None], "Int64")),
        lambda table: table.to_pandas().convert_dtypes(),
        lambda table: table.to_pandas(integer_object_nulls=True).astype(object),
        lambda table: table.to_pylist(),
    ],
    ids=["pyarrow", "reader", "polars", "arrow-pandas", "pandas", "nullable", "objects", "rows"],
)
def test_every_kind_of_frame_sends_the_same_rows(table, convert):
    assert rows_of(convert(table)) == ROWS
    parts = list(split_rows(convert(table), 1))
    assert [json.loads(b"".join(part.pieces())) for part in parts] == [[row] for row in ROWS]


def test_a_parquet_file_sends_the_same_rows(table, tmp_path):
    pq.write_table(table, tmp_path / "t.PARQUET")
    assert rows_of(tmp_path / "t.PARQUET") == ROWS
    assert rows_of(str(tmp_path / "t.PARQUET"), fields=["day", "text"]) == [
        {"day": row["day"], "text": row["text"]} for row in ROWS
    ]


def test_many_batches_and_row_groups_stay_in_order(tmp_path):
    rows = [{"id": index, "text": f"t{index}"} for index in range(50_000)]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "t.parquet", row_group_size=7_000)
    pd.DataFrame(rows).to_csv(tmp_path / "t.csv", index=False)
    texts = [{"id": str(row["id"]), "text": row["text"]} for row in rows]
    assert rows_of(tmp_path / "t.parquet") == rows
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spool, "_CHUNK_ROWS", 999)
        assert rows_of(pa.Table.from_pylist(rows)) == rows
    assert rows_of(pd.DataFrame(rows)) == rows
    assert rows_of(tmp_path / "t.csv") == texts


def test_nanoseconds_survive():
    moments = pa.array([1_767_323_045_000_000_001], pa.timestamp("ns"))
    expected = [{"at": "2026-01-02T03:04:05.000000001"}]
    assert rows_of(pa.table({"at": moments})) == expected
    assert rows_of(pa.table({"at": moments}).to_pandas()) == expected


def test_the_index_of_pandas_is_not_sent_and_categories_are_texts():
    frame = pd.DataFrame({"c": pd.Categorical(["x", None])}, index=["i", "j"])
    assert rows_of(frame) == [{"c": "x"}, {"c": None}]
    assert rows_of(frame[[]]) == [{}, {}]


@pytest.mark.parametrize("series", [pd.Series(["a", "b"]), pl.Series(["a", "b"])], ids=["pd", "pl"])
def test_a_column_of_texts_is_a_table_of_prompts(series):
    assert rows_of(series) == ["a", "b"]


@pytest.mark.parametrize(
    "data",
    [
        pa.table([pa.array([1]), pa.array([2])], names=["a", "a"]),
        pd.DataFrame([[1, 2]], columns=["a", "a"]),
    ],
    ids=["pyarrow", "pandas"],
)
def test_two_columns_of_one_name_are_an_error(data):
    with pytest.raises(SutroInputError, match="Two columns are named 'a'") as caught:
        spool_rows(data)
    assert caught.value.column == "a"


def test_a_column_name_that_is_no_text_is_an_error_that_says_which():
    with pytest.raises(SutroInputError, match="Column 1 is named 7"):
        spool_rows(pd.DataFrame({"a": [1], 7: [2]}))


def test_a_column_that_is_missing_is_named(table):
    for data in (table, table.to_pandas(), pl.from_arrow(table)):
        with pytest.raises(SutroInputError, match="no column 'nope'"):
            spool_rows(data, fields=["text", "nope"])


@pytest.mark.parametrize(
    ("data", "row", "column"),
    [
        (pa.table({"ok": [1, 2], "f": [1.0, float("inf")]}), 1, "f"),
        (pd.DataFrame({"f": [1.0, float("-inf")]}), 1, "f"),
        (pl.DataFrame({"f": [1.0, None, float("inf")]}), 2, "f"),
        (pa.table({"l": [[1.0], [float("inf")]]}), 1, "l"),
        (pa.table({"b": [None, b"\xff"]}), 1, "b"),
        (pd.DataFrame({"t": [pd.Timedelta(1, "ns")]}), 0, "t"),
        (pa.table({"m": pa.array([[(1, 1)]], pa.map_(pa.int64(), pa.int64()))}), None, "m"),
    ],
    ids=["arrow", "pandas", "polars", "nested", "bytes", "duration", "map"],
)
def test_a_cell_that_cannot_be_sent_is_named(data, row, column):
    with pytest.raises(SutroInputError) as caught:
        spool_rows(data)
    assert (caught.value.row_index, caught.value.column) == (row, column)


def csv(tmp_path: Path, content: str | bytes) -> Path:
    path = tmp_path / "leads.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("a,b\n00123,1.0\n", [{"a": "00123", "b": "1.0"}]),
        ("a,b\ntrue,2026-01-02\nNA,\n", [{"a": "true", "b": "2026-01-02"}, {"a": "NA", "b": ""}]),
        ("\ufeffa,b\r\n1,2\r\n", [{"a": "1", "b": "2"}]),
        ('a,b\n"x\ny","say ""hi"", you"\n', [{"a": "x\ny", "b": 'say "hi", you'}]),
        ("a,b\n\n1,2\n\n", [{"a": "1", "b": "2"}]),
        ("a,b\n", []),
        ("a\nü\n", [{"a": "ü"}]),
    ],
    ids=["zeros", "types", "bom", "quotes", "blank-lines", "header-only", "utf-8"],
)
def test_csv_cells_stay_text(tmp_path, content, expected):
    assert rows_of(csv(tmp_path, content)) == expected


def test_csv_cells_may_be_long(tmp_path):
    content = "a,b\n" + "1,2\n" * 100_000 + f"{'x' * 500_000},3\n4,5\n{'y' * 9_000_000},6\n"
    rows = rows_of(csv(tmp_path, content))
    assert len(rows) == 100_003
    assert [row["b"] for row in rows[-4:]] == ["2", "3", "5", "6"]
    assert rows[-1]["a"] == "y" * 9_000_000


@pytest.mark.parametrize(
    ("content", "message", "row"),
    [
        ("a,b\n1,2\n3,4,hunter2\n", "line 3: the record has 3 cells instead of 2", 1),
        ("a,b\n1\n", "line 2: the record has 1 cells instead of 2", 0),
        ("a,b\n" + "1,2\n" * 120_000 + "hunter2\n", "line 120002: the record has 1 cells", 120_000),
        ("a,a\n1,2\n", "Two columns are named 'a'", None),
        ("", "is empty", None),
        (b"a\n\xffhunter2\n", "line 2: not valid UTF-8", 0),
    ],
    ids=["more", "fewer", "late", "twice", "empty", "latin"],
)
def test_a_broken_csv_file_is_an_error_that_says_where_and_quotes_nothing(
    tmp_path, content, message, row
):
    with pytest.raises(SutroInputError, match=message) as caught:
        spool_rows(csv(tmp_path, content))
    assert caught.value.row_index == row
    assert "hunter2" not in str(caught.value)


def test_a_directory_of_parquet_is_one_table_by_name(tmp_path):
    for folder, name, rows in (("day=2", "b", [3]), ("day=1", "z", [2]), ("day=1", "a", [1])):
        (tmp_path / folder).mkdir(exist_ok=True)
        pq.write_table(pa.table({"n": rows}), tmp_path / folder / f"{name}.parquet")
    (tmp_path / "_SUCCESS").write_text("")
    (tmp_path / ".crc.parquet").write_text("x")
    assert rows_of(tmp_path) == [
        {"n": 1, "day": "1"},
        {"n": 2, "day": "1"},
        {"n": 3, "day": "2"},
    ]
    assert rows_of(str(tmp_path), fields=["n"]) == [{"n": 1}, {"n": 2}, {"n": 3}]


def test_a_directory_without_or_with_other_files_is_an_error(tmp_path):
    with pytest.raises(SutroInputError, match="no Parquet files"):
        spool_rows(tmp_path)
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(SutroInputError, match=r"notes\.txt is not a Parquet file"):
        spool_rows(tmp_path)


def test_a_file_that_is_missing_or_of_another_kind_is_an_error(tmp_path):
    with pytest.raises(SutroInputError, match=r"no file 'gone\.csv'"):
        open_table(tmp_path / "gone.csv")
    (tmp_path / "t.xlsx").write_text("x")
    with pytest.raises(SutroInputError, match=r"'t\.xlsx' is not a table"):
        open_table(tmp_path / "t.xlsx")
    (tmp_path / "t.parquet").write_text("x")
    with pytest.raises(SutroInputError, match="not a Parquet file"):
        spool_rows(tmp_path / "t.parquet")


@pytest.mark.parametrize(
    "data",
    ["a secret prompt", {"a": 1}, {"x", "y"}, b"bytes", 5, None, pa.array([1])],
    ids=lambda data: type(data).__name__,
)
def test_what_is_no_table_is_an_error_that_does_not_repeat_it(data):
    with pytest.raises(SutroInputError) as caught:
        spool_rows(data)
    assert "secret" not in str(caught.value)


def test_a_table_that_was_opened_is_taken_as_it_is(table):
    opened = open_table(table)
    assert isinstance(opened, LocalTable)
    assert open_table(opened) is opened
    assert repr(opened) == "LocalTable()"
    assert rows_of(opened) == ROWS


@pytest.mark.parametrize(
    "url",
    [
        "https://files.example/leads.csv?X-Signature=hunter2",
        "https://files.example/leads.csv#hunter2",
        "http://127.0.0.1:8000/leads.csv?s=hunter2",
        "http://localhost/leads.csv?s=hunter2",
        "http://[::1]/leads.csv?s=hunter2",
    ],
)
def test_a_url_is_kept_for_the_body_and_its_query_for_nothing_else(url):
    remote = open_table(url)
    assert isinstance(remote, RemoteTable)
    assert remote.url == url
    assert remote.location == url.replace("#", "?").partition("?")[0]
    assert "hunter2" not in f"{remote} {remote!r}"
    assert open_table(remote) is remote
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(remote)
    with pytest.raises(SutroInputError, match="fetched by the service") as caught:
        spool_rows(remote)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "http://files.example/t.csv?s=hunter2",
        "http://127.0.0.1.example/t.csv?s=hunter2",
        "https://user:hunter2@files.example/t.csv",
        "https:///t.csv?s=hunter2",
        "https://files..example/t.csv?s=hunter2",
        "https://./t.csv?s=hunter2",
        f"https://{'a' * 64}.example/t.csv?s=hunter2",
        "https://files.example:port/t.csv?s=hunter2",
        "https://files.example/a b.csv?s=hunter2",
    ],
)
def test_a_url_that_is_not_safe_to_hand_out_is_an_error_without_its_query(url):
    with pytest.raises(SutroInputError, match="URL") as caught:
        open_table(url)
    assert "hunter2" not in str(caught.value)


def test_a_table_in_s3_is_signed_here(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIATEST")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    # fsspec keeps what it connected to before.
    pytest.importorskip("s3fs").S3FileSystem.clear_instance_cache()
    remote = open_table("s3://bucket/dir/leads.parquet")
    assert isinstance(remote, RemoteTable)
    assert remote.location.startswith("https://")
    assert remote.location.endswith("/dir/leads.parquet")
    assert "X-Amz-Expires=21600" in remote.url
    assert "Signature" not in repr(remote)


def test_a_store_whose_extra_is_missing_is_an_error_that_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    with pytest.raises(SutroConfigurationError, match=r"langchain-sutro\[gcs\]"):
        open_table("gs://bucket/leads.csv")
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    with pytest.raises(SutroConfigurationError, match=r"langchain-sutro\[s3\]"):
        open_table("s3://bucket/leads.csv")


def test_importing_rows_and_sending_a_list_loads_no_table_library():
    code = (
        "import sys\n"
        "from langchain_sutro._core.results import batch, payload\n"
        "from langchain_sutro._core.rows import spool_rows\nspool_rows([{'a': 1.5, 'b': None}])\n"
        "found = {'pandas', 'pyarrow', 'polars', 'numpy'} & sys.modules.keys()\n"
        "sys.exit(str(found) if found else 0)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_libraries_that_another_thread_is_just_loading_disturb_nothing(monkeypatch):
    for name in ("pandas", "numpy", "polars"):
        # As far as an import has come that has only begun.
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    assert spool_rows([{"a": decimal.Decimal("1.5")}]).head() == [{"a": "1.5"}]
    with pytest.raises(SutroInputError, match="has no JSON form"):
        spool_rows([{"a": object()}])
    with pytest.raises(SutroInputError):
        open_table(object())


@pytest.mark.parametrize("value", [float("inf"), [1.0, float("-inf")], {"x": float("inf")}])
def test_an_infinity_in_a_field_of_any_type_is_refused_and_not_sent_as_null(value):
    class Row(BaseModel):
        anything: Any

    with pytest.raises(SutroInputError, match="infinity has no JSON form"):
        encode_row(Row(anything=value))
    assert encode_row(Row(anything=float("nan"))) == {"anything": None}


class Numbers(RootModel[list[int]]):
    """A model whose JSON is no object."""


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ([{"a": 10**5000}], "Row 0, column 'a': an integer with thousands of digits is not sent."),
        ([{"a": [{"b": -(10**5000)}]}], "Row 0, column 'a': an integer with thousands of digits"),
        ([Numbers([1])], "Row 0: a row must be a dict, a pydantic model or a string"),
        (np.array("a"), "A value of type numpy.ndarray is not a table"),
        ([{"a": np.clongdouble(1)}], "Row 0, column 'a': a value of type numpy.clongdouble"),
        ([{"a": np.longdouble("inf")}], "Row 0, column 'a': an infinity has no JSON form"),
        *(
            (
                pa.table(
                    {
                        "v": pa.DictionaryArray.from_arrays(
                            pa.array([0, index], pa.int8()), pa.array(["a"]), safe=False
                        )
                    }
                ),
                "Row 1, column 'v': a value of type dictionary",
            )
            for index in (5, -1)
        ),
    ],
)
def test_odd_values_are_refused_in_words(table, problem):
    with pytest.raises(SutroInputError) as refused:
        rows_of(table)
    assert str(refused.value).startswith(problem)


def test_wide_floats_of_numpy_are_sent():
    row = {"a": np.longdouble(1.5), "b": np.array([0.5], np.longdouble)}
    assert encode_row(row) == {"a": 1.5, "b": [0.5]}
