"""Clusters in environments of their own, built at first use and kept."""

import os
import secrets
import subprocess
from contextlib import contextmanager

import pytest

from langchain_sutro.local import LocalDeployment
from tests.clusters.functions import FUNCTIONS
from tests.support.environments import PROJECT, ROOT, environment

PATIENCE = 300.0
"""Seconds; long enough for a machine that is busy with other things."""


@pytest.fixture(scope="module")
def deployment():
    with LocalDeployment(FUNCTIONS) as running:
        yield running


@pytest.fixture(scope="session")
def ray_python():
    """Python of an environment with Ray, and what the package itself requires."""
    needed = [*PROJECT["project"]["dependencies"], "ray[data]==2.60.0"]
    return environment("ray", needed, locked=ROOT / "requirements.lock")


@pytest.fixture(scope="module")
def start(ray_python, deployment, tmp_path_factory):
    """Starts a module of this folder as a process that has the deployment's key."""
    home = tmp_path_factory.mktemp("home")
    # Other processes of this machine do not reach the cluster.
    token = secrets.token_hex(32)

    def started(module, *arguments, **options):
        variables = {
            **os.environ,
            **deployment.environ,
            "HOME": str(home),
            "PYTHONPATH": str(ROOT),
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": token,
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_memory_monitor_refresh_ms": "0",
            # Loopback only.
            "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
            "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
        }
        return subprocess.Popen(
            [ray_python, "-m", f"tests.clusters.{module}", *map(str, arguments)],
            cwd=ROOT, env=variables, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            **options,
        )  # fmt: skip

    return started


@pytest.fixture(scope="module")
def cluster(start):
    """The address of a Ray cluster; at its end, no file of Ray's may hold the key."""
    with running(start("ray_cluster")) as process:
        address = process.stdout.readline().strip()
        assert address, "the cluster did not start"
        yield address
        looked_at, found = process.communicate("", timeout=PATIENCE)[0].split(" ", 1)
    assert int(looked_at) > 0
    assert found.strip() == "[]"


@contextmanager
def running(process):
    """A process that is gone afterwards."""
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()
