"""Drives an operation through given answers, for tests of a single step."""

from dataclasses import dataclass, field

import httpx
import orjson
from pydantic import SecretStr

from langchain_sutro._core.service.driver import Request, Response, Sleep
from langchain_sutro._core.service.exchange import Policy
from langchain_sutro._core.service.settings import Settings
from langchain_sutro.errors import SutroConnectionError, SutroTimeoutError

KEY = "sk_very_secret"
DEPLOYMENT = Settings("deployment", "https://d.example/v1", "https://d.example/v1", SecretStr(KEY))
HOSTED = Settings("hosted", "https://api.example", "https://serve.example", SecretStr(KEY))

LOST = SutroTimeoutError("no answer", sent=True)
REFUSED = SutroConnectionError("refused", sent=False)


def answer(status: int = 200, body: object = b"", **headers: str) -> Response:
    """An answer; a body that is not bytes is sent as JSON."""
    content = body if isinstance(body, bytes) else orjson.dumps(body)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(status, httpx.Headers(named), content)


@dataclass
class Told:
    """What an operation did.

    Attributes:
        result: What it returned; None if it raised.
        error: What it raised.
        requests: What it sent.
        pauses: How long it slept, each time.
    """

    result: object = None
    error: BaseException | None = None
    requests: list[Request] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)

    @property
    def urls(self) -> list[str]:
        return [request.url for request in self.requests]


class Script:
    """Answers operations, each request with the next answer; the last one is repeated.

    Args:
        answers: Responses, errors, or functions of the request that give either.
        policy: Changes to the policy.
    """

    def __init__(self, *answers, **policy) -> None:
        self._answers = list(answers)
        self.now = 0.0
        self.policy = Policy(
            **{"clock": lambda: self.now, "jitter": lambda: 0.5, "lookup_seconds": 5.0, **policy}
        )

    def tell(self, operation) -> Told:
        """Carry the operation out; what it raises is kept."""
        told = Told()
        error: BaseException | None = None
        given = None
        try:
            while True:
                step = operation.send(given) if error is None else operation.throw(error)
                given = error = None
                if isinstance(step, Sleep):
                    told.pauses.append(step.seconds)
                    self.now += step.seconds
                    continue
                told.requests.append(step)
                assert len(told.requests) <= 500, "the operation does not end"
                given = self._answers[0] if len(self._answers) == 1 else self._answers.pop(0)
                if callable(given):
                    given = given(step)
                if isinstance(given, BaseException):
                    error, given = given, None
        except StopIteration as stop:
            told.result = stop.value
        except BaseException as failure:  # noqa: BLE001 - it is what the test looks at
            told.error = failure
        finally:
            operation.close()
        return told
