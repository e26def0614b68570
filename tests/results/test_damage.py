"""Results with odd or damaged contents: a bad row is that row's error, a bad file one of ours."""

import copy
import decimal
import io
import json
import pickle
import random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from langchain_sutro import BatchResults
from langchain_sutro._core.results import result_columns
from langchain_sutro.errors import SutroError, SutroJobError, SutroRowError

GOOD = '{"label":"a","score":1}'


def deep(levels):
    return '{"label":' + "[" * levels + "]" * levels + "}"


def not_utf8(*values):
    """A string column that is not valid UTF-8, as a faulty writer leaves it."""
    binary = pa.array([v.encode() if isinstance(v, str) else v for v in values], pa.large_binary())
    return pa.Array.from_buffers(pa.large_string(), len(binary), binary.buffers())


def saved(tmp_path, columns, **options):
    path = tmp_path / "results.parquet"
    pq.write_table(pa.table(columns), path)
    return BatchResults.from_parquet(path, job_id="job-1", **options)


def everything(results):
    """Reads results in every way, and returns the rows."""
    rows = list(results)
    results.summary()
    assert len(results.errors) == sum(isinstance(one, SutroRowError) for one in rows)
    for unpack in (True, False):
        assert results.to_arrow(unpack=unpack).num_rows == len(rows)
        assert len(results.to_pandas(unpack=unpack)) == len(rows)
        assert len(results.to_polars(unpack=unpack)) == len(rows)
    results.join([{"row": n} for n in range(len(rows))])
    assert [str(one) for one in rows] == [str(results[n]) for n in range(len(rows))]
    repr(results), results._repr_html_()
    assert [str(one) for one in pickle.loads(pickle.dumps(results))] == [str(one) for one in rows]
    return rows


@pytest.mark.parametrize(
    "bad",
    [deep(150), deep(250), deep(400), deep(1_200), "[" * 100_000, deep(1_200)[:-3]],
    ids=["150", "250", "400", "1200", "100000", "broken"],
)
@pytest.mark.parametrize("form", ["columns", "file"])
def test_a_row_that_is_nested_deeply_loses_no_other_row(tmp_path, form, bad):
    outputs = [GOOD, bad, GOOD]
    if form == "columns":
        results = BatchResults.from_columns({"outputs": outputs})
    else:
        results = saved(tmp_path, {"outputs": outputs})
    first, second, third = everything(results)
    assert first.output == third.output == {"label": "a", "score": 1}
    assert isinstance(second, SutroRowError) is (bad != deep(150))
    if bad != deep(150):
        assert results.to_arrow()["inference_result"].to_pylist() == [None, bad, None]


def test_outputs_that_came_as_objects_may_be_odd_too():
    nested = []
    for _ in range(600):
        nested = [nested]
    values = [{"label": "a"}, {"n": 2**100}, {"deep": nested}, 7, 2**100, None, True, "x\ud800"]
    rows = everything(BatchResults.from_columns({"outputs": values}))
    assert [getattr(one, "output", None) for one in rows] == [
        {"label": "a"},
        {"n": 2**100},
        None,
        7,
        2**100,
        None,
        True,
        "x\ufffd",
    ]


def test_an_output_that_is_not_utf8_is_the_error_of_its_row(tmp_path):
    results = saved(tmp_path, {"outputs": not_utf8(GOOD, b'{"label":"\xff\xfe"}', GOOD)})
    first, second, third = everything(results)
    assert first == third == {"output": {"label": "a", "score": 1}, "confidence": None}
    assert str(second) == "Row 1 of job job-1 has an output that is not valid UTF-8."
    assert results.to_arrow()["label"].to_pylist() == ["a", None, "a"]


def test_other_columns_that_are_not_utf8_have_a_mark_where_they_are_damaged(tmp_path):
    columns = {
        "outputs": [GOOD, GOOD],
        "id": not_utf8("one", b"tw\xff"),
        "inputs": not_utf8(b"\xff", ""),
    }
    results = saved(tmp_path, columns)
    everything(results)
    table = results.to_arrow()
    assert table["id"].to_pylist() == ["one", "tw\ufffd"]
    assert table["inputs"].to_pylist() == ["\ufffd", ""]


