"""The notebooks, run from top to bottom as a reader runs them, and stored with what they show."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

COOKBOOK = Path(__file__).parents[1] / "cookbook"
NOTEBOOKS = sorted(COOKBOOK.glob("*.ipynb"))


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_there_are_notebooks():
    assert NOTEBOOKS


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_from_top_to_bottom(path, allow_local_kernel, tmp_path):
    notebook = nbformat.read(path, as_version=4)
    folder = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(notebook, timeout=120, kernel_name="python3", resources=folder).execute()
    assert all(cell.execution_count for cell in code_cells(notebook))


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
    for trace in ("Traceback", "/home/", "site-packages"):
        assert trace not in text


@pytest.fixture
def allow_local_kernel(monkeypatch):
    """The kernel is a process of its own; it finds this package beside the tests."""
    monkeypatch.setenv("PYTHONPATH", str(COOKBOOK.parent))
    monkeypatch.setenv("MPLBACKEND", "module://matplotlib_inline.backend_inline")
