"""The package, measured in a process of its own; plain httpx beside it, in the same interpreter."""

import statistics
from contextlib import asynccontextmanager
from functools import cache

from tests.benchmarks.worker import LEAD, in_tasks, in_threads, one_by_one, serve

KEY = "sk-benchmark"
NAME = "lead-qualifier"


@cache
def function(url):
    from langchain_sutro import SutroFunction

    return SutroFunction(NAME, api_url=url, api_key=KEY)


@cache
def client(url):
    from langchain_sutro import SutroClient

    return SutroClient(api_url=url, api_key=KEY)


@cache
def decision_model(url):
    from langchain_sutro.decisions import DecisionFunction, SutroDecisionModel

    judge = DecisionFunction(function(url), yes=["qualified"])
    return SutroDecisionModel(model="judges", functions={"q": judge})


@cache
def _httpx():
    import httpx

    return httpx.Client()


def _call(which, url):
    if which == "httpx":
        session, address = _httpx(), f"{url}/v1/functions/{NAME}/run"
        headers = {"authorization": f"Key {KEY}"}
        return lambda: session.post(address, json={"input": LEAD}, headers=headers).json()
    if which == "client":
        run = client(url).run_function
        return lambda: run(NAME, LEAD)
    if which == "decision":
        decide = decision_model(url).invoke
        request = {"state": LEAD, "questions": {"q": {"type": "noul", "instructions": "Is it?"}}}
        return lambda: decide(request)
    invoke = function(url).invoke
    return lambda: invoke(LEAD)


def calls(which, url, number):
    return one_by_one(_call(which, url), number)


def added(number):
    """Seconds of a call in several ways, answered in this process.

    The differences between them would drown in a socket's noise. LangChain's own part is measured
    around a call too: around nothing at all it takes half the time, since it is all there is to
    keep in the processor's caches.

    Returns:
        `client`: run_function; `invoke`; `around`: run_function within LangChain's own
        `_call_with_config`; `traced`: the client's run.
    """
    import httpx

    from langchain_sutro import SutroClient, SutroFunction
    from langchain_sutro._core.results.payload import FunctionResult
    from langchain_sutro._core.tracing import client_run

    answer = {"output": {"label": "qualified"}, "confidence": 0.91, "request_id": "rt-1"}
    transport = httpx.MockTransport(lambda _: httpx.Response(200, json=answer))
    options = {"api_url": "http://127.0.0.1:1", "api_key": KEY}
    session = httpx.Client(transport=transport)
    run = SutroClient(**options, http_client=session).run_function
    judge = SutroFunction(NAME, **options, http_client=session)
    around, result = judge._call_with_config, FunctionResult(answer)

    def traced():
        with client_run(NAME, LEAD) as one:
            one.finish(result)

    ways = {
        "client": lambda: run(NAME, LEAD),
        "invoke": lambda: judge.invoke(LEAD),
        "around": lambda: around(lambda row: run(NAME, row), LEAD, None),
        "traced": traced,
    }
    took = {name: [] for name in ways}
    for _ in range(9):
        for name, way in ways.items():
            took[name].append(one_by_one(way, number))
    return {name: statistics.median(seconds) for name, seconds in took.items()}


def threads(url, in_flight, number):
    return in_threads(_call("client", url), in_flight, number)


def tasks(url, in_flight, number, transport=None, which="client"):
    return in_tasks(lambda: _opened(url, transport, which), in_flight, number)


@asynccontextmanager
async def _opened(url, transport, which):
    if which == "invoke":
        ainvoke = function(url).ainvoke
        yield lambda: ainvoke(LEAD)
        return
    if transport is None:
        run = client(url).arun_function
        yield lambda: run(NAME, LEAD)
        return
    import httpx
    from httpx_aiohttp import AiohttpTransport

    from langchain_sutro import SutroClient

    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(transport=AiohttpTransport(limits=limits)) as session:
        run = SutroClient(api_url=url, api_key=KEY, http_async_client=session).arun_function
        yield lambda: run(NAME, LEAD)


if __name__ == "__main__":
    serve({"calls": calls, "added": added, "threads": threads, "tasks": tasks})
