"""Memory that Arrow has freed goes back to the system while a table is read."""

from __future__ import annotations

__all__ = ["GivenBack"]

_EVERY = 1 << 21


class GivenBack:
    """Gives freed memory back after every few megabytes that were read.

    mimalloc, the pool of most versions of pyarrow, keeps what is freed for later, which may be as
    much as the table. The other pools give it back by themselves.
    """

    def __init__(self) -> None:
        import pyarrow as pa  # noqa: PLC0415

        pool = pa.default_memory_pool()
        self._pool = pool if pool.backend_name == "mimalloc" else None
        self._read = 0

    def __call__(self, size: int) -> None:
        """Count bytes that were read."""
        self._read += size
        if self._pool is not None and self._read >= _EVERY:
            self._pool.release_unused()
            self._read = 0
