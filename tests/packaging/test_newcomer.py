"""The first hour of a new user: the wheel, the README in order, four programs, the command line."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.environments import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

PROGRAMS = Path(__file__).parent / "newcomer"


@pytest.fixture(scope="module")
def newcomer(for_newcomers, tmp_path_factory):
    """Python of a fresh environment with the wheel, and a folder to work in."""
    return for_newcomers, tmp_path_factory.mktemp("newcomer")


@pytest.fixture(scope="module")
def run(newcomer):
    """Run a command of the fresh environment there, as a user with a deployment would."""
    python, folder = newcomer
    started = subprocess.Popen(
        [python, "-m", "langchain_sutro.local"], stdout=subprocess.PIPE, text=True, cwd=folder
    )
    environ = {"PATH": os.environ["PATH"], "HOME": str(folder), "LANGSMITH_TRACING": "false"}
    for line in started.stdout:
        if found := re.fullmatch(r"export (\w+)=(\S+)\n", line):
            environ[found[1]] = found[2]
        if "Ctrl-C" in line:
            break

    def run(*arguments, **more):
        done = subprocess.run(
            [python, "-W", "error::UserWarning:langchain_sutro", *map(str, arguments)],
            capture_output=True,
            text=True,
            check=False,
            timeout=200,
            cwd=folder,
            env={**environ, **more},
        )
        return done.returncode, done.stdout, done.stderr

    yield run
    started.terminate()
    started.wait(30)


def test_the_readme_runs_in_order_and_gives_what_it_shows(run, newcomer):
    shutil.copy(ROOT / "tests/support/shown_outputs.py", newcomer[1])
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL)
    script = (
        "from shown_outputs import run_block\n"
        "reader = {'__name__': 'reader'}\n"
        f"for number, block in enumerate({blocks!r}):\n"
        "    expressions, compared = run_block(block, f'block {number}', 1, reader)\n"
        "    assert compared or not expressions, block\n"
    )
    code, _, errors = run("-c", script)
    assert code == 0, errors


def test_the_command_line_writes_a_manifest_that_an_agent_uses(run):
    code, _, errors = run(
        "-m", "langchain_sutro", "manifest", "--from-deployment", "--function", "lead-qualifier",
        "-o", "functions.yaml", "--force",
    )  # fmt: skip
    assert code == 0, errors
    assert "Wrote functions.yaml: lead-qualifier (query, region)." in errors
    code, output, errors = run(PROGRAMS / "agent.py")
    assert code == 0, errors
    answer, last = output.splitlines()
    assert answer.startswith('{"answer":"qualified","confidence":0.95')
    assert last == "It is qualified."


@pytest.mark.parametrize(
    ("program", "shown"),
    [
        ("graph", ["qualified", "ask a human"]),
        ("table", ["['qualified', 'not_qualified']"]),
        ("evaluation", ["{'exact': 0.5}"]),
    ],
)
def test_a_small_program_does_what_its_author_meant(run, newcomer, program, shown):
    code, output, errors = run(PROGRAMS / f"{program}.py")
    assert code == 0, errors
    assert output.splitlines() == shown
    assert "Warning" not in errors
    if program == "table":
        assert (newcomer[1] / "judged.csv").read_text().count("\n") == 3
        assert (newcomer[1] / "answers.parquet").read_bytes().startswith(b"PAR1")


def test_what_goes_wrong_is_said_in_one_line(run):
    for arguments, said in [
        (("-m", "langchain_sutro", "manifest", "--from-deployment", "--function", "lead"), "try"),
        (("-m", "langchain_sutro.local", "--port", "70000"), "between 0 and 65535"),
    ]:
        code, _, errors = run(*arguments)
        assert code == 1
        assert len(errors.splitlines()) == 1
        assert said in errors
    code, _, errors = run(
        "-m", "langchain_sutro", "manifest", "--from-deployment", SUTRO_API_KEY="x"
    )
    assert code == 1
    assert "401" in errors


def test_versions_are_said(run):
    for module in ("langchain_sutro", "langchain_sutro.local"):
        code, output, _ = run("-m", module, "--version")
        assert (code, output.split()[0]) == (0, "langchain-sutro")
    assert sys.version_info >= (3, 11)
