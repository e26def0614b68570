"""Calls of a tool as a model makes them, in an agent and in a bare ToolNode."""

from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.utils.function_calling import convert_to_openai_tool
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode

LEAD = {"query": "300 seats, PO attached", "region": "APAC"}


def call(tool, args, call_id="call-1"):
    return {"type": "tool_call", "name": tool.name, "args": args, "id": call_id}


def node(tools):
    """A bare ToolNode in a graph of its own."""
    graph = StateGraph(MessagesState)
    graph.add_node("tools", ToolNode(tools))
    graph.add_edge(START, "tools")
    graph.add_edge("tools", END)
    return graph.compile()


def asking(*calls):
    return {"messages": [AIMessage("", tool_calls=list(calls))]}


class Scripted(BaseChatModel):
    """Makes these calls, one after the other, and then is done; any number of runs share it."""

    calls: list[dict[str, Any]]
    tools: list[Any] = []

    @property
    def _llm_type(self):
        return "scripted"

    def bind_tools(self, tools, **kwargs):
        self.tools.extend(convert_to_openai_tool(tool) for tool in tools)
        return self

    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        made = sum(isinstance(message, ToolMessage) for message in messages)
        calls = [] if made == len(self.calls) else [self.calls[made]]
        message = AIMessage("" if calls else "done", tool_calls=calls)
        return ChatResult(generations=[ChatGeneration(message=message)])


def agent_for(tool, *calls):
    return create_agent(Scripted(calls=list(calls)), [tool])


async def run(place, tool, *calls, sync):
    """The messages after a real agent, or a bare ToolNode, has made the calls."""
    if place == "agent":
        graph, given = agent_for(tool, *calls), {"messages": [HumanMessage("Is it qualified?")]}
    else:
        graph, given = node([tool]), asking(*calls)
    return (graph.invoke(given) if sync else await graph.ainvoke(given))["messages"]


both_ways = pytest.mark.parametrize("sync", [True, False], ids=["sync", "async"])
