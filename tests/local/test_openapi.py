"""What `/openapi.json` promises, held against the deployment by Schemathesis.

Its command runs in an environment of its own, as a client that knows nothing but the description:
boundary values, generated requests that fit and that do not, and calls that follow from each other.
"""

import re
import subprocess
from urllib.parse import parse_qsl, urlsplit

import orjson
import pytest

from langchain_sutro.local import LocalDeployment
from tests.support.environments import environment
from tests.support.local_api import FUNCTIONS, end, submit

CONFIG = """\
[generation]
max-examples = 20
deterministic = true

[auth.openapi.Key]
api_key = "Key {api_key}"

# One of `format` and `result_format` is required, which OpenAPI cannot say.
[[operations]]
include-path-regex = "/results$"
checks.positive_data_acceptance.expected-statuses = ["2xx", 400, 401, 404, 409]

# It also tries what the key does there.
[[operations]]
include-path-regex = "^/storage/"
checks.positive_data_acceptance.expected-statuses = ["2xx", 400, 403]
"""
ROW = {"type": "object", "properties": {"text": {}}, "required": ["text"]}
ROWS = [{"text": "a"}, {"text": "bad"}]


@pytest.fixture(scope="module")
def deployment():
    with LocalDeployment(FUNCTIONS, heartbeat_seconds=0.1, deadline=5) as running:
        yield running


@pytest.fixture(scope="session")
def schemathesis():
    """Python of an environment with Schemathesis."""
    return environment("schemathesis", ["schemathesis==4.32.5"])


@pytest.fixture
def description(api, deployment):
    """The published description, narrowed to the Functions, jobs and objects that are there.

    Otherwise nearly every call would end with an unknown name.
    """
    finished = submit(api, "length", ROWS)
    estimated = submit(api, "length", ROWS, cost_estimate=True)
    for job_id in (finished, estimated):
        end(api, job_id)
    urls = api.get(f"/jobs/{finished}/results-url").json()["urls"]
    functions = {"enum": ["echo", "length", "draft", "no-such-function"]}
    jobs = {"job_id": {"enum": [finished, estimated, "no-such-job"]}, "name": functions}
    bodies = {
        "model": functions,
        "input": {"anyOf": [{"type": "string"}, ROW | {"additionalProperties": False}]},
        "inputs": {"type": "array", "minItems": 1, "items": {"anyOf": [{"type": "string"}, ROW]}},
    }
    hosted = {"name": functions, "input_data": ROW}
    described = api.get(f"{deployment.url}/openapi.json").json()
    for path, operations in described["paths"].items():
        for method, operation in operations.items():
            object_ = stored(urls[method]) if path.startswith("/storage/") else {}
            for parameter in operation.get("parameters", ()):
                name = parameter["name"]
                parameter["required"] = parameter.get("required", False) or name in object_
                narrow(parameter["schema"], object_.get(name, jobs.get(name)))
            for content in operation.get("requestBody", {}).get("content", {}).values():
                properties = content["schema"]["properties"]
                for name, schema in properties.items():
                    narrow(schema, (hosted if "input_data" in properties else bodies).get(name))
    return described


def stored(url):
    """The parameters of a presigned URL."""
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))
    _, _, job_id, filename = parts.path.split("/")
    return {
        "job_id": {"const": job_id},
        "filename": {"const": filename},
        "expires": {"const": int(query["expires"])},
        "signature": {"const": query["signature"]},
    }


def narrow(schema, to):
    if to is not None:
        schema.clear()
        schema.update(to)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_operation_keeps_what_its_description_promises(
    schemathesis, deployment, description, tmp_path
):
    (tmp_path / "openapi.json").write_bytes(orjson.dumps(description))
    (tmp_path / "schemathesis.toml").write_text(CONFIG.format(api_key=deployment.api_key))
    before = len(deployment.requests)
    done = subprocess.run(
        [schemathesis, "-m", "schemathesis.cli", "run", "openapi.json", "--url", deployment.url],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr
    # Each was not only refused.
    succeeded = {
        operation(description, received)
        for received in deployment.requests[before:]
        if received.status is not None and received.status < 300
    }
    described = {
        (method.upper(), path)
        for path, operations in description["paths"].items()
        for method in operations
    }
    assert described - succeeded == set()


def operation(description, received):
    """The method and the path, with its parameters' names, of a request."""
    for path in description["paths"]:
        if re.fullmatch(re.sub(r"{\w+}", "[^/]+", path), received.path):
            return received.method, path
    return None
