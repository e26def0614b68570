"""Real-time calls of both generations."""

import pytest

LEAD = {"query": "Budget is approved for 400 seats, please send a contract.", "region": "EMEA"}


def run(api, name, input_, **fields):
    return api.post(f"/functions/{name}/run", json={"input": input_, **fields})


def test_an_answer_has_the_shape_of_the_deployment_generation(api):
    body = run(api, "lead-qualifier", LEAD).json()
    assert set(body) == {"request_id", "function", "output", "confidence", "usage"}
    assert body["request_id"].startswith("rt_")
    assert body["function"]["name"] == "lead-qualifier"
    assert body["output"]["label"] == "qualified"
    assert 0.5 < body["confidence"] <= 1
    assert set(body["usage"]) == {"input_tokens", "output_tokens", "cost_usd"}
    assert "system_prompt" not in str(body)


@pytest.mark.parametrize("input_", [LEAD | {"extra": "x"}, {"query": "x"}, {}, "text", 7, None, []])
def test_an_input_that_does_not_match_is_422_invalid_input(api, input_):
    answer = run(api, "lead-qualifier", input_)
    assert answer.status_code == 422
    assert answer.json()["code"] == "invalid_input"
    assert answer.json()["request_id"].startswith("rt_")


def test_missing_and_unknown_fields_are_both_named(api):
    detail = run(api, "lead-qualifier", {"query": "x", "origin": "web"}).json()["detail"]
    assert 'missing "region"' in detail
    assert 'unknown "origin"' in detail


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a", "a"),
        (None, ""),
        (True, "true"),
        (1.5, "1.5"),
        (7, "7"),
        ([1, "b"], '[1,"b"]'),
        ({"a": None}, '{"a":null}'),
    ],
)
def test_values_become_text(api, value, text):
    assert run(api, "echo", {"text": value}).json()["output"] == text


def test_a_bare_string_is_the_one_field(api):
    assert run(api, "echo", "hello").json()["output"] == "hello"


@pytest.mark.parametrize(("scoring", "scored"), [(False, False), (True, True), (None, True)])
def test_confidence_scoring_can_be_switched_off(api, scoring, scored):
    body = run(api, "lead-qualifier", LEAD, confidence_scoring=scoring).json()
    assert (body["confidence"] is not None) is scored


def test_the_prompt_cannot_be_overridden(api):
    assert run(api, "echo", "x", system_prompt="y").status_code == 422


@pytest.mark.parametrize(
    ("name", "status", "code"),
    [
        ("no-such", 404, "function_not_found"),
        ("a%2Fb%3Fc", 404, "function_not_found"),
        ("draft", 409, "no_runnable_prompt"),
    ],
)
def test_a_function_that_cannot_run_is_told_by_its_code(api, name, status, code):
    answer = run(api, name, {"text": "x"})
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_a_misspelt_function_is_told_the_nearest_names(api):
    assert "'lead-qualifier'" in run(api, "leed-qualifier", {"text": "x"}).json()["detail"]
    answer = api.post("/batch-inference", json={"model": "ecko", "inputs": [{"text": "x"}]})
    assert answer.status_code == 404
    assert answer.json()["detail"] == "No published Function \"ecko\". Did you mean 'echo'?"
    assert "Published here: 'lead-qualifier'" in run(api, "zzz", "x").json()["detail"]


@pytest.mark.parametrize(("name", "status"), [("echo", 200), ("lead-qualifier", 422)])
def test_a_string_is_one_text_field_in_calls_and_in_jobs(api, name, status):
    answers = [
        run(api, name, "hello"),
        api.post("/batch-inference", json={"model": name, "inputs": ["hello"]}),
    ]
    assert [answer.status_code for answer in answers] == [status] * 2
    if status == 422:
        assert all("one text field only" in answer.json()["detail"] for answer in answers)


def test_code_that_raises_is_a_provider_error(api):
    answer = run(api, "length", {"text": "bad"})
    assert (answer.status_code, answer.json()["code"]) == (502, "provider_error")
    assert "nobody can judge" in answer.json()["detail"]


def test_a_body_over_32_mb_is_413(api):
    assert run(api, "echo", "x" * (32 * 1024 * 1024)).status_code == 413
    assert run(api, "echo", "x").status_code == 200


@pytest.mark.parametrize("scoring", [0, 1, "true"])
def test_confidence_scoring_is_a_boolean(api, scoring):
    answer = run(api, "echo", "x", confidence_scoring=scoring)
    assert answer.status_code == 422
    assert "confidence_scoring" in answer.json()["detail"]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff", b'{"input": "\\ud800"}'])
def test_a_body_that_is_no_json_object_is_422(api, content):
    assert api.post("/functions/echo/run", content=content).status_code == 422


def test_input_that_is_nested_too_deeply_is_422(api):
    deep = '{"input": {"text": ' + "[" * 400 + "]" * 400 + "}}"
    answer = api.post("/functions/echo/run", content=deep)
    assert answer.status_code == 422


def test_one_primary_output_is_a_response_in_the_hosted_generation(hosted):
    body = hosted.post("/functions/run", json={"name": "lead-qualifier", "input_data": LEAD}).json()
    assert set(body) == {"response", "confidence", "predictions", "rationale", "usage"}
    assert body["response"] == "qualified"
    scores = [one["confidence"] for one in body["predictions"]]
    assert scores == sorted(scores, reverse=True)
    assert body["confidence"] == scores[0]
    assert sum(scores) == pytest.approx(1, abs=1e-3)
    assert body["usage"]["system_prompt"].startswith("Judge whether")


def test_several_fields_are_an_output_in_the_hosted_generation(hosted):
    row = {"text": "Acme Foods in Berlin, 40 people"}
    body = hosted.post("/functions/run", json={"name": "lead-extractor", "input_data": row}).json()
    assert set(body) == {"output", "confidence", "rationale", "usage"}
    fields = {"company": "Acme Foods", "segment": "small business", "region": "EMEA"}
    assert body["output"] == fields
    assert "Berlin" in body["rationale"]


def test_the_hosted_generation_ignores_extra_fields_and_misses_required_ones(hosted):
    def call(row):
        return hosted.post("/functions/run", json={"name": "echo", "input_data": row})

    assert call({"text": "x", "more": 1}).json()["response"] == "x"
    assert call({"more": 1}).status_code == 422
    assert call("x").status_code == 422
    assert hosted.post("/functions/run", json={"name": "echo"}).status_code == 422
    deep = '{"name": "echo", "input_data": {"text": "x", "z": ' + "[" * 400 + "]" * 400 + "}}"
    assert hosted.post("/functions/run", content=deep).status_code == 200
