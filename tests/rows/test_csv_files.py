"""CSV and TSV files: every cell byte for byte, and an error for whatever is not valid."""

import csv
import gzip
import io
from pathlib import Path

import pandas as pd
import pytest
import zstandard
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from langchain_sutro._core.rows import csv_files, spool_rows
from langchain_sutro.errors import SutroInputError
from tests.support.spooled import rows_of

SECRET = "hunter2"


def file(folder: Path, content: str | bytes, name: str = "leads.csv") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize(
    ("content", "line", "said"),
    [
        ('a,b\n1,"open\n2,x\n3,y\n', 2, "a quote is not closed"),
        ('a,b\n1,2\n"open,x\n3,y\n4,z\n', 3, "a quote is not closed"),
        ('a,b\n1,"x"\n2,"open\n3,"y"\n4,"z"\n', 3, "goes on after its closing quote"),
        ('a,b\n1,"x" y\n', 2, "goes on after its closing quote"),
        ('a,b\n1,5" disk\n2,"open\n', 3, "a quote is not closed"),
        ('a,"b\n1,2\n', 1, "a quote is not closed"),
        ('a,b\r\n1,2\r\n3,"open\r\n', 3, "a quote is not closed"),
    ],
)
def test_a_quote_that_is_not_sound_is_an_error_that_names_the_line(tmp_path, content, line, said):
    content = content.replace("x", SECRET)
    for filler in ("", "1,2\n" * 100_000):
        head, _, rest = content.partition("\n")
        late = line + filler.count("\n") if line > 1 else line
        whole = f"{head}\n{filler}{rest}" if line > 1 else content
        with pytest.raises(SutroInputError, match=rf"^leads\.csv, line {late}: .*{said}") as caught:
            spool_rows(file(tmp_path, whole))
        assert SECRET not in str(caught.value)
        assert str(tmp_path) not in str(caught.value)


def test_a_very_long_cell_whose_quote_is_not_closed_ends_early(tmp_path, monkeypatch):
    monkeypatch.setattr(csv_files, "_LONGEST_RECORD", 1 << 20)
    path = file(tmp_path, 'a,b\n1,2\n3,"open' + "x,y\n" * 1_000_000)
    with pytest.raises(SutroInputError, match=r"line 3: a record is longer than 1,048,576 bytes"):
        spool_rows(path)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_text_arrives_byte_for_byte_at_every_edge_of_a_block(tmp_path, monkeypatch, end):
    rows = [
        {"a": "x\r\ny", "b": 'say ""\r\n""'},
        {"a": "\r\n\r\n", "b": "\n\r"},
        {"a": "ü€😀", "b": '5" disk'},
        {"a": "", "b": "\r"},
    ]
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, ["a", "b"], lineterminator=end, quoting=csv.QUOTE_ALL)
    writer.writeheader()
    writer.writerows(rows)
    path = file(tmp_path, out.getvalue().replace('"5"" disk"', '5" disk'))
    for size in range(1, len(path.read_bytes()) + 1):
        monkeypatch.setattr(csv_files, "_BLOCK_BYTES", size)
        assert rows_of(path) == rows, size


def test_a_byte_order_mark_in_a_cell_stays_at_every_edge_of_a_block(tmp_path, monkeypatch):
    mark = "\ufeff"
    path = file(tmp_path, f"{mark}{mark}a,b\n" + f"{mark}1,{mark}\n" * 20)
    for size in (1, 7, 10, 1000):
        monkeypatch.setattr(csv_files, "_BLOCK_BYTES", size)
        assert rows_of(path) == [{f"{mark}a": f"{mark}1", "b": mark}] * 20


def test_a_large_export_keeps_every_line_feed(tmp_path):
    rows = [{"id": str(index), "text": "x" * (index % 300) + "\r\ny"} for index in range(20_000)]
    frame = pd.DataFrame(rows)
    frame.to_csv(tmp_path / "large.csv", index=False, lineterminator="\r\n")
    assert rows_of(tmp_path / "large.csv") == rows


MARKS = st.sampled_from(['"', ",", "\n", "\r", "\r\n", "a", "ü", '""', ' "', "x\ny", ";"])


