"""`args_schema` holds for tables as for rows, and `fields` chooses without one."""

import logging
from decimal import Decimal
from typing import Any, Literal

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import AliasChoices, BaseModel, Field

from langchain_sutro import SutroFunction, SutroJobGroup, errors
from langchain_sutro._core.rows import PLAIN_ENDINGS
from langchain_sutro.local import LocalDeployment
from tests.support.calls import call, modes, posts

ANY = {"type": "object", "properties": {}, "additionalProperties": True}
JSON = {
    "type": "object",
    "properties": {"query": {"type": "string"}, "region": {"enum": ["APAC", "EMEA"]}},
    "required": ["query", "region"],
}


class Lead(BaseModel):
    query: str
    region: Literal["APAC", "EMEA"]


LEADS = [
    {"query": "300 seats", "region": "APAC", "email": "a@example.com", "salary": 1},
    {"query": "unsubscribe", "region": "EMEA", "email": "b@example.com", "salary": 2},
]
SENT = [{"query": one["query"], "region": one["region"]} for one in LEADS]


@pytest.fixture(scope="module")
def running():
    """A deployment with a Function that takes any field."""
    with LocalDeployment() as deployment:

        @deployment.function(name="any", input_schema=ANY)
        def any_(row: dict) -> str:
            """Names the fields."""
            return ",".join(sorted(row))

        yield deployment


@pytest.fixture
def make(running):
    running.requests.clear()

    def made(**options) -> SutroFunction:
        return SutroFunction("any", api_url=running.url, api_key=running.api_key, **options)

    return made


def sent(running) -> list[Any]:
    """The rows of all jobs that the service received."""
    return [row for request in posts(running, "batch-inference") for row in request.body["inputs"]]


def sources(rows, folder) -> dict[str, Any]:
    """The same table in every form that has named columns."""
    table = pa.Table.from_pylist(rows)
    frame = pd.DataFrame(rows)
    frame.to_csv(folder / "t.csv", index=False)
    frame.to_csv(folder / "t.tsv", index=False, sep="\t")
    frame.to_json(folder / "t.jsonl", orient="records", lines=True)
    pq.write_table(table, folder / "t.parquet")
    (folder / "all").mkdir()
    pq.write_table(table, folder / "all/a.parquet")
    return {
        "dicts": rows,
        "pandas": frame,
        "polars": pl.DataFrame(rows),
        "lazy": pl.LazyFrame(rows),
        "pyarrow": table,
        "csv": folder / "t.csv",
        "tsv": folder / "t.tsv",
        "jsonl": folder / "t.jsonl",
        "parquet": folder / "t.parquet",
        "directory": folder / "all",
    }


@pytest.mark.parametrize("schema", [Lead, JSON], ids=["model", "json"])
@modes
async def test_only_the_fields_of_the_schema_leave_the_machine(
    make, running, tmp_path, caplog, schema, mode
):
    fn = make(args_schema=schema)
    for name, data in sources(LEADS, tmp_path).items():
        running.requests.clear()
        caplog.clear()
        with caplog.at_level(logging.INFO, "langchain_sutro"):
            await call(mode, fn, "submit", data)
        assert sent(running) == SENT, name
        [line] = [one for one in caplog.messages if "Not sent" in one]
        assert line == "Not sent of the table: 'email', 'salary'."
        assert "example.com" not in caplog.text


@pytest.mark.parametrize("schema", [Lead, JSON], ids=["model", "json"])
@modes
async def test_every_value_is_checked_and_named_before_anything_is_sent(
    make, running, tmp_path, schema, mode
):
    fn = make(args_schema=schema)
    bad = [*LEADS, {**LEADS[0], "region": "Mars"}]
    for name, data in sources(bad, tmp_path).items():
        with pytest.raises(errors.SutroInputError, match=r"row 2 .*'region': ") as caught:
            await call(mode, fn, "submit", data)
        assert (caught.value.row_index, caught.value.column) == (2, "region"), name
        assert "Mars" not in str(caught.value)
    assert not posts(running, "batch-inference")


@modes
async def test_a_missing_field_raises_and_names_the_columns_of_the_table(make, running, mode):
    fn = make(args_schema=Lead)
    frame = pd.DataFrame(LEADS).rename(columns={"region": "area"})
    with pytest.raises(
        errors.SutroInputError,
        match=r"'region': field required.* The table's columns are: 'query', 'area', 'email'",
    ):
        await call(mode, fn, "submit", frame)
    with pytest.raises(errors.SutroInputError, match=r"row 1 .*'region': field required"):
        await call(mode, fn, "submit", [LEADS[0], {"query": "x"}])
    await call(mode, fn, "submit", frame, fields={"query": "query", "region": "area"})
    assert sent(running) == SENT


@modes
async def test_fields_choose_and_rename_without_a_schema(make, running, tmp_path, caplog, mode):
    fn = make()
    for name, data in sources(LEADS, tmp_path).items():
        running.requests.clear()
        caplog.clear()
        with caplog.at_level(logging.INFO, "langchain_sutro"):
            await call(mode, fn, "submit", data, fields={"text": "query", "where": "region"})
            await call(mode, fn, "submit", data, fields=["region"])
        renamed = [{"text": one["query"], "where": one["region"]} for one in LEADS]
        assert sent(running) == [*renamed, *({"region": one["region"]} for one in LEADS)], name
        first, second = (one for one in caplog.messages if "Not sent" in one)
        assert first == "Not sent of the table: 'email', 'salary'."
        assert second == "Not sent of the table: 'query', 'email', 'salary'."


