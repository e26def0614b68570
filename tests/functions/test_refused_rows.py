"""Rows that the service refuses take no others down."""

import json

import httpx
import pytest
from langchain_core.runnables import RunnableLambda

from langchain_sutro import SutroFunction, SutroRouter
from langchain_sutro._core.service.refused_rows import refused_rows
from langchain_sutro.errors import SutroValidationError
from tests.support.calls import LEAD, call, modes, posts
from tests.support.transport import Recorder

BAD = {"query": "no region"}


@pytest.fixture
def qualify(deployment):
    return SutroFunction("lead-qualifier", api_url=deployment.url, api_key=deployment.api_key)


def judge(service):
    return SutroFunction(
        "judge",
        api_url="https://d.example",
        api_key="k",
        http_client=httpx.Client(transport=service),
        http_async_client=httpx.AsyncClient(transport=service),
    )


@modes
async def test_refused_rows_keep_the_error_and_the_rest_is_one_job(deployment, qualify, mode):
    rows = [LEAD, BAD, LEAD, {"region": "APAC"}, BAD, LEAD]
    results = await call(mode, qualify, "batch", rows, return_exceptions=True)
    expected = qualify.invoke(LEAD).answer
    assert [one.answer for one in (results[0], results[2], results[5])] == [expected] * 3
    for index in (1, 3, 4):
        assert isinstance(results[index], SutroValidationError)
        assert f"row {index}:" in str(results[index])
        assert results[index].status_code == 422
    assert "region" in str(results[1])
    assert "query" in str(results[3])
    assert len(deployment.jobs) == 1
    assert len(posts(deployment, "batch-inference")) == 2


@modes
async def test_without_return_exceptions_the_first_refused_row_is_raised(deployment, qualify, mode):
    with pytest.raises(SutroValidationError, match="row 1:"):
        await call(mode, qualify, "batch", [LEAD, BAD])
    assert deployment.jobs == []
    assert len(posts(deployment, "batch-inference")) == 1


@modes
async def test_only_refused_rows_go_to_the_fallback(deployment, qualify, mode):
    safe = qualify.with_fallbacks([RunnableLambda(lambda _: "fallback")])
    first, second, third = await call(mode, safe, "batch", [LEAD, BAD, LEAD])
    assert second == "fallback"
    assert first.answer == third.answer != "fallback"
    assert len(deployment.jobs) == 1


@modes
async def test_a_router_keeps_its_other_rows(deployment, qualify, mode):
    router = SutroRouter(
        judge=qualify.assign_as("verdict"),
        branches={},
        fallback=RunnableLambda(lambda row: row["query"]),
    )
    results = await call(mode, router, "batch", [LEAD, BAD], return_exceptions=True)
    assert results[0] == LEAD["query"]
    assert isinstance(results[1], SutroValidationError)


@modes
async def test_a_batch_of_refused_rows_alone_makes_no_job(deployment, qualify, mode):
    results = await call(mode, qualify, "batch", [BAD] * 120, return_exceptions=True)
    assert all(isinstance(one, SutroValidationError) for one in results)
    assert deployment.jobs == []
    assert len(posts(deployment, "batch-inference")) == 3


@modes
async def test_rounds_are_bounded(mode):
    rounds = []

    def refuse(_):
        rounds.append(1)
        return httpx.Response(422, json={"detail": f"Row {len(rounds) % 2}: refused"})

    fn = judge(Recorder(refuse))
    rows = [{"a": n} for n in range(100)]
    results = await call(mode, fn, "batch", rows, return_exceptions=True)
    assert all(isinstance(one, SutroValidationError) for one in results)
    assert len(rounds) == 21


@modes
async def test_a_refusal_that_names_no_row_of_the_batch_is_the_error_of_all(mode):
    for detail in ("too many rows: 3 > 2", "Row 7: no such row", [{"loc": ["body", "model"]}]):
        service = Recorder(lambda _, detail=detail: httpx.Response(422, json={"detail": detail}))
        results = await call(mode, judge(service), "batch", [{"a": 1}] * 3, return_exceptions=True)
        assert len(service.seen) == 1
        assert all(isinstance(one, SutroValidationError) for one in results)


@pytest.mark.parametrize(
    ("detail", "rows"),
    [
        ("Row 3: missing 'x'.", {3: "missing 'x'"}),
        ("Rows 1, 2 and 9: unknown field. Row 4: empty", {1: "unknown field", 4: "empty"}),
        ("inputs.5.region is missing", {5: "region is missing"}),
        ("inputs[6]: missing", {6: "missing"}),
        (
            [{"loc": ["body", "inputs", 2, "region"], "msg": "Field required", "type": "missing"}],
            {2: "region: Field required"},
        ),
        ([{"row": 4, "message": "bad"}, {"msg": "Row 5: worse"}, "row 6 bad"], {4: "bad"}),
        ("the quota is 1000 rows, 3 are too many", {}),
        ("too many rows: 1200 > 1000", {}),
        ({"message": "no"}, {}),
        (None, {}),
        ([None, 7, {"loc": "x"}, {"loc": ["inputs", True]}], {}),
    ],
)
def test_rows_are_read_from_what_the_service_says(detail, rows):
    found = refused_rows(detail, "sk_key")
    assert rows.items() <= found.items()
    assert bool(found) is bool(rows)
    json.dumps(found)


def test_what_is_said_of_a_row_shows_no_key():
    assert "sk_hunter2" not in refused_rows("Row 1: bad key sk_hunter2", "sk_hunter2")[1]
