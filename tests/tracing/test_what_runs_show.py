"""What a hook drops, or what is not forwarded, is on no run of ours, from its start."""

import asyncio
import json
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext

import langsmith
import pytest
from langchain_core.runnables import RunnableLambda
from langchain_core.tracers.context import tracing_v2_enabled
from langchain_core.tracers.langchain import LangChainTracer
from langsmith import traceable, tracing_context

from langchain_sutro import SutroClient, SutroFunction, TraceContext, wait_for_job_traces
from langchain_sutro._core.tracing import job_traces
from langchain_sutro.agents.job_toolkit import SutroJobToolkit
from langchain_sutro.local import LocalDeployment
from tests.support.langsmith_recorder import LangSmithRecorder
from tests.support.langsmith_store import LangSmithStore

LEAD = {"query": "We need 200 seats by Friday", "region": "APAC"}
FIELDS = {
    "type": "object",
    "properties": {"query": {"type": "string"}, "region": {"type": "string"}},
}
CONFIG = {
    "metadata": {"email": "ada@example.com", "customer": "acme"},
    "tags": ["pii", "nightly"],
    "configurable": {"thread_id": "thread-of-ada"},
}
OURS = ("lead-qualifier", "lead_qualifier", "start_job", "estimate_job")


@pytest.fixture(scope="module")
def deployment():
    """One for all, since nothing here looks at what arrived there."""
    with LocalDeployment() as running:
        yield running


@pytest.fixture
def qualify(deployment):
    return SutroFunction("lead-qualifier", api_url=deployment.url, api_key=deployment.api_key)


@pytest.fixture
def sent(monkeypatch):
    """Everything that LangSmith is sent, creations as well as updates."""
    found = []
    take = LangSmithStore.take_run

    def taken(store, run, *, update):
        found.append(json.loads(json.dumps(run, default=str)))
        take(store, run, update=update)

    monkeypatch.setattr(LangSmithStore, "take_run", taken)
    return found


def dropping(context):
    metadata = {f"app.{key}": value for key, value in context.metadata.items() if key != "email"}
    metadata.pop("app.thread_id", None)
    return TraceContext(metadata, [tag for tag in context.tags if tag != "pii"])


def ways(function):
    tool = function.as_tool(FIELDS, description="Qualifies.")
    call = {"type": "tool_call", "name": tool.name, "args": LEAD, "id": "1"}
    start, estimate, *_ = SutroJobToolkit(function=function, prefix="").get_tools()
    job = {"type": "tool_call", "args": {"rows": [LEAD]}, "id": "2"}

    async def asubmit(config):
        await (await function.asubmit([LEAD], config)).aresults()

    return {
        "invoke": lambda config: function.invoke(LEAD, config),
        "ainvoke": lambda config: asyncio.run(function.ainvoke(LEAD, config)),
        "stream": lambda config: list(function.stream(LEAD, config)),
        "batch": lambda config: function.batch([LEAD, LEAD], config),
        "abatch": lambda config: asyncio.run(function.abatch([LEAD, LEAD], config)),
        "batch_of_configs": lambda config: function.batch([LEAD, LEAD], [config or {}] * 2),
        "realtime": lambda config: function.model_copy(update={"batch_mode": "realtime"}).batch(
            [LEAD, LEAD], config
        ),
        "submit": lambda config: function.submit([LEAD], config).results(),
        "asubmit": lambda config: asyncio.run(asubmit(config)),
        "parts": lambda config: function.submit_in_parts([LEAD, LEAD], 1, config).results(),
        "tool": lambda config: tool.invoke(call, config),
        "atool": lambda config: asyncio.run(tool.ainvoke(call, config)),
        "tool_batch": lambda config: tool.batch([call], config),
        "atool_batch": lambda config: asyncio.run(tool.abatch([call], config)),
        "start_job": lambda config: start.invoke({**job, "name": start.name}, config),
        "estimate_job": lambda config: estimate.invoke({**job, "name": estimate.name}, config),
    }


