"""Says at the end of a run how long each part of the suite, a folder of `tests`, took."""

from collections import defaultdict

import pytest

__all__ = ["part_times", "pytest_terminal_summary"]


def part_times(reports):
    """Tests and seconds of each part, the longest first.

    The seconds are those of setup, call and teardown, summed over all workers.
    """
    tests, seconds = defaultdict(set), defaultdict(float)
    for report in reports:
        part = report.nodeid.rpartition("::")[0].partition("::")[0].rpartition("/")[0]
        tests[part].add(report.nodeid)
        seconds[part] += report.duration
    slowest_first = sorted(seconds, key=seconds.get, reverse=True)
    return [(part, len(tests[part]), seconds[part]) for part in slowest_first]


def pytest_terminal_summary(terminalreporter):
    # With xdist too: the workers' reports reach the terminal of the process that started them.
    every = [report for reports in terminalreporter.stats.values() for report in reports]
    parts = part_times(report for report in every if isinstance(report, pytest.TestReport))
    if len(parts) < 2:
        return
    terminalreporter.section("seconds of each part, summed over workers")
    for part, tests, seconds in parts:
        terminalreporter.line(f"{seconds:7.1f} s  {tests:5} tests  {part}")
