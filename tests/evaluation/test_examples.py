"""What an evaluation takes as its examples, and what it says of anything else."""

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from langchain_sutro.errors import SutroInputError
from tests.support.experiments import evaluated, exact, expected

pytestmark = pytest.mark.filterwarnings("ignore:'outputs' is deprecated")

ROWS = [{"inputs": {"n": n}, "outputs": {"label": expected(n)}} for n in (9, 41)]
KINDS = {
    "dicts": lambda rows: rows,
    "pandas": pd.DataFrame,
    "polars": pl.DataFrame,
    "arrow": pa.Table.from_pylist,
    "generator": iter,
}


@pytest.mark.parametrize("mode", ["sync", "async"])
@pytest.mark.parametrize("kind", KINDS)
async def test_rows_with_inputs_and_outputs_are_examples(service, kind, mode):
    results = await evaluated(
        mode, service.function, KINDS[kind](ROWS), evaluators=[exact], upload_results=False
    )
    assert [row.inputs for row in results] == [row["inputs"] for row in ROWS]
    assert [row.reference for row in results] == [row["outputs"] for row in ROWS]
    assert [row.score("exact") for row in results] == [1.0, 1.0]


async def test_rows_without_right_answers_are_examples_too(service):
    results = await evaluated(
        "sync", service.function, pd.DataFrame({"inputs": [{"n": 1}]}), upload_results=False
    )
    assert results[0].expected is None


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ([{"n": 1}], "Row 0 of data has n"),
        (pd.DataFrame({"n": [1], "label": ["big"]}), "Row 0 of data has n, label"),
        ([{"inputs": "text"}], "Row 0 of data has inputs"),
        ([ROWS[0], 7], "Row 1 of data is of type int"),
        (ROWS[0], "data is of type dict"),
        (7, "data is of type int"),
        ([], "There are no examples"),
    ],
)
@pytest.mark.parametrize("mode", ["sync", "async"])
async def test_anything_else_is_named_with_what_is_taken(service, data, said, mode):
    with pytest.raises(SutroInputError, match=said) as caught:
        await evaluated(mode, service.function, data, upload_results=False)
    assert "`inputs`" in str(caught.value)
    assert service.jobs() == 0


def test_rows_that_are_not_in_langsmith_are_not_recorded(service, smith):
    from langchain_sutro import evaluate_dataset

    with pytest.raises(SutroInputError, match="create_examples"):
        evaluate_dataset(service.function, ROWS, client=smith.smith)
    assert service.jobs() == 0


def test_an_empty_data_set_is_named(service, smith):
    from langchain_sutro import evaluate_dataset

    smith.smith.create_dataset("nothing")
    with pytest.raises(SutroInputError, match="'nothing' has no examples"):
        evaluate_dataset(service.function, "nothing", client=smith.smith)


@pytest.mark.parametrize("by", ["name", "id"])
@pytest.mark.parametrize("mode", ["sync", "async"])
async def test_a_tracing_project_is_no_experiment(service, smith, by, mode):
    project = smith.smith.create_project("production")
    given = {"name": "production", "id": project.id}[by]
    with pytest.raises(SutroInputError, match=r"tracing project.*evaluate_runs"):
        await evaluated(mode, service.judge, experiment=given, client=smith.smith)
    assert service.jobs() == 0
    assert smith.sessions[str(project.id)]["extra"] == {}