SOURCES = {
    "config": lambda call: call(CONFIG),
    "context": lambda call: within(
        tracing_context(metadata=CONFIG["metadata"], tags=CONFIG["tags"]), call
    ),
    "traceable": lambda call: traceable(
        lambda: call(None) and None, name="outer", metadata=CONFIG["metadata"], tags=CONFIG["tags"]
    )(),
    "runnable": lambda call: RunnableLambda(lambda _: call(None) and None, name="outer").invoke(
        1, CONFIG
    ),
    "tracer": lambda call: call(
        {"callbacks": [LangChainTracer(metadata=CONFIG["metadata"], tags=CONFIG["tags"])]}
    ),
}


def within(context, call):
    with context:
        call(None)


def finish(recorder, sent):
    assert wait_for_job_traces(30)
    recorder.wait()
    for run in recorder.runs.values():
        if run["name"].startswith("Sutro batch"):
            run.setdefault("end_time", run["start_time"])
    ours = [one for one in sent if one.get("name", "").removeprefix("Sutro batch ") in OURS]
    assert ours
    return ours


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("how", ways(SutroFunction("lead-qualifier")))
def test_what_a_hook_drops_is_on_no_run_of_ours(qualify, langsmith_recorder, sent, source, how):
    hooked = qualify.model_copy(update={"trace_context_hook": dropping})
    SOURCES[source](ways(hooked)[how])
    for run in finish(langsmith_recorder, sent):
        text = json.dumps(run)
        assert "ada@" not in text
        assert "thread-of-ada" not in text
        assert "pii" not in run["tags"]
        # And the hook was asked once, not for the tool and for what the tool calls.
        assert run["extra"]["metadata"]["app.customer"] == "acme"
        assert not [key for key in run["extra"]["metadata"] if key.startswith("app.app.")]
        assert "nightly" in run["tags"]


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("how", ways(SutroFunction("lead-qualifier")))
def test_what_is_not_forwarded_is_on_no_run_of_ours(qualify, langsmith_recorder, sent, source, how):
    own = {"metadata": {"team": "sales"}, "tags": ["mine"], "forward_trace_context": False}
    SOURCES[source](ways(qualify.model_copy(update=own))[how])
    for run in finish(langsmith_recorder, sent):
        text = json.dumps(run)
        assert not [one for one in ("ada@", "of-ada", "acme", "pii", "nightly") if one in text]
        assert run["extra"]["metadata"]["team"] == "sales"
        assert run["tags"] == ["mine"]


@pytest.mark.parametrize("how", ["invoke", "ainvoke", "batch", "tool", "submit", "client"])
def test_nothing_of_a_parents_model_is_on_a_run_of_ours(qualify, langsmith_recorder, sent, how):
    model = {
        "ls_provider": "openai", "ls_model_name": "gpt", "ls_temperature": 0.7,
        "ls_max_tokens": 9, "ls_model_type": "chat", "ls_method": "traceable",
        "usage_metadata": {"input_tokens": 9}, "customer": "acme",
    }  # fmt: skip
    client = SutroClient(api_url=qualify.api_url, api_key=qualify.sutro_api_key)
    calls = {**ways(qualify), "client": lambda _: client.run_function("lead-qualifier", LEAD)}
    for source in ("config", "traceable"):
        if source == "config" and how != "client":
            calls[how]({"metadata": model})
        else:
            traceable(lambda: calls[how](None) and None, name="outer", metadata=model)()
    for run in finish(langsmith_recorder, sent):
        found = {key for key in run["extra"]["metadata"] if key.startswith("ls_")}
        assert found <= {"ls_provider", "ls_model_name", "ls_message_view_exclude"}
        assert run["extra"]["metadata"].get("ls_provider") in (None, "sutro")
        assert run["extra"]["metadata"]["customer"] == "acme"
        assert run["extra"]["metadata"].get("usage_metadata", {}).get("input_tokens") != 9


