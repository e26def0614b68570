"""Manifests: what is read, what is refused where, and the command that writes a first one."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from langchain_sutro.__main__ import main
from langchain_sutro.agents import manifest as manifests
from langchain_sutro.agents.manifest import (
    Manifest,
    dump_manifest,
    load_manifest,
    manifest_schema,
    manifest_skeleton,
)
from langchain_sutro.errors import SutroConfigurationError

FIELDS = {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]}
WHOLE = {
    "version": 1,
    "settings": {"timeout": 30, "max_retries": 1},
    "functions": [
        {
            "name": "lead-qualifier",
            "description": "Decides.",
            "args_schema": FIELDS,
            "output": "answer",
            "tool_name": "qualify",
            "settings": {"max_retries": 5},
        }
    ],
}


class Lead(BaseModel):
    """Judges a lead."""

    query: str = Field(description="What the lead wrote")
    seats: int = 1


def refusal(source):
    with pytest.raises(SutroConfigurationError) as caught:
        load_manifest(source)
    return str(caught.value)


def changed(**fields):
    return {**WHOLE, "functions": [{**WHOLE["functions"][0], **fields}]}


@pytest.fixture
def written(tmp_path):
    def write(text, name="functions.yaml"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


@pytest.mark.parametrize("form", ["yaml", "json", "dict"])
def test_every_form_of_a_manifest_says_the_same(written, form):
    source = WHOLE if form == "dict" else written(dump_manifest(WHOLE, form), f"f.{form}")
    manifest = load_manifest(source)
    function = manifest.functions[0]
    assert (function.name, function.output, function.tool_name) == (
        "lead-qualifier", "answer", "qualify",
    )  # fmt: skip
    assert function.args_schema == FIELDS
    assert manifest.settings_of(function) == {"timeout": 30, "max_retries": 5}


def test_an_error_names_file_line_and_field_in_yaml(written):
    path = written(
        "version: 1\n"
        "functions:\n"
        "  - name: a\n"
        "    description: d\n"
        "    args_schema: {properties: {q: {type: string}}}\n"
        "    output: everything\n"
    )
    assert refusal(path).startswith(f"{path}:6: functions[0].output: ")


def test_an_error_names_file_line_and_field_in_json_with_tabs_and_escapes(written):
    path = written(
        '{\n\t"version": 1,\n\t"functions": [\n\t\t{"name": "a\\/\\ud83d\\ude00",\n'
        '\t\t "description": "d",\n\t\t "args_schema": {\n\t\t\t"properties": {"q": {\n'
        '\t\t\t\t"type": "text"}}}}]}\n',
        "f.json",
    )
    assert refusal(path).startswith(f"{path}:8: functions[0].args_schema.properties.q.type: ")


def test_what_is_missing_is_named_with_the_line_of_what_lacks_it(written):
    path = written("version: 1\nfunctions:\n  - name: a\n    description: d\n")
    assert refusal(path) == f"{path}:3: functions[0].args_schema: is missing"


def test_everything_that_is_wrong_is_told_at_once(written):
    said = refusal(written("version: 2\nfunctions:\n  - nam: a\n"))
    assert "has 5 problems" in said
    assert re.findall(r":(\d+): ", said) == ["1", "3", "3", "3", "3"]


@pytest.mark.parametrize("name", ["api_key", "sutro_api_key", "token"])
@pytest.mark.parametrize("place", ["top", "function", "settings"])
def test_a_key_in_a_manifest_is_refused_and_not_repeated(name, place):
    secret = {name: "sk-very-secret"}
    source = {
        "top": {**WHOLE, **secret},
        "function": changed(**secret),
        "settings": changed(settings=secret),
    }[place]
    said = refusal(source)
    assert "contains no keys" in said
    assert "very-secret" not in said


def test_a_url_in_a_manifest_is_refused():
    assert "contains no URL" in refusal({**WHOLE, "settings": {"api_url": "https://x.example"}})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("version: 1\nversion: 1\nfunctions: []\n", ":2: version: is defined twice"),
        ("version: 1\nfunctions: {1: 1}\n", ":2: functions: the key 1 is not a string"),
        ("version: 1\nfunctions: [!!timestamp 2020-01-01]\n", ":2: functions[0]: a date has no"),
        ("version: 1\nfunctions: [!!float .nan]\n", ":2: functions[0]: has no JSON form"),
        ("version: 1\nfunctions: [\n", ":3: not valid YAML"),
        ("version: 1\n\tfunctions: []\n", ":2: not valid YAML"),
        ("version: 1\nfunctions: !!timestamp 2020-13-45\n", "a value is invalid"),
        ("- 1\n", ":1: Input should be a valid dictionary"),
        ("", "Input should be a valid dictionary"),
        ("!!python/object/apply:os.system [echo]\n", ":1: not valid YAML"),
    ],
)
def test_what_yaml_can_hold_and_a_manifest_cannot_is_named(written, text, said):
    assert said in refusal(written(text))


def test_broken_json_is_named_with_its_line(written):
    path = written('{"version": 1,\n "functions": [}\n', "f.json")
    assert refusal(path).startswith(f"{path}:2: not valid JSON: ")


@pytest.mark.parametrize(
    ("schema", "field"),
    [
        ({"type": "array"}, "args_schema.type"),
        ({"type": "object"}, "args_schema.properties"),
        ({"properties": {"q": "string"}}, "args_schema.properties.q"),
        ({"properties": {"q": {"type": ["string", "nul"]}}}, "args_schema.properties.q.type"),
        ({"properties": {"q": {"enum": []}}}, "args_schema.properties.q.enum"),
        ({"properties": {"q": {}}, "required": ["r"]}, "args_schema.required[0]"),
        ({"properties": {"q": {}}, "required": "q"}, "args_schema.required"),
    ],
)
def test_a_wrong_schema_is_named_by_its_field(schema, field):
    assert f"functions[0].{field}: " in refusal(changed(args_schema=schema))


def test_a_function_stands_in_a_manifest_once():
    twice = {**WHOLE, "functions": WHOLE["functions"] * 2}
    assert "functions[1].name: 'lead-qualifier' is defined twice" in refusal(twice)


def test_a_file_that_is_not_there_or_of_another_kind_is_named(tmp_path, written):
    assert "No such file" in refusal(tmp_path / "none.yaml")
    assert ".json, .yaml or .yml" in refusal(written("x", "f.toml"))
    (tmp_path / "latin.yaml").write_bytes(b"version: 1 # \xe9\n")
    assert "not UTF-8" in refusal(tmp_path / "latin.yaml")


def test_a_recursive_manifest_ends(written):
    refusal(written("version: 1\nfunctions: &f [*f]\n"))


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["version", "functions", "name", "args_schema", "properties", "x"]),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    )
)
def test_any_json_is_a_manifest_or_a_named_error(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "any.json"
    path.write_text(json.dumps(data))
    try:
        loaded = load_manifest(path)
    except SutroConfigurationError as error:
        loaded = str(error)
    assert isinstance(loaded, Manifest) or str(path) in loaded


def test_the_schema_describes_every_field_and_editors_may_refer_to_it():
    schema = manifest_schema()
    assert schema["additionalProperties"] is False
    assert {"$schema", "version", "settings", "functions"} == schema["properties"].keys()
    for name, part in schema["$defs"]["ManifestFunction"]["properties"].items():
        assert part.get("description"), name
    load_manifest({**WHOLE, "$schema": "./manifest.schema.json"})


def test_a_skeleton_of_a_model_is_a_manifest():
    manifest = load_manifest(manifest_skeleton("judge", Lead))
    assert manifest.functions[0].description == "Judges a lead."
    assert set(manifest.functions[0].args_schema["properties"]) == {"query", "seats"}


TEXTS = [
    "NO",
    "yes",
    "Off",
    "y",
    "12:30",
    "007",
    "0x1F",
    "1_000",
    "1e5",
    "2026-01-02",
    ".inf",
    "+1",
    "=",
    "0o7",
    "190:20:30.15",
]


def test_text_without_quotes_stays_text(written):
    enum = ", ".join([*TEXTS, "SE"])
    path = written(
        f"version: 1\nfunctions:\n  - name: NO\n    description: yes\n"
        f"    args_schema: {{properties: {{on: {{type: string, enum: [{enum}]}}}}}}\n"
    )
    [function] = load_manifest(path).functions
    assert (function.name, function.description) == ("NO", "yes")
    assert function.args_schema["properties"]["on"]["enum"] == [*TEXTS, "SE"]


def test_values_of_other_types_are_read_as_in_json(written):
    values = "[1, -2, 0, 1.5, -0.25, 1.0e+5, true, false, null, ~, 'x']"
    path = written(
        f"version: 1\nfunctions:\n  - name: a\n    description: b\n"
        f"    args_schema: {{properties: {{q: {{enum: {values}}}}}}}\n"
    )
    [function] = load_manifest(path).functions
    read = function.args_schema["properties"]["q"]["enum"]
    assert read == [1, -2, 0, 1.5, -0.25, 1e5, True, False, None, None, "x"]
    assert [type(one) for one in read[:3]] == [int] * 3


@pytest.mark.parametrize(
    ("part", "said"),
    [
        ("type: string, enum: [SE, true]", "enum[1]: is not of the declared type string"),
        (
            "type: string, enum: [1]",
            "enum[0]: is not of the declared type string: put it in quotes",
        ),
        ("type: string, const: 1.5", "const: is not of the declared type string"),
        ("type: string, default: false", "default: is not of the declared type string"),
        ("type: integer, default: 007", "default: is not of the declared type integer"),
        ("type: boolean, default: yes", "default: is not of the declared type boolean"),
        ("type: array, items: {type: string, enum: [1]}", "items.enum[0]: is not"),
        ("anyOf: [{type: text}]", "anyOf[0].type: must be one of"),
        ("type: string, nullable: maybe", "nullable: must be true or false"),
    ],
)
def test_values_that_are_not_of_the_declared_type_have_lines(written, part, said):
    path = written(
        f"version: 1\nfunctions:\n  - name: a\n    description: b\n"
        f"    args_schema: {{properties: {{q: {{{part}}}}}}}\n"
    )
    assert f":5: functions[0].args_schema.properties.q.{said}" in refusal(path)


def test_what_a_manifest_is_written_as_is_read_back(written):
    schema = {
        "type": "object",
        "properties": {
            one: {"type": "string", "default": one, "examples": [1.5, 1e20, None, True]}
            for one in TEXTS
        },
    }
    manifest = manifest_skeleton("NO", schema)
    again = load_manifest(written(dump_manifest(manifest)))
    assert again.functions[0].name == "NO"
    assert again.functions[0].args_schema == schema


def test_all_faults_of_a_file_are_said_at_once(tmp_path):
    path = tmp_path / "functions.yaml"
    path.write_text(
        """version: 2
