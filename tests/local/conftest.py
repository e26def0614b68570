"""A local deployment for most tests of this folder, and a plain HTTP client for it."""

import time

import httpx
import pytest

from langchain_sutro.local import Answer, LocalDeployment, LocalFunction, sample_functions

TEXT = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}
LABEL = {"type": "object", "properties": {"label": {"type": "string"}}}


def echo(text: str) -> str:
    """Gives its text back."""
    return text


def length(row):
    if row["text"] == "bad":
        raise ValueError("a row that nobody can judge")
    return Answer({"label": str(len(row["text"]))}, confidence=0.75)


FUNCTIONS = [
    *sample_functions(),
    echo,
    LocalFunction("length", length, input_schema=TEXT, output_schema=LABEL),
    LocalFunction("draft", None, input_schema=TEXT, output_schema=LABEL),
]


@pytest.fixture(scope="module")
def deployment():
    with LocalDeployment(FUNCTIONS, heartbeat_seconds=0.1) as running:
        yield running


@pytest.fixture
def api(deployment):
    """A client with the key, at the deployment generation's prefix."""
    deployment.faults.clear()
    deployment.requests.clear()
    yield from client(deployment, "/v1")
    deployment.faults.clear()


@pytest.fixture
def hosted(deployment):
    """The same without a prefix."""
    yield from client(deployment, "")


def client(deployment, prefix):
    headers = {"authorization": f"Key {deployment.api_key}"}
    with httpx.Client(base_url=deployment.url + prefix, headers=headers, timeout=30) as http:
        yield http


def submit(api, model, rows, **fields):
    """Submit a job, and return its id."""
    answer = api.post("/batch-inference", json={"model": model, "inputs": rows, **fields})
    assert answer.status_code == 200, answer.text
    return answer.json()["results"]


def end(api, job_id):
    """The job, when it has ended."""
    for _ in range(1500):
        job = api.get(f"/jobs/{job_id}").json()["job"]
        if job["status"] in ("SUCCEEDED", "FAILED", "CANCELLED"):
            return job
        time.sleep(0.01)
    raise TimeoutError(job_id)


def results(api, job_id, **fields):
    """The columns of its results."""
    answer = api.post("/job-results", json={"job_id": job_id, **fields})
    assert answer.status_code == 200, answer.text
    return answer.json()["results"]
