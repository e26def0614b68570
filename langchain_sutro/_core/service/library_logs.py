"""Keeps secrets out of what HTTP libraries log while they work for this package.

httpx logs whole URLs, and httpcore the headers of answers. Only messages about this package's own
requests are touched, whoever made the client.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from langchain_sutro._core.redaction import mask_secrets

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["quiet_logs"]

_PARTS = ("connection", "http11", "http2", "proxy", "socks")
_LOGGERS = (
    "httpx",
    "httpx2",
    "httpx_aiohttp",
    "aiohttp.client",
    "aiohttp.internal",
    # What signs URLs of Amazon's storage.
    "botocore.auth",
    *(f"{library}.{part}" for library in ("httpcore", "httpcore2") for part in _PARTS),
)
_LONGEST = 4000

# The key of the request that is under way.
_working: ContextVar[str | None] = ContextVar("langchain_sutro_request", default=None)


@contextmanager
def quiet_logs(key: str) -> Iterator[None]:
    """Mask secrets in what is logged from here, in this thread or task.

    Args:
        key: The key that requests are sent with.
    """
    token = _working.set(key)
    try:
        yield
    finally:
        _working.reset(token)


class _Masked(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        key = _working.get()
        if key is not None:
            # The headers of an answer, which may hold anything.
            said = record.getMessage()[:_LONGEST].partition("[(b'")[0]
            record.msg, record.args = mask_secrets(said, key), ()
        return True


_masked = _Masked()
for _name in _LOGGERS:
    logging.getLogger(_name).addFilter(_masked)
