"""aiohttp alone, in an environment of its own."""

from contextlib import asynccontextmanager

import aiohttp

from tests.benchmarks.worker import LEAD, in_tasks, serve


def tasks(url, in_flight, number):
    return in_tasks(lambda: _opened(url), in_flight, number)


@asynccontextmanager
async def _opened(url):
    address = f"{url}/v1/functions/lead-qualifier/run"
    headers = {"authorization": "Key sk-benchmark"}
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def call():
            async with session.post(address, json={"input": LEAD}, headers=headers) as answer:
                return await answer.json()

        yield call


if __name__ == "__main__":
    serve({"tasks": tasks})
