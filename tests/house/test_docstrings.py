"""Docstrings: there, complete, and with examples that run."""

import ast
import csv
import dis
import doctest
import inspect
import re
import textwrap
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import langsmith
import pytest
from langchain.agents import create_agent
from langchain_core.language_models import FakeListChatModel
from langchain_core.runnables import RunnableLambda
from pydantic import BaseModel

import langchain_sutro
from langchain_sutro import SutroFunction
from langchain_sutro.local import sample_leads

PACKAGE = Path(langchain_sutro.__file__).parent

# What a user imports from; the other files are rooms of the house.
PUBLIC = [
    "langchain_sutro",
    *(
        f"langchain_sutro.{name}"
        for name in (
            "errors",
            "local",
            "manifest",
            "middleware",
            "plots",
            "spark",
            "statistics",
            "testing",
        )
    ),
    # They need a newer langchain-core than the package does.
    *(
        f"langchain_sutro.{name}"
        for name in ("decisions", "systemone")
        if find_spec("langchain_core.decisions")
    ),
]
FENCED = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
SECTION = re.compile(r"^(Args|Attributes):\n((?:[ \t]+.*\n?|\n)*)", re.MULTILINE)
ENTRY = re.compile(r"^ {4}([*\w][*\w, ]*)(?: \([^)]*\))?:", re.MULTILINE)


@cache
def public_objects():
    """Each public function, class and method with a docstring of our own to write, by its path."""
    found = {}
    for module_name in PUBLIC:
        module = import_module(module_name)
        found[module_name] = module
        for name in module.__all__:
            value = getattr(module, name)
            if callable(value) and is_ours(value):
                found[f"{value.__module__}.{value.__qualname__}"] = value
    for path, value in list(found.items()):
        if inspect.isclass(value):
            found |= {f"{path}.{name}": member for name, member in members(value)}
    return found


def is_ours(value):
    return getattr(inspect.unwrap(value), "__module__", "").startswith("langchain_sutro")


def members(owner):
    """The public methods and properties that a class of ours defines itself."""
    for name, value in vars(owner).items():
        if name.startswith("_") and name != "__call__":
            continue
        plain = value.__func__ if isinstance(value, classmethod | staticmethod) else value
        if isinstance(plain, property) or (inspect.isfunction(plain) and is_ours(plain)):
            yield name, plain


FUNCTIONS = [path for path, value in public_objects().items() if inspect.isfunction(value)]
CLASSES = [path for path, value in public_objects().items() if inspect.isclass(value)]


def named(docstring, *titles):
    """The names that the sections of a Google-style docstring explain, or those of these titles."""
    sections = SECTION.finditer(inspect.cleandoc(docstring) + "\n")
    chosen = [section[2] for section in sections if not titles or section[1] in titles]
    entries = (entry for section in chosen for entry in ENTRY.findall(section))
    return {name.strip().lstrip("*") for entry in entries for name in entry.split(",")}


def parameters(function):
    every = inspect.signature(function).parameters
    return [name for name in every if name not in {"self", "cls"}]


@pytest.mark.parametrize("path", public_objects())
def test_everything_public_says_what_it_is(path):
    docstring = inspect.getdoc(public_objects()[path])
    assert docstring
    assert docstring.splitlines()[0].endswith((".", "?", "!", ":"))


@pytest.mark.parametrize("path", FUNCTIONS)
def test_every_argument_is_named_where_it_is_explained(path):
    function = public_objects()[path]
    wanted = set(parameters(function))
    missing = {name for name in wanted - told(path) if not in_the_text(function, name)}
    # One argument may be explained by the sentence that says what the function does.
    assert len(wanted) == 1 or missing == set()


def told(path, depth=3):
    """What a docstring explains of its arguments, itself or where it points: `batch`, `A.b`."""
    said = inspect.getdoc(public_objects()[path])
    names = named(said)
    owner, _, own = path.rpartition(".")
    points_at = set(re.findall(r"`([\w.]+)(?:\(\))?`", said))
    for name in points_at if depth else ():
        for whole in (f"{owner}.{name}", *ends_with(name)):
            if whole in public_objects() and whole != path:
                names |= told(whole, depth - 1)
    value = public_objects().get(owner)
    for base in inspect.getmro(value)[1:] if inspect.isclass(value) else ():
        # An override of somebody else's method keeps its meaning, unless it tells its own.
        if "Args:" not in said and not is_ours(base) and inspect.isfunction(vars(base).get(own)):
            names |= set(parameters(vars(base)[own]))
    return names


def ends_with(name):
    return [path for path in public_objects() if "." in name and path.endswith(f".{name}")]


