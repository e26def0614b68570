"""The trace of a Batch job: one run for the job, and one for each traced row."""

import json
import logging
import pickle
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.runnables import RunnableLambda
from langsmith import trace, traceable, tracing_context
from langsmith._internal import _background_thread
from pydantic import BaseModel, SecretBytes, SecretStr

from langchain_sutro import SutroClient, SutroFunction, SutroJob, TraceContext, wait_for_job_traces
from langchain_sutro._core.results.batch import BatchResults
from langchain_sutro._core.tracing import check_trace_rows, stable_id
from langchain_sutro._core.tracing.row_sample import choose_rows
from langchain_sutro.errors import (
    SutroConfigurationError,
    SutroError,
    SutroJobCancelledError,
    SutroJobFailedError,
)
from tests.support.langsmith_recorder import LangSmithRecorder, tracing_to

LEAD = {"query": "We need 200 seats by Friday", "region": "APAC"}
OTHER = {"query": "please unsubscribe me", "region": "EMEA"}


@pytest.fixture
def qualify(deployment):
    return SutroFunction("lead-qualifier", api_url=deployment.url, api_key=deployment.api_key)


def finished(recorder):
    """All runs, once everything is written; parents first."""
    assert wait_for_job_traces(30)
    recorder.wait()
    return recorder.ordered()


def metadata(run):
    return run["extra"]["metadata"]


async def submitted(function, rows, config=None, *, sync):
    return function.submit(rows, config) if sync else await function.asubmit(rows, config)


async def fetched(job, *, sync):
    return job.results() if sync else await job.aresults()


both = pytest.mark.parametrize("sync", [True, False], ids=["sync", "async"])


class SecretLead(BaseModel):
    query: str
    region: SecretStr


@both
@pytest.mark.parametrize("form", ["values", "models", "schema", "nested", "parts"])
async def test_secrets_of_a_submitted_table_are_sent_and_not_shown(
    deployment, qualify, langsmith_recorder, form, sync
):
    rows = [{"query": f"We need {n} seats", "region": f"hush{n}"} for n in range(3)]
    if form == "values":
        rows = [{**row, "region": SecretStr(row["region"])} for row in rows]
    elif form in ("models", "parts"):
        rows = [SecretLead(**row) for row in rows]
    elif form == "nested":
        rows = [{**row, "region": {"keys": [SecretBytes(row["region"].encode())]}} for row in rows]
    else:
        qualify = qualify.model_copy(update={"args_schema": SecretLead})
    if form == "parts":
        job = qualify.submit_in_parts(rows, 2)
        await fetched(job, sync=sync)
    else:
        job = await submitted(qualify, rows, sync=sync)
        await fetched(job, sync=sync)
    sent = [call for call in deployment.requests if "hush1" in str(call.body)]
    assert sent
    runs = finished(langsmith_recorder)
    assert any(run["inputs"].get("region") == "**********" for run in runs)
    assert "hush" not in json.dumps(runs, default=str)


