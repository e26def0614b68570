"""Clusters in environments of their own, built at first use and kept."""

import os
import secrets
import subprocess

import pytest

from langchain_sutro.local import LocalDeployment, sample_functions
from tests.clusters.functions import FUNCTIONS
from tests.clusters.processes import PATIENCE, running
from tests.support.environments import PROJECT, ROOT, environment


@pytest.fixture(scope="module")
def deployment():
    with LocalDeployment([*sample_functions(), *FUNCTIONS]) as running_one:
        yield running_one


@pytest.fixture(scope="session")
def cluster_python():
    """Makes the environment of a cluster: Python with it, and what the package itself requires."""

    def made(name, requirement):
        needed = [*PROJECT["project"]["dependencies"], requirement]
        return environment(name, needed, locked=ROOT / "requirements.lock")

    return made


@pytest.fixture(scope="session")
def ray_python(cluster_python):
    """Python of an environment with Ray."""
    return cluster_python("ray", "ray[data]==2.60.0")


@pytest.fixture(scope="module")
def start(deployment, tmp_path_factory):
    """Starts a module of this folder as a process that has the deployment's key."""
    home = tmp_path_factory.mktemp("home")
    # Other processes of this machine do not reach the cluster.
    token = secrets.token_hex(32)

    def started(python, module, *arguments, **more):
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
            **more,
        }
        return subprocess.Popen(
            [python, "-m", f"tests.clusters.{module}", *map(str, arguments)],
            cwd=ROOT, env=variables, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    return started


@pytest.fixture(scope="module")
def cluster(ray_python, start):
    """The address of a Ray cluster; at its end, no file of Ray's may hold the key."""
    with running(start(ray_python, "ray_cluster")) as process:
        address = process.stdout.readline().strip()
        assert address.startswith("127.0.0.1:"), "the cluster did not start, or not on loopback"
        yield address
        looked_at, found = process.communicate("", timeout=PATIENCE)[0].split(" ", 1)
    assert int(looked_at) > 0
    assert found.strip() == "[]"
