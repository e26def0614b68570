"""What can stand behind a name, and how it is called."""

import asyncio
import threading
from enum import StrEnum
from typing import Any, Literal

import numpy as np
import pytest
from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda
from pydantic import BaseModel, Field

from langchain_sutro.local import Answer, LocalDeployment, LocalFunction, from_examples
from tests.support.local_api import LABEL, TEXT, client, end, results, submit


class Lead(BaseModel):
    query: str
    seats: int = 0
    note: str | None = None


class Verdict(BaseModel):
    label: Literal["yes", "no"]
    rationale: str = Field(default="because")


class Region(StrEnum):
    APAC = "APAC"
    EMEA = "EMEA"


@pytest.fixture(scope="module")
def deployment():
    with LocalDeployment([]) as running:
        yield running


@pytest.fixture
def api(deployment):
    yield from client(deployment, "/v1")


def run(api, name, input_):
    return api.post(f"/functions/{name}/run", json={"input": input_})


def both(api, name, row):
    """A real-time answer, and the only row of a job: they must say the same."""
    answer = run(api, name, row)
    assert answer.status_code == 200, answer.text
    job_id = submit(api, name, [row])
    end(api, job_id)
    return answer.json()["output"], results(api, job_id)["outputs"][0]


async def an_async_function(row):
    await asyncio.sleep(0)
    return row["text"].upper()


class Callable:
    def __call__(self, row):
        return row["text"].upper()


class AsyncCallable:
    async def __call__(self, row):
        return row["text"].upper()


KINDS = {
    "function": lambda row: row["text"].upper(),
    "async function": an_async_function,
    "object": Callable(),
    "async object": AsyncCallable(),
    "runnable": RunnableLambda(lambda row: row["text"].upper()),
    "async runnable": RunnableLambda(an_async_function),
    "chat chain": ChatPromptTemplate.from_template("{text}") | FakeListChatModel(responses=["HI"]),
}


@pytest.mark.parametrize("kind", KINDS)
def test_any_callable_and_any_runnable_answers(api, deployment, kind):
    deployment.publish("any", KINDS[kind], input_schema=TEXT, output_schema=LABEL)
    assert both(api, "any", {"text": "hi"}) == ({"label": "HI"}, '{"label":"HI"}')


def test_a_decorated_function_takes_its_schemas_from_its_hints(api, deployment):
    @deployment.function()
    def best_region(query: str, region: Region, seats: int = 1) -> Literal["yes", "no"]:
        """Judges a region."""
        assert isinstance(region, Region)
        return "yes" if seats > 5 and region is Region.EMEA else "no"

    listed = next(one for one in deployment.functions if one["name"] == "best-region")
    assert listed["description"] == "Judges a region."
    assert list(listed["input_schema"]["properties"]) == ["query", "region", "seats"]
    assert listed["input_schema"]["required"] == ["query", "region"]
    assert listed["output_schema"] == {"enum": ["yes", "no"], "type": "string"}
    row = {"query": "q", "region": "EMEA", "seats": "12"}
    assert both(api, "best-region", row) == ("yes", "yes")
    wrong = run(api, "best-region", row | {"region": "MOON"})
    assert (wrong.status_code, wrong.json()["code"]) == (422, "invalid_input")
    assert "region" in wrong.json()["detail"]
    assert best_region("q", Region.EMEA, 9) == "yes"


async def test_an_async_function_can_be_decorated(api, deployment):
    @deployment.function(name="later")
    async def whatever(text: str) -> str:
        await asyncio.sleep(0)
        return text[::-1]

    assert (await asyncio.to_thread(both, api, "later", {"text": "abc"})) == ("cba", "cba")


def test_models_are_schemas_of_rows_and_answers(api, deployment):
    @deployment.function(name="model")
    def judge(lead: Lead) -> Verdict:
        return Verdict(label="yes" if lead.seats > 5 and lead.note is None else "no")

    row = {"query": "q", "seats": "7", "note": None}
    answer = {"label": "yes", "rationale": "because"}
    assert both(api, "model", row) == (answer, '{"label":"yes","rationale":"because"}')
    assert run(api, "model", row | {"note": "x"}).json()["output"]["label"] == "no"
    wrong = run(api, "model", row | {"seats": "many"})
    assert wrong.status_code == 422
    assert "seats" in wrong.json()["detail"]
    job_id = submit(api, "model", [{"query": "q", "seats": "many"}, {"query": "q"}])
    end(api, job_id)
    assert results(api, job_id)["outputs"] == [None, '{"label":"no","rationale":"because"}']


