"""What importing costs, and how long a fresh interpreter takes to its first answer."""

import json
import subprocess
import time
from functools import partial

from tests.benchmarks.peers import official_sdk, package
from tests.benchmarks.table import amount, ratio

IMPORT = """
import time
start = time.perf_counter()
{code}
seconds = time.perf_counter() - start
import json, sys
heavy = [name for name in ("pandas", "pyarrow", "polars", "numpy") if name in sys.modules]
print(json.dumps([seconds, heavy]))
"""
OURS = """
from langchain_sutro import SutroClient
print(SutroClient().run_function("lead-qualifier", {"query": "x", "region": "EMEA"})["output"])
"""
SDK = """
import sutro
print(sutro.run_function("lead-qualifier", {"query": "x", "region": "EMEA"})["output"])
"""


def measure(bench):
    ours = package()

    def imported(code):
        return json.loads(_first_line(bench, ours, IMPORT.format(code=code))[1])

    def answered(python, code):
        seconds, line = _first_line(bench, python, code)
        assert "qualified" in line, line
        return seconds

    found = bench.alternate(
        max(9, bench.rounds),
        package=partial(imported, "import langchain_sutro"),
        function=partial(imported, "from langchain_sutro import SutroFunction"),
        tool=partial(imported, "from langchain_core.tools import BaseTool"),
        ours=partial(answered, ours, OURS),
        sdk=partial(answered, official_sdk(), SDK),
    )
    seconds = {name: [one[0] for one in found[name]] for name in ("package", "function", "tool")}
    heavy = set().union(*(one[1] for name in ("package", "function") for one in found[name]))
    name = "table libraries loaded by importing"
    return [
        amount("import langchain_sutro", seconds["package"], "s", at_most=0.060),
        ratio(
            "import SutroFunction vs import BaseTool",
            seconds["function"],
            seconds["tool"],
            "s",
            at_most=1.05,
        ),
        amount(" ".join([name, *sorted(heavy)]), [len(heavy)], "", at_most=0),
        ratio("start to first answer vs SDK", found["ours"], found["sdk"], "s", at_most=0.35),
    ]


def _first_line(bench, python, code):
    """Seconds from starting an interpreter to its first line, and that line.

    The SDK's version check finds its proxy closed, so it costs nothing but the attempt.
    """
    start = time.perf_counter()
    process = subprocess.Popen(
        [python, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=bench.environment,
    )
    with process:
        line = process.stdout.readline()
        seconds = time.perf_counter() - start
        process.stdout.read()
    return seconds, line
