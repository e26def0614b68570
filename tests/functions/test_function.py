"""SutroFunction against the local deployment: one run per invoke, one job per batch."""

import asyncio
import copy
import pickle
import threading
import time
from datetime import date

import pytest
from langchain_core.load import dumpd, dumps, load
from langchain_core.rate_limiters import InMemoryRateLimiter
from langchain_core.runnables import ConfigurableField, RunnableLambda
from pydantic import BaseModel, SecretStr

from langchain_sutro import SutroFunction, SutroJobToolkit, SutroToolkit, errors
from langchain_sutro.local import LocalDeployment
from tests.support.calls import LEAD, call, modes, posts

ROWS = [{"query": f"Send a quote for {n} seats", "region": "EMEA"} for n in range(1, 9)]


class Lead(BaseModel):
    query: str
    region: str


class Company(BaseModel):
    company: str | None
    segment: str | None
    region: str | None


@pytest.fixture
def qualify(deployment):
    return SutroFunction("lead-qualifier", api_url=deployment.url, api_key=deployment.api_key)


def test_construction_reads_and_sends_nothing(deployment, monkeypatch):
    monkeypatch.delenv("SUTRO_API_URL", raising=False)
    monkeypatch.delenv("SUTRO_API_KEY", raising=False)
    before = len(deployment.requests)
    function = SutroFunction("lead-qualifier")
    assert function.get_name() == "lead-qualifier"
    assert function.get_input_jsonschema()
    assert len(deployment.requests) == before


@modes
async def test_invoke_is_one_real_time_run_with_the_payload_as_sent(deployment, qualify, mode):
    result = await call(mode, qualify, "invoke", LEAD)
    assert result.answer in ("qualified", "not_qualified")
    assert result["output"]["label"] == result.answer
    assert 0 <= result.confidence <= 1
    assert result.request_id.startswith("rt_")
    assert len(posts(deployment, "/functions/lead-qualifier/run")) == 1
    assert not posts(deployment, "batch-inference")


@modes
async def test_a_pydantic_input_is_sent_as_its_fields(deployment, qualify, mode):
    result = await call(mode, qualify, "invoke", Lead(**LEAD))
    assert result.answer == qualify.invoke(LEAD).answer
    assert posts(deployment, "/run")[0].body["input"] == LEAD


@modes
async def test_batch_is_one_job_in_input_order(deployment, qualify, mode):
    results = await call(mode, qualify, "batch", ROWS)
    assert [r.answer for r in results] == [qualify.invoke(row).answer for row in ROWS]
    assert len(posts(deployment, "batch-inference")) == 1


@modes
async def test_a_row_of_a_batch_has_the_shape_of_an_invoke(deployment, qualify, mode):
    one = await call(mode, qualify, "invoke", LEAD)
    [row] = await call(mode, qualify, "batch", [LEAD])
    assert row["output"] == one["output"]
    assert row.answer == one.answer
    assert row.confidence == pytest.approx(one.confidence)


@modes
async def test_an_empty_batch_makes_no_job(deployment, qualify, mode):
    assert await call(mode, qualify, "batch", []) == []
    assert deployment.requests == []


@modes
async def test_a_pipeline_over_200_rows_is_one_job_and_one_submission(deployment, qualify, mode):
    chain = (
        RunnableLambda(lambda text: {"query": text, "region": "AMER"})
        | qualify
        | RunnableLambda(lambda result: result.answer)
    )
    answers = await call(mode, chain, "batch", [f"{n} seats please" for n in range(200)])
    assert len(answers) == 200
    assert set(answers) <= {"qualified", "not_qualified"}
    assert len(posts(deployment, "batch-inference")) == 1
    assert len(deployment.jobs) == 1


