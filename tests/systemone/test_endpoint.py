"""The endpoint as any HTTP client sees it: answers, refusals, limits, and faults behind it."""

import asyncio
import json
import logging
import socket
import threading
import time

import httpx
import orjson
import pytest

from langchain_sutro import SutroFunction, systemone
from langchain_sutro.decisions import DecisionFunction, SutroDecisionModel
from langchain_sutro.errors import SutroConfigurationError
from langchain_sutro.local import Answer
from langchain_sutro.systemone.in_flight import InFlight
from tests.systemone.conftest import KEY

TICKET = "I was charged twice for my invoice, and I want my money back today."
NOUL = {"type": "noul", "instructions": "Does the customer want money back?"}
CHOICE = {
    "type": "choice",
    "instructions": "Which team?",
    "criteria": {"billing": "Refunds", "technical": None, "其他": {"x": [1]}},
}
SCORE = {
    "type": "score",
    "instructions": ["How", "angry?"],
    "criteria": ["calm", {"x": 1}, "angry"],
}
TEXT = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}


def body(model="judges", state=TICKET, **questions):
    return {"model": model, "state": state, "questions": questions or {"q": NOUL}}


def runs(deployment):
    return [one for one in deployment.requests if one.path.endswith("/run")]


def refused(answer, status, kind):
    assert answer.status_code == status, answer.text
    detail = answer.json()["detail"]
    assert detail["error_type"] == kind
    assert isinstance(detail["message"], str)
    assert KEY not in answer.text
    return detail["message"]


@pytest.mark.parametrize("generation", ["deployment", "hosted"])
@pytest.mark.parametrize("path", ["/v1/systemone", "/systemone"])
def test_all_types_of_questions_are_answered(serve, deployment, generation, path):
    http = serve(generation)
    answer = http.post(path, json={**body(a=NOUL, b=CHOICE, c=SCORE), "x_unknown": 1})
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-typesafe-request-id"].startswith("req_")
    got = answer.json()
    assert got.keys() == {"model", "answers", "usage"}
    assert got["model"] == "judges"
    assert got["usage"]["input_tokens"] > 0
    answers = got["answers"]
    assert list(answers) == ["a", "b", "c"]
    assert answers["a"].keys() == {"type", "noul"}
    assert answers["b"].keys() == {"type", "choice", "probabilities", "confidence"}
    assert list(answers["b"]["probabilities"]) == list(CHOICE["criteria"])
    assert answers["c"]["legend"] == {"0": "calm", "1": {"x": 1}, "2": "angry"}
    assert list(answers["c"]["probabilities"]) == ["0", "1", "2"]
    assert len(runs(deployment)) == 3


@pytest.mark.parametrize(
    "state", [TICKET, {"a": {"b": [1, None]}}, ["x", {"role": "user"}], "", {}, []]
)
def test_every_form_of_state_is_judged(serve, state):
    assert serve().post("/v1/systemone", json=body(state=state)).status_code == 200


def test_messages_are_judged_by_their_text(serve, deployment):
    deployment.publish(
        "echo", lambda row: Answer("yes", confidence=0.9), input_schema=TEXT, output_schema={}
    )
    http = serve(functions={"q": DecisionFunction("echo", fields="text")})
    talk = [{"role": "user", "content": "refund"}, {"role": "assistant", "content": "no"}]
    assert http.post("/v1/systemone", json=body(state=talk)).status_code == 200
    assert runs(deployment)[-1].body["input"] == {"text": "refund"}


def test_the_models_are_listed(serve):
    options = {"descriptions": {"judges": {"description": "All.", "release_date": "2026-09-24"}}}
    for path in ("/v1/models", "/models"):
        got = serve(options=options).get(path).json()
        assert got == {
            "models": [{"name": "judges", "description": "All.", "release_date": "2026-09-24"}]
        }
    (plain,) = serve().get("/v1/models").json()["models"]
    assert plain["description"] == ""
    assert len(plain["release_date"]) == 10


def test_one_model_may_be_served_by_its_own_name(at):
    model = SutroDecisionModel(model="mine", default="any-question", **at["deployment"])
    assert systemone.app(model)
    with pytest.raises(SutroConfigurationError):
        systemone.app({})
    with pytest.raises(SutroConfigurationError):
        systemone.app(model, key=" ")


