"""Calls that cannot mean what they say, and rows whose own code raises."""

import datetime as dt
import json
import math
from pathlib import Path

import httpx
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from langchain_core.runnables import RunnableLambda
from pydantic import AliasChoices, BaseModel, ConfigDict, Field, RootModel, field_validator

from langchain_sutro import SutroClient, SutroFunction, SutroRouter, one_job
from langchain_sutro.errors import (
    SutroAPIError,
    SutroConfigurationError,
    SutroError,
    SutroInputError,
    SutroRowError,
)
from langchain_sutro.local import Answer
from tests.support.calls import LEAD, call, modes
from tests.support.transport import Recorder

TABLE = {"query": ["a"], "region": ["APAC"]}


@pytest.fixture
def qualify(deployment):
    return SutroFunction("lead-qualifier", api_url=deployment.url, api_key=deployment.api_key)


def batches(fn):
    """Everything of ours that has a `batch`."""
    tool = fn.as_tool({"type": "object", "properties": {"query": {}}}, description="Judges.")
    router = SutroRouter(judge=fn.assign_as("v"), branches={})
    realtime = fn.model_copy(update={"batch_mode": "realtime"})
    return [fn, realtime, tool, fn.assign_as("v"), fn.with_retry(), router, one_job(fn)]


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (pd.DataFrame(TABLE), "pandas.DataFrame: use submit"),
        (pl.DataFrame(TABLE), "polars.DataFrame: use submit"),
        (pa.table(TABLE), "pyarrow.Table: use submit"),
        (pd.Series(["a"]), "use submit"),
        (np.array(["a"]), "numpy.ndarray: use submit"),
        (Path("leads.csv"), "use submit"),
        (LEAD, "not a single dict"),
        ("text", "not a single str"),
        (b"text", "not a single bytes"),
        ({"a", "b"}, "not a set"),
        (7, "not a int"),
        (None, "not a NoneType"),
    ],
    ids=lambda value: type(value).__name__,
)
@modes
async def test_a_batch_of_anything_but_rows_is_refused_before_anything_is_sent(
    deployment, qualify, inputs, message, mode
):
    for runnable in batches(qualify):
        for options in ({}, {"return_exceptions": True}):
            with pytest.raises(SutroInputError, match=message):
                await call(mode, runnable, "batch", inputs, **options)
    if mode == "sync":
        with pytest.raises(SutroInputError, match=message):
            list(qualify.batch_as_completed(inputs))
    assert deployment.requests == []


@modes
async def test_other_iterables_of_rows_are_batches(qualify, mode):
    for inputs in ((LEAD, LEAD), (row for row in [LEAD, LEAD]), {1: LEAD, 2: LEAD}.values()):
        assert len(await call(mode, qualify, "batch", inputs)) == 2


def nested(levels):
    value = "x"
    for _ in range(levels):
        value = [value]
    return value


def cyclic():
    row = {"query": "x", "region": "APAC"}
    row["again"] = {"row": row}
    return row


class Loose(BaseModel):
    query: object = None
    region: str = "APAC"
    again: object = None


@pytest.mark.parametrize("schema", [None, Loose], ids=["none", "model"])
@pytest.mark.parametrize(
    "row",
    [cyclic(), *({"query": nested(n), "region": "APAC"} for n in (260, 1_000, 50_000))],
    ids=["cyclic", "260", "1000", "50000"],
)
@modes
async def test_rows_that_are_cyclic_or_too_deep_are_errors_of_this_package(
    deployment, row, schema, mode
):
    fn = SutroFunction(
        "lead-qualifier",
        api_url=deployment.url,
        api_key=deployment.api_key,
        args_schema=schema,
    )
    with pytest.raises(SutroInputError):
        await call(mode, fn, "invoke", row)
    results = await call(mode, fn, "batch", [row, LEAD], return_exceptions=True)
    assert isinstance(results[0], SutroInputError)
    assert not isinstance(results[1], Exception)
    tool = fn.as_tool(
        None if schema else {"type": "object", "properties": {name: {} for name in row}},
        description="Judges.",
    )
    request = {"name": tool.name, "args": row, "id": "1", "type": "tool_call"}
    message = await call(mode, tool, "invoke", request)
    assert message.status == "error"
    assert (await call(mode, tool, "batch", [request]))[0].status == "error"


