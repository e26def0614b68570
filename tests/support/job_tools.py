"""The tools of a job toolkit: what a model may call, and what it reads."""

import json

import pytest
from langchain_core.messages import ToolMessage
from pydantic import BaseModel

from langchain_sutro.agents.job_toolkit import SutroJobToolkit

LEADS = [
    {"query": "300 seats, PO attached, budget approved", "region": "APAC"},
    {"query": "Please unsubscribe me", "region": "EMEA"},
    {"query": "Quote for 40 seats this week please", "region": "AMER"},
]


class Lead(BaseModel):
    query: str
    region: str


def tools_of(function, **limits):
    toolkit = SutroJobToolkit(function=function, prefix="", **limits)
    return {tool.name: tool for tool in toolkit.get_tools()}


def as_call(tool, **arguments):
    return {"type": "tool_call", "name": tool.name, "args": arguments, "id": "call-1"}


async def told(tools, name, *, sync=True, config=None, **arguments):
    """What a model is told: the message's status, and its content."""
    call = as_call(tools[name], **arguments)
    message = tools[name].invoke(call, config) if sync else await tools[name].ainvoke(call, config)
    assert isinstance(message, ToolMessage)
    return message.status, json.loads(message.content) if message.status == "success" else (
        message.content
    )


def full_jobs(deployment):
    return [job for job in deployment.jobs if job["run_type"] == "FULL"]


def sent_rows(deployment):
    [request] = [one for one in deployment.requests if one.path.endswith("batch-inference")]
    return request.body["inputs"]


both_ways = pytest.mark.parametrize("sync", [True, False], ids=["sync", "async"])
