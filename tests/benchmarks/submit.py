"""A large table as one job: time, and memory grown."""

from functools import partial

from tests.benchmarks.data import WARM_UP, prepare
from tests.benchmarks.table import amount, ratio

# Encoding alone, beside the plainest way to write the same JSON into a stream.
PLAINLY = {
    "list": ("orjson.dumps of chunks", 1.6),
    "polars": ("polars' own NDJSON writer", 1.2),
    "parquet": ("orjson.dumps of record batches", 1.0),
}
TIME = {"pandas": 0.30, "csv": 0.28, "parquet": 0.38, "polars": 0.35, "list": 0.15}
FILES = ("csv", "parquet")


def measure(bench):
    return _submitted(bench) + _encoded(bench)


def _encoded(bench):
    asked = {"rows": bench.rows, "folder": str(bench.folder)}
    lines = []
    for kind, (plainly, at_most) in PLAINLY.items():
        found = bench.alternate(
            bench.rounds,
            ours=partial(bench.once, "ours-batch", "encode", table=kind, **asked),
            plain=partial(bench.once, "ours-batch", "encode_plainly", table=kind, **asked),
        )
        ours, plain = ([one[bench.clock] for one in found[name]] for name in ("ours", "plain"))
        words = f"encode {bench.rows:,} rows, {kind} vs {plainly}"
        lines.append(ratio(words, ours, plain, "s", at_most=at_most))
    return lines


def _submitted(bench):
    fewer = bench.rows // 10
    growth_at_most = 1.15 if fewer >= 1_000_000 else 1.3
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
        seconds = {name: [one[bench.clock] for one in values] for name, values in found.items()}
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
            ratio(
                f"{words}: memory vs {fewer:,}",
                grown["ours"],
                grown["fewer"],
                "B",
                at_most=growth_at_most,
            )
        )
    return times + memory + growth