@both
async def test_a_job_is_one_chain_run_with_its_rows_under_it(qualify, langsmith_recorder, sync):
    job = await submitted(qualify, [LEAD, OTHER, LEAD], sync=sync)
    await fetched(job, sync=sync)
    chain, *rows = finished(langsmith_recorder)
    assert (chain["name"], chain["run_type"]) == ("Sutro batch lead-qualifier", "chain")
    assert chain["inputs"]["rows"] == 3
    assert chain["inputs"]["first_rows"] == [LEAD, OTHER, LEAD]
    assert chain["outputs"] == {
        "rows": 3,
        "errors": 0,
        "answers": [
            {"answer": "qualified", "rows": 2},
            {"answer": "not_qualified", "rows": 1},
        ],
    }
    assert metadata(chain)["sutro_job_id"] == job.job_id
    assert metadata(chain)["sutro_rows_traced"] == metadata(chain)["sutro_rows_total"] == 3
    assert metadata(chain)["sutro_input_tokens"] > 0
    assert metadata(chain)["sutro_cost_usd"] > 0
    assert "usage_metadata" not in metadata(chain)
    assert [row["inputs"] for row in rows] == [LEAD, OTHER, LEAD]
    assert {row["run_type"] for row in rows} == {"llm"}
    assert {row["parent_run_id"] for row in rows} == {chain["id"]}
    assert [metadata(row)["sutro_row_index"] for row in rows] == [0, 1, 2]
    assert all(metadata(row)["sutro_job_id"] == job.job_id for row in rows)
    assert all(metadata(row)["ls_provider"] == "sutro" for row in rows)
    assert [row["outputs"]["output"]["label"] for row in rows] == [
        "qualified", "not_qualified", "qualified",
    ]  # fmt: skip
    for row in rows:
        assert metadata(row)["sutro_confidence"] == row["outputs"]["confidence"]


@both
@pytest.mark.parametrize("how", ["traceable", "config", "runnable"])
async def test_a_job_nests_under_the_active_run_in_its_project(
    qualify, langsmith_recorder, how, sync
):
    @traceable(name="outer", metadata={"customer": "acme"}, tags=["nightly"])
    async def traced(_=None):
        job = await submitted(qualify, [LEAD], sync=sync)
        await fetched(job, sync=sync)

    async def with_config(_, config):
        job = await submitted(qualify, [LEAD], config, sync=sync)
        await fetched(job, sync=sync)

    async def with_active(_):
        job = await submitted(qualify, [LEAD], sync=sync)
        await fetched(job, sync=sync)

    with tracing_context(project_name="leads"):
        if how == "traceable":
            await traced()
        else:
            inner = with_config if how == "config" else with_active
            outer = RunnableLambda(inner).with_config(run_name="outer")
            await outer.ainvoke(1, {"metadata": {"customer": "acme"}, "tags": ["nightly"]})
    parent, chain, row = finished(langsmith_recorder)
    assert (parent["name"], chain["parent_run_id"]) == ("outer", parent["id"])
    assert row["parent_run_id"] == chain["id"]
    assert {run["session_name"] for run in (parent, chain, row)} == {"leads"}
    assert metadata(chain)["customer"] == "acme"
    assert "nightly" in chain["tags"]


async def test_explicit_metadata_wins_and_forwarding_can_be_stopped(deployment, langsmith_recorder):
    function = SutroFunction(
        "lead-qualifier",
        api_url=deployment.url,
        api_key=deployment.api_key,
        metadata={"customer": "ours"},
        tags=["mine"],
        forward_trace_context=False,
    )
    function.submit([LEAD], {"metadata": {"customer": "acme", "other": 1}, "tags": ["t"]}).results()
    chain = finished(langsmith_recorder)[0]
    assert metadata(chain)["customer"] == "ours"
    assert "mine" in chain["tags"]
    assert "t" not in chain["tags"]


def test_a_hook_renames_what_a_job_is_given(qualify, langsmith_recorder):
    def rename(context):
        return TraceContext({"app." + key: value for key, value in context.metadata.items()})

    hooked = qualify.model_copy(update={"trace_context_hook": rename})
    hooked.submit([LEAD], {"metadata": {"customer": "acme"}}).results()
    chain, _ = finished(langsmith_recorder)
    assert metadata(chain)["app.customer"] == "acme"
    assert "customer" not in metadata(chain)


@both
async def test_rows_with_errors_end_as_errors(deployment, qualify, langsmith_recorder, sync):
    deployment.faults.add_job(null_rows=[1])
    job = await submitted(qualify, [LEAD, OTHER], sync=sync)
    await fetched(job, sync=sync)
    chain, good, bad = finished(langsmith_recorder)
    assert chain["outputs"]["errors"] == 1
    assert not good.get("error")
    assert "Row 1" in bad["error"]
    assert bad["inputs"] == OTHER


