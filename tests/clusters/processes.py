"""Drivers and clusters that are processes of their own."""

import json
import time
from contextlib import contextmanager

PATIENCE = 300.0
"""Seconds; long enough for a machine that is busy with other things."""


@contextmanager
def running(process):
    """A process that is gone afterwards."""
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def output(process):
    """What a driver found and printed last, as JSON."""
    with running(process):
        printed, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    return json.loads(printed.splitlines()[-1])


def wait_until(so):
    """Until something holds; fails if it never does."""
    end = time.monotonic() + PATIENCE
    while not so():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.02)
