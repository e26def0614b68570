"""A local deployment for most tests of this folder, and a plain HTTP client for it."""

import pytest

from langchain_sutro.local import LocalDeployment
from tests.support.local_api import FUNCTIONS, client


@pytest.fixture(scope="module")
def deployment():
    with LocalDeployment(FUNCTIONS, heartbeat_seconds=0.1) as running:
        yield running


@pytest.fixture
def api(deployment):
    """A client with the key, at the deployment generation's prefix."""
    deployment.faults.clear()
    deployment.requests.clear()
    yield from client(deployment, "/v1")
    deployment.faults.clear()


@pytest.fixture
def hosted(deployment):
    """The same without a prefix."""
    yield from client(deployment, "")