colour: blue
functions:
  - name: one
    description: ''
    args_schema: {properties: {query: {type: text}}}
  - name: one
    description: judges
    args_schema: {properties: {query: {}}, required: [region]}
    settings: {min_confidence: 2}
  - name: three
    description: judges
    description: again
    args_schema: {properties: {day: {default: !!timestamp 2026-01-02}}}
"""
    )
    with pytest.raises(SutroConfigurationError) as caught:
        load_manifest(path)
    said = str(caught.value)
    for line, fault in [
        (1, "version"),
        (2, "colour"),
        (5, "functions[0].description"),
        (6, "functions[0].args_schema.properties.query.type"),
        (7, "functions[1].name: 'one' is defined twice"),
        (9, "functions[1].args_schema.required[0]"),
        (10, "functions[1].settings.min_confidence"),
        (13, "functions[2].description: is defined twice"),
        (14, "functions[2].args_schema.properties.day.default"),
    ]:
        assert f"{path}:{line}: {fault}" in said
    assert said.startswith(f"{path} has 9 problems:")


class TestCommand:
    def run(self, *arguments):
        return main(["manifest", *map(str, arguments)])

    def test_it_writes_a_manifest_of_a_csv_header(self, tmp_path, capsys):
        (tmp_path / "leads.csv").write_text('\ufeffquery,"the, region"\n1,2\n')
        assert self.run("--csv", tmp_path / "leads.csv", "--function", "lead-qualifier") == 0
        function = load_manifest(yaml.safe_load(capsys.readouterr().out)).functions[0]
        assert function.name == "lead-qualifier"
        assert list(function.args_schema["properties"]) == ["query", "the, region"]
        assert function.args_schema["required"] == ["query", "the, region"]

    def test_it_writes_a_manifest_of_a_model(self, tmp_path):
        target = tmp_path / "out.json"
        assert self.run("--model", f"{__name__}:Lead", "--function", "judge", "-o", target) == 0
        assert load_manifest(target).functions[0].description == "Judges a lead."

    def test_it_overwrites_nothing_unless_told_to(self, tmp_path, capsys):
        target = tmp_path / "out.yaml"
        target.write_text("mine")
        line = ("--model", f"{__name__}:Lead", "--function", "judge", "-o", target)
        assert self.run(*line) == 1
        assert target.read_text() == "mine"
        assert "--force" in capsys.readouterr().err
        assert self.run(*line, "--force") == 0
        load_manifest(target)

    def test_it_says_what_it_wrote(self, tmp_path, capsys):
        (tmp_path / "leads.csv").write_text("query,region\n")
        target = tmp_path / "out.yaml"
        line = ("--csv", tmp_path / "leads.csv", "--function", "lead-qualifier", "-o", target)
        assert self.run(*line) == 0
        said = capsys.readouterr()
        assert said.out == ""
        assert f"Wrote {target}: lead-qualifier (query, region)." in said.err

    def test_it_takes_all_functions_of_a_local_deployment_or_those_named(
        self, deployment, tmp_path, monkeypatch, capsys
    ):
        for name, value in deployment.environ.items():
            monkeypatch.setenv(name, value)
        target = tmp_path / "out.yaml"
        assert self.run("--from-deployment", "-o", target) == 0
        published = {one["name"]: one for one in deployment.functions}
        written = load_manifest(target).functions
        assert [one.name for one in written] == list(published)
        for one in written:
            assert one.description == published[one.name]["description"]
            fields = published[one.name]["input_schema"]["properties"]
            assert list(one.args_schema["properties"]) == list(fields)
        capsys.readouterr()
        assert self.run("--from-deployment", "--function", "lead-extractor") == 0
        (only,) = yaml.safe_load(capsys.readouterr().out)["functions"]
        assert only["name"] == "lead-extractor"
        assert self.run("--from-deployment", "--function", "lead-extracter") == 1
        assert "try 'lead-extractor'" in capsys.readouterr().err

    def test_other_deployments_and_wrong_keys_are_said_in_one_line(
        self, deployment, monkeypatch, capsys
    ):
        monkeypatch.setenv("SUTRO_API_URL", deployment.url)
        monkeypatch.setenv("SUTRO_API_KEY", "sk_wrong")
        assert self.run("--from-deployment") == 1
        said = capsys.readouterr().err
        assert said.startswith("error: ")
        assert "401" in said
        assert "sk_wrong" not in said
        monkeypatch.setenv("SUTRO_API_KEY", deployment.api_key)
        deployment.faults.add("local/functions", status=404)
        assert self.run("--from-deployment") == 1
        assert "deployment does: use a manifest" in capsys.readouterr().err
        deployment.faults.add("local/functions", status=200, json={"functions": [{}]})
        assert self.run("--from-deployment") == 1
        assert "functions" in capsys.readouterr().err

    def test_csv_and_model_are_of_one_function(self, tmp_path, capsys):
        (tmp_path / "leads.csv").write_text("query\n")
        assert self.run("--csv", tmp_path / "leads.csv") == 1
        assert "--function NAME" in capsys.readouterr().err

    def test_a_file_that_is_not_separated_by_commas_is_an_error(self, tmp_path, capsys):
        (tmp_path / "f.csv").write_text("query;region\nx;EMEA\n")
        assert self.run("--csv", tmp_path / "f.csv", "--function", "judge") == 1
        assert "no commas but semicolons" in capsys.readouterr().err
        (tmp_path / "f.csv").write_bytes("gr\u00f6\u00dfe\n".encode("latin-1"))
        assert self.run("--csv", tmp_path / "f.csv", "--function", "judge") == 1
        assert "not valid UTF-8" in capsys.readouterr().err
        (tmp_path / "f.tsv").write_text("query\tregion\n")
        assert self.run("--csv", tmp_path / "f.tsv", "--function", "judge") == 0

    @pytest.mark.parametrize(
        "source",
        [
            ("--csv", "none.csv"),
            ("--model", "no.such.module:Lead"),
            ("--model", f"{__name__}:None_"),
            ("--model", f"{__name__}:WHOLE"),
            ("--model", ""),
        ],
    )
    def test_a_wrong_source_is_an_error_without_a_traceback(self, source, capsys):
        assert self.run(*source, "--function", "judge") == 1
        assert capsys.readouterr().err.startswith("error: ")

    @pytest.mark.parametrize(
        ("header", "said"),
        [
            ("", "must have a header"),
            ("a,a\n", "empty or repeated"),
            ("a,\n", "empty or repeated"),
            ('a,"b\n1,2\n', "line 1: a quote is not closed"),
            ('a,b\n1,"open\n2,x\n', "line 2: a quote is not closed"),
        ],
    )
    def test_a_csv_without_a_usable_header_is_an_error(self, tmp_path, header, said, capsys):
        (tmp_path / "f.csv").write_text(header)
        assert self.run("--csv", tmp_path / "f.csv", "--function", "judge") == 1
        assert said in capsys.readouterr().err

    def test_it_runs_as_a_module(self, tmp_path):
        (tmp_path / "leads.csv").write_text("query\n")
        done = subprocess.run(
            [sys.executable, "-m", "langchain_sutro", "manifest", "--csv", "leads.csv",
             "--function", "judge"],
            cwd=tmp_path, capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert yaml.safe_load(done.stdout)["functions"][0]["name"] == "judge"


def test_reading_manifests_loads_no_table_library():
    script = (
        f"import sys; sys.path[:0] = {[str(Path(manifests.__file__).parents[2])]!r}\n"
        "import langchain_sutro.manifest\n"
        "print([m for m in ('pandas', 'pyarrow') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
