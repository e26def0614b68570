"""`evaluate_runs` judges each run once: after kills, and two calls at once."""

import random
import threading

import pytest
from langsmith.utils import LangSmithError
from urllib3.util import Retry

from langchain_sutro import evaluate_runs
from langchain_sutro.evaluation import window
from langchain_sutro.local import Answer
from tests.support.judging_processes import JudgingProcesses
from tests.support.langsmith_recorder import LangSmithRecorder
from tests.support.production import LABEL, TEXT, feedback, jobs, judge, trace

TWICE = Retry(total=1, status_forcelist=[429], allowed_methods=None)
KEYS = ("length", "length_confidence", "loud", "loud_confidence")


def judged_once(langsmith, judging, runs):
    """Whether each run has each feedback once, and each judge had one job."""
    once = feedback(langsmith) == {(key, str(run.id)): 1 for key in KEYS for run in runs}
    return once and sorted(job["model"] for job in jobs(judging)) == ["length", "loud"]


@pytest.mark.slow
def test_calls_that_are_killed_at_ten_moments_are_completed(judging, langsmith):
    runs = trace(langsmith, 100)
    moments = random.Random(11)
    with JudgingProcesses(langsmith, portion=5) as processes:
        for _ in range(10):
            # With 80 portions of runs and of feedback to send, none of these ends by itself.
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


@pytest.mark.parametrize("zstd", [True, False])
def test_what_a_rate_limit_kept_from_arriving_is_sent_again(judging, monkeypatch, zstd):
    monkeypatch.setattr(window, "_PAUSES", (0,) * 9)
    with LangSmithRecorder(zstd=zstd) as langsmith:
        runs = trace(langsmith, 60)
        # The client itself tries twice, and drops what it could not send.
        langsmith.limited_sends = 5
        both = [judge(), judge("loud")]
        found = evaluate_runs(both, "app", client=langsmith.client(retry_config=TWICE))
        assert (found.judged, found.refused) == ({"length": 60, "loud": 60}, 0)
        assert judged_once(langsmith, judging, runs)
        assert langsmith.check() == []


def test_what_never_arrived_is_written_by_the_next_call(judging, langsmith, monkeypatch):
    runs = trace(langsmith, 10)
    monkeypatch.setattr(window, "_PAUSES", (0, 0))
    both = [judge(), judge("loud")]
    client = langsmith.client(retry_config=TWICE)
    langsmith.limited_sends = 10**6
    with pytest.raises(LangSmithError, match="next call writes what is missing"):
        evaluate_runs(both, "app", client=client)
    assert feedback(langsmith) == {}
    langsmith.limited_sends = 0
    evaluate_runs(both, "app", client=client)
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
