"""The active trace context, and the one run of each call."""

import asyncio
import contextvars
import json
import math
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from decimal import Decimal

import langsmith
import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.runnables import RunnableLambda
from langchain_core.tracers.langchain import LangChainTracer
from langsmith import traceable, tracing_context
from langsmith._internal import _context
from langsmith.utils import ContextThreadPoolExecutor

from langchain_sutro import SutroClient, SutroFunction
from langchain_sutro._core.results import FunctionResult
from langchain_sutro._core.tracing import (
    TraceContext,
    active_context,
    add_facts,
    call_facts,
    traced_inputs,
    without_secrets,
)

LEAD = {"query": "We need 200 seats by Friday", "region": "APAC"}
METADATA = {"customer": "acme"}
TAGS = ["nightly"]


@pytest.fixture
def qualify(deployment):
    return SutroFunction("lead-qualifier", api_url=deployment.url, api_key=deployment.api_key)


@pytest.fixture
def client(deployment):
    return SutroClient(api_url=deployment.url, api_key=deployment.api_key)


async def ask(how, qualify, config=None):
    """Call the Function in one of the four ways."""
    if how == "invoke":
        qualify.invoke(LEAD, config)
    elif how == "ainvoke":
        await qualify.ainvoke(LEAD, config)
    elif how == "batch":
        qualify.batch([LEAD, LEAD], config)
    else:
        await qualify.abatch([LEAD, LEAD], config)


hows = pytest.mark.parametrize("how", ["invoke", "ainvoke", "batch", "abatch"])


async def from_config(how, qualify):
    await ask(how, qualify, {"metadata": METADATA, "tags": TAGS})


async def from_with_config(how, qualify):
    await ask(how, qualify.with_config(metadata=METADATA, tags=TAGS))


async def from_fields(how, qualify):
    await ask(how, qualify.model_copy(update={"metadata": METADATA, "tags": TAGS}))


async def from_traceable(how, qualify):
    @traceable(metadata=METADATA, tags=TAGS)
    async def outer():
        await ask(how, qualify)

    await outer()


async def from_trace(how, qualify):
    with langsmith.trace("outer", metadata=METADATA, tags=TAGS):
        await ask(how, qualify)


async def from_tracing_context(how, qualify):
    with tracing_context(metadata=METADATA, tags=TAGS):
        await ask(how, qualify)


async def from_chain(how, qualify):
    async def step(_):
        await ask(how, qualify)

    await RunnableLambda(step).ainvoke(0, {"metadata": METADATA, "tags": TAGS})


async def from_distributed_headers(how, qualify):
    with langsmith.trace("elsewhere", metadata=METADATA, tags=TAGS) as run:
        headers = run.to_headers()
    with tracing_context(parent=headers):
        await ask(how, qualify)


async def from_task(how, qualify):
    with tracing_context(metadata=METADATA, tags=TAGS):
        await asyncio.create_task(ask(how, qualify))


async def from_context_thread(how, qualify):
    with tracing_context(metadata=METADATA, tags=TAGS), ContextThreadPoolExecutor() as pool:
        await asyncio.wrap_future(pool.submit(lambda: asyncio.run(ask(how, qualify))))


async def from_plain_thread_with_config(how, qualify):
    config = {"metadata": METADATA, "tags": TAGS}
    with ThreadPoolExecutor() as pool:
        await asyncio.wrap_future(pool.submit(lambda: asyncio.run(ask(how, qualify, config))))


async def from_configure(how, qualify):
    langsmith.configure(metadata=METADATA, tags=TAGS)
    try:
        await ask(how, qualify)
    finally:
        langsmith.configure(metadata=None, tags=None)


SOURCES = [value for name, value in globals().items() if name.startswith("from_")]


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.__name__)
@hows
async def test_metadata_and_tags_reach_the_calls_run(langsmith_recorder, qualify, source, how):
    await source(how, qualify)
    langsmith_recorder.wait()
    calls = langsmith_recorder.by_name("lead-qualifier")
    assert len(calls) == (2 if "batch" in how else 1)
    for run in calls:
        assert run["run_type"] == "llm"
        assert run["extra"]["metadata"]["customer"] == "acme"
        assert "nightly" in run["tags"]


