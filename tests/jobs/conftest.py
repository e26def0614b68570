"""The Function that most tests of this folder run, and object storage."""

import pytest

from langchain_sutro import SutroFunction
from tests.support.numbered_rows import LABEL, SCHEMA
from tests.support.object_storage import object_storage


@pytest.fixture
def echo(deployment):
    """A Function whose answer is its input, so that shifted rows would show."""
    deployment.publish(
        "echo", lambda row: {"label": f"<{row['n']}>"}, input_schema=SCHEMA, output_schema=LABEL
    )
    return SutroFunction(
        "echo", api_url=deployment.url, api_key=deployment.api_key, poll_interval=0.2
    )


@pytest.fixture(scope="module")
def _object_storage():
    with object_storage() as running:
        yield running


@pytest.fixture
def store(_object_storage):
    """Object storage with an empty bucket."""
    _object_storage.clear()
    return _object_storage