KINDS = {
    "binary": pa.array([GOOD.encode(), None]),
    "dictionary": pa.array([GOOD, None]).dictionary_encode(),
    "struct": pa.array([{"label": "a", "score": 1}, None]),
    "numbers": pa.array([1, None]),
    "lists": pa.array([[1, 2], None]),
    "nulls": pa.nulls(2),
    "times": pa.array([0, None], pa.timestamp("s")),
    "far": pa.array([2**50, None], pa.timestamp("s")),
    "decimals": pa.array([decimal.Decimal("1.5"), None]),
}


@pytest.mark.parametrize("kind", KINDS)
def test_outputs_of_other_types_are_read_or_are_errors_of_their_rows(tmp_path, kind):
    rows = everything(saved(tmp_path, {"outputs": KINDS[kind]}))
    assert isinstance(rows[1], SutroRowError)
    assert isinstance(rows[0], SutroRowError) is (kind in ("nulls", "far"))
    if kind in ("binary", "dictionary", "struct"):
        assert rows[0].output == {"label": "a", "score": 1}


@pytest.mark.parametrize(
    ("confidences", "expected"),
    [
        (pa.array(["0.5", "high"]), [0.5, None]),
        (pa.array([1, None]), [1.0, None]),
        (pa.array([2**60 + 1, 0]), [float(2**60 + 1), 0.0]),
        (pa.array([decimal.Decimal("0.25"), None]), [0.25, None]),
        (pa.array([True, False]), [None, None]),
        (pa.array([[0.5], None]), [None, None]),
        (pa.array([{"value": 0.5}, None]), [None, None]),
        (pa.array([0.5, float("nan")]), [0.5, None]),
        (pa.array([0.5, 0.75], pa.float32()), [0.5, 0.75]),
        (pa.array(["0.5", None]).dictionary_encode(), [0.5, None]),
        (pa.nulls(2), [None, None]),
        (not_utf8(b"\xff", "0.5"), [None, 0.5]),
    ],
)
def test_confidences_of_other_types_are_numbers_or_nothing(tmp_path, confidences, expected):
    results = saved(tmp_path, {"outputs": [GOOD, GOOD], "confidence_score": confidences})
    assert [one.confidence for one in everything(results)] == expected
    summary = results.summary()
    known = [one for one in expected if one is not None]
    assert (summary.confidence or {}).get("max") == (max(known) if known else None)


@pytest.mark.parametrize("confidences", [["0.5", "high"], [{"a": 1}, 2], [True, None], [[], 2**80]])
def test_confidences_of_other_types_in_json_are_numbers_or_nothing(confidences):
    columns = {"outputs": [GOOD, GOOD], "confidence_score": confidences}
    rows = everything(BatchResults.from_columns(columns))
    assert all(one.confidence is None or isinstance(one.confidence, float) for one in rows)


def test_no_rows_are_results_too(tmp_path):
    for results in (
        BatchResults.from_columns({"outputs": []}),
        BatchResults.from_columns([]),
        saved(
            tmp_path,
            {"outputs": pa.array([], pa.string()), "confidence_score": pa.array([], pa.float64())},
        ),
    ):
        assert everything(results) == []
        assert results.summary().rows == 0


def test_two_columns_of_one_name_are_an_error(tmp_path):
    path = tmp_path / "results.parquet"
    pq.write_table(
        pa.Table.from_arrays([pa.array(["a"]), pa.array(["b"])], ["outputs", "outputs"]), path
    )
    with pytest.raises(SutroJobError, match="same name"):
        BatchResults.from_parquet(path)


