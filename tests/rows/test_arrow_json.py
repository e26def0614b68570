"""Arrow columns that are written as JSON without a Python object for each row."""

import orjson
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from langchain_sutro._core.rows.arrow_json import dump_columns
from langchain_sutro._core.rows.arrow_rows import ArrowRows
from langchain_sutro._core.rows.spool import spool_rows
from langchain_sutro.errors import SutroInputError

PLAIN = {
    "text": ["Grüße", "a\x7fb", "", "'/"],
    "whole": [1, -(2**63), 2**63 - 1, 0],
    "part": [0.1, 1e300, float("nan"), -0.0],
    "is it": [True, False, True, True],
    "gaps": ["one", None, "", None],
    "numbers": [1, None, 3, None],
    "nothing": [None] * 4,
}

columns = st.one_of(
    st.lists(st.none() | st.text(max_size=5), min_size=3, max_size=3),
    st.lists(st.none() | st.text("aé😀 /\x7f", max_size=5), min_size=3, max_size=3),
    st.lists(st.none() | st.integers(-(2**63), 2**63 - 1), min_size=3, max_size=3),
    st.lists(st.none() | st.floats(allow_infinity=False), min_size=3, max_size=3),
    st.lists(st.none() | st.booleans(), min_size=3, max_size=3),
)


def sent(table):
    with spool_rows(table) as rows:
        return b"".join(rows.pieces())


def test_plain_columns_are_written_as_orjson_writes_their_rows():
    table = pa.table(PLAIN)

    assert dump_columns(dict(zip(table.column_names, map(whole, table.columns), strict=True))) == (
        orjson.dumps(table.to_pylist())
    )


def whole(column):
    return column.combine_chunks()


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.string_view()])
def test_every_kind_of_string_is_written(kind):
    array = pa.array(["a", None, "ü"], kind).slice(1)

    assert dump_columns({"x": array}) in (b'[{"x":null},{"x":"\xc3\xbc"}]', None)
    assert sent(pa.table({"x": array})) == b'[{"x":null},{"x":"\xc3\xbc"}]'


@pytest.mark.parametrize("kind", ["i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"])
def test_integers_of_every_width_are_written(kind):
    assert dump_columns({"x": pa.array([0, 127]).cast(pa.from_numpy_dtype(kind))}) == (
        b'[{"x":0},{"x":127}]'
    )


@pytest.mark.parametrize("text", ['"', "\\", "\n", "\x00", "\x1f"])
def test_strings_with_escapes_go_the_general_way(text):
    table = pa.table({"x": ["a", f"b{text}c"]})

    assert dump_columns({"x": whole(table["x"])}) is None
    assert sent(table) == orjson.dumps(table.to_pylist())


@pytest.mark.parametrize(
    "array",
    [
        pa.array([b"bytes"]),
        pa.array([[1]]),
        pa.array([{"a": 1}]),
        pa.array(["label"]).dictionary_encode(),
        pa.array([0], pa.timestamp("us")),
        pa.array(["1.50"]).cast(pa.decimal128(5, 2)),
        pa.array([float("inf")]),
    ],
    ids=lambda array: str(array.type),
)
def test_other_columns_go_the_general_way(array):
    assert dump_columns({"x": array}) is None


def test_no_columns_and_names_that_are_no_unicode_go_the_general_way():
    assert dump_columns({}) is None
    assert dump_columns({"\ud800": pa.array(["a"])}) is None


def test_a_character_divided_between_two_cells_is_an_error_of_its_row():
    broken = pa.Array.from_buffers(
        pa.string(),
        2,
        [None, pa.array([0, 1, 2], pa.int32()).buffers()[1], pa.py_buffer(b"\xc3\xa9")],
    )

    with pytest.raises(SutroInputError, match="Row 0, column 'x'"):
        sent(pa.table({"x": broken}))


@settings(max_examples=100, deadline=None)
@given(st.lists(columns, min_size=1, max_size=4))
def test_any_table_is_sent_as_its_rows_are(values):
    named = {f"c{index}": column for index, column in enumerate(values)}
    table = pa.table(named)
    expected = sent(table.to_pylist())

    assert sent(table) == expected
    assert sent(pl.from_arrow(table)) == expected
    assert sent(table.to_pandas(types_mapper=pd.ArrowDtype)) == expected


def test_a_pandas_frame_of_strings_and_numbers_is_sent_as_its_rows_are():
    frame = pd.DataFrame(
        {
            "text": pd.array(["a", None, "ü"], "string[pyarrow]"),
            "score": [0.5, float("nan"), 1.0],
            "small": pd.Series([1, 2, 3], dtype="f4"),
            "count": [1, 2, 3],
            "other order": pd.Series([1, 2, 3], dtype=">i8"),
            "is": [True, False, True],
        }
    )
    rows = frame.astype(object).where(frame.notna(), None).to_dict("records")

    assert sent(frame) == orjson.dumps(rows)
    assert sent(frame.drop(columns="other order")) == orjson.dumps(
        [{name: value for name, value in row.items() if name != "other order"} for row in rows]
    )


def test_rows_of_a_batch_are_a_sequence():
    batch = pa.record_batch({"x": [1, 2, 3], "y": ["a", "b", "c"]})
    rows = ArrowRows(batch, {"one": "x"}, 7)

    assert list(rows) == [{"one": 1}, {"one": 2}, {"one": 3}]
    assert (rows[0], rows[-1], rows[1:], rows[::-2]) == (
        {"one": 1},
        {"one": 3},
        [{"one": 2}, {"one": 3}],
        [{"one": 3}, {"one": 1}],
    )
    assert len(rows[5:]) == 0
    with pytest.raises(IndexError):
        rows[3]
