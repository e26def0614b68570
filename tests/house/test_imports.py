"""What importing and constructing costs, and what is public."""

import subprocess
import sys

import pytest

import langchain_sutro

HEAVY = ("pandas", "pyarrow", "polars", "numpy", "langsmith.client", "sklearn", "fastapi")


def modules_after(code):
    """The modules that a fresh interpreter has loaded, with every socket refused."""
    script = (
        "import socket, sys\n"
        "def refuse(*a, **k): raise AssertionError('network')\n"
        "socket.socket.connect = refuse\n"
        f"{code}\n"
        "print('\\n'.join(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def test_everything_public_is_there_sorted_and_typed():
    assert langchain_sutro.__all__ == sorted(langchain_sutro.__all__)
    for name in langchain_sutro.__all__:
        assert getattr(langchain_sutro, name) is not None
    assert dir(langchain_sutro) == langchain_sutro.__all__
    with pytest.raises(AttributeError, match="nonsense"):
        langchain_sutro.nonsense  # noqa: B018


def test_importing_the_package_loads_nothing_of_anybody_elses():
    loaded = modules_after("import langchain_sutro") - modules_after("pass")
    foreign = {name.partition(".")[0] for name in loaded} - sys.stdlib_module_names
    assert foreign == {"langchain_sutro"}


def test_no_public_name_loads_a_table_library_or_a_tracer():
    # One process for all: what no import of theirs loads, none of them loads alone.
    names = "".join(f"note({name!r})\n" for name in langchain_sutro.__all__)
    loaded = modules_after(
        "import langchain_sutro\n"
        "def note(name):\n"
        "    getattr(langchain_sutro, name)\n"
        f"    for heavy in {HEAVY}:\n"
        "        if heavy in sys.modules: print(f'{name}-loads-{heavy}')\n"
        f"{names}"
    )
    heavy = {each for each in loaded if "-loads-" in each}
    if {each.partition("-loads-")[2] for each in heavy} == {"langsmith.client"}:
        # Some of langchain-core's own modules load LangSmith's client.
        base = modules_after("from langchain_core.tools import BaseTool")
        heavy = set() if "langsmith.client" in base else heavy
    assert heavy == set()
    assert "langchain_sutro.functions.function" in loaded


def test_constructing_touches_neither_network_nor_tables():
    loaded = modules_after(
        "from langchain_sutro import SutroClient, SutroFunction, SutroJob\n"
        "SutroClient(); SutroFunction('x'); SutroJob('job-1')"
    )
    assert not {"pandas", "pyarrow", "polars", "numpy"} & loaded
