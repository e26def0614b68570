"""The Function that judges in these tests."""

import pytest

from langchain_sutro import SutroFunction
from tests.agents.guardrail.scene import LABEL, PROMPT, TEXT, judge


@pytest.fixture
def safety(deployment):
    deployment.publish(
        "message-safety", judge, input_schema=TEXT, output_schema=LABEL, prompt=PROMPT
    )
    return SutroFunction(
        "message-safety", api_url=deployment.url, api_key=deployment.api_key, max_retries=0
    )
