"""A mistyped `apikey="sk_…"` is an error that does not show the key; nor does anything else."""

import copy
import json
import pickle
import traceback

import pytest
from pydantic import BaseModel, ValidationError

from langchain_sutro import (
    SutroAssign,
    SutroClient,
    SutroEvaluator,
    SutroFunction,
    SutroJobToolkit,
    SutroRouter,
    SutroTool,
    SutroToolkit,
)
from langchain_sutro.errors import SutroConfigurationError
from langchain_sutro.manifest import Manifest, ManifestFunction, ManifestSettings
from langchain_sutro.middleware import SutroGuardrail

KEY = "sk_canary_0123456789abcdef"


class Lead(BaseModel):
    """Decides."""

    query: str


def function(**more):
    return SutroFunction("f", args_schema=Lead, description="Decides.", **more)


MAKERS = {
    "SutroFunction": function,
    "SutroFunction, validated": lambda **more: SutroFunction.model_validate(
        {"function": "f"} | more
    ),
    "SutroTool": lambda **more: SutroTool(function="f", args_schema=Lead, **more),
    "as_tool": lambda **more: function().as_tool(**more),
    "SutroToolkit": lambda **more: SutroToolkit(functions=[function()], **more),
    "from_schemas": lambda **more: SutroToolkit.from_schemas({"f": Lead}, **more),
    "SutroJobToolkit": lambda **more: SutroJobToolkit(function=function(), **more),
    "SutroRouter": lambda **more: SutroRouter(
        judge=function().assign_as("v"), branches={"a": function()}, **more
    ),
    "SutroGuardrail": lambda **more: SutroGuardrail(function(), actions={}, **more),
    "SutroEvaluator": lambda **more: SutroEvaluator(function(), **more),
    "SutroClient": SutroClient,
    "ManifestSettings": ManifestSettings,
    "ManifestFunction": lambda **more: ManifestFunction(name="f", **more),
    "Manifest": lambda **more: Manifest(functions=[], **more),
}
TYPOS = {
    "apikey": KEY,
    "sutro_api_keys": KEY,
    "api_key_": [KEY],
    "API_KEY": {"k": KEY},
    "timeout_": KEY.encode(),
}


@pytest.mark.parametrize("typo", TYPOS)
@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_the_error_does_not_show_what_was_passed(make, typo):
    with pytest.raises((ValidationError, TypeError, SutroConfigurationError)) as failed:
        make(**{typo: TYPOS[typo]})
    error = failed.value
    shown = "".join(traceback.format_exception(error)) + repr(error)
    assert typo in shown
    if isinstance(error, ValidationError) and not type(error).__name__.startswith("Manifest"):
        shown += str(error)
    # The source line of the traceback is this test's own.
    assert KEY not in shown


@pytest.mark.parametrize("make", [function, MAKERS["SutroTool"]], ids=["function", "tool"])
@pytest.mark.parametrize("wrong", [KEY.encode(), [KEY], {"a": KEY}, 7])
def test_a_key_of_another_type_is_not_shown(make, wrong):
    with pytest.raises(SutroConfigurationError, match="api_key") as failed:
        make(api_key=wrong)
    assert "canary" not in "".join(traceback.format_exception(failed.value))


def test_errors_as_data_do_not_show_it_either():
    with pytest.raises(ValidationError) as failed:
        function(apikey=KEY)
    assert KEY not in failed.value.json()
    assert KEY not in repr(failed.value.errors())


def test_neither_pickles_nor_vars_nor_copies_show_the_key():
    client = SutroClient(api_key=KEY, api_url="https://d.example")
    made = function(api_key=KEY, api_url="https://d.example")
    settings = client.settings
    assert settings.api_key.get_secret_value() == KEY
    for thing in (client, settings, made, made.as_tool(), client._session):
        for shown in (repr(thing), str(thing), repr(getattr(thing, "__dict__", None))):
            assert KEY not in shown
    for thing in (client, settings, made, made.as_tool()):
        assert KEY.encode() not in pickle.dumps(thing)
    again = pickle.loads(pickle.dumps(settings))
    assert (again.batch_url, again.api_key.get_secret_value()) == (settings.batch_url, "")
    assert copy.deepcopy(settings).api_key.get_secret_value() == KEY
    assert KEY not in json.dumps(made.to_json(), default=repr)
    assert isinstance(made.assign_as("a"), SutroAssign)
