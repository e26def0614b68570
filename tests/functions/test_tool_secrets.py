"""No key, prompt or presigned URL reaches a model, an artifact, a trace, a log or an error."""

import asyncio
import json
import logging
import traceback
from dataclasses import replace

import pytest
from pydantic import BaseModel

from langchain_sutro import SutroFunction, wait_for_job_traces
from langchain_sutro.agents.job_toolkit import SutroJobToolkit
from langchain_sutro.errors import SutroError
from tests.support.tool_calls import LEAD, both_ways, call, run

PROMPT = "You are a judge, and this is the secret prompt."
HTTP = {"max_retries": 0, "timeout": 1.0, "poll_interval": 0.1}


class Lead(BaseModel):
    """Decides whether a sales lead is qualified."""

    query: str
    region: str


@pytest.fixture
def secrets(deployment):
    deployment.publish(
        "prompted",
        lambda row: {"label": "yes"},
        input_schema=Lead,
        output_schema={"type": "object", "properties": {"label": {"type": "string"}}},
        prompt=PROMPT,
    )
    return (deployment.api_key, PROMPT, "secret prompt", "signature=", "X-Amz-", "Bearer ")


def give_up_soon(client):
    client.policy = replace(client.policy, lookup_seconds=0.1, outage_seconds=0.1, lag_seconds=0.1)


class Told(list):
    """Everything that a caller gets to see, errors with all that led to them."""

    async def call(self, tool, given, *, how):
        try:
            self.append(await _call(tool, given, how))
        except SutroError as error:
            self.append("".join(traceback.format_exception(error)))
            self.append([repr(error), vars(error)])


async def _call(tool, given, how):
    if how == "invoke":
        return await asyncio.to_thread(tool.invoke, given)
    if how == "ainvoke":
        return await tool.ainvoke(given)
    if how == "batch":
        return await asyncio.to_thread(tool.batch, [given, LEAD])
    return await tool.abatch([given, LEAD])


def everything(told, recorder, caplog):
    """All of it as one text."""
    assert wait_for_job_traces(30)
    recorder.wait()
    for job in recorder.ordered():
        # Jobs whose results nobody could fetch.
        job.setdefault("end_time", job["start_time"])
    return repr(told) + json.dumps(recorder.ordered(), default=str) + caplog.text


FAULTS = {
    "none": {},
    "401": {"status": 401, "json": {"detail": "no"}},
    "429": {"status": 429},
    "502": {"status": 502, "html": "<h1>Bad gateway</h1>"},
    "timeout": {"delay": 1.6},
    "cut off": {"truncate": "connection"},
    "reset": {"reset": "after"},
}


@pytest.mark.parametrize("generation", ["hosted", "deployment"])
@pytest.mark.parametrize("how", ["invoke", "ainvoke", "batch", "abatch"])
async def test_a_functions_tool_tells_no_secret(
    deployment, secrets, langsmith_recorder, caplog, how, generation
):
    caplog.set_level(logging.DEBUG, logger="langchain_sutro")
    told = Told()
    for fault in FAULTS.values():
        deployment.faults.clear()
        if fault:
            path = "batch-inference" if "batch" in how else "*"
            deployment.faults.add(path, times=None, **fault)
        function = SutroFunction(
            "prompted",
            api_url=deployment.url,
            api_key=deployment.api_key,
            generation=generation,
            args_schema=Lead,
            **HTTP,
        )
        tool = function.as_tool()
        give_up_soon(tool.function.client)
        told.append([repr(tool), repr(function), tool.args])
        await told.call(tool, call(tool, LEAD), how=how)
        await told.call(tool, LEAD, how=how)
        if not fault:
            await told.call(tool, call(tool, {"query": "?"}), how=how)
    found = everything(told, langsmith_recorder, caplog)
    assert "yes" in found
    assert ("SubmissionUnknownError" if "batch" in how else "SutroTimeoutError") in found
    for secret in secrets:
        assert secret not in found


@both_ways
@pytest.mark.parametrize("what", FAULTS)
async def test_a_job_tool_tells_no_secret(
    deployment, secrets, langsmith_recorder, monkeypatch, caplog, what, sync
):
    # Results come as a file behind a presigned URL, however few.
    monkeypatch.setattr("langchain_sutro._core.jobs.calls._FEW_ROWS", 0)
    caplog.set_level(logging.DEBUG, logger="langchain_sutro")
    function = SutroFunction(
        "prompted",
        args_schema=Lead,
        api_url=deployment.url,
        api_key=deployment.api_key,
        **HTTP,
    )
    toolkit = SutroJobToolkit(function=function, prefix="")
    give_up_soon(toolkit.function.client)
    tools = {one.name: one for one in toolkit.get_tools()}
    how, told = "invoke" if sync else "ainvoke", Told()
    await told.call(tools["start_job"], call(tools["start_job"], {"rows": [LEAD]}), how=how)
    job_id = told[0].artifact["job_id"]
    for name, more in (("job_status", {"wait_seconds": 30}), ("fetch_results", {})):
        if name == "fetch_results" and FAULTS[what]:
            deployment.faults.add("storage/*", times=None, **FAULTS[what])
            # What is tried next.
            deployment.faults.add("job-results", times=None, status=502)
        tool = tools[name]
        await told.call(tool, call(tool, {"job_id": job_id, **more}), how=how)
    assert any(request.path.startswith("/storage") for request in deployment.requests)
    found = everything(told, langsmith_recorder, caplog)
    assert ('"yes"' in found) is (what == "none")
    for secret in secrets:
        assert secret not in found


@both_ways
async def test_an_agents_messages_and_trace_tell_no_secret(
    deployment, secrets, langsmith_recorder, caplog, sync
):
    function = SutroFunction(
        "prompted", api_url=deployment.url, api_key=deployment.api_key, generation="hosted"
    )
    tool = function.as_tool(Lead)
    calls = [call(tool, {"query": "?"}, "a"), call(tool, LEAD, "b")]
    messages = await run("agent", tool, *calls, sync=sync)
    found = everything(messages, langsmith_recorder, caplog)
    assert '"yes"' in messages[-2].content
    for secret in secrets:
        assert secret not in found