def test_an_output_that_does_not_fit_its_model_is_a_failure(api, deployment):
    deployment.publish("unfit", lambda row: "maybe", input_schema=TEXT, output_schema=Verdict)
    assert run(api, "unfit", {"text": "x"}).status_code == 502


AWKWARD = ["schema", "_x", "self", "model_config", "copy", "input", "type", "class_"]


def test_any_parameter_name_is_a_field(api, deployment):
    names = ", ".join(f"{name}: str" for name in AWKWARD)
    scope: dict[str, Any] = {}
    exec(f"def awkward({names}) -> str:\n    return '-'.join([{', '.join(AWKWARD)}])", scope)
    deployment.publish("awkward", scope["awkward"])
    output, _ = both(api, "awkward", {name: name for name in AWKWARD})
    assert output == "-".join(AWKWARD)


@pytest.mark.parametrize(
    ("given", "output", "confidence"),
    [
        (Answer("yes", 0.5), {"label": "yes"}, 0.5),
        (Answer({"label": "yes"}, np.float32(0.5)), {"label": "yes"}, 0.5),
        (Answer("yes", float("nan")), {"label": "yes"}, None),
        (np.int64(3), {"label": 3}, None),
        (True, {"label": True}, None),
        ({"label": ["a", "b"]}, {"label": ["a", "b"]}, None),
    ],
)
def test_answers_come_in_any_form(api, deployment, given, output, confidence):
    deployment.publish("form", lambda row: given, input_schema=TEXT, output_schema=LABEL)
    body = run(api, "form", {"text": "x"}).json()
    assert (body["output"], body["confidence"]) == (output, confidence)


@pytest.mark.parametrize("given", [None, {1, 2}, Answer("x", 1.5), Answer("x", "high"), object()])
def test_what_is_no_answer_is_a_failure(api, deployment, given):
    deployment.publish("no-answer", lambda row: given, input_schema=TEXT, output_schema=LABEL)
    assert run(api, "no-answer", {"text": "x"}).status_code == 502
    job_id = submit(api, "no-answer", [{"text": "x"}])
    assert end(api, job_id)["status"] == "SUCCEEDED"
    assert results(api, job_id)["outputs"] == [None]


def test_predictions_may_be_numpy_numbers(deployment):
    predictions = [{"label": np.str_("yes"), "confidence": np.float32(0.75)}]
    answer = Answer("yes", np.float32(0.75), predictions)
    deployment.publish("numpy", lambda row: answer, input_schema=TEXT, output_schema=LABEL)
    for hosted in client(deployment, ""):
        body = {"name": "numpy", "input_data": {"text": "x"}}
        shown = hosted.post("/functions/run", json=body).json()
    assert shown["predictions"] == [{"label": "yes", "confidence": 0.75}]


@pytest.mark.parametrize(
    "predictions", [[{"label": "yes"}], [{"label": "yes", "confidence": 2}], [{"confidence": 1}]]
)
def test_predictions_that_make_no_sense_are_a_failure(api, deployment, predictions):
    answer = Answer("yes", 1, predictions)
    deployment.publish("odd", lambda row: answer, input_schema=TEXT, output_schema=LABEL)
    assert run(api, "odd", {"text": "x"}).status_code == 502
    for hosted in client(deployment, ""):
        body = {"name": "odd", "input_data": {"text": "x"}}
        assert hosted.post("/functions/run", json=body).status_code == 502


@pytest.mark.parametrize(
    "given",
    [{"label": "yes", "reasoning": ["a", "b"]}, Answer({"label": "yes"}, rationale=["a", "b"])],
)
def test_a_rationale_is_text_in_the_hosted_generation(deployment, given):
    deployment.publish("list", lambda row: given, input_schema=TEXT, output_schema=LABEL)
    for hosted in client(deployment, ""):
        body = {"name": "list", "input_data": {"text": "x"}}
        shown = hosted.post("/functions/run", json=body).json()
    assert (shown["response"], shown["rationale"]) == ("yes", '["a","b"]')


