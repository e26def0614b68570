"""Fixtures that every test may use."""

import os

import pytest
from hypothesis import HealthCheck, settings

pytest.register_assert_rewrite("tests.support")
pytest_plugins = ["tests.support.part_times", "tests.support.worker_ends"]

from langchain_sutro._core.jobs.sdk import default_client  # noqa: E402
from langchain_sutro.local import LocalDeployment  # noqa: E402
from langchain_sutro.testing import sutro_deployment, sutro_function  # noqa: E402
from tests.support.langsmith_recorder import langsmith_recorder  # noqa: E402
from tests.support.signals import press_ctrl_c  # noqa: E402

__all__ = [
    "langsmith_recorder",
    "press_ctrl_c",
    "sutro_deployment",
    "sutro_function",
]

# Two cores, shared with a server: a slow example is not a wrong one.
settings.register_profile("suite", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("suite")


@pytest.fixture
def deployment():
    """A local deployment with the samples."""
    with LocalDeployment() as running:
        yield running


@pytest.fixture(autouse=True)
def _no_ambient_settings(monkeypatch, tmp_path_factory):
    """No test sees the developer's own deployment, login file or LangSmith."""
    for name in list(os.environ):
        if name.startswith(("SUTRO_", "LANGSMITH_", "LANGCHAIN_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
    default_client.cache_clear()
