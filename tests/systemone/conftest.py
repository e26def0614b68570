"""The endpoint over a local deployment."""

from importlib.util import find_spec

import httpx
import pytest

from langchain_sutro.local import LocalDeployment
from tests.support.served import served

# The package itself supports older versions of langchain-core.
HAS_DECISIONS = find_spec("langchain_core.decisions") is not None
collect_ignore_glob = [] if HAS_DECISIONS else ["test_*.py"]

KEY = "hush-endpoint-key"


@pytest.fixture(scope="module")
def _running():
    with LocalDeployment() as running:
        yield running


@pytest.fixture
def deployment(_running):
    """One for a whole file."""
    _running.requests.clear()
    _running.faults.clear()
    return _running


@pytest.fixture
def at(deployment):
    """The settings of both generations."""
    where = {"api_url": deployment.url, "api_key": deployment.api_key}
    return {kind: {**where, "generation": kind} for kind in ("deployment", "hosted")}


@pytest.fixture
def serve(deployment, at):
    """A client of the endpoint; the factory takes fields of the model, and options of the app."""
    from langchain_sutro import systemone
    from langchain_sutro.decisions import SutroDecisionModel

    opened = []

    def make(generation="deployment", *, key=KEY, options=None, **fields):
        fields = {"model": "judges", "default": "any-question", **at[generation], **fields}
        model = SutroDecisionModel(**fields)
        server = served(systemone.app({"judges": model}, key=key, **(options or {})))
        url = server.__enter__()
        opened.append(server)
        headers = {} if key is None else {"authorization": f"Bearer {key}"}
        http = httpx.Client(base_url=url, headers=headers, timeout=30)
        opened.append(http)
        return http

    yield make
    for one in reversed(opened):
        one.__exit__(None, None, None)
