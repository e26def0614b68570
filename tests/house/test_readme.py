"""The README and the pages, followed literally: blocks run in order, and what they name exists."""

import re
import subprocess
import sys
import tomllib
from datetime import UTC, datetime
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langsmith.run_trees import RunTree

import langchain_sutro
from langchain_sutro import SutroFunction, errors, middleware
from tests.support.langsmith_recorder import LangSmithRecorder, forget_settings
from tests.support.pages import blocks
from tests.support.shown_outputs import run_block

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parents[2]
PAGES = {
    str(path.relative_to(ROOT)): path.read_text()
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md*")))
}
TEXT = "\n".join(PAGES.values())
# Pages that call a deployment of their own, or none.
OWN_DEPLOYMENT = {"docs/judges.md", "docs/local.md", "docs/operations.md"}
# langchain-core has decision models since 1.8, and the package supports older versions.
HAS_DECISIONS = find_spec("langchain_core.decisions") is not None
# Files of schedulers, which have environments of their own in tests/schedulers.
OF_SCHEDULERS = ("# leads_airflow.py", "# leads_dagster.py", "# leads_prefect.py")
# What `tests/clusters` runs, in environments of their own.
OF_CLUSTERS = re.compile(r"^from langchain_sutro\.(ray|spark) import", re.MULTILINE)
WITHOUT_OUTPUTS = {page for page in PAGES if page.startswith("docs/langchain/")}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def commands(text):
    """The shell commands, without their comments."""
    lines = [line for _, block in blocks("console", text) for line in block.splitlines()]
    return [line.partition("#")[0].strip() for line in lines]


class Model(BaseChatModel):
    """The chat model that a page leaves to its reader: calls its first tool, and repeats it."""

    tools: list = []

    @property
    def _llm_type(self):
        return "scripted"

    def bind_tools(self, tools, **kwargs):
        return self.model_copy(update={"tools": list(tools)})

    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        last = messages[-1]
        if self.tools and not isinstance(last, ToolMessage):
            args = {"query": last.text, "region": "APAC"}
            call = {"type": "tool_call", "id": "1", "name": self.tools[0].name, "args": args}
            message = AIMessage("", tool_calls=[call])
        else:
            message = AIMessage(f"The tool said {last.text}")
        return ChatResult(generations=[ChatGeneration(message=message)])


