"""The answers of a job: rows, tables, joins, and what can be wrong with them."""

import asyncio
import gc
import json
import random
import threading
from collections.abc import Iterator

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from blockbuster import blockbuster_ctx

from langchain_sutro._core.results import result_columns
from langchain_sutro._core.results.batch import BatchResults
from langchain_sutro._core.results.payload import FunctionResult
from langchain_sutro._core.results.sdk_frame import results_frame
from langchain_sutro.errors import SutroInputError, SutroJobError, SutroRowError
from tests.support.calls import auntil

OUTPUTS = [
    '{"label":"a","n":1}',
    None,
    '{"label":"b"',
    "plain",
    '{"label":"b","n":2,"d":"2026-01-02"}',
]
SCORES = [0.9, None, 0.1, 0.2, None]
BAD = {1, 2}


def columns(**more) -> dict:
    return {"outputs": OUTPUTS, "confidence_score": SCORES, **more}


def in_file(tmp_path, data: dict, **options) -> BatchResults:
    path = tmp_path / "results.parquet"
    pq.write_table(pa.table(data), path, row_group_size=options.pop("row_group_size", 2))
    return BatchResults.from_parquet(path, **options)


@pytest.fixture(params=["json", "parquet"])
def make(request, tmp_path):
    """Builds results from columns, in memory or in a file of small row groups."""
    if request.param == "json":
        return BatchResults.from_columns
    return lambda data, **options: in_file(tmp_path, data, **options)


def plain(one):
    return (one.row_index, str(one)) if isinstance(one, SutroRowError) else dict(one)


EXPECTED = [
    {"output": {"label": "a", "n": 1}, "confidence": 0.9},
    (1, "Row 1 of job job-1 has no output."),
    (2, "Row 2 of job job-1 has an output that is not valid JSON."),
    {"output": "plain", "confidence": 0.2},
    {"output": {"label": "b", "n": 2, "d": "2026-01-02"}, "confidence": None},
]


def test_there_is_one_item_for_each_row_in_order(make):
    results = make(columns(), job_id="job-1", expected_rows=5)
    assert len(results) == 5
    for _ in range(2):
        assert [plain(one) for one in results] == EXPECTED
    assert [plain(results[index]) for index in range(5)] == EXPECTED
    assert [plain(results[index]) for index in (4, 0, -1, 2, -5)] == [
        EXPECTED[index] for index in (4, 0, -1, 2, -5)
    ]
    for part in (slice(1, 4), slice(None, None, -2), slice(9, 12), slice(None)):
        assert [plain(one) for one in results[part]] == EXPECTED[part]
    for outside in (5, -6):
        with pytest.raises(IndexError):
            results[outside]
    assert [error.row_index for error in results.errors] == sorted(BAD)
    assert [str(one) for one in results.answers][3] == "plain"


def test_rows_take_the_shape_of_their_generation(make):
    results = make(columns(), generation="hosted")
    assert results[3] == {"response": "plain", "confidence": 0.2}


TABLE = {
    "label": ["a", None, None, None, "b"],
    "n": [1, None, None, None, 2],
    "d": [None, None, None, None, "2026-01-02"],
    "inference_result": [None, None, '{"label":"b"', "plain", None],
    "confidence_score": SCORES,
}


def test_fields_become_columns_and_texts_that_are_no_objects_stay(make):
    table = make(columns()).to_arrow()
    assert table.to_pydict() == TABLE
    assert [str(kind) for kind in table.schema.types[1:3]] == ["int64", "string"]


def test_without_unpacking_outputs_stay_as_they_are(make):
    table = make(columns()).to_arrow(unpack=False, output_column="raw")
    assert table.to_pydict() == {"raw": OUTPUTS, "confidence_score": SCORES}


def test_pandas_keeps_whole_numbers_and_booleans_beside_gaps(make):
    outputs = ['{"n":9007199254740993,"yes":true}', None, '{"n":2}']
    frame = make({"outputs": outputs}).to_pandas()
    assert frame["n"].tolist() == [9007199254740993, pd.NA, 2]
    assert frame["yes"].tolist() == [True, pd.NA, pd.NA]
    assert list(frame.columns) == ["n", "yes"]


def test_other_libraries_read_the_same_table(make):
    results = make(columns())
    assert results.to_polars().to_dict(as_series=False) == TABLE
    assert pl.DataFrame(results).to_dict(as_series=False) == TABLE
    assert pa.table(results).to_pydict() == TABLE
    assert results.to_pandas()["label"].notna().tolist() == [True, False, False, False, True]