@pytest.mark.parametrize(
    "header",
    [
        {},
        {"authorization": "Bearer wrong"},
        {"authorization": f"Key {KEY}"},
        {"authorization": "Bearer ß".encode()},
    ],
)
def test_without_the_key_nothing_is_served(serve, deployment, header):
    http = serve()
    with httpx.Client(base_url=http.base_url) as stranger:
        for answer in (
            stranger.post("/v1/systemone", json=body(), headers=header),
            stranger.get("/v1/models", headers=header),
        ):
            refused(answer, 401, "authentication_error")
            assert answer.headers["www-authenticate"] == "Bearer"
    assert runs(deployment) == []


def test_without_a_key_any_header_is_accepted(serve):
    answer = serve(key=None).post(
        "/v1/systemone", json=body(), headers={"authorization": "Bearer whatever"}
    )
    assert answer.status_code == 200


def test_unknown_models_are_refused_and_the_alias_is_the_first(serve):
    http = serve()
    refused(http.post("/v1/systemone", json=body("other")), 404, "not_found_error")
    assert http.post("/v1/systemone", json=body("jev-latest")).json()["model"] == "judges"


@pytest.mark.parametrize(
    ("content", "loc"),
    [
        (b'{"model": ', ["body", 10]),
        (b"\xff", ["body", 0]),
        (b"[]", ["body"]),
        (b"{}", ["body", "model"]),
        (orjson.dumps({"model": "judges", "questions": {"q": NOUL}}), ["body", "state"]),
        (orjson.dumps(body(state=None)), ["body", "state", "str"]),
        (orjson.dumps({**body(), "questions": {}}), ["body", "questions"]),
        (orjson.dumps({**body(), "questions": {"": NOUL}}), ["body", "questions", "", "[key]"]),
        (orjson.dumps(body(q={"instructions": "?"})), ["body", "questions", "q"]),
        (orjson.dumps(body(q={"type": "box", "instructions": "?"})), ["body", "questions", "q"]),
        (orjson.dumps(body(q={**CHOICE, "criteria": {}})), None),
        (orjson.dumps(body(q={**SCORE, "criteria": {"0": "a", "1": "b"}})), None),
        (orjson.dumps(body(q={**SCORE, "criteria": ["a", None]})), None),
        (orjson.dumps(body(q={**NOUL, "threshold": 1})), None),
        (b'{"model":"judges","questions":{},"state":' + b"[" * 500 + b"]" * 500 + b"}", ["body"]),
        (b"[" * 100_000, None),
    ],
)
def test_what_is_wrong_with_a_request_is_said_where_it_is(serve, deployment, content, loc):
    answer = serve().post("/v1/systemone", content=content)
    assert answer.status_code == 422, answer.text
    details = answer.json()["detail"]
    assert {frozenset(one) for one in details} == {frozenset(("loc", "msg", "type"))}
    assert all(one["loc"][0] == "body" for one in details)
    assert loc is None or details[0]["loc"] == loc
    assert runs(deployment) == []


def test_large_bodies_unknown_paths_and_methods_are_refused(serve):
    http = serve(options={"max_body_bytes": 1000})
    large = http.post("/v1/systemone", json=body(state="x" * 1000))
    refused(large, 413, "request_too_large")
    refused(http.get("/v1/nowhere"), 404, "not_found_error")
    refused(http.get("/v1/systemone"), 405, "method_not_allowed")
    assert large.headers["x-typesafe-request-id"].startswith("req_")


@pytest.mark.parametrize(
    ("fault", "status", "kind"),
    [
        ({"status": 401}, 502, "service_error"),
        ({"status": 404, "json": {"code": "function_not_found"}}, 404, "not_found_error"),
        ({"status": 409}, 409, "conflict_error"),
        ({"status": 500, "json": {"detail": "hush-secret"}}, 502, "service_error"),
        ({"status": 503}, 502, "service_error"),
        ({"status": 504}, 504, "timeout_error"),
        ({"status": 524, "html": "<p>edge</p>"}, 504, "timeout_error"),
        ({"reset": "after"}, 502, "connection_error"),
        ({"delay": 5}, 504, "timeout_error"),
        ({"status": 200, "body": b"nonsense"}, 502, "service_error"),
    ],
)
def test_faults_behind_it_have_the_right_status_and_are_paid_once(
    serve, deployment, caplog, fault, status, kind
):
    caplog.set_level(logging.DEBUG, "langchain_sutro")
    # What passes must not take as long, on a slow machine either.
    http = serve(timeout=2 if "delay" in fault else None)
    deployment.faults.add("functions/*", **fault)
    message = refused(http.post("/v1/systemone", json=body()), status, kind)
    assert "Question 'q'" in message
    assert "hush-secret" not in message + caplog.text
    assert TICKET not in caplog.text
    assert len(runs(deployment)) == 1
    # What passes has passed.
    assert http.post("/v1/systemone", json=body()).status_code == 200