@pytest.mark.parametrize(
    "compose",
    [
        pytest.param(lambda fn: fn.pick("output"), id="pick"),
        pytest.param(lambda fn: fn.bind(), id="bind"),
        pytest.param(lambda fn: fn.with_config(tags=["t"]), id="with_config"),
        pytest.param(lambda fn: fn.with_retry(), id="with_retry"),
        pytest.param(
            lambda fn: fn.with_fallbacks([RunnableLambda(lambda _: None)]), id="with_fallbacks"
        ),
        pytest.param(lambda fn: fn.with_types(), id="with_types"),
        pytest.param(lambda fn: fn.assign_as("verdict"), id="assign_as"),
    ],
)
@modes
async def test_compositions_keep_one_job_per_batch(deployment, qualify, compose, mode):
    results = await call(mode, compose(qualify), "batch", ROWS)
    assert len(results) == len(ROWS)
    assert len(deployment.jobs) == 1
    assert not posts(deployment, "/run")


@modes
async def test_map_is_one_job(deployment, qualify, mode):
    assert len(await call(mode, qualify.map(), "invoke", ROWS)) == len(ROWS)
    assert len(deployment.jobs) == 1


@modes
async def test_batch_as_completed_is_one_job(deployment, qualify, mode):
    if mode == "async":
        indexed = [pair async for pair in qualify.abatch_as_completed(ROWS)]
    else:
        indexed = list(qualify.batch_as_completed(ROWS))
    assert sorted(index for index, _ in indexed) == list(range(len(ROWS)))
    assert len(deployment.jobs) == 1


@modes
async def test_a_missing_field_is_the_services_error_without_a_schema(qualify, mode):
    with pytest.raises(errors.SutroValidationError, match="region") as caught:
        await call(mode, qualify, "invoke", {"query": "hello"})
    assert caught.value.status_code == 422
    assert caught.value.code == "invalid_input"


@modes
async def test_with_a_schema_a_missing_field_is_named_before_anything_is_sent(
    deployment, qualify, mode
):
    function = SutroFunction(
        "lead-qualifier", args_schema=Lead, api_url=deployment.url, api_key=deployment.api_key
    )
    with pytest.raises(errors.SutroInputError, match="region"):
        await call(mode, function, "invoke", {"query": "hello"})
    with pytest.raises(errors.SutroInputError, match="row 1") as caught:
        await call(mode, function, "batch", [LEAD, {"query": "hello"}])
    assert caught.value.row_index == 1
    assert deployment.requests == []


@modes
async def test_an_unknown_function_is_not_found(deployment, mode):
    function = SutroFunction("nobody", api_url=deployment.url, api_key=deployment.api_key)
    with pytest.raises(errors.SutroNotFoundError) as caught:
        await call(mode, function, "invoke", LEAD)
    assert caught.value.code == "function_not_found"


@modes
async def test_a_wrong_key_is_an_authentication_error_without_the_key(deployment, mode):
    function = SutroFunction("lead-qualifier", api_url=deployment.url, api_key="sk_wrong_secret")
    with pytest.raises(errors.SutroAuthenticationError) as caught:
        await call(mode, function, "invoke", LEAD)
    assert "sk_wrong_secret" not in repr(caught.value)
    assert "sk_wrong_secret" not in repr(function)


