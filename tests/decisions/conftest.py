"""A deployment with judges, and decision models over them."""

from importlib.util import find_spec

import pytest

from langchain_sutro.local import Answer, LocalDeployment, sample_functions

# The package itself supports older versions of langchain-core.
HAS_DECISIONS = find_spec("langchain_core.decisions") is not None
collect_ignore_glob = [] if HAS_DECISIONS else ["test_[!o]*.py"]

TEXT = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}
LABEL = {
    "type": "object",
    "properties": {"label": {"type": "string"}, "rationale": {"type": "string"}},
}
OPEN = {"type": "object", "properties": {}, "additionalProperties": True}


def department(row):
    text = row["text"]
    label = "technical" if "crash" in text else "billing"
    rest = {"billing": 0.15, "technical": 0.15, "sales": 0.05}
    predictions = [{"label": label, "confidence": 0.8}]
    predictions += [
        {"label": other, "confidence": weight} for other, weight in rest.items() if other != label
    ]
    if text == "bad":
        raise ValueError("a row that nobody can judge")
    return Answer(label, confidence=0.8, predictions=predictions, rationale="by its words")


def risk(row):
    risky = "delete" in str(row)
    return Answer("risky" if risky else "safe", confidence=0.9)


@pytest.fixture(scope="module")
def _running():
    with LocalDeployment(sample_functions()) as running:
        running.publish("department", department, input_schema=TEXT, output_schema=LABEL)
        running.publish("tool-risk", risk, input_schema=TEXT, output_schema=LABEL)
        yield running


@pytest.fixture
def deployment(_running):
    """One for a whole file, since starting takes longer than most tests."""
    _running.requests.clear()
    _running.faults.clear()
    return _running


@pytest.fixture
def new_jobs(deployment):
    """A callable that returns the jobs of the test."""
    before = len(deployment.jobs)
    return lambda: deployment.jobs[before:]


@pytest.fixture
def at(deployment):
    """The settings of both generations."""
    return {
        generation: {
            "api_url": deployment.url,
            "api_key": deployment.api_key,
            "generation": generation,
        }
        for generation in ("deployment", "hosted")
    }


@pytest.fixture
def judges(deployment, at):
    """A decision model; the factory takes any of its fields."""
    from langchain_sutro.decisions import DecisionFunction, SutroDecisionModel

    def make(generation="deployment", **fields):
        functions = {
            "dept": DecisionFunction("department", fields="text"),
            "is_risky": DecisionFunction("tool-risk", fields="text", yes=["risky"]),
        }
        fields = {"model": "judges", "functions": functions, **at[generation], **fields}
        return SutroDecisionModel(**fields)

    return make


@pytest.fixture
def judge_of(deployment, at):
    """A decision model of one Function for the question `q`, which answers what it is told."""
    from langchain_sutro.decisions import DecisionFunction, SutroDecisionModel

    def make(answer, generation="deployment", output_schema=None, **about):
        call = answer if callable(answer) else lambda row: answer
        deployment.publish(
            "judge", call, input_schema=TEXT, output_schema=output_schema or {"type": "object"}
        )
        judge = DecisionFunction("judge", **{"fields": "text", **about})
        return SutroDecisionModel(model="one", functions={"q": judge}, **at[generation])

    return make


def runs(deployment):
    """The real-time runs that arrived."""
    return [one for one in deployment.requests if one.path.endswith("/run")]
