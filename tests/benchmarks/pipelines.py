"""What `one_job` adds to a plain sequence, which is one job anyway."""

from functools import partial

from tests.benchmarks.table import ratio


def measure(bench):
    rows, number = (1_000, 200) if bench.quick else (10_000, 2_000)
    found = bench.alternate(
        bench.rounds,
        plain=partial(bench.once, "ours-pipelines", "batch", rows=rows, whole=False),
        whole=partial(bench.once, "ours-pipelines", "batch", rows=rows, whole=True),
        invoke=partial(bench.once, "ours-pipelines", "invoke", number=number),
    )
    seconds = {name: [one["seconds"] for one in found[name]] for name in ("plain", "whole")}
    calls = {name: [one[name] for one in found["invoke"]] for name in ("plain", "whole")}
    words = f"one_job, batch of {rows:,} rows vs the sequence"
    return [
        ratio(words, seconds["whole"], seconds["plain"], "s", at_most=1.1),
        ratio("one_job, invoke vs the sequence", calls["whole"], calls["plain"], "s", at_most=1.05),
    ]
