"""What no run shows, whichever way a Function is called; and LangSmith's own switches hold."""

import asyncio
import json
from contextlib import nullcontext

import langsmith
import pytest
from langchain_core.runnables import RunnableLambda
from langsmith import tracing_context
from langsmith.run_trees import WriteReplica

from langchain_sutro import SutroClient, SutroEvaluator, SutroFunction, wait_for_job_traces
from langchain_sutro.agents.job_toolkit import SutroJobToolkit
from langchain_sutro.local import LocalDeployment
from tests.support.langsmith_recorder import LangSmithRecorder, forget_settings
from tests.support.langsmith_store import LangSmithStore

FIELDS = {"type": "object", "properties": {"picture": {}, "n": {}}}
LABEL = {"type": "object", "properties": {"label": {"type": "string"}}}
ROW = {
    "picture": {"type": "image", "mime_type": "image/png", "base64": "QUJD" * 500},
    "n": (
        {"base64": "REVG" * 500},
        [{"url": "https://b.example/x.png?X-Amz-Signature=5eed"}],
        {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "REVG" * 500}},
        {"type": "image", "source_type": "base64", "data": "REVG" * 500},
        {"source": {"type": "base64", "media_type": "image/png", "data": "REVG" * 500}},
        ["data:application/pdf;base64," + "REVG" * 500],
    ),
}
# As each of these would look, with something in it to search for.
SECRETS = {
    "customer": "acme",
    "api_key": "hush-1",
    "x-api-key": "hush-2",
    "harmless": "sk-hush3a0123456789abcdef0123456789abcd\n",
    "nested": {
        "password": "hush-4",
        "list": ["Bearer hush5a0123456789", {"github_token": "hush-6"}],
    },
    "tuple": ("lsv2_pt_hush7a0123456789abcdef0123456789abcdef", "fine"),
    "url": "see\nhttps://b.example/k?a=1&X-Goog-Signature=hush-8",
    "dsn": "hush-10",
    "store": "postgresql://app:hush-11@db.internal/leads",
    "header": "Authorization: Bearer hush12a0123456789",
}
TAGS = ["nightly", "sk_live_hush9a0123456789"]


@pytest.fixture(scope="module")
def deployment():
    """One for all, since nothing here looks at what arrived there."""
    with LocalDeployment([]) as running:
        running.publish(
            "see", lambda row: {"label": "cat"}, input_schema=FIELDS, output_schema=LABEL
        )
        yield running


@pytest.fixture
def see(deployment):
    return SutroFunction("see", api_url=deployment.url, api_key=deployment.api_key)


def ways(see, config=None):
    """Every way to call the Function, with and without an event loop."""
    config = config or {}
    tool = see.as_tool(FIELDS, description="Sees.")
    call = {"type": "tool_call", "name": "see", "args": ROW, "id": "1"}
    [start, *_] = SutroJobToolkit(function=see, prefix="").get_tools()
    start_call = {**call, "name": "start_job", "args": {"rows": [ROW]}}
    judge = SutroEvaluator(see, key="judge", fields={"picture": "inputs.picture", "n": "inputs.n"})
    client = SutroClient(api_url=see.api_url, api_key=see.sutro_api_key)
    given = {"langsmith_metadata": config.get("metadata"), "langsmith_tags": config.get("tags")}

    async def asubmit():
        await (await see.asubmit([ROW], config)).aresults()

    return {
        "invoke": lambda: see.invoke(ROW, config),
        "ainvoke": lambda: asyncio.run(see.ainvoke(ROW, config)),
        "batch": lambda: see.batch([ROW], config),
        "abatch": lambda: asyncio.run(see.abatch([ROW], config)),
        "submit": lambda: see.submit([ROW], config).results(),
        "asubmit": lambda: asyncio.run(asubmit()),
        "tool": lambda: tool.invoke(call, config),
        "atool": lambda: asyncio.run(tool.ainvoke(call, config)),
        "tool_batch": lambda: tool.batch([call], config),
        "atool_batch": lambda: asyncio.run(tool.abatch([call], config)),
        "start_job": lambda: start.invoke(start_call, config),
        "astart_job": lambda: asyncio.run(start.ainvoke(start_call, config)),
        "evaluator": lambda: judge(inputs=ROW, outputs={}),
        "aevaluator": lambda: asyncio.run(judge.acall(inputs=ROW, outputs={})),
        "client": lambda: client.run_function("see", ROW, **given),
        "aclient": lambda: asyncio.run(client.arun_function("see", ROW, **given)),
        "verbs": lambda: client.await_job_completion(
            client.batch_run_function("see", [ROW], **given)
        ),
    }


HOWS = list(ways(SutroFunction("see")))
hows = pytest.mark.parametrize("how", HOWS)


def written(recorder):
    """All runs, once everything is written."""
    assert wait_for_job_traces(30)
    recorder.wait()
    runs = recorder.ordered()
    # A job that was only started leaves its run open.
    for run in runs:
        if run["name"].startswith("Sutro batch"):
            run.setdefault("end_time", run["start_time"])
    return runs


def text(runs):
    return json.dumps(runs, default=str)


