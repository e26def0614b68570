"""A Function as a tool: what the model sees, what code gets, and what each error becomes."""

import json
import pickle

import pytest
from langchain_core.messages import ToolMessage
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import BaseTool, ToolException
from langchain_core.utils.function_calling import convert_to_openai_tool
from langchain_tests.integration_tests import ToolsIntegrationTests
from langchain_tests.unit_tests import ToolsUnitTests
from pydantic import BaseModel, Field, field_validator

from langchain_sutro import SutroFunction
from langchain_sutro.errors import (
    SutroConfigurationError,
    SutroInputError,
    SutroNotFoundError,
    SutroRateLimitError,
    SutroServerError,
    SutroTimeoutError,
)
from langchain_sutro.functions.tool import SutroTool, SutroToolError, tool_name
from tests.support.tool_calls import LEAD, asking, call, node


class Lead(BaseModel):
    """Decides whether a sales lead is qualified."""

    query: str = Field(description="What the lead wrote")
    region: str = Field(description="APAC, EMEA or AMER")


@pytest.fixture
def qualify(deployment):
    return SutroFunction("lead-qualifier", api_url=deployment.url, api_key=deployment.api_key)


@pytest.fixture
def tool(qualify):
    return qualify.as_tool(Lead)


async def use(tool, given, config=None, *, how):
    """Call a tool in one of the four ways."""
    if how == "invoke":
        return tool.invoke(given, config)
    if how == "ainvoke":
        return await tool.ainvoke(given, config)
    if how == "batch":
        return tool.batch([given], config)[0]
    return (await tool.abatch([given], config))[0]


hows = pytest.mark.parametrize("how", ["invoke", "ainvoke", "batch", "abatch"])


class TestUnit(ToolsUnitTests):
    """LangChain's own tests of what a tool is."""

    @property
    def tool_constructor(self):
        return SutroTool

    @property
    def tool_constructor_params(self):
        return {"function": "lead-qualifier", "args_schema": Lead}

    @property
    def tool_invoke_params_example(self):
        return LEAD

    @property
    def init_from_env_params(self):
        return (
            {"SUTRO_API_KEY": "sk_env", "SUTRO_API_URL": "https://sutro.example.com"},
            self.tool_constructor_params,
            {"sutro_api_key": "sk_env"},
        )


class TestIntegration(ToolsIntegrationTests):
    """LangChain's own tests of what a tool does."""

    @pytest.fixture(autouse=True)
    def _settings(self, deployment, monkeypatch):
        monkeypatch.setenv("SUTRO_API_URL", deployment.url)
        monkeypatch.setenv("SUTRO_API_KEY", deployment.api_key)

    @pytest.fixture
    def tool(self, _settings):
        return SutroTool(**self.tool_constructor_params)

    @property
    def tool_constructor(self):
        return SutroTool

    @property
    def tool_constructor_params(self):
        return {"function": "lead-qualifier", "args_schema": Lead}

    @property
    def tool_invoke_params_example(self):
        return LEAD


@hows
async def test_the_model_reads_short_json_and_code_gets_the_whole_payload(tool, how):
    message = await use(tool, call(tool, LEAD), how=how)
    assert isinstance(message, ToolMessage)
    assert message.status == "success"
    assert message.tool_call_id == "call-1"
    assert message.name == "lead-qualifier"
    said = json.loads(message.content)
    assert said.keys() == {"answer", "confidence", "rationale"}
    assert said["answer"] == "qualified"
    assert type(message.artifact) is dict
    assert message.artifact["output"]["label"] == "qualified"
    assert message.artifact["confidence"] == pytest.approx(said["confidence"], abs=1e-4)


@hows
async def test_a_plain_row_gives_the_content(tool, how):
    assert json.loads(await use(tool, LEAD, how=how))["answer"] == "qualified"


BAD_ARGUMENTS = {
    "missing": ({"query": "hello"}, "'region': field required"),
    "unknown": ({**LEAD, "budget": 3}, "'budget': unknown field"),
    "wrong type": ({**LEAD, "query": ["a"]}, "'query': Input should be a valid string"),
    "none at all": ({}, "Its fields are: query (string), region (string)"),
}


@hows
@pytest.mark.parametrize("what", BAD_ARGUMENTS)
async def test_wrong_arguments_are_told_to_the_model_and_nothing_is_sent(
    deployment, tool, what, how
):
    args, said = BAD_ARGUMENTS[what]
    message = await use(tool, call(tool, args), how=how)
    assert message.status == "error"
    assert said in message.content
    assert not deployment.requests