@hows
async def test_a_call_is_one_run_with_its_facts_under_its_parent(langsmith_recorder, qualify, how):
    with langsmith.trace("outer", project_name="elsewhere"):
        await ask(how, qualify)
    langsmith_recorder.wait()
    [outer] = langsmith_recorder.by_name("outer")
    calls = langsmith_recorder.children(outer)
    assert len(langsmith_recorder.runs) == 1 + len(calls)
    for index, run in enumerate(calls):
        metadata = run["extra"]["metadata"]
        assert run["session_name"] == "elsewhere"
        assert metadata["ls_provider"] == "sutro"
        assert metadata["ls_model_name"] == "lead-qualifier"
        assert 0 <= metadata["sutro_confidence"] <= 1
        assert run["inputs"] == LEAD
        assert run["outputs"]["output"]["label"]
        if "batch" in how:
            assert metadata["sutro_job_id"].startswith("job-")
            assert metadata["sutro_row_index"] in range(len(calls)), index
        else:
            assert metadata["sutro_request_id"].startswith("rt_")
            assert metadata["usage_metadata"]["input_tokens"] > 0
            assert metadata["usage_metadata"]["total_cost"] > 0


@hows
async def test_with_tracing_off_nothing_is_sent_and_no_client_is_made(deployment, qualify, how):
    from langsmith import run_trees

    before, threads = run_trees._CLIENT, set(threading.enumerate())
    await ask(how, qualify)
    assert run_trees._CLIENT is before
    names = [thread.name for thread in set(threading.enumerate()) - threads]
    assert not [name for name in names if "racing" in name or "langsmith" in name.lower()]


@pytest.mark.parametrize("how", ["run_function", "arun_function"])
async def test_a_call_outside_langchain_traces_itself_once_below_the_active_run(
    langsmith_recorder, client, how
):
    @traceable(metadata=METADATA, tags=TAGS)
    async def outer():
        call = getattr(client, how)
        result = call("lead-qualifier", LEAD, langsmith_metadata={"own": 1}, langsmith_tags=["t"])
        return await result if how.startswith("a") else result

    await outer()
    langsmith_recorder.wait()
    [run] = langsmith_recorder.by_name("lead-qualifier")
    assert run["parent_run_id"] == langsmith_recorder.by_name("outer")[0]["id"]
    assert run["run_type"] == "llm"
    metadata = run["extra"]["metadata"]
    assert (metadata["own"], metadata["customer"]) == (1, "acme")
    assert metadata["usage_metadata"]["total_tokens"] > 0
    assert {"t", "nightly"} <= set(run["tags"])


async def test_a_failed_call_ends_its_run_as_an_error(langsmith_recorder, client):
    with pytest.raises(Exception, match="region"):
        client.run_function("lead-qualifier", {"query": "x"})
    with pytest.raises(Exception, match="region"):
        await client.arun_function("lead-qualifier", {"query": "x"})
    langsmith_recorder.wait()
    runs = langsmith_recorder.by_name("lead-qualifier")
    assert len(runs) == 2
    assert all("SutroValidationError" in run["error"] for run in runs)
    assert all("sk_local" not in str(run) for run in runs)


def test_explicit_metadata_wins_over_the_traces(langsmith_recorder, qualify):
    explicit = qualify.model_copy(update={"metadata": {"customer": "explicit"}})
    with tracing_context(metadata=METADATA):
        explicit.invoke(LEAD)
    langsmith_recorder.wait()
    [run] = langsmith_recorder.by_name("lead-qualifier")
    assert run["extra"]["metadata"]["customer"] == "explicit"


def test_a_tracer_that_comes_without_the_environment_gets_the_facts(
    monkeypatch, deployment, qualify
):
    from tests.support.langsmith_recorder import LangSmithRecorder

    with LangSmithRecorder() as recorder:
        tracer = LangChainTracer(client=recorder.client(), project_name="given")
        qualify.invoke(LEAD, {"callbacks": [tracer]})
        tracer.wait_for_futures()
        tracer.client.flush()
        [run] = recorder.ordered()
        assert run["extra"]["metadata"]["sutro_request_id"]
        assert run["session_name"] == "given"
        assert recorder.check() == []


def test_what_a_parent_was_is_not_passed_on(langsmith_recorder, qualify, client):
    parents = {
        "ls_provider": "openai",
        "ls_model_name": "gpt",
        "usage_metadata": {"input_tokens": 9, "output_tokens": 9, "total_tokens": 18},
    }
    with langsmith.trace("outer", metadata=parents):
        qualify.invoke(LEAD)
        qualify.batch([LEAD])
        client.run_function("lead-qualifier", LEAD)
    langsmith_recorder.wait()
    runs = langsmith_recorder.by_name("lead-qualifier")
    assert len(runs) == 3
    for run in runs:
        metadata = run["extra"]["metadata"]
        assert metadata["ls_provider"] == "sutro"
        assert metadata.get("usage_metadata", {}).get("input_tokens") != 9


