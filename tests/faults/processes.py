"""Servers and clients that are processes of their own, so that they can be killed."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Self

ROOT = Path(__file__).parents[2]
PATIENCE = 60.0
"""Seconds; long enough for a machine that is busy with other things."""


def environment(**more: str) -> dict[str, str]:
    """That of a child, which imports this repository from any folder."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **more}


def wait_until(so) -> None:
    """Until something holds; fails if it never does."""
    end = time.monotonic() + PATIENCE
    while not so():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.01)


class Server:
    """`python -m langchain_sutro.local`, which keeps its folder and its port when it is killed.

    Args:
        folder: Where its data is.
        functions: What it publishes, `module:attribute`.
    """

    def __init__(self, folder: Path, functions: str) -> None:
        self._command = [
            sys.executable, "-m", "langchain_sutro.local",
            "--functions", functions, "--data-dir", str(folder),
        ]  # fmt: skip
        self.port = 0
        self.environ: dict[str, str] = {}

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.communicate()

    def start(self) -> None:
        """Start, and wait until it says where it is."""
        self.process = subprocess.Popen(
            [*self._command, "--port", str(self.port)],
            cwd=ROOT,
            env=environment(),
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if found := re.match(r"export (\w+)=(.*)", line):
                self.environ[found[1]] = found[2]
            if "Ctrl-C" in line:
                self.port = int(self.environ["SUTRO_API_URL"].rpartition(":")[2])
                return
        raise RuntimeError("the server did not start")

    def kill(self) -> None:
        """End it without a chance to clean up."""
        self.process.send_signal(signal.SIGKILL)
        self.process.communicate()


def start(module: str, *arguments: object, **environ: str) -> subprocess.Popen:
    """Start a module of this folder as a process."""
    return subprocess.Popen(
        [sys.executable, "-m", f"tests.faults.{module}", *map(str, arguments)],
        cwd=ROOT,
        env=environment(**environ),
        stdout=subprocess.PIPE,
        text=True,
    )


def output(process: subprocess.Popen, patience: float = PATIENCE) -> str:
    """What a process printed, when it has ended well."""
    printed, _ = process.communicate(timeout=patience)
    assert process.returncode == 0
    return printed
