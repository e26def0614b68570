"""Traced runs of an application, and judges whose verdict and confidence each run's text names."""

from datetime import UTC, datetime, timedelta

from langsmith import uuid7
from langsmith.run_trees import RunTree

from langchain_sutro import SutroEvaluator, SutroFunction
from langchain_sutro.local import Answer

START = datetime(2026, 1, 1, tzinfo=UTC)
TEXT = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}
LABEL = {"type": "object", "properties": {"label": {"type": "string"}}}


def publish_judges(deployment):
    """`first` and `second`, for texts such as "yes 0.9 no 0.6": verdict and confidence of each."""

    def judge(place):
        def said(row):
            words = row["text"].split()
            return Answer({"label": words[place]}, confidence=float(words[place + 1]))

        return said

    for name, place in (("first", 0), ("second", 2)):
        deployment.publish(name, judge(place), input_schema=TEXT, output_schema=LABEL)


def judge(name="first", **options):
    options = {"fields": {"text": "outputs.text"}, "score": {"yes": 1, "no": 0}, **options}
    return SutroEvaluator(SutroFunction(name, poll_interval=0.05), **options)


def trace(recorder, texts, *, project="app", first=0):
    """A root run for each text, a minute apart."""
    client, runs = recorder.client(), []
    before = len(recorder.runs)
    for index, text in enumerate(texts, first):
        start = START + timedelta(minutes=index, microseconds=index)
        run = RunTree(
            id=uuid7(), name="answer", run_type="chain", inputs={"question": f"{index}?"},
            outputs={"text": text}, start_time=start, end_time=start, project_name=project,
            client=client,
        )  # fmt: skip
        run.post()
        runs.append(run)
    client.flush()
    recorder.until(lambda: len(recorder.runs) >= before + len(runs), 60)
    return runs