def test_columns_that_were_asked_for_or_carried_come_along(make):
    more = {
        "inputs": list("vwxyz"),
        "cumulative_logprobs": [-0.5] * 5,
        "record_id": [5, 4, 3, 2, 1],
    }
    results = make(columns(**more))
    assert results.carried == ("record_id",)
    names = results.to_arrow().column_names
    assert names == [
        *("inputs", "record_id", "label", "n", "d"),
        *("inference_result", "cumulative_logprobs", "confidence_score"),
    ]
    assert results.to_arrow()["record_id"].to_pylist() == [5, 4, 3, 2, 1]


@pytest.mark.parametrize(
    ("data", "options"),
    [
        ({"outputs": ['{"confidence_score":1}'], "confidence_score": [0.5]}, {}),
        ({"outputs": ['{"id":1}'], "id": [7]}, {}),
        ({"outputs": ["x"], "id": [7]}, {"output_column": "id"}),
        ({"outputs": ['{"inference_result":1}', "x"]}, {}),
    ],
)
def test_names_that_clash_are_an_error_that_says_how_to_avoid_it(data, options):
    results = BatchResults.from_columns(data)
    with pytest.raises(SutroInputError, match="both named"):
        results.to_arrow(**options)
    assert results.to_arrow(unpack=False, output_column="raw").num_rows == len(results)


def originals() -> Iterator:
    rows = [{"q": name, "id": index} for index, name in enumerate("vwxyz")]
    yield rows
    yield pd.DataFrame(rows, index=[9, 9, 7, 6, 5]).astype({"q": "category"})
    yield pl.DataFrame(rows)
    yield pa.Table.from_pylist(rows)


@pytest.mark.parametrize("original", list(originals()), ids=["rows", "pandas", "polars", "pyarrow"])
def test_a_join_is_by_position_and_keeps_the_original(make, original):
    before = original.copy() if hasattr(original, "copy") else original
    joined = make(columns(id=[0, 1, 2, 3, 4])).join(original)
    assert type(joined) is type(original)
    if isinstance(original, pd.DataFrame):
        assert joined.index.tolist() == [9, 9, 7, 6, 5]
        assert joined["q"].dtype == "category"
        pd.testing.assert_frame_equal(original, before)
        joined = pl.DataFrame(
            {name: pl.Series(joined[name].astype(object).tolist(), strict=False) for name in joined}
        )
    rows = joined if isinstance(joined, list) else pl.DataFrame(joined).to_dicts()
    assert list(rows[0]) == ["q", "id", "label", "n", "d", "inference_result", "confidence_score"]
    assert [row["q"] for row in rows] == list("vwxyz")
    assert [row["inference_result"] for row in rows][2:4] == ['{"label":"b"', "plain"]


@pytest.mark.parametrize("original", list(originals()), ids=["rows", "pandas", "polars", "pyarrow"])
def test_a_join_never_shifts_rows_or_overwrites_columns(original):
    with pytest.raises(SutroInputError, match="5 rows, the results have 1"):
        BatchResults.from_columns(["x"]).join(original)
    clashing = BatchResults.from_columns(columns(id=[0, 1, 2, 3, 99]))
    with pytest.raises(SutroInputError, match="both have 'id'"):
        clashing.join(original)
    joined = clashing.join(original, suffix="_sutro")
    names = list(joined[0]) if isinstance(joined, list) else list(pl.DataFrame(joined).columns)
    assert names[:3] == ["q", "id", "id_sutro"]


def test_a_join_with_something_else_is_an_error():
    with pytest.raises(SutroInputError, match="A string is a table only if"):
        BatchResults.from_columns(["x"]).join("x")
    with pytest.raises(SutroInputError, match="rows that are dicts"):
        BatchResults.from_columns(["x"]).join([["x"]])


def test_the_frame_of_the_sdk_is_pandas_or_what_went_in():
    results = BatchResults.from_columns(columns(id=[0, 1, 2, 3, 4]))
    frame = results_frame(results)
    assert list(frame.columns) == ["id", "label", "n", "d", "inference_result", "confidence_score"]
    raw = results_frame(results, unpack_json=False, output_column="out")
    assert list(raw.columns) == ["id", "out", "confidence_score"]
    assert raw["out"].tolist()[3] == "plain"
    original = pd.DataFrame({"q": list("vwxyz"), "id": range(5)}, index=[5, 4, 3, 2, 1])
    joined = results_frame(results, with_original_df=original)
    assert joined.index.tolist() == [5, 4, 3, 2, 1]
    assert list(joined.columns)[:3] == ["q", "id", "label"]
    assert isinstance(
        results_frame(results, with_original_df=pl.from_pandas(original)), pl.DataFrame
    )
    with pytest.raises(ValueError, match="both have 'label'"):
        results_frame(results, with_original_df=original.rename(columns={"q": "label"}))
    with pytest.raises(SutroInputError, match="pandas or polars"):
        results_frame(results, with_original_df=[{}] * 5)