@pytest.mark.parametrize("how", ["invoke", "submit", "asubmit", "parts", "client", "verbs"])
@pytest.mark.parametrize("source", ["tracer", "tracing_v2_enabled"])
def test_a_tracer_without_the_environment_gives_its_tags_metadata_and_project(
    qualify, deployment, source, how
):
    client = SutroClient(api_url=deployment.url, api_key=deployment.api_key)
    calls = {
        **ways(qualify),
        "client": lambda _: client.run_function("lead-qualifier", LEAD),
        "verbs": lambda _: client.await_job_completion(
            client.batch_run_function("lead-qualifier", [LEAD])
        ),
    }
    with LangSmithRecorder() as recorder:
        smith = recorder.client()
        if source == "tracer":
            if how in ("client", "verbs"):
                pytest.skip("takes no config")
            tracer = LangChainTracer(
                client=smith, project_name="given", tags=["nightly"], metadata={"customer": "acme"}
            )
            calls[how]({"callbacks": [tracer]})
        else:
            with tracing_v2_enabled("given", tags=["nightly"], client=smith):
                calls[how](None)
        assert wait_for_job_traces(30)
        smith.flush()
        recorder.until(lambda: all(run.get("end_time") for run in recorder.ordered()))
        assert recorder.ordered()
        for run in recorder.ordered():
            assert run["session_name"] == "given"
            assert "nightly" in run["tags"]
            if source == "tracer":
                assert run["extra"]["metadata"]["customer"] == "acme"
        assert recorder.check() == []


def test_tracing_v2_enabled_still_knows_the_run_it_made(qualify):
    with LangSmithRecorder() as recorder, tracing_v2_enabled(client=recorder.client()) as tracer:
        qualify.invoke(LEAD)
        tracer.wait_for_futures()
        assert str(tracer.latest_run.id) in recorder.runs


@pytest.mark.parametrize("sync", [True, False], ids=["sync", "async"])
async def test_the_run_of_a_job_has_the_id_and_the_name_of_the_config(
    qualify, langsmith_recorder, sync
):
    run_id = uuid.UUID("01920000-0000-7000-8000-0000000000aa")
    config = {"run_id": run_id, "run_name": "nightly leads"}
    job = qualify.submit([LEAD], config) if sync else await qualify.asubmit([LEAD], config)
    # Whoever takes it up finds the run, which is not the submission's token.
    assert job.token != run_id.hex
    other = SutroFunction("x", api_url=qualify.api_url, api_key=qualify.sutro_api_key).client
    type(job).from_id(job.job_id, client=other).results()
    assert wait_for_job_traces(30)
    langsmith_recorder.wait()
    chain, row = langsmith_recorder.ordered()
    assert (chain["id"], chain["name"]) == (str(run_id), "nightly leads")
    assert row["parent_run_id"] == str(run_id)


@pytest.mark.parametrize("sync", [True, False], ids=["sync", "async"])
async def test_a_job_with_a_key_of_its_own_is_found_by_others_too(
    qualify, langsmith_recorder, sync
):
    key = {"idempotency_key": uuid.uuid4().hex}
    job = qualify.submit([LEAD], **key) if sync else await qualify.asubmit([LEAD], **key)
    langsmith_recorder.wait()
    other = SutroFunction("x", api_url=qualify.api_url, api_key=qualify.sutro_api_key).client
    job_traces._by_token.clear()
    type(job).from_id(job.job_id, client=other).results()
    assert wait_for_job_traces(30)
    langsmith_recorder.wait()
    chain, row = langsmith_recorder.ordered()
    assert row["parent_run_id"] == chain["id"]


def test_only_the_first_part_of_a_table_has_the_id_of_the_config(qualify, langsmith_recorder):
    run_id = uuid.UUID("01920000-0000-7000-8000-0000000000ab")
    qualify.submit_in_parts([LEAD, LEAD], 1, {"run_id": run_id}).results()
    assert wait_for_job_traces(30)
    langsmith_recorder.wait()
    chains = [run["id"] for run in langsmith_recorder.ordered() if run["run_type"] == "chain"]
    assert len(chains) == 2
    assert str(run_id) in chains


