"""The documentation: one site of pages and API reference, built without a warning."""

import html
import inspect
import re
import subprocess
from importlib import import_module

import pytest

import langchain_sutro
from tests.support.environments import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

MODULES = (
    "decisions",
    "errors",
    "local",
    "manifest",
    "middleware",
    "plots",
    "ray",
    "spark",
    "statistics",
    "systemone",
    "testing",
)
SIGNATURE = re.compile(r'<div class="doc-signature[^>]*>(.*?)</div>', re.DOTALL)


@pytest.fixture(scope="module")
def site(tools, here, tmp_path_factory):
    """The folder of the site; a warning of the builder is an error."""
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [tools, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", folder],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        cwd=ROOT,
        env=here | {"NO_MKDOCS_2_WARNING": "1"},
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    return folder


@pytest.fixture(scope="module")
def reference(site):
    """The HTML of all pages of the reference."""
    return "".join(page.read_text() for page in sorted((site / "reference").glob("*.html")))


def test_every_public_name_is_in_the_reference(reference):
    for module in (langchain_sutro, *(import_module(f"langchain_sutro.{m}") for m in MODULES)):
        names = [name for name in module.__all__ if name not in {"__version__", "errors"}]
        absent = [name for name in names if f'id="{module.__name__}.{name}"' not in reference]
        assert absent == [], module.__name__


def test_no_public_signature_names_a_private_type(reference):
    signatures = [
        html.unescape(re.sub(r"<[^>]+>", "", found)) for found in SIGNATURE.findall(reference)
    ]
    assert len(signatures) > 100
    private = re.compile(r"(?<![\w.])_[A-Za-z]\w*")
    assert [text for text in signatures if private.search(text)] == []


def test_the_verbs_are_shown_as_they_are_called(site):
    page = (site / "reference" / "client.html").read_text()
    shown = [html.unescape(re.sub(r"<[^>]+>", "", found)) for found in SIGNATURE.findall(page)]
    assert not any("Steps" in text or "self" in text for text in shown)
    for name in ("run_function", "arun_function"):
        parameters = inspect.signature(getattr(langchain_sutro.SutroClient, name)).parameters
        [text, *of_module] = [text for text in shown if text.startswith(f"{name}(")]
        for each in (text, *of_module):
            assert all(f"{parameter}:" in each for parameter in parameters if parameter != "self")
        assert len(of_module) == (name in langchain_sutro.__all__)
    assert page.count("Asynchronous form of <code>get_job_results</code>.") == 1


def test_it_shows_what_arguments_mean(site):
    page = (site / "reference" / "jobs.html").read_text()
    first_line = inspect.getdoc(langchain_sutro.SutroJob).splitlines()[0]
    assert first_line.partition("`")[0].rstrip(".") in page
    assert "Parameters" in page


def test_every_page_is_in_the_navigation_and_found_by_the_search(site):
    start = (site / "index.html").read_text()
    index = (site / "search" / "search_index.json").read_text()
    pages = [path.relative_to(ROOT / "docs") for path in (ROOT / "docs").glob("*.md")]
    assert len(pages) > 5
    for page in pages:
        assert f'href="{page.with_suffix(".html")}"' in start
        assert f'"location":"{page.with_suffix(".html")}"' in index


def test_the_site_loads_nothing_from_other_hosts(site):
    for page in site.rglob("*.html"):
        loaded = re.findall(
            r'<(?:script|img|link)[^>]+(?:src|href)="(https?://[^"]+)"', page.read_text()
        )
        assert loaded == [], page
