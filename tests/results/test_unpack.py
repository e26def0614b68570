"""JSON texts as columns: as fast as Arrow reads them, and right where it guesses."""

import json

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from langchain_sutro._core.results import unpack as _unpack


def unpacked(outputs: list) -> tuple[list[dict], list]:
    texts = pa.array(outputs, pa.large_string())
    table, rest = _unpack.unpack(lambda: iter([texts]), open_envelopes=False)
    rows = table.to_pylist() if table.num_columns else [{} for _ in outputs]
    return rows, rest.to_pylist() if rest is not None else [None] * len(outputs)


def test_unpacking_reads_what_json_says_and_not_what_it_looks_like():
    rows, _ = unpacked(
        ['{"day":"2026-01-02","at":["2026-01-02T03:04:05Z"],"in":{"d":"2026-01-02"}}']
    )
    assert rows == [
        {"day": "2026-01-02", "at": ["2026-01-02T03:04:05Z"], "in": {"d": "2026-01-02"}}
    ]
    assert unpacked(['{"n":1}', '{"n":2.5}'])[0] == [{"n": 1.0}, {"n": 2.5}]
    assert unpacked(['{"n":1}', '{"n":"x"}'])[0] == [{"n": "1"}, {"n": "x"}]
    assert unpacked(['{"n":1}', '{"n":{"x":[]}}'])[0] == [{"n": "1"}, {"n": '{"x":[]}'}]
    assert unpacked(['{"n":12345678901234567890}'])[0] == [{"n": "12345678901234567890"}]
    assert unpacked(['{"n":9007199254740993}', '{"n":0.5}'])[0][0] == {"n": "9007199254740993"}
    assert unpacked(['{"n":1,"n":2}'])[0] == [{"n": 2}]
    assert unpacked(['{"n":NaN}', '{"n":-Infinity}', '{"n":1}'])[0] == [
        {"n": None},
        {"n": None},
        {"n": 1},
    ]
    assert unpacked(['{"n":"\\ud800"}', '{"n":"\\ud83d\\ude00"}'])[0] == [
        {"n": "\ufffd"},
        {"n": "😀"},
    ]
    assert unpacked([' {"a":\n1}\r\n', '{"b":"\\n\\u00e9"}'])[0] == [
        {"a": 1, "b": None},
        {"a": None, "b": "\né"},
    ]


@pytest.mark.parametrize(
    "outputs",
    [
        ['{"a":1}{"a":2}', "{}", '{"a":3}'],
        ['{"a":', '{"b":1}}', '{"a":3}'],
        ['{"a":{}', '{"b":1}}', '{"a":3}'],
        ['{"a":"x', '{y"}', '{"a":3}'],
        [f'{{"a":{"[" * 300}{"]" * 300}}}', '{"a":Nan}', '{"a":3}'],
        ['{"a":1,}', "{'a':1}", '{"a":3}'],
        ["", "   ", '{"a":3}'],
        ["[1,2]", '"text"', '{"a":3}'],
    ],
)
def test_texts_that_are_no_objects_never_shift_the_rows_that_are(outputs):
    rows, rest = unpacked(outputs)
    if outputs[1] == "{}":
        assert rest == [outputs[0], None, None]
    else:
        assert rest == [*outputs[:2], None]
    assert rows == [{"a": None}, {"a": None}, {"a": 3}]


def test_texts_longer_than_a_slice_are_read():
    rows, _ = unpacked(['{"a":"x"}', *[json.dumps({"a": "y" * 20_000_000})] * 2])
    assert [len(row["a"]) for row in rows] == [1, 20_000_000, 20_000_000]


def test_dates_and_types_that_come_late_change_nothing_of_what_came_before():
    outputs = [*['{"id":1}'] * 300, '{"id":1,"day":"2026-01-02"}', '{"id":0.5,"day":"soon"}']
    rows, _ = unpacked(outputs)
    assert [row["id"] for row in rows] == [1.0] * 301 + [0.5]
    assert [row["day"] for row in rows[-3:]] == [None, "2026-01-02", "soon"]


def test_nested_values_keep_one_type_across_slices(monkeypatch):
    monkeypatch.setattr(_unpack, "_SLICE_ROWS", 2)
    outputs = ['{"l":[],"o":{"x":1}}', "{}", '{"l":["a"],"o":{"y":"z"}}', '{"l":null,"o":{}}']
    table, _ = _unpack.unpack(
        lambda: iter([pa.array(outputs, pa.large_string())]), open_envelopes=False
    )
    assert table["l"].to_pylist() == [[], None, ["a"], None]
    assert [str(kind) for kind in table.schema.types] == [
        "list<item: string>",
        "struct<x: int64, y: string>",
    ]
    assert table["o"].to_pylist()[2] == {"x": None, "y": "z"}


scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5)
    | st.sampled_from(["2026-01-02", "2026-01-02T03:04:05Z", "null", "{", "1"])
)
cells = scalars | st.lists(scalars, max_size=2) | st.dictionaries(st.sampled_from("xy"), scalars)
objects = st.dictionaries(st.sampled_from(["a", "b", "c", "", "ü"]), cells, max_size=4)
garbage = st.sampled_from(["{", "}", "{}{}", '{"a":1}{"a":1}', "", "text", '{"a":NaN}', '{"a":01}'])


def same(found, expected) -> bool:
    """Whether a cell is the value: itself, a float of it, its JSON text, or padded with nulls."""
    if isinstance(expected, dict) and isinstance(found, dict):
        return (
            all(same(found[name], expected.get(name)) for name in found)
            and expected.keys() <= found.keys()
        )
    if isinstance(expected, list) and isinstance(found, list):
        return len(found) == len(expected) and all(map(same, found, expected))
    if isinstance(found, bool) or isinstance(expected, bool):
        return found is expected or found == json.dumps(expected)
    if isinstance(found, str) and not isinstance(expected, str):
        return expected is not None and json.loads(found) == expected
    return found == expected


@settings(max_examples=300, deadline=None)
@given(
    st.lists(objects.map(json.dumps) | garbage | st.none(), max_size=8),
    st.sampled_from([2, 65_536]),
)
@example(['{"a": 1}', "{}{}", "}"], 2)
@example(['{"a": [null, "0"]}', '{"a": [null, null]}', '{"b": {"c": [null, 2]}}'], 65_536)
@example(['{"a": [1, 2.5], "c": [1, 2.5]}', "{}", '{"a": [1, 2.5], "c": ""}', None, "{}"], 2)
@example(["{}", None, '{"b": true}', '{"b": -1.5, "a": "~"}', None, '{"a":01}'], 2)
@example(['{"a": [0.0, false]}', '{"a": [null, null]}'], 65_536)
@example(['{"a": 1}', "{}", '{"a": 0.5}', "{}", '{"a": true}'], 2)
def test_unpacking_says_of_every_row_what_parsing_it_alone_says(outputs, slice_rows):
    # Arrow's reader alone loses values of some of these, and crashes on others.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_unpack, "_SLICE_ROWS", slice_rows)
        patch.setattr(_unpack, "_SAMPLE", slice_rows)
        rows, rest = unpacked(outputs)
    assert len(rows) == len(rest) == len(outputs)
    for text, row, left in zip(outputs, rows, rest, strict=True):
        try:
            value = json.loads(text, parse_constant=lambda _: None) if text else None
        except ValueError:
            value = None
        if not isinstance(value, dict):
            assert left == text
            assert not any(cell is not None for cell in row.values())
            continue
        assert left is None
        assert all(same(row[name], value.get(name)) for name in row), (row, value)
        assert {name for name, cell in value.items() if cell is not None} <= row.keys()
