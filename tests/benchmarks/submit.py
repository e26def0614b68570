"""A large table as one job: time, and memory grown."""

from functools import partial

from tests.benchmarks.data import WARM_UP, prepare
from tests.benchmarks.table import amount, ratio

TIME = {"pandas": 0.30, "csv": 0.28, "parquet": 0.38, "polars": 0.35, "list": 0.15}
FILES = ("csv", "parquet")


def measure(bench):
    fewer = bench.rows // 10
    for rows in (bench.rows, fewer, WARM_UP):
        prepare(bench.folder, rows)
    asked = {"url": bench.url("plain"), "folder": str(bench.folder)}
    times, memory, growth = [], [], []
    for kind, at_most in TIME.items():
        found = bench.alternate(
            bench.rounds,
            ours=partial(bench.once, "ours-batch", "submit", table=kind, rows=bench.rows, **asked),
            sdk=partial(bench.once, "sdk-batch", "submit", table=kind, rows=bench.rows, **asked),
            fewer=partial(bench.once, "ours-batch", "submit", table=kind, rows=fewer, **asked),
        )
        seconds = {name: [one["seconds"] for one in values] for name, values in found.items()}
        grown = {name: [one["grown"] for one in values] for name, values in found.items()}
        words = f"submit {bench.rows:,} rows, {kind}"
        times.append(
            ratio(f"{words} vs SDK", seconds["ours"], seconds["sdk"], "s", at_most=at_most)
        )
        memory.append(
            amount(
                f"{words}: memory grown",
                grown["ours"],
                "B",
                peer=grown["sdk"],
                at_most=(80 if kind in FILES else 32) * 2**20,
            )
        )
        growth.append(
            ratio(f"{words}: memory vs {fewer:,}", grown["ours"], grown["fewer"], "B", at_most=1.3)
        )
    return times + memory + growth