@both
async def test_a_failed_job_ends_as_an_error(deployment, qualify, langsmith_recorder, sync):
    deployment.faults.add_job(fail="no more money")
    job = await submitted(qualify, [LEAD], sync=sync)
    with pytest.raises(SutroJobFailedError):
        await fetched(job, sync=sync)
    [chain] = finished(langsmith_recorder)
    assert "no more money" in chain["error"]


@both
async def test_a_cancelled_job_ends_as_an_error(deployment, qualify, langsmith_recorder, sync):
    deployment.faults.add_job(rows_per_second=1)
    job = await submitted(qualify, [LEAD] * 50, sync=sync)
    job.cancel()
    with pytest.raises(SutroJobCancelledError):
        await fetched(job, sync=sync)
    [chain] = finished(langsmith_recorder)
    assert "cancelled" in chain["error"]


@both
async def test_a_job_that_is_cancelled_and_left_ends_as_an_error(
    deployment, qualify, langsmith_recorder, sync
):
    deployment.faults.add_job(rows_per_second=1)
    job = qualify.submit([LEAD] * 50)
    assert job.cancel() if sync else await job.acancel()
    [chain] = finished(langsmith_recorder)
    assert "SutroJobCancelledError" in chain["error"]


@both
async def test_a_refused_submission_is_one_run_that_is_an_error(
    deployment, langsmith_recorder, sync
):
    unknown = SutroFunction("no-such", api_url=deployment.url, api_key=deployment.api_key)
    with pytest.raises(SutroError):
        await submitted(unknown, [LEAD], sync=sync)
    [chain] = finished(langsmith_recorder)
    assert "SutroNotFoundError" in chain["error"]


@both
async def test_results_that_are_fetched_twice_are_traced_once(qualify, langsmith_recorder, sync):
    job = await submitted(qualify, [LEAD, OTHER], sync=sync)
    await fetched(job, sync=sync)
    await fetched(job, sync=sync)
    assert len(finished(langsmith_recorder)) == 3


@both
async def test_the_verbs_trace_a_job_too(deployment, langsmith_recorder, sync):
    client = SutroClient(api_url=deployment.url, api_key=deployment.api_key)
    options = {"langsmith_metadata": {"customer": "acme"}, "langsmith_tags": ["nightly"]}
    if sync:
        job_id = client.batch_run_function("lead-qualifier", [LEAD, OTHER], **options)
        client.await_job_completion(job_id)
    else:
        job_id = await client.abatch_run_function("lead-qualifier", [LEAD, OTHER], **options)
        await client.aawait_job_completion(job_id)
    chain, *rows = finished(langsmith_recorder)
    assert metadata(chain)["customer"] == "acme"
    assert chain["tags"] == ["nightly"]
    assert [row["inputs"] for row in rows] == [LEAD, OTHER]


def test_a_batch_makes_no_run_for_its_job(qualify, langsmith_recorder):
    qualify.batch([LEAD, OTHER])
    assert [run["run_type"] for run in finished(langsmith_recorder)] == ["llm", "llm"]