def test_the_frame_of_the_sdk_leaves_envelopes_closed():
    results = BatchResults.from_columns(['{"content":"{\\"a\\":1}","reasoning_content":"r"}'])
    assert list(results_frame(results).columns) == ["content", "reasoning_content"]
    assert results.to_arrow().to_pylist() == [{"reasoning_content": "r", "a": 1}]


def test_envelopes_around_texts_leave_the_texts():
    outputs = [
        '{"content":"hello","reasoning_content":"r"}',
        '{"content":[1],"reasoning_content":"s"}',
    ]
    assert BatchResults.from_columns(outputs).to_arrow().to_pydict() == {
        "reasoning_content": ["r", "s"],
        "inference_result": ["hello", "[1]"],
    }


def test_a_summary_counts_labels_errors_and_confidences(make):
    labels = ["a", "b", "a", "a"]
    outputs = [None, *(json.dumps({"label": label, "rationale": "r"}) for label in labels)]
    job = {"input_tokens": 10, "output_tokens": 5, "job_cost": 0.25}
    summary = make(
        {"outputs": outputs, "confidence_score": [None, 0.0, 0.5, 0.5, 1.0]}, job=job
    ).summary()
    assert (summary.rows, summary.errors) == (5, 1)
    assert summary.answers == {"a": 3, "b": 1}
    assert list(summary.answers) == ["a", "b"]
    assert (summary.confidence["min"], summary.confidence["50%"], summary.confidence["max"]) == (
        0,
        0.5,
        1,
    )
    assert (summary.input_tokens, summary.output_tokens, summary.cost) == (10, 5, 0.25)


def test_a_summary_says_nothing_where_there_is_nothing_to_say():
    summary = BatchResults.from_columns(['{"a":1,"b":2}', "x"]).summary()
    assert (summary.answers, summary.confidence, summary.cost) == (None, None, None)
    assert (
        BatchResults.from_columns([f"text {index}" for index in range(60)]).summary().answers
        is None
    )
    assert BatchResults.from_columns(["true", "false", "true"]).summary().answers == {
        True: 2,
        False: 1,
    }


def test_html_is_escaped_and_repr_has_no_data():
    results = BatchResults.from_columns(
        ["<script>x</script>", None], function="<b>", job_id="job-<i>", job={"job_cost": 0.5}
    )
    shown = results._repr_html_()
    assert "<script>" not in shown
    assert "&lt;script&gt;" in shown
    assert "&lt;b&gt; · job-&lt;i&gt; · 2 rows · 0.50 USD" in shown
    assert "None" not in shown
    assert repr(results) == "<BatchResults: <b>, job-<i>, 2 rows>"


@pytest.mark.parametrize(
    "data",
    [
        {"confidence_score": [1.0]},
        {},
        {"outputs": ["x"], "confidence_score": [0.5, 0.5]},
        {"outputs": "xy"},
        {"outputs": None},
    ],
)
def test_columns_that_make_no_sense_are_an_error_of_the_job(data):
    with pytest.raises(SutroJobError) as caught:
        BatchResults.from_columns(data, job_id="job-1")
    assert caught.value.job_id == "job-1"


def test_another_number_of_rows_than_went_in_is_an_error(make):
    with pytest.raises(SutroJobError, match="5 results for 6 rows") as caught:
        make(columns(), job_id="job-1", expected_rows=6)
    assert caught.value.job_id == "job-1"


def test_a_bare_list_and_outputs_named_after_the_job_are_read(make):
    assert BatchResults.from_columns(["x"])[0].answer == "x"
    named = make({"job-1": ["x"]}, job_id="job-1")
    assert (named[0].answer, named.to_arrow().to_pydict()) == ("x", {"inference_result": ["x"]})
    assert named.carried == ()


def test_outputs_that_are_json_already_are_taken_as_such():
    results = BatchResults.from_columns([{"label": "a"}, None, True])
    assert [plain(one) for one in results][::2] == [
        {"output": {"label": "a"}, "confidence": None},
        {"output": True, "confidence": None},
    ]


def test_no_rows_are_an_empty_table(make):
    results = make({"outputs": pa.array([], pa.string()).to_pylist(), "confidence_score": []})
    assert (list(results), results.errors, results[:]) == ([], [], [])
    assert results.to_arrow().num_rows == len(results.to_pandas()) == 0


