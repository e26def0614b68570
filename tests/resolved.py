"""Runs the suite with other dependencies than those of `requirements.lock`.

`python -m tests.resolved oldest|newest [--python PYTHON] [pytest arguments]`

- `oldest`: each requirement of the package and its extras in its lowest version; what those
  themselves require, and the test tools, are the newest that fit.
- `newest`: everything in the newest version that `pyproject.toml` admits on the day of the run.

The environments are `.peers/oldest` and `.peers/newest`.
"""

import argparse
import re
import subprocess
import sys

import pytest

from tests.support.environments import PROJECT, ROOT, environment, exclusive, install


def requirements():
    """Each requirement of the package and its extras."""
    project = PROJECT["project"]
    extras = project["optional-dependencies"].values()
    return [*project["dependencies"], *(each for extra in extras for each in extra)]


def lowest():
    """The requirements, pinned to their lower bounds."""
    for requirement in requirements():
        name, bound = re.match(r"([\w.-]+)[^;]*>=\s*([\w.]+)", requirement).groups()
        yield f"{name}=={bound}"


def build(which, python):
    """Python of the environment, made with that interpreter."""
    tools = PROJECT["dependency-groups"]["test"]
    built = environment(which, tools, python=python)
    folder = built.parents[1]
    with exclusive(which):
        if which == "oldest":
            # Without the tools: langchain-tests requires a newer httpx than the package does.
            install(folder, *lowest())
        else:
            # Again in an environment that is kept: newer versions may have come out since.
            install(folder, "--upgrade", *requirements(), *tools)
        install(folder, "--no-deps", "--editable", ROOT)
    return built


def main():
    parser = argparse.ArgumentParser(
        prog="python -m tests.resolved",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("which", choices=["oldest", "newest"])
    parser.add_argument("--python", default=sys.executable, help="the interpreter to build with")
    options, arguments = parser.parse_known_args()
    try:
        python = build(options.which, options.python)
    except (pytest.fail.Exception, pytest.skip.Exception) as error:
        raise SystemExit(error.msg) from None
    names = sorted({re.match(r"[\w.-]+", each)[0] for each in requirements()})
    versions = f"from importlib.metadata import version; [print(n, version(n)) for n in {names}]"
    subprocess.run([python, "-c", versions], check=True)
    # What is built is the same with any dependency, and the type checkers are not installed there.
    command = [python, "-m", "pytest", "--ignore=tests/packaging"]
    return subprocess.run([*command, *(arguments or ["tests"])], cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    raise SystemExit(main())