@modes
async def test_without_settings_the_error_says_how_to_get_a_local_deployment(
    monkeypatch, tmp_path, mode
):
    monkeypatch.delenv("SUTRO_API_URL", raising=False)
    monkeypatch.delenv("SUTRO_API_KEY", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(errors.SutroConfigurationError, match=r"langchain_sutro\.local"):
        await call(mode, SutroFunction("lead-qualifier"), "invoke", LEAD)


def test_an_http_url_that_is_not_loopback_fails_at_once():
    with pytest.raises(errors.SutroConfigurationError, match="https"):
        SutroFunction("lead-qualifier", api_url="http://example.com", api_key="sk_x")


@modes
async def test_an_unreachable_host_is_a_connection_error_that_was_not_sent(mode):
    function = SutroFunction(
        "lead-qualifier", api_url="http://127.0.0.1:9", api_key="sk_x", max_retries=0
    )
    with pytest.raises(errors.SutroConnectionError) as caught:
        await call(mode, function, "invoke", LEAD)
    assert caught.value.sent is False


@modes
async def test_nan_becomes_null_and_dates_become_text(deployment, qualify, mode):
    row = {"query": float("nan"), "region": date(2026, 1, 2)}
    await call(mode, qualify, "invoke", row)
    assert posts(deployment, "/run")[0].body["input"] == {"query": None, "region": "2026-01-02"}


@modes
async def test_a_value_without_json_form_is_named_before_any_row_is_sent(deployment, qualify, mode):
    with pytest.raises(errors.SutroInputError) as caught:
        await call(mode, qualify, "batch", [LEAD, {"query": object(), "region": "APAC"}])
    assert (caught.value.row_index, caught.value.column) == (1, "query")
    assert deployment.requests == []


@modes
async def test_return_exceptions_keeps_the_good_rows(deployment, qualify, mode):
    rows = [LEAD, {"query": object(), "region": "x"}, LEAD]
    results = await call(mode, qualify, "batch", rows, return_exceptions=True)
    assert isinstance(results[1], errors.SutroInputError)
    assert results[0].answer == results[2].answer
    assert len(deployment.jobs) == 1


@modes
async def test_a_row_that_fails_in_the_job_is_an_error_in_its_place(deployment, mode):
    def fragile(row):
        if row["text"] == "bad":
            raise ValueError("no")
        return {"label": row["text"].upper()}

    deployment.publish(
        "fragile",
        fragile,
        input_schema={"type": "object", "properties": {"text": {"type": "string"}}},
        output_schema={"type": "object", "properties": {"label": {"type": "string"}}},
    )
    function = SutroFunction("fragile", api_url=deployment.url, api_key=deployment.api_key)
    rows = [{"text": "a"}, {"text": "bad"}, {"text": "c"}]
    results = await call(mode, function, "batch", rows, return_exceptions=True)
    assert [getattr(r, "answer", r) for r in (results[0], results[2])] == ["A", "C"]
    assert isinstance(results[1], errors.SutroRowError)
    assert results[1].row_index == 1
    with pytest.raises(errors.SutroRowError):
        await call(mode, function, "batch", rows)


@modes
async def test_output_answer_gives_the_answer_alone(deployment, mode):
    function = SutroFunction(
        "lead-qualifier", output="answer", api_url=deployment.url, api_key=deployment.api_key
    )
    assert await call(mode, function, "invoke", LEAD) in ("qualified", "not_qualified")
    assert set(await call(mode, function, "batch", ROWS)) <= {"qualified", "not_qualified"}


@modes
async def test_output_model_gives_a_typed_object(deployment, mode):
    function = SutroFunction(
        "lead-extractor",
        output_model=Company,
        api_url=deployment.url,
        api_key=deployment.api_key,
    )
    text = {"text": "Acme Robotics GmbH, an enterprise in EMEA, wants 300 seats"}
    one = await call(mode, function, "invoke", text)
    [row] = await call(mode, function, "batch", [text])
    assert isinstance(one, Company)
    assert row == one


@modes
async def test_the_hosted_generation_has_its_own_shapes_and_hides_its_prompt(deployment, mode):
    function = SutroFunction(
        "lead-qualifier",
        generation="hosted",
        api_url=deployment.url,
        api_key=deployment.api_key,
    )
    one = await call(mode, function, "invoke", LEAD)
    assert one["response"] == one.answer
    assert one.predictions
    assert "system_prompt" not in (one.usage or {})
    [row] = await call(mode, function, "batch", [LEAD])
    assert row["response"] == one["response"]


@modes
async def test_require_confidence_sends_only_the_weak_rows_to_the_fallback(deployment, mode):
    def judge(row):
        from langchain_sutro.local import Answer

        return Answer(output={"label": "yes"}, confidence=float(row["p"]))

    deployment.publish(
        "sure",
        judge,
        input_schema={"type": "object", "properties": {"p": {"type": "string"}}},
        output_schema={"type": "object", "properties": {"label": {"type": "string"}}},
    )
    seen = []

    def human(row):
        seen.append(row)
        return "human"

    function = SutroFunction(
        "sure", output="answer", api_url=deployment.url, api_key=deployment.api_key
    )
    chain = function.require_confidence(0.8).with_fallbacks([RunnableLambda(human)])
    rows = [{"p": "0.9"}, {"p": "0.3"}, {"p": "0.95"}]
    assert await call(mode, chain, "batch", rows) == ["yes", "human", "yes"]
    assert seen == [{"p": "0.3"}]
    assert len(deployment.jobs) == 1


@modes
async def test_with_retry_gives_no_row_another_rows_answer(deployment, mode):
    tries = {}

    def flaky(row):
        tries[row["n"]] = tries.get(row["n"], 0) + 1
        if row["n"] == "2" or (row["n"] == "1" and tries["1"] == 1):
            raise ValueError("no")
        return {"label": f"ok{row['n']}"}

    deployment.publish(
        "flaky",
        flaky,
        input_schema={"type": "object", "properties": {"n": {"type": "string"}}},
        output_schema={"type": "object", "properties": {"label": {"type": "string"}}},
    )
    function = SutroFunction(
        "flaky", output="answer", api_url=deployment.url, api_key=deployment.api_key
    ).with_retry(wait_exponential_jitter=False)
    results = await call(
        mode, function, "batch", [{"n": "0"}, {"n": "1"}, {"n": "2"}], return_exceptions=True
    )
    assert results[:2] == ["ok0", "ok1"]
    assert isinstance(results[2], errors.SutroRowError)
    assert [job["num_rows"] for job in deployment.jobs] == [1, 2, 3] or [
        job["num_rows"] for job in deployment.jobs
    ] == [3, 2, 1]


@modes
async def test_realtime_batch_mode_makes_single_runs_instead(deployment, mode):
    function = SutroFunction(
        "lead-qualifier",
        batch_mode="realtime",
        rate_limiter=InMemoryRateLimiter(requests_per_second=1000, check_every_n_seconds=0.001),
        api_url=deployment.url,
        api_key=deployment.api_key,
    )
    results = await call(mode, function, "batch", ROWS, {"max_concurrency": 3})
    assert len(results) == len(ROWS)
    assert deployment.jobs == []
    assert len(posts(deployment, "/run")) == len(ROWS)


@modes
async def test_realtime_runs_at_once_are_at_most_max_concurrency(deployment, mode):
    now, most = 0, 0

    async def slow(row):
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.02)
        now -= 1
        return {"label": row["n"]}

    schema = {"type": "object", "properties": {"n": {"type": "string"}}, "required": ["n"]}
    labelled = {"type": "object", "properties": {"label": {"type": "string"}}}
    deployment.publish("slow", slow, input_schema=schema, output_schema=labelled)
    function = SutroFunction(
        "slow", batch_mode="realtime", api_url=deployment.url, api_key=deployment.api_key
    )
    rows = [{"n": str(n)} for n in range(20)]
    results = await call(mode, function, "batch", rows, {"max_concurrency": 3})
    assert [result.answer for result in results] == [row["n"] for row in rows]
    assert 1 < most <= 3


