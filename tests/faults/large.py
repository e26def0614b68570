"""A large table end to end: its time, and the peak memory of the client and of the server.

```console
python -m tests.faults.large 1000000
```

Client and server are processes of their own. The client makes its rows one by one, submits them as
one job, and reads every answer of the results, whose order it checks.
"""

import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from langchain_sutro import SutroFunction
from tests.faults.processes import Server, output, start

_FIRST = 6000
# macOS counts a process's memory in bytes, Linux in KiB.
_MIB = 1 << 20 if sys.platform == "darwin" else 1 << 10


def rows(count: int) -> Iterator[dict[str, str]]:
    """About 100 bytes of JSON each."""
    return ({"n": f"{index:012} a line of text that is as long as such lines are, or nearly"}
            for index in range(count))  # fmt: skip


def judge(count: int) -> None:
    """Submit, wait, and read all answers.

    Raises:
        AssertionError: A row is lost or out of order.
    """
    function = SutroFunction("echo", poll_interval=1.0)
    results = function.submit(rows(count)).results()
    read = 0
    for row, result in zip(rows(count), results, strict=True):
        assert result.answer == f"<{row['n']}>"
        read += 1
    assert read == len(results) == count


def peak() -> float:
    """The most memory that this process has had, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _MIB


def client(count: int) -> None:
    """What the client's process does; prints what it took."""
    # A job that is small, but takes the ways of a large one: what it loads is not the table's.
    judge(_FIRST)
    before, begin = peak(), time.perf_counter()
    judge(count)
    took = {"seconds": time.perf_counter() - begin, "before": before, "peak": peak()}
    json.dump(took, sys.stdout)


def measure(count: int) -> dict[str, float]:
    """Judge so many rows.

    Returns:
        `seconds`; MiB that the client had at its peak (`peak`) and before the table (`before`), and
        that the server had at its peak (`server`).
    """
    with tempfile.TemporaryDirectory() as folder:
        with Server(Path(folder), "tests.faults.functions:FUNCTIONS") as server:
            printed = output(start("large", "client", count, **server.environ), patience=3600.0)
            server.process.terminate()
            _, _, usage = os.wait4(server.process.pid, 0)
        return {**json.loads(printed), "server": usage.ru_maxrss / _MIB}


def main(verb: str, count: str = "") -> None:
    """Measure, or be the client that is measured."""
    if verb == "client":
        client(int(count))
        return
    took = measure(int(verb))
    grown = took["peak"] - took["before"]
    print(
        f"{int(verb):,} rows in {took['seconds']:.1f} s: client {took['peak']:.0f} MiB, "
        f"{grown:.0f} MiB of it for the table; server {took['server']:.0f} MiB"
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
