"""`InFlight`: the requests that are being answered, each paid for once.

Clients give up after some seconds and send the same request again, while the first one is still
being answered. Then they receive the answer of the first.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

from langchain_sutro.systemone.refusals import Refusal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ["InFlight"]

_T = TypeVar("_T")

# How long an answer is kept whose client had gone before it was there.
_SECONDS_KEPT = 60.0


class InFlight:
    """Answers requests, equal ones once.

    Args:
        limit: How many different requests are answered at once.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._running = 0
        self._answers: dict[bytes, asyncio.Future[Any]] = {}

    async def answer(
        self,
        key: bytes,
        work: Callable[[], Awaitable[_T]],
        is_gone: Callable[[], Awaitable[bool]],
    ) -> _T:
        """Answer a request, or wait for the answer to an equal one.

        The work goes on where the client goes away, since it is paid for already.

        Args:
            key: The same for equal requests.
            work: Answers it.
            is_gone: Whether the client has gone.

        Raises:
            Refusal: 429, where too many others are being answered.
        """
        found = self._answers.get(key)
        if found is None:
            if self._running >= self._limit:
                message = f"{self._limit} requests are being answered."
                raise Refusal(429, "rate_limit_error", message, retry_after=1.0)
            # Counted now, since a burst of requests comes here before any of the work begins.
            self._running += 1
            found = self._answers[key] = asyncio.ensure_future(work())
            found.add_done_callback(self._ended)
        try:
            answer: _T = await asyncio.shield(found)
        except asyncio.CancelledError:
            self._keep(key, found)
            raise
        except Exception:
            self._forget(key, found)
            raise
        if await is_gone():
            self._keep(key, found)
        else:
            self._forget(key, found)
        return answer

    def _ended(self, _: asyncio.Future[Any]) -> None:
        self._running -= 1

    def _keep(self, key: bytes, answer: asyncio.Future[Any]) -> None:
        """Keep an answer that nobody received for a while."""
        asyncio.get_running_loop().call_later(_SECONDS_KEPT, self._forget, key, answer)

    def _forget(self, key: bytes, answer: asyncio.Future[Any]) -> None:
        """Forget an answer, unless it is that of a later request by now."""
        if self._answers.get(key) is answer:
            del self._answers[key]
