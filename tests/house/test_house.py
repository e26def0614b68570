"""The order of the house: which file may import which, what is public, and what nobody may do."""

import ast
import json
import re
import subprocess
import sys
import tomllib
from graphlib import TopologicalSorter
from importlib import import_module, metadata
from importlib.util import find_spec
from itertools import chain
from pathlib import Path

import pytest

import langchain_sutro

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "langchain_sutro"
PRIVATE_ROOMS = "_core"

# The rooms, from the ground up: a file imports from its own room and through the doors of the
# rooms on lower floors. Rooms of one floor do not know each other.
FLOORS = (
    ("version", "exports", "redaction", "when_loaded"),
    ("errors",),
    ("service", "statistics"),
    ("rows",),
    ("config_files", "results"),
    ("tracing",),
    ("jobs",),
    ("gathering", "staging"),
    ("functions",),
    ("agents", "decisions", "evaluation", "pipelines"),
    ("langgraph", "manifest", "middleware", "plots", "ray", "spark", "systemone"),
    ("__main__", "testing"),
)
FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
# The local deployment stands apart: only the fixtures use it. Its own floors are in the same order.
APART = "local"
LOCAL_FLOORS = (
    ("faults", "refusals"),
    ("functions",),
    ("jobs",),
    ("http",),
    ("samples",),
    ("deployment",),
    ("__main__",),
)

# The distribution that an imported module comes from, where the names differ.
DISTRIBUTIONS = {
    "httpx_aiohttp": "httpx-aiohttp",
    "langchain_core": "langchain-core",
    "sklearn": "scikit-learn",
}
# Part of what another required package is, so that they need no line of their own.
BROUGHT = {
    "anyio",  # starlette
    "httpcore",  # httpx
    "langgraph",  # langchain
    "numpy",  # pandas, scikit-learn
    "pydantic_core",  # pydantic
    "starlette",  # fastapi
    "typing_extensions",  # pydantic
    "yaml",  # langchain-core
}
# Used through another package, or given to us: fsspec finds the first by their scheme, and
# `http_async_client` takes what the last makes.
INDIRECT = {"s3fs", "gcsfs", "adlfs", "httpx-aiohttp"}
# Taken if the user has it, and no extra; clusters bring their own Spark.
IF_PRESENT = {"polars", "fsspec", "pyspark"}


class Module:
    """What a file defines and imports, read without running it."""

    def __init__(self, path):
        whole = ".".join(("langchain_sutro", *path.relative_to(PACKAGE).with_suffix("").parts))
        self.path = whole.removesuffix("__init__").rstrip(".")
        self.name = inner(self.path)
        self.tree = ast.parse(path.read_text())
        self.imports = list(imports(self.tree))
        self.own = {target for target, *_ in self.imports if is_own(target)}

    @property
    def room(self):
        return self.name.partition(".")[0]

    def needs(self, modules):
        """The modules of this package that are loaded with this one."""
        loaded = {inner(t) for t, _, when in self.imports if is_own(t) and when == "import"}
        return {name for name in loaded if name in modules and name != self.name}


def is_own(module):
    return module == "langchain_sutro" or module.startswith("langchain_sutro.")


def inner(module):
    """The name of a module below the package; the private rooms stand together in a folder."""
    name = module.removeprefix("langchain_sutro").removeprefix(".")
    return name.removeprefix(f"{PRIVATE_ROOMS}.")


def outer(room):
    """The module of a room, wherever it stands."""
    private = PACKAGE / PRIVATE_ROOMS
    there = (private / room).is_dir() or (private / f"{room}.py").is_file()
    return f"langchain_sutro.{PRIVATE_ROOMS}.{room}" if there else f"langchain_sutro.{room}"