def test_jobs_whose_columns_cannot_be_joined_are_an_error(tmp_path):
    first = BatchResults.from_columns({"outputs": ["a"], "id": [1]})
    second = BatchResults.from_columns({"outputs": ["a"], "id": [{"x": 1}]})
    both = BatchResults.concat([first, second])
    assert len(list(both)) == 2
    with pytest.raises(SutroJobError, match="cannot be joined"):
        both.to_arrow()


def test_a_number_of_rows_that_is_not_the_jobs_is_an_error(tmp_path):
    with pytest.raises(SutroJobError, match="1 results for 2 rows"):
        BatchResults.from_columns({"outputs": [GOOD]}, job={"num_rows": 2})
    with pytest.raises(SutroJobError, match="1 results for 2 rows"):
        saved(tmp_path, {"outputs": [GOOD]}, job={"num_rows": 2})
    assert len(BatchResults.from_columns({"outputs": [GOOD]}, job={"num_rows": None})) == 1


def test_copies_and_pickles_read_on_where_the_file_is_gone(tmp_path):
    results = saved(
        tmp_path, {"outputs": [GOOD, None], "id": [1, 2]}, function="judge", delete=True
    )
    [*rows] = map(str, results)
    assert copy.copy(results) is copy.deepcopy(results) is results
    content = pickle.dumps(BatchResults.concat([results, results]))
    del results
    again = pickle.loads(content)
    assert [str(one) for one in again][:2] == rows
    assert again.carried == ("id",)
    assert again.function == "judge"


def test_rows_that_would_take_all_memory_are_refused_before_they_are_read(tmp_path, monkeypatch):
    outputs = [json.dumps({"text": "é" * 1_000}) for _ in range(4)]
    monkeypatch.setattr(result_columns, "_MOST_OF_A_ROW", 10_000)
    assert len(everything(saved(tmp_path, {"outputs": outputs}))) == 4
    with pytest.raises(SutroJobError, match=r"bytes in 4 rows.*download_job_results"):
        saved(tmp_path, {"outputs": [*outputs[:3], "x" * 100_000]}, delete=True)
    assert list(tmp_path.iterdir()) == []


def test_large_rows_are_read_few_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr(result_columns, "_BATCH_BYTES", 4_000)
    results = saved(tmp_path, {"outputs": [f"{n:01000}" for n in range(40)]})
    read = [len(part) for part in results._columns.outputs()]
    assert sum(read) == 40
    assert max(read) <= 4
    assert len(everything(results)) == 40


def broken(content, seed):
    """A file with some damage."""
    chance = random.Random(seed)
    data = bytearray(content)
    how = chance.choice(["flip", "flip", "flip", "cut", "zero", "double"])
    if how == "flip":
        for _ in range(chance.randint(1, 8)):
            data[chance.randrange(4, len(data) - 8)] ^= 1 << chance.randrange(8)
    elif how == "cut":
        at = chance.randrange(4, len(data) - 60)
        del data[at : at + chance.randint(1, 40)]
    elif how == "zero":
        at = chance.randrange(4, len(data) - 60)
        data[at : at + 40] = bytes(40)
    else:
        data += data[chance.randrange(len(data)) :]
    return bytes(data)


@pytest.mark.parametrize("compression", ["none", "snappy", "zstd"])
def test_a_damaged_file_is_an_error_of_the_tree(tmp_path, compression):
    outputs = [
        json.dumps({"label": f"l{n % 5}", "n": n, "text": "é" * (n % 7)}) for n in range(300)
    ]
    table = pa.table(
        {"outputs": outputs, "confidence_score": [n / 300 for n in range(300)], "id": outputs}
    )
    file = io.BytesIO()
    pq.write_table(table, file, compression=compression, row_group_size=100, use_dictionary=False)
    refused = 0
    for seed in range(60):
        path = tmp_path / f"{seed}.parquet"
        path.write_bytes(broken(file.getvalue(), seed))
        try:
            results = BatchResults.from_parquet(path, expected_rows=300)
            rows = everything(results)
        except SutroError:
            refused += 1
        else:
            assert len(rows) == 300
    assert refused > 5
