"""A data set, what judges it, and what LangSmith then holds."""

import asyncio
import uuid
from collections import Counter

from langsmith.schemas import Example

from langchain_sutro.evaluation.dataset import aevaluate_dataset, evaluate_dataset
from langchain_sutro.local import Answer
from tests.support.langsmith_store import LangSmithStore

ANY = {"type": "object", "properties": {}, "additionalProperties": True}
LABEL = {"type": "object", "properties": {"label": {"type": "string"}}}
VERDICT = {
    "type": "object",
    "properties": {"verdict": {"type": "string"}, "rationale": {"type": "string"}},
}
FIELDS = {"answer": "outputs.output.label", "expected": "reference_outputs.label"}


def size(row):
    """A Function whose answer and confidence follow from its input."""
    n = int(row["n"])
    return Answer({"label": "big" if n >= 30 else "small"}, confidence=0.5 + n % 50 / 100)


def agrees(row):
    verdict = "pass" if row["answer"] == row["expected"] else "fail"
    why = f"{row['answer']} beside {row['expected']}"
    return Answer({"verdict": verdict, "rationale": why}, confidence=0.75)


def share_right(outputs, reference_outputs):
    pairs = zip(outputs, reference_outputs, strict=True)
    right = sum(one["output"]["label"] == other["label"] for one, other in pairs)
    return {"key": "share_right", "score": right / len(outputs)}


def expected(n):
    right = n >= 30
    return "big" if right == bool(n % 10) else "small"


def dataset(client, name, count):
    made = client.create_dataset(name)
    client.create_examples(
        dataset_id=made.id,
        examples=[{"inputs": {"n": n}, "outputs": {"label": expected(n)}} for n in range(count)],
    )
    return made


async def evaluated(mode, *args, **kwargs):
    if mode == "async":
        return await aevaluate_dataset(*args, **kwargs)
    return await asyncio.to_thread(evaluate_dataset, *args, **kwargs)


def session(smith, name):
    (found,) = [one for one in smith.sessions.values() if one["name"] == name]
    return found


def runs_of(smith, name):
    """The root runs of a project."""
    wanted = session(smith, name)["id"]
    return [
        run
        for run in smith.ordered()
        if run.get("session_id") == wanted and not run.get("parent_run_id")
    ]


def scores(smith, experiment, key):
    """Each example's score, as LangSmith has it."""
    runs = {run["id"]: run["reference_example_id"] for run in runs_of(smith, experiment)}
    return {
        runs[one["run_id"]]: float(one["score"])
        for one in smith.feedback
        if one["key"] == key and one.get("run_id") in runs
    }


def no_doubles(smith):
    given = Counter((one.get("run_id"), one["key"]) for one in smith.feedback)
    return max(given.values()) == 1


def complete_feedback(monkeypatch):
    """LangSmith's answers have keys that feedback on an experiment is sent without."""
    find = LangSmithStore.find_feedback

    def found(store, wanted):
        return [{"run_id": None, "trace_id": None, **one} for one in find(store, wanted)]

    monkeypatch.setattr(LangSmithStore, "find_feedback", found)


def exact(outputs, reference_outputs):
    return outputs["output"]["label"] == reference_outputs["label"]


def examples(count=50):
    return [
        Example(id=uuid.uuid4(), inputs={"n": n}, outputs={"label": expected(n)})
        for n in range(count)
    ]


def one_by_one(function):
    """A target of `langsmith.evaluate` that calls the Function."""

    def target(inputs):
        return function.invoke(inputs)

    return target
