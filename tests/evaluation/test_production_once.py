"""`evaluate_runs` judges each run once: after kills, and two calls at once."""

import random
import threading

import pytest

from langchain_sutro import evaluate_runs
from langchain_sutro.local import Answer
from tests.support.judging_processes import JudgingProcesses
from tests.support.production import LABEL, TEXT, feedback, jobs, judge, trace

KEYS = ("length", "length_confidence", "loud", "loud_confidence")


def judged_once(langsmith, judging, runs):
    """Whether each run has each feedback once, and each judge had one job."""
    once = feedback(langsmith) == {(key, str(run.id)): 1 for key in KEYS for run in runs}
    return once and sorted(job["model"] for job in jobs(judging)) == ["length", "loud"]


@pytest.mark.slow
def test_calls_that_are_killed_at_ten_moments_are_completed(judging, langsmith):
    runs = trace(langsmith, 120)
    moments = random.Random(11)
    with JudgingProcesses(langsmith, portion=5) as processes:
        for _ in range(10):
            # A call has 96 portions of verdicts and runs to send, so none of these ends by itself.
            processes.call_and_kill(moments.randrange(1, 15))
        assert processes.call() == [0]
        assert judged_once(langsmith, judging, runs)
        # Nothing is left for another call.
        before = len(langsmith.requests)
        assert processes.call() == [0]
    assert judged_once(langsmith, judging, runs)
    assert len(langsmith.requests) - before < 6


def test_a_call_that_is_killed_while_its_job_runs_is_completed(judging, langsmith):
    runs = trace(langsmith, 60)

    def counted(row):
        if langsmith.on_request is not None:
            langsmith.on_request()
        return Answer({"label": "short"}, confidence=0.75)

    judging.publish("length", counted, input_schema=TEXT, output_schema=LABEL)
    with JudgingProcesses(langsmith) as processes:
        # Fewer requests than that come before the job, in which each row counts as one.
        processes.call_and_kill(30)
        assert feedback(langsmith) == {}
        assert processes.call() == [0]
    assert judged_once(langsmith, judging, runs)


def test_processes_and_a_thread_at_once_judge_once(judging, langsmith):
    runs = trace(langsmith, 60)
    # This one has another set of judges, of which one is in both.
    alone = threading.Thread(
        target=evaluate_runs, args=(judge(), "app"), kwargs={"client": langsmith.client()}
    )
    with JudgingProcesses(langsmith) as processes:
        alone.start()
        assert processes.call(2) == [0, 0]
        alone.join()
    assert judged_once(langsmith, judging, runs)