def test_backpressure_is_passed_on_at_once(serve, deployment):
    http = serve()
    deployment.faults.add("functions/*", status=429, headers={"retry-after": "60"})
    answer = http.post("/v1/systemone", json=body())
    refused(answer, 429, "rate_limit_error")
    assert answer.headers["retry-after"] == "60"
    assert answer.headers["retry-after-ms"] == "60000"
    # As long as the service asked to wait, it is not asked again.
    again = http.post("/v1/systemone", json=body())
    refused(again, 429, "rate_limit_error")
    assert 0 < int(again.headers["retry-after-ms"]) <= 60000
    assert len(runs(deployment)) == 1


def test_after_the_time_that_the_service_asked_for_it_is_asked_again(serve, deployment):
    http = serve()
    deployment.faults.add("functions/*", status=429, headers={"retry-after": "1"})
    refused(http.post("/v1/systemone", json=body()), 429, "rate_limit_error")
    time.sleep(1.01)
    assert http.post("/v1/systemone", json=body()).status_code == 200


def test_retries_that_were_asked_for_are_made(serve, deployment):
    http = serve(max_retries=1)
    deployment.faults.add("functions/*", status=429, headers={"retry-after": "0"})
    assert http.post("/v1/systemone", json=body()).status_code == 200
    function = SutroFunction("any-question", max_retries=2)
    given = {"a": function, "b": DecisionFunction(function), "c": DecisionFunction("x"), "d": "y"}
    model = SutroDecisionModel(model="m", functions=given).without_retries()
    retries = [model._judges.of(name).function.max_retries for name in given]
    assert retries == [2, 2, 0, 0]


@pytest.mark.parametrize(
    ("answer", "about", "match"),
    [
        (Answer("elsewhere", confidence=0.9), {}, "none of the question's"),
        (Answer("yes"), {}, "no confidence"),
        (Answer("yes", confidence=0.9), {"labels": ["a", "b"]}, "yes="),
        (Answer("yes", confidence=0.9), {"fields": {"text": "no.where"}}, "no.where"),
        (Answer("yes", confidence=0.9), {"fields": lambda state: state["x"]}, "TypeError"),
    ],
)
def test_what_cannot_be_decided_is_422_so_that_nobody_pays_again(
    serve, deployment, answer, about, match
):
    deployment.publish("judge", lambda row: answer, input_schema=TEXT, output_schema={})
    judge = DecisionFunction("judge", **{"fields": "text", **about})
    http = serve(functions={"q": judge}, default=None)
    got = http.post("/v1/systemone", json=body())
    assert got.status_code == 422, got.text
    (detail,) = got.json()["detail"]
    assert detail["loc"] == ["body", "questions", "q"]
    assert match in detail["msg"]
    other = http.post("/v1/systemone", json=body(other=NOUL))
    assert other.json()["detail"][0]["loc"] == ["body", "questions", "other"]


def test_a_function_that_is_not_published_is_404(serve):
    http = serve(functions={"q": DecisionFunction("no-such", fields="text")})
    message = refused(http.post("/v1/systemone", json=body()), 404, "not_found_error")
    assert message == "Question 'q': its Function is not published."


def test_a_missing_key_of_the_service_is_not_the_clients_fault(serve):
    http = serve(api_key=None)
    refused(http.post("/v1/systemone", json=body()), 500, "configuration_error")


def test_a_body_that_does_not_arrive_is_not_waited_for(serve, deployment, monkeypatch):
    monkeypatch.setattr("langchain_sutro.systemone.reading._SECONDS", 0.2)
    url = serve().base_url
    with socket.create_connection((url.host, url.port), timeout=10) as stalled:
        head = f"POST /v1/systemone HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\n"
        stalled.sendall(f"{head}content-length: 100\r\n\r\n{{".encode())
        assert stalled.recv(1000).startswith(b"HTTP/1.1 408 ")
    assert runs(deployment) == []