@pytest.mark.parametrize("generation", ["deployment", "hosted"])
def test_no_prompt_and_no_key_reaches_a_run(langsmith_recorder, deployment, generation):
    deployment.publish(
        "judge",
        lambda row: {"label": "yes"},
        input_schema={"type": "object", "properties": {"text": {"type": "string"}}},
        output_schema={"type": "object", "properties": {"label": {"type": "string"}}},
        prompt="THE SECRET PROMPT",
    )
    function = SutroFunction(
        "judge", api_url=deployment.url, api_key=deployment.api_key, generation=generation
    )
    (function | RunnableLambda(lambda x: x)).invoke({"text": "a"})
    function.batch([{"text": "a"}])
    SutroClient(
        api_url=deployment.url, api_key=deployment.api_key, generation=generation
    ).run_function("judge", {"text": "a"})
    langsmith_recorder.wait()
    everything = str(langsmith_recorder.ordered())
    assert len(langsmith_recorder.by_name("judge")) == 3
    assert "THE SECRET PROMPT" not in everything
    assert deployment.api_key not in everything


def test_runs_that_are_to_stay_local_are_not_uploaded(langsmith_recorder, qualify):
    with tracing_context(enabled="local"):
        qualify.invoke(LEAD)
        qualify.batch([LEAD])
    langsmith_recorder.wait()
    assert langsmith_recorder.by_name("lead-qualifier") == []


def test_the_private_names_of_langsmith_still_hold_what_configure_sets():
    """`tracing._process_defaults` reads them."""
    langsmith.configure(metadata=METADATA, tags=TAGS)
    try:
        assert _context._GLOBAL_METADATA == METADATA
        assert _context._GLOBAL_TAGS == TAGS
        # A fresh context has only the process-wide defaults.
        found = contextvars.Context().run(active_context)
        assert found == TraceContext(METADATA, TAGS)
    finally:
        langsmith.configure(metadata=None, tags=None)


def test_forwarding_can_be_switched_off():
    with tracing_context(metadata=METADATA, tags=TAGS):
        assert active_context(enabled=False) == TraceContext()
        assert active_context(enabled=False, metadata={"a": 1}) == TraceContext({"a": 1})


def test_a_hook_may_rename_and_drop():
    def hook(context):
        return TraceContext({"tenant": context.metadata["customer"]}, [])

    with tracing_context(metadata=METADATA, tags=TAGS):
        assert active_context(hook=hook) == TraceContext({"tenant": "acme"}, [])


@pytest.mark.parametrize(
    "key",
    [
        "api_key", "OPENAI_API_KEY", "authorization", "password", "client_secret", "access_token",
        "cookie", "token", "credentials", "private_key", "x-api-key", "hf_token", "db_pwd", "dsn",
        "SENTRY_DSN", "clientSecret", "idToken", "PGPASSWORD", "connectionString", "openaiapikey",
    ],
)  # fmt: skip
def test_keys_that_look_secret_are_dropped(key):
    assert active_context(metadata={key: "hush", "max_tokens": 3}).metadata == {"max_tokens": 3}
    assert active_context({"metadata": {key: "hush"}}).metadata == {}
    assert active_context(metadata={"a": {key: "hush"}}).metadata == {"a": {}}


@pytest.mark.parametrize(
    "value",
    [
        "sk_live_0123456789abcdef",
        " sk-0123456789abcdef0123456789abcdef\n",
        "Bearer a8f5f167f44f4964e6c998dee827110c",
        "Authorization: Bearer a8f5f167f44f4964e6c998dee827110c",
        "lsv2_pt_0123456789abcdef0123456789abcdef_0123456789",
        "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
        "AKIAIOSFODNN7EXAMPLE",
        "postgresql://app:hunter2@db.internal:5432/leads",
        "redis://:hunter2@cache:6379/0",
        "Server=db;User Id=sa;Password=hunter2;",
        "https://b.example/k?X-Amz-Signature=1",
        "see\nhttps://b.example/k?a=1&X-Goog-Signature=1",
    ],
)
def test_values_that_look_secret_are_dropped(value):
    assert active_context(metadata={"harmless": value}).metadata == {}
    assert active_context(metadata={"list": [value, ("a", value)]}).metadata == {"list": [["a"]]}
    assert active_context(tags=[value, "b"]).tags == ["b"]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("locale", "sk-SK"),
        ("role", "secretary"),
        ("secretary", "Ms Bearer"),
        ("max_token", 512),
        ("eos_token", "</s>"),
        ("tokenizer", "sk-learn"),
        ("keyword", "token"),
        ("has_password", True),
        ("page", "https://leads.example/list?page=2&sort=asc#top"),
        ("run", "550e8400-e29b-41d4-a716-446655440000"),
        ("digest", "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"),
    ],
)
def test_what_only_resembles_a_secret_is_kept(key, value):
    assert active_context(metadata={key: value}).metadata == {key: value}
    if isinstance(value, str):
        assert active_context(tags=[value]).tags == [value]


