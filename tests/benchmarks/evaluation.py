"""A data set judged in one job, beside LangSmith's one call for each example."""

from functools import partial

from tests.benchmarks.table import amount, missing, ratio

DELAY = 0.2
IN_FLIGHT = 10


def measure(bench):
    examples = 200 if bench.quick else 2_000
    asked = {"examples": examples, "delay": DELAY, "in_flight": IN_FLIGHT}
    rounds = 1 if bench.quick else 2
    found = bench.alternate(
        rounds,
        job=partial(bench.once, "ours-evaluation", "experiment", way="job", **asked),
        each=partial(bench.once, "ours-evaluation", "experiment", way="each", **asked),
    )
    words = f"{examples:,} examples and their judge, in jobs"
    if any(one["scores"] != examples for values in found.values() for one in values):
        return [missing(words, "not every example has its score")]
    if len({one["mean"] for values in found.values() for one in values}) != 1:
        return [missing(words, "the two ways differ in their scores")]

    def of(way, name):
        return [one[name] for one in found[way]]

    return [
        ratio(
            f"{words} vs {IN_FLIGHT} calls at once",
            of("job", "seconds"),
            of("each", "seconds"),
            "s",
            at_most=0.5,
        ),
        amount(
            f"{words}: requests to the service",
            of("job", "requests"),
            "",
            peer=of("each", "requests"),
            at_most=100,
        ),
    ]
