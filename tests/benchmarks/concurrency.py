"""Many calls at once, each answered after 50 ms."""

from functools import partial

from tests.benchmarks.table import ratio

# Calls of each task, by number of tasks.
IN_FLIGHT = {64: 16, 256: 8, 1000: 4}
MOST = max(IN_FLIGHT)


def measure(bench):
    return _tasks(bench) + _threads(bench)


def _tasks(bench):
    url = bench.url("slow")
    with bench.workers(ours="ours", extra="ours-aiohttp", aiohttp="aiohttp", sdk="sdk") as workers:
        cases = {}
        for width, each in IN_FLIGHT.items():
            asked = {"url": url, "in_flight": width, "number": width * each}
            for name in ("ours", "aiohttp"):
                cases[f"{name}{width}"] = partial(workers[name], "tasks", **asked)
            if width == MOST:
                cases["invoke"] = partial(workers["ours"], "tasks", which="invoke", **asked)
            if width > 64:
                cases[f"extra{width}"] = partial(
                    workers["extra"], "tasks", transport="aiohttp", **asked
                )
        cases["sdk"] = partial(workers["sdk"], "threads", url=url, in_flight=64, number=64 * 8)
        measured = bench.alternate(bench.rounds, **cases)
    rates = {
        name: [value["rate"] if isinstance(value, dict) else value for value in values]
        for name, values in measured.items()
    }
    cpu = {width: [value["cpu"] for value in measured[f"ours{width}"]] for width in IN_FLIGHT}
    at_least = {64: 0.85, 256: 0.38, 1000: 0.35}
    lines = [
        ratio(
            f"{width:,} tasks vs aiohttp",
            rates[f"ours{width}"],
            rates[f"aiohttp{width}"],
            "calls/s",
            at_least=at_least[width],
        )
        for width in IN_FLIGHT
    ]
    lines += [
        ratio(
            f"{width:,} tasks through httpx-aiohttp vs aiohttp",
            rates[f"extra{width}"],
            rates[f"aiohttp{width}"],
            "calls/s",
            at_least=0.5,
        )
        for width in (256, 1000)
    ]
    return [
        *lines,
        ratio(
            f"{MOST:,} tasks of a Runnable vs aiohttp",
            rates["invoke"],
            rates[f"aiohttp{MOST}"],
            "calls/s",
            at_least=0.28,
        ),
        ratio(
            "64 tasks vs SDK in 64 threads", rates["ours64"], rates["sdk"], "calls/s", at_least=1.9
        ),
        ratio("CPU per call, 1,000 tasks vs 64", cpu[1000], cpu[64], "s", at_most=1.5),
    ]


def _threads(bench):
    share = 2 if bench.quick else 8
    lines = []
    with bench.workers(ours="ours", sdk="sdk") as workers:
        for name, words, at_least in (
            ("slow", "64 threads vs SDK", 1.9),
            ("slow_tls", "64 threads vs SDK, TLS", 15),
        ):
            asked = {"url": bench.url(name), "in_flight": 64}
            number = 64 * share
            slower = number if name == "slow" else 64 * max(1, share // 4)
            rates = bench.alternate(
                bench.rounds,
                ours=partial(workers["ours"], "threads", number=number * 2, **asked),
                sdk=partial(workers["sdk"], "threads", number=slower, **asked),
            )
            lines.append(ratio(words, rates["ours"], rates["sdk"], "calls/s", at_least=at_least))
    return lines
