"""An application that is traced, and judges of what it says."""

from collections import Counter
from datetime import UTC, datetime, timedelta

from langsmith import uuid7
from langsmith.run_trees import RunTree

from langchain_sutro import SutroEvaluator, SutroFunction
from langchain_sutro.local import Answer

START = datetime(2026, 1, 1, tzinfo=UTC)
SCORES = {"length": {"long": 1, "short": 0}, "loud": {"loud": 1, "calm": 0}}
LABEL = {"type": "object", "properties": {"label": {"type": "string"}}}
TEXT = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}


def publish_judges(deployment):
    """Publish `length`, which says how long an answer is, and `loud`, whether it is in capitals."""
    for name, judge in (
        ("length", lambda row: "long" if len(row["text"]) > 8 else "short"),
        ("loud", lambda row: "loud" if row["text"].isupper() else "calm"),
    ):
        deployment.publish(
            name,
            lambda row, judge=judge: Answer({"label": judge(row)}, confidence=0.75),
            input_schema=TEXT,
            output_schema=LABEL,
        )
    deployment.faults.clear()


def judge(name="length", **options):
    """One of the two judges."""
    options = {"fields": {"text": "outputs.text"}, "score": SCORES[name], **options}
    return SutroEvaluator(SutroFunction(name, poll_interval=0.05), **options)


def trace(recorder, number, *, project="app", first=0):
    """Root runs with a child each, half of them long, a minute apart."""
    client = recorder.client()
    runs = []
    for index in range(first, first + number):
        start = START + timedelta(minutes=index)
        text = "a long answer" if index % 2 else "short"
        root = RunTree(
            id=uuid7(), name="answer", run_type="chain", inputs={"question": f"{index}?"},
            outputs={"text": text}, start_time=start, end_time=start, project_name=project,
            client=client, extra={"metadata": {"secret_size": "x" * 50}},
        )  # fmt: skip
        root.post()
        child = root.create_child(
            name="model", run_type="llm", inputs={}, outputs={"text": text.upper()},
            start_time=start, end_time=start,
        )  # fmt: skip
        child.post()
        runs.append(root)
    client.flush()
    recorder.until(lambda: len(recorder.runs) >= 2 * number)
    return runs


def say(recorder, thread, *turns, minute=0, key="thread_id", **options):
    """A thread of root runs, a minute apart: the inputs and outputs of each."""
    client = recorder.client()
    runs = []
    for index, (inputs, outputs) in enumerate(turns):
        start = START + timedelta(minutes=minute + index)
        times = {"start_time": start, "end_time": start, **options}
        run = RunTree(
            id=uuid7(), name="chat", run_type="chain", inputs=inputs, outputs=outputs,
            project_name="app", client=client, extra={"metadata": {key: thread}}, **times,
        )  # fmt: skip
        run.post()
        runs.append(run)
    client.flush()
    recorder.until(lambda: {str(run.id) for run in runs} <= recorder.runs.keys())
    return runs


def feedback(recorder):
    """How often each run got feedback, by key."""
    return Counter((given["key"], given["run_id"]) for given in recorder.feedback)


def jobs(deployment, since=0):
    """The jobs that were paid."""
    return [job for job in deployment.jobs[since:] if job["run_type"] == "FULL"]


def store_runs(recorder, number, *, size=100):
    """Root runs as if they had been sent, quickly; each says something of about so many letters."""
    for index in range(number):
        start, run_id = START + timedelta(seconds=index), str(uuid7())
        text = f"{index} " + ("a long answer " if index % 2 else "SHORT ") * (size // 10)
        run = {
            "id": run_id,
            "trace_id": run_id,
            "dotted_order": f"{start:%Y%m%dT%H%M%S%f}Z{run_id}",
            "name": "answer",
            "run_type": "chain",
            "inputs": {"question": f"{index}?"},
            "outputs": {"text": text},
            "start_time": start.isoformat(),
            "end_time": start.isoformat(),
            "session_name": "app",
            "extra": {"metadata": {"thread_id": f"thread {index // 5}"}},
        }
        recorder.take_run(run, update=False)
