"""One call at a time."""

from functools import partial

from tests.benchmarks.table import amount, ratio


def measure(bench):
    number = 50 if bench.quick else 200
    plain, tls = bench.url("plain"), bench.url("tls")
    with bench.workers(ours="ours", sdk="sdk") as workers:
        ours, sdk = workers["ours"], workers["sdk"]
        took = bench.alternate(
            bench.rounds * 3,
            httpx=partial(ours, "calls", which="httpx", url=plain, number=number),
            client=partial(ours, "calls", which="client", url=plain, number=number),
            invoke=partial(ours, "calls", which="invoke", url=plain, number=number),
            decision=partial(ours, "calls", which="decision", url=plain, number=number),
            sdk=partial(sdk, "calls", url=plain, number=number // 2),
            invoke_tls=partial(ours, "calls", which="invoke", url=tls, number=number),
            sdk_tls=partial(sdk, "calls", url=tls, number=number // 10),
        )
        ways = [ours("added", number=number // 2) for _ in range(bench.rounds)]
        before = bench.counts()["connections"]
        ours("calls", which="client", url=plain, number=1000)
        # The count itself comes over a connection of its own.
        opened = bench.counts()["connections"] - before - 1

    def added(name):
        return [one[name] - one["client"] for one in ways]

    return [
        ratio("run_function vs httpx", took["client"], took["httpx"], "s", at_most=1.0),
        ratio("invoke vs httpx", took["invoke"], took["httpx"], "s", at_most=1.25),
        ratio(
            "decision of one question vs invoke", took["decision"], took["invoke"], "s", at_most=1.3
        ),
        ratio("invoke vs SDK", took["invoke"], took["sdk"], "s", at_most=0.5),
        ratio("invoke vs SDK, TLS", took["invoke_tls"], took["sdk_tls"], "s", at_most=0.02),
        ratio(
            "added to run_function: by invoke vs by LangChain's _call_with_config",
            added("invoke"),
            added("around"),
            "s",
            at_most=1.3,
        ),
        amount("connections opened by 1,000 calls", [opened], "", at_most=0),
    ]
