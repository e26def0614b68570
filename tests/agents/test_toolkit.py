"""Several Functions as tools: where they come from, what they are called, what they share."""

import json
import pickle

import httpx
import pytest
from langchain.agents import create_agent
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, ToolMessage
from pydantic import BaseModel, Field

from langchain_sutro import SutroFunction
from langchain_sutro.agents.manifest import dump_manifest
from langchain_sutro.agents.toolkit import SutroToolkit
from langchain_sutro.errors import SutroConfigurationError, SutroError
from langchain_sutro.functions.tool import SutroTool
from langchain_sutro.local import LocalDeployment

SAMPLES = ["lead-qualifier", "lead-extractor", "any-question"]
LEAD = {"query": "300 seats, PO attached", "region": "APAC"}
TEXT = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}


class Lead(BaseModel):
    """Decides whether a sales lead is qualified."""

    query: str = Field(description="What the lead wrote")
    region: str


class ScriptedModel(GenericFakeChatModel):
    """Says what the script says, and takes any tools."""

    def bind_tools(self, tools, **kwargs):
        return self


def names(toolkit):
    return [tool.name for tool in toolkit.get_tools()]


@pytest.fixture
def at(deployment):
    return {"api_url": deployment.url, "api_key": deployment.api_key}


def test_functions_become_tools_in_their_order(at):
    toolkit = SutroToolkit(
        functions=[
            SutroFunction("lead-qualifier", args_schema=Lead, **at),
            SutroFunction("lead-extractor", args_schema=TEXT, description="Extracts.", **at),
        ]
    )
    tools = toolkit.get_tools()
    assert [type(tool) for tool in tools] == [SutroTool, SutroTool]
    assert names(toolkit) == ["lead-qualifier", "lead-extractor"]
    assert json.loads(tools[0].invoke(LEAD))["answer"] == "qualified"


def test_names_with_schemas_share_settings(at):
    toolkit = SutroToolkit.from_schemas(
        {"lead-qualifier": Lead, "lead-extractor": TEXT},
        descriptions={"lead-extractor": "Extracts."},
        max_retries=7,
        **at,
    )
    assert [one.max_retries for one in toolkit.functions] == [7, 7]
    assert [tool.description for tool in toolkit.get_tools()] == [Lead.__doc__, "Extracts."]
    assert json.loads(toolkit.get_tools()[0].invoke(LEAD))["answer"] == "qualified"


@pytest.mark.parametrize("form", ["dict", "json", "yaml"])
def test_a_manifest_becomes_tools(at, tmp_path, form):
    manifest = {
        "version": 1,
        "settings": {"timeout": 20, "max_retries": 2},
        "functions": [
            {
                "name": "lead-extractor",
                "description": "Extracts.",
                "args_schema": TEXT,
                "tool_name": "extract",
                "output": "answer",
                "settings": {"timeout": 40},
            }
        ],
    }
    source = manifest
    if form != "dict":
        source = tmp_path / f"functions.{form}"
        source.write_text(dump_manifest(manifest, form))
    toolkit = SutroToolkit.from_manifest(source, max_retries=4, **at)
    function = toolkit.functions[0]
    assert (function.timeout, function.max_retries, function.output) == (40, 4, "answer")
    assert names(toolkit) == ["extract"]
    assert "company" in json.loads(toolkit.get_tools()[0].invoke({"text": "Acme GmbH"}))["answer"]


def test_a_deployment_in_this_process_tells_its_functions(deployment):
    toolkit = SutroToolkit.from_deployment(deployment)
    assert names(toolkit) == SAMPLES
    assert deployment.requests == []
    assert json.loads(toolkit.get_tools()[0].invoke(LEAD))["answer"] == "qualified"


async def test_a_deployment_elsewhere_is_asked_for_its_functions(deployment, at, monkeypatch):
    asked = [SutroToolkit.from_deployment(**at), await SutroToolkit.afrom_deployment(**at)]
    for name, value in deployment.environ.items():
        monkeypatch.setenv(name, value)
    asked += [SutroToolkit.from_deployment(), await SutroToolkit.afrom_deployment(deployment)]
    assert [names(toolkit) for toolkit in asked] == [SAMPLES] * 4
    assert len(deployment.requests) == 3
    answer = await asked[1].get_tools()[0].ainvoke(LEAD)
    assert json.loads(answer)["answer"] == "qualified"