@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(MARKS, max_size=30).map("".join), st.integers(1, 12))
@example('"a"\n"', 3)
@example('1\n""x\n', 4)
def test_a_file_is_read_as_pythons_strict_reader_does_or_refused(tmp_path, body, size):
    content = f"h1,h2\n{body}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_files, "_BLOCK_BYTES", size)
        try:
            rows = rows_of(file(tmp_path, content))
        except SutroInputError:
            rows = None
    try:
        # An empty record is a blank line.
        records = [one for one in csv.reader(io.StringIO(content, newline=""), strict=True) if one]
    except csv.Error:
        records = None
    if records is not None and all(len(one) == 2 for one in records):
        assert rows == [dict(zip(("h1", "h2"), one, strict=True)) for one in records[1:]]
    else:
        assert rows is None


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("a,b\nü,2\n".encode("utf-16"), "is UTF-16: save it as UTF-8"),
        ("a,b\nü,2\n".encode("utf-16-le"), "not text in UTF-8: it has zero bytes"),
        ("a,b\nü,2\n".encode("utf-16-be"), "not text in UTF-8: it has zero bytes"),
        ("ä,b\n1,2\n".encode("latin-1"), "line 1: not valid UTF-8"),
        ("a,b\n1,2\nü,3\n".encode("latin-1"), "line 3: not valid UTF-8"),
        (gzip.compress(b"a,b\n1,2\n", mtime=0), r"compressed with gzip: give it the ending \.gz"),
        (zstandard.compress(b"a,b\n1,2\n"), r"Zstandard: give it the ending \.zst"),
        (b"PK\x03\x04rest", "an Excel workbook"),
        (b"PAR1rest", r"a Parquet file: give it the ending \.parquet"),
        ("a;b\n1;2\n", "the header has no commas but semicolons"),
        ("a\tb\n1\t2\n", "the header has no commas but tabs"),
        ('{"a": 1, "b": 2}\n{"a": 3, "b": 4}\n', "the header is JSON"),
        ('[{"a": 1, "b": 2},\n{"a": 3, "b": 4}]\n', "the header is a JSON array"),
        ('[\n  {"a": 1}\n]\n', "the header is a JSON array"),
        ("<!DOCTYPE html>\n<p>Sign in</p>\n", "is HTML or XML and not CSV"),
        ("<html>\n<p>Sign in</p>\n", "is HTML or XML and not CSV"),
        ('<?xml version="1.0"?>\n<Error/>\n', "is HTML or XML and not CSV"),
        ("", "is empty"),
        ("\n\r\n\n", "is empty"),
    ],
)
def test_a_file_that_is_something_else_is_said_to_be_it(tmp_path, content, said):
    with pytest.raises(SutroInputError, match=said) as caught:
        spool_rows(file(tmp_path, content))
    assert str(tmp_path) not in str(caught.value)


def test_names_of_columns_may_be_in_brackets(tmp_path):
    assert rows_of(file(tmp_path, "[a],[b]\n1,2\n")) == [{"[a]": "1", "[b]": "2"}]


def test_a_single_column_may_have_any_name_in_quotes(tmp_path):
    assert rows_of(file(tmp_path, '"a;b"\nx;y\n')) == [{"a;b": "x;y"}]
    assert rows_of(file(tmp_path, "a\nx;y\n")) == [{"a": "x;y"}]


def test_tab_separated_files_are_read_by_their_ending(tmp_path):
    content = 'query\tregion\n"300\tseats, please"\tAPAC\n'
    expected = [{"query": "300\tseats, please", "region": "APAC"}]
    assert rows_of(file(tmp_path, content, "leads.tsv")) == expected
    with pytest.raises(SutroInputError, match="the header has no tabs but commas"):
        spool_rows(file(tmp_path, "a,b\n1,2\n", "leads.tsv"))


CONTENT = b'query,region\n"a\r\nb",APAC\n' + b"x,EMEA\n" * 100_000
PACKED = {"gz": gzip.compress(CONTENT, mtime=0), "zst": zstandard.compress(CONTENT)}


@pytest.mark.parametrize("ending", PACKED)
def test_compressed_files_are_read_by_their_ending(tmp_path, ending):
    rows = rows_of(file(tmp_path, PACKED[ending], f"leads.csv.{ending}"))
    assert rows[:2] == [
        {"query": "a\r\nb", "region": "APAC"},
        {"query": "x", "region": "EMEA"},
    ]
    assert len(rows) == 100_001


@pytest.mark.parametrize("ending", PACKED)
@pytest.mark.parametrize("damage", ["cut", "flipped", "other"])
def test_a_damaged_compressed_file_is_an_error(tmp_path, ending, damage):
    packed = PACKED[ending]
    middle = len(packed) // 2
    broken = {
        "cut": packed[:middle],
        "flipped": packed[:middle] + bytes([packed[middle] ^ 255]) + packed[middle + 1 :],
        "other": CONTENT,
    }[damage]
    with pytest.raises(SutroInputError, match=rf"leads\.csv\.{ending}") as caught:
        spool_rows(file(tmp_path, broken, f"leads.csv.{ending}"))
    assert str(tmp_path) not in str(caught.value)
