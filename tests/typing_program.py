"""A program that uses the public API, for mypy and pyright to check, and to run.

`assert_type` fails in the type checkers where a public type has changed; `main` runs the same lines
against a local deployment.
"""

import asyncio
from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Any, assert_type

from langchain_core.messages import ToolMessage
from langchain_core.runnables import Runnable, RunnableLambda
from pydantic import BaseModel

import langchain_sutro as so
from langchain_sutro import (
    BatchResults,
    FunctionResult,
    JobProgress,
    JobStatus,
    SutroClient,
    SutroFunction,
    SutroJob,
    SutroJobGroup,
    errors,
)
from langchain_sutro.local import Answer, LocalDeployment


class Lead(BaseModel):
    query: str
    region: str


def judge(deployment: LocalDeployment) -> SutroFunction:
    def answer(lead: Lead) -> Answer:
        return Answer("qualified" if "seats" in lead.query else "not_qualified", confidence=0.9)

    deployment.publish(
        "judge",
        answer,
        input_schema=Lead,
        output_schema={"type": "string", "enum": ["qualified", "not_qualified"]},
    )
    assert_type(deployment.url, str)
    assert_type(deployment.environ, dict[str, str])
    return SutroFunction(
        "judge",
        api_url=deployment.url,
        api_key=deployment.api_key,
        args_schema=Lead,
        description="Is it a lead?",
        poll_interval=0.1,
        reuse_jobs=timedelta(hours=1),
    )


def single(function: SutroFunction, lead: dict[str, Any]) -> FunctionResult:
    result = function.client.run_function("judge", lead)
    assert_type(result, FunctionResult)
    assert_type(result.confidence, float | None)
    assert_type(result.rationale, str | None)
    assert_type(result.usage, dict[str, Any] | None)
    assert_type(result.predictions, list[dict[str, Any]] | None)
    assert_type(result.request_id, str | None)
    assert_type(function.batch([lead, Lead(query="40 seats", region="APAC")]), list[Any])
    function.invoke(Lead(query="40 seats", region="APAC"))
    return result


def pipeline(function: SutroFunction) -> list[str]:
    def prepare(text: str) -> dict[str, Any]:
        return {"query": text, "region": "APAC"}

    def answer(result: FunctionResult) -> str:
        return str(result.answer)

    chain: Runnable[str, str] = RunnableLambda(prepare) | function | RunnableLambda(answer)
    careful = function.require_confidence(0.5).with_fallbacks([RunnableLambda(lambda row: row)])
    careful.invoke({"query": "40 seats", "region": "APAC"})
    assert_type(function.require_confidence(0.5), SutroFunction)
    assert_type(function.gathered(quiet=0.1, max_rows=100, max_wait=1.0), SutroFunction)
    assert_type(so.one_job(chain), so.OneJob)
    assert_type(so.one_job(chain).plan(), list[so.FunctionPlan])
    return assert_type(chain.batch(["40 seats", "hello"]), list[str])


def table(function: SutroFunction, lead: dict[str, Any]) -> BatchResults:
    def seen(known: JobProgress) -> None:
        assert_type(known.rows_done, int)

    job = function.submit([lead] * 3)
    assert_type(job, SutroJob)
    assert_type(job.job_id, str)
    assert_type(job.wait(on_progress=seen), SutroJob)
    assert_type(job.status(), JobStatus)
    assert_type(job.cost_estimate(), float | None)
    results = job.results()
    assert_type(results, BatchResults)
    assert_type(results[0], FunctionResult | errors.SutroRowError)
    assert_type(results[:2], list[FunctionResult | errors.SutroRowError])
    assert_type(iter(results), Iterator[FunctionResult | errors.SutroRowError])
    assert_type(results.errors, list[errors.SutroRowError])
    for result in results.ok:
        assert_type(result, FunctionResult)
    assert_type(results.answers, Iterable[Any])
    assert_type(results.to_csv("r.csv"), None)
    assert_type(results.summary().cost, float | None)
    assert_type(SutroJob.from_dict(job.to_dict(), client=function.client), SutroJob)
    assert_type(function.submit_in_parts([lead], 1), SutroJobGroup)
    return results


def tool(function: SutroFunction, lead: dict[str, Any]) -> ToolMessage:
    called = function.as_tool().invoke(
        {"type": "tool_call", "id": "1", "name": "judge", "args": lead}
    )
    assert isinstance(called, ToolMessage)
    return called


def verbs(lead: dict[str, Any]) -> None:
    assert_type(so.run_function("judge", lead), FunctionResult)
    job_id = so.batch_run_function("judge", [lead], id_column=None)
    assert_type(job_id, str)
    assert_type(so.get_job_status(job_id), JobStatus)
    so.await_job_completion(job_id)
    assert_type(so.list_jobs(), list[dict[str, Any]])
    assert_type(so.get_quotas(), list[dict[str, Any]])
    assert_type(so.results_download_url(job_id), dict[str, Any])
    assert_type(so.try_authentication(), dict[str, Any])
    so.attach(job_id)


def wrong_calls(client: SutroClient) -> None:
    """What the type checkers refuse; never run."""
    so.run_function("judge")  # type: ignore[call-arg]
    so.get_job_status(job="job-1")  # type: ignore[call-arg]
    client.download_job_results("job-1", resume="yes")  # type: ignore[arg-type]
    client.aget_job_status(7)  # type: ignore[arg-type, unused-coroutine]


async def asynchronous(client: SutroClient, function: SutroFunction, lead: dict[str, Any]) -> None:
    assert_type(await client.arun_function("judge", lead), FunctionResult)
    assert_type(await function.abatch([lead, lead]), list[Any])
    job = await function.asubmit([lead])
    assert_type(await job, SutroJob)
    assert_type(await job.aresults(), BatchResults)
    assert_type(await job.aprogress(), JobProgress)
    assert_type(await client.abatch_run_function("judge", [lead]), str)
    assert_type(await client.aget_job_status(job.job_id), JobStatus)
    assert_type(await client.atry_authentication(), dict[str, Any])


def failing(function: SutroFunction) -> errors.SutroError:
    try:
        function.invoke({"query": 5})
    except errors.SutroInputError as error:
        assert_type(error.row_index, int | None)
        assert_type(error.column, str | None)
        return error
    except errors.SutroAPIError as error:
        assert_type(error.status_code, int)
        return error
    raise AssertionError("nothing was raised")


def main(deployment: LocalDeployment) -> None:
    function = judge(deployment)
    lead = {"query": "40 seats", "region": "APAC"}
    assert single(function, lead).answer == "qualified"
    assert pipeline(function) == ["qualified", "not_qualified"]
    assert len(table(function, lead)) == 3
    assert "qualified" in tool(function, lead).text
    verbs(lead)
    asyncio.run(asynchronous(function.client, function, lead))
    assert "region" in str(failing(function))