@hows
async def test_wrong_arguments_of_a_plain_row_are_raised(deployment, tool, how):
    with pytest.raises(SutroInputError, match="region"):
        await use(tool, {"query": "hello"}, how=how)
    assert not deployment.requests


@pytest.mark.parametrize("how", ["invoke", "ainvoke"])
async def test_what_the_service_says_of_the_input_is_told_to_the_model(deployment, qualify, how):
    loose = qualify.as_tool(
        {"type": "object", "properties": {"query": {}, "extra": {}}}, description="x"
    )
    message = await use(loose, call(loose, {"query": "hello"}), how=how)
    assert message.status == "error"
    assert "region" in message.content


@hows
async def test_a_low_confidence_is_told_to_the_model(qualify, how):
    picky = qualify.require_confidence(1.0).as_tool(Lead)
    message = await use(picky, call(picky, LEAD), how=how)
    assert message.status == "error"
    assert "confidence" in message.content


@pytest.mark.parametrize("how", ["invoke", "ainvoke"])
@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"status": 429}, SutroRateLimitError),
        ({"status": 502, "html": "<h1>Bad gateway</h1>"}, SutroServerError),
        ({"delay": 1.0}, SutroTimeoutError),
    ],
)
async def test_what_the_model_cannot_mend_is_raised(deployment, fault, error, how):
    function = SutroFunction(
        "lead-qualifier",
        api_url=deployment.url,
        api_key=deployment.api_key,
        max_retries=0,
        timeout=0.2 if "delay" in fault else None,
    )
    deployment.faults.add("/functions/*/run", times=9, **fault)
    tool = function.as_tool(Lead)
    with pytest.raises(error):
        await use(tool, call(tool, LEAD), how=how)


@hows
async def test_an_unknown_function_is_raised(deployment, how):
    function = SutroFunction("no-such", api_url=deployment.url, api_key=deployment.api_key)
    tool = function.as_tool(Lead)
    with pytest.raises(SutroNotFoundError):
        await use(tool, call(tool, LEAD), how=how)


def test_without_fields_the_error_says_what_to_give(qualify):
    with pytest.raises(SutroConfigurationError, match="args_schema"):
        qualify.as_tool(description="x")


def test_without_a_description_the_error_says_what_to_give(qualify):
    with pytest.raises(SutroConfigurationError, match="description"):
        qualify.as_tool(arg_types={"query": str, "region": str})


def test_fields_may_be_given_by_name_and_type(qualify):
    tool = qualify.as_tool(arg_types={"query": str, "region": str}, description="x")
    assert tool.args.keys() == {"query", "region"}
    assert json.loads(tool.invoke(LEAD))["answer"] == "qualified"


def test_the_functions_own_fields_and_description_are_the_tools(deployment):
    function = SutroFunction(
        "lead-qualifier",
        args_schema=Lead,
        description="Judges leads.",
        api_url=deployment.url,
        api_key=deployment.api_key,
    )
    tool = function.as_tool()
    assert tool.description == "Judges leads."
    assert tool.args.keys() == {"query", "region"}


def test_a_models_own_validators_check_the_arguments(deployment, qualify):
    class Strict(Lead):
        """A lead from where sales are open."""

        @field_validator("region")
        @classmethod
        def known(cls, value):
            if value != "APAC":
                raise ValueError("only APAC is open")
            return value

    tool = qualify.as_tool(Strict)
    message = tool.invoke(call(tool, {**LEAD, "region": "EMEA"}))
    assert message.status == "error"
    assert "only APAC is open" in message.content
    assert not deployment.requests


def test_settings_belong_to_the_function_not_its_tool(qualify):
    with pytest.raises(SutroConfigurationError, match="api_key"):
        SutroTool(function=qualify, args_schema=Lead, api_key="sk_x")


def test_a_field_that_a_tool_does_not_have_is_an_error(qualify):
    with pytest.raises(ValueError, match="descripton"):
        qualify.as_tool(Lead, descripton="x")


def test_langchains_own_options_are_taken(qualify):
    extras = {"cache_control": {"type": "ephemeral"}}
    tool = qualify.as_tool(
        Lead, return_direct=True, tags=["t"], metadata={"team": "a"}, extras=extras
    )
    assert tool.return_direct
    assert tool.extras == extras
    assert tool.metadata == {"sutro_function": "lead-qualifier", "team": "a"}


@pytest.mark.parametrize(
    ("function", "name"),
    [
        ("is-hotdog", "is-hotdog"),
        ("acme.judge v2", "acme_judge_v2"),
        ("2fast", "_2fast"),
        ("Łódź", "d"),
    ],
)
def test_a_name_that_providers_take_is_made(function, name):
    assert tool_name(function) == name


