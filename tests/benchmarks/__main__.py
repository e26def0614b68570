"""`python -m tests.benchmarks [names…]`: measure, print the table, fail if a target is missed."""

import argparse
import sys
import time
from pathlib import Path

from tests.benchmarks import (
    calls,
    concurrency,
    evaluation,
    pipelines,
    results,
    startup,
    submit,
    table,
    tracing,
)
from tests.benchmarks.bench import ROOT, running

SUBJECTS = {
    "calls": calls,
    "concurrency": concurrency,
    "submit": submit,
    "results": results,
    "startup": startup,
    "tracing": tracing,
    "evaluation": evaluation,
    "pipelines": pipelines,
}


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(SUBJECTS))
    parser.add_argument("--rounds", type=int, help="of each case; light ones three times as many")
    parser.add_argument("--rows", type=int, help="of the large tables, 1,000,000 unless told")
    parser.add_argument("--quick", action="store_true", help="50,000 rows and few rounds")
    parser.add_argument(
        "--cpu",
        action="store_true",
        help="compare tables by CPU seconds: for a machine with others",
    )
    parser.add_argument("--output", type=Path, default=ROOT / ".bench" / "latest")
    asked = parser.parse_args()
    unknown = set(asked.names) - set(SUBJECTS)
    if unknown:
        parser.error(f"no {', '.join(sorted(unknown))}; there are {', '.join(SUBJECTS)}")
    rounds = asked.rounds or (2 if asked.quick else 5)
    rows = asked.rows or (50_000 if asked.quick else 1_000_000)
    facts = table.circumstances(rows=rows, rounds=rounds, cpu=asked.cpu)
    lines = []
    with running(
        rounds=rounds,
        rows=rows,
        quick=asked.quick,
        clock="cpu" if asked.cpu else "seconds",
    ) as bench:
        for name in asked.names or SUBJECTS:
            start = time.monotonic()
            found = SUBJECTS[name].measure(bench)
            print(f"\n{name}, {time.monotonic() - start:.0f} s\n{table.text(found)}", flush=True)
            lines += found
    table.write(asked.output, lines, facts)
    missed = [line for line in lines if line.met is False]
    print(f"\n{len(lines)} lines, {len(missed)} over; {asked.output.with_suffix('.txt')}")
    return 1 if missed else 0


sys.exit(main())
