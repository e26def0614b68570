"""The report in a real browser: the Chromium of the machine, driven by Playwright."""

from itertools import pairwise

import pytest

from tests.support.browser import ARGUMENTS, CHROMIUM, SHOWN_COLOURS, contrast, luminance, rgb
from tests.support.made_experiments import made, made_row

playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine"),
]

EVIL = "<img src=x onerror=\"document.title='taken over'\">"


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """A report with everything that a report can have."""

    def experiment(name, wrong):
        return made(
            [
                made_row(
                    number,
                    answer=EVIL if number < wrong else ("billing", "sales")[number % 2],
                    expected=("billing", "sales")[number % 2],
                    confidence=0.5 + number / 200,
                    inputs={"message": f"{EVIL} number {number}"},
                    error="it is broken" if number == 7 else None,
                    model="one" if number < 30 else "two",
                    grounded=("fail", 0) if number < wrong else ("pass", 1),
                    helpful=(None, number % 5 + 1),
                )
                for number in range(60)
            ],
            name,
            url="https://smith.langchain.com/x",
        )

    results = experiment(EVIL, 10)
    labels = {
        "grounded": {row.example.id: number % 4 > 0 for number, row in enumerate(results[:40])}
    }
    path = tmp_path_factory.mktemp("report") / "report.html"
    baseline = experiment("before", 20)
    results.report(path, labels=labels, baseline=baseline, show_values=True, title="The report")
    return path


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as tool:
        browser = tool.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(params=["light", "dark"])
def scheme(request):
    return request.param


@pytest.fixture
def page(browser, path, scheme):
    """The report in a new tab; at the end nothing was asked for and nothing complained about."""
    context = browser.new_context(color_scheme=scheme, viewport={"width": 1200, "height": 900})
    tab = context.new_page()
    asked, said = [], []
    tab.on("request", lambda request: asked.append(request.url))
    tab.on("pageerror", lambda error: said.append(str(error)))
    tab.on("console", lambda message: said.append(message.text))
    tab.goto(path.as_uri())
    yield tab
    assert [url for url in asked if not url.startswith("data:")] == [path.as_uri()]
    assert said == []
    assert tab.title() == "The report"
    context.close()


def test_text_has_enough_contrast(page, scheme):
    elements = "h1, h2, h3, p, li, th, td, caption, dt, dd, small, a, code"
    seen = page.evaluate(SHOWN_COLOURS, elements)
    assert len(seen) > 100
    assert min(contrast(*map(rgb, pair)) for pair in seen) >= 4.5
    assert (luminance(rgb(seen[0][1])) < 0.2) == (scheme == "dark")


def test_headings_tables_and_plots_have_names(page):
    assert page.get_by_role("heading", level=1).count() == 1
    levels = page.evaluate(
        "() => [...document.querySelectorAll('h1, h2, h3')].map(it => +it.tagName[1])"
    )
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert page.get_by_role("img", name="Confusion matrix: 60 rows").count() == 1
    assert page.get_by_role("img").count() == 3
    unnamed = "() => [...document.querySelectorAll('table')].filter(it => !it.caption).length"
    assert page.evaluate(unnamed) == 0
    headless = """() => [...document.querySelectorAll('table')].filter(it =>
        [...it.tHead.rows[0].cells].some(cell => cell.scope !== 'col')
        || [...it.tBodies[0].rows].some(row => row.cells[0].scope !== 'row')).length"""
    assert page.evaluate(headless) == 0
    assert page.locator("html").get_attribute("lang") == "en"
    doubled = """() => { const ids = [...document.querySelectorAll('[id]')].map(it => it.id);
        return ids.length - new Set(ids).size }"""
    assert page.evaluate(doubled) == 0


def test_a_narrow_screen_does_not_scroll_sideways(page):
    page.set_viewport_size({"width": 360, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_paper_is_white_and_wide_enough(page):
    # The width of A4 without its margins.
    page.set_viewport_size({"width": 680, "height": 960})
    page.emulate_media(media="print")
    back = page.locator("main").evaluate("it => getComputedStyle(it).backgroundColor")
    assert back == "rgb(255, 255, 255)"
    assert page.locator("figure").first.evaluate("it => getComputedStyle(it).filter") == "none"
    widest = "() => Math.max(...[...document.querySelectorAll('table')].map(it => it.clientWidth))"
    assert page.evaluate(widest) <= 680
    assert page.pdf(format="A4").startswith(b"%PDF")