@modes
async def test_a_429_slows_all_realtime_runs_and_each_is_made_once(deployment, mode):
    function = SutroFunction(
        "lead-qualifier",
        batch_mode="realtime",
        api_url=deployment.url,
        api_key=deployment.api_key,
    )
    deployment.faults.add(
        "functions/*", times=4, skip=2, status=429, headers={"retry-after": "0.3"}
    )
    started = time.monotonic()
    results = await call(mode, function, "batch", ROWS * 5, {"max_concurrency": 4})
    assert [result.answer for result in results] == [
        result.answer for result in results[: len(ROWS)]
    ] * 5
    # Each refusal is followed by one more try, not by several.
    assert len(posts(deployment, "/run")) == len(ROWS) * 5 + 4
    assert time.monotonic() - started >= 0.3


def test_a_hundred_sequential_invokes_open_one_connection(deployment, qualify):
    before = deployment.connections
    for _ in range(100):
        qualify.invoke(LEAD)
    assert deployment.connections - before <= 1


def test_one_object_serves_threads_and_event_loops(deployment, qualify):
    answers = []

    def work():
        answers.append(asyncio.run(qualify.ainvoke(LEAD)).answer)
        answers.append(qualify.invoke(LEAD).answer)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 8
    assert len(set(answers)) == 1


