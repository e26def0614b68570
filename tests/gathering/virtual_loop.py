"""An event loop whose time passes only while it waits, and then at once."""

import asyncio
import selectors

__all__ = ["VirtualLoop"]


class _Selector(selectors.DefaultSelector):
    def __init__(self):
        super().__init__()
        self.now = 0.0

    def select(self, timeout=None):
        if timeout is None:
            raise RuntimeError("Everything waits, and nothing will ever happen.")
        self.now += max(timeout, 0.0)
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """The loop; it fails where it would wait for ever."""

    def __init__(self):
        self.clock = _Selector()
        super().__init__(self.clock)

    def time(self):
        return self.clock.now

    async def shutdown_default_executor(self, timeout=None):  # noqa: ASYNC109 - its signature
        # Threads do not end in virtual time.
        if self._default_executor is not None:
            self._default_executor.shutdown(wait=True)
