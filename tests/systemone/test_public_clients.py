"""jevcompat, typesafe-sdk and langchain-typesafe, unmodified, in an environment of their own."""

import json
import subprocess
from pathlib import Path

import pytest

from langchain_sutro import systemone
from langchain_sutro.decisions import DecisionFunction, SutroDecisionModel
from tests.support.environments import environment
from tests.support.served import served
from tests.systemone.conftest import KEY

pytestmark = [pytest.mark.sdk, pytest.mark.timeout(900)]

HERE = Path(__file__).parent
CLIENTS = ["jevcompat==0.1.1", "typesafe-sdk==0.7.5", "langchain-typesafe==0.0.1a3"]
# Sutro's confidence is calibrated, and is not computed from the probabilities.
OTHERWISE = {"confidence.formula"}


@pytest.fixture(scope="session")
def clients():
    """Python of an environment with the clients."""
    return environment("systemone-clients", CLIENTS)


@pytest.fixture
def url(deployment, at):
    judges = SutroDecisionModel(model="judges", default="any-question", **at["deployment"])
    wrong = DecisionFunction("any-question", labels=["x", "y"])
    strict = SutroDecisionModel(model="strict", default=wrong, **at["deployment"])
    with served(systemone.app({"judges": judges, "strict": strict}, key=KEY)) as url:
        yield url


def conformance(clients, url, tmp_path, *arguments):
    report = tmp_path / "report.json"
    done = subprocess.run(
        [clients.with_name("jevcompat"), "test", url, "--json", report, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr
    return json.loads(report.read_text())


@pytest.mark.slow
def test_every_must_of_the_conformance_suite_passes(clients, url, tmp_path):
    report = conformance(clients, url, tmp_path, "--key", KEY)
    results = {one["id"]: one for one in report["results"]}
    assert {name for name, one in results.items() if one["status"] == "fail"} <= OTHERWISE
    untested = {name for name, one in results.items() if one["status"] not in ("pass", "fail")}
    # Only an endpoint without a key can show this; see the next test.
    assert untested == {"auth.ignored-when-off"}


@pytest.mark.slow
def test_an_endpoint_without_a_key_conforms_too(clients, deployment, at, tmp_path):
    model = SutroDecisionModel(model="judges", default="any-question", **at["hosted"])
    with served(systemone.app({"judges": model})) as url:
        report = conformance(clients, url, tmp_path, "--model", "judges")
    failed = {one["id"] for one in report["results"] if one["status"] == "fail"}
    assert failed <= OTHERWISE


def test_both_clients_understand_every_answer_and_every_error(clients, deployment, url):
    # Three questions are answered before the request that is to be repeated.
    deployment.faults.add("functions/*", status=429, headers={"retry-after": "1"}, skip=3)
    done = subprocess.run(
        [clients, HERE / "clients_driver.py", url, KEY],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    got = json.loads(done.stdout)
    first = got["sdk"]
    assert first["team"] == "billing"
    assert first["refund"] > 0.5
    assert first["model"] == "judges"
    assert got["sdk async"] == got["langchain"] == got["langchain async"] == first
    assert got["sdk retried"] == "judges"
    statuses = {name: one[1] for name, one in got.items() if isinstance(one, list)}
    assert statuses["sdk unknown model"] == 404
    assert statuses["sdk undecidable"] == 422
    assert statuses["sdk wrong key"] == 401
    assert got["langchain unknown model"][0].endswith("NotFoundError")
    assert got["langchain wrong key"][0].endswith("AuthenticationError")
