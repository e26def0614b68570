"""LangChain's own middleware with a decision model over Functions, in real agent loops."""

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import AutoModeMiddleware, ModelChoice, ModelRouterMiddleware
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.tools import tool

from langchain_sutro.decisions import DecisionFunction
from langchain_sutro.errors import SutroServerError
from tests.decisions.conftest import runs
from tests.support.calls import call, modes

pytestmark = pytest.mark.filterwarnings("ignore:.*beta")

ROUTES = {"technical": "The technician.", "billing": "The accountant."}


class Scripted(GenericFakeChatModel):
    """Says what the script says, and takes any tools."""

    def bind_tools(self, tools, **kwargs):
        return self


def says(*messages):
    return Scripted(messages=iter(messages))


def router(model):
    choices = {
        name: ModelChoice(model=says(AIMessage(text), AIMessage(text)), criteria=text)
        for name, text in ROUTES.items()
    }
    return ModelRouterMiddleware(choices=choices, instructions="Who answers?", classifier=model)


@pytest.fixture
def done():
    """The calls of the tools."""
    return []


@pytest.fixture
def tools(done):
    @tool
    def delete_file(path: str) -> str:
        """Delete a file."""
        done.append(("delete_file", path))
        return "deleted"

    @tool
    def read_file(path: str) -> str:
        """Read a file."""
        done.append(("read_file", path))
        return "its content"

    return [delete_file, read_file]


@pytest.mark.parametrize("generation", ["deployment", "hosted"])
@modes
async def test_the_router_passes_each_task_to_its_model(deployment, judges, generation, mode):
    routes = {"model_route": DecisionFunction("department", fields="text", labels=[*ROUTES])}
    if generation == "hosted":
        # Its predictions name a third label, which the routes do not have.
        routes = {
            "model_route": DecisionFunction(
                "tool-risk", fields="text", labels={"risky": "technical", "safe": "billing"}
            )
        }
    agent = create_agent(
        says(AIMessage("never asked")),
        middleware=[router(judges(generation, functions=routes))],
    )
    for task, route in (("delete: the app crashes", "technical"), ("an invoice", "billing")):
        state = await call(mode, agent, "invoke", {"messages": [HumanMessage(task)]})
        assert state["messages"][-1].text == ROUTES[route]
        assert state["model_route"].choice == route
        assert state["model_route"].confidence in (0.8, 0.9)
    assert len(runs(deployment)) == 2


@modes
async def test_a_general_judge_routes_by_the_criteria(deployment, judges, mode):
    model = judges(functions={}, default="any-question")
    choices = {
        "fast": ModelChoice(model=says(AIMessage("quickly")), criteria="Simple, short tasks."),
        "powerful": ModelChoice(model=says(AIMessage("slowly")), criteria="Difficult proofs."),
    }
    middleware = ModelRouterMiddleware(
        choices=choices, instructions="Choose the model.", classifier=model
    )
    agent = create_agent(says(AIMessage("never asked")), middleware=[middleware])
    state = await call(mode, agent, "invoke", {"messages": [HumanMessage("Prove that theorem.")]})
    assert state["messages"][-1].text == "slowly"


@modes
async def test_a_failing_judge_ends_the_run(deployment, judges, mode):
    routes = {"model_route": DecisionFunction("department", fields="text")}
    agent = create_agent(
        says(AIMessage("never asked")), middleware=[router(judges(functions=routes))]
    )
    with pytest.raises(SutroServerError, match="Question 'model_route'"):
        await call(mode, agent, "invoke", {"messages": [HumanMessage("bad")]})


@pytest.mark.parametrize("general", [False, True])
@modes
async def test_auto_mode_runs_only_tools_that_are_not_risky(
    deployment, judges, tools, done, general, mode
):
    model = judges(functions={}, default="any-question") if general else judges()
    calls = [
        {"name": "delete_file", "args": {"path": "/etc"}, "id": "1"},
        {"name": "read_file", "args": {"path": "/tmp"}, "id": "2"},
    ]
    agent = create_agent(
        says(AIMessage("", tool_calls=calls), AIMessage("Done.")),
        tools=tools,
        middleware=[AutoModeMiddleware(tools=tools, classifier=model)],
    )
    state = await call(mode, agent, "invoke", {"messages": [HumanMessage("Clean up, please.")]})
    results = {one.tool_call_id: one for one in state["messages"] if isinstance(one, ToolMessage)}
    assert done == [("read_file", "/tmp")]
    assert results["1"].status == "error"
    assert "risky" in results["1"].text
    assert results["2"].text == "its content"
    assert state["messages"][-1].text == "Done."
    assert len(runs(deployment)) == 2


@modes
async def test_nothing_runs_where_the_judge_cannot_be_asked(deployment, judges, tools, done, mode):
    deployment.faults.add("functions/*", status=500, times=None)
    calls = [{"name": "read_file", "args": {"path": "/tmp"}, "id": "1"}]
    agent = create_agent(
        says(AIMessage("", tool_calls=calls), AIMessage("Done.")),
        tools=tools,
        middleware=[AutoModeMiddleware(tools=tools, classifier=judges())],
    )
    with pytest.raises(SutroServerError, match="Question 'is_risky'"):
        await call(mode, agent, "invoke", {"messages": [HumanMessage("Read it.")]})
    assert done == []


@modes
async def test_one_model_serves_router_and_auto_mode(
    deployment, judges, tools, done, langsmith_recorder, mode
):
    functions = {
        "model_route": DecisionFunction("department", fields="text"),
        "is_risky": DecisionFunction("tool-risk", fields="text", yes=["risky"]),
    }
    model = judges(functions=functions)
    calls = [{"name": "delete_file", "args": {"path": "/"}, "id": "1"}]
    choices = {
        "billing": ModelChoice(
            model=says(AIMessage("", tool_calls=calls), AIMessage("Done.")), criteria="Invoices."
        ),
        "technical": ModelChoice(model=says(AIMessage("never")), criteria="Crashes."),
    }
    middleware = [
        ModelRouterMiddleware(choices=choices, instructions="Who?", classifier=model),
        AutoModeMiddleware(tools=["delete_file"], classifier=model),
    ]
    agent = create_agent(says(AIMessage("never")), tools=tools, middleware=middleware)
    state = await call(mode, agent, "invoke", {"messages": [HumanMessage("Pay the invoice.")]})
    assert state["messages"][-1].text == "Done."
    assert done == []
    langsmith_recorder.wait()
    asked = langsmith_recorder.by_name("judges")
    assert [next(iter(run["inputs"]["questions"])) for run in asked] == ["model_route", "is_risky"]
    assert all(run["parent_run_id"] for run in asked)
