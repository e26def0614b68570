"""The LangSmith run of each request: one `llm` run with the facts of its calls, and no secret."""

import asyncio
import json

import langsmith
import pytest
from langchain_core.decisions import Choice, Noul
from langchain_core.messages import AIMessage, HumanMessage

from langchain_sutro.decisions import SutroDecisionModel
from langchain_sutro.errors import SutroDecisionError
from tests.decisions.conftest import runs
from tests.support.blocking_calls import guard
from tests.support.calls import call, modes
from tests.support.watching import Watching, runs_begun

QUESTIONS = {
    "dept": Choice(instructions="Which?", criteria={"billing": None, "technical": None}),
    "is_risky": Noul(instructions="Is it risky?"),
}
REQUEST = {"state": "an invoice", "questions": QUESTIONS}


@modes
async def test_a_request_is_one_run_with_its_facts(deployment, judges, langsmith_recorder, mode):
    model = judges(tags=["mine"], metadata={"team": "a"})
    with langsmith.trace("outer", metadata={"customer": "acme"}, tags=["nightly"]):
        response = await call(mode, model, "invoke", REQUEST, {"tags": ["given"]})
    langsmith_recorder.wait()
    [run] = langsmith_recorder.by_name("judges")
    assert len(langsmith_recorder.runs) == 2
    assert run["run_type"] == "llm"
    metadata = run["extra"]["metadata"]
    assert metadata["ls_provider"] == "sutro"
    assert (metadata["ls_model_name"], metadata["ls_model_type"]) == ("judges", "chat")
    assert metadata["sutro_function"] == "department, tool-risk"
    assert metadata["sutro_request_id"] == response.request_id
    assert len(response.request_id.split(", ")) == 2
    assert metadata["sutro_confidence"] == 0.8
    decisions = metadata["sutro_decisions"]
    assert decisions["is_risky"]["function"] == "tool-risk"
    assert decisions["is_risky"]["confidence"] == 0.9
    assert decisions["is_risky"]["request_id"] in response.request_id
    usage = metadata["usage_metadata"]
    assert usage["input_tokens"] == response.usage["input_tokens"] > 0
    assert usage["total_tokens"] == response.usage["total_tokens"]
    assert usage["total_cost"] > 0
    assert (metadata["customer"], metadata["team"]) == ("acme", "a")
    assert {"mine", "nightly", "given"} <= set(run["tags"])
    assert run["inputs"]["state"] == "an invoice"
    assert run["inputs"]["questions"]["is_risky"]["type"] == "noul"
    assert run["outputs"]["output"]["answers"]["dept"]["choice"] == "billing"


@modes
async def test_the_callers_config_stays_as_it_was(judges, langsmith_recorder, mode):
    config = {"metadata": {"a": 1}, "tags": ["t"]}
    await call(mode, judges(), "invoke", REQUEST, config)
    await call(mode, judges(), "batch", [REQUEST], config)
    assert config == {"metadata": {"a": 1}, "tags": ["t"]}


@modes
async def test_each_request_of_a_batch_is_a_run_with_its_jobs(
    deployment, judges, new_jobs, langsmith_recorder, mode
):
    await call(mode, judges(), "batch", [REQUEST] * 3)
    langsmith_recorder.wait()
    found = langsmith_recorder.by_name("judges")
    assert len(found) == len(langsmith_recorder.runs) == 3
    jobs = {job["job_id"] for job in new_jobs()}
    for run in found:
        metadata = run["extra"]["metadata"]
        assert set(metadata["sutro_job_id"].split(", ")) == jobs
        assert metadata["sutro_confidence"] == 0.8
    # LangSmith adds up what the runs say, and the service counts for whole jobs.
    [usage] = [
        run["extra"]["metadata"]["usage_metadata"]
        for run in found
        if "usage_metadata" in run["extra"]["metadata"]
    ]
    assert usage["input_tokens"] == sum(job["input_tokens"] for job in new_jobs())
    assert usage["total_cost"] == pytest.approx(sum(job["job_cost"] for job in new_jobs()))
    assert sorted(run["extra"]["metadata"]["sutro_row_index"] for run in found) == [0, 1, 2]


@modes
async def test_unknown_costs_and_tokens_are_left_out(deployment, judges, langsmith_recorder, mode):
    request = {"state": "read it", "questions": {"is_risky": QUESTIONS["is_risky"]}}
    response = await call(mode, judges("hosted"), "invoke", request)
    langsmith_recorder.wait()
    [run] = langsmith_recorder.by_name("judges")
    assert response.usage["input_tokens"] > 0
    assert "total_cost" not in run["extra"]["metadata"]["usage_metadata"]
    assert "system_prompt" not in json.dumps(run)
    deployment.faults.add("functions/run", json={"response": "safe", "confidence": 0.9}, status=200)
    assert (await call(mode, judges("hosted"), "invoke", request)).usage is None


