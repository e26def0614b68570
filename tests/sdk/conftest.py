"""Environments of their own for the official SDK, built at first use and kept."""

import pytest

from tests.support.official_sdk import sdk


@pytest.fixture(scope="session")
def sdk_67():
    """Python of an environment with sutro 0.1.67."""
    return sdk("0.1.67")


@pytest.fixture(scope="session")
def sdk_60():
    """Python of an environment with sutro 0.1.60."""
    return sdk("0.1.60")
