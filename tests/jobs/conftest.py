"""The Function that most tests of this folder run."""

import pytest

from langchain_sutro import SutroFunction
from tests.support.numbered_rows import LABEL, SCHEMA


@pytest.fixture
def echo(deployment):
    """A Function whose answer is its input, so that shifted rows would show."""
    deployment.publish(
        "echo", lambda row: {"label": f"<{row['n']}>"}, input_schema=SCHEMA, output_schema=LABEL
    )
    return SutroFunction(
        "echo", api_url=deployment.url, api_key=deployment.api_key, poll_interval=0.2
    )
