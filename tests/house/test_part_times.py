"""A run of the suite ends with the time that each of its parts took."""

import re

import pytest

pytest_plugins = ["pytester"]

CONFTEST = "from tests.support.part_times import pytest_terminal_summary\n"
SLOW = """
import time
import pytest

@pytest.fixture
def prepared():
    time.sleep(0.2)

def test_waits(prepared):
    time.sleep(0.2)
"""


@pytest.mark.parametrize("workers", [0, 2])
def test_each_part_is_listed_with_its_tests_and_seconds(pytester, workers):
    pytester.makeconftest(CONFTEST)
    for part, text in {
        "quick": "def test_a(): pass\ndef test_b(): assert 0",
        "slow": SLOW,
        "broken": "oops",
    }.items():
        (pytester.mkdir(part) / f"test_{part}.py").write_text(text)
    run = pytester.runpytest_subprocess("-n", str(workers), "--continue-on-collection-errors")
    listed = re.findall(r"^ *([\d.]+) s +(\d+) tests  (\w+)$", run.stdout.str(), re.MULTILINE)
    assert [(part, int(tests)) for _, tests, part in listed] == [("slow", 1), ("quick", 2)]
    assert 0.4 <= float(listed[0][0]) < 5


def test_a_run_of_one_part_lists_nothing(pytester):
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile("def test_a(): pass")
    assert "seconds of each part" not in pytester.runpytest_subprocess().stdout.str()
