"""What the measured processes share: a loop that takes cases as lines of JSON, and the measuring.

It runs in the peers' environments too, so it needs nothing but the standard library.
"""

import asyncio
import ctypes
import gc
import json
import os
import sys
import tempfile
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

LEAD = {"query": "We have budget approved for 200 seats, please send a contract.", "region": "EMEA"}


def serve(cases):
    """Answer one line of JSON with another, until standard input ends.

    Args:
        cases: Functions by name; a line names one and gives its keyword arguments.
    """
    answers = os.fdopen(os.dup(1), "w")
    # The SDK prints and draws spinners; nobody is to read that.
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            answer = {"value": cases[asked.pop("case")](**asked)}
        except Exception:  # noqa: BLE001 - the parent raises it
            answer = {"error": traceback.format_exc()}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def one_by_one(call, calls):
    """Seconds of each of several calls in a row."""
    call()
    gc.collect()
    start = time.perf_counter()
    for _ in range(calls):
        call()
    return (time.perf_counter() - start) / calls


def in_threads(call, in_flight, calls):
    """Calls per second of so many threads."""

    def some(number):
        for _ in range(number):
            call()

    with ThreadPoolExecutor(in_flight) as pool:
        list(pool.map(some, [1] * in_flight))
        gc.collect()
        each = calls // in_flight
        start = time.perf_counter()
        list(pool.map(some, [each] * in_flight))
        return each * in_flight / (time.perf_counter() - start)


def in_tasks(opened, in_flight, calls):
    """Calls per second, and CPU seconds per call, of so many tasks on one event loop.

    Args:
        opened: Asynchronous context manager that gives the call.
        in_flight: Number of tasks.
        calls: Of all of them together.
    """

    async def measure():
        async with opened() as call:

            async def some(number):
                for _ in range(number):
                    await call()

            async def everyone(number):
                await asyncio.gather(*(some(number) for _ in range(in_flight)))

            await everyone(2)
            gc.collect()
            each = calls // in_flight
            start, cpu = time.perf_counter(), time.process_time()
            await everyone(each)
            seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
            calls_made = each * in_flight
            return {"rate": calls_made / seconds, "cpu": cpu / calls_made}

    return asyncio.run(measure())


def once(work):
    """Carry out a large piece of work: its seconds, CPU seconds, and memory above before.

    Its result is held meanwhile, and given back too.
    """
    gc.collect()
    _trim()
    before = _begin_peak()
    start, cpu = time.perf_counter(), time.process_time()
    result = work()
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    after = _peak()

    grown = max(0, after - before)
    return {"result": result, "seconds": seconds, "cpu": cpu, "grown": grown}


def saved(client, warm_up, rows):
    """Save a job's results by the verb that both clients have, after those of a small job.

    Args:
        client: Of this package, or the SDK's.
        warm_up: Rows of the small job.
        rows: Rows of the job that is measured.
    """
    with tempfile.TemporaryDirectory() as folder:

        def save(number):
            return client.download_job_results(f"job-{number}", f"{folder}/{number}")

        save(warm_up)
        measured = once(lambda: save(rows))
        assert Path(measured.pop("result")).stat().st_size
    return measured


def _trim():
    """Give freed memory back, or later growth would hide in it."""
    if "pyarrow" in sys.modules:
        sys.modules["pyarrow"].default_memory_pool().release_unused()
    with suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def _begin_peak():
    """Bytes in memory now; the peak starts here if the system lets it."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
        return _status("VmRSS")
    except OSError:
        return _peak()


def _peak():
    try:
        return _status("VmHWM")
    except OSError:
        import resource

        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most * 1024


def _status(name):
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) * 1024
    raise OSError(name)
