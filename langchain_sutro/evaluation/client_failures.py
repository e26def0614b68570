"""What LangSmith's client could not send, which it only logs, since it sends in the background."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["client_failures"]

# A callback for such errors can be given to a client only when it is made.
_LOGGER = "langsmith.client"


class _Collector(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        # The message itself may hold what was sent.
        self.found.append(record.levelname)


@contextmanager
def client_failures() -> Iterator[list[str]]:
    """The levels of the warnings that LangSmith's clients of this process log meanwhile.

    If there are none, everything that was sent and flushed has arrived.
    """
    collector, logger = _Collector(), logging.getLogger(_LOGGER)
    logger.addHandler(collector)
    try:
        yield collector.found
    finally:
        logger.removeHandler(collector)
