"""A large job's results: time, and memory at the peak."""

from functools import partial

from tests.benchmarks.data import WARM_UP, prepare
from tests.benchmarks.table import amount, ratio


def measure(bench):
    for rows in (bench.rows, WARM_UP):
        prepare(bench.folder, rows)
    asked = {"url": bench.url("plain"), "rows": bench.rows}
    cases = {}
    for unpack, name in ((True, "unpacked"), (False, "raw")):
        for how in ("frame", "arrow", "polars"):
            cases[f"{how} {name}"] = partial(
                bench.once, "ours-batch", "results", how=how, unpack=unpack, **asked
            )
        cases[f"sdk {name}"] = partial(bench.once, "sdk-batch", "results", unpack=unpack, **asked)
    cases["file"] = partial(bench.once, "ours-batch", "results", how="file", unpack=False, **asked)
    cases["saved"] = partial(bench.once, "ours-batch", "download", **asked)
    cases["sdk file"] = partial(bench.once, "sdk-batch", "download", **asked)
    files = {
        name: str(bench.folder / str(rows) / "results.parquet")
        for name, rows in (("path", bench.rows), ("warm_up", WARM_UP))
    }
    for how in ("ours raw", "ours unpacked", "parquet", "parquet and json"):
        cases[how] = partial(bench.once, "ours-batch", "read", how=how, **files)
    found = bench.alternate(bench.rounds, **cases)
    seconds = {name: [one[bench.clock] for one in values] for name, values in found.items()}
    grown = {name: [one["grown"] for one in values] for name, values in found.items()}
    kinds = {"frame": "get_job_results", "arrow": "to_arrow", "polars": "to_polars"}

    def beside(words, one, other, at_most):
        return ratio(words, seconds[one], seconds[other], "s", at_most=at_most)

    lines = []
    for name, at_most in (("unpacked", 0.12), ("raw", 0.15)):
        for how, verb in kinds.items():
            one, other = f"{how} {name}", f"sdk {name}"
            words = f"{bench.rows:,} results {name}, {verb}"
            lines += [
                ratio(f"{words} vs SDK", seconds[one], seconds[other], "s", at_most=at_most),
                ratio(f"{words}: memory vs SDK", grown[one], grown[other], "B", at_most=0.35),
            ]
    return [
        *lines,
        beside("results raw vs reading with pyarrow", "arrow raw", "parquet", 2.5),
        beside("a file's results raw vs reading it with pyarrow", "ours raw", "parquet", 1.5),
        beside(
            "a file's results unpacked vs pyarrow's JSON reader",
            "ours unpacked",
            "parquet and json",
            1.3,
        ),
        beside("download_job_results vs SDK", "saved", "sdk file", 0.7),
        beside("results to a private file vs SDK's download", "file", "sdk file", 0.7),
        amount(
            "results to disk: memory grown",
            grown["file"],
            "B",
            peer=grown["sdk file"],
            at_most=4 * 2**20,
        ),
    ]
