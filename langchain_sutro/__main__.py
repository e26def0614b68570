"""`python -m langchain_sutro`: writes the skeleton of a manifest."""

from __future__ import annotations

import argparse
import csv
import importlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from langchain_sutro.agents import dump_manifest, manifest_skeleton
from langchain_sutro.errors import SutroConfigurationError

if TYPE_CHECKING:
    from pydantic import BaseModel

_DESCRIPTION = """\
Writes the skeleton of a manifest, which lists Functions and their fields for SutroToolkit, because
the service does not publish input schemas. Complete its descriptions and types by hand.
"""
_EPILOG = """\
examples:
  python -m langchain_sutro manifest --function lead-qualifier --csv leads.csv
  python -m langchain_sutro manifest --function lead-qualifier --model mymodule:Lead -o sutro.yaml
"""
# The errors that a wrong file, module, class or name leads to.
_WRONG = (
    OSError,
    ImportError,
    AttributeError,
    TypeError,
    ValueError,
    csv.Error,
    SutroConfigurationError,
)


def main(arguments: list[str] | None = None) -> int:
    """Run the command.

    Args:
        arguments: The command line; by default that of this process.

    Returns:
        The exit code: 0, or 1 with the reason on standard error.
    """
    options = _parser().parse_args(arguments)
    try:
        fields = _csv_fields(options.csv) if options.csv else _model(options.model)
        text = dump_manifest(manifest_skeleton(options.function, fields), _form(options))
        if options.output is None:
            print(text, end="")
        else:
            # "x" refuses a file that exists, without a gap between check and write.
            with options.output.open("w" if options.force else "x", encoding="utf-8") as file:
                file.write(text)
    except FileExistsError:
        print(f"error: {options.output} exists: --force overwrites it.", file=sys.stderr)
        return 1
    except _WRONG as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m langchain_sutro")
    commands = parser.add_subparsers(required=True, metavar="command")
    manifest = commands.add_parser(
        "manifest",
        help="write the skeleton of a manifest",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    manifest.add_argument(
        "--function", required=True, metavar="NAME", help="the published name of the Function"
    )
    source = manifest.add_mutually_exclusive_group(required=True)
    source.add_argument("--csv", type=Path, metavar="FILE", help="take the fields from its header")
    source.add_argument(
        "--model", metavar="MODULE:CLASS", help="take the fields from this pydantic model"
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
    return parser


def _form(options: argparse.Namespace) -> Any:
    if options.format:
        return options.format
    named_json = options.output is not None and options.output.suffix.lower() == ".json"
    return "json" if named_json else "yaml"


def _csv_fields(path: Path) -> dict[str, Any]:
    """The JSON schema of a CSV file's rows, whose cells are all strings.

    Raises:
        ValueError: The file has no header, or its names are empty or repeated.
    """
    with path.open(encoding="utf-8-sig", newline="") as file:
        header = next(csv.reader(file), [])
    if not header or "" in header or len(set(header)) < len(header):
        raise ValueError(
            f"{path} has no header, or its header has names that are empty or repeated."
        )
    properties = {name: {"type": "string", "description": "TODO"} for name in header}
    return {"type": "object", "properties": properties, "required": header}


def _model(name: str) -> type[BaseModel]:
    # Modules in the current directory can be imported, as with other Python commands.
    sys.path.insert(0, "")
    module, _, attribute = name.partition(":")
    model: type[BaseModel] = getattr(importlib.import_module(module), attribute)
    return model


if __name__ == "__main__":
    sys.exit(main())
