"""What publishes the package: its metadata, its changelog and the workflows."""

import re

import pytest
import yaml

from langchain_sutro import __version__
from tests.support.environments import PROJECT, ROOT

WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
FORMS = sorted((ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml"))

pytestmark = pytest.mark.skipif(not WORKFLOWS, reason="a source distribution has no workflows")


def read(path):
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def steps(workflow):
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


def test_workflows_run_targets_of_the_makefile():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    called = set()
    for path in WORKFLOWS:
        for step in steps(read(path)):
            for target in re.findall(r"^make ([a-z-]+)", step.get("run", ""), re.MULTILINE):
                expanded = target.rstrip("-")
                if target.endswith("-"):
                    called |= {f"{expanded}-oldest", f"{expanded}-newest"}
                else:
                    called.add(target)
    assert called <= targets
    assert {"lint", "test", "test-oldest", "test-newest", "demo", "docs", "dist", "audit"} <= called


def test_every_python_that_is_promised_is_tested():
    matrix = read(ROOT / ".github/workflows/ci.yml")["jobs"]["test"]["strategy"]["matrix"]
    promised = [
        found[1]
        for each in PROJECT["project"]["classifiers"]
        if (found := re.fullmatch(r"Programming Language :: Python :: (3\.\d+)", each))
    ]
    assert matrix["python"] == promised
    assert PROJECT["project"]["requires-python"] == f">={promised[0]}"


def test_workflows_may_read_only_but_for_what_publishing_needs():
    for path in WORKFLOWS:
        workflow = read(path)
        assert workflow["permissions"] == {"contents": "read"}, path
        assert "secrets." not in path.read_text(encoding="utf-8"), path
        for name, job in workflow["jobs"].items():
            writes = {key for key, value in job.get("permissions", {}).items() if value == "write"}
            assert writes <= {"id-token", "attestations"}, name
            assert not writes or path.name == "release.yml"
            assert job["timeout-minutes"] <= 60


def test_only_a_build_that_was_audited_and_checked_is_published():
    jobs = read(ROOT / ".github/workflows/release.yml")["jobs"]
    assert jobs["publish"]["needs"] == "build"
    build = [step.get("run", step.get("uses")) for step in jobs["build"]["steps"]]
    assert build.index("make audit") < build.index("make dist")
    (publish,) = [s["uses"] for s in jobs["publish"]["steps"] if "publish" in s["uses"]]
    assert publish.startswith("pypa/gh-action-pypi-publish@")


def test_issue_forms_ask_for_something_and_warn_of_secrets():
    assert {path.name for path in FORMS} == {"bug.yml", "config.yml", "feature.yml"}
    for path in FORMS:
        if path.name != "config.yml":
            fields = [one for one in read(path)["body"] if one["type"] != "markdown"]
            assert len({one["id"] for one in fields}) == len(fields) > 1
    assert "keys" in (ROOT / ".github/ISSUE_TEMPLATE/bug.yml").read_text(encoding="utf-8")


def test_the_changelog_has_a_section_for_the_version():
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    sections = re.findall(r"^## (\S+)", text, re.MULTILINE)
    assert __version__ in sections
    assert len(sections) == len(set(sections))


def test_the_metadata_says_where_the_project_lives():
    urls = PROJECT["project"]["urls"]
    assert {"Homepage", "Documentation", "Repository", "Issues", "Changelog"} == set(urls)
    assert all(url.startswith("https://") for url in urls.values())