@pytest.mark.parametrize("how", ["from_id", "pickle", "json", "failed"])
def test_another_process_completes_the_same_trace(
    deployment, qualify, langsmith_recorder, monkeypatch, how
):
    monkeypatch.setenv("SUTRO_API_URL", deployment.url)
    monkeypatch.setenv("SUTRO_API_KEY", deployment.api_key)
    if how == "failed":
        deployment.faults.add_job(fail=True)
    job = qualify.submit([LEAD, OTHER])
    langsmith_recorder.wait()
    state = {
        "from_id": job.job_id,
        "failed": job.job_id,
        "json": json.dumps(job.to_dict()),
        "pickle": pickle.dumps(job).hex(),
    }[how]
    program = """
        import json, pickle, sys
        from langchain_sutro import SutroJob
        from langchain_sutro.errors import SutroJobFailedError
        how, state = sys.argv[1:]
        if how == "pickle":
            job = pickle.loads(bytes.fromhex(state))
        elif how == "json":
            job = SutroJob.from_dict(json.loads(state))
        else:
            job = SutroJob.from_id(state)
        try:
            job.results()
        except SutroJobFailedError:
            assert how == "failed"
    """
    subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), how, state], check=True, timeout=60
    )
    chain, *rows = finished(langsmith_recorder)
    if how == "failed":
        assert "failed" in chain["error"]
        assert not rows
    else:
        assert chain["outputs"]["rows"] == 2
        assert [row["parent_run_id"] for row in rows] == [chain["id"]] * 2
        assert [metadata(row)["sutro_row_index"] for row in rows] == [0, 1]
    assert len({run["session_name"] for run in (chain, *rows)}) == 1