def test_a_pickle_leaves_the_key_behind_and_works_from_the_environment(
    deployment, qualify, monkeypatch
):
    data = pickle.dumps(qualify)
    assert deployment.api_key.encode() not in data
    monkeypatch.setenv("SUTRO_API_KEY", deployment.api_key)
    monkeypatch.setenv("SUTRO_API_URL", deployment.url)
    assert pickle.loads(data).invoke(LEAD).answer


def test_a_deep_copy_works_with_the_same_key(qualify):
    assert copy.deepcopy(qualify).invoke(LEAD).answer == qualify.invoke(LEAD).answer
    assert qualify.model_copy(deep=True).invoke(LEAD).answer


def test_langchain_serialisation_round_trips_without_the_key(deployment, qualify):
    text = dumps(qualify)
    assert deployment.api_key not in text
    again = load(
        dumpd(qualify),
        allowed_objects=[SutroFunction],
        valid_namespaces=["langchain_sutro"],
        secrets_map={"SUTRO_API_KEY": deployment.api_key},
    )
    assert isinstance(again, SutroFunction)
    assert again.invoke(LEAD).answer == qualify.invoke(LEAD).answer


def test_configurable_fields_reach_the_call(deployment, qualify):
    configurable = qualify.configurable_fields(output=ConfigurableField(id="output"))
    chosen = configurable.with_config(configurable={"output": "answer"})
    assert chosen.invoke(LEAD) in ("qualified", "not_qualified")
    assert configurable.invoke(LEAD).answer
    configurable.batch(ROWS)
    assert len(deployment.jobs) == 1


def test_unknown_options_of_a_call_are_refused(qualify):
    with pytest.raises(TypeError, match="temperature"):
        qualify.invoke(LEAD, temperature=0)


def test_bound_options_reach_the_call(deployment, qualify):
    assert qualify.bind(confidence_scoring=False).invoke(LEAD).confidence is None
    assert posts(deployment, "/run")[0].body["confidence_scoring"] is False


def test_schemas_tell_the_fields(deployment):
    function = SutroFunction(
        "f", args_schema={"type": "object", "properties": {"self": {"type": "string"}}}
    )
    assert function.get_input_jsonschema()["properties"] == {"self": {"type": "string"}}
    assert SutroFunction("f", args_schema=Lead).get_input_schema() is Lead


@modes
async def test_where_results_of_a_batch_cannot_be_fetched_the_error_names_the_job(
    qualify, deployment, mode
):
    deployment.faults.add("job-results", status=403, json={"detail": "not today"})
    with pytest.raises(errors.SutroAuthenticationError) as caught:
        await call(mode, qualify, "batch", [LEAD, LEAD])
    (job,) = deployment.jobs
    assert any(job["job_id"] in note and "from_id" in note for note in caught.value.__notes__)


def test_what_takes_a_function_leaves_its_client_alone(qualify):
    qualify = qualify.model_copy(update={"args_schema": Lead, "description": "Decides."})
    client = qualify.client
    assert qualify.as_tool().function.client is client
    assert qualify.as_tool(type("Other", (Lead,), {})).function.client is client
    assert SutroToolkit(functions=[qualify]).functions[0].client is client
    assert SutroJobToolkit(function=qualify).function.client is client
    assert qualify.client is client


def test_a_copy_with_other_settings_uses_them(qualify, deployment):
    with LocalDeployment() as other:
        settings = {"api_url": other.url, "sutro_api_key": SecretStr(other.api_key)}
        qualify.model_copy(update=settings).invoke(LEAD)
        assert len(other.requests) == 1
    assert not deployment.requests
    with pytest.raises(errors.SutroInputError):
        qualify.model_copy(update={"args_schema": Lead}).invoke({"query": "x"})
    assert not deployment.requests
    assert qualify.model_copy(update={"tags": ["a"]}).client is qualify.client
