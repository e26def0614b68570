"""JSON Lines, open files and lazy frames, and what is not a table."""

import gzip
import io
import json
import lzma
import tempfile

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from langchain_sutro._core.rows import json_lines, open_table, spool_rows, tables
from langchain_sutro.errors import SutroInputError
from tests.support.spooled import rows_of

LEADS = [{"query": "300 seats", "region": "APAC"}, {"query": "ü\r\n😀", "region": None}]
LINES = "\n".join(json.dumps(row, ensure_ascii=False) for row in LEADS)
CSV = 'query,region\n300 seats,APAC\n"ü\r\n😀",\n'
CELLS = [LEADS[0], {"query": "ü\r\n😀", "region": ""}]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("leads.jsonl", LINES.encode()),
        ("leads.NDJSON", f"\ufeff\n{LINES}\r\n \n".encode()),
        ("leads.jsonl.gz", gzip.compress(LINES.encode(), mtime=0)),
        ("leads.ndjson.zst", zstandard.compress(LINES.encode())),
    ],
)
def test_json_lines_are_rows(tmp_path, monkeypatch, name, content):
    (tmp_path / name).write_bytes(content)
    for size in (1, 7, 1 << 18):
        monkeypatch.setattr(json_lines, "_BLOCK_BYTES", size)
        assert rows_of(tmp_path / name) == LEADS
    assert rows_of(tmp_path / name, fields={"q": "query"}) == [{"q": row["query"]} for row in LEADS]


def test_numbers_of_json_lines_stay_exact(tmp_path):
    rows = [{"n": 2**70, "m": [-(2**64)], "f": 1.5}, {"n": 12345678901234567890123}]
    (tmp_path / "n.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert rows_of(tmp_path / "n.jsonl") == rows


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"a": 1}\n\n{"a": hunter2}\n', "line 3: not valid JSON"),
        (b'{"a": 1}\n{"a": "hunter2', "line 2: not valid JSON"),
        (b'{"a": NaN}', "line 1: not valid JSON"),
        (b'{"a": 12345678901234567890, "b": Infinity}', "line 1: not valid JSON"),
        (b'{"a": "\xff"}', "line 1: not valid UTF-8"),
        (b'[\n{"a": 1}\n]', "line 1: not valid JSON"),
        (b'{"a": 1}\n[2]', r"^Row 1: a row must be a dict"),
        (b'{"a": 1}\n"x"', r"^Row 1: strings and objects"),
        (b"[" * 100_000, "line 1: not valid JSON"),
        (b'{"a": ' + b"[" * 500 + b"]" * 500 + b"}", "Row 0, column 'a': .*nested too deeply"),
    ],
)
def test_a_line_that_is_not_a_row_is_named(tmp_path, content, said):
    (tmp_path / "leads.jsonl").write_bytes(content)
    with pytest.raises(SutroInputError, match=said) as caught:
        spool_rows(tmp_path / "leads.jsonl")
    assert "hunter2" not in str(caught.value)


def test_an_open_file_is_read_as_what_it_is(tmp_path):
    table = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(LEADS), table)
    (tmp_path / "leads.csv").write_text(CSV, newline="")
    (tmp_path / "leads.csv.gz").write_bytes(gzip.compress(CSV.encode(), mtime=0))
    (tmp_path / "leads.tsv").write_text(CSV.replace(",", "\t"), newline="")
    for data, rows in (
        (io.StringIO(CSV, newline=""), CELLS),
        (io.BytesIO(CSV.encode()), CELLS),
        (io.BytesIO(gzip.compress(CSV.encode(), mtime=0)), CELLS),
        (io.BytesIO(zstandard.compress(LINES.encode())), LEADS),
        (io.StringIO(LINES), LEADS),
        (io.BytesIO(LINES.encode()), LEADS),
        (io.BytesIO(table.getvalue()), LEADS),
        ((tmp_path / "leads.csv").open(newline="", encoding="utf-8"), CELLS),
        ((tmp_path / "leads.csv").open("rb"), CELLS),
        ((tmp_path / "leads.csv.gz").open("rb"), CELLS),
        (gzip.GzipFile(tmp_path / "leads.csv.gz"), CELLS),
        ((tmp_path / "leads.tsv").open("rb"), CELLS),
    ):
        assert rows_of(data) == rows, data
        assert not data.closed
        data.close()


def test_an_open_file_is_read_from_where_it_stands(tmp_path):
    file = io.StringIO(f"# exported today\n{CSV}", newline="")
    file.readline()
    assert rows_of(file) == CELLS
    with tempfile.TemporaryFile() as temporary:
        pq.write_table(pa.Table.from_pylist(LEADS), temporary)
        temporary.seek(0)
        assert rows_of(temporary) == LEADS


class Broken(io.BytesIO):
    """A file whose library has errors of its own."""

    def read(self, size=-1):
        raise LookupError("hunter2")


def test_an_open_file_that_cannot_be_read_says_why(tmp_path):
    closed = io.StringIO(CSV)
    closed.close()
    with (
        (tmp_path / "written.csv").open("w") as written,
        lzma.LZMAFile(io.BytesIO(b"no archive")) as no_archive,
    ):
        for file, reason in (
            (closed, "it is closed"),
            (written, "it is not open for reading"),
            (Broken(b"a"), "its read method raised LookupError"),
            (no_archive, "its read method raised LZMAError"),
        ):
            with pytest.raises(SutroInputError, match=f"cannot be read: {reason}.$"):
                spool_rows(file)


