"""SutroClient and the module-level verbs: the official SDK's names, parameters and frames."""

import asyncio
import copy
import pickle

import httpx
import pandas as pd
import polars as pl
import pytest

import langchain_sutro
from langchain_sutro import SutroClient, errors
from tests.support.calls import LEAD, call, modes, posts

LEADS = pd.DataFrame(
    {"query": [f"Quote for {n} seats" for n in range(20)], "region": ["APAC"] * 20},
    index=range(100, 120),
)


@pytest.fixture
def client(deployment):
    return SutroClient(api_url=deployment.url, api_key=deployment.api_key)


@modes
async def test_the_sdks_four_verbs_do_the_main_job(client, deployment, mode):
    result = await call(mode, client, "run_function", "lead-qualifier", LEAD)
    assert result["output"]["label"]
    job_id = await call(mode, client, "batch_run_function", "lead-qualifier", LEADS)
    assert isinstance(job_id, str)
    frame = await call(mode, client, "await_job_completion", job_id)
    assert isinstance(frame, pd.DataFrame)
    assert list(frame.columns)[-1] == "confidence_score"
    assert len(frame) == 20
    assert set(frame["label"]) <= {"qualified", "not_qualified"}


@modes
async def test_raw_results_are_the_texts_that_were_sent(client, mode):
    job_id = await call(
        mode, client, "batch_run_function", "lead-qualifier", LEADS, stay_attached=True
    )
    frame = await call(
        mode, client, "get_job_results", job_id, unpack_json=False, output_column="raw"
    )
    assert all(text.startswith("{") for text in frame["raw"])


@modes
async def test_results_join_the_table_that_went_in(client, mode):
    job_id = await call(
        mode, client, "batch_run_function", "lead-qualifier", LEADS, stay_attached=True
    )
    frame = await call(mode, client, "get_job_results", job_id, with_original_df=LEADS)
    assert list(frame["query"]) == list(LEADS["query"])
    assert "label" in frame
    in_polars = pl.from_pandas(LEADS)
    frame = await call(mode, client, "get_job_results", job_id, with_original_df=in_polars)
    assert isinstance(frame, pl.DataFrame)
    assert frame["query"].to_list() == list(LEADS["query"])


@modes
async def test_the_small_verbs(client, deployment, mode):
    job_id = await call(
        mode, client, "batch_run_function", "lead-qualifier", LEADS, job_name="mine", dry_run=True
    )
    assert await call(mode, client, "await_job_completion", job_id, obtain_results=False) is None
    assert await call(mode, client, "get_job_status", job_id) == "SUCCEEDED"
    [job] = await call(mode, client, "list_jobs")
    assert (job["job_id"], job["name"]) == (job_id, "mine")
    assert (await call(mode, client, "fetch_job", job_id))["cost_estimate"] > 0
    assert {quota["priority"] for quota in await call(mode, client, "get_quotas")} == {0, 1}
    assert "cancelled" in await call(mode, client, "cancel_job", job_id)
    assert (await call(mode, client, "try_authentication"))["authenticated"] is True


@modes
async def test_where_the_sdk_gives_none_an_error_is_raised(client, mode):
    with pytest.raises(errors.SutroNotFoundError):
        await call(mode, client, "batch_run_function", "nobody", LEADS)
    with pytest.raises(errors.SutroNotFoundError):
        await call(mode, client, "get_job_status", "job-none")
    wrong = SutroClient(api_url=client.settings.batch_url, api_key="sk_wrong")
    with pytest.raises(errors.SutroAuthenticationError):
        await call(mode, wrong, "list_jobs")


@pytest.mark.parametrize(
    "options",
    [{"job_priority": 2}, {"job_name": "x" * 46}, {"description": "x" * 512}],
    ids=lambda options: next(iter(options)),
)
@modes
async def test_a_wrong_option_is_refused_before_anything_is_sent(client, deployment, options, mode):
    with pytest.raises(errors.SutroInputError, match=next(iter(options))):
        await call(mode, client, "batch_run_function", "lead-qualifier", LEADS, **options)
    assert deployment.requests == []


