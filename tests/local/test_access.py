"""Keys, and the endpoints around them."""

import httpx
import pytest

PATHS = [
    ("GET", "/v1/auth/check"),
    ("GET", "/v1/try-authentication"),
    ("GET", "/try-authentication"),
    ("GET", "/v1/list-jobs"),
    ("GET", "/v1/get-quotas"),
    ("GET", "/v1/local/functions"),
    ("POST", "/v1/batch-inference"),
    ("POST", "/v1/functions/echo/run"),
    ("POST", "/functions/run"),
    ("POST", "/job-results"),
]


@pytest.mark.parametrize(("method", "path"), PATHS)
@pytest.mark.parametrize("header", [None, "", "Key", "Key wrong", "Bearer {key}", "{key}", "Key ü"])
def test_without_the_key_everything_is_401(deployment, method, path, header):
    headers = {}
    if header is not None:
        headers["authorization"] = header.format(key=deployment.api_key).encode()
    answer = httpx.request(method, deployment.url + path, headers=headers)
    assert answer.status_code == 401
    said = answer.json()["detail"]
    # A wrong key is not a matter of the header's form.
    wrong = header in ("Key wrong", "Key ü")
    assert ("not the key of this deployment" in said) is wrong
    assert ("Authorization header" in said) is not wrong


@pytest.mark.parametrize("path", ["/auth/check", "/try-authentication"])
def test_the_key_is_confirmed(api, path):
    assert api.get(path).json()["authenticated"] is True


def test_auth_check_exists_in_the_deployment_generation_only(hosted):
    assert hosted.get("/auth/check").status_code == 404
    assert hosted.get("/try-authentication").json() == {"authenticated": True}


def test_a_route_that_does_not_exist_has_no_code(api):
    answer = api.get("/no-such-route")
    assert answer.status_code == 404
    assert set(answer.json()) == {"detail"}


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/v1/job-cancel/job-1", {"GET", "POST"}),
        ("/storage/job-1/results.parquet", {"GET", "HEAD"}),
        ("/v1/job-results", {"POST"}),
    ],
)
def test_a_method_that_does_not_exist_is_405_with_those_that_do(deployment, path, methods):
    answer = httpx.put(deployment.url + path)
    assert answer.status_code == 405
    assert set(answer.headers["allow"].split(", ")) == methods


def test_the_published_functions_are_listed_with_their_schemas(api, deployment):
    listed = api.get("/local/functions").json()["functions"]
    assert listed == deployment.functions
    qualifier = next(one for one in listed if one["name"] == "lead-qualifier")
    assert list(qualifier["input_schema"]["properties"]) == ["query", "region"]
    assert qualifier["output_schema"]["properties"]["label"]["enum"]
    assert qualifier["description"]


def test_every_endpoint_is_described(deployment):
    schema = httpx.get(f"{deployment.url}/openapi.json").json()
    below = {path.removeprefix("/v1") for path in schema["paths"] if path.startswith("/v1")}
    assert below >= {
        "/auth/check",
        "/batch-inference",
        "/functions/{name}/run",
        "/get-quotas",
        "/job-cancel/{job_id}",
        "/job-results",
        "/job-status/{job_id}",
        "/jobs/{job_id}",
        "/jobs/{job_id}/results",
        "/jobs/{job_id}/results-url",
        "/list-jobs",
        "/stream-job-progress/{job_id}",
        "/try-authentication",
    }
    submission = schema["paths"]["/v1/batch-inference"]["post"]
    assert "inputs" in str(submission["requestBody"])
    assert "401" in submission["responses"]


def test_requests_are_recorded_without_secrets(api, deployment):
    content = b'{"input": "hello"}'
    api.post("/functions/echo/run", content=content, headers={"x-one": "1"})
    received = deployment.requests[-1]
    assert (received.method, received.path) == ("POST", "/v1/functions/echo/run")
    assert received.body == {"input": "hello"}
    assert received.size == len(content)
    assert received.status == 200
    assert received.headers["x-one"] == "1"
    assert received.headers["authorization"] == "Key [hidden]"
    assert deployment.api_key not in repr(deployment.requests)


def test_large_bodies_are_recorded_by_size_only(api, deployment):
    api.post("/functions/echo/run", json={"input": "x" * 100_000})
    received = deployment.requests[-1]
    assert received.size > 100_000
    assert received.body is None


def test_connections_are_counted(api, deployment):
    before = deployment.connections
    for _ in range(5):
        api.get("/auth/check")
    assert deployment.connections == before + 1
    for _ in range(5):
        httpx.get(deployment.url)
    assert deployment.connections == before + 6
