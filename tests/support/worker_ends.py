"""Explains at the end of a run why a worker of pytest-xdist ended too early.

What a worker writes to its standard error is often lost. Each worker therefore has a file for the
stacks at a fatal error, and one that names its tests with the memory, threads and open files that
the process had when each began.
"""

import faulthandler
import resource
import shutil
import signal
import sys
import tempfile
import threading
from pathlib import Path

import pytest

LAST = 12
"""How many of the last tests are named."""
# Those that end a process which does not handle them, beside what `faulthandler.enable` handles.
_SIGNALS = ("SIGHUP", "SIGTERM", "SIGXCPU")

FOLDER = pytest.StashKey[Path]()
ENDED = pytest.StashKey[list[tuple[str, str]]]()
DIARY = pytest.StashKey[object]()
STACKS = pytest.StashKey[object]()


# In the process that starts the workers


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node):
    """Gives each worker a folder before it starts."""
    config = node.config
    if FOLDER not in config.stash:
        folder = config.stash[FOLDER] = Path(tempfile.mkdtemp(prefix="workers-"))
        config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
        config.stash[ENDED] = []
    node.workerinput["ends"] = str(config.stash[FOLDER])


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node, error):
    """Notes how a worker ended."""
    if error:
        how = f"{error}, {_ending(node)}"
        node.config.stash[ENDED].append((node.gateway.id, how))


def pytest_terminal_summary(terminalreporter, config):
    for name, how in config.stash.get(ENDED, ()):
        terminalreporter.section(f"worker {name} ended too early")
        terminalreporter.line(how)
        for kind in ("tests", "stacks"):
            file = config.stash[FOLDER] / f"{name}.{kind}"
            lines = file.read_text(errors="replace").splitlines() if file.exists() else []
            terminalreporter.line(f"{kind}: {'' if lines else 'none were written'}")
            for line in lines if kind == "stacks" else lines[-LAST:]:
                terminalreporter.line(f"  {line}")


def _ending(node):
    """How the process ended, as far as execnet lets its caller know."""
    popen = getattr(getattr(node.gateway, "_io", None), "popen", None)
    if popen is None:
        return "exit code unknown"
    code = popen.wait(30)
    how = f"exit code {code}" if code >= 0 else f"by {signal.Signals(-code).name}"
    events = Path("/sys/fs/cgroup/memory.events")
    if -code == signal.SIGKILL and events.exists():
        how += f"; memory events of this control group: {' '.join(events.read_text().split())}"
    return how


# In a worker


@pytest.hookimpl(trylast=True)
def pytest_configure(config):
    """After pytest's own plugin, which writes to the standard error."""
    given = getattr(config, "workerinput", {})
    if "ends" not in given:
        return
    start = Path(given["ends"]) / given["workerid"]
    config.stash[DIARY] = start.with_suffix(".tests").open("w", buffering=1)
    stacks = config.stash[STACKS] = start.with_suffix(".stacks").open("w")
    faulthandler.enable(stacks)
    for name in _SIGNALS:
        if hasattr(signal, name):
            faulthandler.register(getattr(signal, name), stacks, chain=True)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    if (diary := item.config.stash.get(DIARY, None)) is not None:
        diary.write(f"{_state()}  {item.nodeid}\n")


def _state():
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    mebibytes = most / (2**20 if sys.platform == "darwin" else 2**10)
    opened = len(list(Path("/dev/fd").iterdir())) if Path("/dev/fd").exists() else 0
    return f"at most {mebibytes:.0f} MiB, {threading.active_count()} threads, {opened} files"
