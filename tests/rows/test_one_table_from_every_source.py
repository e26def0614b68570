"""One table from every source: the same JSON, or a refusal for the same reason."""

import datetime as dt
import decimal
import json
from zoneinfo import ZoneInfo

import orjson
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import create_model

from langchain_sutro._core.rows import dump_row, table_for
from langchain_sutro._core.rows.schema import InputSchema
from langchain_sutro.errors import SutroInputError
from tests.support.spooled import rows_of

ZONES = ["UTC", "Asia/Tokyo", "Europe/Berlin", "America/New_York"]
# What every library can hold, and no less.
LEAST, MOST = dt.datetime(1900, 1, 1), dt.datetime(2200, 1, 1)  # noqa: DTZ001
MOMENTS = st.datetimes(LEAST, MOST)
TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=5)
NAMES = TEXT.filter(lambda name: name.isprintable() and name.strip() == name and name != "")
LEAVES = [
    (pa.string(), TEXT),
    (pa.large_string(), TEXT),
    (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    (pa.uint8(), st.integers(0, 255)),
    (pa.float64(), st.floats(allow_nan=False)),
    (pa.bool_(), st.booleans()),
    (pa.date32(), st.dates(dt.date(1900, 1, 1), dt.date(2200, 1, 1))),
    (pa.timestamp("us"), MOMENTS),
    (pa.timestamp("ns"), MOMENTS),
    (pa.time64("us"), st.times()),
    (pa.decimal128(12, 3), st.decimals(-(10**8), 10**8, places=3)),
    (pa.binary(), st.binary(max_size=4)),
    *(
        (pa.timestamp("us", zone), st.datetimes(LEAST, MOST, timezones=st.just(ZoneInfo(zone))))
        for zone in ZONES
    ),
]  # fmt: skip


def kinds(leaf):
    """A type and its values: as it is, in a list, in an object."""
    kind, values = leaf
    return st.sampled_from(
        [
            (kind, values),
            (pa.list_(kind), st.lists(values | st.none(), max_size=3)),
            (pa.struct([("x", kind), ("y", pa.int64())]),
             st.fixed_dictionaries({"x": values | st.none(), "y": st.integers(0, 9)})),
        ]
    )  # fmt: skip


@st.composite
def tables(draw, leaves=LEAVES):
    names = draw(st.lists(NAMES, min_size=1, max_size=3, unique=True))
    columns = {}
    count = draw(st.integers(1, 4))
    for name in names:
        kind, values = draw(st.sampled_from(leaves).flatmap(kinds))
        cells = draw(st.lists(values | st.none(), min_size=count, max_size=count))
        columns[name] = pa.array(cells, kind)
    return pa.table(columns)


def outcome(data):
    """The rows that are sent, or the reason without its place."""
    try:
        return rows_of(data)
    except SutroInputError as error:
        return str(error).partition(": ")[2] or str(error)


def models(table):
    model = create_model("Row", **{f"f{i}": (object, ...) for i in range(table.num_columns)})
    fields = [f"f{i}" for i in range(table.num_columns)]
    renamed = table.rename_columns(fields).to_pylist()
    return [model.model_construct(**row) for row in renamed], dict(
        zip(table.column_names, fields, strict=True)
    )


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tables())
def test_every_source_sends_the_same_or_refuses_for_the_same_reason(tmp_path, table):
    expected = outcome(table.to_pylist())
    pq.write_table(table, tmp_path / "t.parquet")
    folder = tmp_path / "folder"
    folder.mkdir(exist_ok=True)
    pq.write_table(table, folder / "a.parquet")
    instances, fields = models(table)
    found = {
        "pyarrow": outcome(table),
        "stream": outcome(pa.RecordBatchReader.from_batches(table.schema, table.to_batches(2))),
        "parquet": outcome(tmp_path / "t.parquet"),
        "directory": outcome(folder),
        "polars": outcome(pl.from_arrow(table)),
        "lazy": outcome(pl.from_arrow(table).lazy()),
        "arrow-pandas": outcome(table.to_pandas(types_mapper=pd.ArrowDtype)),
        "objects": outcome(pd.DataFrame(table.to_pylist(), dtype=object)),
        "models": outcome(table_for(instances, fields)),
    }
    assert {name: rows for name, rows in found.items() if rows != expected} == {}


@settings(max_examples=100)
@given(tables())
def test_a_row_of_a_table_is_the_row_of_a_call(table):
    rows = table.to_pylist()
    sent = outcome(rows)
    if isinstance(sent, str):
        return
    assert [json.loads(dump_row(row)) for row in rows] == sent


SCHEMAS = [
    {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]},
    {"type": "object", "properties": {"a": {"type": ["string", "null"]}, "b": {}}},
]


@settings(max_examples=100)
@given(st.lists(st.fixed_dictionaries({"a": TEXT | st.none()}, optional={"b": TEXT}), min_size=1),
       st.sampled_from(SCHEMAS))  # fmt: skip
