"""The console in a real browser: the Chromium of the machine, driven by Playwright."""

import re
import threading

import pytest

from langchain_sutro.local import LocalDeployment, LocalFunction
from tests.support.browser import ARGUMENTS, CHROMIUM, SHOWN_COLOURS, contrast, luminance, rgb
from tests.support.local_api import FUNCTIONS, LABEL, TEXT, client, end, submit

playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine"),
]

EVIL = "<img src=x onerror=\"document.title='taken over'\">"


@pytest.fixture(scope="module")
def deployment():
    odd = LocalFunction(EVIL, lambda row: EVIL, input_schema=TEXT, output_schema=LABEL)
    with LocalDeployment([*FUNCTIONS, odd], heartbeat_seconds=0.1) as running:
        yield running


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as tool:
        browser = tool.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def api(deployment):
    yield from client(deployment, "/v1")


@pytest.fixture
def page(browser, deployment):
    """A new tab; at the end nothing else than the deployment was asked and no script failed."""
    context = browser.new_context()
    tab = context.new_page()
    asked, errors = [], []
    tab.on("request", lambda request: asked.append(request.url))
    tab.on("pageerror", lambda error: errors.append(str(error)))
    tab.set_default_timeout(10_000)
    tab.goto(deployment.url)
    yield tab
    assert [url for url in asked if not url.startswith((deployment.url, "data:"))] == []
    assert errors == []
    assert tab.title() == "Sutro, local deployment"
    context.close()


def log_in(page, deployment):
    page.get_by_label("Key", exact=True).fill(deployment.api_key)
    page.keyboard.press("Enter")
    page.get_by_role("button", name="lead-qualifier").wait_for()


def test_a_wrong_key_is_asked_for_again_and_the_right_one_is_kept_for_the_tab(page, deployment):
    dialog = page.get_by_role("dialog", name="API key")
    dialog.get_by_label("Key", exact=True).fill("wrong")
    page.keyboard.press("Enter")
    dialog.get_by_text("does not accept this key").wait_for()
    log_in(page, deployment)
    assert not dialog.is_visible()
    assert deployment.api_key not in page.content()
    page.reload()
    page.get_by_role("button", name="lead-qualifier").wait_for()
    page.get_by_role("button", name="Forget the key").click()
    page.get_by_role("dialog", name="API key").wait_for()


def test_a_function_is_run_with_the_keyboard_alone(page, deployment):
    log_in(page, deployment)
    page.get_by_role("button", name="lead-extractor").focus()
    page.keyboard.press("Enter")
    assert page.get_by_role("heading", name="lead-extractor").is_visible()
    page.get_by_role("textbox", name="text").focus()
    page.keyboard.type("Acme Foods needs 300 seats in EMEA")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    answer = page.locator("#answer")
    answer.get_by_text("Acme Foods").wait_for()
    assert re.search(r"Confidence\s*\d+\.\d %", answer.inner_text())


def test_an_error_of_a_function_is_shown(page, deployment):
    log_in(page, deployment)
    page.get_by_role("button", name="length").click()
    page.get_by_role("textbox", name="text").fill("bad")
    page.get_by_role("button", name="Run").click()
    page.locator("#answer").get_by_text("nobody can judge").wait_for()


def test_jobs_progress_and_their_rows_are_shown(page, deployment, api):
    log_in(page, deployment)
    job_id = submit(api, "length", [{"text": "x" * (i % 5)} for i in range(60)])
    row = page.get_by_role("row").filter(has_text=job_id)
    row.get_by_text("SUCCEEDED").wait_for()
    progress = row.get_by_role("progressbar")
    assert progress.get_attribute("max") == "60"
    assert progress.evaluate("bar => bar.value") == 60
    row.get_by_role("button", name=f"Show rows of {job_id}").click()
    heading = page.get_by_role("heading", name=f"Rows of {job_id}")
    assert heading.evaluate("it => it === document.activeElement")
    table = page.get_by_role("table", name=f"Rows of {job_id}")
    assert table.get_by_role("row").count() == 26
    titles = table.get_by_role("columnheader").all_inner_texts()
    assert titles == ["Row", "Input: text", "Output: label", "Confidence"]
    assert table.get_by_role("cell", name="3", exact=True).count() == 5
    page.get_by_role("button", name="Next page").click()
    page.get_by_text("Rows 25 to 49 of 60").wait_for()
    page.get_by_role("button", name="Next page").click()
    page.get_by_text("Rows 50 to 59 of 60").wait_for()
    assert page.get_by_role("button", name="Next page").is_disabled()


def test_a_running_job_shows_how_far_it_is(page, deployment, api):
    going_on = threading.Event()

    def held(text: str) -> str:
        going_on.wait(60)
        return text

    deployment.publish("held", held)
    log_in(page, deployment)
    job_id = submit(api, "held", [{"text": "x"}])
    row = page.get_by_role("row").filter(has_text=job_id)
    row.get_by_text(re.compile("QUEUED|STARTING|RUNNING")).wait_for()
    row.get_by_role("button", name=f"Show rows of {job_id}").click()
    table = page.get_by_role("table", name=f"Rows of {job_id}")
    table.get_by_text("not finished").wait_for()
    going_on.set()
    row.get_by_text("SUCCEEDED").wait_for()
    # The rows that are shown are read again until all of them are finished.
    table.get_by_text("not finished").wait_for(state="hidden")
    end(api, job_id)


def test_what_arrived_is_listed_without_the_requests_of_the_page(page, deployment, api):
    api.get("/get-quotas")
    log_in(page, deployment)
    table = page.get_by_role("table", name="Requests")
    table.get_by_text("GET /v1/get-quotas").first.wait_for()
    assert table.get_by_text("/v1/local/requests").count() == 0


def test_what_functions_and_rows_contain_is_text_and_never_markup(page, deployment, api):
    job_id = submit(api, EVIL, [{"text": EVIL}])
    end(api, job_id)
    log_in(page, deployment)
    page.get_by_role("button", name=EVIL, exact=True).click()
    page.get_by_role("textbox", name="text").fill(EVIL)
    page.get_by_role("button", name="Run").click()
    page.locator("#answer").get_by_text("onerror").wait_for()
    page.get_by_role("button", name=f"Show rows of {job_id}").click()
    page.get_by_role("table", name=f"Rows of {job_id}").wait_for()
    assert page.locator("img").count() == 0


def test_every_control_has_a_name_and_headings_follow_each_other(page, deployment):
    log_in(page, deployment)
    named = """() => [...document.querySelectorAll('button, input, select, textarea, progress')]
        .filter(it => !(it.labels?.length || it.ariaLabel || it.textContent.trim()))
        .map(it => it.outerHTML)"""
    assert page.evaluate(named) == []
    levels = "() => [...document.querySelectorAll('main h2, main h3')].map(it => it.tagName)"
    assert set(page.evaluate(levels)) == {"H2", "H3"}
    assert page.locator("html").get_attribute("lang") == "en"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_enough_contrast_in_light_and_dark(page, deployment, scheme):
    page.emulate_media(color_scheme=scheme)
    log_in(page, deployment)
    seen = page.evaluate(SHOWN_COLOURS, "h1, h2, p, th, td, a, button, label")
    assert len(seen) > 10
    assert min(contrast(*map(rgb, pair)) for pair in seen) >= 4.5
    dark = luminance(rgb(seen[0][1])) < 0.2
    assert dark == (scheme == "dark")
