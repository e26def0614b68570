"""Tools in real agents: what a run survives, what ends it, and what each agent's run is given."""

import asyncio
import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from langchain.agents import create_agent
from langchain_core.messages import HumanMessage, ToolMessage
from pydantic import BaseModel

from langchain_sutro import SutroFunction
from langchain_sutro.errors import (
    SutroNotFoundError,
    SutroRateLimitError,
    SutroServerError,
    SutroTimeoutError,
)
from tests.support.tool_calls import LEAD, Scripted, agent_for, both_ways, call, run


class Lead(BaseModel):
    """Decides whether a sales lead is qualified."""

    query: str
    region: str


def answers(messages):
    return [message for message in messages if isinstance(message, ToolMessage)]


@pytest.fixture
def make(deployment):
    """A tool that gives up at once."""

    def make(name="lead-qualifier", timeout=None):
        function = SutroFunction(
            name,
            api_url=deployment.url,
            api_key=deployment.api_key,
            max_retries=0,
            timeout=timeout,
        )
        return function.as_tool(Lead)

    return make


places = pytest.mark.parametrize("place", ["agent", "node"])


MENDED = {
    "missing": ({"query": "300 seats"}, "'region': field required"),
    "unknown": ({**LEAD, "budget": 1}, "'budget': unknown field"),
    "wrong type": ({**LEAD, "query": ["300 seats"]}, "'query': Input should be a valid string"),
}


@places
@both_ways
async def test_a_good_call_is_answered(make, place, sync):
    tool = make()
    [message] = answers(await run(place, tool, call(tool, LEAD), sync=sync))
    assert message.status == "success"
    assert json.loads(message.content)["answer"] == "qualified"
    assert message.artifact["output"]["label"] == "qualified"


@places
@both_ways
@pytest.mark.parametrize("what", MENDED)
async def test_a_run_survives_what_its_model_can_mend(deployment, make, what, place, sync):
    tool = make()
    wrong, said = MENDED[what]
    calls = [call(tool, wrong, "a"), call(tool, LEAD, "b")]
    messages = await run(place, tool, *calls, sync=sync)
    first, second = answers(messages)
    assert (first.status, second.status) == ("error", "success")
    assert said in first.content
    assert "Correct the arguments and call the tool again." in first.content
    assert len(deployment.requests) == 1
    assert messages[-1].content == ("done" if place == "agent" else second.content)


ENDED = {
    "unknown Function": ({}, SutroNotFoundError),
    "429": ({"status": 429}, SutroRateLimitError),
    "502": ({"status": 502, "html": "<h1>Bad gateway</h1>"}, SutroServerError),
    "timeout": ({"delay": 5.0}, SutroTimeoutError),
}


@places
@both_ways
@pytest.mark.parametrize("what", ENDED)
async def test_a_run_ends_with_what_its_model_cannot_mend(deployment, make, what, place, sync):
    fault, error = ENDED[what]
    if fault:
        deployment.faults.add("/functions/*/run", times=9, **fault)
    timeout = 1.0 if "delay" in fault else None
    tool = make("lead-qualifier" if fault else "no-such-function", timeout=timeout)
    with pytest.raises(error):
        await run(place, tool, call(tool, LEAD), sync=sync)
    assert len(deployment.requests) == 1


def test_the_model_is_told_the_fields_and_no_more(make):
    model = Scripted(calls=[])
    create_agent(model, [make()]).invoke({"messages": [HumanMessage("Hello")]})
    [described] = model.tools
    assert described["function"]["name"] == "lead-qualifier"
    assert described["function"]["description"] == Lead.__doc__
    assert described["function"]["parameters"]["properties"].keys() == {"query", "region"}


def test_two_agents_on_two_loops_and_twenty_threads_share_one_tool(make, langsmith_recorder):
    tool = make()
    agents = [agent_for(tool, call(tool, LEAD, name)) for name in ("one", "two")]

    def config(number):
        return {"metadata": {"number": number}, "tags": [f"number-{number}"]}

    def given(number):
        return {"messages": [HumanMessage(f"Lead {number}?")]}

    async def on_loop(agent, start):
        numbers = range(start, start + 10)
        runs = [agent.ainvoke(given(number), config(number)) for number in numbers]
        return await asyncio.gather(*runs)

    with ThreadPoolExecutor(22) as pool:
        loops = [
            pool.submit(asyncio.run, on_loop(agent, start))
            for agent, start in zip(agents, (100, 200), strict=True)
        ]
        threads = [
            pool.submit(agents[number % 2].invoke, given(number), config(number))
            for number in range(20)
        ]
        states = [state for loop in loops for state in loop.result()]
        states += [thread.result() for thread in threads]
    for state in states:
        [message] = answers(state["messages"])
        assert (message.status, state["messages"][-1].content) == ("success", "done")
    langsmith_recorder.wait()
    inner = langsmith_recorder.by_name("lead-qualifier")
    inner = [one for one in inner if one["run_type"] == "llm"]
    expected = [*range(20), *range(100, 110), *range(200, 210)]
    assert Counter(one["extra"]["metadata"]["number"] for one in inner) == Counter(expected)
    for one in inner:
        number = one["extra"]["metadata"]["number"]
        assert [tag for tag in one["tags"] if tag.startswith("number")] == [f"number-{number}"]
        root = langsmith_recorder.runs[one["trace_id"]]
        assert f"Lead {number}?" in json.dumps(root["inputs"])
