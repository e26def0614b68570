"""The API reference: builds from the docstrings, without a warning."""

import inspect
import subprocess

import pytest

import langchain_sutro
from langchain_sutro import errors
from tests.support.environments import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def built(tools, here, tmp_path_factory):
    """The folder, and what building it said."""
    folder = tmp_path_factory.mktemp("reference")
    done = subprocess.run(
        [tools, "-m", "docs.reference", folder],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        cwd=ROOT,
        env=here,
    )
    return folder, done


def test_it_builds_without_a_warning(built):
    _, done = built
    assert (done.returncode, done.stderr) == (0, ""), done.stdout


def test_every_public_name_is_on_its_page(built):
    folder, _ = built
    for module in (langchain_sutro, errors):
        page = (folder / f"{module.__name__.replace('.', '/')}.html").read_text()
        names = [name for name in module.__all__ if name not in {"__version__", "errors"}]
        assert [name for name in names if f'id="{name}"' not in page] == []


def test_it_shows_what_arguments_mean(built):
    folder, _ = built
    page = (folder / "langchain_sutro.html").read_text()
    assert "<h6>Arguments" in page or "Arguments:" in page
    first_lines = inspect.getdoc(langchain_sutro.SutroJob).splitlines()[0]
    assert first_lines.partition("`")[0].rstrip(".") in page