@pytest.mark.parametrize("how", ["client", "verbs", "submit"])
def test_a_plain_thread_uses_the_project_that_configure_set(
    qualify, deployment, langsmith_recorder, how
):
    from langsmith._internal import _context

    client = SutroClient(api_url=deployment.url, api_key=deployment.api_key)
    calls = {
        "client": lambda: client.run_function("lead-qualifier", LEAD),
        "verbs": lambda: client.await_job_completion(
            client.batch_run_function("lead-qualifier", [LEAD])
        ),
        "submit": lambda: qualify.submit([LEAD]).results(),
    }
    langsmith.configure(project_name="configured")
    try:
        with ThreadPoolExecutor(1) as threads:
            threads.submit(calls[how]).result()
        assert wait_for_job_traces(30)
        langsmith_recorder.wait()
    finally:
        langsmith.configure(project_name=None)
        _context._GLOBAL_PROJECT_NAME = None
    assert {run["session_name"] for run in langsmith_recorder.ordered()} == {"configured"}


@pytest.mark.parametrize("how", ["batch", "abatch", "batch_of_configs", "tool_batch", "submit"])
@pytest.mark.parametrize("nested", [True, False])
def test_a_jobs_tokens_and_cost_are_on_one_run_of_its_trace(
    qualify, langsmith_recorder, how, nested
):
    with langsmith.trace("outer") if nested else nullcontext():
        ways(qualify)[how](None)
    assert wait_for_job_traces(30)
    langsmith_recorder.wait()
    found = [
        run["extra"]["metadata"]
        for run in langsmith_recorder.ordered()
        if "usage_metadata" in run["extra"].get("metadata", {})
    ]
    [metadata] = found
    job = qualify.client.fetch_job(metadata["sutro_job_id"])
    assert metadata["usage_metadata"] == {
        "input_tokens": job["input_tokens"],
        "output_tokens": job["output_tokens"],
        "total_tokens": job["input_tokens"] + job["output_tokens"],
        "total_cost": job["job_cost"],
    }
    assert metadata["sutro_usage_rows"] == job["num_rows"]
    assert metadata["ls_provider"] == "sutro"


def test_without_runs_of_rows_the_jobs_own_run_has_its_cost(qualify, langsmith_recorder):
    qualify.model_copy(update={"trace_rows": 0}).submit([LEAD]).results()
    assert wait_for_job_traces(30)
    langsmith_recorder.wait()
    [chain] = langsmith_recorder.ordered()
    assert chain["extra"]["metadata"]["usage_metadata"]["total_cost"] > 0


def test_a_job_that_is_reused_is_not_counted_again(qualify, langsmith_recorder):
    from datetime import timedelta

    again = qualify.model_copy(update={"reuse_jobs": timedelta(hours=1)})
    row = {"query": f"reuse {uuid.uuid4()}", "region": "EMEA"}
    again.batch([row])
    again.batch([row])
    again.submit([row]).results()
    assert wait_for_job_traces(30)
    langsmith_recorder.wait()
    found = [
        run for run in langsmith_recorder.ordered() if "usage_metadata" in run["extra"]["metadata"]
    ]
    assert len(found) == 1


def test_rows_of_a_job_carry_the_context_of_the_trace(qualify, langsmith_recorder):
    with tracing_context(metadata=CONFIG["metadata"], tags=CONFIG["tags"]):
        qualify.submit([LEAD, LEAD]).results()
    assert wait_for_job_traces(30)
    langsmith_recorder.wait()
    _, *rows = langsmith_recorder.ordered()
    for row in rows:
        assert row["extra"]["metadata"]["customer"] == "acme"
        assert sorted(row["tags"]) == ["nightly", "pii"]


def test_a_real_time_run_says_which_model_answered(qualify, deployment, langsmith_recorder):
    qualify.invoke(LEAD)
    SutroClient(api_url=deployment.url, api_key=deployment.api_key).run_function(
        "lead-qualifier", LEAD
    )
    langsmith_recorder.wait()
    for run in langsmith_recorder.ordered():
        assert run["extra"]["metadata"]["sutro_model"] == "scikit-learn"
        assert run["extra"]["metadata"]["sutro_model_source"] == "local"
