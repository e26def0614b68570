"""Runs the suite with the oldest dependencies that `pyproject.toml` admits.

`python -m tests.oldest [--python PYTHON] [pytest arguments]`: the environment is `.peers/oldest`,
and holds each requirement of the package and its extras in its lowest version; what those
themselves require, and the test tools, are the newest that fit.
"""

import argparse
import re
import subprocess
import sys

import pytest

from tests.support.environments import PROJECT, ROOT, environment, exclusive, install


def lowest():
    """Each requirement of the package and its extras, pinned to its lower bound."""
    project = PROJECT["project"]
    extras = project["optional-dependencies"].values()
    for requirement in [*project["dependencies"], *(each for extra in extras for each in extra)]:
        name, bound = re.match(r"([\w.-]+)[^;]*>=\s*([\w.]+)", requirement).groups()
        yield f"{name}=={bound}"


def build(python):
    """Python of the environment, made with that interpreter."""
    built = environment("oldest", PROJECT["dependency-groups"]["test"], python=python)
    with exclusive("oldest"):
        # Second, and by itself: langchain-tests would ask for a newer httpx than the package does.
        install(built.parents[1], *lowest())
        install(built.parents[1], "--no-deps", "--editable", ROOT)
    return built


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.oldest", description=__doc__)
    parser.add_argument("--python", default=sys.executable, help="the interpreter to build with")
    options, arguments = parser.parse_known_args()
    try:
        python = build(options.python)
    except (pytest.fail.Exception, pytest.skip.Exception) as error:
        raise SystemExit(error.msg) from None
    print(*lowest(), sep="\n", flush=True)
    # What is built is the same with any dependency, and the type checkers are not installed there.
    command = [python, "-m", "pytest", "--ignore=tests/packaging"]
    return subprocess.run([*command, *(arguments or ["tests"])], cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    raise SystemExit(main())