def test_an_open_file_of_another_kind_is_refused(tmp_path):
    (tmp_path / "prompts.txt").write_text("one\ntwo\n")
    with (
        (tmp_path / "prompts.txt").open() as file,
        pytest.raises(SutroInputError, match="pass a list of the lines"),
    ):
        open_table(file)
    (tmp_path / "t.parquet").write_text("x")
    with (
        (tmp_path / "t.parquet").open(encoding="latin-1") as file,
        pytest.raises(SutroInputError, match="must be opened in binary mode"),
    ):
        spool_rows(file)
    (tmp_path / "latin.csv").write_bytes("a\nü\n".encode("latin-1"))
    with (
        (tmp_path / "latin.csv").open(encoding="utf-8") as file,
        pytest.raises(SutroInputError, match="open it with the encoding in which it was saved"),
    ):
        spool_rows(file)
    with (tmp_path / "latin.csv").open(encoding="latin-1") as file:
        assert rows_of(file) == [{"a": "ü"}]


@pytest.mark.parametrize("batches", [True, False])
def test_a_lazy_frame_is_collected(monkeypatch, batches):
    frame = pl.DataFrame({"n": list(range(50_000)), "text": ["x"] * 50_000})
    lazy = frame.lazy().filter(pl.col("n") % 2 == 0)
    if not batches:
        monkeypatch.delattr(pl.LazyFrame, "collect_batches", raising=False)
    expected = [{"n": n, "text": "x"} for n in range(0, 50_000, 2)]
    assert rows_of(lazy) == expected
    assert rows_of(lazy, fields={"id": "n"}) == [{"id": row["n"]} for row in expected]
    with pytest.raises(SutroInputError, match="no column 'nope'"):
        spool_rows(lazy, fields=["nope"])


def test_columns_of_a_lazy_frame_may_have_any_name():
    rows = [{"*": 1, "^a.*$": 2, "a": 3}]
    assert rows_of(pl.LazyFrame(rows)) == rows
    assert rows_of(pl.LazyFrame(rows), fields=["*"]) == [{"*": 1}]


def test_a_lazy_frame_that_cannot_be_collected_is_an_error(tmp_path):
    (tmp_path / "bad.csv").write_text("a\n1\nhunter2\n")
    for lazy in (
        pl.scan_csv(tmp_path / "bad.csv", schema={"a": pl.Int64}),
        pl.scan_csv(tmp_path / "gone.csv"),
        pl.LazyFrame({"a": [1]}).select("b"),
    ):
        with pytest.raises(SutroInputError, match="cannot be collected") as caught:
            spool_rows(lazy)
        assert "hunter2" not in str(caught.value)
        assert str(tmp_path) not in str(caught.value)


@pytest.mark.parametrize("kind", ["Int128", "UInt128", "Object", "List", "Struct"])
@pytest.mark.parametrize("lazy", [True, False])
def test_types_that_only_polars_has_are_refused_by_name(kind, lazy):
    if kind == "Object":
        frame = pl.DataFrame({"ok": [1], "c": [object()]}, schema={"ok": pl.Int64, "c": pl.Object})
    else:
        wide = getattr(pl, "Int128", None)
        if wide is None:
            pytest.skip("this polars has no Int128")
        kinds = {"List": pl.List(wide), "Struct": pl.Struct({"x": wide}), "Int128": wide}
        chosen = kinds.get(kind) or getattr(pl, kind)
        value = {"List": [1], "Struct": {"x": 1}}.get(kind, 1)
        frame = pl.DataFrame({"ok": [1], "c": [value]}, schema={"ok": pl.Int64, "c": chosen})
    data = frame.lazy() if lazy else frame
    with pytest.raises(
        SutroInputError, match=r"'c' has the polars type (U?Int128|Object)"
    ) as found:
        spool_rows(data)
    assert found.value.column == "c"


async def asynchronous():
    yield {"a": 1}


SAID = {
    "dataset-6f1c": "Dataset ids of the service are not taken",
    "": "A string is a table only if",
    "please judge this secret": "put a single prompt into a list",
    "file:///home/secret/leads.csv": "is named by its path, without file://",
    "ftp://host/leads.csv?secret": "must begin with https://, s3://, gs:// or az://",
    "missing/leads.parquet": r"There is no file 'leads\.parquet'",
    "leads.csv.gz": r"There is no file 'leads\.csv\.gz'",
    "x" * 5000 + ".csv": "A string is a table only if",
}


@pytest.mark.parametrize(
    ("data", "said"),
    [
        *SAID.items(),
        ({"a": 1}, "put a single row into a list"),
        ({"x"}, "it has no order"),
        (b"a,b", "put those of a file into io.BytesIO"),
        (asynchronous(), "An asynchronous iterable"),
        (None, "type NoneType is not a table"),
        (5, "type int is not a table"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_not_a_table_is_refused_in_its_own_words(data, said):
    with pytest.raises(SutroInputError, match=said) as caught:
        spool_rows(data)
    assert "secret" not in str(caught.value)
    assert len(str(caught.value)) < 200


def test_a_file_of_another_kind_is_refused(tmp_path):
    (tmp_path / "t.xlsx").write_text("x")
    with pytest.raises(SutroInputError, match=r"'t\.xlsx' is not a table: a file must be \.csv"):
        open_table(tmp_path / "t.xlsx")
    assert "parquet" in tables.open_table.__doc__


def test_series_stay_lists_of_prompts():
    assert rows_of(pd.Series(["a", "b"])) == ["a", "b"]
    assert rows_of(pl.Series(["a", "b"])) == ["a", "b"]
