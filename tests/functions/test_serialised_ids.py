"""What dumps and pickles call our classes, so that they load again wherever files move."""

import pickle

import pytest
from langchain_core.load import dumpd, load
from langchain_core.runnables import RunnablePassthrough, RunnableSequence
from pydantic import BaseModel

from langchain_sutro import (
    SutroAssign,
    SutroFunction,
    SutroRetry,
    SutroRouter,
    SutroTool,
)

LEAD = {"query": "We need 200 seats by Friday, budget approved", "region": "APAC"}


class Lead(BaseModel):
    query: str
    region: str


class RegionalFunction(SutroFunction):
    """A user's own Function with further fields."""

    region: str = "EMEA"
    seats: int | None = None


@pytest.fixture
def qualify(deployment, monkeypatch):
    monkeypatch.setenv("SUTRO_API_URL", deployment.url)
    monkeypatch.setenv("SUTRO_API_KEY", deployment.api_key)
    return SutroFunction("lead-qualifier", api_url=deployment.url, api_key=deployment.api_key)


def made(qualify):
    """One object of each class."""
    judge = qualify.assign_as("verdict")
    return {
        SutroFunction: qualify,
        SutroAssign: judge,
        SutroRetry: qualify.with_retry(),
        SutroRouter: SutroRouter(judge=judge, branches={"qualified": RunnablePassthrough()}),
        SutroTool: qualify.as_tool(Lead, description="Decides."),
    }


def loaded(dumped, allowed, **options):
    return load(
        dumped,
        allowed_objects=allowed,
        valid_namespaces=["langchain_sutro", "tests"],
        secrets_from_env=True,
        **options,
    )


def test_ids_and_modules_are_those_of_the_public_names(qualify):
    for cls, one in made(qualify).items():
        assert type(one) is cls
        assert (cls.__module__, cls.__qualname__) == ("langchain_sutro", cls.__name__)
        assert cls.lc_id() == ["langchain_sutro", cls.__name__]
        assert dumpd(one)["id"] == ["langchain_sutro", cls.__name__]


def test_pickles_name_the_public_module_and_work_again(qualify):
    for cls, one in made(qualify).items():
        data = pickle.dumps(one)
        assert b"langchain_sutro.functions" not in data
        assert type(pickle.loads(data)) is cls
    assert pickle.loads(pickle.dumps(made(qualify)[SutroAssign])).invoke(LEAD)["verdict"].answer


def test_functions_and_assigned_results_round_trip_in_pipelines(qualify):
    chain = RunnableSequence(RunnablePassthrough(), qualify.assign_as("verdict", inputs=[*LEAD]))
    again = loaded(
        dumpd(chain), [RunnableSequence, RunnablePassthrough, SutroAssign, SutroFunction]
    )
    assert again.invoke(LEAD)["verdict"].answer == qualify.invoke(LEAD).answer


@pytest.mark.parametrize("cls", [SutroRetry, SutroRouter, SutroTool])
def test_what_langchain_cannot_write_down_says_so(qualify, cls):
    # A retry holds exception classes, a router keys of several types, a tool is never serialised.
    with pytest.raises(NotImplementedError, match="serialization"):
        loaded(dumpd(made(qualify)[cls]), [cls, SutroAssign, SutroFunction, RunnablePassthrough])


def test_a_function_written_by_version_0_1_0_loads_with_a_mapping_of_its_id(qualify):
    dumped = dumpd(qualify)
    dumped["id"] = ["langchain_sutro", "functions", "SutroFunction"]
    mapping = {tuple(dumped["id"]): ("langchain_sutro", "SutroFunction")}
    again = loaded(dumped, [SutroFunction], additional_import_mappings=mapping)
    assert again.invoke(LEAD).answer == qualify.invoke(LEAD).answer
    # LangChain compares ids before it imports anything.
    with pytest.raises(ValueError, match="not allowed"):
        loaded(dumped, [SutroFunction])


def test_a_users_subclass_keeps_its_fields_and_its_own_id(deployment, qualify):
    settings = {"api_url": deployment.url, "api_key": deployment.api_key}
    mine = RegionalFunction("lead-qualifier", seats=3, **settings)
    assert (mine.region, mine.seats) == ("EMEA", 3)
    assert mine.lc_id() == [*__name__.split("."), "RegionalFunction"]
    copies = [
        mine.model_copy(),
        mine.require_confidence(0.0),
        pickle.loads(pickle.dumps(mine)),
        loaded(dumpd(mine), [RegionalFunction]),
        mine.as_tool(Lead, description="Decides.").function,
        mine.assign_as("verdict").bound,
    ]
    for copy in copies:
        assert type(copy) is RegionalFunction
        assert (copy.region, copy.seats) == ("EMEA", 3)
        assert copy.invoke(LEAD).answer == qualify.invoke(LEAD).answer
    assert [one.answer for one in mine.batch([LEAD])] == [qualify.invoke(LEAD).answer]
    assert mine.as_tool(Lead, description="Decides.").invoke(LEAD)
