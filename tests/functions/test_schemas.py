"""What a row may look like when it comes in, and what is sent of it, with a schema."""

import datetime as dt
import uuid
from typing import Annotated, Any

import pytest
from langchain_core.runnables import RunnableLambda
from pydantic import (
    AfterValidator,
    AliasChoices,
    AliasPath,
    BaseModel,
    ConfigDict,
    Field,
    Json,
    RootModel,
    SecretStr,
    computed_field,
    field_serializer,
)

from langchain_sutro import SutroFunction, SutroRouter
from langchain_sutro.errors import SutroConfigurationError, SutroInputError
from langchain_sutro.functions.tool_base import SutroToolError
from langchain_sutro.local import LocalDeployment
from tests.support.calls import call, modes, posts

ANY = {"type": "object", "properties": {}, "additionalProperties": True}


@pytest.fixture(scope="module")
def echo():
    """A deployment with a Function that takes any field, and answers with the fields' names."""
    with LocalDeployment() as running:

        @running.function(name="echo", input_schema=ANY)
        def echo(row: dict) -> str:
            """Names the fields."""
            return ",".join(sorted(row))

        yield running


def function(deployment, **options) -> SutroFunction:
    return SutroFunction("echo", api_url=deployment.url, api_key=deployment.api_key, **options)


WAYS = ["invoke", "batch", "tool", "tool_batch", "assign_as", "router"]
ways = pytest.mark.parametrize("way", WAYS)


async def sent(deployment, fn, row, way, mode):
    """Send a row in one of the ways that a row can go, and return what reached the service."""
    deployment.requests.clear()
    call_ = {"name": "echo", "args": row, "id": "1", "type": "tool_call"}
    if way in ("tool", "tool_batch"):
        fn = fn.as_tool(description="Names fields.")
        given = call_ if isinstance(row, dict) else row
        reply = await call(mode, fn, *(["invoke", given] if way == "tool" else ["batch", [given]]))
        reply = reply if way == "tool" else reply[0]
        if getattr(reply, "status", None) == "error":
            raise SutroInputError(reply.content)
    elif way == "assign_as":
        await call(mode, fn.assign_as("v"), "invoke", row)
    elif way == "router":
        first = RunnableLambda(lambda one: one)
        router = SutroRouter(judge=fn.assign_as("v"), branches={}, fallback=first)
        await call(mode, router, "batch", [row])
    elif way == "batch":
        await call(mode, fn, "batch", [row])
    else:
        await call(mode, fn, "invoke", row)
    runs, jobs = posts(deployment, "/run"), posts(deployment, "batch-inference")
    [request] = [*runs, *jobs]
    return request.body["input"] if runs else request.body["inputs"][0]


class Aliases(BaseModel):
    """Each field has another name inside than outside."""

    a: str = Field(alias="Alias a")
    b: str = Field(validation_alias="in b")
    c: str = Field(serialization_alias="out c")
    d: str = Field(validation_alias=AliasChoices("d1", "d2"), serialization_alias="out d")
    e: str = Field(validation_alias=AliasPath("nested", "e"))
    f: int = 7
    g: str = Field(default="kept here", exclude=True)

    @computed_field
    @property
    def h(self) -> str:
        """Made of others."""
        return self.a + self.b


IN = {"Alias a": "A", "in b": "B", "c": "C", "d2": "D", "nested": {"e": "E"}}
OUT = {"Alias a": "A", "b": "B", "out c": "C", "out d": "D", "e": "E", "f": 7, "h": "AB"}


@ways
@modes
async def test_a_model_reads_rows_by_its_validation_and_sends_its_serialization(echo, way, mode):
    fn = function(echo, args_schema=Aliases)
    assert await sent(echo, fn, IN, way, mode) == OUT
    assert await sent(echo, fn, {**IN, "f": 1, "g": "no"}, way, mode) == {**OUT, "f": 1}


@pytest.mark.parametrize("way", ["invoke", "batch"])
@modes
async def test_an_instance_is_sent_as_the_same_row_with_and_without_a_schema(echo, way, mode):
    for schema in (Aliases, None):
        fn = function(echo, args_schema=schema)
        assert await sent(echo, fn, Aliases(**IN), way, mode) == OUT


@modes
async def test_a_field_whose_alias_is_a_path_has_its_own_name_for_a_tool(echo, mode):
    tool = function(echo, args_schema=Aliases).as_tool(description="Names fields.")
    row = {name: name for name in tool.args_schema["properties"] if name not in ("f", "g")}
    assert "e" in row
    reached = await sent(echo, function(echo, args_schema=Aliases), row, "tool", mode)
    assert reached["e"] == "e"