@modes
async def test_runs_show_no_images_and_no_secrets(judges, langsmith_recorder, mode):
    image = {"type": "image", "base64": "REVG" * 500, "mime_type": "image/png"}
    url = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "REVG" * 500}}
    state = {
        "messages": [HumanMessage([image, url]), AIMessage("an answer"), HumanMessage("an invoice")]
    }
    config = {"metadata": {"api_key": "hush-1", "fine": 1}, "tags": ["sk_hush-2a0123456789"]}
    request = {"state": state, "questions": QUESTIONS}
    await call(mode, judges(), "invoke", request, config)
    await call(mode, judges(), "batch", [request], config)
    langsmith_recorder.wait()
    shown = json.dumps(langsmith_recorder.runs, default=str)
    assert len(langsmith_recorder.by_name("judges")) == 2
    assert "an invoice" in shown
    for secret in ("REVGREVG", "hush-", judges().sutro_api_key.get_secret_value()):
        assert secret not in shown


@modes
async def test_a_failing_request_is_a_failed_run(judges, langsmith_recorder, mode):
    three = Choice(instructions="?", criteria={"billing": None, "technical": None, "x": None})
    with pytest.raises(SutroDecisionError):
        await call(mode, judges(), "invoke", {"state": "x", "questions": {"dept": three}})
    langsmith_recorder.wait()
    [run] = langsmith_recorder.by_name("judges")
    assert "Question 'dept'" in run["error"]
    # The call was made and paid for, so its facts are there.
    assert run["extra"]["metadata"]["sutro_request_id"].startswith("rt_")


async def test_no_call_blocks_its_event_loop(judges):
    model = judges()
    with guard():
        assert (await model.ainvoke(REQUEST)).choices["dept"].choice == "billing"
        assert len(await model.abatch([REQUEST] * 20)) == 20


def test_without_tracing_nothing_is_sent_to_langsmith(judges, langsmith_recorder, monkeypatch):
    monkeypatch.setenv("LANGSMITH_TRACING", "false")
    judges().invoke(REQUEST)
    asyncio.run(judges().abatch([REQUEST]))
    assert langsmith_recorder.requests == []


def test_a_stream_is_one_response(judges):
    assert [one.model for one in judges().stream(REQUEST)] == ["judges"]


async def test_events_show_a_call_of_a_model(judges):
    events = [event async for event in judges().astream_events(REQUEST, version="v2")]
    assert events[0]["event"] == "on_llm_start"
    assert events[-1]["event"] == "on_llm_end"
    assert "usage_metadata" not in events[0]["metadata"]


def test_rate_limits_timeouts_and_settings_reach_the_functions(deployment, at):
    model = SutroDecisionModel(
        model="m", default="any-question", max_retries=0, timeout=1.5, **at["deployment"]
    )
    deployment.faults.add("functions/*", delay=5)
    with pytest.raises(Exception, match="Question 'q'") as caught:
        model.invoke({"state": "x", "questions": {"q": Noul(instructions="?")}})
    assert type(caught.value).__name__ == "SutroTimeoutError"
    assert len(runs(deployment)) == 1


@modes
async def test_a_request_that_nobody_watches_has_the_same_answers(judges, monkeypatch, mode):
    monkeypatch.setenv("LANGSMITH_TRACING", "false")
    watching, model, begun = Watching(), judges(), runs_begun(monkeypatch)
    watched = await call(mode, model, "invoke", REQUEST, {"callbacks": [watching]})
    alone = await call(mode, model, "invoke", REQUEST)
    assert watching.seen == ["start", "end"]
    assert begun == ["llm"]
    assert alone.answers == watched.answers
    assert (alone.model, alone.usage) == (watched.model, watched.usage)


@modes
async def test_an_error_that_nobody_watches_is_the_same(judge_of, monkeypatch, mode):
    monkeypatch.setenv("LANGSMITH_TRACING", "false")
    watching, model = Watching(), judge_of({"label": "another"})
    question = Noul(instructions="Is it?")
    request = {"state": "x", "questions": {"q": question}}
    with pytest.raises(SutroDecisionError) as watched:
        await call(mode, model, "invoke", request, {"callbacks": [watching]})
    with pytest.raises(SutroDecisionError) as alone:
        await call(mode, model, "invoke", request)
    assert watching.seen == ["start", "error"]
    assert str(alone.value) == str(watched.value)
