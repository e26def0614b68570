"""A graph with a Function as a node, and an edge that depends on its confidence."""

from typing import TypedDict

from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph

from langchain_sutro import FunctionResult, SutroFunction

qualify = SutroFunction("lead-qualifier")


class State(TypedDict, total=False):
    lead: dict
    verdict: FunctionResult
    decision: str


def judge(state: State) -> State:
    return {"verdict": qualify.invoke(state["lead"])}


def sure(state: State) -> str:
    return "decide" if state["verdict"].confidence >= 0.8 else "ask"


graph = StateGraph(State)
graph.add_node("judge", judge)
graph.add_node("decide", lambda state: {"decision": state["verdict"].answer})
graph.add_node("ask", lambda state: {"decision": "ask a human"})
graph.add_edge(START, "judge")
graph.add_conditional_edges("judge", sure, ["decide", "ask"])
graph.add_edge("decide", END)
graph.add_edge("ask", END)
app = graph.compile(checkpointer=InMemorySaver())
for number, query in enumerate(["We need 200 seats by Friday", "Tell me more"]):
    thread = {"configurable": {"thread_id": str(number)}}
    app.invoke({"lead": {"query": query, "region": "AMER"}}, thread)
    print(app.get_state(thread).values["decision"])
