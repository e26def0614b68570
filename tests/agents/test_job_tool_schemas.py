"""Rows and files of the tools for long jobs are checked as those of calls."""

import datetime as dt
from typing import Literal

import pytest
from pydantic import AliasChoices, BaseModel, ConfigDict, Field, computed_field

from langchain_sutro import SutroFunction
from tests.support.job_tools import both_ways, sent_rows, told, tools_of


class Lead(BaseModel):
    model_config = ConfigDict(strict=True)
    text: str = Field(validation_alias=AliasChoices("query", "text"), serialization_alias="query")
    region: Literal["APAC", "EMEA"] = "APAC"
    since: dt.date | None = Field(default=None, exclude=True)

    @computed_field
    @property
    def words(self) -> int:
        """The number of words."""
        return len(self.text.split())


@pytest.fixture
def echo(deployment):
    schema = {"type": "object", "properties": {}, "additionalProperties": True}
    deployment.publish("echo", lambda _: "x", input_schema=schema, output_schema={"type": "string"})
    return SutroFunction(
        "echo", api_url=deployment.url, api_key=deployment.api_key, args_schema=Lead
    )


@both_ways
async def test_rows_are_read_and_sent_as_the_model_says(deployment, echo, sync):
    rows = [{"query": "a b", "since": "2026-05-01"}, {"text": "c", "region": None}]
    status, _ = await told(tools_of(echo), "start_job", sync=sync, rows=rows)
    assert status == "success"
    assert sent_rows(deployment) == [
        {"query": "a b", "region": "APAC", "words": 2},
        {"query": "c", "region": "APAC", "words": 1},
    ]


@both_ways
async def test_a_file_is_read_and_sent_as_the_model_says(deployment, echo, tmp_path, sync):
    (tmp_path / "leads.csv").write_text("text,salary\na b,9\nc,8\n")
    tools = tools_of(echo, root=tmp_path)
    status, job = await told(tools, "start_job", sync=sync, file="leads.csv")
    assert (status, job["rows"]) == ("success", 2)
    assert sent_rows(deployment) == [
        {"query": "a b", "region": "APAC", "words": 2},
        {"query": "c", "region": "APAC", "words": 1},
    ]


@both_ways
async def test_a_value_of_a_file_that_does_not_fit_is_named(deployment, echo, tmp_path, sync):
    (tmp_path / "leads.csv").write_text("query,region\na,APAC\nb,Mars\n")
    tools = tools_of(echo, root=tmp_path)
    status, said = await told(tools, "start_job", sync=sync, file="leads.csv")
    assert status == "error"
    assert "row 1" in said
    assert "'region'" in said
    (tmp_path / "other.csv").write_text("region\nAPAC\n")
    status, said = await told(tools, "start_job", sync=sync, file="other.csv")
    assert status == "error"
    assert "The table's columns are: 'region'" in said
    assert deployment.jobs == []
