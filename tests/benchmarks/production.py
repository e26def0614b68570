"""`python -m tests.benchmarks.production`: many production runs, judged once whatever happens.

Two judges look at the runs, in processes of their own. With `--kills`, calls are killed at so many
seeded moments before one completes, and two more run at once. Prints what a call took, and fails if
a run has some feedback never or twice, if a job was paid twice, or if memory or requests are more
than they may be.
"""

import argparse
import json
import os
import random
import sys
import tempfile
import time

from langchain_sutro.local import LocalDeployment
from tests.support.judging_processes import JudgingProcesses
from tests.support.langsmith_recorder import LangSmithRecorder
from tests.support.production import feedback, jobs, publish_judges, store_runs

MOST_MIB = 200
KEYS = ("length", "length_confidence", "loud", "loud_confidence")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=50_000)
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--seed", type=int, default=11)
    asked = parser.parse_args()
    with LangSmithRecorder() as langsmith, LocalDeployment() as deployment:
        os.environ |= {**deployment.environ, "HOME": tempfile.mkdtemp()}
        publish_judges(deployment)
        store_runs(langsmith, asked.runs)
        with JudgingProcesses(langsmith, portion=None) as processes:
            wrong = list(_proof(asked, langsmith, deployment, processes))
    for one in wrong:
        print("WRONG:", one)
    return int(bool(wrong))


def _proof(asked, langsmith, deployment, processes):
    moments = random.Random(asked.seed)
    # A whole call reads with a request for 100 runs, and sends six times as many: ten calls that
    # are killed after so many do not complete it.
    most = asked.runs // 70
    for _ in range(asked.kills):
        moment = moments.randrange(1, most)
        _told(f"killed at request {moment}", langsmith, processes, kill=moment)
    peaks = [_told("call", langsmith, processes)]
    reads = sum(path.endswith("/runs/query") for _, path in langsmith.requests)
    writes = sum(path.endswith(("/multipart", "/feedback")) for _, path in langsmith.requests)
    # LangSmith takes 100 runs or feedbacks at once. Each portion of 500 verdicts may leave a rest
    # of its runs and of its feedback.
    sent = len(langsmith.project("evaluators")) + len(langsmith.feedback)
    if not asked.kills and reads > asked.runs / 100 + 1:
        yield f"{reads} read requests"
    if not asked.kills and writes > sent / 100 + 4 * (asked.runs / 500 + 1):
        yield f"{writes} write requests"
    langsmith.requests.clear()
    peaks.append(_told("call again", langsmith, processes))
    peaks.append(_told("two calls at once", langsmith, processes, number=2))
    # On a slow machine, the client may send again what was received before its time was up.
    once = {given["id"]: given for given in langsmith.feedback}
    print(f"sent again by LangSmith's client: {len(langsmith.feedback) - len(once)} feedbacks")
    langsmith.feedback[:] = once.values()
    given = feedback(langsmith)
    judged = [run["id"] for run in langsmith.project("app")]
    if given != {(key, run_id): 1 for key in KEYS for run_id in judged}:
        yield "not every run has each feedback once"
    paid = sorted(job["model"] for job in jobs(deployment))
    if paid != ["length", "loud"]:
        yield f"jobs: {paid}"
    if max(peaks) > MOST_MIB:
        yield f"a peak of {max(peaks):.0f} MiB"
    yield from [one for one in langsmith.check() if "created twice" not in one][:5]


def _told(what, langsmith, processes, *, kill=None, number=1):
    """Make calls, and print what they took; their peak in MiB."""
    start, before = time.monotonic(), len(langsmith.requests)
    if kill is not None:
        processes.call_and_kill(kill)
    else:
        ended = processes.call(number)
        assert not any(ended), ended
    took = {
        "seconds": round(time.monotonic() - start, 1),
        "peak_mib": round(processes.peak_mib, 1),
        "requests": len(langsmith.requests) - before,
        "feedback": len(langsmith.feedback),
    }
    print(f"{what}: {json.dumps(took)}", flush=True)
    return processes.peak_mib


if __name__ == "__main__":
    sys.exit(main())