def imports(node, when="import"):
    """Each imported (module, name, when): at import, at a call, or for the type checker only."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield alias.name, None, when
    elif isinstance(node, ast.ImportFrom):
        assert node.level == 0, f"line {node.lineno}: imports are absolute"
        for alias in node.names:
            whole = f"{node.module}.{alias.name}"
            submodule = is_own(node.module) and inner(whole) in NAMES
            yield (whole, None, when) if submodule else (node.module, alias.name, when)
    elif isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        for part in node.body:
            yield from imports(part, "typing")
    else:
        inside = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for part in ast.iter_child_nodes(node):
            yield from imports(part, "call" if inside and when == "import" else when)


# Rooms that need a package which is in an environment of its own, where `tests/clusters` imports
# them; their door can be imported anywhere.
ELSEWHERE = {"ray"}
# Rooms that need a newer langchain-core than the package does.
ABSENT = set() if find_spec("langchain_core.decisions") else {"decisions", "systemone"}
FILES = [
    path
    for path in sorted(PACKAGE.rglob("*.py"))
    if path.relative_to(PACKAGE).parts[0] not in ABSENT
]
NAMES = {
    inner(".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__"))
    for path in FILES
} - {"__init__"}
MODULES = [Module(path) for path in FILES]
ROOM_FILES = [m for m in MODULES if m.name and m.room != "local"]
LIBRARY = [m for m in MODULES if m.name and not m.name.endswith("__main__")]
IMPORTABLE = [m for m in MODULES if m.room not in ELSEWHERE]


def test_every_folder_and_file_at_the_top_has_its_floor():
    folders = (PACKAGE, PACKAGE / PRIVATE_ROOMS)
    top = {
        path.stem
        for folder in folders
        for path in folder.iterdir()
        if path.suffix == ".py" or is_package(path)
    }
    assert top - {"__init__", PRIVATE_ROOMS} == FLOOR.keys() | {APART}
    # Who opens the package sees what it offers.
    offered = {path.name for path in PACKAGE.iterdir()}
    assert len(offered - {"__init__.py", "__pycache__", "py.typed"}) <= 18


def is_package(path):
    return (path / "__init__.py").exists()


def test_rooms_import_only_from_floors_below():
    climbs = [
        f"{module.name} imports {target}"
        for module in ROOM_FILES
        for target in map(inner, sorted(module.own))
        if target and (room := target.partition(".")[0]) not in {module.room, APART}
        if FLOOR[room] >= FLOOR[module.room]
    ]
    assert climbs == []


def test_rooms_are_entered_by_their_doors():
    breaches = [
        f"{module.name} imports {target}"
        for module in ROOM_FILES
        for target in map(inner, sorted(module.own))
        if "." in target and target.partition(".")[0] != module.room
    ]
    assert breaches == []


def test_doors_say_what_their_rooms_hold_and_import_from_them_alone():
    for room in {"." in m.name and m.room for m in ROOM_FILES} - {False}:
        door = import_module(outer(room))
        assert len(door.__doc__.splitlines()[0]) > len(room)
        # Constants first, as ruff sorts them.
        assert door.__all__ == sorted(door.__all__, key=lambda name: (not name.isupper(), name))


def test_every_folder_and_file_of_the_local_deployment_has_its_floor():
    folder = PACKAGE / APART
    found = {path.stem for path in folder.iterdir() if path.suffix == ".py" or is_package(path)}
    assert found - {"__init__"} == set(chain(*LOCAL_FLOORS))


def test_rooms_of_the_local_deployment_import_only_through_doors_of_floors_below():
    floor = {room: floor for floor, rooms in enumerate(LOCAL_FLOORS) for room in rooms}
    # Its own door is above all of it, and the command line is the only file that goes through it.
    climbs = []
    for module in MODULES:
        top, _, inside = module.name.partition(".")
        if top != APART or not inside:
            continue
        room = inside.partition(".")[0]
        for target in map(inner, sorted(module.own)):
            if target in ("exports", "version") or (target == APART and room == "__main__"):
                continue
            assert target.startswith(f"{APART}."), f"{module.name} imports {target}"
            other, _, file = target.removeprefix(f"{APART}.").partition(".")
            if other != room and (file or floor[other] >= floor[room]):
                climbs.append(f"{module.name} imports {target}")
    assert climbs == []


def test_doors_of_the_local_deployment_say_what_their_rooms_hold():
    for room in ("faults", "functions", "http", "jobs", "samples"):
        door = import_module(f"langchain_sutro.{APART}.{room}")
        assert len(door.__doc__.splitlines()[0]) > len(room)
        assert door.__all__ == sorted(door.__all__)


def test_public_classes_of_the_local_deployment_say_where_they_are_imported_from():
    public = import_module(f"langchain_sutro.{APART}")
    classes = [value for name in public.__all__ if isinstance(value := getattr(public, name), type)]
    assert {each.__module__ for each in classes} == {"langchain_sutro.local"}


def test_nothing_but_the_fixtures_imports_the_local_deployment():
    users = [m.name for m in ROOM_FILES if any(inner(t).startswith(APART) for t in m.own)]
    assert users == ["testing"]


def test_files_of_a_room_import_each_other_in_one_direction():
    # Imports at a call and for the type checker count too: a reader has to follow them as well.
    inside = [module for module in MODULES if "." in module.name]
    graph = {
        module.name: {
            name
            for name in map(inner, module.own)
            if name != module.name and name.partition(".")[0] == module.room and "." in name
        }
        for module in inside
    }
    assert set(TopologicalSorter(graph).static_order()) >= graph.keys()


# Lower rooms stay loaded: they import nothing from the room, and are complete before it goes on.
# A module that its package loads needs no try of its own, since the package is imported before it.
IMPORTS = """
import importlib, json, sys

def within(name, package):
    return name == package or name.startswith(package + ".")