class Named(BaseModel):
    model_config = ConfigDict(populate_by_name=True)
    text: str = Field(alias="Text")


@ways
async def test_names_count_where_a_model_reads_names(echo, way):
    for row in ({"text": "x"}, {"Text": "x"}):
        assert await sent(echo, function(echo, args_schema=Named), row, way, "sync") == {
            "Text": "x"
        }


class Stranger(BaseModel):
    """Has the fields of another model's rows."""

    when: dt.date = dt.date(2026, 5, 1)
    key: SecretStr = SecretStr("s3cret")


class Strict(BaseModel):
    model_config = ConfigDict(strict=True)
    when: dt.date
    key: SecretStr
    numbers: Json[list[int]] = Field(default="[1]", validate_default=True)
    half: float = 0.5

    @field_serializer("half")
    def _as_percent(self, value: float) -> str:
        return f"{value:.0%}"


STRICT = {"when": "2026-05-01", "key": "s3cret", "numbers": [1], "half": "50%"}


@pytest.mark.parametrize("way", ["invoke", "batch"])
async def test_values_arrive_unchanged_from_strict_models_with_secrets_and_serializers(echo, way):
    fn = function(echo, args_schema=Strict)
    when, key = dt.date(2026, 5, 1), SecretStr("s3cret")
    for row in (Strict(when=when, key=key), {"when": when, "key": key}, Stranger()):
        assert await sent(echo, fn, row, way, "sync") == STRICT
    assert await sent(echo, function(echo), {"key": key}, way, "sync") == {"key": "s3cret"}


@pytest.mark.parametrize("way", ["tool", "tool_batch"])
async def test_a_strict_model_reads_the_arguments_of_a_tool_as_json(echo, way):
    fn = function(echo, args_schema=Strict)
    row = {"when": "2026-05-01", "key": "s3cret"}
    assert await sent(echo, fn, row, way, "sync") == STRICT


class Odd(BaseModel):
    raw: bytes = b"caf\xc3\xa9"
    took: dt.timedelta = dt.timedelta(days=1, seconds=2.5)
    at: dt.datetime = dt.datetime(2026, 5, 1, tzinfo=dt.UTC)
    id: uuid.UUID = uuid.UUID(int=5)
    tags: set[str] = {"b", "a"}


@pytest.mark.parametrize("way", ["invoke", "batch"])
async def test_a_value_has_the_same_form_in_a_model_and_in_a_dict(echo, way):
    row = dict(Odd())
    expected = await sent(echo, function(echo), row, way, "sync")
    assert expected["raw"] == "caf\xe9"
    assert expected["took"] == "P1DT2.5S"
    assert expected["tags"] == ["a", "b"]
    for given in (row, Odd()):
        for schema in (Odd, None):
            fn = function(echo, args_schema=schema)
            assert await sent(echo, fn, given, way, "sync") == expected


counted: list[str] = []


def count(value: str) -> str:
    counted.append(value)
    return value + "!"


class Counted(BaseModel):
    text: Annotated[str, AfterValidator(count)]


@ways
async def test_validators_run_once(echo, way):
    counted.clear()
    fn = function(echo, args_schema=Counted)
    assert await sent(echo, fn, {"text": "x"}, way, "sync") == {"text": "x!"}
    assert counted == ["x"]
    if way in ("invoke", "batch"):
        assert await sent(echo, fn, Counted(text="y"), way, "sync") == {"text": "y!"}
        assert counted == ["x", "y"]


def fail(error: BaseException) -> Any:
    def validate(value: str) -> str:
        if value == "bad":
            raise error
        return value

    return Annotated[str, AfterValidator(validate)]


class Fails(BaseModel):
    text: fail(KeyError("internal"))


class StopError(BaseException):
    """Like Ctrl-C, which asyncio would raise out of its loop at once."""


class Interrupts(BaseModel):
    text: fail(StopError())


@modes
async def test_what_a_validator_raises_is_the_error_of_its_row(echo, mode):
    fn = function(echo, args_schema=Fails)
    with pytest.raises(SutroInputError, match="raised KeyError"):
        await call(mode, fn, "invoke", {"text": "bad"})
    rows = [{"text": "good"}, {"text": "bad"}, {"text": "good"}]
    for runnable in (fn, fn.assign_as("v"), fn.as_tool(description="Names fields.")):
        first, second, third = await call(mode, runnable, "batch", rows, return_exceptions=True)
        assert isinstance(second, SutroInputError)
        assert not isinstance(first, Exception)
        assert not isinstance(third, Exception)


