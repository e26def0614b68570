"""Decision models as objects: serialised, pickled, copied, configured; no secret leaves."""

import copy
import json
import pickle

import httpx
import pytest
from langchain_core.decisions import BaseDecisionModel, Noul
from langchain_core.load import dumpd, load
from langchain_core.runnables import ConfigurableField
from pydantic import ValidationError

from langchain_sutro import SutroFunction
from langchain_sutro.decisions import DecisionFunction, SutroDecisionModel
from langchain_sutro.errors import SutroConfigurationError, SutroDecisionError, SutroInputError
from tests.decisions.conftest import runs

REQUEST = {"state": "delete it", "questions": {"is_risky": Noul(instructions="?")}}
KEY = "sk-hush"


def hushed(deployment):
    """A model with keys in every place, a client and a hook."""
    function = SutroFunction("department", api_key=KEY, api_url=deployment.url)
    return SutroDecisionModel(
        model="judges",
        functions={"dept": function, "is_risky": DecisionFunction("tool-risk", yes=["risky"])},
        default="any-question",
        api_key=KEY,
        api_url=deployment.url,
        http_client=httpx.Client(),
        trace_context_hook=lambda context: context,
    )


def test_it_is_a_decision_model_that_reads_nothing_when_it_is_made(monkeypatch):
    monkeypatch.delenv("SUTRO_API_KEY", raising=False)
    model = SutroDecisionModel(model="judges", default="any-question")
    assert isinstance(model, BaseDecisionModel)
    assert model.get_name() == "judges"
    assert model.get_input_jsonschema()["required"] == ["state", "questions"]
    assert model.get_output_jsonschema()


def test_a_dump_has_no_key_and_can_be_loaded(deployment, judges):
    model = hushed(deployment)
    dumped = dumpd(model)
    assert KEY not in json.dumps(dumped)
    assert dumped["id"] == ["langchain_sutro", "decisions", "SutroDecisionModel"]
    again = load(
        dumpd(judges()),
        allowed_objects=[SutroDecisionModel, DecisionFunction, SutroFunction],
        valid_namespaces=["langchain_sutro"],
        secrets_map={"SUTRO_API_KEY": deployment.api_key},
    )
    assert again.invoke(REQUEST).nouls["is_risky"].noul == 0.9


def test_a_pickle_has_no_key_and_works_where_the_environment_has_one(
    deployment, judges, monkeypatch
):
    content = pickle.dumps(hushed(deployment))
    assert KEY.encode() not in content
    for name, value in deployment.environ.items():
        monkeypatch.setenv(name, value)
    again = pickle.loads(pickle.dumps(judges()))
    assert again.sutro_api_key is None
    assert again.invoke(REQUEST).nouls["is_risky"].noul == 0.9


def test_copies_work_and_share_their_clients(deployment, judges):
    model = judges(http_client=httpx.Client())
    for other in (copy.copy(model), copy.deepcopy(model), model.model_copy(deep=True)):
        assert other.http_client is model.http_client
        assert other.invoke(REQUEST).answers == model.invoke(REQUEST).answers
    renamed = model.model_copy(update={"model": "other"})
    assert renamed.invoke(REQUEST).model == "other"
    moved = model.model_copy(update={"functions": {}, "default": "any-question"})
    assert len(moved.invoke(REQUEST).answers) == 1
    assert runs(deployment)[-1].path.endswith("any-question/run")


def test_clients_of_httpx2_are_taken_as_those_of_httpx_are(judges):
    httpx2 = pytest.importorskip("httpx2")
    with httpx2.Client() as client:
        assert judges(http_client=client).invoke(REQUEST).nouls["is_risky"].noul == 0.9


@pytest.mark.parametrize("settings", [{"apikey": KEY}, {"timeout": float("inf")}])
def test_a_setting_that_is_wrong_is_refused_and_not_shown(settings):
    with pytest.raises(ValidationError) as refused:
        SutroDecisionModel(model="judges", default="any-question", **settings)
    assert KEY not in f"{refused.value}{refused.value.errors()}"


@pytest.mark.parametrize("batch_mode", ["job", "realtime"])
async def test_a_batch_of_a_single_request_without_a_list_is_refused(judges, batch_mode):
    model = judges(batch_mode=batch_mode)
    with pytest.raises(SutroInputError, match="not a single dict"):
        model.batch(REQUEST)
    with pytest.raises(SutroInputError, match="not a single dict"):
        await model.abatch(REQUEST)
    with pytest.raises(SutroInputError, match="not a single dict"):
        list(model.batch_as_completed(REQUEST))


def test_no_key_in_its_repr(deployment):
    assert KEY not in repr(hushed(deployment))


def test_fields_can_be_configured_for_a_call(judges):
    model = judges().configurable_fields(model=ConfigurableField(id="model"))
    configured = {"configurable": {"model": "other"}}
    assert model.invoke(REQUEST, configured).model == "other"
    assert model.invoke(REQUEST).model == "judges"


def test_it_composes(judges):
    chain = (lambda text: {**REQUEST, "state": text}) | judges() | (lambda r: r.nouls)
    assert chain.invoke("read it")["is_risky"].noul == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"model": "m"}, SutroConfigurationError),
        ({"default": "x"}, ValidationError),
        ({"model": "", "default": "x"}, ValidationError),
        ({"model": "m", "default": "x", "colour": "red"}, ValidationError),
        ({"model": "m", "default": "x", "max_concurrency": 0}, ValidationError),
        ({"model": "m", "functions": {"q": 3}}, ValidationError),
    ],
)
def test_what_cannot_be_a_decision_model_is_refused(fields, kind):
    with pytest.raises(kind):
        SutroDecisionModel(**fields)


def test_errors_pickle_with_their_question():
    error = SutroDecisionError("Question 'q': no.", question="q")
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.question) == (str(error), "q")


def test_the_hooks_of_the_base_class_work_without_a_run(judges):
    import asyncio

    model = judges()
    assert model._classify(**REQUEST).nouls["is_risky"].noul == 0.9
    assert asyncio.run(model._aclassify(**REQUEST)).nouls["is_risky"].noul == 0.9
