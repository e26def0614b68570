"""A forked child, however it ends, leaves the files of its parent alone."""

import json
import os
import signal
import subprocess
import sys

import pytest

from langchain_sutro._core.service import private_files
from langchain_sutro.local import LocalDeployment
from tests.faults.forking import COUNT, ENDS, FORKS
from tests.faults.functions import FUNCTIONS
from tests.faults.processes import environment, output, start
from tests.support.numbered_rows import labels

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")


@pytest.fixture(scope="module")
def deployment():
    with LocalDeployment(FUNCTIONS) as running:
        yield running


@pytest.mark.parametrize("named", ["without a name", "named"])
@pytest.mark.parametrize("fork", FORKS)
def test_the_parent_reads_on(deployment, tmp_path, fork, named):
    environ = {**deployment.environ, "TMPDIR": str(tmp_path)}
    told = json.loads(output(start("forking", fork, named, **environ)))
    assert told == {end.__name__: [labels(COUNT), COUNT] for end in ENDS}
    assert len(ENDS) == 9
    assert list(tmp_path.iterdir()) == []


KILLED = """
import os, signal, sys
from langchain_sutro import SutroFunction
from langchain_sutro._core.jobs import calls
from tests.support.numbered_rows import rows
calls._FEW_ROWS = 0
results = SutroFunction("echo").submit(rows(40)).results()
assert len(results.to_arrow()) == 40
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(
    not private_files._OPEN_FILES.is_dir(), reason="this system opens no files without a name"
)
def test_nothing_stays_of_a_process_that_is_killed(deployment, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", KILLED],
        env=environment(**deployment.environ, TMPDIR=str(tmp_path)),
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    assert list(tmp_path.iterdir()) == []
