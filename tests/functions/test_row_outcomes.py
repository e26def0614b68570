"""Rows in, outcomes out: bad rows keep their errors, and results return to their own rows."""

import copy
import pickle

import pytest
from pydantic import BaseModel

from langchain_sutro import SutroFunction
from langchain_sutro.errors import SutroInputError, SutroRowError
from langchain_sutro.functions import RowOutcomes

SCHEMA = {"type": "object", "properties": {"n": {"type": "string"}}, "required": ["n"]}
LABELLED = {"type": "object", "properties": {"label": {}}}
WITHOUT_N = {"other": "1"}

modes = pytest.mark.parametrize("mode", ["sync", "async"])


class Number(BaseModel):
    label: int


def publish(deployment, answer, **options):
    deployment.publish("number", answer, input_schema=SCHEMA, output_schema=LABELLED)
    return SutroFunction("number", api_url=deployment.url, api_key=deployment.api_key, **options)


async def batch(mode, runnable, rows, **options):
    if mode == "async":
        return await runnable.abatch(rows, **options)
    return runnable.batch(rows, **options)


def fails_for(*numbers):
    def answer(row):
        if row["n"] in numbers:
            raise ValueError("no")
        return {"label": row["n"]}

    return answer


def row_error(row_index):
    message = f"Row {row_index} of job job-1 has no output."
    return SutroRowError(message, job_id="job-1", row_index=row_index)


def test_only_good_rows_are_sent_and_results_return_to_their_places():
    def make(index):
        if index in (1, 3):
            raise SutroInputError("no", row_index=index)
        return f"row {index}"

    rows = RowOutcomes(5)
    assert rows.prepare(make) == ["row 0", "row 2", "row 4"]
    assert rows.open == [0, 2, 4]
    rows.put(["a", "b"], [0, 4])
    assert rows.open == [2]
    rows.put(["c"])
    assert rows.open == []
    outcomes = rows.results(return_exceptions=True)
    assert [outcomes[index] for index in (0, 2, 4)] == ["a", "c", "b"]
    assert [outcomes[index].row_index for index in (1, 3)] == [1, 3]
    with pytest.raises(SutroInputError) as caught:
        rows.results(return_exceptions=False)
    assert caught.value is outcomes[1]


def test_errors_that_are_not_kept_are_raised():
    def make(_):
        raise SutroInputError("no")

    with pytest.raises(SutroInputError):
        RowOutcomes(1).prepare(make, keep=())
    with pytest.raises(ZeroDivisionError):
        RowOutcomes(1).prepare(lambda index: 1 // index)


def test_another_number_of_results_than_of_open_rows_is_an_error():
    with pytest.raises(ValueError, match="shorter"):
        RowOutcomes(2).put(["a"])


def test_an_error_of_a_row_names_the_callers_row_and_that_of_the_job():
    rows = RowOutcomes(3)
    rows.open = [0, 2]
    rows.put([row_error(0), row_error(1)])
    first, _, last = rows.outcomes
    assert (first.row_index, first.job_row_index) == (0, 0)
    assert str(first) == "Row 0 of job job-1 has no output."
    assert (last.row_index, last.job_row_index) == (2, 1)
    assert str(last) == "Row 2 of the batch: Row 1 of job job-1 has no output."
    again = last.at_row(7)
    assert str(again) == "Row 7 of the batch: Row 1 of job job-1 has no output."
    assert str(again.at_row(1)) == "Row 1 of job job-1 has no output."
    for twin in (pickle.loads(pickle.dumps(again)), copy.copy(again)):
        assert (str(twin), twin.row_index, twin.job_row_index) == (str(again), 7, 1)


@modes
async def test_an_output_that_does_not_fit_the_model_is_an_error_of_its_row(deployment, mode):
    function = publish(deployment, lambda row: {"label": row["n"]}, output_model=Number)
    rows = [{"n": "1"}, {"n": "many"}, {"n": "3"}]
    results = await batch(mode, function, rows, return_exceptions=True)
    assert [results[0].label, results[2].label] == [1, 3]
    (job,) = deployment.jobs
    error = results[1]
    assert isinstance(error, SutroRowError)
    assert (error.job_id, error.row_index, error.job_row_index) == (job["job_id"], 1, 1)
    assert str(error).startswith(f"Row 1 of job {job['job_id']} does not fit Number: label: ")
    with pytest.raises(SutroRowError):
        await batch(mode, function, rows)


@modes
async def test_where_a_row_was_not_sent_errors_of_later_rows_name_both_indices(deployment, mode):
    function = publish(
        deployment, lambda row: {"label": row["n"]}, output_model=Number, args_schema=SCHEMA
    )
    rows = [WITHOUT_N, {"n": "1"}, {"n": "many"}]
    results = await batch(mode, function, rows, return_exceptions=True)
    (job,) = deployment.jobs
    assert isinstance(results[0], SutroInputError)
    assert (results[2].row_index, results[2].job_row_index) == (2, 1)
    assert str(results[2]).startswith(f"Row 2 of the batch: Row 1 of job {job['job_id']} ")


@modes
async def test_a_failed_row_names_both_indices_too(deployment, mode):
    function = publish(deployment, fails_for("2"), args_schema=SCHEMA)
    rows = [WITHOUT_N, {"n": "1"}, {"n": "2"}]
    results = await batch(mode, function, rows, return_exceptions=True)
    (job,) = deployment.jobs
    assert (results[2].row_index, results[2].job_row_index) == (2, 1)
    assert str(results[2]) == (f"Row 2 of the batch: Row 1 of job {job['job_id']} has no output.")


@modes
@pytest.mark.parametrize("how", ["retry", "assign"])
async def test_rows_keep_their_index_through_compositions(deployment, mode, how):
    runnable = publish(deployment, fails_for("2"))
    if how == "assign":
        runnable = runnable.assign_as("label", inputs=["n"])
    if how == "retry":
        runnable = runnable.with_retry(wait_exponential_jitter=False, stop_after_attempt=2)
    rows = [{"n": "1"}, WITHOUT_N if how == "assign" else {"n": "1"}, {"n": "2"}]
    results = await batch(mode, runnable, rows, return_exceptions=True)
    assert isinstance(results[2], SutroRowError)
    assert results[2].row_index == 2
    job_row_index = 0 if how == "retry" else 1
    assert results[2].job_row_index == job_row_index
    assert f": Row {job_row_index} of job" in str(results[2])
