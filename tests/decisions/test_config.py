"""Files of decision models."""

import json

import pytest

from langchain_sutro.decisions import load_decision_models, read_decision_config
from langchain_sutro.errors import SutroConfigurationError, SutroInputError
from tests.decisions.conftest import TEXT, runs

CONFIG = {
    "version": 1,
    "settings": {"timeout": 20},
    "models": {
        "judges": {
            "description": "All questions.",
            "max_concurrency": 2,
            "questions": {
                "dept": {
                    "function": "department",
                    "args_schema": TEXT,
                    "labels": ["billing", "technical"],
                    "settings": {"timeout": 40, "max_retries": 1},
                },
                "is_risky": {"function": "tool-risk", "fields": "text", "yes": ["risky"]},
                "paths": {"function": "tool-risk", "fields": {"text": "a.b"}, "yes": ["risky"]},
            },
            "default": "any-question",
        },
        "one": {"questions": {"dept": "department"}},
    },
}


@pytest.mark.parametrize("form", ["dict", "json", "yaml"])
def test_models_are_made_from_a_file(deployment, at, tmp_path, form):
    source = CONFIG
    if form != "dict":
        source = tmp_path / f"decisions.{form}"
        source.write_text(json.dumps(CONFIG))  # JSON is YAML
    models = load_decision_models(source, **at["deployment"])
    assert list(models) == ["judges", "one"]
    judges = models["judges"]
    assert (judges.model, judges.max_concurrency) == ("judges", 2)
    function = judges.functions["dept"].function
    assert (function.timeout, function.max_retries) == (40, 1)
    assert judges.functions["is_risky"].function.timeout == 20
    noul = {"type": "noul", "instructions": "?"}
    choice = {"type": "choice", "instructions": "?", "criteria": {"billing": 1, "technical": 2}}
    questions = {"dept": choice, "paths": noul, "other": noul}
    answers = judges.invoke({"state": {"a": {"b": "delete"}}, "questions": questions}).answers
    assert answers["paths"].noul == 0.9
    assert len(runs(deployment)) == 3
    with pytest.raises(SutroInputError):
        models["one"].invoke({"state": "x", "questions": {"other": noul}})


def test_functions_may_be_named_as_in_python(at):
    config = json.loads(json.dumps(CONFIG).replace('"questions"', '"functions"'))
    models = load_decision_models(config, **at["deployment"])
    assert list(models["judges"].functions) == ["dept", "is_risky", "paths"]
    config["models"]["judges"]["functions"]["dept"]["args_schema"] = {}
    with pytest.raises(SutroConfigurationError, match=r"functions\.dept\.args_schema"):
        read_decision_config(config)


def wrong(**changes):
    config = json.loads(json.dumps(CONFIG))
    config["models"]["judges"].update(changes)
    return config


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"version": 2, "models": {}}, "version"),
        ({**CONFIG, "colour": 1}, "colour: is not a field of a decision configuration"),
        ({**CONFIG, "api_key": "hush"}, "contains no keys"),
        (wrong(questions={}, default=None), "models.judges: needs questions, or a default"),
        (wrong(questions={"q": {}}), "function: is missing"),
        (wrong(questions={"q": {"function": "f", "api_url": "x"}}), "contains no URL"),
        (wrong(questions={"q": {"function": "f", "args_schema": {}}}), "args_schema.properties"),
        (wrong(release_date="today"), "release_date"),
        (wrong(questions={"q": {"function": "f", "yes": [True]}}), "yes"),
    ],
)
def test_problems_are_named_by_their_fields(config, said):
    with pytest.raises(SutroConfigurationError, match=r".*") as caught:
        read_decision_config(config)
    assert said in str(caught.value)
    assert "hush" not in str(caught.value)


def test_problems_of_a_file_have_lines(tmp_path):
    path = tmp_path / "decisions.yaml"
    path.write_text("version: 1\nmodels:\n  judges:\n    questions:\n      q:\n        1: [a]\n")
    with pytest.raises(SutroConfigurationError) as caught:
        read_decision_config(path)
    assert f"{path}:5: models.judges.questions.q: the key 1 is not a string" in str(caught.value)
