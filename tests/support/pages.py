"""The fenced blocks of the README and the pages."""

import re

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(language, text):
    """Each fenced block of a language: the line that it starts in, and its text."""
    for block in FENCE.finditer(text):
        if block[1] == language:
            yield text.count("\n", 0, block.start(2)) + 1, block[2]
