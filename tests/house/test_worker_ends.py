"""A run of the suite says why a worker ended too early."""

import re
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

ENDS = """
import faulthandler
import os
import signal

def test_quiet():
    pass

def test_fault():
    faulthandler._sigsegv()

def test_signal():
    os.kill(os.getpid(), signal.SIGTERM)

def test_exit():
    os._exit(7)
"""


ENDINGS = {
    # How it is named, and whether the test is in the stack.
    "test_fault": ("by SIGSEGV", True),
    "test_signal": ("by SIGTERM", True),
    "test_exit": ("exit code 7", False),
}


@pytest.fixture
def run(pytester, monkeypatch):
    """Runs the tests of a text in workers; the other plugins would only take time to load."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    plugins = ("-p", "xdist.plugin", "-p", "tests.support.worker_ends")

    def run(text, workers):
        pytester.makepyfile(text)
        return pytester.runpytest_subprocess(*plugins, "-n", str(workers))

    return run


def test_each_end_is_explained(run):
    done = run(ENDS, 1)
    done.assert_outcomes(passed=1, failed=3)
    sections = re.split(r"=+ worker gw\d ended too early =+\n", done.stdout.str())[1:]
    found = set()
    for section in sections:
        tests = re.findall(r"at most \d+ MiB, \d+ threads, \d+ files  \S+::(\w+)\n", section)
        how, in_stack = ENDINGS[tests[-1]]
        assert how in section
        assert (f"in {tests[-1]}\n" in section) == in_stack
        found.add(tests[-1])
    assert found == ENDINGS.keys()


@pytest.mark.parametrize("workers", [0, 1])
def test_nothing_is_said_of_a_worker_that_ends_in_time(run, workers):
    done = run("def test_a(): pass\ndef test_b(): assert 0", workers)
    done.assert_outcomes(passed=1, failed=1)
    assert "too early" not in done.stdout.str()
