"""The blocks of the page about clusters, for those that have the cluster."""

import os
import re
from pathlib import Path

from tests.support.shown_outputs import run_block

PAGE = Path(__file__).parents[2] / "docs" / "clusters.md"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def run_page(engine, folder):
    """Run the blocks of an engine one after the other.

    Args:
        engine: `ray` or `spark`.
        folder: Stands for what the machines of a cluster share.

    Returns:
        How many outputs were compared with those that the page shows.
    """
    text = PAGE.read_text()
    namespace, compared = {}, 0
    os.chdir(folder)
    for block in BLOCK.finditer(text):
        if f"from langchain_sutro.{engine} import" in block[1]:
            code = block[1].replace("/mnt/shared", str(folder))
            line = text.count("\n", 0, block.start(1)) + 1
            compared += run_block(code, str(PAGE), line, namespace)[1]
    return compared
