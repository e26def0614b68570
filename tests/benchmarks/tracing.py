"""What LangSmith tracing costs the caller."""

import json
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

from tests.benchmarks.data import WARM_UP, prepare
from tests.benchmarks.peers import ROOT
from tests.benchmarks.table import amount, missing


def measure(bench):
    return _off(bench) + _traced(bench)


def _off(bench):
    number = 50 if bench.quick else 300
    with bench.workers(ours="ours") as workers:
        ways = [workers["ours"]("added", number=number) for _ in range(bench.rounds)]
    client = [one["traced"] for one in ways]
    # All that it does beyond LangChain's own, which is for traces but for little.
    invoke = [one["invoke"] - one["around"] for one in ways]
    return [
        amount("tracing off: its part of run_function", client, "s", at_most=20e-6),
        amount("tracing off: its part of invoke, at most", invoke, "s", at_most=20e-6),
    ]


def _traced(bench):
    rows = 1_000 if bench.quick else 10_000
    for size in (rows, WARM_UP):
        prepare(bench.folder, size)
    asked = {"url": bench.url("plain"), "rows": rows, "folder": str(bench.folder)}
    with _recorder() as (url, report):
        tracing = {
            "LANGSMITH_TRACING": "true",
            "LANGSMITH_ENDPOINT": url,
            "LANGSMITH_API_KEY": "lsv2_benchmark",
        }
        traced = replace(bench, environment=bench.environment | tracing)
        found = bench.alternate(
            bench.rounds,
            plain=partial(bench.once, "ours-traced", "job", **asked),
            traced=lambda: traced.once("ours-traced", "job", **asked) | report(),
        )
    words = f"{rows:,} rows traced"
    if any(one["runs"] < rows for one in found["traced"]):
        arrived = min(one["runs"] for one in found["traced"])
        return [missing(words, f"only {arrived:,} runs arrived")]

    def above(name):
        pairs = zip(found["traced"], found["plain"], strict=True)
        return [one[name] - other[name] for one, other in pairs]

    process, caller = ([value / rows for value in above(name)] for name in ("cpu", "caller"))
    ready, ended = ([one[name] for one in found["traced"]] for name in ("ready", "seconds"))
    return [
        amount(f"{words}: CPU of the process, each", process, "s", at_most=250e-6),
        amount(f"{words}: CPU of the caller's thread, each", caller, "s"),
        amount(f"{words}: memory grown", above("grown"), "B", at_most=20 * 2**20),
        amount(f"{words}: results are there after", ready, "s"),
        amount(f"{words}: and the trace after", ended, "s"),
    ]


@contextmanager
def _recorder():
    """URL of LangSmith's stand-in, and a function that tells what has come since it last did."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.benchmarks.recorder"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )

    def report():
        process.stdin.write("\n")
        process.stdin.flush()
        return json.loads(process.stdout.readline())

    try:
        yield process.stdout.readline().strip(), report
    finally:
        process.stdin.close()
        process.stdout.close()
        process.wait(30)
