"""Parquet files, alone and as a directory: every column and row of every file, or an error."""

import datetime as dt
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from langchain_sutro._core.rows import spool_rows
from langchain_sutro.errors import SutroInputError
from tests.support.spooled import rows_of


def write(folder: Path, **tables: pa.Table) -> Path:
    for name, table in tables.items():
        pq.write_table(table, folder / f"{name}.parquet")
    return folder


def test_a_directory_has_the_columns_of_all_files(tmp_path):
    write(
        tmp_path,
        a=pa.table({"query": ["x"]}),
        b=pa.table({"region": ["APAC"], "query": ["y"]}),
        c=pa.table({"extra": [1]}),
    )
    assert rows_of(tmp_path) == [
        {"query": "x", "region": None, "extra": None},
        {"query": "y", "region": "APAC", "extra": None},
        {"query": None, "region": None, "extra": 1},
    ]
    assert rows_of(tmp_path, fields=["region"]) == [{"region": one} for one in (None, "APAC", None)]


def test_new_fields_of_objects_are_not_dropped(tmp_path):
    write(
        tmp_path,
        a=pa.table({"s": [{"x": 1, "deep": [{"p": 1}]}, None], "l": [[{"x": 1}], []]}),
        b=pa.table({"s": [{"y": "q", "deep": [{"r": 2}]}], "l": [[{"y": 2}, None]]}),
    )
    assert rows_of(tmp_path) == [
        {
            "s": {"x": 1, "deep": [{"p": 1, "r": None}], "y": None},
            "l": [{"x": 1, "y": None}],
        },
        {"s": None, "l": []},
        {
            "s": {"x": None, "deep": [{"p": None, "r": 2}], "y": "q"},
            "l": [{"x": None, "y": 2}, None],
        },
    ]


MOMENT = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("one", "other", "sent"),
    [
        (pa.array([1], pa.int8()), pa.array([2**60]), [1, 2**60]),
        (pa.array([1]), pa.array([1.5]), [1, 1.5]),
        (pa.array([None], pa.null()), pa.array([[1]]), [None, [1]]),
        (pa.array(["a"]), pa.array(["b"]).dictionary_encode(), ["a", "b"]),
        (pa.array(["a"], pa.large_string()), pa.array(["b"]), ["a", "b"]),
        (
            pa.array([MOMENT], pa.timestamp("ns", "UTC")),
            pa.array([MOMENT], pa.timestamp("ms", "Asia/Tokyo")),
            ["2026-01-02T03:04:05+00:00", "2026-01-02T12:04:05+09:00"],
        ),
        (pa.array([[1]]), pa.array([[2]], pa.large_list(pa.int16())), [[1], [2]]),
    ],
)
def test_types_that_lose_nothing_are_one_column(tmp_path, one, other, sent):
    write(tmp_path, a=pa.table({"c": one}), b=pa.table({"c": other}))
    assert [row["c"] for row in rows_of(tmp_path)] == sent


@pytest.mark.parametrize(
    ("one", "other", "said"),
    [
        (pa.array([123]), pa.array(["00123"]), "number and string"),
        (pa.array([MOMENT]), pa.array([dt.date(2026, 1, 2)]), "time with a zone and date"),
        (pa.array([MOMENT]), pa.array([MOMENT], pa.timestamp("us")), "time without a zone"),
        (pa.array([True]), pa.array([1]), "boolean and number"),
        (pa.array([[1]]), pa.array([["a"]]), "number and string"),
        (pa.array([{"x": 1}]), pa.array([{"x": "a"}]), "number and string"),
        (pa.array([{"x": 1}]), pa.array([{"X": 1}]), "struct with 'x' and struct with 'X'"),
    ],
)
def test_types_that_differ_are_an_error_that_names_file_and_column(tmp_path, one, other, said):
    write(tmp_path, a=pa.table({"c": one}), b=pa.table({"c": other}))
    with pytest.raises(
        SutroInputError, match=rf"'c' .*{said}.* in a\.parquet and b\.parquet"
    ) as found:
        spool_rows(tmp_path)
    assert found.value.column == "c"
    assert str(tmp_path) not in str(found.value)


def test_a_column_in_another_case_is_an_error(tmp_path):
    write(tmp_path, a=pa.table({"query": ["x"]}), b=pa.table({"Query": ["y"]}))
    with pytest.raises(SutroInputError, match=r"'Query' of b\.parquet is 'query' in a\.parquet"):
        spool_rows(tmp_path)
    both = pa.table({"query": ["x"], "Query": ["y"]})
    assert rows_of(write(tmp_path, a=both, b=both)) == [{"query": "x", "Query": "y"}] * 2


def test_values_of_directories_stay_text(tmp_path):
    for folder in (
        "zip=00123",
        "zip=007",
        "zip=abc",
        "zip=a%20b",
        "zip=__HIVE_DEFAULT_PARTITION__",
    ):
        (tmp_path / folder).mkdir()
        write(tmp_path / folder, a=pa.table({"n": [1]}))
    found = [row["zip"] for row in rows_of(tmp_path)]
    assert found == ["00123", "007", None, "a b", "abc"]
    (tmp_path / "stray.parquet").write_bytes((tmp_path / "zip=007/a.parquet").read_bytes())
    with pytest.raises(SutroInputError, match=r"not below the same key=value directories"):
        spool_rows(tmp_path)