failed, by_a_package, tried = {}, set(), set()
rooms = json.load(sys.stdin)
for name, room in rooms:
    if name in by_a_package:
        continue
    tried.add(name)
    for loaded in [loaded for loaded in sys.modules if within(loaded, room)]:
        del sys.modules[loaded]
    try:
        module = importlib.import_module(name)
    except Exception as error:
        failed[name] = repr(error)
    else:
        if hasattr(module, "__path__"):
            by_a_package |= {n for n, _ in rooms if within(n, name) and n in sys.modules} - tried
print(json.dumps([failed, len(tried), len(by_a_package)]))
"""


@pytest.mark.timeout(600)
def test_every_module_can_be_imported_first():
    library = [module for module in LIBRARY if module in IMPORTABLE]
    rooms = [(module.path, outer(module.room).rstrip(".")) for module in library]
    done = subprocess.run(
        [sys.executable, "-c", IMPORTS],
        input=json.dumps(sorted(rooms)),
        capture_output=True,
        text=True,
        check=True,
    )
    failed, tried, by_a_package = json.loads(done.stdout)
    assert failed == {}
    assert tried + by_a_package == len(library)
    assert tried > len({room for _, room in rooms})


def test_no_private_name_leaves_its_file():
    taken = [
        f"{module.name} imports {target}.{name}"
        for module in MODULES
        for target, name, _ in module.imports
        if is_own(target) and name and name.startswith("_") and not name.startswith("__")
    ]
    assert taken == []


def test_the_library_never_prints():
    prints = [
        f"{module.name}: line {node.lineno}"
        for module in LIBRARY
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) in {"print", "sys.stdout.write"}
    ]
    assert prints == []


@pytest.mark.parametrize("module", IMPORTABLE, ids=lambda module: module.name or "__init__")
def test_all_is_there_and_true(module):
    loaded = import_module(module.path)
    offered = getattr(loaded, "__all__", None)
    if offered is None:
        assert module.name.endswith(("version", "__main__", PRIVATE_ROOMS))
        return
    assert len(offered) == len(set(offered))
    assert [name for name in offered if not hasattr(loaded, name)] == []


def test_nothing_public_is_missing_from_all():
    missing = [
        f"{module.name}.{name}"
        for module in LIBRARY
        if module in IMPORTABLE and not any(part.startswith("_") for part in module.name.split("."))
        for name in sorted(defined(module))
        if name not in import_module(module.path).__all__
    ]
    assert missing == []


def defined(module):
    """The functions and classes of a file whose names look public."""
    kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    names = {node.name for node in module.tree.body if isinstance(node, kinds)}
    return {name for name in names if not name.startswith("_")}


def test_only_names_in_all_are_imported_elsewhere():
    taken = []
    for module in MODULES:
        for target, name, _ in module.imports:
            if not is_own(target) or name is None or inner(target).partition(".")[0] in ELSEWHERE:
                continue
            offered = getattr(import_module(target), "__all__", [name])
            if name not in offered:
                taken.append(f"{module.name} imports {target}.{name}")
    assert taken == []


def test_the_package_tells_type_checkers_what_it_loads_at_first_use():
    (package,) = [module for module in MODULES if not module.name]
    typed = {name or inner(target) for target, name, when in package.imports if when == "typing"}
    assert typed | {"__version__"} == set(langchain_sutro.__all__)
    for name in langchain_sutro.__all__:
        assert getattr(langchain_sutro, name) is not None


def test_what_is_required_is_used_and_what_is_used_is_required():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"].values()
    requirements = chain(project["dependencies"], *extras)
    required = {re.match(r"[\w-]+", each)[0] for each in requirements}
    used = {
        DISTRIBUTIONS.get(top, top)
        for module in MODULES
        for top in {target.partition(".")[0] for target, *_ in module.imports}
        if top not in sys.stdlib_module_names | {"langchain_sutro", "pytest"}
    }
    assert used - required - IF_PRESENT - BROUGHT == set()
    assert required - used - INDIRECT == set()
    assert metadata.version("langchain-sutro") == langchain_sutro.__version__


PRIVATE = re.compile(
    r"(?:from|import) (?:langsmith|langchain|langchain_core|langgraph|httpx)(?:\.\w+)*\._\w+"
    r"|(?:from|import) (?:langsmith|langchain|langchain_core|langgraph|httpx)(?:\.\w+)* import _\w+"
    r"|\"(?:langsmith|langchain|langchain_core|langgraph)\.[\w.]*\._\w+\""
    r"|getattr\(\w+, \"_[a-z]\w+\""
)


def test_private_names_of_others_are_listed():
    listed = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    listed = listed.partition("### Calls that others may change")[2].partition("## Style")[0]
    users = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if PRIVATE.search(path.read_text(encoding="utf-8"))
    }
    assert users >= {"_core/tracing/context.py", "evaluation/experiment.py"}
    assert {path for path in users if f"`{path}`" not in listed} == set()
