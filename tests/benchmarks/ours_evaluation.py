"""A data set judged in one job, and example by example, before a service that takes its time."""

import time

from langsmith import Client, evaluate

from langchain_sutro import SutroEvaluator, SutroFunction, evaluate_dataset
from langchain_sutro.local import Answer, LocalDeployment
from tests.benchmarks.worker import serve
from tests.support.langsmith_recorder import LangSmithRecorder

ROW = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
PAIR = {
    "type": "object",
    "properties": {"answer": {"type": "string"}, "expected": {"type": "string"}},
}
LABEL = {"type": "object", "properties": {"label": {"type": "string"}}}
VERDICT = {"type": "object", "properties": {"verdict": {"type": "string"}}}


def size(row):
    return Answer({"label": "big" if int(row["n"]) % 3 else "small"}, confidence=0.8)


def agrees(row):
    same = row["answer"] == row["expected"]
    return Answer({"verdict": "pass" if same else "fail"}, confidence=0.9)


def experiment(way, examples, delay, in_flight):
    """Seconds, requests to the service, and the mean score, of an experiment.

    Args:
        way: `"job"`, or `"each"` for LangSmith's own `evaluate`.
        examples: How many.
        delay: Seconds until the service answers.
        in_flight: Examples at once, where each is called for.
    """
    with LocalDeployment([]) as deployment, LangSmithRecorder() as recorder:
        deployment.publish("size", size, input_schema=ROW, output_schema=LABEL)
        deployment.publish("agrees", agrees, input_schema=PAIR, output_schema=VERDICT)
        deployment.faults.add("*", delay=delay, times=None)
        there = {"api_url": deployment.url, "api_key": deployment.api_key, "poll_interval": 0.5}
        function = SutroFunction("size", **there)
        judge = SutroEvaluator(
            SutroFunction("agrees", **there),
            key="agrees",
            fields={"answer": "outputs.output.label", "expected": "reference_outputs.label"},
            score={"pass": 1, "fail": 0},
        )
        client = Client(api_url=recorder.url, api_key="lsv2_benchmark")
        dataset = client.create_dataset("sizes")
        client.create_examples(
            dataset_id=dataset.id,
            examples=[
                {"inputs": {"n": n}, "outputs": {"label": "big" if n % 2 else "small"}}
                for n in range(examples)
            ],
        )
        start = time.perf_counter()
        if way == "job":
            evaluate_dataset(function, "sizes", evaluators=[judge], client=client)
        else:
            evaluate(
                function,
                data="sizes",
                evaluators=[judge],
                client=client,
                max_concurrency=in_flight,
            ).wait()
        client.flush()
        seconds = time.perf_counter() - start
        recorder.until(lambda: len(_scores(recorder)) == examples)
        scores = _scores(recorder)
        return {
            "seconds": seconds,
            "requests": len(deployment.requests),
            "scores": len(scores),
            "mean": sum(scores) / len(scores),
        }


def _scores(recorder):
    found = recorder.find_feedback({})
    return [one["score"] for one in found if one["key"] == "agrees"]


if __name__ == "__main__":
    serve({"experiment": experiment})