@pytest.fixture
def slow(deployment):
    """A Function that waits until it is released."""
    release, started = threading.Event(), threading.Semaphore(0)

    def judge(row):
        started.release()
        release.wait(20)
        return Answer("yes", confidence=0.9)

    deployment.publish("slow", judge, input_schema=TEXT, output_schema={})
    yield release, started
    release.set()


def test_a_client_that_goes_away_and_comes_back_pays_once(serve, deployment, slow):
    release, started = slow
    http = serve(functions={"q": DecisionFunction("slow", fields="text")})
    request = http.build_request("POST", "/v1/systemone", json=body())
    lines = [f"{name}: {value}" for name, value in request.headers.items()]
    head = "\r\n".join(["POST /v1/systemone HTTP/1.1", *lines, "", ""]).encode()
    with socket.create_connection((http.base_url.host, http.base_url.port)) as leaving:
        leaving.sendall(head + request.read())
        assert started.acquire(timeout=30)
    # While it is being answered,
    with pytest.raises(httpx.ReadTimeout):
        http.post("/v1/systemone", json=body(), timeout=0.3)
    release.set()
    # and when the answer is there.
    assert http.post("/v1/systemone", json=body()).json()["answers"]["q"]["noul"] == 0.9
    assert len(runs(deployment)) == 1
    # A request that was answered is not kept.
    assert http.post("/v1/systemone", json=body()).status_code == 200
    assert len(runs(deployment)) == 2


def test_more_requests_than_allowed_are_refused(serve, slow):
    release, started = slow
    http = serve(
        functions={"q": DecisionFunction("slow", fields="text")}, options={"max_requests": 1}
    )
    waiting = threading.Thread(target=lambda: http.post("/v1/systemone", json=body()))
    waiting.start()
    assert started.acquire(timeout=30)
    answer = http.post("/v1/systemone", json=body(state="another"))
    refused(answer, 429, "rate_limit_error")
    assert answer.headers["retry-after"] == "1"
    release.set()
    waiting.join(20)
    assert http.post("/v1/systemone", json=body(state="another")).status_code == 200


async def test_requests_that_come_at_the_same_moment_are_bounded_too():
    in_flight = InFlight(2)

    async def answer(number):
        return number

    async def is_gone():
        return False

    def ask(number):
        return in_flight.answer(bytes([number]), lambda: answer(number), is_gone)

    found = await asyncio.gather(*map(ask, range(10)), return_exceptions=True)
    assert found[:2] == [0, 1]
    assert [one.status for one in found[2:]] == [429] * 8
    # Those have ended.
    assert await asyncio.gather(ask(1), ask(2)) == [1, 2]


async def test_a_client_that_goes_away_while_it_sends_is_no_error_of_the_server():
    model = SutroDecisionModel(model="judges", default="any-question", api_key="x")
    sent = []
    told = iter(
        [
            {"type": "http.request", "body": b"{", "more_body": True},
            {"type": "http.disconnect"},
        ]
    )

    async def receive():
        return next(told)

    async def send(message):
        sent.append(message)

    path = {"path": "/v1/systemone", "query_string": b"", "headers": []}
    scope = {"type": "http", "method": "POST", "http_version": "1.1", **path}
    await systemone.app(model)(scope, receive, send)
    assert sent[0]["status"] == 400


@pytest.mark.parametrize("limit", ["max_requests", "max_body_bytes"])
def test_limits_are_at_least_1(limit):
    model = SutroDecisionModel(model="judges", default="any-question")
    with pytest.raises(SutroConfigurationError, match=f"{limit} must be at least 1, not 0"):
        systemone.app(model, **{limit: 0})


def test_each_request_is_a_run_where_tracing_is_on(serve, langsmith_recorder):
    answer = serve().post("/v1/systemone", json=body(a=NOUL, b=CHOICE))
    # The tracer of the server is in this process.
    langsmith_recorder.wait()
    (run,) = langsmith_recorder.by_name("judges")
    metadata = run["extra"]["metadata"]
    assert metadata["systemone_request_id"] == answer.headers["x-typesafe-request-id"]
    assert metadata["ls_model_name"] == "judges"
    assert run["outputs"]["output"]["answers"]["a"] == answer.json()["answers"]["a"]
    assert KEY not in json.dumps(langsmith_recorder.runs, default=str)