def test_a_name_that_is_too_long_or_empty_becomes_a_hash():
    assert tool_name("a" * 65) != tool_name("a" * 66)
    assert tool_name("日本").startswith("sutro_")
    assert len(tool_name("a" * 500)) <= 64


@pytest.mark.parametrize("name", ["", "two words", "a" * 65, "1a"])
def test_a_name_that_providers_refuse_is_an_error(qualify, name):
    with pytest.raises(SutroConfigurationError, match="not a valid tool name"):
        qualify.as_tool(Lead, name=name)


AWKWARD = [
    "config", "runtime", "self", "run_manager", "callbacks", "state", "store", "type", "name",
    "args", "id", "tool_call_id", "input", "schema", "model_config", "two words", "dashed-name",
    "dotted.name", "größe", "_private", "class", "kwargs", "cls", "tool_input", "for_model", "row",
    "tool_runtime", "return",
]  # fmt: skip


@pytest.fixture
def echoing(deployment):
    """A Function with every awkward field, which answers with the names that arrived."""
    schema = {
        "type": "object",
        "properties": {name: {"type": "string"} for name in AWKWARD},
        "required": AWKWARD,
    }
    deployment.publish(
        "echo",
        lambda row: {"got": json.dumps(row, sort_keys=True)},
        input_schema=schema,
        output_schema={"type": "object", "properties": {"got": {"type": "string"}}},
    )
    function = SutroFunction("echo", api_url=deployment.url, api_key=deployment.api_key)
    return function.as_tool(schema, description="Echoes.")


@hows
@pytest.mark.parametrize("as_call", [True, False])
async def test_every_field_name_arrives(echoing, langsmith_recorder, as_call, how):
    row = {name: f"value of {name}" for name in AWKWARD}
    given = call(echoing, row) if as_call else row
    output = await use(echoing, given, how=how)
    langsmith_recorder.wait()
    content = output.content if as_call else output
    assert json.loads(json.loads(content)["answer"]) == row
    (run,) = [run for run in langsmith_recorder.ordered() if run["run_type"] == "tool"]
    assert run["inputs"] == row


@pytest.mark.parametrize("sync", [True, False])
async def test_every_field_name_passes_a_tool_node(echoing, sync):
    row = {name: f"value of {name}" for name in AWKWARD}
    graph, given = node([echoing]), asking(call(echoing, row))
    state = graph.invoke(given) if sync else await graph.ainvoke(given)
    message = state["messages"][-1]
    assert message.status == "success", message.content
    assert json.loads(json.loads(message.content)["answer"]) == row


def test_every_field_name_reaches_the_models_provider(echoing):
    described = convert_to_openai_tool(echoing)["function"]
    assert list(described["parameters"]["properties"]) == AWKWARD
    assert described["parameters"]["required"] == AWKWARD


@pytest.mark.parametrize("sync", [True, False])
async def test_a_call_is_a_tool_run_with_one_llm_run_under_it(tool, langsmith_recorder, sync):
    if sync:
        tool.invoke(call(tool, LEAD))
    else:
        await tool.ainvoke(call(tool, LEAD))
    langsmith_recorder.wait()
    outer, inner = langsmith_recorder.ordered()
    assert (outer["run_type"], inner["run_type"]) == ("tool", "llm")
    assert inner["parent_run_id"] == outer["id"]
    assert inner["extra"]["metadata"]["usage_metadata"]["total_tokens"] > 0


@pytest.mark.parametrize("sync", [True, False])
async def test_a_batch_is_one_job_and_gives_row_by_row_what_invoke_gives(
    deployment, tool, langsmith_recorder, sync
):
    other = {"query": "please unsubscribe me", "region": "EMEA"}
    given = [LEAD, call(tool, other, "x"), call(tool, {"query": "?"}, "y"), call(tool, LEAD, "z")]
    outputs = tool.batch(given) if sync else await tool.abatch(given)
    assert len(deployment.jobs) == 1
    one_by_one = [tool.invoke(one) for one in given]
    assert outputs[0] == one_by_one[0]
    for batched, single in zip(outputs[1:], one_by_one[1:], strict=True):
        assert (batched.content, batched.status, batched.tool_call_id, batched.name) == (
            single.content, single.status, single.tool_call_id, single.name,
        )  # fmt: skip
    langsmith_recorder.wait()
    runs = langsmith_recorder.ordered()
    of_batch = [run for run in runs if run["run_type"] == "tool"][:4]
    assert [len(langsmith_recorder.children(run)) for run in of_batch] == [1, 1, 0, 1]


