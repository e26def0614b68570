"""A deployment with a Function and a judge, and LangSmith with a data set for them."""

from types import SimpleNamespace

import pytest

from langchain_sutro import SutroFunction
from langchain_sutro.evaluation.evaluator import SutroEvaluator
from tests.support.calls import posts
from tests.support.experiments import (
    ANY,
    FIELDS,
    LABEL,
    VERDICT,
    agrees,
    complete_feedback,
    dataset,
    size,
)
from tests.support.langsmith_recorder import LangSmithRecorder
from tests.support.production import publish_judges


@pytest.fixture
def langsmith():
    """LangSmith as an application traces to it, with tracing off in this process."""
    with LangSmithRecorder() as recorder:
        yield recorder
        assert recorder.check() == []


@pytest.fixture
def judging(deployment, monkeypatch, tmp_path):
    """A deployment with two judges of texts."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name, value in deployment.environ.items():
        monkeypatch.setenv(name, value)
    publish_judges(deployment)
    return deployment


@pytest.fixture
def service(deployment, monkeypatch):
    """A deployment with a Function and a judge."""
    for name, value in deployment.environ.items():
        monkeypatch.setenv(name, value)
    deployment.publish("size", size, input_schema=ANY, output_schema=LABEL)
    deployment.publish("agrees", agrees, input_schema=ANY, output_schema=VERDICT)
    return SimpleNamespace(
        deployment=deployment,
        function=SutroFunction("size", poll_interval=0.1),
        judge=SutroEvaluator(
            SutroFunction("agrees", poll_interval=0.1),
            key="agrees",
            fields=FIELDS,
            score={"pass": 1, "fail": 0},
        ),
        jobs=lambda: len(posts(deployment, "/batch-inference")),
    )


@pytest.fixture
def smith(langsmith_recorder, monkeypatch):
    """LangSmith with a data set of 50 examples, of which each tenth expects the wrong thing."""

    complete_feedback(monkeypatch)
    client = langsmith_recorder.client()
    dataset(client, "sizes", 50)
    langsmith_recorder.smith = client
    return langsmith_recorder