def test_a_program_that_ends_at_once_has_written_its_rows(
    deployment, langsmith_recorder, monkeypatch
):
    monkeypatch.setenv("SUTRO_API_URL", deployment.url)
    monkeypatch.setenv("SUTRO_API_KEY", deployment.api_key)
    program = """
        from langchain_sutro import SutroFunction
        row = {"query": "hello", "region": "APAC"}
        SutroFunction("lead-qualifier").submit([row] * 200).results()
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=True, timeout=60)
    assert len(finished(langsmith_recorder)) == 201


def test_a_job_from_another_trace_is_left_alone(deployment, qualify, langsmith_recorder):
    with tracing_context(enabled=False):
        job = qualify.submit([LEAD])
    other = SutroClient(api_url=deployment.url, api_key=deployment.api_key)
    SutroJob.from_id(job.job_id, client=other).results()
    assert finished(langsmith_recorder) == []


@both
async def test_with_tracing_off_a_job_sends_nothing(qualify, langsmith_recorder, sync):
    before = len(langsmith_recorder.requests)
    with tracing_context(enabled=False):
        await fetched(await submitted(qualify, [LEAD], sync=sync), sync=sync)
    assert finished(langsmith_recorder) == []
    assert len(langsmith_recorder.requests) == before


async def test_where_runs_stay_local_a_job_uploads_nothing(qualify, langsmith_recorder):
    with tracing_context(enabled="local"):
        qualify.submit([LEAD]).results()
    assert finished(langsmith_recorder) == []


@pytest.mark.parametrize(("cap", "rows"), [(0, 0), (2, 2), ("all", 5)])
def test_the_number_of_traced_rows_is_capped(qualify, langsmith_recorder, cap, rows):
    some = qualify.model_copy(update={"trace_rows": cap})
    some.submit([LEAD, OTHER, LEAD, OTHER, LEAD]).results()
    chain, *written = finished(langsmith_recorder)
    assert len(written) == rows
    assert metadata(chain)["sutro_rows_traced"] == rows
    assert chain["outputs"]["rows"] == 5


@pytest.mark.parametrize("wrong", [-1, 20_001, "some", True])
def test_an_impossible_cap_is_an_error(wrong):
    with pytest.raises(SutroConfigurationError, match="25,000"):
        check_trace_rows(wrong)


def test_the_cap_is_checked_where_it_is_set():
    with pytest.raises(SutroConfigurationError, match="trace_rows"):
        SutroFunction("lead-qualifier", trace_rows=30_000)


@given(
    rows=st.lists(st.one_of(st.none(), st.floats(0, 1)), max_size=60),
    cap=st.integers(0, 40),
)
def test_errors_come_first_then_the_weakest_then_an_even_sample(rows, cap):
    outputs = [None if confidence is None else '{"label": "a"}' for confidence in rows]
    results = BatchResults.from_columns({"outputs": outputs, "confidence_score": rows})
    scan = choose_rows(results, cap, deadline=float("inf"))
    chosen = [index for index, _ in scan.chosen]
    assert chosen == sorted(set(chosen))
    assert len(chosen) == min(cap, len(rows))
    failed = [index for index, confidence in enumerate(rows) if confidence is None]
    assert scan.errors == len(failed)
    assert set(failed[:cap]) <= set(chosen)
    if len(rows) > cap:
        left = (max(0, cap - len(failed)) + 1) // 2
        known = sorted(
            (confidence, index) for index, confidence in enumerate(rows) if confidence is not None
        )
        assert {index for _, index in known[:left]} <= set(chosen)


@given(st.integers(0, 2**42), st.text(), st.integers(0))
def test_the_id_of_a_row_is_a_version_7_of_its_time_and_always_the_same(moment, job_id, index):
    moment = datetime.fromtimestamp(moment / 1000, UTC)
    found = stable_id(moment, job_id, index)
    assert found == stable_id(moment, job_id, index)
    assert found != stable_id(moment, job_id, index + 1)
    assert (found.version, found.variant) == (7, UUID(int=0x2 << 62).variant)
    assert found.int >> 80 == int(moment.timestamp() * 1000)


def test_no_secret_reaches_a_jobs_trace(deployment, langsmith_recorder):
    hosted = SutroFunction(
        "lead-qualifier", api_url=deployment.url, api_key=deployment.api_key, generation="hosted"
    )
    asset = {"type": "image", "mime_type": "image/png", "base64": "QUJD" * 100}
    hosted.submit([LEAD], {"metadata": {"api_key": "sk_secret"}}).results()
    with pytest.raises(SutroError):
        hosted.submit([{"picture": asset}]).results()
    everything = json.dumps(finished(langsmith_recorder), default=str)
    for secret in (deployment.api_key, "sk_secret", "QUJDQUJD", "You are the Function"):
        assert secret not in everything


TROUBLES = {
    "silent": lambda smith: smith.answers.clear(),
    "failing": lambda smith: setattr(smith, "status", 500),
    "unreachable": lambda smith: smith.__exit__(),
}


@both
@pytest.mark.parametrize("trouble", TROUBLES)
async def test_a_langsmith_in_trouble_changes_no_result_and_delays_none(
    deployment, monkeypatch, trouble, sync
):
    """Results come at once, and their trace is given up within its budget."""
    monkeypatch.setattr("langchain_sutro._core.tracing.job_run._SECONDS", 0.5)
    monkeypatch.setattr("langchain_sutro._core.tracing.job_run._PORTION", 10)
    # All clients of a process share it, and requests of this one will occupy it for long.
    monkeypatch.setattr(
        _background_thread, "LANGSMITH_CLIENT_THREAD_POOL", ThreadPoolExecutor(2), raising=False
    )
    qualify = SutroFunction(
        "lead-qualifier", api_url=deployment.url, api_key=deployment.api_key, poll_interval=0.1
    )
    with tracing_context(enabled=False):
        qualify.submit([LEAD]).results()  # The first loads what is needed.
    with LangSmithRecorder() as smith, tracing_to(smith, monkeypatch, wait=False):
        TROUBLES[trouble](smith)
        job = await submitted(qualify, [LEAD] * 50, sync=sync)
        results = await fetched(job, sync=sync)
        assert len(results) == 50
        assert all(result.answer == "qualified" for result in results)
        # The silent one has not answered at all up to here.
        assert wait_for_job_traces(30)
        smith.answers.set()


def test_results_are_there_before_their_trace(qualify, langsmith_recorder, monkeypatch):
    monkeypatch.setattr("langchain_sutro._core.tracing.job_run._PORTION", 10)
    langsmith_recorder.delay = 0.2
    qualify.submit([LEAD] * 50).results()
    assert not wait_for_job_traces(0)
    assert len(finished(langsmith_recorder)) == 51


def test_no_row_is_dropped_where_the_clients_queue_is_short(qualify, monkeypatch):
    monkeypatch.setenv("LANGSMITH_TRACING_QUEUE_MAX_SIZE", "100")
    monkeypatch.setattr("langchain_sutro._core.tracing.job_run._PORTION", 50)
    monkeypatch.setattr("langchain_sutro._core.tracing.job_run._SECONDS", 100.0)
    with LangSmithRecorder(zstd=False) as smith, tracing_to(smith, monkeypatch):
        smith.delay = 0.02
        qualify.submit([LEAD] * 600).results()
        chain, *rows = finished(smith)
        assert len(rows) == metadata(chain)["sutro_rows_traced"] == 600
        assert smith.check() == []


def test_a_job_is_not_taken_for_its_parents_model(qualify, langsmith_recorder):
    usage = {"input_tokens": 9, "output_tokens": 9, "total_tokens": 18}
    model = {"ls_provider": "openai", "ls_model_name": "gpt", "usage_metadata": usage}
    with trace("outer", metadata={**model, "thread_id": "t", "customer": "acme"}):
        qualify.submit([LEAD]).results()
        silent = qualify.model_copy(update={"forward_trace_context": False})
        silent.submit([OTHER]).results()
    _, *ours = finished(langsmith_recorder)
    chain, other = [run for run in ours if run["run_type"] == "chain"]
    for run in (chain, other):
        assert not model.keys() & metadata(run).keys()
    assert metadata(chain)["customer"] == "acme"
    # Or the thread's cost would lack it.
    assert metadata(chain)["thread_id"] == "t"
    assert not {"customer", "thread_id"} & metadata(other).keys()


def test_figures_of_a_part_are_not_given_for_the_whole():
    outputs = ['{"label": "a"}'] * 3
    results = BatchResults.from_columns({"outputs": outputs, "confidence_score": [1.0] * 3})
    assert choose_rows(results, 3, deadline=float("inf")).outputs() == {
        "errors": 0,
        "answers": [{"answer": "a", "rows": 3}],
    }
    assert choose_rows(results, 3, deadline=0.0).outputs() == {}


def test_what_langsmith_was_too_slow_for_is_counted_and_logged_once(
    qualify, langsmith_recorder, monkeypatch, caplog
):
    monkeypatch.setattr("langchain_sutro._core.tracing.job_run._SECONDS", 0.0)
    monkeypatch.setattr("langchain_sutro._core.tracing.job_run._PORTION", 10)
    with caplog.at_level(logging.WARNING, logger="langchain_sutro"):
        job = qualify.submit([LEAD] * 100)
        # A flush without time does not wait for the run's creation, which the client then sends
        # beside the run's update. A real job outlasts the delivery of the creation.
        langsmith_recorder.until(lambda: langsmith_recorder.runs)
        job.results()
        finished(langsmith_recorder)
    # A flush without time returns before its last requests end.
    langsmith_recorder.until(
        lambda: (
            metadata(langsmith_recorder.ordered()[0]).get("sutro_rows_traced")
            == len(langsmith_recorder.ordered()) - 1
        )
    )
    chain, *rows = langsmith_recorder.ordered()
    assert len(rows) < 100
    assert metadata(chain)["sutro_rows_traced"] == len(rows)
    assert metadata(chain)["sutro_rows_total"] == 100
    (logged,) = [one for one in caplog.records if one.name.startswith("langchain_sutro")]
    assert "of 100 rows were traced" in logged.getMessage()


def test_each_job_of_a_group_has_its_trace(qualify, langsmith_recorder):
    group = qualify.submit_in_parts([LEAD, OTHER, LEAD], 2)
    group.results()
    runs = finished(langsmith_recorder)
    assert [run["run_type"] for run in runs].count("chain") == 2
    assert [run["inputs"] for run in runs if run["run_type"] == "llm"] == [LEAD, OTHER, LEAD]