def test_a_secret_in_a_long_text_or_as_a_key_is_found():
    key = "sk_live_0123456789abcdef"
    assert active_context(metadata={"log": "fine " * 5000 + key}).metadata == {}
    assert active_context(metadata={"by": {key: 1, "a": 2}}).metadata == {"by": {"a": 2}}


def test_metadata_that_holds_itself_ends():
    endless = {"fine": 1}
    endless["again"] = endless
    found = without_secrets(endless)
    assert found["again"]["again"]["fine"] == 1
    json.dumps(found)


@pytest.mark.parametrize(
    "key", ["ls_provider", "langgraph_node", "__run", "checkpoint_ns", "LANGSMITH_PROJECT"]
)
def test_a_frameworks_own_keys_are_not_passed_on(key):
    assert active_context({"metadata": {key: "x"}}).metadata == {}
    assert active_context({"tags": ["seq:step:1", "map:key:a", "mine"]}).tags == ["mine"]


def test_values_become_json():
    some = uuid.uuid4()
    values = {
        "id": some,
        "money": Decimal("1.50"),
        "day": date(2026, 1, 2),
        "at": datetime(2026, 1, 2, tzinfo=UTC),
        "nan": math.nan,
        "path": ("a", 1),
        "thing": object(),
        "long": "x" * 5000,
    }
    found = active_context(metadata=values).metadata
    assert found["id"] == str(some)
    assert found["money"] == "1.50"
    assert found["day"] == "2026-01-02"
    assert found["nan"] == "nan"
    assert found["path"] == ["a", 1]
    assert found["thing"] == "<object>"
    assert len(found["long"]) == 1001


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.dates(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(st.dictionaries(st.text() | st.integers(), anything), st.lists(st.text() | st.integers()))
def test_any_metadata_and_tags_become_json_and_never_fail(metadata, tags):
    found = active_context({"metadata": metadata, "tags": tags})
    assert len(set(found.tags)) == len(found.tags)
    json.dumps([found.metadata, found.tags], allow_nan=False)


usage_keys = st.sampled_from(["input_tokens", "output_tokens", "cost_usd", "x"])


@given(st.dictionaries(usage_keys, anything))
def test_odd_usage_never_fails_and_never_lies(usage):
    class Run:
        extra = {"metadata": {"kept": 1}}

    run = Run()
    add_facts(run, call_facts(FunctionResult(usage=usage)))
    found = run.extra["metadata"].get("usage_metadata", {})
    assert set(found) <= {"input_tokens", "output_tokens", "total_tokens", "total_cost"}
    assert all(value >= 0 for value in found.values())
    assert run.extra["metadata"]["kept"] == 1


def test_images_stay_out_of_traces():
    row = {"photo": {"type": "image", "base64": "QUJD" * 1000, "mime_type": "image/png"}, "n": 1}
    shown = traced_inputs(row)
    assert shown == {
        "photo": {"type": "image", "base64": "<image/png, 3 kB>", "mime_type": "image/png"},
        "n": 1,
    }
    assert row["photo"]["base64"].startswith("QUJD")


@hows
async def test_a_hook_renames_and_drops_what_is_passed_on(deployment, langsmith_recorder, how):
    def rename(context):
        metadata = {f"app.{key}": value for key, value in context.metadata.items() if key != "no"}
        return TraceContext(metadata, [tag.upper() for tag in context.tags])

    qualify = SutroFunction(
        "lead-qualifier",
        api_url=deployment.url,
        api_key=deployment.api_key,
        trace_context_hook=rename,
    )

    @traceable(metadata={"customer": "acme", "no": 1}, tags=["nightly"])
    async def outer():
        await ask(how, qualify)

    await outer()
    langsmith_recorder.wait()
    _, *calls = langsmith_recorder.ordered()
    for call in calls:
        assert call["extra"]["metadata"]["app.customer"] == "acme"
        assert "app.no" not in call["extra"]["metadata"]
        assert "NIGHTLY" in call["tags"]