@hows
def test_no_image_and_no_presigned_url_reaches_a_run(see, langsmith_recorder, how):
    ways(see)[how]()
    runs = written(langsmith_recorder)
    assert runs
    for secret in ("QUJDQUJD", "REVGREVG", "5eed"):
        assert secret not in text(runs)
    assert "https://b.example/x.png" in text(runs)
    assert "<image/png, 1 kB>" in text(runs)


@hows
@pytest.mark.parametrize("place", ["config", "function", "context", "trace", "runnable"])
def test_no_secret_of_the_metadata_reaches_the_calls_run(see, langsmith_recorder, how, place):
    config = {"metadata": SECRETS, "tags": TAGS}
    if place == "function":
        see = see.model_copy(update=config)
    call = ways(see, config if place == "config" else None)[how]
    if place == "runnable":
        RunnableLambda(lambda _: str(call())).invoke(0, config)
    elif place == "trace":
        with langsmith.trace("outer", **config):
            call()
    else:
        with tracing_context(**config) if place == "context" else nullcontext():
            call()
    # LangSmith's and LangChain's own runs show what their user put there.
    ours = [
        run
        for run in written(langsmith_recorder)
        if run["name"] in ("see", "judge", "Sutro batch see")
        and (run["run_type"] != "tool" or place == "config")
    ]
    assert ours
    assert "hush" not in text(ours)
    carries = place != "config" or "evaluator" not in how
    carries &= place != "function" or how not in ("client", "aclient", "verbs")
    assert ("acme" in text(ours)) is ("nightly" in text(ours)) is carries


@hows
def test_where_runs_stay_local_nothing_is_uploaded(see, langsmith_recorder, how):
    with tracing_context(enabled="local"):
        ways(see)[how]()
    assert written(langsmith_recorder) == []


@hows
def test_inputs_and_outputs_can_be_hidden(see, langsmith_recorder, monkeypatch, how):
    monkeypatch.setenv("LANGSMITH_HIDE_INPUTS", "true")
    monkeypatch.setenv("LANGSMITH_HIDE_OUTPUTS", "true")
    forget_settings()
    ways(see)[how]()
    runs = written(langsmith_recorder)
    assert runs
    for run in runs:
        assert not run.get("inputs")
        assert not run.get("outputs")


@hows
def test_what_is_not_sampled_is_not_sent(see, langsmith_recorder, monkeypatch, how):
    monkeypatch.setenv("LANGSMITH_TRACING_SAMPLING_RATE", "0")
    forget_settings()
    ways(see)[how]()
    assert written(langsmith_recorder) == []


def test_a_job_is_sampled_as_a_whole(see, langsmith_recorder, monkeypatch):
    monkeypatch.setenv("LANGSMITH_TRACING_SAMPLING_RATE", "0.5")
    forget_settings()
    for _ in range(20):
        see.submit([ROW, ROW]).results()
    runs = written(langsmith_recorder)
    jobs = [run for run in runs if run["run_type"] == "chain"]
    assert 0 < len(jobs) < 20
    assert [len(langsmith_recorder.children(job)) for job in jobs] == [2] * len(jobs)
    assert len(runs) == 3 * len(jobs)


@pytest.mark.parametrize(("where", "how"), [
    *(("context", how) for how in HOWS), ("environment", "tool"), ("environment", "submit"),
])  # fmt: skip
def test_every_replica_gets_the_whole_trace(see, langsmith_recorder, monkeypatch, where, how):
    with LangSmithRecorder() as other:
        targets = {
            "one": {"api_url": langsmith_recorder.url, "api_key": "lsv2_one"},
            "two": {"api_url": other.url, "api_key": "lsv2_two"},
        }
        replicas = [WriteReplica(project_name=name, **to) for name, to in targets.items()]
        if where == "environment":
            monkeypatch.delenv("LANGSMITH_ENDPOINT")
            monkeypatch.setenv("LANGSMITH_RUNS_ENDPOINTS", json.dumps(replicas))
            forget_settings()
        with tracing_context(replicas=replicas) if where == "context" else nullcontext():
            ways(see)[how]()
        here = written(langsmith_recorder)
        other.until(lambda: len(other.runs) == len(here))
        there = written(other)
        assert [run["name"] for run in here] == [run["name"] for run in there]
        assert {run["session_name"] for run in here} == {"one"}
        assert {run["session_name"] for run in there} == {"two"}
        assert other.check() == []


async def test_no_secret_is_sent_even_before_the_call(see, langsmith_recorder, monkeypatch):
    sent = []
    take = LangSmithStore.take_run

    def taken(store, run, *, update):
        sent.append(json.dumps(run, default=str))
        take(store, run, update=update)

    monkeypatch.setattr(LangSmithStore, "take_run", taken)
    given = {"metadata": SECRETS, "tags": TAGS}
    row = {"picture": "a cat", "n": "1"}
    for function, config in ((see, given), (see.model_copy(update=given), None)):
        function.invoke(row, config)
        function.batch([row], config)
        await function.ainvoke(row, config)
        await function.abatch([row], config)
    langsmith_recorder.wait()
    assert len(sent) >= 8
    assert all("acme" in one for one in sent)
    assert not [one for one in sent if "hush" in one]
