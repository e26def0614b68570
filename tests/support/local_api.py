"""Functions of a local deployment, and its HTTP API as a plain client uses it."""

import time

import httpx

from langchain_sutro.local import Answer, LocalFunction, sample_functions

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
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
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
