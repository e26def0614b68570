"""Environments with the official SDK."""

import sys

import pytest

from tests.support.environments import environment, interpreter_of


def sdk(version):
    """Python of an environment with the official SDK."""
    return environment(f"sutro-{version}", [f"sutro=={version}"], python=old_enough())


def old_enough():
    """An interpreter for the SDK, which pins a pyarrow without wheels for newer Pythons."""
    if sys.version_info < (3, 14):
        return sys.executable
    found = next(filter(None, map(interpreter_of, ("3.13", "3.12", "3.11"))), None)
    if found is None:
        pytest.skip("The official SDK needs Python 3.13 or older, and there is none.")
    return found