def test_without_schema_and_fields_everything_is_sent_and_nothing_is_logged(make, running, caplog):
    with caplog.at_level(logging.INFO, "langchain_sutro"):
        make().submit(pd.DataFrame(LEADS))
    assert sent(running) == LEADS
    assert "Not sent" not in caplog.text


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (["query", "nope"], "no column 'nope'"),
        ({"q": "nope"}, "no column 'nope'"),
        ([], "fields must be names"),
        ("query", "fields must be names"),
        ({"q": 1}, "fields must be names"),
        ([1], "fields must be names"),
        (["salary", "query", "region"], "'salary', which is not a field of args_schema"),
    ],
)
def test_fields_that_cannot_be_are_refused(make, running, fields, said):
    fn = make(args_schema=Lead) if "salary" in fields else make()
    with pytest.raises(errors.SutroInputError, match=said):
        fn.submit(pd.DataFrame(LEADS), fields=fields)
    with pytest.raises(
        errors.SutroInputError, match=said.replace("no column", "No row has a field")
    ):
        fn.submit(LEADS, fields=fields)
    with pytest.raises(
        errors.SutroInputError, match="cannot choose columns of a table behind a URL"
    ):
        make().submit("https://files.example/t.csv", fields=["a"])
    with pytest.raises(errors.SutroInputError, match="rows are strings"):
        make().submit(["a prompt"], fields=["a"])
    assert not posts(running, "batch-inference")


def test_a_schema_that_admits_any_field_sends_all(make, running):
    make(args_schema={**JSON, "additionalProperties": True}).submit(pd.DataFrame(LEADS))
    assert sent(running) == LEADS


class Aliased(BaseModel):
    text: str = Field(validation_alias=AliasChoices("query", "text"), serialization_alias="input")
    price: Decimal = Decimal("1.50")


def test_a_table_is_read_and_sent_as_the_model_says(make, running, tmp_path):
    fn = make(args_schema=Aliased)
    for name, data in sources(LEADS, tmp_path).items():
        running.requests.clear()
        fn.submit(data)
        assert sent(running) == [{"input": one["query"], "price": "1.50"} for one in LEADS], name
    running.requests.clear()
    fn.submit([Aliased(query="x"), {"text": "y"}])
    assert sent(running) == [{"input": "x", "price": "1.50"}, {"input": "y", "price": "1.50"}]


@modes
async def test_parts_have_the_same_rule_and_are_resumed_by_it(make, running, tmp_path, mode):
    fn, checkpoint = make(args_schema=Aliased), tmp_path / "c.json"
    table = pd.DataFrame(LEADS)
    running.faults.add("batch-inference", status=422, json={"detail": "no"}, skip=1)
    with pytest.raises(errors.SutroValidationError):
        await call(mode, fn, "submit_in_parts", table, 1, checkpoint=checkpoint)
    fn.client.policy = fn.client.policy.__class__(lookup_seconds=0.2)
    with pytest.raises(errors.SutroInputError, match="another args_schema"):
        SutroJobGroup.resume(checkpoint, table, client=fn.client)
    group = SutroJobGroup.resume(checkpoint, table, client=fn.client, args_schema=Aliased)
    assert len(group) == 2
    assert sent(running)[0] == {"input": "300 seats", "price": "1.50"}
    running.requests.clear()
    await call(mode, make(), "submit_in_parts", table, 1, fields={"q": "query"})
    assert sent(running) == [{"q": one["query"]} for one in LEADS]


@modes
async def test_the_clients_verb_takes_fields_too(make, running, mode):
    verb = "batch_run_function"
    await call(mode, make().client, verb, "any", pd.DataFrame(LEADS), fields=["query"])
    assert sent(running) == [{"query": one["query"]} for one in LEADS]


@modes
async def test_invoke_and_batch_refuse_a_surplus_field(make, running, mode):
    fn = make(args_schema=Lead)
    for method, data in (("invoke", LEADS[0]), ("batch", LEADS)):
        with pytest.raises(errors.SutroInputError, match="'email': unknown field"):
            await call(mode, fn, method, data)
    assert not running.requests


@pytest.mark.parametrize("data", [[], pd.DataFrame({"a": []}), pa.table({"a": pa.array([])})])
@modes
async def test_a_table_without_rows_is_refused_before_any_request(make, running, mode, data):
    for verb in (
        ("submit", data),
        ("submit_in_parts", data, 10),
    ):
        with pytest.raises(errors.SutroInputError, match=r"The table has no rows\."):
            await call(mode, make(), *verb)
    with pytest.raises(errors.SutroInputError, match=r"The table has no rows\."):
        await call(mode, make().client, "batch_run_function", "any", data)
    assert not running.requests


def test_job_tools_read_the_same_files():
    assert set(PLAIN_ENDINGS) == {".csv", ".tsv", ".jsonl", ".ndjson", ".parquet"}