@pytest.mark.parametrize("seconds", [math.inf, math.nan, -math.inf, 0])
def test_a_timeout_must_be_a_finite_number_of_seconds(deployment, seconds):
    made = {"api_url": deployment.url, "api_key": deployment.api_key}
    for name in ("timeout", "poll_interval"):
        with pytest.raises(ValueError, match=name):
            SutroFunction("lead-qualifier", **made, **{name: seconds})
    for make in (
        lambda: SutroClient(**made, timeout=seconds),
        lambda: SutroClient(**made).run_function("lead-qualifier", LEAD, timeout_seconds=seconds),
        lambda: SutroFunction("lead-qualifier", **made).invoke(LEAD, timeout=seconds),
    ):
        with pytest.raises(SutroError, match="timeout"):
            make()


@modes
async def test_what_a_callable_of_assign_as_raises_is_the_error_of_its_row(
    deployment, qualify, mode
):
    chain = qualify.assign_as("v", inputs=lambda row: {"query": row["q"], "region": "APAC"})
    rows = [{"q": "a"}, {}, {"q": "b"}]
    results = await call(mode, chain, "batch", rows, return_exceptions=True)
    assert isinstance(results[1], KeyError)
    assert [set(one) for one in (results[0], results[2])] == [{"q", "v"}] * 2
    assert len(deployment.jobs) == 1
    with pytest.raises(KeyError):
        await call(mode, chain, "batch", rows)
    assert len(deployment.jobs) == 1


@modes
@pytest.mark.parametrize("row", [None, 7, "hunter2", ["hunter2"], b"hunter2"])
async def test_assign_as_takes_rows_with_named_fields(deployment, qualify, row, mode):
    chain = qualify.assign_as("v")
    for name, given in (("invoke", row), ("batch", [row])):
        with pytest.raises(SutroInputError, match="assign_as needs rows with named fields") as said:
            await call(mode, chain, name, given)
        assert "hunter2" not in str(said.value)
    assert not deployment.jobs


class StopError(BaseException):
    """Like Ctrl-C, which asyncio would raise out of its loop at once."""


@modes
async def test_ctrl_c_in_a_callable_gets_through(qualify, mode):
    def stop(_):
        raise StopError

    for runnable in (
        qualify.assign_as("v", inputs=stop),
        SutroRouter(judge=qualify.assign_as("v", inputs=stop), branches={}),
    ):
        with pytest.raises(StopError):
            await call(mode, runnable, "batch", [LEAD], return_exceptions=True)


@pytest.mark.parametrize("way", ["invoke", "batch"])
@modes
async def test_a_router_compares_labels_as_guardrails_do(deployment, way, mode):
    answers = {"a": " Qualified\n", "b": "NOT_qualified", "c": "straße"}

    @deployment.function(name="label", input_schema={"type": "object", "properties": {"q": {}}})
    def label(row: dict) -> str:
        """Labels."""
        return answers[row["q"]]

    fn = SutroFunction("label", api_url=deployment.url, api_key=deployment.api_key)
    router = SutroRouter(
        judge=fn.assign_as("v"),
        branches={
            "qualified": RunnableLambda(lambda _: 1),
            "Not_Qualified": RunnableLambda(lambda _: 2),
            "STRASSE": RunnableLambda(lambda _: 3),
        },
    )
    rows = [{"q": name} for name in answers]
    if way == "batch":
        assert await call(mode, router, "batch", rows) == [1, 2, 3]
    else:
        assert [await call(mode, router, "invoke", row) for row in rows] == [1, 2, 3]


def test_branches_that_differ_only_in_case_are_a_configuration_error(qualify):
    same = RunnableLambda(lambda row: row)
    with pytest.raises(SutroConfigurationError, match="differ only in case"):
        SutroRouter(judge=qualify.assign_as("v"), branches={"Yes": same, "yes ": same})


