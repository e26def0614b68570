"""Environments of their own under `.peers`, built at first use and kept."""

import hashlib
import os
import shutil
import sqlite3
import subprocess
import sys
import tomllib
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from uv import find_uv_bin

ROOT = Path(__file__).parents[2]
PEERS = ROOT / ".peers"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())

# What uv and npm say when there is no way to the registry, and nothing else is wrong.
UNREACHABLE = (
    "connection refused",
    "connection reset",
    "could not connect",
    "dns error",
    "eai_again",
    "enotfound",
    "error sending request",
    "failed to establish a new connection",
    "name resolution",
    "network is unreachable",
    "operation timed out",
    "read timed out",
    "tunnel connection failed",
)


def environment(name, requirements, *, python=None, arguments=(), locked=None):
    """Python of the environment `name` with `requirements`, built anew when they change.

    `arguments` go to the installer; `python` is the interpreter, by default this one; `locked` is
    a file with the versions to take.
    """
    PEERS.mkdir(exist_ok=True)
    folder = PEERS / name
    python = python or sys.executable
    versions = [] if locked is None else [locked.read_text()]
    arguments = [*arguments, *(() if locked is None else ("--constraint", locked))]
    text = "\n".join([str(python), *requirements, *versions])
    wanted = hashlib.sha256(text.encode()).hexdigest()
    with exclusive(name):
        complete = folder / "complete"
        if not complete.exists() or complete.read_text() != wanted:
            shutil.rmtree(folder, ignore_errors=True)
            make(folder, python)
            install(folder, *arguments, *requirements)
            complete.write_text(wanted)
    return interpreter(folder)


@contextmanager
def exclusive(name):
    """One test process builds or changes an environment, the others wait.

    The lock ends with the process, however that ends.
    """
    PEERS.mkdir(exist_ok=True)
    lock = sqlite3.connect(PEERS / f"{name}.lock", timeout=900, isolation_level=None)
    with closing(lock):
        lock.execute("BEGIN EXCLUSIVE")
        yield


def interpreter(folder):
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def interpreter_of(version):
    """Python of a version, if this machine has it: on the path, or where pyenv puts it."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    kept = sorted(map(str, pyenv.glob(f"versions/{version}.*/bin/python{version}")))
    for each in [shutil.which(f"python{version}"), *kept]:
        if each is not None and is_of(version, each):
            return each
    return None


def is_of(version, python):
    """Whether an interpreter starts, which a shim of pyenv need not, and is of that version."""
    code = "import sys; print('{}.{}'.format(*sys.version_info))"
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
    return done.stdout.strip() == version


def make(folder, python):
    run_uv("venv", "--quiet", "--python", python, folder)


def install(folder, *arguments):
    run_uv("pip", "install", "--quiet", "--python", interpreter(folder), *arguments)


def run_uv(*arguments):
    # A cache on the same disk: the environments share the files that they have in common.
    run([find_uv_bin(), *arguments], env={"UV_CACHE_DIR": str(PEERS / "cache"), **os.environ})


def run(command, **options):
    """Run a command that may need the registry; skip the test if that cannot be reached."""
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=800, **options
    )
    if done.returncode == 0:
        return done
    said = (done.stderr + done.stdout).strip()
    if any(sign in said.lower() for sign in UNREACHABLE):
        pytest.skip(f"The package registry is unreachable: {said[-300:]}")
    pytest.fail(f"{' '.join(map(str, command))} failed:\n{said[-3000:]}")
