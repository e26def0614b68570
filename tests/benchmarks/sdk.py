"""The official SDK, in an environment of its own."""

import os
from functools import cache

from tests.benchmarks.worker import LEAD, in_threads, one_by_one, serve

NAME = "lead-qualifier"


@cache
def client(url):
    from sutro.sdk import Sutro

    # Closed to its version check only: calls shall not pay for looking at proxies.
    os.environ.pop("HTTPS_PROXY", None)
    return Sutro(api_key="sk-benchmark", api_url=url)


def calls(url, number):
    run = client(url).run_function
    return one_by_one(lambda: run(NAME, LEAD), number)


def threads(url, in_flight, number):
    run = client(url).run_function
    return in_threads(lambda: run(NAME, LEAD), in_flight, number)


if __name__ == "__main__":
    serve({"calls": calls, "threads": threads})