@pytest.mark.parametrize("return_exceptions", [True, False])
@modes
async def test_ctrl_c_inside_a_validator_gets_through(echo, mode, return_exceptions):
    fn = function(echo, args_schema=Interrupts)
    with pytest.raises(StopError):
        await call(mode, fn, "invoke", {"text": "bad"})
    for runnable in (fn, fn.assign_as("v"), fn.as_tool(description="Names fields.")):
        with pytest.raises(StopError):
            await call(
                mode, runnable, "batch", [{"text": "bad"}], return_exceptions=return_exceptions
            )


LEAD = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}


class Text(BaseModel):
    text: str


class Ignores(Text):
    model_config = ConfigDict(extra="ignore")


class Allows(Text):
    model_config = ConfigDict(extra="allow")


@pytest.mark.parametrize("schema", [LEAD, Text], ids=["json", "model"])
@pytest.mark.parametrize("way", ["invoke", "batch", "tool", "tool_batch"])
@modes
async def test_unknown_fields_are_refused_or_left_out_as_the_user_says(echo, schema, way, mode):
    row = {"text": "x", "email": "a@b.example"}
    with pytest.raises((SutroInputError, SutroToolError), match="unknown field") as caught:
        await sent(echo, function(echo, args_schema=schema), row, way, mode)
    assert posts(echo, "") == []
    assert ('extra_fields="ignore"' in str(caught.value)) is (way in ("invoke", "batch"))
    fn = function(echo, args_schema=schema, extra_fields="ignore")
    assert await sent(echo, fn, row, way, mode) == {"text": "x"}
    copied = function(echo, args_schema=schema).model_copy(update={"extra_fields": "ignore"})
    assert await sent(echo, copied, row, way, mode) == {"text": "x"}


@ways
async def test_a_models_own_word_on_unknown_fields_counts(echo, way):
    row = {"text": "x", "more": "y"}
    assert await sent(echo, function(echo, args_schema=Ignores), row, way, "sync") == {"text": "x"}
    assert await sent(echo, function(echo, args_schema=Allows), row, way, "sync") == row


def test_extra_fields_without_a_schema_is_a_configuration_error():
    with pytest.raises(SutroConfigurationError, match="needs args_schema"):
        SutroFunction("echo", extra_fields="ignore")


@modes
async def test_a_row_that_earlier_steps_added_to_can_go_on(echo, mode):
    fn = function(echo, args_schema=LEAD, extra_fields="ignore")
    chain = fn.assign_as("one") | fn.assign_as("two")
    results = await call(mode, chain, "batch", [{"text": "x"}, {"text": "y"}])
    assert [one.keys() for one in results] == [{"text", "one", "two"}] * 2


class Optionals(BaseModel):
    text: str
    note: str = "none"
    region: str | None = None


OPTIONALS = {
    "type": "object",
    "properties": {"text": {"type": "string"}, "note": {"type": "string"}},
    "required": ["text"],
}


@ways
async def test_optional_fields_may_be_absent_or_null(echo, way):
    fn = function(echo, args_schema=Optionals)
    expected = {"text": "x", "note": "none", "region": None}
    for row in ({"text": "x"}, {"text": "x", "note": None, "region": None}):
        assert await sent(echo, fn, row, way, "sync") == expected
    with pytest.raises((SutroInputError, SutroToolError), match="'text'"):
        await sent(echo, fn, {"text": None}, "invoke", "sync")
    fn = function(echo, args_schema=OPTIONALS)
    for row in ({"text": "x"}, {"text": "x", "note": None}):
        assert await sent(echo, fn, row, way, "sync") == row


async def test_nan_in_a_field_that_takes_null_is_null(echo):
    fn = function(echo, args_schema=Optionals)
    row = {"text": "x", "region": float("nan")}
    assert (await sent(echo, fn, row, "batch", "sync"))["region"] is None


