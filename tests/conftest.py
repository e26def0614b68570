"""Fixtures that every test may use."""

import pytest

from langchain_sutro.local import LocalDeployment


@pytest.fixture
def deployment():
    """A local deployment with the samples."""
    with LocalDeployment() as running:
        yield running
