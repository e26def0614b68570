"""The Pythons that `pyproject.toml` names: a part of the suite on each that this machine has.

The rest of the suite has seen one of them, the one that runs this.
"""

import re
import subprocess
import sys
from itertools import chain

import pytest

from tests.support.environments import PROJECT, ROOT, environment, interpreter_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

THIS = f"{sys.version_info.major}.{sys.version_info.minor}"
CLASSIFIERS = "\n".join(PROJECT["project"]["classifiers"])
NAMED = re.findall(r"^Programming Language :: Python :: (3\.\d+)$", CLASSIFIERS, re.MULTILINE)

# Each way to call a Function, tools and agents, jobs, tracing switched off, and the deployment.
PART = [
    "tests/functions/test_function.py",
    "tests/functions/test_tool.py",
    "tests/tracing/test_context.py::test_with_tracing_off_nothing_is_sent_and_no_client_is_made",
    "tests/local/test_functions.py",
    "tests/packaging/test_types.py::test_the_program_runs",
]
TOOLS = {
    "hypothesis",
    "langchain-tests",
    "pytest",
    "pytest-asyncio",
    "pytest-socket",
    "pytest-timeout",
    "uv",
    "zstandard",
}


def requirements():
    project, groups = PROJECT["project"], PROJECT["dependency-groups"]
    extras = project["optional-dependencies"]
    tools = [each for each in groups["test"] if re.match(r"[\w-]+", each)[0] in TOOLS]
    return list(chain(project["dependencies"], extras["local"], extras["agents"], tools))


@pytest.fixture(scope="session", params=[version for version in NAMED if version != THIS])
def python(request):
    """Python of an environment with another version."""
    version = request.param
    found = interpreter_of(version)
    if found is None:
        pytest.skip(f"This machine has no Python {version}.")
    lock = ROOT / "requirements.lock"
    return environment(f"python{version}", requirements(), python=found, locked=lock)


def test_no_python_is_left_out():
    assert PROJECT["project"]["requires-python"] == f">={NAMED[0]}"
    first = int(NAMED[0].removeprefix("3."))
    assert [f"3.{minor}" for minor in range(first, first + len(NAMED))] == NAMED


def test_a_part_of_the_suite_passes(python):
    done = subprocess.run(
        [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *PART],
        capture_output=True,
        text=True,
        check=False,
        timeout=800,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stdout[-10_000:] + done.stderr
    assert " skipped" not in done.stdout