def test_a_column_in_the_file_stands_before_one_of_its_directory(tmp_path):
    (tmp_path / "day=1").mkdir()
    write(tmp_path / "day=1", a=pa.table({"day": [1], "n": [2]}))
    assert rows_of(tmp_path) == [{"day": 1, "n": 2}]


@pytest.mark.parametrize(("folder", "kind"), [("_delta_log", "Delta Lake"), (".hoodie", "Hudi")])
def test_a_table_whose_log_says_which_files_count_is_refused(tmp_path, folder, kind):
    write(tmp_path, a=pa.table({"n": [1]}))
    (tmp_path / folder).mkdir()
    with pytest.raises(SutroInputError, match=f"is a {kind} table"):
        spool_rows(tmp_path)


def test_a_link_in_a_circle_is_an_error(tmp_path):
    write(tmp_path, a=pa.table({"n": [1]}))
    (tmp_path / "again").symlink_to(tmp_path)
    with pytest.raises(SutroInputError, match="a link to a directory above it"):
        spool_rows(tmp_path)


def test_a_file_that_is_changed_meanwhile_is_an_error(tmp_path, monkeypatch):
    from langchain_sutro._core.rows import parquet_directory

    write(tmp_path, a=pa.table({"n": list(range(10))}), b=pa.table({"n": [1]}))
    batches = parquet_directory.parquet_batches

    def changing(*args):
        write(tmp_path, b=pa.table({"n": ["x"]}))
        return batches(*args)

    monkeypatch.setattr(parquet_directory, "parquet_batches", changing)
    with pytest.raises(SutroInputError, match=r"b\.parquet was changed"):
        spool_rows(tmp_path)


def test_an_index_of_pandas_is_sent_only_if_it_is_chosen(tmp_path):
    table = pa.table({"n": [1, 2], "__index_level_0__": ["i", "j"]})
    path = write(tmp_path, a=table) / "a.parquet"
    for data in (path, tmp_path, table):
        assert rows_of(data) == [{"n": 1}, {"n": 2}]
    chosen = {"n": "n", "name": "__index_level_0__"}
    assert rows_of(path, fields=chosen)[0] == {"n": 1, "name": "i"}


def damaged(path: Path, how: str) -> None:
    good = path.read_bytes()
    middle = len(good) // 3
    path.write_bytes(
        {
            "cut": good[:middle],
            "empty": b"",
            "flipped": good[:middle] + bytes(byte ^ 255 for byte in good[middle : middle + 64])
            + good[middle + 64 :],
        }[how]
    )  # fmt: skip


@pytest.mark.parametrize("how", ["cut", "empty", "flipped"])
@pytest.mark.parametrize("alone", [True, False])
def test_a_damaged_file_is_an_error_that_names_it(tmp_path, how, alone):
    table = pa.table({"n": [f"secret {index}" for index in range(50_000)]})
    pq.write_table(table, tmp_path / "b.parquet", write_page_checksum=True)
    write(tmp_path, a=table)
    damaged(tmp_path / "b.parquet", how)
    with pytest.raises(SutroInputError, match=r"b\.parquet") as caught:
        spool_rows(tmp_path / "b.parquet" if alone else tmp_path)
    assert "secret" not in str(caught.value)
    assert str(tmp_path) not in str(caught.value)


def invalid_text() -> pa.Array:
    good = pa.array(["a", "hunter2", "b"])
    data = pa.py_buffer(good.buffers()[2].to_pybytes().replace(b"hunter2", b"hunter\xff"))
    return pa.Array.from_buffers(pa.string(), 3, [None, good.buffers()[1], data])


@pytest.mark.parametrize(
    ("column", "row", "said"),
    [
        (invalid_text(), 1, "not valid UTF-8"),
        (pa.DictionaryArray.from_arrays(pa.array([0, 2, 1]), invalid_text()), None,
         "UTF-8|from row 0 on"),
        (pa.array([1, None, 2], pa.timestamp("us", "Mars/Phobos")), 0, "'Mars/Phobos' is unknown"),
        (pa.array([None, 2**50, 1], pa.timestamp("s")), 1, "cannot be represented"),
        (pa.array([[("k", 1)], [("k", 1), ("k", 2)], None], pa.map_(pa.string(), pa.int64())), 1,
         "a map has one key twice"),
    ],
    ids=["text", "dictionary", "zone", "year", "map"],
)  # fmt: skip
@pytest.mark.parametrize("where", ["memory", "file", "directory"])
def test_a_value_that_cannot_be_read_is_named(tmp_path, column, row, said, where):
    table = pa.table({"ok": [1, 2, 3], "c": column})
    data = table
    if where != "memory":
        write(tmp_path, a=table)
        data = tmp_path / "a.parquet" if where == "file" else tmp_path
    with pytest.raises(SutroInputError, match=said) as caught:
        spool_rows(data)
    if row is not None:
        assert (caught.value.row_index, caught.value.column) == (row, "c")
    assert "hunter" not in str(caught.value)


def test_a_stream_that_breaks_off_is_an_error():
    batch = pa.record_batch({"n": [1, 2]})

    def batches():
        yield batch
        raise pa.ArrowInvalid("cell hunter2 is broken")

    reader = pa.RecordBatchReader.from_batches(batch.schema, batches())
    with pytest.raises(SutroInputError, match="cannot be read from row 2 on") as caught:
        spool_rows(reader)
    assert "hunter2" not in str(caught.value)
