"""`python -m langchain_sutro`: writes a first manifest, and judges runs for schedulers."""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from langsmith.utils import LangSmithError
from pydantic import BaseModel

from langchain_sutro._core.jobs import SutroClient, execute
from langchain_sutro._core.rows import file_columns
from langchain_sutro._core.service import published_functions
from langchain_sutro._core.version import __version__
from langchain_sutro.agents import dump_manifest, manifest_skeleton
from langchain_sutro.errors import SutroError
from langchain_sutro.evaluation import evaluate_configured_runs

if TYPE_CHECKING:
    from collections.abc import Callable

_DESCRIPTION = """\
Writes the skeleton of a manifest, which lists Functions and their fields for SutroToolkit, because
the service does not publish input schemas. Complete its descriptions and types by hand. A local
deployment publishes the schemas: --from-deployment writes all of its Functions, or those named.
"""
_EPILOG = """\
examples:
  python -m langchain_sutro manifest --function lead-qualifier --csv leads.csv
  python -m langchain_sutro manifest --function lead-qualifier --model mymodule:Lead -o sutro.yaml
  python -m langchain_sutro manifest --from-deployment -o sutro.yaml
"""
_RUNS_DESCRIPTION = """\
Judges the runs of a LangSmith project that have no feedback yet, and prints what it did as JSON.
It can be run every hour. The file has the arguments of langchain_sutro.evaluate_runs; with
"threads: true" each row is a whole conversation, which is judged idle_minutes after its last run:

  project: my-app
  since_hours: 24
  sample: 0.1
  max_cost: 2.0
  judges:
    - function: answer-judge
      fields: {question: inputs.question, answer: outputs.answer}
      score: {pass: 1, fail: 0}

exit codes: 0 done, 1 failed, 2 wrong arguments, 3 done but for some runs
"""
# The errors that a wrong file, module, class, name, key or URL leads to.
_WRONG = (OSError, ImportError, AttributeError, TypeError, ValueError, SutroError)


def main(arguments: list[str] | None = None) -> int:
    """Run the command.

    Args:
        arguments: The command line; by default that of this process.

    Returns:
        The exit code: 0; 1 with the reason on standard error; 3 if runs were judged, but some
        could not be, or LangSmith did not accept all feedback.
    """
    options = _parser().parse_args(arguments)
    run: Callable[[argparse.Namespace], int] = options.run
    return run(options)


def _evaluate_runs(options: argparse.Namespace) -> int:
    try:
        found = evaluate_configured_runs(options.config)
    except (*_WRONG, LangSmithError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(json.dumps(found.as_dict(), indent=2))
    return 3 if found.failed or found.refused else 0


def _write_manifest(options: argparse.Namespace) -> int:
    try:
        manifest = _manifest(options)
        text = dump_manifest(manifest, _form(options))
        if options.output is None:
            print(text, end="")
        else:
            # "x" refuses a file that exists, without a gap between check and write.
            with options.output.open("w" if options.force else "x", encoding="utf-8") as file:
                file.write(text)
            print(_written(options.output, manifest), file=sys.stderr)
    except FileExistsError:
        print(f"error: {options.output} exists: --force overwrites it.", file=sys.stderr)
        return 1
    except _WRONG as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m langchain_sutro")
    parser.add_argument("--version", action="version", version=f"langchain-sutro {__version__}")
    commands = parser.add_subparsers(required=True, metavar="command")
    manifest = commands.add_parser(
        "manifest",
        help="write the skeleton of a manifest",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    manifest.set_defaults(run=_write_manifest)
    manifest.add_argument(
        "--function",
        action="append",
        default=[],
        metavar="NAME",
        help="the published name of the Function; may be repeated with --from-deployment",
    )
    source = manifest.add_mutually_exclusive_group(required=True)
    source.add_argument("--csv", type=Path, metavar="FILE", help="take the fields from its header")
    source.add_argument(
        "--model", metavar="MODULE:CLASS", help="take the fields from this pydantic model"
    )
    source.add_argument(
        "--from-deployment",
        action="store_true",
        help="take them from the local deployment at SUTRO_API_URL",
    )
    manifest.add_argument(
        "-o", "--output", type=Path, metavar="FILE", help="write here (default: standard output)"
    )
    manifest.add_argument("--force", action="store_true", help="overwrite the output file")
    manifest.add_argument(
        "--format",
        choices=("json", "yaml"),
        help="format of the manifest (default: by the output's name, or yaml)",
    )
    runs = commands.add_parser(
        "evaluate-runs",
        help="judge the runs of a LangSmith project",
        description=_RUNS_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    runs.set_defaults(run=_evaluate_runs)
    runs.add_argument(
        "--config", type=Path, required=True, metavar="FILE", help="a JSON or YAML file"
    )
    return parser


def _manifest(options: argparse.Namespace) -> dict[str, Any]:
    """The manifest that the options ask for.

    Raises:
        ValueError: The options do not fit together, or name what does not exist.
    """
    if options.from_deployment:
        return _from_deployment(options.function)
    if len(options.function) != 1:
        raise ValueError("--csv and --model need the name of one Function: --function NAME.")
    fields = _csv_fields(options.csv) if options.csv is not None else _model(options.model)
    return manifest_skeleton(options.function[0], fields)


def _from_deployment(names: list[str]) -> dict[str, Any]:
    """All Functions of the deployment in the environment, or those of the given names.

    Raises:
        ValueError: A name is not published.
    """
    published = {one["name"]: one for one in execute(SutroClient(), published_functions)}
    for name in names:
        if name not in published:
            near = get_close_matches(name, published) or list(published)
            raise ValueError(f"{name!r} is not published; try {', '.join(map(repr, near))}.")
    entries = []
    for name in names or published:
        skeleton = manifest_skeleton(name, published[name]["input_schema"])
        (entry,) = skeleton["functions"]
        entries.append(
            {**entry, "description": published[name].get("description") or entry["description"]}
        )
    return {"version": 1, "functions": entries}


def _form(options: argparse.Namespace) -> Any:
    if options.format:
        return options.format
    named_json = options.output is not None and options.output.suffix.lower() == ".json"
    return "json" if named_json else "yaml"


def _written(path: Path, manifest: dict[str, Any]) -> str:
    functions = ", ".join(
        f"{one['name']} ({', '.join(one['args_schema']['properties'])})"
        for one in manifest["functions"]
    )
    return f"Wrote {path}: {functions}. Complete what is marked with TODO."


def _csv_fields(path: Path) -> dict[str, Any]:
    """The JSON schema of a CSV file's rows, whose cells are all strings.

    Raises:
        ValueError: The file has no header, its names are empty or repeated, or it is not valid
            CSV.
    """
    header = file_columns(path)
    if "" in header or len(set(header)) < len(header):
        raise ValueError(f"{path} has a header with names that are empty or repeated.")
    properties = {name: {"type": "string", "description": "TODO"} for name in header}
    return {"type": "object", "properties": properties, "required": header}


def _model(name: str) -> type[BaseModel]:
    """The pydantic model of that name.

    Raises:
        ValueError: The name is not complete.
        TypeError: It is not the name of a pydantic model.
    """
    module, _, attribute = name.partition(":")
    if not (module and attribute):
        raise ValueError(f"--model takes MODULE:CLASS, not {name!r}.")
    # Modules in the current directory can be imported, as with other Python commands.
    sys.path.insert(0, "")
    model = getattr(importlib.import_module(module), attribute)
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        raise TypeError(f"{name} is not a pydantic model but {type(model).__name__}.")
    return model


if __name__ == "__main__":
    sys.exit(main())
