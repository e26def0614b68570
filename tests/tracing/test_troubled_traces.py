"""Traces that LangSmith refused, that another client completes, or that go elsewhere."""

import logging

import pytest
from langchain_core.tracers.langchain import LangChainTracer
from langsmith import Client, tracing_context
from urllib3 import Retry

from langchain_sutro import SutroClient, SutroFunction, SutroJob, wait_for_job_traces
from langchain_sutro.local import LocalDeployment
from tests.support.langsmith_recorder import LangSmithRecorder, tracing_to

LEAD = {"query": "We need 200 seats by Friday", "region": "APAC"}

both = pytest.mark.parametrize("sync", [True, False], ids=["sync", "async"])


@pytest.fixture(scope="module")
def deployment():
    """One for all, since nothing here looks at what arrived there."""
    with LocalDeployment() as running:
        yield running


@pytest.fixture
def qualify(deployment):
    return SutroFunction(
        "lead-qualifier", api_url=deployment.url, api_key=deployment.api_key, poll_interval=0.1
    )


async def submitted(function, rows, *, sync):
    return function.submit(rows) if sync else await function.asubmit(rows)


async def fetched(job, *, sync):
    return job.results() if sync else await job.aresults()


def written(recorder):
    assert wait_for_job_traces(30)
    recorder.wait()
    return recorder.ordered()


def hiding(recorder):
    """A client that shows neither inputs nor outputs."""
    return recorder.client(hide_inputs=True, hide_outputs=True)


@both
@pytest.mark.parametrize("who", ["other", "same"])
async def test_a_job_is_taken_up_through_the_client_of_the_context(
    qualify, deployment, langsmith_recorder, who, sync
):
    langsmith_client = hiding(langsmith_recorder)
    with tracing_context(client=langsmith_client, enabled=True):
        job = await submitted(qualify, [LEAD], sync=sync)
    langsmith_client.flush()
    langsmith_recorder.until(lambda: langsmith_recorder.runs)
    other = SutroClient(api_url=deployment.url, api_key=deployment.api_key)
    client = other if who == "other" else qualify.client
    with tracing_context(client=langsmith_client, enabled=True):
        await fetched(SutroJob.from_id(job.job_id, client=client), sync=sync)
    assert wait_for_job_traces(30)
    langsmith_client.flush()
    langsmith_recorder.until(
        lambda: all(run.get("end_time") for run in langsmith_recorder.ordered())
    )
    chain, row = langsmith_recorder.ordered()
    assert row["parent_run_id"] == chain["id"]
    for run in (chain, row):
        assert not run.get("inputs")
        assert not run.get("outputs")


@both
async def test_results_fetched_through_a_hiding_client_are_hidden(
    qualify, langsmith_recorder, sync
):
    job = await submitted(qualify, [LEAD], sync=sync)
    langsmith_recorder.wait()
    langsmith_client = hiding(langsmith_recorder)
    with tracing_context(client=langsmith_client, enabled=True):
        await fetched(job, sync=sync)
    assert wait_for_job_traces(30)
    langsmith_client.flush()
    langsmith_recorder.until(
        lambda: all(run.get("end_time") for run in langsmith_recorder.ordered())
    )
    chain, row = langsmith_recorder.ordered()
    assert not chain.get("outputs")
    assert not row.get("inputs")
    assert not row.get("outputs")


@both
@pytest.mark.parametrize("enabled", [False, "local"])
async def test_results_fetched_where_nothing_may_be_sent_are_not_sent(
    qualify, langsmith_recorder, enabled, sync
):
    job = await submitted(qualify, [LEAD], sync=sync)
    with tracing_context(enabled=enabled):
        await fetched(job, sync=sync)
    [chain] = written(langsmith_recorder)
    assert not chain.get("outputs")
    # It can still be completed.
    await fetched(job, sync=sync)
    assert len(written(langsmith_recorder)) == 2