def test_a_rationale_becomes_the_field_that_the_schema_has(api, deployment):
    schema = {"type": "object", "properties": {"label": {}, "reasoning": {"type": "string"}}}
    answer = Answer("yes", rationale="it says so")
    deployment.publish("why", lambda row: answer, input_schema=TEXT, output_schema=schema)
    output = run(api, "why", {"text": "x"}).json()["output"]
    assert output == {"label": "yes", "reasoning": "it says so"}


def test_a_vectorised_form_runs_jobs_chunk_by_chunk(api, deployment):
    sizes = []

    def many(rows):
        sizes.append(len(rows))
        return [row["text"] for row in rows]

    deployment.publish(
        "many", None, input_schema=TEXT, output_schema={"type": "string"}, batch=many
    )
    job_id = submit(api, "many", [{"text": str(number)} for number in range(2500)])
    end(api, job_id)
    assert results(api, job_id)["outputs"] == [str(number) for number in range(2500)]
    assert sum(sizes) == 2500
    assert len(sizes) < 5
    assert run(api, "many", {"text": "x"}).json()["output"] == "x"


def test_a_vectorised_form_that_fails_does_not_take_all_rows_with_it(api, deployment):
    def many(rows):
        raise RuntimeError("too much at once")

    def one(row):
        return {"a": "A"}[row["text"]]

    deployment.publish("many", one, input_schema=TEXT, output_schema={"type": "string"}, batch=many)
    job_id = submit(api, "many", [{"text": "a"}, {"text": "b"}, {"text": "a"}])
    end(api, job_id)
    assert results(api, job_id)["outputs"] == ["A", None, "A"]


def test_a_runnable_behind_a_name_leaves_no_trace_of_its_own(api, deployment, monkeypatch):
    from langsmith.run_helpers import get_current_run_tree
    from langsmith.utils import get_env_var, tracing_is_enabled

    monkeypatch.setenv("LANGSMITH_TRACING", "true")
    get_env_var.cache_clear()
    seen = []

    def look(row):
        seen.append((tracing_is_enabled(), get_current_run_tree()))
        return "x"

    deployment.publish("look", RunnableLambda(look), input_schema=TEXT, output_schema=LABEL)
    both(api, "look", {"text": "x"})
    monkeypatch.undo()
    get_env_var.cache_clear()
    assert seen == [(False, None), (False, None)]


def test_a_call_beyond_the_deadline_is_504():
    hurry = threading.Event()

    def slow(text: str) -> str:
        hurry.wait(10)
        return text

    async def slow_async(text: str) -> str:
        await asyncio.sleep(10)
        return text

    with LocalDeployment([slow, slow_async], deadline=0.1) as deployment:
        for api in client(deployment, "/v1"):
            for name in ("slow", "slow-async"):
                answer = run(api, name, {"text": "x"})
                assert (answer.status_code, answer.json()["code"]) == (504, "timeout")
        hurry.set()


@pytest.mark.parametrize(
    "call",
    [
        lambda text: text,
        len,
        RunnableLambda(lambda row: row),
    ],
)
def test_without_hints_schemas_must_be_given(deployment, call):
    with pytest.raises(TypeError, match="give"):
        deployment.publish("x", call)


def test_hints_that_tell_no_schema_are_refused(deployment):
    def whole(row: dict[str, str]) -> str: ...
    def rest(**fields: str) -> str: ...
    def answered(text: str) -> Answer: ...

    for call in (whole, rest, answered):
        with pytest.raises(TypeError, match="give"):
            deployment.publish("x", call)


def test_a_function_needs_a_name():
    with pytest.raises(ValueError, match="name"):
        LocalFunction("", None, input_schema=TEXT, output_schema=LABEL)


def test_a_name_is_published_again_under_another(api, deployment):
    rows = [{"t": "good", "label": "a"}, {"t": "bad", "label": "b"}] * 5
    deployment.publish("mine", from_examples(rows, inputs=["t"]))
    assert run(api, "mine", {"t": "good"}).json()["output"]["label"] == "a"
    assert run(api, "from-examples", {"t": "good"}).status_code == 404
