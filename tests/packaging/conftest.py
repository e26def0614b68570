"""What the packaging tests share: the tools, what they build, and an environment to try it in."""

import hashlib
import os
import sysconfig
import tarfile
from itertools import chain

import pytest

from tests.support.environments import PROJECT, ROOT, environment, exclusive, install, run


@pytest.fixture(scope="session")
def tools():
    """Python of an environment with what builds, documents and checks the package."""
    documenting = PROJECT["dependency-groups"]["docs"]
    return environment(
        "tools",
        [*PROJECT["build-system"]["requires"], *documenting, "pyright[nodejs]>=1.1.390"],
    )


@pytest.fixture(scope="session")
def here():
    """Environment variables with which the tools import what this interpreter imports."""
    return {**os.environ, "PYTHONPATH": sysconfig.get_path("purelib")}


@pytest.fixture(scope="session")
def sdist(tools, tmp_path_factory):
    """The source distribution, unpacked."""
    folder = tmp_path_factory.mktemp("sdist")
    run([tools, "-m", "hatchling", "build", "-t", "sdist", "-d", folder], cwd=ROOT)
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    return folder / archive.name.removesuffix(".tar.gz")


@pytest.fixture(scope="session")
def wheel(tools, sdist, tmp_path_factory):
    """The wheel, built from nothing but the source distribution."""
    folder = tmp_path_factory.mktemp("wheel")
    run([tools, "-m", "hatchling", "build", "-t", "wheel", "-d", folder], cwd=sdist)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="session")
def clean(wheel):
    """Python of an environment with the wheel and what it requires, and no extra."""
    return with_wheel(wheel, "clean", PROJECT["project"]["dependencies"])


@pytest.fixture(scope="session")
def for_newcomers(wheel):
    """Python of an environment with the wheel and three extras, in the locked versions."""
    project = PROJECT["project"]
    chosen = (project["optional-dependencies"][extra] for extra in ("local", "agents", "plots"))
    requirements = [*project["dependencies"], *chain(*chosen)]
    return with_wheel(wheel, "newcomer", requirements, locked=ROOT / "requirements.lock")


def with_wheel(wheel, name, requirements, **options):
    """Python of the environment `name` with the requirements and the wheel."""
    python = environment(name, requirements, **options)
    folder = python.parents[1]
    installed = folder / "wheel.sha256"
    sha256 = hashlib.sha256(wheel.read_bytes()).hexdigest()
    with exclusive(name):
        # Builds are reproducible: a test process that comes second finds its wheel in place, and
        # does not take it away from under the first.
        if not installed.exists() or installed.read_text() != sha256:
            install(folder, "--force-reinstall", "--no-deps", wheel)
            installed.write_text(sha256)
    return python
