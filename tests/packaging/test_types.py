"""The public types, as a user's type checker sees them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import typing_program
from tests.support.environments import ROOT, run

PROGRAM = ROOT / "tests" / "typing_program.py"


def test_the_program_runs(deployment, monkeypatch):
    for name, value in deployment.environ.items():
        monkeypatch.setenv(name, value)
    typing_program.main(deployment)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_mypy_agrees_in_strict_mode():
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "-p", "tests.typing_program"],
        capture_output=True,
        text=True,
        check=False,
        timeout=500,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_pyright_agrees(tools):
    said = pyright(tools, sys.executable, PROGRAM)
    problems = [
        f"line {each['range']['start']['line'] + 1}: {each['message']}"
        for each in said["generalDiagnostics"]
    ]
    assert problems == []
    assert said["summary"]["filesAnalyzed"] == 1


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_installed_package_has_a_type_for_every_public_symbol(tools, for_newcomers):
    # With the extra `agents`, whose classes are in the package's own types. Those of Ray are large
    # and in no environment that has pyright; mypy checks `langchain_sutro.ray` without them.
    said = pyright(tools, for_newcomers, "--ignoreexternal", "--verifytypes", "langchain_sutro")
    unknown = [
        symbol["name"]
        for symbol in said["typeCompleteness"]["symbols"]
        if symbol["isExported"] and not symbol["isTypeKnown"] and not symbol["isTypeAmbiguous"]
        if not symbol["name"].startswith("langchain_sutro.ray.")
    ]
    assert unknown == []
    assert said["typeCompleteness"]["exportedSymbolCounts"]["withKnownType"] > 500


def pyright(tools, python, *arguments):
    """What pyright says of the packages of `python`, once npm's package of it is there."""
    run([tools, "-m", "pyright", "--version"])
    path = f"{Path(python).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [tools, "-m", "pyright", "--outputjson", "--pythonpath", python, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=500,
        cwd=ROOT,
        env={**os.environ, "PATH": path},  # `--verifytypes` looks for a `python` there
    )
    return json.loads(done.stdout)
