"""A transport in memory that keeps the requests."""

import httpx
from pydantic import SecretStr

from langchain_sutro._core.service.driver import Request, Session
from langchain_sutro._core.service.settings import Settings

SETTINGS = Settings("deployment", "https://d.example/v1", "https://d.example/v1", SecretStr("sk_1"))


class Recorder(httpx.MockTransport):
    """A transport in memory, for both kinds of client."""

    def __init__(self, handler=lambda _: httpx.Response(200, json={"output": 1})):
        self.seen: list[httpx.Request] = []

        def handle(request):
            self.seen.append(request)
            return handler(request)

        super().__init__(handle)

    def session(self, settings=SETTINGS, **options):
        return Session(
            settings,
            httpx.Client(transport=self, **options),
            httpx.AsyncClient(transport=self, **options),
        )


def get(url="https://d.example/v1/x", **options):
    return Request("GET", url, **options)