def test_a_row_of_a_table_is_the_row_of_a_call_with_a_schema_too(rows, schema):
    checked = InputSchema(schema, "any").for_tables()
    try:
        expected = [orjson.loads(dump_row(checked.check(row))) for row in rows]
    except SutroInputError:
        with pytest.raises(SutroInputError):
            rows_of(table_for(rows, schema=checked))
        return
    assert rows_of(table_for(rows, schema=checked)) == expected


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.fixed_dictionaries({"a": TEXT, "b": TEXT}), min_size=1, max_size=4))
def test_texts_are_the_same_from_frames_of_both_string_types_and_from_csv(tmp_path, rows):
    frame = pd.DataFrame(rows)
    path = tmp_path / "t.csv"
    pa.csv.write_csv(pa.Table.from_pylist(rows), path)
    (tmp_path / "t.jsonl").write_bytes(b"\n".join(map(orjson.dumps, rows)))
    for data in (
        frame.astype(object),
        frame.astype(pd.StringDtype("python")),
        frame.astype(pd.StringDtype("pyarrow")),
        pl.DataFrame(rows),
        path,
        path.open("rb"),
        tmp_path / "t.jsonl",
    ):
        assert rows_of(data) == rows


NANOSECOND = 1_767_323_045_000_000_001


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_one_moment_has_one_text_whatever_stands_beside_it(unit):
    whole = NANOSECOND // 10**9 * {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
    values = [whole, None]
    expected = ["2026-01-02T03:04:05", None]
    if unit == "ns":
        values += [whole + 1, whole + 1_000]
        expected += ["2026-01-02T03:04:05.000000001", "2026-01-02T03:04:05.000001"]
    array = pa.array(values, pa.timestamp(unit))
    table = pa.table({"c": array})
    nested = pa.table({"c": pa.array([[one] for one in array], pa.list_(array.type))})
    for data in (table, table.to_pandas(), table.to_pandas(types_mapper=pd.ArrowDtype)):
        assert [row["c"] for row in rows_of(data)] == expected
    assert [row["c"][0] for row in rows_of(nested)] == expected
    if unit != "s":
        assert [row["c"] for row in rows_of(pl.from_arrow(table))] == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2026-01-02", "2026-01-02"),
        ("2026-01-02T03", "2026-01-02T03:00:00"),
        ("2026-01-02T03:04:05", "2026-01-02T03:04:05"),
        ("2026-01-02T03:04:05.000", "2026-01-02T03:04:05"),
        ("2026-01-02T03:04:05.000000", "2026-01-02T03:04:05"),
        ("2026-01-02T03:04:05.5", "2026-01-02T03:04:05.500000"),
        ("2026-01-02T03:04:05.000000001", "2026-01-02T03:04:05.000000001"),
        ("1969-12-31T23:59:59.999999999", "1969-12-31T23:59:59.999999999"),
        ("1969-12-31T23:59:59.999999999999", "1969-12-31T23:59:59.999999999999"),
        ("2026", "2026"),
        ("NaT", None),
    ],
)
def test_moments_of_numpy_are_spelt_as_others(value, expected):
    import numpy as np

    assert rows_of([{"c": np.datetime64(value)}]) == [{"c": expected}]
    assert rows_of([{"c": np.array([value], "M8")}]) == [{"c": [expected]}]


def test_times_of_day_keep_their_nanoseconds():
    array = pa.array([1, 1_000, None, 86_399_999_999_999], pa.time64("ns"))
    expected = ["00:00:00.000000001", "00:00:00.000001", None, "23:59:59.999999999"]
    for data in (pa.table({"c": array}), pl.from_arrow(pa.table({"c": array}))):
        assert [row["c"] for row in rows_of(data)] == expected
    nested = pa.table({"c": pa.array([{"x": 1}], pa.struct([("x", pa.time64("ns"))]))})
    assert rows_of(nested) == [{"c": {"x": expected[0]}}]


def test_an_offset_keeps_its_seconds():
    old = dt.datetime(1800, 1, 1, tzinfo=ZoneInfo("Europe/Berlin"))
    expected = [{"c": "1800-01-01T00:00:00+00:53:28", "n": None}]
    assert rows_of([{"c": old, "n": None}]) == expected
    assert rows_of([{"c": old, "n": decimal.Decimal("NaN")}]) == expected


def test_a_map_is_an_object_from_every_source_that_has_maps(tmp_path):
    kind = pa.map_(pa.string(), pa.timestamp("ns"))
    array = pa.array([[("k", 1), ("m", None)], None, []], kind)
    nested = pa.array([[array[0].as_py()], None, []], pa.list_(kind))
    table = pa.table({"m": array, "l": nested})
    pq.write_table(table, tmp_path / "t.parquet")
    value = {"k": "1970-01-01T00:00:00.000000001", "m": None}
    expected = [{"m": value, "l": [value]}, {"m": None, "l": None}, {"m": {}, "l": []}]
    for data in (
        table,
        table.slice(0),
        pa.RecordBatchReader.from_batches(table.schema, table.to_batches()),
        table.to_pandas(types_mapper=pd.ArrowDtype),
        tmp_path / "t.parquet",
        tmp_path,
    ):
        assert rows_of(data) == expected
    assert rows_of(table.slice(2)) == expected[2:]
