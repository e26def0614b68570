"""Environments of their own for the official SDK, built at first use and kept."""

import sys

import pytest

from tests.packaging.environments import environment, interpreter_of


@pytest.fixture(scope="session")
def sdk_67():
    """Python of an environment with sutro 0.1.67."""
    return sdk("0.1.67")


@pytest.fixture(scope="session")
def sdk_60():
    """Python of an environment with sutro 0.1.60."""
    return sdk("0.1.60")


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
