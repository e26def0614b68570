"""Notebooks and the demo, run from top to bottom as a reader runs them."""

import ast
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

COOKBOOK = Path(__file__).parents[2] / "cookbook"
NOTEBOOKS = sorted(COOKBOOK.glob("*.ipynb"))


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def execute(path, folder):
    notebook = nbformat.read(path, as_version=4)
    where = {"metadata": {"path": str(folder)}}
    NotebookClient(notebook, timeout=120, kernel_name="python3", resources=where).execute()
    return notebook


def demo(*arguments, **environ):
    return subprocess.run(
        [sys.executable, "-m", "cookbook.demo", *arguments],
        cwd=COOKBOOK.parent,
        env={**os.environ, **environ},
        capture_output=True,
        check=False,
        encoding="utf-8",
        timeout=60,
    )


def test_there_are_notebooks():
    assert NOTEBOOKS


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_from_top_to_bottom(path, allow_local_kernel, tmp_path):
    if "langchain_sutro.decisions" in path.read_text():
        pytest.importorskip("langchain_core.decisions")
    notebook = execute(path, tmp_path)
    assert all(cell.execution_count for cell in code_cells(notebook))


@pytest.mark.slow
def test_the_evaluation_is_recorded_where_langsmith_is_configured(
    allow_local_kernel, langsmith_recorder, monkeypatch, tmp_path
):
    monkeypatch.setenv("LANGSMITH_TRACING", "false")
    execute(COOKBOOK / "04_evaluation.ipynb", tmp_path)
    assert [one["name"] for one in langsmith_recorder.datasets.values()] == [
        "langchain-sutro cookbook leads"
    ]
    assert len(langsmith_recorder.examples) == 150
    keys = Counter(one["key"] for one in langsmith_recorder.feedback)
    assert keys == {"right": 300, "grounded": 150, "grounded_later": 150}


@pytest.mark.slow
def test_production_traffic_is_judged_and_reviewed_where_langsmith_is_configured(
    allow_local_kernel, langsmith_recorder, monkeypatch, tmp_path
):
    monkeypatch.setenv("LANGSMITH_TRACING", "false")
    execute(COOKBOOK / "10_production_traffic.ipynb", tmp_path)
    [queue] = langsmith_recorder.queues.values()
    assert 100 > len(queue["runs"]) - 60 > 0
    keys = Counter(one["key"] for one in langsmith_recorder.feedback)
    labels = keys.pop("worth_a_call")
    assert labels > len(queue["runs"])
    names = ("qualifier", "quick_look")
    assert keys == dict.fromkeys([*names, *(f"{one}_confidence" for one in names)], 196)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_asks_a_question_and_is_stored_with_its_outputs(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    first, last = notebook.cells[0].source, notebook.cells[-2].source
    assert first.startswith("# ")
    assert "?**" in first
    assert last.startswith("## For your own")
    for cell in code_cells(notebook):
        assert cell.execution_count
        assert not [output for output in cell.outputs if output.output_type == "error"]
    assert any(cell.outputs for cell in code_cells(notebook))
    text = path.read_text()
    for trace in ("Traceback", "/home/", "site-packages", "Warning", "/tmp/", "ipykernel_"):
        assert trace not in text


@pytest.mark.parametrize("path", sorted(COOKBOOK.glob("*.py")), ids=lambda path: path.stem)
def test_the_demo_needs_no_tests(path):
    nodes = list(ast.walk(ast.parse(path.read_text())))
    imported = [node.module for node in nodes if isinstance(node, ast.ImportFrom)]
    imported += [
        alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names
    ]
    assert not [name for name in imported if name.partition(".")[0] == "tests"]


def test_the_demo_shows_every_part_and_the_whole_trace():
    run = demo()
    assert (run.returncode, run.stderr) == (0, "")
    for part in (
        "1. One call",
        "2. A pipeline",
        "3. A tool",
        "4. A table",
        "5. What LangSmith",
    ):
        assert f"\n{part}" in run.stdout
    # 226 of the table, 3 of the pipeline, 1 of the call and 1 of the tool.
    assert "231 of them answers of the Function; 3 of these" in run.stdout
    passed_on = [
        line for line in run.stdout.splitlines() if "lead-qualifier [llm] customer" in line
    ]
    assert passed_on
    assert all("customer=acme  run=42" in line and 'tags=["nightly"]' in line for line in passed_on)
    assert "… 224 more lead-qualifier" in run.stdout


def test_the_demo_uses_the_deployment_that_is_set(deployment):
    run = demo(**deployment.environ)
    assert (run.returncode, run.stderr) == (0, "")
    assert f"The deployment:   {deployment.url}\n" in run.stdout
    assert "is started here" not in run.stdout
    assert [job["num_rows"] for job in deployment.jobs] == [3, 226]


def test_the_demo_takes_another_function_and_table(deployment, tmp_path):
    table = tmp_path / "texts.csv"
    table.write_text("text\nWattle Partners in Warsaw has 75 people\nhello\n")
    named = ("--function", "lead-extractor", "--csv", str(table), "--text-field", "text")
    run = demo(*named, **deployment.environ)
    assert (run.returncode, run.stderr) == (0, "")
    assert [job["num_rows"] for job in deployment.jobs] == [1, 2]
    assert "Wattle Partners" in run.stdout


def test_what_the_demo_cannot_use_is_an_error_of_one_line(deployment, tmp_path):
    unknown = demo("--function", "no-such", **deployment.environ)
    assert unknown.returncode == 1
    assert unknown.stderr.startswith("SutroNotFoundError: ")
    assert unknown.stderr.count("\n") == 1
    for wrong in (tmp_path / "none.csv", tmp_path / "empty.csv"):
        (tmp_path / "empty.csv").write_text("query\n")
        refused = demo("--csv", str(wrong))
        assert refused.returncode == 2
        assert str(wrong) in refused.stderr.splitlines()[-1]


@pytest.fixture
def allow_local_kernel(monkeypatch):
    """The kernel is a process of its own; it finds this package, and files beside the notebook."""
    monkeypatch.setenv("PYTHONPATH", f"{COOKBOOK.parent}{os.pathsep}{COOKBOOK}")
    monkeypatch.setenv("MPLBACKEND", "module://matplotlib_inline.backend_inline")


# What a notebook imports, or calls, from each extra.
USES = {
    "local": r"langchain_sutro\.local",
    "agents": r"(?:from|import) lang(?:chain\.|graph)|langchain_sutro\.middleware",
    "plots": r"import matplotlib|\.plot_\w+\(|langchain_sutro\.plots",
    "statistics": r"langchain_sutro\.statistics|\.threshold\(|compare\w*\(",
    "systemone": r"langchain_sutro\.systemone",
}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_first_cell_says_which_extras_the_notebook_needs(path):
    notebook = nbformat.read(path, as_version=4)
    code = "\n".join(cell.source for cell in code_cells(notebook))
    needed = {extra for extra, use in USES.items() if re.search(use, code)}
    said = re.search(r'pip install "langchain-sutro\[([\w,]+)\]"', notebook.cells[0].source)
    assert said, "The first cell names no extras."
    assert set(said[1].split(",")) == needed
