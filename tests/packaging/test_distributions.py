"""The wheel and the source distribution: what is in them, and that they are enough."""

import json
import subprocess
import sys
import zipfile

import pytest

from langchain_sutro import __version__
from tests.support.environments import PROJECT, ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

EXTRAS = {"fastapi", "langchain", "matplotlib", "s3fs", "sklearn", "uvicorn"}


def script(python, code, *, env=None):
    """What a script prints there, as JSON, with nothing of this checkout on its path."""
    done = subprocess.run(
        [python, "-I", "-c", code],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        cwd=python.parent,
        env=env or {},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def source_files(suffixes):
    folder = ROOT / "langchain_sutro"
    return {
        path.relative_to(ROOT).as_posix() for path in folder.rglob("*") if path.suffix in suffixes
    }


def test_the_wheel_holds_the_package_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        notes = {name.partition("/")[2] for name in archive.namelist() if ".dist-info/" in name}
    assert names == source_files({".py", ".csv", ".json", ".typed", ".html", ".css", ".js"})
    assert {"langchain_sutro/py.typed", "langchain_sutro/local/samples/training.csv"} <= names
    assert notes == {"METADATA", "RECORD", "WHEEL", "licenses/LICENSE"}


def test_the_wheel_says_what_pyproject_says(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith("METADATA")]
        said = archive.read(name).decode()
    assert f"Version: {__version__}\n" in said
    assert "License-Expression: MIT\n" in said
    assert f"Requires-Python: {PROJECT['project']['requires-python']}\n" in said
    for extra in PROJECT["project"]["optional-dependencies"]:
        assert f"Provides-Extra: {extra}\n" in said
    assert said.partition("\n\n")[2].strip() == (ROOT / "README.md").read_text().strip()


def test_the_source_distribution_can_be_built_tested_and_shown(sdist):
    assert {
        "LICENSE",
        "Makefile",
        "README.md",
        "cookbook/demo.py",
        "langchain_sutro/py.typed",
        "pyproject.toml",
        "requirements.lock",
        "tests/conftest.py",
    } <= {path.relative_to(sdist).as_posix() for path in sdist.rglob("*")}
    for hidden in (".git", ".venv", ".peers", ".ci"):
        assert not (sdist / hidden).exists()


def test_without_extras_a_function_is_called_and_a_table_judged(clean, deployment):
    code = f"""
import json
from importlib.util import find_spec
import langchain_sutro
from langchain_sutro import SutroFunction
lead = {{"query": "300 seats, PO attached", "region": "APAC"}}
judge = SutroFunction("lead-qualifier", poll_interval=0.1)
results = judge.submit([lead, lead]).results()
print(json.dumps({{
    "version": langchain_sutro.__version__,
    "file": langchain_sutro.__file__,
    "extras": [name for name in {sorted(EXTRAS)} if find_spec(name)],
    "answer": judge.invoke(lead).answer,
    "batch": [row.answer for row in judge.batch([lead, lead])],
    "frame": len(results.to_pandas()),
}}))
"""
    said = script(clean, code, env=dict(deployment.environ))
    assert ".peers" in said.pop("file")
    assert said == {
        "version": __version__,
        "extras": [],
        "answer": "qualified",
        "batch": ["qualified", "qualified"],
        "frame": 2,
    }
    assert len(deployment.jobs) == 2


@pytest.mark.parametrize(
    ("use", "extra"),
    [
        ("import langchain_sutro.local", "local"),
        ("import langchain_sutro.middleware", "agents"),
        ("from langchain_sutro.plots import *; plot_reliability([True], [0.9])", "plots"),
        ("SutroFunction('judge').submit('s3://bucket/leads.parquet')", "s3"),
    ],
)
def test_a_missing_extra_is_named(clean, use, extra):
    code = f"""
import json
from langchain_sutro import SutroFunction
try:
    {use}
except Exception as error:
    print(json.dumps(str(error)))
"""
    assert f"langchain-sutro[{extra}]" in script(clean, code)


def test_every_name_loads_without_extras(clean):
    code = """
import json, langchain_sutro
print(json.dumps([n for n in langchain_sutro.__all__ if getattr(langchain_sutro, n) is None]))
"""
    assert script(clean, code) == []


def test_the_command_says_what_it_is(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "langchain_sutro.local", "--help"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd=tmp_path,
    )
    assert done.returncode == 0
    assert "usage:" in done.stdout