@pytest.mark.usefixtures("sutro_deployment")
def test_the_verbs_speak_to_the_deployment_of_the_environment():
    assert langchain_sutro.run_function("lead-qualifier", LEAD).answer
    job_id = langchain_sutro.batch_run_function("lead-qualifier", LEADS)
    assert len(langchain_sutro.await_job_completion(job_id)) == 20
    assert langchain_sutro.get_job_status(job_id) == "SUCCEEDED"
    assert len(langchain_sutro.get_job_results(job_id)) == 20
    assert len(langchain_sutro.list_jobs()) == 1
    assert langchain_sutro.get_quotas()
    assert langchain_sutro.attach(job_id) is None
    assert langchain_sutro.results_download_url(job_id)["urls"]["get"]
    assert "cancelled" in langchain_sutro.cancel_job(job_id)
    assert langchain_sutro.try_authentication()["authenticated"] is True


async def test_the_callers_http_clients_are_used_and_left_open(deployment):
    seen = []

    async def aseen(request):
        seen.append(request)

    with httpx.Client(event_hooks={"request": [seen.append]}, auth=("user", "pass")) as http:
        async with httpx.AsyncClient(event_hooks={"request": [aseen]}) as ahttp:
            client = SutroClient(
                api_url=deployment.url,
                api_key=deployment.api_key,
                http_client=http,
                http_async_client=ahttp,
            )
            assert client.run_function("lead-qualifier", LEAD).answer
            assert (await client.arun_function("lead-qualifier", LEAD)).answer
            job_id = client.batch_run_function("lead-qualifier", LEADS, stay_attached=True)
            assert len(client.get_job_results(job_id)) == 20
            assert not http.is_closed
            assert not ahttp.is_closed
    # Object storage is reached without the client's hooks, and without the key.
    assert len(seen) >= 5
    assert all(r.headers["authorization"].startswith("Key ") for r in seen)
    assert not any("storage" in r.url.path for r in seen)
    stored = [r for r in deployment.requests if "storage" in r.path]
    assert stored
    assert not any("authorization" in r.headers for r in stored)


def test_a_redirect_is_not_followed_with_the_key(deployment, client):
    deployment.faults.add(
        "functions/*", status=302, json={}, headers={"location": "http://127.0.0.1:9/"}
    )
    with pytest.raises(errors.SutroAPIError, match="redirects are not followed"):
        client.run_function("lead-qualifier", LEAD)
    assert len(deployment.requests) == 1


@pytest.mark.parametrize("name", ["a/b", "..", "a?b#c", "naïve", "a b", "%2e"])
def test_a_name_cannot_change_the_route(deployment, client, name):
    deployment.publish(
        "x", lambda row: "y", input_schema={"type": "object", "properties": {}}, output_schema={}
    )
    with pytest.raises(errors.SutroAPIError) as caught:
        client.run_function(name, {"a": 1})
    assert caught.value.status_code in (404, 405)
    [request] = deployment.requests
    assert request.path.startswith("/v1/functions/")
    assert request.path.endswith("/run")


@pytest.mark.parametrize("name", ["", "  ", None, 3, "a\nb"])
@modes
async def test_an_impossible_name_is_refused_before_anything_is_sent(
    deployment, client, name, mode
):
    with pytest.raises(errors.SutroInputError):
        await call(mode, client, "run_function", name, LEAD)
    assert deployment.requests == []


def test_a_copy_is_the_client_and_a_pickle_is_without_the_key(client, deployment, monkeypatch):
    assert copy.deepcopy(client) is client
    data = pickle.dumps(client)
    assert deployment.api_key.encode() not in data
    monkeypatch.setenv("SUTRO_API_URL", deployment.url)
    monkeypatch.setenv("SUTRO_API_KEY", deployment.api_key)
    assert pickle.loads(data).try_authentication()


