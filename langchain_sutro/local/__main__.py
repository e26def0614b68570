"""`python -m langchain_sutro.local`: a local deployment on the command line."""

from __future__ import annotations

import argparse
import importlib
import logging
import signal
import sys
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from langchain_sutro._core.version import __version__
from langchain_sutro.local import LocalDeployment, sample_functions

_DESCRIPTION = """\
Starts a local deployment of Sutro's HTTP API on 127.0.0.1, prints the two variables that tell
clients where it is, and runs until Ctrl-C. Any client works with it, the official SDK included.
"""
_EPILOG = """\
Without --functions it publishes three samples: lead-qualifier (query, region),
lead-extractor (text) and any-question (state, instructions, options).

examples:
  python -m langchain_sutro.local
  python -m langchain_sutro.local --port 8017 --data-dir .sutro
  python -m langchain_sutro.local --functions mymodule:judge --functions mymodule:FUNCTIONS
"""


def main(arguments: list[str] | None = None) -> int:
    """Run until a signal says stop.

    Args:
        arguments: The command line; by default that of this process.

    Returns:
        The exit code: 0, or 1 with the reason on standard error.
    """
    options = _parser().parse_args(arguments)
    logging.basicConfig(
        level=logging.INFO if options.verbose else logging.WARNING,
        format="%(levelname)s %(name)s: %(message)s",
    )
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        deployment = LocalDeployment(_functions(options), options.data_dir, options.port)
        deployment.start()
    except (OSError, RuntimeError, ImportError, AttributeError, TypeError, ValueError) as error:
        print(f"error: {getattr(error, 'strerror', None) or error}", file=sys.stderr)
        return 1
    try:
        _announce(deployment)
        stop.wait()
    finally:
        deployment.stop()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m langchain_sutro.local",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"langchain-sutro {__version__}")
    parser.add_argument(
        "--port", type=int, default=0, help="TCP port on 127.0.0.1 (default: any that is free)"
    )
    parser.add_argument(
        "--data-dir",
        type=Path,
        metavar="FOLDER",
        help="keep jobs, results and the key here, and resume them next time "
        "(default: a temporary folder)",
    )
    parser.add_argument(
        "--functions",
        action="append",
        default=[],
        metavar="MODULE:ATTRIBUTE",
        help="publish this instead of the samples: a LocalFunction, a Python function with type "
        "hints, or a list of them; may be repeated",
    )
    parser.add_argument(
        "--samples", action="store_true", help="publish the samples besides --functions"
    )
    parser.add_argument("--verbose", action="store_true", help="log why rows fail, and more")
    return parser


def _functions(options: argparse.Namespace) -> list[Any] | None:
    if not options.functions:
        return None
    found: list[Any] = sample_functions() if options.samples else []
    # Modules of the folder that the command is run in, as for other commands of Python.
    sys.path.insert(0, "")
    for name in options.functions:
        module, _, attribute = name.partition(":")
        if not (module and attribute):
            raise ValueError(f"--functions takes MODULE:ATTRIBUTE, not {name!r}.")
        value = getattr(importlib.import_module(module), attribute)
        found += value if isinstance(value, Iterable) else [value]
    return found


def _announce(deployment: LocalDeployment) -> None:
    for name, value in deployment.environ.items():
        print(f"export {name}={value}")
    for function in deployment.functions:
        fields = ", ".join(function["input_schema"].get("properties", {}))
        print(f"# {function['name']} ({fields}): {function['description']}")
    print(f"# {deployment.url} in a browser is its console. Ctrl-C stops it.", flush=True)


if __name__ == "__main__":
    sys.exit(main())
