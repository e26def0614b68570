"""Rows on the wire: values, chunks, the spooled body."""

import asyncio
import copy
import datetime as dt
import decimal
import enum
import hashlib
import ipaddress
import json
import math
import pickle
import subprocess
import sys
import uuid
from collections import OrderedDict
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, SecretBytes, SecretStr

from langchain_sutro._core.results.payload import FunctionResult
from langchain_sutro._core.rows import (
    SpooledRows,
    dump_row,
    encode_row,
    split_rows,
    spool,
    spool_rows,
)
from langchain_sutro._core.rows.json_rows import encode_value
from langchain_sutro.errors import SutroInputError

SECRET = "hunter2"


class Lead(BaseModel):
    query: str
    seen: dt.date = dt.date(2026, 1, 2)
    score: float = 0.5


@dataclass
class Point:
    x: int
    y: list


class Color(enum.Enum):
    RED = "red"
    ONE = 1


class Name(enum.StrEnum):
    A = "field"


@contextmanager
def chunks_of(rows: int):
    """At most so many rows in a chunk."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spool, "_CHUNK_ROWS", rows)
        yield


def array(spooled: SpooledRows) -> list:
    return json.loads(b"".join(spooled.pieces()))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (True, True),
        (3, 3),
        (2**70, 2**70),
        (1.5, 1.5),
        (float("nan"), None),
        (pd.NaT, None),
        (pd.NA, None),
        (np.float64("nan"), None),
        (np.datetime64("NaT"), None),
        (decimal.Decimal("NaN"), None),
        (np.int64(7), 7),
        (np.bool_(True), True),  # noqa: FBT003
        (np.array([1, 2]), [1, 2]),
        (np.datetime64("2026-01-02"), "2026-01-02"),
        (dt.date(2026, 1, 2), "2026-01-02"),
        (dt.datetime(2026, 1, 2, 3, 4, 5, 6), "2026-01-02T03:04:05.000006"),  # noqa: DTZ001
        (dt.datetime(2026, 1, 2, tzinfo=dt.UTC), "2026-01-02T00:00:00+00:00"),
        (dt.time(1, 2, tzinfo=dt.UTC), "01:02:00+00:00"),
        (pd.Timestamp("2026-01-02 03:04"), "2026-01-02T03:04:00"),
        (uuid.UUID(int=5), "00000000-0000-0000-0000-000000000005"),
        (decimal.Decimal("1.10"), "1.10"),
        (Color.RED, "red"),
        (Color.ONE, 1),
        (b"caf\xc3\xa9", "caf\u00e9"),
        (bytearray(b"x"), "x"),
        (dt.timedelta(days=1, seconds=2.5), "P1DT2.5S"),
        (dt.timedelta(days=-1), "-P1D"),
        (pd.Timedelta("1D"), "P1D"),
        (np.timedelta64(30, "s"), "PT30S"),
        (np.timedelta64(1500000, "ns"), "PT0.0015S"),
        (np.timedelta64("NaT"), None),
        ({"b", "a"}, ["a", "b"]),
        (frozenset({2, 1}), [1, 2]),
        (Path("a/b"), "a/b"),
        (ipaddress.ip_address("10.0.0.1"), "10.0.0.1"),
        (SecretStr("s3"), "s3"),
        (SecretBytes(b"s3"), "s3"),
        (Point(1, [2]), {"x": 1, "y": [2]}),
        ((1, "x"), [1, "x"]),
        ({"a": {"b": dt.date(2026, 1, 2)}}, {"a": {"b": "2026-01-02"}}),
        (OrderedDict(a=1), {"a": 1}),
        (MappingProxyType({"a": 1}), {"a": 1}),
        ({Name.A: 1}, {"field": 1}),
        (Lead(query="x"), {"query": "x", "seen": "2026-01-02", "score": 0.5}),
    ],
)
def test_a_value_gets_its_one_json_form_by_the_fast_and_by_the_exact_way(value, expected):
    assert encode_value(value) == expected
    assert json.loads(dump_row({"c": value})) == {"c": expected}
    assert array(spool_rows([{"c": value}])) == [{"c": expected}]


def nested_in_itself():
    loop: list = []
    loop.append(loop)
    return loop


@pytest.mark.parametrize(
    "value",
    [
        float("inf"),
        -math.inf,
        np.float64("inf"),
        np.array([1.0, np.inf]),
        decimal.Decimal("Infinity"),
        [1.0, [float("inf")]],
        {"deep": [float("inf")]},
        b"hunter2\xff",
        {object()},
        1j,
        object(),
        iter([SECRET]),
        pd.Timedelta(1, "ns"),
        np.timedelta64(1, "M"),
        {1: SECRET},
        "hunter2\ud800",
        Lead(query="x", score=float("inf")),
        nested_in_itself(),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_value_without_a_json_form_is_an_error_that_names_row_and_column_only(value):
    rows = [{"ok": 1, "bad": None}] * 700 + [{"ok": 1, "bad": value}]
    for act in (
        lambda: spool_rows(rows),
        lambda: encode_row(rows[-1], row_index=700),
    ):
        with pytest.raises(SutroInputError, match=r"Row 700, column 'bad'") as caught:
            act()
        assert (caught.value.row_index, caught.value.column) == (700, "bad")
        assert SECRET not in str(caught.value)
    with pytest.raises(SutroInputError, match=r"^Field 'bad'") as caught:
        dump_row(rows[-1])
    assert (caught.value.row_index, caught.value.column) == (None, "bad")
    assert SECRET not in str(caught.value)


def test_an_error_of_a_single_call_names_the_field():
    with pytest.raises(SutroInputError, match=r"^Field 'bad': ") as caught:
        dump_row({"bad": object()})
    assert caught.value.row_index is None


def test_an_infinity_is_found_beside_nulls_and_numbers():
    rows = [{"x": 1.5, "y": None, "d": dt.date(2026, 1, 2)} for _ in range(500)]
    assert len(array(spool_rows(rows))) == 500
    rows[321]["x"] = float("-inf")
    with pytest.raises(SutroInputError, match="Row 321, column 'x'"):
        spool_rows(rows)


@pytest.mark.parametrize("row", [[1], 5, None, b"x", ("a", 1), Color.RED])
def test_what_is_no_row_is_an_error_that_names_the_row(row):
    with pytest.raises(SutroInputError, match=r"^Row 1: a row must be a dict") as caught:
        spool_rows([{"a": 1}, row])
    assert caught.value.row_index == 1


def test_a_field_name_that_is_no_text_is_an_error():
    with pytest.raises(SutroInputError, match="Row 0: a field has a name of type int"):
        spool_rows([{1: "x"}])


def test_models_mappings_and_results_are_rows():
    result = FunctionResult(output="x")
    assert array(spool_rows([Lead(query="q"), MappingProxyType({"a": 1}), result])) == [
        {"query": "q", "seen": "2026-01-02", "score": 0.5},
        {"a": 1},
        {"output": "x"},
    ]


def test_texts_are_rows_but_not_among_objects():
    spooled = spool_rows(["a", np.str_("b")])
    assert array(spooled) == ["a", "b"]
    assert spooled.columns == ()
    for mix in ([{"a": 1}, "x"], ["x"] * 300 + [{"a": 1}]):
        with pytest.raises(SutroInputError, match="cannot be mixed") as caught:
            spool_rows(mix)
        assert caught.value.row_index == len(mix) - 1


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_infinity=False)
    | st.text()
    | st.dates()
    | st.datetimes()
    | st.uuids()
    | st.decimals(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
tables = st.lists(st.dictionaries(st.text(max_size=5), values, max_size=4), max_size=20)


@given(tables, st.integers(1, 5))
def test_the_fast_way_sends_what_the_exact_way_says(table, chunk_rows):
    exact = [encode_row(row) for row in table]
    with chunks_of(chunk_rows):
        spooled = spool_rows(iter(table))
    body = b"".join(spooled.pieces(b'{"inputs":', b"}"))
    assert json.loads(body) == {"inputs": exact}
    assert spooled.count == len(spooled) == len(table)
    assert len(body) == spooled.size + 11
    assert spooled.sha256 == hashlib.sha256(b"".join(spooled.pieces())).hexdigest()
    assert spooled.rows(range(len(table))) == dict(enumerate(exact))


@given(tables, st.integers(1, 7))
def test_parts_hold_the_table_in_order(table, max_rows):
    with chunks_of(3):
        parts = list(split_rows(iter(table), max_rows))
    assert [row for part in parts for row in array(part)] == [encode_row(row) for row in table]
    assert [part.first_row for part in parts] == list(range(0, len(table), max_rows))
    assert all(1 <= part.count <= max_rows for part in parts)


def test_an_error_in_a_part_counts_rows_over_the_whole_table():
    rows = [{"a": 1}] * 25 + [{"a": object()}]
    with pytest.raises(SutroInputError, match="Row 25, column 'a'"):
        list(split_rows(rows, 10))
    with pytest.raises(SutroInputError, match="max_rows"):
        next(split_rows(rows, 0))


def test_no_rows_are_an_empty_array_and_no_parts():
    spooled = spool_rows([])
    assert b"".join(spooled.pieces(b"<", b">")) == b"<[]>"
    assert (spooled.count, spooled.size, spooled.head()) == (0, 2, [])
    assert list(split_rows([], 5)) == []


def big(count: int) -> list[dict]:
    return [{"id": index, "text": f"row {index} " + "x" * 500} for index in range(count)]


@pytest.mark.parametrize("make", [list, iter], ids=["list", "iterator"])
def test_rows_beyond_memory_come_back_from_any_place_and_the_body_twice(make):
    rows = big(20_000)
    spooled = spool_rows(make(rows))
    assert spooled.size > 2 * spool._IN_MEMORY
    first, second = (b"".join(spooled.pieces()) for _ in range(2))
    assert first == second
    assert json.loads(first) == rows
    assert hashlib.sha256(first).hexdigest() == spooled.sha256
    assert max(map(len, spooled.pieces())) < 4 << 20
    wanted = [19_999, 0, 12_345, 7]
    assert list(spooled.rows(wanted)) == wanted
    assert spooled.rows(wanted) == {index: rows[index] for index in wanted}
    assert spooled.head(2) == rows[:2]
    for outside in (-1, 20_000):
        with pytest.raises(IndexError):
            spooled.rows([outside])


def test_parts_of_a_long_list_come_back_as_they_were():
    rows = big(30_000)
    parts = list(split_rows(rows, 14_000))
    assert [part.count for part in parts] == [14_000, 14_000, 2_000]
    assert parts[1].rows([13_999]) == {13_999: rows[27_999]}
    assert [row for part in parts for row in array(part)] == rows


@pytest.mark.parametrize("count", [1, 20_000])
def test_a_list_is_kept_as_it_was(count):
    rows = big(count)
    before = copy.deepcopy(rows)
    spooled = spool_rows(rows)
    rows[0]["text"] = "other"
    del rows[count // 2 :]
    assert array(spooled) == before


def test_long_rows_are_taken_a_few_at_a_time():
    taken = []

    def rows():
        for index in range(300):
            taken.append(index)
            yield {"text": "x" * 200_000}

    with chunks_of(8):
        sizes = [len(piece) for piece in spool_rows(rows()).pieces()]
    assert len(taken) == 300
    assert max(sizes[1:]) <= 1_400_000


def test_integers_beyond_64_bits_come_back_exactly():
    rows = [{"n": 2**80 + index, "t": "ü"} for index in range(10)]
    assert spool_rows(rows).rows([9]) == {9: rows[9]}


async def test_several_tasks_read_one_body_at_once():
    spooled = spool_rows(iter(big(20_000)))
    bodies = await asyncio.gather(
        *(asyncio.to_thread(lambda: b"".join(spooled.pieces())) for _ in range(4))
    )
    assert {hashlib.sha256(body).hexdigest() for body in bodies} == {spooled.sha256}


def test_columns_are_names_in_order_of_first_sight():
    assert spool_rows([{"b": 1}, {"a": 1, "b": 2}, {"c": None}]).columns == ("b", "a", "c")
    many = [{f"c{index}": 1 for index in range(1_500)}]
    assert len(spool_rows(many).columns) == 1_000


def test_chosen_columns_are_sent_and_others_are_not():
    rows = [{"a": 1, "b": 2}, {"b": 3}, Lead(query="q")]
    assert array(spool_rows(rows, fields=["b", "query"])) == [{"b": 2}, {"b": 3}, {"query": "q"}]


def test_its_repr_has_no_rows_and_closing_gives_the_file_back():
    with spool_rows([{"a": SECRET}]) as spooled:
        assert repr(spooled) == "<SpooledRows: 1 rows, 17 bytes>"
    with pytest.raises(ValueError, match="closed"):
        spooled.head()


def test_input_errors_pickle():
    with pytest.raises(SutroInputError) as caught:
        spool_rows([{"a": object()}])
    copy = pickle.loads(pickle.dumps(caught.value))
    assert (str(copy), copy.row_index, copy.column) == (str(caught.value), 0, "a")


@settings(max_examples=50)
@given(st.lists(st.floats() | st.none() | st.text(max_size=3), min_size=1, max_size=30))
def test_exactly_the_tables_with_an_infinity_are_refused(cells):
    rows = [{"c": cell} for cell in cells]
    bad = [
        index for index, cell in enumerate(cells) if isinstance(cell, float) and math.isinf(cell)
    ]
    if not bad:
        expected = [
            None if isinstance(cell, float) and math.isnan(cell) else cell for cell in cells
        ]
        assert [row["c"] for row in array(spool_rows(rows))] == expected
        return
    with pytest.raises(SutroInputError) as caught:
        spool_rows(rows)
    assert caught.value.row_index == bad[0]


def test_a_disk_that_is_full_is_an_error_of_this_package():
    code = (
        "import resource\n"
        "from langchain_sutro._core.rows import spool_rows\n"
        "from langchain_sutro.errors import SutroConfigurationError\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (6_000_000, 6_000_000))\n"
        "try:\n"
        "    spool_rows({'a': 'hunter2' * 1000} for _ in range(2_000))\n"
        "except SutroConfigurationError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=100
    )
    assert "could not be written to a temporary file" in done.stdout
    assert "set TMPDIR" in done.stdout
    assert "hunter2" not in done.stdout