async def test_a_string_is_the_value_of_the_one_field(echo):
    for schema in (LEAD, Text):
        fn = function(echo, args_schema=schema)
        for way in ("invoke", "batch"):
            assert await sent(echo, fn, "x", way, "sync") == {"text": "x"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"required": ["text", "regoin"]}, "'regoin' is not among the properties"),
        ({"required": "text"}, "must be a list of field names"),
        ({"type": "array"}, 'must be "object"'),
        ({"properties": {"text": {"type": "text"}}}, "must be one of string"),
        ({"properties": {"text": "string"}}, "must be a JSON schema"),
        ({"properties": {"text": {"$ref": "#/$defs/Missing"}}}, "refers to nothing"),
        ({"properties": {"text": {"type": "string", "nullable": "yes"}}}, "true or false"),
        ({"properties": {"text": {"type": "string", "enum": [False, "SE"]}}}, "put it in quotes"),
        ({"properties": {"text": {"enum": []}}}, "must be a list of values"),
        ({"properties": {"text": {"anyOf": [{"type": "int"}]}}}, r"anyOf\.0\.type"),
    ],
)
def test_a_json_schema_with_a_fault_is_refused_when_the_function_is_made(change, message):
    with pytest.raises(SutroConfigurationError, match=message):
        SutroFunction("echo", args_schema={**LEAD, **change})


def test_a_model_without_json_schema_is_refused_when_the_function_is_made():
    class Calls(BaseModel):
        text: Any = Field(default=None)
        what: type = Field()

    with pytest.raises(SutroConfigurationError, match="has no JSON schema"):
        SutroFunction("echo", args_schema=Calls)


async def test_nullable_references_and_unions_are_honoured_and_named(echo):
    schema = {
        "type": "object",
        "properties": {
            "a": {"type": "string", "nullable": True},
            "b": {"$ref": "#/$defs/Size"},
            "c": {"anyOf": [{"type": "array", "items": {"type": "number"}}, {"type": "null"}]},
            "d": {"allOf": [{"$ref": "#/$defs/Size"}]},
            "e": {"type": ["array", "string"], "items": {"type": "string"}},
        },
        "required": ["a", "b", "c", "d", "e"],
        "$defs": {"Size": {"enum": ["small", "large"]}},
    }
    fn = function(echo, args_schema=schema)
    row = {"a": None, "b": "small", "c": None, "d": "large", "e": "x"}
    assert await sent(echo, fn, row, "invoke", "sync") == row
    assert await sent(echo, fn, {**row, "e": ["x"], "c": [1]}, "invoke", "sync")
    with pytest.raises(SutroInputError) as caught:
        fn.invoke({**row, "b": "huge"})
    assert str(caught.value).endswith(
        "Its fields are: a (string or null), b (one of 'small', 'large'), "
        "c (array of number or null), d (one of 'small', 'large'), e (array of string or string)."
    )


async def test_typed_additional_properties_are_checked(echo):
    schema = {**LEAD, "additionalProperties": {"type": "number"}}
    fn = function(echo, args_schema=schema)
    row = {"text": "x", "score": 1.5}
    assert await sent(echo, fn, row, "invoke", "sync") == row
    with pytest.raises(SutroInputError, match="'score'"):
        fn.invoke({"text": "x", "score": "high"})


async def test_a_root_model_of_a_mapping_takes_any_field(echo):
    class Anything(RootModel[dict[str, int]]):
        pass

    fn = function(echo, args_schema=Anything)
    assert await sent(echo, fn, {"a": "1"}, "invoke", "sync") == {"a": 1}
    with pytest.raises(SutroInputError, match="'b'"):
        fn.invoke({"b": "x"})


@modes
async def test_a_run_shows_the_names_that_are_sent_and_no_secret(echo, langsmith_recorder, mode):
    class Hidden(Aliases):
        key: SecretStr = SecretStr("hunter2")

    fn = function(echo, args_schema=Hidden)
    await call(mode, fn, "invoke", IN)
    await call(mode, fn, "batch", [IN, Hidden(**IN)])
    langsmith_recorder.wait()
    shown = [run["inputs"] for run in langsmith_recorder.ordered()]
    assert shown == [{**OUT, "key": "**********"}] * 3
    assert posts(echo, "/run")[-1].body["input"]["key"] == "hunter2"
    assert posts(echo, "batch-inference")[-1].body["inputs"][1]["key"] == "hunter2"


@modes
async def test_the_run_of_a_row_that_cannot_be_sent_shows_it_as_it_was(
    echo, langsmith_recorder, mode
):
    fn = function(echo, args_schema=Text)
    with pytest.raises(SutroInputError):
        await call(mode, fn, "invoke", {"tixt": "x"})
    langsmith_recorder.wait()
    [run] = langsmith_recorder.ordered()
    assert run["inputs"] == {"tixt": "x"}
    assert "unknown field" in run["error"]
