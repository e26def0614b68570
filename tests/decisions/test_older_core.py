"""Where langchain-core is older than its decision models, the package works without them."""

import subprocess
import sys
from importlib.metadata import version

from tests.decisions.conftest import HAS_DECISIONS

HIDDEN = """
import importlib.util
find = importlib.util.find_spec
hide = lambda name, *more: None if name == "langchain_core.decisions" else find(name, *more)
importlib.util.find_spec = hide
"""


def test_the_error_names_the_version_that_is_needed():
    script = (HIDDEN if HAS_DECISIONS else "") + (
        "import langchain_sutro\n"
        "assert langchain_sutro.SutroFunction('x')\n"
        "import langchain_sutro.decisions\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60
    )
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError: Decision models need langchain-core 1.8 or newer")
    assert version("langchain-core") in last