def test_a_broken_file_is_an_error_of_the_job_and_is_deleted_if_it_is_ours(tmp_path):
    path = tmp_path / "r.parquet"
    for delete in (False, True):
        path.write_bytes(b"PAR1 and then nothing")
        with pytest.raises(SutroJobError, match="not a Parquet file") as caught:
            BatchResults.from_parquet(path, job_id="job-1", delete=delete)
        assert caught.value.job_id == "job-1"
        assert path.exists() is not delete
    pq.write_table(pa.table({"other": [1]}), path)
    with pytest.raises(SutroJobError, match="no column 'outputs'"):
        BatchResults.from_parquet(path, delete=True)
    assert not path.exists()


def test_a_file_of_ours_goes_with_the_last_that_needs_it(tmp_path):
    results = in_file(tmp_path, columns(), delete=True)
    rows = iter(results)
    next(rows)
    path = tmp_path / "results.parquet"
    del results
    gc.collect()
    assert path.exists()
    assert len(list(rows)) == 4
    del rows
    gc.collect()
    assert not path.exists()


async def test_on_an_event_loop_a_thread_deletes_the_file(tmp_path):
    results = await asyncio.to_thread(in_file, tmp_path, columns(), delete=True)
    path = tmp_path / "results.parquet"
    with blockbuster_ctx("langchain_sutro"):
        del results
        gc.collect()
    await auntil(lambda: not path.exists())


def test_results_of_several_jobs_follow_each_other(tmp_path):
    first = in_file(tmp_path, columns(), job_id="job-1", function="f", job={"job_cost": 1.0})
    second = BatchResults.from_columns(["x", None], job_id="job-2", job={"job_cost": 0.5})
    results = BatchResults.concat([first, second])
    assert (len(results), results.job_id, results.function) == (7, None, "f")
    assert [plain(one) for one in results][:5] == EXPECTED
    assert results[5].answer == "x"
    assert [(error.job_id, error.row_index) for error in results.errors] == [
        ("job-1", 1),
        ("job-1", 2),
        ("job-2", 6),
    ]
    assert results.to_arrow()["confidence_score"].to_pylist() == [*SCORES, None, None]
    assert results.to_arrow()["inference_result"].to_pylist()[5] == "x"
    assert results.summary().cost == 1.5


def test_ten_thousand_rows_with_faults_keep_their_places(make, monkeypatch):
    monkeypatch.setattr(result_columns, "_WINDOW_ROWS", 700)
    monkeypatch.setattr(result_columns, "_PIECE_ROWS", 1_500)
    monkeypatch.setattr(result_columns, "_KEPT_ROWS", 1_600)
    chance = random.Random(7)
    outputs, scores, expected = [], [], []
    for index in range(10_000):
        kind = chance.random()
        good = json.dumps({"label": f"l{index % 3}", "id": index, "when": "2026-01-02"})
        outputs.append(None if kind < 0.05 else good[:-4] if kind < 0.1 else good)
        scores.append(None if chance.random() < 0.05 else index / 10_000)
        expected.append(index if kind >= 0.1 else None)
    results = make({"outputs": outputs, "confidence_score": scores}, expected_rows=10_000)
    for index, one in enumerate(results):
        if expected[index] is None:
            assert isinstance(one, SutroRowError)
            assert one.row_index == index
        else:
            assert one == {
                "output": {"label": f"l{index % 3}", "id": index, "when": "2026-01-02"},
                "confidence": scores[index],
            }
    table = results.to_arrow()
    assert table["id"].to_pylist() == expected
    assert table["confidence_score"].to_pylist() == scores
    assert set(table["when"].to_pylist()) == {"2026-01-02", None}
    truncated = [text if ok is None else None for text, ok in zip(outputs, expected, strict=True)]
    assert table["inference_result"].to_pylist() == truncated
    assert len(results.errors) == expected.count(None)
    for index in chance.sample(range(10_000), 50):
        assert plain(results[index]) == plain(results[index : index + 1][0])


def test_several_threads_read_one_file_at_once(tmp_path):
    outputs = [json.dumps({"id": index}) for index in range(20_000)]
    results = in_file(tmp_path, {"outputs": outputs}, row_group_size=3_000)
    wrong = []

    def check(step: int):
        if [one.answer for one in results] != list(range(20_000)):
            wrong.append("iteration")
        if results.to_arrow()["id"].to_pylist() != list(range(20_000)):
            wrong.append("table")
        wrong.extend(index for index in range(0, 20_000, step) if results[index].answer != index)

    threads = [threading.Thread(target=check, args=(step,)) for step in (997, 1_999, 3_001)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_result_of_a_job_is_a_function_result():
    assert type(BatchResults.from_columns(["x"])[0]) is FunctionResult
