"""Builds the API reference from the docstrings: `python -m docs.reference [FOLDER]`."""

import re
import sys
import warnings
from importlib import import_module, util
from pathlib import Path

import pdoc
import pdoc.render

ROOT = Path(__file__).parents[1]

# What a user imports from. The rest are rooms of the house, of which these show what is public.
MODULES = (
    "langchain_sutro",
    "langchain_sutro.errors",
    "langchain_sutro.manifest",
    "langchain_sutro.middleware",
    "langchain_sutro.plots",
    "langchain_sutro.testing",
    "langchain_sutro.local",
)


def build(folder: Path) -> list[str]:
    """Write the reference as HTML.

    Args:
        folder: Where to; made if it is not there.

    Returns:
        What cannot be shown as it is meant: a warning for each such docstring or annotation.
    """
    modules = [name for name in MODULES if util.find_spec(name) is not None]
    for name in modules:
        module = import_module(name)
        for public in module.__all__:
            # What is loaded at first use is there for pdoc only once it has been used.
            getattr(module, public)
    pdoc.render.configure(docformat="google", show_source=False)
    # A package brings its modules along: out with them, but for those that are named next.
    chosen = [part for name in modules for part in (name, rf"!{re.escape(name)}\..*")]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        pdoc.pdoc(*chosen, output_directory=folder)
    return sorted({str(each.message) for each in caught})


def main() -> int:
    """Build, and fail if anything was warned of."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "build" / "docs"
    warned = build(folder)
    sys.stdout.write("".join(f"warning: {each}\n" for each in warned))
    sys.stdout.write(f"{folder / 'index.html'}\n")
    return 1 if warned else 0


if __name__ == "__main__":
    raise SystemExit(main())
