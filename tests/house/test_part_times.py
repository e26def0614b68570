"""A run of the suite ends with the time that each of its parts took."""

import re
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

SLOW = """
import time
import pytest

@pytest.fixture
def prepared():
    time.sleep(0.2)

def test_waits(prepared):
    time.sleep(0.2)
"""


@pytest.fixture
def run(pytester, monkeypatch):
    """Runs pytest with few plugins: the others would only take time to load."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    plugins = ("-p", "xdist.plugin", "-p", "tests.support.part_times")
    return lambda *arguments: pytester.runpytest_subprocess(*plugins, *arguments)


@pytest.mark.parametrize("workers", [0, 2])
def test_each_part_is_listed_with_its_tests_and_seconds(run, pytester, workers):
    for part, text in {
        "quick": "def test_a(): pass\ndef test_b(): assert 0",
        "slow": SLOW,
        "broken": "oops",
    }.items():
        (pytester.mkdir(part) / f"test_{part}.py").write_text(text)
    done = run("-n", str(workers), "--continue-on-collection-errors")
    listed = re.findall(r"^ *([\d.]+) s +(\d+) tests  (\w+)$", done.stdout.str(), re.MULTILINE)
    assert [(part, int(tests)) for _, tests, part in listed] == [("slow", 1), ("quick", 2)]
    assert float(listed[0][0]) >= 0.4


def test_a_run_of_one_part_lists_nothing(run, pytester):
    pytester.makepyfile("def test_a(): pass")
    assert "seconds of each part" not in run().stdout.str()