def test_a_function_without_docstring_is_published_all_the_same(deployment):
    deployment.publish("bare", lambda row: "x", input_schema=TEXT, output_schema={"type": "string"})
    assert SutroToolkit.from_deployment(deployment).get_tools()[-1].description


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (404, {"detail": "not found"}, SutroConfigurationError),
        (200, {"functions": [{"name": "x"}]}, SutroError),
        (200, {}, SutroError),
    ],
)
def test_a_service_that_tells_no_functions_is_an_error(status, body, kind):
    answering = httpx.MockTransport(lambda _: httpx.Response(status, json=body))
    with httpx.Client(transport=answering) as client, pytest.raises(kind) as caught:
        SutroToolkit.from_deployment(
            api_url="https://sutro.example.com", api_key="sk-secret", http_client=client
        )
    assert "sk-secret" not in str(caught.value)


def schemas(*functions):
    return dict.fromkeys(functions, Lead)


def test_names_that_become_the_same_are_kept_apart():
    toolkit = SutroToolkit.from_schemas(schemas("a.b", "a b", "a-b"))
    first, second, third = names(toolkit)
    assert (first, third) == ("a_b", "a-b")
    assert second.startswith("a_b_")
    assert [tool.metadata["sutro_function"] for tool in toolkit.get_tools()] == [
        "a.b",
        "a b",
        "a-b",
    ]
    again = SutroToolkit.from_schemas(schemas("a.b", "a b", "a-b"))
    assert names(again) == names(toolkit)


def test_a_given_name_is_taken_before_a_made_one():
    functions = [SutroFunction(name, args_schema=Lead) for name in ("a.b", "c")]
    toolkit = SutroToolkit(functions=functions, names={"c": "a_b"})
    assert names(toolkit)[1] == "a_b"
    assert names(toolkit)[0].startswith("a_b_")


def test_long_names_stay_within_the_limit_and_apart():
    toolkit = SutroToolkit.from_schemas(schemas("x" * 64, "x" * 63 + ".", "y" * 90))
    assert len(set(names(toolkit))) == 3
    assert all(len(name) <= 64 for name in names(toolkit))


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"names": {"z": "x"}}, "'z', which is not a Function here"),
        ({"names": {"a": "x", "b": "x"}}, "same name"),
        ({"names": {"a": "not valid"}}, "not a valid tool name"),
    ],
)
def test_a_wrong_name_is_an_error(fields, said):
    functions = [SutroFunction(name, args_schema=Lead) for name in "ab"]
    with pytest.raises(SutroConfigurationError, match=said):
        SutroToolkit(functions=functions, **fields)


def test_the_same_function_twice_is_an_error():
    with pytest.raises(SutroConfigurationError, match="'a' is in the toolkit twice"):
        SutroToolkit(functions=[SutroFunction("a", args_schema=Lead)] * 2)


def test_a_function_whose_fields_are_unknown_is_an_error():
    with pytest.raises(SutroConfigurationError, match="fields of 'a' are unknown"):
        SutroToolkit(functions=[SutroFunction("a", description="d")])


def test_the_key_is_neither_shown_nor_pickled():
    toolkit = SutroToolkit.from_schemas(schemas("a"), api_key="sk-secret")
    assert "sk-secret" not in repr(toolkit)
    assert b"sk-secret" not in pickle.dumps(toolkit)


def test_tools_of_one_deployment_share_connections():
    with LocalDeployment() as deployment:
        for tool in SutroToolkit.from_deployment(deployment).get_tools()[:2]:
            tool.invoke(LEAD if tool.name == "lead-qualifier" else {"text": "Acme"})
        assert deployment.connections == 1


def test_an_agent_uses_the_tools(deployment):
    calls = [
        {"name": "lead-qualifier", "args": LEAD, "id": "1"},
        {"name": "lead-extractor", "args": {"txt": "Acme"}, "id": "2"},
    ]
    model = ScriptedModel(
        messages=iter([AIMessage("", tool_calls=calls), AIMessage("They want 300 seats.")])
    )
    agent = create_agent(model, tools=SutroToolkit.from_deployment(deployment).get_tools())
    messages = agent.invoke({"messages": [("user", "Check this lead")]})["messages"]
    results = {m.tool_call_id: m for m in messages if isinstance(m, ToolMessage)}
    assert json.loads(results["1"].content)["answer"] == "qualified"
    assert results["2"].status == "error"
    assert "'text': field required" in results["2"].content