@both
@pytest.mark.parametrize("batching", [True, False])
@pytest.mark.parametrize("when", ["submission", "results", "both"])
async def test_after_a_refused_upload_the_trace_is_completed(
    qualify, monkeypatch, when, batching, sync
):
    monkeypatch.setattr("langchain_sutro._core.tracing.stored_runs._PAUSE", 0.05)
    with LangSmithRecorder() as smith, tracing_to(smith, monkeypatch, wait=False):
        client = smith.client(auto_batch_tracing=batching)
        with tracing_context(client=client, enabled=True):
            smith.status = 403 if when != "results" else None
            job = await submitted(qualify, [LEAD, LEAD], sync=sync)
            client.flush()
            smith.status = 403 if when != "submission" else None
            assert len(await fetched(job, sync=sync)) == 2
            assert wait_for_job_traces(30)
            smith.status = None
            await fetched(job, sync=sync)
            assert wait_for_job_traces(30)
        client.flush()
        smith.until(lambda: len(smith.ordered()) == 3)
        chain, *rows = smith.ordered()
        assert [row["parent_run_id"] for row in rows] == [chain["id"]] * 2
        smith.until(lambda: smith.ordered()[0].get("outputs"))
        assert smith.ordered()[0]["outputs"]["rows"] == 2


@both
@pytest.mark.parametrize("verb", ["submit", "client", "invoke", "verbs"])
async def test_an_unreachable_langsmith_without_batching_fails_nothing(
    qualify, monkeypatch, caplog, verb, sync
):
    with LangSmithRecorder() as smith:
        url = smith.url
    # Each attempt of LangSmith's client takes seconds.
    client = Client(
        api_url=url, api_key="lsv2_test", auto_batch_tracing=False, retry_config=Retry(0)
    )
    caller = qualify.client
    with (
        caplog.at_level(logging.WARNING, logger="langchain_sutro"),
        tracing_context(client=client, enabled=True),
    ):
        if verb == "submit":
            job = await submitted(qualify, [LEAD], sync=sync)
            assert len(await fetched(job, sync=sync)) == 1
        elif verb == "client":
            result = (
                caller.run_function("lead-qualifier", LEAD)
                if sync
                else await caller.arun_function("lead-qualifier", LEAD)
            )
            assert result.answer == "qualified"
        elif verb == "invoke":
            result = qualify.invoke(LEAD) if sync else await qualify.ainvoke(LEAD)
            assert result.answer == "qualified"
        elif sync:
            job_id = caller.batch_run_function("lead-qualifier", [LEAD])
            assert len(caller.await_job_completion(job_id)) == 1
        else:
            job_id = await caller.abatch_run_function("lead-qualifier", [LEAD])
            assert len(await caller.aawait_job_completion(job_id)) == 1
    assert wait_for_job_traces(60)
    if verb != "invoke":
        assert "LangSmith did not accept" in caplog.text


class Spans:
    """An OpenTelemetry exporter that keeps what it is given."""

    def __init__(self):
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))

    def names(self):
        return sorted(span.name for span in self.exporter.get_finished_spans())


@both
@pytest.mark.parametrize("where", ["this process", "another process"])
async def test_with_spans_only_a_job_taken_up_elsewhere_has_its_span(
    qualify, deployment, monkeypatch, where, sync
):
    here, there = Spans(), Spans()

    def client_of(spans):
        return Client(
            api_url="http://127.0.0.1:1", api_key="lsv2_test", info={}, tracing_mode="otel",
            otel_tracer_provider=spans.provider,
        )  # fmt: skip

    first = client_of(here)
    with tracing_context(client=first, enabled=True):
        job = await submitted(qualify, [LEAD], sync=sync)
    first.flush()
    if where == "another process":
        monkeypatch.setattr("langchain_sutro._core.tracing.job_traces._by_token", {})
        second, spans = client_of(there), there
    else:
        second, spans = first, here
    other = SutroClient(api_url=deployment.url, api_key=deployment.api_key)
    with tracing_context(client=second, enabled=True):
        await fetched(SutroJob.from_id(job.job_id, client=other), sync=sync)
    assert wait_for_job_traces(30)
    second.flush()
    assert spans.names() == ["Sutro batch lead-qualifier", "lead-qualifier"]


def test_the_private_name_for_a_client_that_sends_spans_only_still_exists():
    """`stored_runs.sends_spans_only` reads it."""
    assert Client(api_url="http://127.0.0.1:1", api_key="x", info={})._tracing_mode == "langsmith"


def test_a_tracer_that_is_given_traces_a_job_although_nothing_else_is_traced(qualify):
    with LangSmithRecorder() as smith:
        tracer = LangChainTracer(client=smith.client(), project_name="given")
        qualify.submit([LEAD], {"callbacks": [tracer]}).results()
        assert wait_for_job_traces(30)
        tracer.client.flush()
        smith.until(lambda: len(smith.ordered()) == 2)
        assert smith.check() == []
