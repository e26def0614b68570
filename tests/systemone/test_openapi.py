"""What `/openapi.json` promises, held against the endpoint by Schemathesis, also with faults."""

import subprocess

import orjson
import pytest

from langchain_sutro import systemone
from langchain_sutro.decisions import SutroDecisionModel
from tests.support.environments import environment
from tests.support.served import served
from tests.systemone.conftest import KEY

CONFIG = """\
[generation]
max-examples = 60
deterministic = true

[auth.openapi.HTTPBearer]
bearer = "{key}"

# Some states and questions fit the description and no Function: 404 for the model's name.
[[operations]]
include-path-regex = "systemone$"
checks.positive_data_acceptance.expected-statuses = {statuses}
"""


@pytest.fixture(scope="session")
def schemathesis():
    """Python of an environment with Schemathesis."""
    return environment("schemathesis", ["schemathesis==4.32.5"])


def fuzz(python, url, folder, statuses, *arguments):
    import httpx

    described = httpx.get(f"{url}/openapi.json").json()
    for path in ("/v1/systemone", "/systemone"):
        body = described["paths"][path]["post"]["requestBody"]["content"]["application/json"]
        # Otherwise nearly every call would end with an unknown name.
        body["schema"]["properties"]["model"] = {"enum": ["judges", "jev-latest", "unknown"]}
    (folder / "openapi.json").write_bytes(orjson.dumps(described))
    config = CONFIG.format(key=KEY, statuses=orjson.dumps(statuses).decode())
    (folder / "schemathesis.toml").write_text(config)
    return subprocess.run(
        [python, "-m", "schemathesis.cli", "run", "openapi.json", "--url", url, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=400,
        cwd=folder,
    )


@pytest.fixture
def url(deployment, at):
    model = SutroDecisionModel(model="judges", default="any-question", **at["deployment"])
    with served(systemone.app({"judges": model}, key=KEY)) as url:
        yield url


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_operation_keeps_what_its_description_promises(
    schemathesis, deployment, url, tmp_path
):
    done = fuzz(schemathesis, url, tmp_path, ["2xx", 404])
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr
    # Each was not only refused.
    runs = [one for one in deployment.requests if one.path.endswith("/run")]
    assert len([one for one in runs if one.status == 200]) > 20
    assert {one.status for one in runs} == {200}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_with_faults_behind_it_every_answer_is_as_described(
    schemathesis, deployment, url, tmp_path
):
    for fault in (
        {"status": 500},
        {"status": 404},
        {"status": 409},
        {"status": 422},
        {"status": 429, "headers": {"retry-after": "0"}},
        {"reset": "after"},
        {"truncate": "connection"},
        {"status": 200, "body": b"[]"},
        {"status": 200, "json": {"output": "maybe", "confidence": None}},
        {"status": 200, "json": {"output": {"a": 1, "b": 2}, "confidence": 0.5}},
        {"status": 200, "json": {"output": "yes", "confidence": "high"}},
    ) * 20:
        deployment.faults.add("functions/*", **fault)
    statuses = ["2xx", 404, 409, 422, 429, 502]
    checks = "status_code_conformance,response_schema_conformance,content_type_conformance"
    done = fuzz(schemathesis, url, tmp_path, statuses, "--checks", checks)
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr
    # None of them was a failure of the endpoint itself.
    assert "500" not in done.stdout