@pytest.fixture
def reader(monkeypatch, tmp_path, sutro_deployment):
    """A module as a reader has it: settings, a model, and a directory for files."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "exports").mkdir()
    module = ModuleType("reader")
    module.model = module.chat_model = Model()
    monkeypatch.setitem(sys.modules, "reader", module)
    # LangSmith's `evaluate` asks for its server also where nothing is uploaded.
    with LangSmithRecorder() as langsmith:
        monkeypatch.setenv("LANGSMITH_ENDPOINT", langsmith.url)
        forget_settings()
        monkeypatch.setenv("LANGSMITH_API_KEY", "lsv2_test")
        monkeypatch.setenv("HOME", str(tmp_path))
        trace_app(langsmith)
        langsmith.reviewer = partial(agrees_with_the_judge, langsmith)
        before = len(langsmith.requests)
        yield module
        # Only what judges production traces writes anything: its verdicts on the two runs.
        sent = [path for method, path in langsmith.requests[before:] if method != "GET"]
        given = [one for one in langsmith.feedback if one["feedback_source"]["type"] == "model"]
        assert not sent or len(given) == 4
        projects = {project["name"] for project in langsmith.sessions.values()}
        assert projects <= {"default", "my-app", "evaluators"}
    forget_settings()


def trace_app(langsmith):
    """What a page that judges production traces finds in LangSmith: two runs of an application."""
    client = langsmith.client()
    for text, region in (("We need 200 seats by Friday", "APAC"), ("Unsubscribe me", "EMEA")):
        run = RunTree(
            name="answer", run_type="chain", inputs={"region": region}, outputs={"text": text},
            project_name="my-app", client=client, end_time=datetime.now(UTC),
        )  # fmt: skip
        run.post()
    client.flush()
    langsmith.until(lambda: len(langsmith.runs) == 2)


def agrees_with_the_judge(langsmith, run_id):
    """The person who reviews what a page sends to a queue."""
    (score,) = [
        one["score"]
        for one in langsmith.feedback
        if (one["run_id"], one["key"]) == (run_id, "still_qualified")
    ]
    langsmith.review(run_id, "correct", score=score)


@pytest.mark.parametrize("page", [page for page, text in PAGES.items() if "```python" in text])
def test_every_python_block_runs_after_those_before_it(page, reader, tmp_path, sutro_deployment):
    for _, text in blocks("yaml", PAGES[page]):
        for name in ("functions.yaml", "decisions.yaml"):
            (tmp_path / name).write_text(text)
    if page == "docs/decisions.md" and not HAS_DECISIONS:
        pytest.skip("This langchain-core has no decision models.")
    for line, block in blocks("python", PAGES[page]):
        if "langchain_sutro.decisions" in block and not HAS_DECISIONS:
            continue
        if block.startswith(OF_SCHEDULERS) or OF_CLUSTERS.search(block):
            continue
        try:
            # A traceback names the page's line.
            expressions, compared = run_block(block, str(ROOT / page), line, vars(reader))
            # The pages for LangChain's documentation show outputs in blocks of their own.
            assert compared or not expressions or page in WITHOUT_OUTPUTS, "It shows no output."
        except BaseException as error:
            error.add_note(f"in the block at line {line} of {page}")
            raise
    assert sutro_deployment.requests or page in OWN_DEPLOYMENT


def test_the_test_that_is_shown_passes(pytester):
    (shown,) = [block for _, block in blocks("python", TEXT) if "def test_" in block]
    pytester.makeconftest('pytest_plugins = ["langchain_sutro.testing"]')
    pytester.makepyfile(shown)
    pytester.runpytest_subprocess("-q", "-p", "no:socket").assert_outcomes(passed=1)


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md"])
def test_every_make_target_exists(document):
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    lines = commands((ROOT / document).read_text())
    named = {line.split()[1] for line in lines if line.startswith("make ")}
    assert named
    assert named <= targets


@pytest.mark.parametrize("module", sorted(set(re.findall(r"python -m ([\w.]+)", TEXT))))
def test_every_module_that_is_run_explains_itself(module, tmp_path):
    if module.startswith("langchain_sutro.systemone") and not HAS_DECISIONS:
        pytest.skip("This langchain-core has no decision models.")
    done = subprocess.run(
        [sys.executable, "-m", module, "--help"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("usage:")


def test_extras_and_the_name_to_install_are_those_of_the_package():
    installed = re.findall(r"pip install \"?([\w-]+)(?:\[([\w,-]+)\])?", TEXT)
    assert installed
    assert {name for name, _ in installed} <= {PROJECT["name"], "sutro"}
    named = {extra for _, extras in installed for extra in extras.split(",") if extra}
    # The table of extras also writes `[gcs]` alone.
    named |= set(re.findall(r"`(?:langchain-sutro)?\[([a-z0-9]+)\]`", TEXT))
    assert named == PROJECT["optional-dependencies"].keys()


def test_pythons_are_those_of_the_package():
    oldest, newest = re.search(r"Python (3\.\d+) to (3\.\d+)", TEXT).groups()
    assert PROJECT["requires-python"] == f">={oldest}"
    said = {f"Programming Language :: Python :: {each}" for each in (oldest, newest)}
    assert said <= set(PROJECT["classifiers"])


def test_every_name_of_ours_is_importable():
    words = set(re.findall(r"`(Sutro\w+)", TEXT)) | set(re.findall(r"\b(Sutro\w+Error)\b", TEXT))
    homes = [langchain_sutro, errors, middleware]
    if HAS_DECISIONS:
        homes.append(import_module("langchain_sutro.decisions"))
    else:
        words.discard("SutroDecisionModel")
    missing = {name for name in words if not any(hasattr(home, name) for home in homes)}
    assert missing == set()
    for module in set(re.findall(r"`(langchain_sutro(?:\.\w+)+)`", TEXT)):
        if HAS_DECISIONS or module.split(".")[1] not in ("decisions", "systemone"):
            import_module(module)


def test_the_tree_of_errors_is_the_real_one():
    (tree,) = [text for _, text in blocks("", TEXT) if text.startswith("SutroError\n")]
    parents = {}
    above = []
    for line in tree.splitlines():
        words = re.findall(r"\w+Error\b", line)
        depth = re.search(r"\w", line).start() // 4
        for name in words:
            parents[name] = above[depth - 1] if depth else None
        above[depth:] = [words[-1]]
    assert set(parents) == {name for name in errors.__all__ if name.endswith("Error")}
    for name, parent in parents.items():
        above = [base.__name__ for base in getattr(errors, name).__mro__[1:]]
        assert next((base for base in above if base in parents), None) == parent, name


def test_every_keyword_shown_for_a_function_is_one_of_its_fields():
    shown = re.findall(r"SutroFunction\((?:\.\.\.|\"[\w-]+\"), ([^)]*)\)", TEXT)
    assert shown
    for keyword in re.findall(r"(\w+)=", ", ".join(shown)):
        fields = SutroFunction.model_fields
        assert keyword in fields.keys() | {field.alias for field in fields.values()}


DOCUMENTS = sorted(path.name for path in ROOT.glob("*.md")) + list(PAGES)[1:]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_and_file_names_lead_somewhere(document):
    path = ROOT / document
    text = path.read_text()
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
        assert (path.parent / target).exists(), target
    for target in re.findall(r"`((?:tests|cookbook|docs)/[\w/]+\.\w+)`", text):
        assert (ROOT / target).exists(), target
