"""Environments of their own for the official SDK, built at first use and kept."""

import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PEERS = ROOT / ".peers"

# What pip and uv say when there is no way to the registry, and nothing else is wrong.
UNREACHABLE = (
    "connection refused",
    "connection reset",
    "could not connect",
    "dns error",
    "error sending request",
    "failed to establish a new connection",
    "name resolution",
    "network is unreachable",
    "operation timed out",
    "read timed out",
    "tunnel connection failed",
)


@pytest.fixture(scope="session")
def sdk_67():
    """Python of an environment with sutro 0.1.67."""
    return environment("0.1.67")


@pytest.fixture(scope="session")
def sdk_60():
    """Python of an environment with sutro 0.1.60."""
    return environment("0.1.60")


def environment(version):
    PEERS.mkdir(exist_ok=True)
    folder = PEERS / f"sutro-{version}"
    lock = sqlite3.connect(PEERS / "lock.sqlite", timeout=900, isolation_level=None)
    with closing(lock):
        # One test process builds, the others wait; the lock ends with the process.
        lock.execute("BEGIN EXCLUSIVE")
        if not (folder / "complete").exists():
            shutil.rmtree(folder, ignore_errors=True)
            build(folder, version)
            (folder / "complete").touch()
    return interpreter(folder)


def interpreter(folder):
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def build(folder, version):
    uv = shutil.which("uv")
    # The SDK pins pyarrow 21, which has no wheels for newer Pythons.
    old_enough = sys.version_info < (3, 14)
    if uv is None and not old_enough:
        pytest.skip("The official SDK needs Python 3.13 or older, or uv to get one.")
    if uv is not None:
        python = sys.executable if old_enough else "3.13"
        install([uv, "venv", "--quiet", "--python", python, folder])
        pip = [uv, "pip", "install", "--quiet", "--python", interpreter(folder)]
    else:
        install([sys.executable, "-m", "venv", folder])
        pip = [interpreter(folder), "-m", "pip", "install", "--quiet", "--retries", "1"]
    install([*pip, f"sutro=={version}"])


def install(command):
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=800)
    if done.returncode == 0:
        return
    if any(sign in done.stderr.lower() for sign in UNREACHABLE):
        pytest.skip(f"The package registry is unreachable: {done.stderr.strip()[-300:]}")
    pytest.fail(f"{command} failed:\n{done.stderr[-3000:]}")