def in_the_text(function, name):
    return re.search(rf"`{name}\b", inspect.getdoc(function)) is not None


@pytest.mark.parametrize("path", CLASSES)
def test_every_field_and_argument_of_a_class_is_named(path):
    owner = public_objects()[path]
    said = set().union(*(named(base.__doc__ or "") for base in inspect.getmro(owner)[:-1]))
    if issubclass(owner, BaseModel):
        wanted = {name for name in owner.__annotations__ if name not in inherited_fields(owner)}
        wanted -= {name for name, field in owner.model_fields.items() if field.description}
    elif "\nArgs:\n" in inspect.cleandoc(owner.__doc__):
        wanted = set(parameters(owner))
    else:
        wanted = set()
    assert {name for name in wanted - said if not name.startswith("_")} == set()


@pytest.mark.parametrize("path", CLASSES)
def test_every_attribute_that_a_class_names_exists(path):
    owner = public_objects()[path]
    missing = {name for name in named(owner.__doc__, "Attributes") if not has(owner, name)}
    assert missing == set()


def has(owner, name):
    """Whether a class defines an attribute, declares it, or sets it on its instances."""
    ours = [base for base in inspect.getmro(owner) if is_ours(base)]
    declared = any(name in vars(base).get("__annotations__", {}) for base in inspect.getmro(owner))
    return declared or hasattr(owner, name) or any(sets(base, name) for base in ours)


def sets(owner, name):
    return any(
        step.opname == "STORE_ATTR" and step.argval == name
        for method in vars(owner).values()
        if inspect.isfunction(method)
        for step in dis.get_instructions(method)
    )


def inherited_fields(model):
    """The fields, and pydantic's own settings, that a base of somebody else's explains."""
    bases = [base for base in inspect.getmro(model)[1:] if not is_ours(base)]
    return {"model_config"}.union(*(getattr(base, "model_fields", {}) for base in bases))


def test_all_sections_are_googles():
    others = re.compile(r"^\s*(:param|:return|Parameters\n\s*---|Arguments:|Return:)", re.MULTILINE)
    documented = public_objects().items()
    assert [path for path, value in documented if others.search(value.__doc__)] == []


def fenced_examples():
    """Each ```python block in a docstring of the package, and the module that it is in."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                continue
            docstring = ast.get_docstring(node) or ""
            home = path.relative_to(PACKAGE.parent).with_suffix("")
            module = ".".join(home.parts).removesuffix(".__init__")
            for block in FENCED.findall(docstring):
                name = f"{module}.{getattr(node, 'name', '')}".rstrip(".")
                yield pytest.param(module, textwrap.dedent(block), id=name)


@pytest.fixture
def names(sutro_deployment, monkeypatch, tmp_path):
    """What an example may take for granted: two Functions, rows, a model, and a directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "exports").mkdir()

    class Lead(BaseModel):
        """A lead."""

        query: str
        region: str

    class Text(BaseModel):
        """A lead's text."""

        text: str

    with sample_leads().open() as file:
        leads = [{name: row[name] for name in Lead.model_fields} for row in csv.DictReader(file)]
    leads = leads[:3]
    qualify = SutroFunction("lead-qualifier", args_schema=Lead, poll_interval=0.1)
    return {
        **{path.rpartition(".")[2]: value for path, value in public_objects().items()},
        "create_agent": create_agent,
        "evaluate": inspect.signature(langsmith.evaluate).bind,  # what LangSmith would take
        "my_app": dict,
        "write_offer": RunnableLambda(str),
        "say_thanks": RunnableLambda(str),
        "ask_a_human": RunnableLambda(str),
        "model": FakeListChatModel(responses=["done"]),
        "Lead": Lead,
        "judge": qualify,
        "qualify": qualify,
        "extract": SutroFunction("lead-extractor", args_schema=Text, poll_interval=0.1),
        "lead": leads[0],
        "leads": leads,
        "rows": leads,
        "deployment": sutro_deployment,
    }


@pytest.mark.parametrize(("module", "example"), list(fenced_examples()))
def test_a_fenced_example_runs(module, example, names):
    if module.startswith(("langchain_sutro.decisions", "langchain_sutro.systemone")):
        pytest.importorskip("langchain_core.decisions")
    exec(compile(example, "example", "exec"), {**vars(import_module(module)), **names})


def test_prompted_examples_give_what_they_say(names):
    finder = doctest.DocTestFinder(exclude_empty=True)
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    for path, value in public_objects().items():
        for example in finder.find(value, path, globs=dict(names)):
            runner.run(example)
    assert runner.summarize(verbose=False).failed == 0