class Verdict(BaseModel):
    label: str

    @field_validator("label")
    @classmethod
    def _check(cls, value: str) -> str:
        if value == "stop":
            raise StopError
        if value == "bad":
            raise KeyError(value)
        return value


@pytest.fixture
def echo(deployment):
    @deployment.function(
        name="echo",
        input_schema={"type": "object", "properties": {"label": {}}},
        output_schema={"type": "object", "properties": {"label": {}}},
    )
    def echo(row: dict) -> dict:
        """Gives back its field."""
        return Answer({"label": json.loads(row["label"])}, confidence=0.5)

    def make(**options):
        return SutroFunction("echo", api_url=deployment.url, api_key=deployment.api_key, **options)

    return make


@modes
async def test_what_a_validator_of_output_model_raises_is_the_error_of_its_row(
    deployment, echo, mode
):
    fn = echo(output_model=Verdict)
    rows = [{"label": f'"{label}"'} for label in ("good", "bad", "good")]
    results = await call(mode, fn, "batch", rows, return_exceptions=True)
    assert results[0] == results[2] == Verdict(label="good")
    assert isinstance(results[1], SutroRowError)
    assert "raised KeyError" in str(results[1])
    assert "bad" not in str(results[1])
    with pytest.raises(SutroError, match="raised KeyError"):
        await call(mode, fn, "invoke", rows[1])
    for options in ({}, {"return_exceptions": True}):
        with pytest.raises(StopError):
            await call(mode, fn, "batch", [{"label": '"stop"'}], **options)


class Aliased(BaseModel):
    model_config = ConfigDict(strict=True)
    when: dt.date = Field(validation_alias=AliasChoices("day", "label"))


class Days(RootModel[dict[str, list[dt.date]]]):
    pass


@pytest.mark.parametrize("way", ["invoke", "batch"])
async def test_an_output_model_reads_by_its_aliases_and_as_json(echo, way):
    def made(model, label):
        fn, row = echo(output_model=model), {"label": label}
        return fn.invoke(row) if way == "invoke" else fn.batch([row])[0]

    day = dt.date(2026, 5, 1)
    assert made(Aliased, '"2026-05-01"').when == day
    assert made(Days, '["2026-05-01"]').root == {"label": [day]}


BODY = (
    b'{"output":{"id":123456789012345678901234567890,"score":NaN,"text":"half \\ud83d",'
    b'"whole":"\\ud83d\\ude00","slash":"\\\\ud83d"},"confidence":NaN,"request_id":"rt_1"}'
)
OUTPUT = {
    "id": 123456789012345678901234567890,
    "score": None,
    "text": "half \ufffd",
    "whole": "\U0001f600",
    "slash": "\\ud83d",
}


def answering(content):
    service = Recorder(lambda _: httpx.Response(200, content=content))
    return SutroFunction(
        "judge",
        api_url="https://d.example",
        api_key="k",
        http_client=httpx.Client(transport=service),
        http_async_client=httpx.AsyncClient(transport=service),
    )


@modes
async def test_a_real_time_answer_stays_exact_and_survives_what_json_lacks(mode):
    fn = answering(BODY)
    result = await call(mode, fn, "invoke", {"a": 1})
    assert result == {"output": OUTPUT, "confidence": None, "request_id": "rt_1"}
    tool = fn.as_tool({"type": "object", "properties": {"a": {}}}, description="Judges.")
    assert json.loads(await call(mode, tool, "invoke", {"a": 1})) == {"answer": OUTPUT}


@pytest.mark.parametrize("levels", [300, 100_000])
@modes
async def test_a_real_time_answer_that_is_nested_too_deeply_is_an_error_of_the_tree(levels, mode):
    fn = answering(b'{"output":' + b"[" * levels + b"]" * levels + b"}")
    with pytest.raises(SutroAPIError, match="not the JSON object expected"):
        await call(mode, fn, "invoke", {"a": 1})