@pytest.mark.parametrize("sync", [True, False])
async def test_errors_of_a_batch_stand_in_their_places_or_are_raised(deployment, tool, sync):
    rows = [LEAD, {"query": "no region"}, LEAD]
    if sync:
        outputs = tool.batch(rows, return_exceptions=True)
    else:
        outputs = await tool.abatch(rows, return_exceptions=True)
    assert isinstance(outputs[1], SutroInputError)
    assert outputs[0] == outputs[2] != outputs[1]
    before = len(deployment.jobs)
    with pytest.raises(SutroInputError):
        tool.batch(rows) if sync else await tool.abatch(rows)
    assert len(deployment.jobs) == before


async def test_an_empty_batch_makes_no_job(deployment, tool):
    assert tool.batch([]) == []
    assert await tool.abatch([]) == []
    assert not deployment.requests


async def test_batches_as_completed_are_one_job(deployment, tool):
    indexed = dict(tool.batch_as_completed([LEAD] * 3))
    assert sorted(indexed) == [0, 1, 2]
    again = {index: output async for index, output in tool.abatch_as_completed([LEAD] * 3)}
    assert indexed == again
    assert len(deployment.jobs) == 2


def test_a_batch_in_a_pipeline_is_one_job(deployment, tool):
    chain = RunnableLambda(lambda text: {"query": text, "region": "APAC"}) | tool
    assert len(chain.batch(["a", "b", "c"])) == 3
    assert len(deployment.jobs) == 1


@pytest.mark.parametrize("sync", [True, False])
async def test_callbacks_tags_and_metadata_reach_each_row_of_a_batch(
    tool, langsmith_recorder, sync
):
    configs = [{"metadata": {"n": n}, "tags": [f"row-{n}"], "run_name": f"r{n}"} for n in range(3)]
    if sync:
        tool.batch([LEAD] * 3, configs)
    else:
        await tool.abatch([LEAD] * 3, configs)
    langsmith_recorder.wait()
    for n in range(3):
        (outer,) = langsmith_recorder.by_name(f"r{n}")
        (inner,) = langsmith_recorder.children(outer)
        for one in (outer, inner):
            assert one["extra"]["metadata"]["n"] == n
            assert f"row-{n}" in one["tags"]


class Verdict(BaseModel):
    label: str
    rationale: str


@pytest.mark.parametrize("how", ["invoke", "batch"])
async def test_output_options_of_the_function_shape_what_the_model_reads(qualify, how):
    typed = qualify.model_copy(update={"output_model": Verdict}).as_tool(Lead)
    message = await use(typed, call(typed, LEAD), how=how)
    assert json.loads(message.content)["answer"]["label"] == "qualified"
    short = qualify.model_copy(update={"output": "answer"}).as_tool(Lead)
    message = await use(short, call(short, LEAD), how=how)
    assert json.loads(message.content)["answer"] == "qualified"
    assert message.artifact["output"]["label"] == "qualified"


@hows
async def test_how_to_handle_tool_errors_may_be_chosen(qualify, how):
    custom = qualify.as_tool(Lead, handle_tool_error=lambda error: f"custom: {error}")
    message = await use(custom, call(custom, {}), how=how)
    assert message.content.startswith("custom: ")
    fixed = qualify.as_tool(Lead, handle_tool_error="Try again.")
    message = await use(fixed, call(fixed, {}), how=how)
    assert message.content == "Try again."
    strict = qualify.as_tool(Lead, handle_tool_error=False)
    with pytest.raises(ToolException) as caught:
        await use(strict, call(strict, {}), how=how)
    assert isinstance(caught.value, SutroToolError)
    assert isinstance(caught.value.__cause__, SutroInputError)


def test_a_tool_pickles_without_its_key(tool, deployment, monkeypatch):
    pickled = pickle.dumps(tool)
    assert deployment.api_key.encode() not in pickled
    monkeypatch.setenv("SUTRO_API_KEY", deployment.api_key)
    monkeypatch.setenv("SUTRO_API_URL", deployment.url)
    again = pickle.loads(pickled)
    assert again.invoke(call(again, LEAD)).status == "success"


def test_the_schema_may_not_be_something_else(qualify):
    with pytest.raises(SutroConfigurationError, match="properties"):
        qualify.as_tool({"type": "string"}, description="x")


def test_a_tool_is_a_langchain_tool(tool):
    assert isinstance(tool, BaseTool)