def test_one_client_serves_one_event_loop_after_another(client):
    for _ in range(3):
        assert asyncio.run(client.arun_function("lead-qualifier", LEAD)).answer


@modes
async def test_the_hosted_generation_has_its_own_endpoint_and_body(deployment, mode):
    client = SutroClient(api_url=deployment.url, api_key=deployment.api_key, generation="hosted")
    result = await call(mode, client, "run_function", "lead-qualifier", LEAD)
    assert result["response"] == result.answer
    [run] = posts(deployment, "/functions/run")
    assert run.body == {"name": "lead-qualifier", "input_data": LEAD}
    job_id = await call(mode, client, "batch_run_function", "lead-qualifier", LEADS)
    assert len(await call(mode, client, "await_job_completion", job_id)) == 20
    assert (await call(mode, client, "try_authentication"))["authenticated"] is True


@modes
async def test_429_is_waited_for_as_long_as_the_service_says(deployment, client, mode):
    deployment.faults.add(
        "functions/*",
        status=429,
        json={"detail": "slow down", "code": "rate_limited"},
        headers={"retry-after": "0.05"},
        times=2,
    )
    assert (await call(mode, client, "run_function", "lead-qualifier", LEAD)).answer
    assert len(posts(deployment, "/run")) == 3


@modes
async def test_a_429_that_asks_for_too_long_is_raised_with_its_delay(deployment, client, mode):
    deployment.faults.add(
        "functions/*", status=429, json={"detail": "x"}, headers={"retry-after": "3600"}
    )
    with pytest.raises(errors.SutroRateLimitError) as caught:
        await call(mode, client, "run_function", "lead-qualifier", LEAD)
    assert caught.value.retry_after == 3600
    assert len(posts(deployment, "/run")) == 1


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param({"status": 502, "html": "<h1>Bad gateway</h1>"}, id="502 in HTML"),
        pytest.param({"status": 503, "json": {"detail": "x"}}, id="503"),
        pytest.param({"status": 524, "html": "<h1>timeout</h1>"}, id="524"),
        pytest.param({"truncate": "body"}, id="truncated JSON"),
        pytest.param({"truncate": "connection"}, id="truncated answer"),
        pytest.param({"reset": "after"}, id="reset"),
    ],
)
@modes
async def test_a_run_that_may_have_been_carried_out_is_never_repeated(
    deployment, client, fault, mode
):
    deployment.faults.add("functions/*", **fault)
    with pytest.raises((errors.SutroAPIError, errors.SutroConnectionError)):
        await call(mode, client, "run_function", "lead-qualifier", LEAD)
    assert len(posts(deployment, "/run")) == 1


def test_repeat_runs_repeats_what_may_pass(deployment):
    client = SutroClient(api_url=deployment.url, api_key=deployment.api_key, repeat_runs=True)
    deployment.faults.add("functions/*", status=502, html="<h1>Bad gateway</h1>")
    assert client.run_function("lead-qualifier", LEAD).answer
    assert len(posts(deployment, "/run")) == 2


@modes
async def test_a_timeout_is_an_error_that_says_so(deployment, client, mode):
    deployment.faults.add("functions/*", delay=1.0)
    with pytest.raises(errors.SutroTimeoutError) as caught:
        await call(mode, client, "run_function", "lead-qualifier", LEAD, timeout_seconds=0.1)
    assert caught.value.sent is True


@modes
async def test_reads_are_repeated_through_what_may_pass(deployment, client, mode):
    job_id = client.batch_run_function("lead-qualifier", LEADS, stay_attached=True)
    deployment.faults.add("job-status/*", status=503, html="<h1>x</h1>", times=2)
    assert await call(mode, client, "get_job_status", job_id) == "SUCCEEDED"
